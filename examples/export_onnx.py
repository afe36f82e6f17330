"""Export a network of Johnson's to ONNX, and paint with it in ONNX Runtime, without PyTorch.

    python examples/export_onnx.py                                           a shipped style
    python examples/export_onnx.py --weights run/weights.safetensors         one that you have trained

It needs PyTorch 2.9 or newer and three more packages: pip install onnx onnxscript onnxruntime

The graph takes pictures `(1, 3, H, W)` of any size from 8 pixels on, RGB in [0, 1], and its results are to be clamped
to [0, 1]. The script paints pictures of an even and of an odd size, and says how far ONNX Runtime and PyTorch differ.
"""

import argparse
from pathlib import Path

import torch
from torch.export import Dim

import nstlib as nst

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", help="a file of trained weights; without one, the shipped style wave")
    parser.add_argument("--out", type=Path, default=Path("johnson.onnx"))
    args = parser.parse_args()
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  (torch.onnx asks for it)
    except ImportError as error:
        raise SystemExit("the export needs three packages: pip install onnx onnxscript onnxruntime") from error

    johnson = nst.Johnson.from_checkpoint(args.weights) if args.weights else nst.Johnson.pretrained("wave")
    torch.onnx.export(
        johnson.network.requires_grad_(False),
        (torch.rand(1, 3, 64, 96),),
        args.out,
        input_names=["content"],
        output_names=["painted"],
        dynamic_shapes=({2: Dim("height", min=8), 3: Dim("width", min=8)},),
        external_data=False,
        dynamo=True,
        verbose=False,
    )
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB")

    session = onnxruntime.InferenceSession(args.out, providers=["CPUExecutionProvider"])
    for height, width in ((120, 160), (97, 131)):
        content = nst.samples.content("cat", 160)[..., :height, :width]
        (painted,) = session.run(None, {"content": content.numpy()})
        difference = (torch.from_numpy(painted).clamp(0, 1) - johnson.stylize(content)).abs().max()
        print(f"{height} x {width}: the largest difference of a pixel is {difference:.1e}")
