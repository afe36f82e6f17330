// A point between two, three or four paintings: dragged, or moved by the arrow keys. How near it is to each is its share.

const CORNERS = {
  2: [
    [0, 0.5],
    [1, 0.5],
  ],
  3: [
    [0.5, 0],
    [0, 1],
    [1, 1],
  ],
  4: [
    [0, 0],
    [1, 0],
    [0, 1],
    [1, 1],
  ],
};

/** The shares of n paintings at a point of the unit square, with sum 1. */
export function sharesAt([x, y], n) {
  if (n === 1) return [1];
  if (n === 2) return [1 - x, x];
  if (n === 4) return [(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y];
  // barycentric: the top has 1 - y, and the rest is divided from left to right, within the triangle
  const left = Math.min(1, Math.max(0, 0.5 + (0.5 - x) / Math.max(y, 1e-6)));
  return [1 - y, y * left, y * (1 - left)];
}

export class Pad {
  /** @param onMove called with the shares */
  constructor(onMove) {
    this.onMove = onMove;
    this.point = [0.5, 0.5];
    this.element = document.createElement("div");
    this.element.className = "nst-pad";
    this.knob = document.createElement("div");
    this.knob.className = "nst-pad-knob";
    this.knob.tabIndex = 0;
    this.knob.setAttribute("role", "slider");
    this.knob.setAttribute("aria-label", "Blend of the paintings: the arrow keys move the point between them");
    this.knob.setAttribute("aria-valuemin", "0");
    this.knob.setAttribute("aria-valuemax", "100");
    this.corners = document.createElement("div");
    this.element.append(this.corners, this.knob);

    const follow = (event) => {
      const box = this.element.getBoundingClientRect();
      this.move([(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]);
    };
    this.element.addEventListener("pointerdown", (event) => {
      this.element.setPointerCapture(event.pointerId);
      this.knob.focus({ preventScroll: true });
      follow(event);
      event.preventDefault();
    });
    this.element.addEventListener("pointermove", (event) => {
      if (this.element.hasPointerCapture(event.pointerId)) follow(event);
    });
    this.knob.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.2 : 0.05;
      const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
      const by = moves[event.key];
      if (!by) return;
      event.preventDefault();
      this.move([this.point[0] + by[0], this.point[1] + by[1]]);
    });
  }

  /** Show these paintings, [{ name, image }], at the corners. */
  show(paintings) {
    this.paintings = paintings;
    this.element.hidden = paintings.length < 2;
    this.element.dataset.count = paintings.length;
    this.corners.replaceChildren(
      ...paintings.map(({ image }, index) => {
        const corner = document.createElement("img");
        const [x, y] = (CORNERS[paintings.length] ?? [[0, 0]])[index];
        Object.assign(corner, { src: image, alt: "", draggable: false });
        corner.style.left = `${100 * x}%`;
        corner.style.top = `${100 * y}%`;
        return corner;
      }),
    );
    if (paintings.length) this.place();
  }

  get shares() {
    return sharesAt(this.point, this.paintings.length);
  }

  move([x, y]) {
    const inside = (value) => Math.min(1, Math.max(0, value));
    this.point = [inside(x), this.paintings.length === 2 ? 0.5 : inside(y)];
    this.place();
    this.onMove(this.shares);
  }

  place() {
    let [x, y] = this.point;
    if (this.paintings.length === 3) x = 0.5 + Math.min(y / 2, Math.max(-y / 2, x - 0.5)); // inside of the triangle
    if (this.paintings.length === 2) y = 0.5;
    this.knob.style.left = `${100 * x}%`;
    this.knob.style.top = `${100 * y}%`;
    const words = this.shares.map((share, index) => `${Math.round(100 * share)}% ${this.paintings[index].name}`);
    this.knob.setAttribute("aria-valuenow", String(Math.round(100 * this.shares[0])));
    this.knob.setAttribute("aria-valuetext", words.join(", "));
  }
}
