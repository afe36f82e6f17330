// What book/explore.py packs: arrays as bytes between two numbers, pictures as data addresses.

/** Open all that is packed in a value, however deep. */
export async function unpack(value) {
  if (Array.isArray(value)) return Promise.all(value.map(unpack));
  if (value === null || typeof value !== "object") return value;
  if ("bytes" in value) return toArray(value);
  if ("webp" in value) return toImage(value.webp);
  const entries = Object.entries(value).map(async ([name, one]) => [name, await unpack(one)]);
  return Object.fromEntries(await Promise.all(entries));
}

/** { bytes, shape, low, high } -> { shape, values }: bytes 0 to 255 stand for low to high. */
function toArray({ bytes, shape, low, high }) {
  const packed = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  const values = Float32Array.from(packed, (byte) => low + ((high - low) * byte) / 255);
  return { shape, values };
}

async function toImage(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/** Draw a map (h, w) on a canvas in greys: black is 0, and white the largest value. */
export function drawMap(canvas, values, width, height, largest = Math.max(...values)) {
  Object.assign(canvas, { width, height });
  const pixels = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let position = 0; position < values.length; position++)
    pixels.fill((255 * values[position]) / (largest || 1), 4 * position, 4 * position + 3);
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
}

/**
 * Let a place of an element be pointed at, by mouse, touch or the arrow keys.
 *
 * @param onPlace called with x and y in [0, 1)
 * @param steps how many places there are across and down, for the keys
 */
export function pointAt(target, label, [across, down], onPlace) {
  let place = [0.5, 0.5];
  target.tabIndex = 0;
  target.setAttribute("role", "application");
  target.setAttribute("aria-label", label);
  const go = ([x, y]) => {
    place = [x, y].map((one) => Math.min(0.9999, Math.max(0, one)));
    onPlace(...place);
  };
  const follow = (event) => {
    const box = target.getBoundingClientRect();
    go([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
  };
  target.addEventListener("pointermove", follow);
  target.addEventListener("pointerdown", follow);
  target.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by) return;
    event.preventDefault();
    go([place[0] + by[0] / across, place[1] + by[1] / down]);
  });
  go(place);
  return go;
}
