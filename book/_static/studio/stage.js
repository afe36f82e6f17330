// The stage: the painted picture, with the photograph behind it, and what can be done with them.

import { button, element } from "./parts.js";

const PRIVACY = "Your pictures never leave this page. The network comes to them, and paints on your own machine.";

export class Stage {
  /**
   * @param first address of the picture that is shown before anything is painted
   * @param onStart called when the reader wants to paint
   */
  constructor(first, onStart, compact) {
    this.poster = element("img", "nst-poster", { src: first, alt: "A cat, painted by this network" });
    this.before = element("canvas", "", { hidden: true });
    this.before.setAttribute("role", "img");
    this.before.setAttribute("aria-label", "The photograph");
    this.after = element("canvas", "nst-after", { hidden: true });
    this.after.setAttribute("role", "img");
    this.after.setAttribute("aria-label", "The painted picture");
    this.line = element("span", "nst-line", { hidden: true, ariaHidden: "true" });
    this.slider = element("input", "nst-cut", {
      type: "range",
      min: 0,
      max: 100,
      value: 0,
      hidden: true,
      ariaLabel: "How much of the photograph is shown, the rest being painted",
    });
    this.slider.addEventListener("input", () => this.cut());
    this.start = element("button", "nst-start", { type: "button" });
    this.start.addEventListener("click", onStart);
    this.bar = element("progress", "nst-progress", { max: 1, value: 0, hidden: true, ariaLabel: "Loading" });
    this.frame = element("div", "nst-frame", {}, [
      this.poster,
      this.before,
      this.after,
      this.line,
      this.slider,
      this.start,
      this.bar,
    ]);

    this.words = element("p", "nst-status");
    this.words.setAttribute("role", "status");
    this.error = element("p", "nst-error", { hidden: true });
    this.error.setAttribute("role", "alert");
    this.save = button("Save as PNG", () => this.download());
    this.full = button("Full screen", () => this.toggleFull());
    this.tools = element("div", "nst-row nst-tools", {}, compact ? [this.save] : [this.full, this.save]);
    for (const tool of this.tools.children) tool.disabled = true;
    this.element = element("div", "nst-stage", {}, [
      this.frame,
      element("div", "nst-under", {}, [this.words, this.tools]),
      this.error,
    ]);
    if (!compact) this.element.append(element("p", "nst-privacy", { textContent: PRIVACY }));
    this.cut();
  }

  /** Offer to start, and say what it costs. */
  offer(words, cost) {
    this.start.replaceChildren(
      element("strong", "", { textContent: words }),
      element("span", "", { textContent: cost }),
    );
  }

  /** How much is loaded, from 0 to 1, of so many bytes. */
  progress(share, total = 0) {
    this.start.hidden = true;
    this.bar.hidden = share >= 1;
    this.bar.value = share;
    if (share < 1) this.say(`Loading ${(total / 1e6).toFixed(1)} MB: ${Math.round(100 * share)} %`);
  }

  say(words) {
    this.words.textContent = words;
  }

  /** Tell what went wrong, in a sentence; nothing takes it away. */
  complain(words) {
    this.error.textContent = words;
    this.error.hidden = !words;
    if (words && this.before.hidden) this.start.hidden = false;
  }

  /** Show what was painted, over its photograph. */
  show(photograph, { pixels, width, height }) {
    this.poster.remove();
    this.start.hidden = true;
    for (const part of [this.before, this.after, this.line, this.slider]) part.hidden = false;
    for (const tool of this.tools.children) tool.disabled = false;
    for (const canvas of [this.before, this.after]) Object.assign(canvas, { width, height });
    const [best, across] = [photograph.bitmap.width, photograph.bitmap.height]; // not those of a small size, which are rounded
    this.frame.style.setProperty("--width", best);
    this.frame.style.setProperty("--height", across);
    this.before.getContext("2d").drawImage(photograph.bitmap, 0, 0, width, height);
    this.after.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
  }

  cut() {
    this.frame.style.setProperty("--cut", `${this.slider.value}%`);
    this.slider.setAttribute("aria-valuetext", `${this.slider.value}% photograph`);
  }

  download() {
    this.after.toBlob((blob) => {
      const link = element("a", "", { href: URL.createObjectURL(blob), download: "painted.png" });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }, "image/png");
  }

  async toggleFull() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.frame.requestFullscreen?.();
  }
}
