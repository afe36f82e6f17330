// The worker of the studio: it runs the networks, so that the page never waits for them.
//
// It takes messages { id, kind, ... } and answers { id, ...result } or { id, error }; while something loads it sends
// { id, loaded, total }. Pictures are RGBA bytes, as a canvas has them: { pixels, width, height }.

const FOLDER = new URL("./", import.meta.url);
const KEPT = 24; // paintings that are remembered

let ort = null;
let engine = null; // { name, providers }
let runtimeFiles = {}; // name -> bytes
const sessions = new Map(); // file -> session
const codes = new Map(); // key of a painting -> its tensors

// ---------------------------------------------------------------- loading

/** Fetch some files, of sizes that are known, and report how much of all of them is there. */
async function fetchAll(files, report) {
  const total = Object.values(files).reduce((sum, bytes) => sum + bytes, 0);
  let loaded = 0;
  const fetchOne = async (file) => {
    const response = await fetch(new URL(file, FOLDER));
    if (!response.ok)
      throw new Error(`${file} could not be loaded (${response.status}): try again when the network is back.`);
    const chunks = [];
    const reader = response.body.getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      chunks.push(part.value);
      loaded += part.value.length;
      report({ loaded, total });
    }
    return new Blob(chunks);
  };
  return Promise.all(Object.keys(files).map(fetchOne));
}

/** Is there a graphics card that WebGPU can use? (What imitates one in software is slower than WebAssembly.) */
async function hasWebGPU() {
  try {
    const adapter = await navigator.gpu?.requestAdapter();
    return Boolean(adapter) && !adapter.info?.isFallbackAdapter;
  } catch {
    return false;
  }
}

/** Start ONNX Runtime, with WebGPU where there is one. */
async function start(runtime, wanted, report) {
  if (engine) return;
  runtimeFiles = runtime;
  if (typeof WebAssembly !== "object")
    throw new Error("This browser has no WebAssembly, which the networks run in: try a newer one.");
  const gpu = wanted !== "wasm" && (await hasWebGPU());
  const script = `ort.${gpu ? "webgpu" : "wasm"}.bundle.min.mjs`;
  const binary = `${script}.wasm.gz`;
  const [packed] = await fetchAll({ [`runtime/${binary}`]: runtime[binary] }, report);
  const unpacked = new Response(packed.stream().pipeThrough(new DecompressionStream("gzip")));
  ort = await import(new URL(`runtime/${script}`, FOLDER));
  ort.env.wasm.wasmBinary = await unpacked.arrayBuffer();
  ort.env.logLevel = "error";
  const threads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  ort.env.wasm.numThreads = threads;
  const name = gpu ? "WebGPU" : `WebAssembly, ${threads === 1 ? "one thread" : `${threads} threads`}`;
  engine = { name, providers: gpu ? ["webgpu", "wasm"] : ["wasm"] };
}

/** Return the sessions of some files, which are loaded if they aren't there yet. */
async function open(files, report) {
  const missing = Object.keys(files).filter((file) => !sessions.has(file));
  if (missing.length) {
    const blobs = await fetchAll(Object.fromEntries(missing.map((file) => [file, files[file]])), report);
    for (const [index, file] of missing.entries()) {
      const bytes = new Uint8Array(await blobs[index].arrayBuffer());
      sessions.set(
        file,
        await ort.InferenceSession.create(bytes, { executionProviders: engine.providers, logSeverityLevel: 3 }),
      );
    }
  }
  return Object.keys(files).map((file) => sessions.get(file));
}

// ---------------------------------------------------------------- pictures

/** RGBA bytes -> a tensor (1, 3, H, W) in [0, 1]. */
function toTensor({ pixels, width, height }) {
  const count = width * height;
  const values = new Float32Array(3 * count);
  for (let place = 0; place < count; place++) {
    for (let color = 0; color < 3; color++) values[color * count + place] = pixels[4 * place + color] / 255;
  }
  return new ort.Tensor("float32", values, [1, 3, height, width]);
}

/** A tensor (1, 3, H, W) in [0, 1] -> RGBA bytes. */
function toPicture(tensor) {
  const [, , height, width] = tensor.dims;
  const count = width * height;
  const pixels = new Uint8ClampedArray(4 * count).fill(255); // which rounds, and clamps
  for (let place = 0; place < count; place++) {
    for (let color = 0; color < 3; color++) pixels[4 * place + color] = 255 * tensor.data[color * count + place];
  }
  return { pixels, width, height };
}

// ---------------------------------------------------------------- painting

/** The weighted mean of what is kept of several paintings. For AdaIN this paints their blend, exactly. */
function mix(styles) {
  if (styles.length === 1) return codes.get(styles[0].key);
  const mixed = {};
  for (const [name, first] of Object.entries(codes.get(styles[0].key))) {
    const sum = new Float32Array(first.data.length);
    for (const { key, weight } of styles) {
      const part = codes.get(key)[name].data;
      for (let index = 0; index < sum.length; index++) sum[index] += weight * part[index];
    }
    mixed[name] = new ort.Tensor("float32", sum, first.dims);
  }
  return mixed;
}

const KINDS = {
  /** Load what a method needs. */
  async load({ runtime, files, wanted }, report) {
    await start(runtime, wanted, report);
    await open(files, report);
    return { engine: engine.name };
  },

  /** Read a painting, once: what is kept of it is found under its key from then on. */
  async read({ files, key, picture }, report) {
    if (!codes.has(key)) {
      const [reader] = await open(files, report);
      const found = await reader.run({ style: toTensor(picture) });
      codes.set(key, found);
      if (codes.size > KEPT) codes.delete(codes.keys().next().value);
    }
    return {};
  },

  /** Which of these paintings have still to be read? */
  async missing({ keys }) {
    return { keys: keys.filter((key) => !codes.has(key)) };
  },

  /** Paint. */
  async paint({ files, picture, alpha, styles }, report) {
    const [painter] = await open(files, report);
    const begun = performance.now();
    const inputs = { content: toTensor(picture), alpha: new ort.Tensor("float32", [alpha], [1]) };
    if (styles.length) Object.assign(inputs, mix(styles));
    const { painted } = await painter.run(inputs);
    const result = toPicture(painted);
    return { picture: result, ms: performance.now() - begun, engine: engine.name };
  },
};

// One thing after the other: a session can't run twice at once.
let queue = Promise.resolve();

self.addEventListener("message", ({ data }) => {
  queue = queue.then(async () => {
    const { id, kind, ...rest } = data;
    const report = (progress) => self.postMessage({ id, ...progress });
    try {
      const result = await KINDS[kind](rest, report).catch((error) => withoutGPU(error, kind, rest, report));
      self.postMessage({ id, result }, result.picture ? [result.picture.pixels.buffer] : []);
    } catch (error) {
      self.postMessage({ id, error: String(error?.message ?? error) });
    }
  });
});

/** What failed on the graphics card is tried once more without it, and everything after it too. */
async function withoutGPU(error, kind, message, report) {
  if (engine?.providers[0] !== "webgpu") throw error;
  console.warn(`WebGPU failed, so WebAssembly takes over: ${error?.message ?? error}`);
  engine = null;
  sessions.clear();
  await start(runtimeFiles, "wasm", report);
  return KINDS[kind]({ ...message, wanted: "wasm" }, report);
}
