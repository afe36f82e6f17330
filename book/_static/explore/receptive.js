// Chapter 1: point at a place of the photograph, and see what each layer sees of it, and which channels answer.
//
// data: picture; size [H, W] in its pixels; layers [{ name, sees, maps (C, h, w) }], with `sees` the side of its receptive field.

import { element } from "../studio/parts.js";
import { pointAt } from "./data.js";

const COLORS = ["#e9c46a", "#f4a261", "#e76f51", "#c1440e", "#7f1d1d"];

export function draw(stage, { picture, size, layers }) {
  const [height, width] = size;
  const canvas = element("canvas", "", { width: picture.naturalWidth, height: picture.naturalHeight });
  const rows = layers.map(({ name, sees }, index) => {
    const bars = element("canvas", "nst-bars", { width: 320, height: 34 });
    const title = element("span", "", { textContent: `${name}, sees ${sees} px` });
    title.style.borderColor = COLORS[index % COLORS.length];
    return { bars, line: element("div", "nst-layer", {}, [title, bars]) };
  });
  const words = element("p", "nst-status");
  words.setAttribute("role", "status");
  pointAt(canvas, "The photograph: point at a place, or move with the arrow keys", [32, 32], (x, y) => {
    const context = canvas.getContext("2d");
    const zoom = canvas.width / width;
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const strongest = [];
    for (const [index, { name, sees, maps }] of layers.entries()) {
      const [channels, h, w] = maps.shape;
      const place = Math.floor(y * h) * w + Math.floor(x * w);
      const answers = Array.from({ length: channels }, (_, channel) => maps.values[channel * h * w + place]);
      const side = sees * zoom;
      context.lineWidth = 2.5;
      context.strokeStyle = COLORS[index % COLORS.length];
      context.strokeRect(x * canvas.width - side / 2, y * canvas.height - side / 2, side, side);
      drawBars(rows[index].bars, answers, Math.max(...maps.values), COLORS[index % COLORS.length]);
      strongest.push(`${name} channel ${answers.indexOf(Math.max(...answers))}`);
    }
    words.textContent = `At ${Math.floor(x * width)}, ${Math.floor(y * height)} these answer most: ${strongest.join(", ")}.`;
  });
  stage.append(
    element("div", "nst-pair", {}, [
      canvas,
      element(
        "div",
        "",
        {},
        rows.map(({ line }) => line),
      ),
    ]),
    words,
  );
}

function drawBars(canvas, answers, largest, color) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = color;
  const step = canvas.width / answers.length;
  for (const [index, answer] of answers.entries()) {
    const tall = (canvas.height * answer) / (largest || 1);
    context.fillRect(index * step, canvas.height - tall, Math.max(1, step - 0.6), tall);
  }
}
