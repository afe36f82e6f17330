// Chapters 6 and 7: point at the photograph, and the painting lights up where the network looks.
//
// data: photograph, painting; scores (N, M) of N positions of the photograph and M of the painting, each row less its largest;
//       grid [rows, columns] of the photograph's positions, and style_grid of the painting's.

import { element } from "../studio/parts.js";
import { pointAt } from "./data.js";

export function draw(stage, { photograph, painting, scores, grid, style_grid: styleGrid }) {
  const [rows, columns] = grid;
  const [styleRows, styleColumns] = styleGrid;
  const canvases = [photograph, painting].map((image) =>
    element("canvas", "", { width: image.naturalWidth, height: image.naturalHeight }),
  );
  const [from, to] = canvases;
  const heat = element("canvas", "", { width: styleColumns, height: styleRows });
  const words = element("p", "nst-status");
  words.setAttribute("role", "status");
  const slider = element("input", "", { type: "range", min: -2, max: 3, step: 0.1, value: 0 });
  const shown = element("output", "", { textContent: "1" });
  const temperature = element("label", "nst-strength", {}, [
    element("span", "nst-legend", { textContent: "Temperature" }),
    slider,
    shown,
  ]);
  let at = [0, 0];

  const show = () => {
    const t = 2 ** Number(slider.value);
    shown.textContent = t.toPrecision(2);
    const [row, column] = at;
    const start = (row * columns + column) * scores.shape[1];
    // A_j = exp(s_j / T) / sum exp(s / T)
    const weights = Array.from(scores.values.subarray(start, start + scores.shape[1]), (score) => Math.exp(score / t));
    const sum = weights.reduce((total, one) => total + one, 0);
    const largest = Math.max(...weights);
    const pixels = new Uint8ClampedArray(4 * weights.length); // a veil, thinnest where it looks
    for (let n = 0; n < weights.length; n++) pixels[4 * n + 3] = 180 * (1 - Math.sqrt(weights[n] / largest));
    heat.getContext("2d").putImageData(new ImageData(pixels, styleColumns, styleRows), 0, 0);
    const canvas = to.getContext("2d");
    canvas.drawImage(painting, 0, 0);
    canvas.drawImage(heat, 0, 0, to.width, to.height);
    const context = from.getContext("2d");
    context.drawImage(photograph, 0, 0);
    const [width, height] = [from.width / columns, from.height / rows];
    context.lineWidth = 3;
    context.strokeStyle = "#fff";
    context.strokeRect(column * width - 2, row * height - 2, width + 4, height + 4);
    const entropy = -weights.reduce((total, one) => total + (one ? (one / sum) * Math.log(one / sum) : 0), 0);
    words.textContent = `This position looks at ${Math.round(Math.exp(entropy))} of ${weights.length} positions of the painting; the first of them has ${Math.round((100 * largest) / sum)} % of its attention.`;
  };
  pointAt(from, "The photograph: point at a position, or move with the arrow keys", [columns, rows], (x, y) => {
    at = [Math.floor(y * rows), Math.floor(x * columns)];
    show();
  });
  slider.addEventListener("input", show);
  stage.append(element("div", "nst-pair", {}, canvases), temperature, words);
}
