"""How much do painted videos flicker, frame by frame and with the last result?

    python benchmarks/flicker.py                      two clips of 8 frames, 256 px, all five methods
    python benchmarks/flicker.py --sheets FOLDER      and the last frames as pictures, to look for ghosts and smears
    python benchmarks/flicker.py --quick              small and short: does it run?

The clips are made of one sample photograph. In both, every frame has a noise of its own, as of a camera; in the second the
camera moves to the right as well, by whole pixels. So it is known which pixels of two frames show the same.

    flicker             mean absolute difference of consecutive results, less that of the frames
    along the motion    the same of pixels that show the same place
    s a frame           without the first frame, which has nothing before it
"""

from __future__ import annotations

import argparse
import itertools
import time
import warnings
from pathlib import Path

import torch
from common import print_head, print_row, print_setup
from torch import Tensor

import nstlib as nst
from nstlib.registry import METHODS
from nstlib.steady import Before
from nstlib.stylize import make_stylizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=list(METHODS))
    parser.add_argument("--photo", default="astronaut", help="name of a sample photograph")
    parser.add_argument("--style", default="swirl", help="name of a sample painting")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--noise", type=float, default=0.01, help="standard deviation, of a range of 1")
    parser.add_argument("--pan", type=int, default=3, help="pixels a frame")
    parser.add_argument("--sheets", type=Path, help="folder for pictures")
    parser.add_argument("--threads", type=int, help="default: PyTorch's")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.size, options.frames, options.methods = 48, 3, ["johnson"]
    print_setup(f"{options.frames} frames of {options.size} px, noise of {options.noise}", options.threads)
    head = "flicker, alone", "flicker, steady", "along the motion, alone", "along the motion, steady"
    print_head("clip", "method", *head, "s a frame, alone", "s a frame, steady")
    for clip, step in (("still", 0), ("pan", options.pan)):
        frames = film(options.photo, options.size, options.frames, step, options.noise)
        for method in options.methods:
            painted = {steady: paint(frames, method, options.style, steady=steady) for steady in (False, True)}
            cells = [
                f"{differ(results, shift) - differ(frames, shift):.4f}"
                for shift in (0, step)
                for results, _ in painted.values()
            ]
            print_row(clip, method, *cells, *(f"{seconds:.2f}" for _, seconds in painted.values()))
            if options.sheets:
                rows = [torch.cat(results[-3:], 3) for results, _ in painted.values()]
                nst.save_image(torch.cat(rows, 2), options.sheets / f"{clip}_{method}.png")


def film(name: str, size: int, count: int, step: int, noise: float) -> list[Tensor]:
    """Return the frames of a clip, squares `(1, 3, size, size)`, whose camera moves so many pixels to the right a frame."""
    random = torch.Generator().manual_seed(0)
    photo = nst.samples.content(name, size + (count - 1) * step)
    frames = [photo[..., :size, k * step : k * step + size] for k in range(count)]
    return [(frame + noise * torch.randn(frame.shape, generator=random)).clamp(0, 1) for frame in frames]


def paint(frames: list[Tensor], method: str, style: str, *, steady: bool) -> tuple[list[Tensor], float]:
    """Return the results, and seconds a frame after the first."""
    painting = nst.samples.style(style) if METHODS[method].takes_pictures else style
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the painting is smaller than the frames
        painter = make_stylizer(painting, method=method, progress=False)
        results = [painter(frames[0])]
        begun = time.perf_counter()
        for last, frame in itertools.pairwise(frames):
            results.append(painter(frame, Before(last, results[-1]) if steady else None))
    return results, (time.perf_counter() - begun) / (len(frames) - 1)


def differ(pictures: list[Tensor], step: int) -> float:
    """Return the mean absolute difference of consecutive pictures, where they overlap after so many pixels."""
    width = pictures[0].shape[3]
    pairs = itertools.pairwise(pictures)
    return sum((a[..., step:] - b[..., : width - step]).abs().mean().item() for a, b in pairs) / (len(pictures) - 1)


if __name__ == "__main__":
    main()
