"""How much of what the machine can do is done, and where does the rest of the time go?

    python benchmarks/machine.py            a step of Gatys on VGG19 and on vgg19_mini, Johnson's forward pass; 512 px
    python benchmarks/machine.py --quick    64 px, vgg19_mini, 2 rounds: does it run?

Multiply-adds are counted as they are called for, in convolutions and matrix products, forward and backward
(torch.utils.flop_counter), and compared with the rate of a large matrix product and with that of a 3x3 convolution of 128
channels, in the same rounds. The share of a matrix product's rate may pass 1: a convolution reads its numbers more often.
A profile of one more step says what the time is spent on; its shares are of that step, which the profiler slows down.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from common import VGG19, Rate, make_parser, print_head, print_row, print_setup, square, take_turns
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

import nstlib as nst
from nstlib.johnson import TransformerNet

KINDS: dict[str, tuple[str, ...]] = {
    "convolution": ("conv",),
    "pooling": ("pool",),
    "ReLU": ("clamp_min", "relu", "threshold"),
    "normalisation": ("var_mean", "batch_norm", "instance_norm", "addcmul", "rsqrt"),
    "matrix products (Gram, colour)": ("::bmm", "::mm", "::addmm", "::linear", "::matmul", "::baddbmm"),
    "Fourier transform": ("fft",),
    "padding": ("pad",),
    "copies and layout": ("copy", "clone", "contiguous", "::to", "cat", "stack", "fill", "zero", "shuffle", "empty"),
    "sums and elementwise (losses, gradients, L-BFGS)": (
        *("::add", "::sub", "::mul", "::div", "::sum", "::mean", "::dot", "::pow", "::neg", "::abs", "::max"),
        *("::lerp", "square", "::sqrt", "backward"),
    ),
}
"""What parts of an operation's name say, in this order."""

OUTSIDE = "outside of operations (Python, profiler)"


def gatys_steps(encoder: nst.Encoder, size: int) -> Iterator[object]:
    """A step each time it is asked, at full size, with L-BFGS and smooth coordinates: the library's defaults."""
    content = square(nst.samples.content("astronaut", size), size)
    style = square(nst.samples.style("swirl", size), size)
    return nst.Gatys(encoder, pyramid=1, steps=10**6).iterate(content, style, every=1)


def kind_of(operation: str) -> str:
    name = operation.lower()
    if name.startswith("optimizer"):
        return OUTSIDE
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), "other operations")


def split(run: Callable[[], object]) -> dict[str, float]:
    """Kind of operation -> its share of the time of one run."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        begun = time.perf_counter()
        run()
        wall = time.perf_counter() - begun
    shares: dict[str, float] = {}
    for event in found.key_averages():
        kind = kind_of(event.key)
        shares[kind] = shares.get(kind, 0.0) + event.self_cpu_time_total / 1e6 / wall
    shares[OUTSIDE] = shares.get(OUTSIDE, 0.0) + max(0.0, 1 - sum(shares.values()))
    return shares


def multiply_adds(run: Callable[[], object]) -> float:
    """Billions of them in one run."""
    counter = FlopCounterMode(display=False)
    with counter:
        run()
    return counter.get_total_flops() / 2 / 1e9


def main() -> None:
    parser = make_parser(__doc__, rounds=7)
    parser.add_argument("--size", type=int, default=512, help="side in pixels")
    options = parser.parse_args()
    if options.quick:
        options.size, options.rounds = 64, 2
    print_setup(f"{options.size} px, median of {options.rounds} rounds", options.threads)
    runs: dict[str, Callable[[], object]] = {}
    for name in ("vgg19_mini",) if options.quick else (VGG19, "vgg19_mini"):
        layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"]
        steps = gatys_steps(nst.Encoder(name, layers, weights="random" if name == VGG19 else None), options.size)
        for _ in range(2):  # the first prepares
            next(steps)
        runs[f"Gatys on {name}, a step"] = lambda steps=steps: next(steps)  # type: ignore[misc]
    johnson = nst.Johnson(TransformerNet(8 if options.quick else 32))
    content = square(nst.samples.content("cat", options.size), options.size)
    runs["Johnson, forward"] = lambda: johnson.stylize(content)

    x, weight = torch.rand(1, 128, 130, 130), torch.rand(128, 128, 3, 3)
    x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))
    rate = Rate()
    seconds = take_turns({**runs, "convolution": lambda: F.conv2d(x, weight)}, options.rounds, rate)
    convolution = 128 * 128 * 9 * 128**2 / seconds["convolution"] / 1e9
    print(rate)
    print(f"3x3 convolution of 128 channels, 128 px: {convolution:.0f} billion multiply-adds a second")
    rates = ("billion multiply-adds", "ms", "billions a second")
    print_head("run", *rates, "share of the matrix product's rate", "share of the convolution's")
    for name, run in runs.items():
        work = multiply_adds(run)
        pace = work / seconds[name]
        cells = (f"{work:.3g}", f"{1000 * seconds[name]:.0f}", f"{pace:.0f}")
        print_row(name, *cells, f"{pace / rate.value:.2f}", f"{pace / convolution:.2f}")

    tables = {name: split(run) for name, run in runs.items()}
    print()
    print_head("share of the time", *tables)
    for kind in (*KINDS, "other operations", OUTSIDE):
        print_row(kind, *(f"{table.get(kind, 0.0):.1%}" for table in tables.values()))


if __name__ == "__main__":
    main()
