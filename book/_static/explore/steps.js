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
  const points = frames.map(({ step }, index) => [(100 * step) / last, heightOf(logs[index], low, high)]);
  const curve = shape("svg", { viewBox: "-10 -8 114 80", "aria-hidden": "true" });
  const dot = shape("circle", { r: 2 });
  curve.append(...axes(last, low, high), shape("polyline", { points: points.join(" ") }), dot);
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

/** Where a logarithm lies in the drawing, between the least at the bottom and the largest at the top. */
function heightOf(log, low, high) {
  return 58 - (56 * (log - low)) / (high - low || 1);
}

/** Names, numbers and faint lines: steps to the right, the loss upwards on a logarithmic scale. */
function axes(last, low, high) {
  const power = 10 ** Math.floor(Math.log10(last / 4));
  const apart = [1, 2, 5, 10].map((digit) => digit * power).find((one) => one >= last / 5);
  const parts = [
    shape("text", { x: 0, y: -3, "text-anchor": "middle" }, "loss"),
    shape("text", { x: 50, y: 71, "text-anchor": "middle" }, "step"),
  ];
  for (let step = 0; step <= last; step += apart) {
    const x = (100 * step) / last;
    parts.push(shape("path", { d: `M${x} 2V60` }), shape("text", { x, y: 65, "text-anchor": "middle" }, step));
  }
  for (let exponent = Math.floor(low); exponent <= high; exponent++) {
    for (const digit of [1, 2, 5]) {
      const loss = Number(`${digit}e${exponent}`);
      const y = heightOf(Math.log10(loss), low, high);
      if (y < 2 || y > 60) continue;
      parts.push(shape("path", { d: `M0 ${y}H100` }), shape("text", { x: -2, y: y + 1.4, "text-anchor": "end" }, loss));
    }
  }
  return parts;
}

function shape(name, attributes, words = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = words;
  return made;
}
