"""`nst export`: write a trained network to an ONNX file."""

from __future__ import annotations

from nstlib.cli.parsing import Described, Options, Parser, Say, UsageError, check_taken, list_takers
from nstlib.export import CHECKED, OPSET, export
from nstlib.johnson import Johnson
from nstlib.registry import METHODS
from nstlib.utils.checks import check_option
from nstlib.utils.files import expand_home

SUMMARY = "write a network to an ONNX file, for browsers, phones and other languages"

HELP = """\
Write a trained network to an ONNX file. Examples:

  nst export adain -o adain.onnx
  nst export adain -o adain.onnx --split              adain-style.onnx reads a painting once, adain-painter.onnx paints
  nst export johnson --style wave -o wave.onnx --half
  nst export johnson --style run/weights.safetensors -o mine.onnx
  nst export sanet --weights run/weights.safetensors -o sanet.onnx --size 256

The inputs of the file are pictures (1, 3, H, W), RGB in [0, 1], of any size, as `content` and (except for johnson) `style`,
and the strength `alpha` from 0 to 1 as (1,). The output is `painted`, which has the size of `content`. Before the file is
written, ONNX Runtime paints with it, and the result is compared with PyTorch's. Needs: pip install "nstlib[export]"
"""

NETWORKS = tuple(name for name, method in METHODS.items() if method.objective is not None)
"""The methods that have a network."""

OPTIONS: dict[str, dict[str, Described]] = {
    "": {
        "out": (expand_home, "the file to write, OUT.onnx (needed)", None),
        "half": (bool, "weights in half precision, in half the space", "off"),
        "size": ([int], "a fixed size in pixels: one side, or height and width", "free"),
        "opset": (int, "version of ONNX's operations", OPSET),
        "no_check": (bool, "don't compare with PyTorch", "off"),
        "quiet": (bool, "print errors only", "off"),
    },
    "options of johnson": {
        "style": (str, f"a shipped style ({', '.join(Johnson.styles())}) or a weights file (needed)", None),
    },
    "options of adain, sanet, adaattn": {
        "split": (bool, "two files, so that a painting is read once", "off"),
        "weights": (expand_home, "a file of trained weights", "those in the package"),
        "encoder": (str, "what they were trained with", "vgg19_mini"),
    },
}
"""Group -> option -> its type, its help text, and its default."""


def parser() -> Parser:
    """Return the parser of this command."""
    command = Parser("export", "nst export METHOD -o OUT.onnx [options]", HELP)
    command.add_argument("method", metavar="METHOD", help=f"one of: {', '.join(NETWORKS)}")
    for title, options in OPTIONS.items():
        command.add(options, title)
    return command


def run(options: Options, say: Say) -> int:
    """Run the command, and return the exit status."""
    given, method = vars(options), options.method
    check_option("method", method, NETWORKS)
    if "out" not in given:
        raise UsageError("nowhere to write: name a file with -o")
    chosen = check_taken(method, given, list_takers(OPTIONS))
    if method == "johnson" and "style" not in given:
        raise UsageError(f"name a style with --style: {', '.join(Johnson.styles())}, or a weights file")
    size = given.get("size")
    split, styles = chosen.pop("split", False), [chosen.pop("style")] if "style" in chosen else []
    model = METHODS[method].open(styles, **chosen)
    exported = export(
        model,
        options.out,
        split=split,
        half="half" in given,
        size=size[0] if size and len(size) == 1 else size,
        opset=given.get("opset", OPSET),
        check="no_check" not in given,
    )
    for path in exported.files:
        say(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    if exported.difference is not None:
        sizes = "this size" if size else f"{len(CHECKED)} sizes"
        say(f"ONNX Runtime differs from PyTorch by at most {exported.difference:.1e} at {sizes}, of pixels from 0 to 1")
    return 0
