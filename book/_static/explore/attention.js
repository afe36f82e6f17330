// Chapters 6 and 7: point at the photograph, and the painting keeps its colours where the network looks.
//
// data: photograph, painting; scores (N, M) of N positions of the photograph and M of the painting, each row less its largest;
//       grid [rows, columns] of the photograph's positions, and style_grid of the painting's.

import { element } from "../studio/parts.js";
import { pointAt } from "./data.js";

// A grey and pale copy of a picture.
function fade(image) {
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const canvas = element("canvas", "", { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height);
  const { data } = pixels;
  for (let n = 0; n < data.length; n += 4)
    data.fill(102 + (0.35 * (data[n] + data[n + 1] + data[n + 2])) / 3, n, n + 3);
  context.putImageData(pixels, 0, 0);
  return canvas;
}

export function draw(stage, { photograph, painting, scores, grid, style_grid: styleGrid }) {
  const [rows, columns] = grid;
  const [styleRows, styleColumns] = styleGrid;
  const canvases = [photograph, painting].map((image) =>
    element("canvas", "", { width: image.naturalWidth, height: image.naturalHeight }),
  );
  const [from, to] = canvases;
  const heat = element("canvas", "", { width: styleColumns, height: styleRows });
  const pale = fade(painting);
  const seen = element("canvas", "", { width: to.width, height: to.height });
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
    const pixels = new Uint8ClampedArray(4 * weights.length); // a mask, opaque where it looks
    for (let n = 0; n < weights.length; n++) pixels[4 * n + 3] = 255 * Math.sqrt(weights[n] / largest);
    heat.getContext("2d").putImageData(new ImageData(pixels, styleColumns, styleRows), 0, 0);
    const colors = seen.getContext("2d");
    colors.globalCompositeOperation = "copy";
    colors.drawImage(painting, 0, 0);
    colors.globalCompositeOperation = "destination-in";
    colors.drawImage(heat, 0, 0, to.width, to.height);
    const canvas = to.getContext("2d");
    canvas.drawImage(pale, 0, 0);
    canvas.drawImage(seen, 0, 0);
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
