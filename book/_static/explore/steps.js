// Chapter 3: scrub through the steps of an optimisation, picture and loss together.
//
// data: frames [{ step, loss, picture }].

import { element } from "../studio/parts.js";

const SVG = "http://www.w3.org/2000/svg";

export function draw(stage, { frames }) {
  const image = element("img", "", { alt: "" });
  const slider = element("input", "", {
    type: "range",
    min: 0,
    max: frames.length - 1,
    value: 0,
    ariaLabel: "Step of the optimisation",
  });
  const words = element("p", "nst-status");
  words.setAttribute("role", "status");
  const logs = frames.map(({ loss }) => Math.log10(loss));
  const [low, high] = [Math.min(...logs), Math.max(...logs)];
  const last = frames.at(-1).step || 1;
  const points = frames.map(({ step }, index) => [
    (100 * step) / last,
    58 - (56 * (logs[index] - low)) / (high - low || 1),
  ]);
  const curve = document.createElementNS(SVG, "svg");
  curve.setAttribute("viewBox", "-2 -2 104 64");
  curve.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.join(" "));
  const dot = document.createElementNS(SVG, "circle");
  dot.setAttribute("r", "2");
  curve.append(line, dot);
  const show = () => {
    const { step, loss, picture } = frames[slider.value];
    Object.assign(image, { src: picture.src, alt: `The picture after ${step} steps` });
    const [x, y] = points[slider.value];
    dot.setAttribute("cx", x);
    dot.setAttribute("cy", y);
    words.textContent = `Step ${step}: the loss is ${loss.toPrecision(3)}.`;
    slider.setAttribute("aria-valuetext", words.textContent);
  };
  slider.addEventListener("input", show);
  show();
  stage.append(element("div", "nst-pair", {}, [image, element("div", "nst-curve", {}, [curve, words])]), slider);
}
