// The page's side of the worker: networks are loaded when they are asked for, and paintings are read once.

const FOLDER = new URL("./", import.meta.url);

/** What can be painted with, what it needs, and how large it may get before a reader waits too long. */
export const METHODS = {
  adain: { name: "AdaIN", about: "any paintings, blended, at any strength", most: 1024, paintings: 4 },
  johnson: { name: "Johnson", about: "one network for each style: the quickest", most: 1024, paintings: 0 },
  sanet: { name: "SANet", about: "every position looks for its like in the painting", most: 384, paintings: 1 },
  adaattn: { name: "AdaAttN", about: "statistics for every position", most: 320, paintings: 1 },
};

export class Engine {
  constructor(manifest) {
    this.manifest = manifest;
    this.name = ""; // what the networks run in, once they do
    this.count = 0; // of messages
    this.waiting = new Map(); // id of a message -> what to do with its answer
    this.wanted = new URLSearchParams(location.search).get("engine"); // "wasm" to do without the graphics card
  }

  /** The names of the samples, of the networks, and the sizes of all files. */
  static async open() {
    const response = await fetch(new URL("manifest.json", FOLDER));
    if (!response.ok)
      throw new Error("The networks are not here: build the book with make book, and serve it with make serve.");
    return new Engine(await response.json());
  }

  /** The files of a method: those that read paintings, and that which paints. */
  files(method, style) {
    const named = (...names) =>
      Object.fromEntries(names.map((name) => [`networks/${name}`, this.manifest.networks[name]]));
    if (method === "johnson") return { read: {}, paint: named(`johnson-${style}.onnx`) };
    return { read: named(`${method}-style.onnx`), paint: named(`${method}-painter.onnx`) };
  }

  /** Bytes that are loaded before a method paints for the first time. */
  bytes(method, style) {
    const { read, paint } = this.files(method, style);
    const networks = Object.values({ ...read, ...paint }).reduce((sum, one) => sum + one, 0);
    return networks + (this.name ? 0 : this.manifest.runtime["ort.wasm.bundle.min.mjs.wasm.gz"]);
  }

  async load(method, style, onProgress) {
    const { read, paint } = this.files(method, style);
    const { engine } = await this.ask(
      "load",
      { runtime: this.manifest.runtime, files: { ...read, ...paint }, wanted: this.wanted },
      onProgress,
    );
    this.name = engine;
  }

  /**
   * Paint a picture.
   *
   * @param paintings [{ key, weight, picture() }], of which those are read that have not been.
   */
  async paint({ method, style, picture, alpha, paintings }) {
    const { read, paint } = this.files(method, style);
    const styles = paintings.map(({ key, weight }) => ({ key: `${method}/${key}`, weight }));
    const missing = styles.length ? (await this.ask("missing", { keys: styles.map(({ key }) => key) })).keys : [];
    for (const [index, { key }] of styles.entries()) {
      if (missing.includes(key)) await this.ask("read", { files: read, key, picture: paintings[index].picture() });
    }
    return this.ask("paint", { files: paint, picture, alpha, styles });
  }

  ask(kind, message, onProgress = () => {}) {
    this.worker ??= this.hire();
    this.count += 1;
    const id = this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, onProgress });
      this.worker.postMessage({ id, kind, ...message });
    });
  }

  hire() {
    const worker = new Worker(new URL("worker.js", FOLDER), { type: "module" });
    worker.addEventListener("message", ({ data }) => {
      const { resolve, reject, onProgress } = this.waiting.get(data.id) ?? {};
      if (!resolve) return;
      if ("loaded" in data) return onProgress(data.loaded / data.total, data.total);
      this.waiting.delete(data.id);
      if ("error" in data) reject(new Error(data.error));
      else resolve(data.result);
    });
    worker.addEventListener("error", () => {
      for (const { reject } of this.waiting.values())
        reject(new Error("The painter stopped, most likely for want of memory: take a smaller size."));
      this.waiting.clear();
      this.worker = null;
      this.name = "";
    });
    return worker;
  }
}
