// Chapter 9: a plane of style against content error, in which each point is its picture.
//
// data: points [{ name, content, style, picture, note }].

import { element } from "../studio/parts.js";

export function draw(stage, { points }) {
  const plane = element("div", "nst-plane");
  plane.append(
    element("span", "nst-axis", { textContent: "content error →" }),
    element("span", "nst-axis nst-up", { textContent: "style error →" }),
  );
  const large = element("img", "", { alt: "" });
  const words = element("p", "nst-status");
  words.setAttribute("role", "status");
  const scale = (name) => {
    const values = points.map((point) => point[name]);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => 14 + (74 * (value - low)) / (high - low || 1);
  };
  const [x, y] = [scale("content"), scale("style")];
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
}
