// A click on a picture or a chart of a chapter shows it as large as the window allows. So does Enter, since each is a button;
// Escape or another click closes it, and the arrow keys go to the next one of the page. Loaded with `defer`, not as a module,
// because browsers refuse modules to pages that are opened as files.
"use strict";

(() => {
  const SHOWN = ".bd-article :is(figure, .cell_output) img, .bd-article .nst-chart";
  const OTHERS = ".nst-compare, .nst-explore, .nst-studio, a";
  const all = [...document.querySelectorAll(SHOWN)].filter((one) => !one.closest(OTHERS));
  if (all.length === 0) return;

  const dialog = document.createElement("dialog");
  dialog.className = "nst-large";
  dialog.setAttribute("aria-label", "Picture, enlarged");
  const caption = document.createElement("div");
  document.body.append(dialog);
  let shown = null;

  function show(one) {
    shown = one;
    const copy = one.cloneNode(true);
    for (const name of ["tabindex", "role", "class", "loading"]) copy.removeAttribute(name);
    if (one.naturalWidth) {
      // small pictures grow, though to no more than four pixels of the screen for each of theirs
      const scale = Math.min(4, (0.95 * innerWidth) / one.naturalWidth, (0.85 * innerHeight) / one.naturalHeight);
      copy.style.width = `${scale * one.naturalWidth}px`;
    }
    const text = one.closest("figure")?.querySelector("figcaption")?.cloneNode(true) ?? document.createElement("span");
    text.querySelector(".headerlink")?.remove();
    caption.replaceChildren(...text.childNodes);
    dialog.replaceChildren(copy, caption);
    if (!dialog.open) dialog.showModal();
  }

  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => shown?.focus());
  dialog.addEventListener("keydown", ({ key }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key] ?? 0;
    if (key === "Escape") dialog.close();
    if (step) show(all[(all.indexOf(shown) + step + all.length) % all.length]);
  });

  for (const one of all) {
    one.setAttribute("tabindex", "0");
    one.setAttribute("role", "button");
    one.classList.add("nst-enlarges");
    one.addEventListener("click", () => show(one));
    one.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      show(one);
    });
  }
})();
