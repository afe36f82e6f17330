"""Networks in ONNX Runtime: how large are the files, how far are they from PyTorch, and how long does a picture take?

    python benchmarks/export.py            the shipped networks at 256 px, one thread; needs pip install "nstlib[export]"
    python benchmarks/export.py --quick    one of Johnson's networks at 64 px: does it run?

ONNX Runtime and PyTorch take turns. The files are split, so that a picture's time is the painter's; a painting is read once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from common import Rate, make_parser, print_head, print_row, print_setup, square, take_turns

import nstlib as nst

STRENGTHS = (1.0, 0.5)
"""Below full strength the decoder of AdaIN, SANet and AdaAttN runs twice."""


def open_file(path: Path, threads: int) -> Any:
    """Return a session of ONNX Runtime with as many threads as PyTorch."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def megabytes(files: list[Path]) -> str:
    return f"{sum(file.stat().st_size for file in files) / 1e6:.2f}"


def main() -> None:
    parser = make_parser(__doc__, rounds=7)
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    options = parser.parse_args()
    if options.quick:
        options.size, options.rounds = 64, 2
    print_setup(f"{options.size} px, median of {options.rounds} rounds", options.threads or 1)
    content = square(nst.samples.content("cat", options.size), options.size)
    style = square(nst.samples.style("swirl", options.size), options.size)
    models: dict[str, Any] = {"johnson": nst.Johnson.pretrained("wave")}
    if not options.quick:
        models |= {kind.method: kind.pretrained() for kind in (nst.AdaIN, nst.SANet, nst.AdaAttN)}

    runs: dict[str, Callable[[], object]] = {}
    sizes: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            path, split = Path(folder) / f"{name}.onnx", name != "johnson"
            fixed = options.size if options.quick else None  # free sizes take longer to export
            exported = nst.export(model, path, split=split, size=fixed)
            half = nst.export(model, path.with_stem(f"{name}-half"), split=split, half=True, size=fixed, check=False)
            sizes[name] = [megabytes(exported.files), megabytes(half.files), f"{exported.difference:.1e}"]
            *readers, painter = (open_file(file, torch.get_num_threads()) for file in exported.files)
            inputs: dict[str, Any] = {"content": content.numpy()}
            for reader in readers:
                names = [one.name for one in reader.get_outputs()]
                inputs |= dict(zip(names, reader.run(names, {"style": style.numpy()})))
            read = [model.encode_style(style)] if split else []
            for alpha in STRENGTHS:
                given = {**inputs, "alpha": torch.tensor([alpha]).numpy()}
                runs[f"{name} at {alpha} in ONNX Runtime"] = lambda painter=painter, given=given: painter.run(
                    None, given
                )  # type: ignore[misc]
                runs[f"{name} at {alpha} in PyTorch"] = lambda model=model, style=read or [None], alpha=alpha: (  # type: ignore[misc]
                    model.stylize(content, *style, alpha)
                )
        rate = Rate()
        seconds = take_turns(runs, options.rounds, rate)
    print(rate)
    columns = [(alpha, where) for alpha in STRENGTHS for where in ("ONNX Runtime", "PyTorch")]
    print_head(
        *("network", "MB", "MB, half", "largest difference"),
        *(f"ms, {where}, alpha {alpha}" for alpha, where in columns),
    )
    for name, cells in sizes.items():
        print_row(name, *cells, *(f"{1000 * seconds[f'{name} at {alpha} in {where}']:.0f}" for alpha, where in columns))


if __name__ == "__main__":
    main()
