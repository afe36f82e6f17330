"""Paint with an exported network in ONNX Runtime, without PyTorch and without nstlib.

    nst export adain -o adain.onnx
    python examples/export_onnx.py adain.onnx photo.jpg painting.jpg --alpha 0.8

    nst export johnson --style wave -o wave.onnx
    python examples/export_onnx.py wave.onnx photo.jpg

To paint it needs three packages: pip install onnxruntime numpy pillow
"""

import argparse

import numpy as np
import onnxruntime
from PIL import Image


def read(path: str) -> np.ndarray:
    """Return a picture `(1, 3, H, W)`, RGB, float32, in [0, 1]."""
    pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255  # (H, W, 3)
    return pixels.transpose(2, 0, 1)[None]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", help="a file that nst export has written")
    parser.add_argument("content", help="a photograph")
    parser.add_argument("style", nargs="?", help="a painting, unless the network has learned one style")
    parser.add_argument("--alpha", type=float, default=1.0, help="strength from 0 to 1")
    parser.add_argument("--out", default="painted.png")
    args = parser.parse_args()

    session = onnxruntime.InferenceSession(args.network, providers=["CPUExecutionProvider"])
    inputs = {"content": read(args.content), "alpha": np.array([args.alpha], dtype=np.float32)}
    if args.style:
        inputs["style"] = read(args.style)
    (painted,) = session.run(["painted"], inputs)
    Image.fromarray((painted[0].transpose(1, 2, 0) * 255).round().astype(np.uint8)).save(args.out)
    about = session.get_modelmeta().custom_metadata_map
    print(f"{args.out}: {about['method']}, {painted.shape[3]} x {painted.shape[2]} px")
