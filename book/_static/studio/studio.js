// The studio: choose a photograph and a painting, and see one painted in the style of the other.
//
// It is drawn on the page at once, and loads a network when it is asked to paint. While a slider moves it paints small,
// at a size that takes a moment; when all is still it paints once more at full size.

import { Camera } from "./camera.js";
import { Engine, METHODS } from "./engine.js";
import { Pad } from "./pad.js";
import { fileOf, loadFile, loadSample, sampleAddress } from "./pictures.js";
import { button, element, field, note, thumb } from "./parts.js";
import { Stage } from "./stage.js";

const MOMENT = 350; // ms that a picture may take while something moves
const STILL = 400; // ms without a change, after which the full size is painted
const FIRST = 192; // px: the long side of the first picture, which tells how fast the machine is
const SIZES = [256, 384, 512, 768, 1024];

export class Studio {
  constructor(root) {
    this.root = root;
    this.compact = root.classList.contains("nst-widget");
    const method = root.dataset.method ?? "adain";
    this.state = {
      method: method in METHODS ? method : "adain",
      style: root.dataset.style ?? "wave",
      alpha: 1,
      size: 512,
      photograph: null, // a Picture
      paintings: [], // Pictures, in the order in which they were chosen
    };
    this.wished = {
      photograph: root.dataset.photograph ?? "cat",
      paintings: (root.dataset.paintings ?? "swirl").split(" "),
    };
    this.pace = {}; // method -> ms per pixel, measured
    this.ready = this.build();
  }

  // -------------------------------------------------------------- what is on the page

  async build() {
    try {
      this.engine = await Engine.open();
    } catch (error) {
      this.root.append(note(error.message));
      return;
    }
    this.stage = new Stage(sampleAddress(`first-${this.state.method}`), () => this.paint(), this.compact);
    this.pad = new Pad(() => this.paint());
    this.camera = new Camera();
    this.controls = element("div", "nst-controls");
    const parts = this.compact
      ? [this.chooseStrength(), this.choosePhotograph(), this.choosePainting(), this.chooseStyle()]
      : [
          this.chooseMethod(),
          this.choosePhotograph(),
          this.choosePainting(),
          this.chooseStyle(),
          this.chooseStrength(),
          this.chooseSize(),
        ];
    this.controls.append(...parts);
    this.root.replaceChildren(element("div", "nst-inside", {}, [this.stage.element, this.controls]));
    this.root.classList.add("nst-live");
    this.takeDrops();
    this.update();
    this.offer();
  }

  chooseMethod() {
    const options = Object.entries(METHODS).map(([key, { name, about }]) => {
      const input = element("input", "", {
        type: "radio",
        name: `nst-method-${this.number}`,
        value: key,
        checked: key === this.state.method,
      });
      input.addEventListener("change", () => {
        this.state.method = key;
        if (this.state.paintings.length > METHODS[key].paintings) this.state.paintings = this.state.paintings.slice(-1);
        this.update();
        this.paint();
      });
      const label = element("label", "nst-pill", { title: about });
      label.append(input, element("span", "", { textContent: name }));
      return label;
    });
    this.about = element("p", "nst-hint");
    return field("Method", element("div", "nst-pills", {}, options), this.about);
  }

  get number() {
    return [...document.querySelectorAll(".nst-studio, .nst-widget")].indexOf(this.root);
  }

  choosePhotograph() {
    this.photographs = element("div", "nst-thumbs");
    for (const [name, label] of Object.entries(this.engine.manifest.photographs)) {
      this.photographs.append(
        thumb(sampleAddress(name, true), label, name, () => this.take("photograph", () => loadSample(name, label))),
      );
    }
    const tools = element("div", "nst-row");
    tools.append(this.chooseFile("photograph", "Your own photograph"));
    if (!this.compact) {
      this.cameraButton = button("Camera", () => this.toggleCamera());
      tools.append(this.cameraButton);
    }
    return field("Photograph", this.photographs, tools);
  }

  choosePainting() {
    this.paintings = element("div", "nst-thumbs");
    for (const [name, label] of Object.entries(this.engine.manifest.paintings)) {
      this.paintings.append(
        thumb(sampleAddress(name, true), label, name, () => this.take("painting", () => loadSample(name, label), name)),
      );
    }
    const tools = element("div", "nst-row");
    tools.append(this.chooseFile("painting", "Your own painting"));
    this.paintingHint = element("p", "nst-hint");
    this.paintingField = field("Painting", this.paintings, tools, this.paintingHint, this.pad.element);
    return this.paintingField;
  }

  chooseStyle() {
    this.styles = element("div", "nst-thumbs");
    for (const [name, label] of Object.entries(this.engine.manifest.styles)) {
      const address = sampleAddress(`johnson-${name}`, true);
      this.styles.append(
        thumb(address, label, name, () => {
          this.state.style = name;
          this.update();
          this.paint();
        }),
      );
    }
    this.styleField = field("Style", this.styles);
    return this.styleField;
  }

