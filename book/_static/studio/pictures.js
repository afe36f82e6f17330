// Pictures in: samples, files, what is dropped or pasted. Whatever can't be used is refused in a sentence.

const FOLDER = new URL("./pictures/", import.meta.url);
const MOST = 50; // megapixels: a browser decodes a picture whole, at 4 bytes a pixel
const KEPT = 1024; // the long side that is kept of a picture, in pixels

/** A picture at its best size, which gives its pixels at others. */
export class Picture {
  constructor(bitmap, key, name) {
    Object.assign(this, { bitmap, key, name });
  }

  get long() {
    return Math.max(this.bitmap.width, this.bitmap.height);
  }

  /** Width and height for a long side, without enlarging. */
  fit(long) {
    const scale = Math.min(1, long / this.long);
    return [this.bitmap.width, this.bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  }

  /** Width and height for a short side, without enlarging. */
  fitShort(short) {
    const { width, height } = this.bitmap;
    const scale = Math.min(1, short / Math.min(width, height));
    return [width, height].map((side) => Math.max(1, Math.round(side * scale)));
  }

  /** RGBA bytes of this size. */
  read([width, height]) {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingQuality = "high";
    context.fillStyle = "#fff"; // behind what is transparent
    context.fillRect(0, 0, width, height);
    context.drawImage(this.bitmap, 0, 0, width, height);
    return { pixels: context.getImageData(0, 0, width, height).data, width, height };
  }
}

/** The address of a sample, or of its thumbnail. */
export function sampleAddress(name, small = false) {
  return new URL(`${name}${small ? "-small" : ""}.webp`, FOLDER).href;
}

export async function loadSample(name, label) {
  const response = await fetch(sampleAddress(name));
  if (!response.ok) throw new Error(`The sample "${label}" could not be loaded: try again when the network is back.`);
  return new Picture(await createImageBitmap(await response.blob()), name, label);
}

let count = 0;

/** A reader's own picture, out of a file. */
export async function loadFile(file) {
  const name = file.name || "the pasted picture";
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    const isPicture = file.type.startsWith("image/");
    const what = isPicture ? "it is damaged, or of a kind that this browser can't show" : "it is no picture";
    throw new Error(`"${name}" can't be opened: ${what}. JPEG, PNG and WebP work.`);
  }
  const { width, height } = bitmap;
  const megapixels = (width * height) / 1e6;
  if (megapixels > MOST) {
    bitmap.close();
    throw new Error(
      `"${name}" has ${Math.round(megapixels)} megapixels, and the studio takes up to ${MOST}: scale it down first.`,
    );
  }
  const scale = Math.min(1, KEPT / Math.max(width, height));
  const size = {
    resizeWidth: Math.max(1, Math.round(width * scale)),
    resizeHeight: Math.max(1, Math.round(height * scale)),
  };
  const kept = scale < 1 ? await createImageBitmap(bitmap, { ...size, resizeQuality: "high" }) : bitmap;
  if (kept !== bitmap) bitmap.close();
  count += 1;
  return new Picture(kept, `own-${count}`, name);
}

/** The first file of a drop or a paste, if there is one. */
export function fileOf(transfer) {
  return [...(transfer?.files ?? [])][0] ?? null;
}
