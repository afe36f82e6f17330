"""How soon does Gatys reach the loss that plain L-BFGS from the content has after its last full-size step?

    python benchmarks/gatys.py                    256 px, 300 steps
    python benchmarks/gatys.py --size 512
    python benchmarks/gatys.py --quick            64 px, 10 steps: does it run?

Plain: one scale, plain pixels. Against it, at the same objective and network: smooth coordinates, and with a pyramid.
Each variant may take as many steps as plain L-BFGS; what counts is the time at which the loss is reached at full size.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

import nstlib as nst


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=int, default=256, help="short side in pixels")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--content", default="astronaut")
    parser.add_argument("--style", default="swirl")
    parser.add_argument("--quick", action="store_true", help="small and short")
    options = parser.parse_args()
    if options.quick:
        options.size, options.steps = 64, 10
    content = nst.samples.content(options.content, options.size)
    style = nst.samples.style(options.style, options.size)
    nst.Gatys(steps=3, pyramid=1)(content, style, progress=False)  # warm-up

    variants: dict[str, dict[str, Any]] = {
        "plain L-BFGS": {"pyramid": 1, "smoothness": 0.0},
        "smooth coordinates": {"pyramid": 1},
        "pyramid of 2": {"pyramid": 2},
        "pyramid of 3 (default)": {"pyramid": 3},
    }
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.size} px, {options.steps} steps")
    print("| variant | seconds in all | best loss | reaches plain's loss after, s | share of plain's time |")
    print("|---|---|---|---|---|")
    target, plain = 0.0, 0.0
    for name, variant in variants.items():
        begun = time.perf_counter()
        result = nst.Gatys(steps=options.steps, **variant)(content, style, progress=False)
        seconds = time.perf_counter() - begun
        full = [entry for entry in result.history if entry["size"] == options.size]
        if name == "plain L-BFGS":
            target, plain = min(entry["total"] for entry in full), seconds
        reached = next((entry["seconds"] for entry in full if entry["total"] <= target), None)
        when = "never | " if reached is None else f"{reached:.1f} | {reached / plain:.2f}"
        print(f"| {name} | {seconds:.1f} | {min(entry['total'] for entry in full):.4f} | {when} |", flush=True)


if __name__ == "__main__":
    main()