  chooseStrength() {
    const slider = element("input", "", { type: "range", min: 0, max: 100, value: 100 });
    const shown = element("output", "", { textContent: "100 %" });
    slider.addEventListener("input", () => {
      this.state.alpha = Number(slider.value) / 100;
      shown.textContent = `${slider.value} %`;
      this.paint();
    });
    const label = element("label", "nst-strength");
    label.append(element("span", "nst-legend", { textContent: "Strength" }), slider, shown);
    return label;
  }

  chooseSize() {
    this.size = element("select");
    this.size.addEventListener("change", () => {
      this.state.size = Number(this.size.value);
      this.paint();
    });
    const label = element("label", "nst-size");
    label.append(element("span", "nst-legend", { textContent: "Long side" }), this.size);
    return label;
  }

  chooseFile(kind, words) {
    const input = element("input", "nst-hidden", { type: "file", accept: "image/*", ariaLabel: words });
    input.addEventListener("change", () => {
      const [file] = input.files;
      if (file) this.take(kind, () => loadFile(file));
      input.value = "";
    });
    const label = element("label", "nst-button");
    label.append(input, element("span", "", { textContent: `${words} …` }));
    return label;
  }

  /** A picture that is dropped on the paintings is one; anywhere else, and pasted, it is a photograph. */
  takeDrops() {
    const over = (event, on) => {
      if (![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
      event.preventDefault();
      this.root.classList.toggle("nst-dropping", on);
    };
    this.root.addEventListener("dragover", (event) => over(event, true));
    this.root.addEventListener("dragleave", (event) => over(event, false));
    this.root.addEventListener("drop", (event) => {
      over(event, false);
      const file = fileOf(event.dataTransfer);
      const kind = this.paintingField.contains(event.target) ? "painting" : "photograph";
      if (file) this.take(kind, () => loadFile(file));
    });
    if (this.compact) return;
    document.addEventListener("paste", (event) => {
      const file = fileOf(event.clipboardData);
      if (file) this.take("photograph", () => loadFile(file));
    });
  }

  /** Show the state in the controls. */
  update() {
    const { method, style, photograph, paintings } = this.state;
    const { name, about, most } = METHODS[method];
    const mark = (list, chosen) => {
      for (const one of list.children) one.setAttribute("aria-pressed", String(chosen.includes(one.dataset.name)));
    };
    mark(this.photographs, [photograph?.key ?? this.wished.photograph]);
    const chosen = paintings.length ? paintings.map(({ key }) => key) : this.wished.paintings;
    mark(this.paintings, chosen);
    mark(this.styles, [style]);
    this.paintingField.hidden = method === "johnson";
    this.styleField.hidden = method !== "johnson";
    if (this.about) this.about.textContent = `${name}: ${about}.`;
    this.paintingHint.textContent =
      method !== "adain"
        ? ""
        : paintings.length > 1
          ? "Drag the point between the paintings."
          : "Choose up to four to blend them.";
    const images = new Map([...this.paintings.children].map((one) => [one.dataset.name, one.querySelector("img").src]));
    this.pad.show(paintings.map(({ key, name }) => ({ name, image: images.get(key) })));
    if (this.size) {
      const sizes = SIZES.filter((size) => size <= most);
      if (!sizes.includes(most)) sizes.push(most);
      const shown = Math.min(this.state.size, most); // what was chosen comes back with a quicker method
      this.size.replaceChildren(...sizes.map((size) => new Option(`${size} px`, size, false, size === shown)));
    }
  }

  /** Say what starting costs, until something is painted. */
  offer() {
    const { method, style } = this.state;
    this.stage.offer(`Start painting`, `loads ${(this.engine.bytes(method, style) / 1e6).toFixed(1)} MB, once`);
  }

  // -------------------------------------------------------------- what is chosen

  /** Take a picture as the photograph or as a painting. If it can't be read, everything stays as it was. */
  async take(kind, load, name) {
    const { state } = this;
    try {
      const most = METHODS[state.method].paintings;
      const at = state.paintings.findIndex(({ key }) => key === name);
      if (kind === "painting" && at >= 0 && most > 1) {
        if (state.paintings.length === 1) return;
        state.paintings.splice(at, 1);
      } else {
        const picture = await load();
        if (kind === "photograph") {
          state.photograph = picture;
          this.camera.stop();
        } else {
          state.paintings = [...state.paintings, picture].slice(-most);
        }
        if (picture.key.startsWith("own-")) this.addThumb(kind, picture);
      }
      this.stage.complain("");
      this.update();
      await this.paint();
    } catch (error) {
      this.stage.complain(error.message);
    }
  }

  /** Put a reader's own picture among the samples. */
  addThumb(kind, picture) {
    const list = kind === "photograph" ? this.photographs : this.paintings;
    const canvas = element("canvas", "", { width: 112, height: 112 });
    const { width, height } = picture.bitmap;
    const side = Math.min(width, height);
    canvas
      .getContext("2d")
      .drawImage(picture.bitmap, (width - side) / 2, (height - side) / 2, side, side, 0, 0, 112, 112);
    list.prepend(
      thumb(canvas.toDataURL("image/webp"), picture.name, picture.key, () =>
        this.take(kind, async () => picture, picture.key),
      ),
    );
  }

  async toggleCamera() {
    if (this.camera.running) {
      const frame = await this.camera.stop();
      this.cameraButton.textContent = "Camera";
      if (frame) await this.take("photograph", async () => frame);
      return;
    }
    try {
      await this.camera.start();
      this.cameraButton.textContent = "Take this picture";
      this.stage.complain("");
      await this.live();
    } catch (error) {
      this.cameraButton.textContent = "Camera";
      this.camera.stop();
      this.stage.complain(error.message);
    }
  }

  // -------------------------------------------------------------- painting

  /** The first time: load what is wished, with progress. */
  async prepare() {
    const { state, wished, engine } = this;
    const { method, style } = state;
    const needed = `${method}/${method === "johnson" ? style : ""}`;
    if (this.loaded !== needed || !engine.name) {
      await engine.load(method, style, (share, total) => this.stage.progress(share, total));
      this.stage.progress(1);
      this.loaded = needed;
    }
    const { photographs, paintings } = engine.manifest;
    state.photograph ??= await loadSample(wished.photograph, photographs[wished.photograph]);
    if (!state.paintings.length && method !== "johnson") {
      const names = wished.paintings.slice(0, METHODS[method].paintings);
      state.paintings = await Promise.all(names.map((name) => loadSample(name, paintings[name])));
    }
    this.update();
  }

  /** Paint what is chosen. Asked again while it paints, it does so once more when it is done. */
  async paint() {
    this.asked = (this.asked ?? 0) + 1;
    if (this.busy || this.camera.running) return;
    this.busy = true;
    try {
      let answered = 0;
      while (answered !== this.asked) {
        answered = this.asked;
        await this.prepare();
        const { photograph, method, size } = this.state;
        const full = Math.min(size, METHODS[method].most, photograph.long);
        const small = this.smallSize(full);
        if (small < full) {
          await this.paintAt(small);
          if (answered !== this.asked) continue;
          await new Promise((resolve) => setTimeout(resolve, STILL));
          if (answered !== this.asked) continue;
        }
        await this.paintAt(full);
      }
      this.stage.complain("");
    } catch (error) {
      this.stage.progress(1);
      this.stage.complain(error.message);
    } finally {
      this.busy = false;
    }
  }

  /** The long side that this machine paints in a moment. */
  smallSize(full, moment = MOMENT) {
    const pace = this.pace[this.state.method];
    if (!pace) return Math.min(FIRST, full);
    const { width, height } = this.state.photograph.bitmap;
    const ratio = Math.min(width, height) / Math.max(width, height);
    const side = Math.sqrt(moment / pace / ratio);
    return Math.min(full, Math.max(128, 32 * Math.round(side / 32)));
  }

  async paintAt(long, photograph = this.state.photograph) {
    const { method, style, alpha, paintings } = this.state;
    const [width, height] = photograph.fit(long);
    const picture = photograph.read([width, height]);
    const short = Math.min(width, height); // paintings are read at the size of the photograph, as in Python
    const shares = method === "johnson" ? [] : this.pad.shares;
    const read = shares.map((weight, index) => {
      const painting = paintings[index];
      const size = painting.fitShort(short);
      return { key: `${painting.key}-${size.join("x")}`, weight, picture: () => painting.read(size) };
    });
    const {
      picture: painted,
      ms,
      engine,
    } = await this.engine.paint({ method, style, picture, alpha, paintings: read });
    const pace = ms / (width * height);
    this.pace[method] = this.pace[method] ? 0.5 * this.pace[method] + 0.5 * pace : pace;
    this.engine.name = engine; // which has changed if the graphics card has failed
    this.stage.show(photograph, painted);
    this.stage.say(`${width} × ${height} px in ${Math.round(ms)} ms, ${METHODS[method].name} in ${this.engine.name}`);
    return ms;
  }

  /** Paint what the camera sees, for as long as it runs. */
  async live() {
    await this.prepare();
    let before = performance.now();
    let rate = 0;
    while (this.camera.running) {
      const frame = await this.camera.frame();
      const long = this.pace[this.state.method] ? this.smallSize(384, 120) : FIRST;
      await this.paintAt(long, frame);
      const now = performance.now();
      rate = 0.8 * rate + 0.2 * (1000 / (now - before));
      before = now;
      this.stage.say(
        `${rate.toFixed(1)} pictures a second, ${long} px, ${METHODS[this.state.method].name} in ${this.engine.name}`,
      );
      await this.prepare(); // another style may have been chosen
    }
  }
}
