// Small parts of the page.

/** An element with a class, properties and children. */
export function element(tag, className = "", properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

export function button(words, onClick, className = "nst-button") {
  const made = element("button", className, { type: "button", textContent: words });
  made.addEventListener("click", onClick);
  return made;
}

/** A group of controls under a heading. */
export function field(legend, ...children) {
  return element("fieldset", "nst-field", {}, [element("legend", "nst-legend", { textContent: legend }), ...children]);
}

/** A small picture that is chosen by a click. */
export function thumb(address, label, name, onClick) {
  const made = button("", onClick, "nst-thumb");
  made.dataset.name = name;
  made.title = label;
  made.setAttribute("aria-label", label);
  made.setAttribute("aria-pressed", "false");
  made.append(element("img", "", { src: address, alt: "", loading: "lazy", width: 56, height: 56 }));
  return made;
}

/** A sentence for the reader. */
export function note(words) {
  return element("p", "nst-note", { textContent: words });
}
