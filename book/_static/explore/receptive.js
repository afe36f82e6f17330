// Chapter 1: point at a position of the photograph, and see what each layer sees of it, and which channels respond.
//
// data: picture; size [H, W] in its pixels; layers [{ name, sees, maps (C, h, w) }], with `sees` the side of its receptive field.

import { element } from "../studio/parts.js";
import { drawMap, pointAt } from "./data.js";

const COLORS = ["#d09a1e", "#c2542d", "#a0569a", "#3a86a8", "#8a9a2b"]; // seen on light and on dark

export function draw(stage, { picture, size, layers }) {
  const [height, width] = size;
  const photograph = element("canvas", "", { width: picture.naturalWidth, height: picture.naturalHeight });
  const rows = layers.map(({ name, sees }, index) => {
    const title = element("span", "", { textContent: `${name}, sees ${sees} px` });
    title.style.borderColor = COLORS[index % COLORS.length];
    const bars = element("canvas", "nst-bars", { width: 640, height: 80 });
    const map = element("canvas", "nst-pixels");
    const line = element("div", "nst-layer", {}, [title, bars, map]);
    return { bars, map, line };
  });
  const words = element("p", "nst-status");
  words.setAttribute("role", "status");
  const steps = layers.at(-1).maps.shape.slice(1).reverse();
  pointAt(photograph, "The photograph: point at a position, or move with the arrow keys", steps, (x, y) => {
    const zoom = photograph.width / width;
    photograph.getContext("2d").drawImage(picture, 0, 0, photograph.width, photograph.height);
    const strongest = [];
    for (const [index, { name, sees, maps }] of layers.entries()) {
      const [channels, h, w] = maps.shape;
      const [row, column] = [Math.floor(y * h), Math.floor(x * w)];
      const responses = Array.from({ length: channels }, (_, i) => maps.values[(i * h + row) * w + column]);
      const best = responses.indexOf(Math.max(...responses));
      const { bars, map } = rows[index];
      const color = COLORS[index % COLORS.length];
      // the field lies around the centre of the position, which is as large as the map is coarse
      const centre = [((column + 0.5) / w) * photograph.width, ((row + 0.5) / h) * photograph.height];
      drawSquare(photograph, centre, sees * zoom, color);
      drawBars(bars, responses, best, color);
      drawMap(map, maps.values.subarray(best * h * w, (best + 1) * h * w), w, h);
      strongest.push(`${name} channel ${best}`);
    }
    words.textContent = `At pixel ${Math.floor(x * width)}, ${Math.floor(y * height)} these channels respond most strongly: ${strongest.join(", ")}.`;
  });
  const lines = rows.map(({ line }) => line);
  stage.append(element("div", "nst-pair nst-seen", {}, [photograph, element("div", "", {}, lines)]), words);
}

function drawSquare(canvas, [x, y], side, color) {
  const context = canvas.getContext("2d");
  const thin = canvas.width / 240;
  for (const [style, wide] of [
    ["#fff", 2.4],
    [color, 1.4],
  ]) {
    context.strokeStyle = style;
    context.lineWidth = wide * thin;
    context.strokeRect(x - side / 2, y - side / 2, side, side);
  }
}

/** One bar for each channel, on the scale of the largest; the others are pale. */
function drawBars(canvas, responses, best, color) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = color;
  const step = canvas.width / responses.length;
  for (const [index, response] of responses.entries()) {
    context.globalAlpha = index === best ? 1 : 0.55;
    const tall = (canvas.height * response) / (responses[best] || 1);
    context.fillRect(index * step, canvas.height - tall, Math.max(2, step - 1), tall);
  }
}
