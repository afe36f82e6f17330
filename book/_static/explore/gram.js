// Chapter 2: point at a cell of the Gram matrix, and see its two feature maps, their product, and its mean; or cut a painting
// into tiles, shuffle them, and see at which layers the Gram matrix changes.
//
// data: picture, gram (C, C) and maps (C, h, w); entries and products are drawn as square roots, as large as the maps;
//       or shuffles [{ tile, picture, distances }], with distances { name of a layer: relative Gram distance }.

import { element } from "../studio/parts.js";
import { drawMap, pointAt } from "./data.js";

export function draw(stage, { picture, gram, maps, shuffles }) {
  if (gram) stage.append(...cells(picture, gram, maps));
  if (shuffles) stage.append(shuffle(shuffles));
}

function cells(picture, gram, maps) {
  const [channels, height, width] = maps.shape;
  const map = (channel) => maps.values.subarray(channel * height * width, (channel + 1) * height * width);
  const matrix = element("canvas", "nst-pixels");
  drawMap(matrix, gram.values.map(Math.sqrt), channels, channels);
  const box = element("div", "nst-matrix", {}, [matrix, element("span", "nst-cell")]);
  const [first, second, third] = [0, 1, 2].map(() => panel(element("canvas", "nst-pixels")));
  const words = element("p", "nst-status");
  words.setAttribute("role", "status");

  pointAt(box, "The Gram matrix: point at a cell, or move with the arrow keys", [channels, channels], (x, y) => {
    const [i, j] = [Math.floor(y * channels), Math.floor(x * channels)];
    // G_ij = mean F_i F_j
    const product = map(i).map((value, position) => value * map(j)[position]);
    const mean = product.reduce((sum, one) => sum + one, 0) / product.length;
    // both maps on one scale, so that a weak one looks weak
    const strongest = [...map(i), ...map(j)].reduce((most, one) => Math.max(most, one), 0);
    drawMap(first.image, map(i), width, height, strongest);
    drawMap(second.image, map(j), width, height, strongest);
    drawMap(third.image, product.map(Math.sqrt), width, height, strongest);
    first.caption.textContent = `map ${i}`;
    second.caption.textContent = `map ${j}`;
    third.caption.textContent = "their product";
    box.style.setProperty("--x", j / channels);
    box.style.setProperty("--y", i / channels);
    box.style.setProperty("--side", 1 / channels);
    words.textContent = `Channels ${i} and ${j}: the mean of their product is ${mean.toPrecision(3)}, the entry of the Gram matrix.`;
  });
  const painting = panel(element("img", "", { src: picture.src, alt: "The painting" }), "the painting");
  const panels = [painting, first, second, third].map(({ figure }) => figure);
  return [element("div", "nst-gram", {}, [box, element("div", "nst-panels", {}, panels)]), words];
}

function panel(image, words = "") {
  const caption = element("figcaption", "", { textContent: words });
  return { image, caption, figure: element("figure", "", {}, [image, caption]) };
}

/** A slider over the sizes of the tiles. */
function shuffle(shuffles) {
  const image = element("img", "", { alt: "The painting, its tiles shuffled" });
  const start = shuffles.findIndex(({ tile }) => tile <= 32); // taken apart, and still to be recognised
  const slider = element("input", "", { type: "range", min: 0, max: shuffles.length - 1, value: start });
  const shown = element("output");
  const names = Object.keys(shuffles[0].distances);
  const bars = names.map(() => element("div", "nst-bar"));
  const numbers = names.map(() => element("span"));
  const show = () => {
    const { tile, picture, distances } = shuffles[slider.value];
    image.src = picture.src;
    shown.textContent = `${tile} px`;
    slider.setAttribute("aria-valuetext", shown.textContent);
    for (const [index, name] of names.entries()) {
      bars[index].style.setProperty("--share", Math.min(1, distances[name]));
      numbers[index].textContent = distances[name].toFixed(3);
    }
  };
  slider.addEventListener("input", show);
  show();
  const label = element("label", "nst-strength", {}, [
    element("span", "nst-legend", { textContent: "Side of a tile" }),
    slider,
    shown,
  ]);
  const rows = names.flatMap((name, index) => [
    element("span", "", { textContent: name }),
    bars[index],
    numbers[index],
  ]);
  const distances = element("div", "nst-distances", {}, rows);
  distances.setAttribute("role", "status");
  return element("div", "nst-shuffle", {}, [image, element("div", "", {}, [label, distances])]);
}
