// Chapter 9: a plane of style against content error, in which each point is its picture.
//
// data: points [{ name, content, style, picture, note }].

import { element } from "../studio/parts.js";

// Round values between two ends, four or five at most.
function ticks(low, high) {
  const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((one) => (high - low) / one <= 4) ?? 1;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, n) => (first + n) * step);
}

// Put every name where it covers no other name and no other picture: below its own, or else above, right or left.
function placeNames(buttons) {
  const box = (node) => node.getBoundingClientRect();
  const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
  const names = [];
  for (const button of buttons) {
    const others = buttons.filter((one) => one !== button).map((one) => box(one.firstChild));
    const free = ["below", "above", "right", "left"].find((side) => {
      button.dataset.name = side;
      const name = box(button.lastChild);
      return [...others, ...names].every((one) => apart(name, one));
    });
    button.dataset.name = free ?? "below";
    names.push(box(button.lastChild));
  }
}

export function draw(stage, { points }) {
  const plane = element("div", "nst-plane");
  plane.append(
    element("span", "nst-axis", { textContent: "content error →" }),
    element("span", "nst-axis nst-up", { textContent: "style error →" }),
  );
  const large = element("img", "", { alt: "" });
  const words = element("p", "nst-status");
  words.setAttribute("role", "status");
  const scale = (name, side) => {
    const values = points.map((point) => point[name]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const place = (value) => 14 + (70 * (value - low)) / (high - low || 1);
    for (const value of ticks(low, high)) {
      const tick = element("span", `nst-tick nst-tick-${side}`, { textContent: Number(value.toFixed(2)) });
      tick.style[side] = `${place(value)}%`;
      plane.append(tick);
    }
    return place;
  };
  const [x, y] = [scale("content", "left"), scale("style", "bottom")];
  const buttons = points.map((point) => {
    const { name, content, style, picture, note } = point;
    const button = element("button", "nst-point", {
      type: "button",
      ariaLabel: `${name}: content error ${content.toPrecision(3)}, style error ${style.toPrecision(3)}`,
    });
    button.append(element("img", "", { src: picture.src, alt: "" }), element("span", "", { textContent: name }));
    button.style.left = `${x(content)}%`;
    button.style.bottom = `${y(style)}%`;
    const show = () => {
      for (const one of buttons) one.setAttribute("aria-pressed", String(one === button));
      Object.assign(large, { src: picture.src, alt: `The picture of ${name}` });
      words.textContent = `${name}: content error ${content.toPrecision(3)}, style error ${style.toPrecision(3)}${note ? `, ${note}` : ""}.`;
    };
    for (const kind of ["pointerenter", "focus", "click"]) button.addEventListener(kind, show);
    return button;
  });
  plane.append(...buttons);
  stage.append(element("div", "nst-pair", {}, [plane, element("div", "", {}, [large, words])]));
  buttons[0].click();
  new ResizeObserver(() => placeNames(buttons)).observe(plane); // once it has a size, too
}
