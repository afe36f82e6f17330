// Chapter 2: point at a cell of the Gram matrix, and see its two feature maps, their product, and its mean.
//
// data: gram (C, C); maps (C, h, w); shuffles [{ tile, picture, distance }], a photograph in shuffled tiles, and how far its
//       Gram matrix is from that of the whole one.

import { element } from "../studio/parts.js";
import { drawMap, pointAt } from "./data.js";

const captioned = (canvas, words) =>
  element("figure", "", {}, [canvas, element("figcaption", "", { textContent: words })]);

export function draw(stage, { gram, maps, shuffles }) {
  const [channels, height, width] = maps.shape;
  const matrix = element("canvas", "nst-pixels");
  drawMap(matrix, gram.values.map(Math.sqrt), channels, channels);
  const box = element("div", "nst-matrix", {}, [matrix, element("span", "nst-cell")]);
  const panels = ["", "", ""].map(() => element("canvas", "nst-pixels"));
  const figures = panels.map((panel, index) => captioned(panel, ["first map", "second map", "their product"][index]));
  const words = element("p", "nst-status");
  words.setAttribute("role", "status");
  const map = (channel) => maps.values.subarray(channel * height * width, (channel + 1) * height * width);

  pointAt(box, "The Gram matrix: point at a cell, or move with the arrow keys", [channels, channels], (x, y) => {
    const [i, j] = [Math.floor(y * channels), Math.floor(x * channels)];
    const product = map(i).map((value, place) => value * map(j)[place]);
    drawMap(panels[0], map(i), width, height);
    drawMap(panels[1], map(j), width, height);
    drawMap(panels[2], product, width, height);
    box.style.setProperty("--x", j / channels);
    box.style.setProperty("--y", i / channels);
    box.style.setProperty("--side", 1 / channels);
    // G_ij = mean F_i F_j
    const mean = product.reduce((sum, one) => sum + one, 0) / product.length;
    words.textContent = `Channels ${i} and ${j}: the mean of their product is ${mean.toPrecision(3)}, the entry of the Gram matrix.`;
  });
  stage.append(element("div", "nst-gram", {}, [box, element("div", "nst-panels", {}, figures)]), words);
  if (shuffles?.length) stage.append(shuffle(shuffles));
}

/** A slider over the sizes of the tiles. */
function shuffle(shuffles) {
  const image = element("img", "", { alt: "The photograph, its tiles shuffled" });
  const slider = element("input", "", { type: "range", min: 0, max: shuffles.length - 1, value: 0 });
  const shown = element("output");
  const words = element("p", "nst-status");
  const show = () => {
    const { tile, picture, distance } = shuffles[slider.value];
    image.src = picture.src;
    shown.textContent = `${tile} px`;
    words.textContent = `Tiles of ${tile} px: the Gram matrix has moved by ${(100 * distance).toFixed(1)} %.`;
  };
  slider.addEventListener("input", show);
  show();
  const label = element("label", "nst-strength", {}, [
    element("span", "nst-legend", { textContent: "Tiles" }),
    slider,
    shown,
  ]);
  return element("div", "nst-shuffle", {}, [image, label, words]);
}
