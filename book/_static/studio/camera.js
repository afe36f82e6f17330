// The camera: frames as pictures. What it sees stays on the page.

import { Picture } from "./pictures.js";

const REFUSED = {
  NotAllowedError:
    "The camera was not allowed: the browser asks once, and remembers the answer in its settings for this site.",
  NotFoundError: "No camera was found on this machine.",
  NotReadableError: "The camera is in use by another program.",
};

export class Camera {
  video = null;
  running = false;

  async start() {
    if (!navigator.mediaDevices)
      throw new Error("The camera works on secure pages only: https, or a server on your own machine.");
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, facingMode: "user" } });
    } catch (error) {
      throw new Error(REFUSED[error.name] ?? `The camera could not be started: ${error.message}.`);
    }
    this.video = Object.assign(document.createElement("video"), { srcObject: stream, muted: true, playsInline: true });
    await this.video.play();
    this.running = true;
  }

  /** What it sees now. */
  async frame() {
    return new Picture(await createImageBitmap(this.video), "own-camera", "the camera's picture");
  }

  /** Stop, and return the last picture, if it was running. */
  async stop() {
    if (!this.running) return null;
    this.running = false;
    const last = await this.frame();
    for (const track of this.video.srcObject.getTracks()) track.stop();
    this.video = null;
    return last;
  }
}
