"""How much memory and time does attention take when it never holds the HW x HW matrix?

    python benchmarks/attention.py            32 to 256 positions a side (256 to 2048 px at relu4_1), inference
    python benchmarks/attention.py --train    the same with gradients
    python benchmarks/attention.py --quick    8 and 16 positions a side: does it run?

Three forms take turns: explicit, softmax(Q^T K) V in one piece; in rows, the form that `nstlib.attention.attend` takes for
gradients, a few rows of the matrix at a time; and ours, `attend` itself, which without gradients calls PyTorch's fused
kernel on a CPU. Memory is what the peak of a fresh process grows by. Where the matrix is larger than
--largest, the explicit form is not run, and its memory is computed: the scores and their softmax, and with gradients
twice that. Whole networks are the question of `feedforward.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from common import MIB, Rate, growth, in_fresh_process, make_parser, print_head, print_row, print_setup, take_turns
from torch import Tensor

from nstlib.attention import BUDGET, attend


def explicit(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = torch.softmax(query.flatten(2).mT @ key.flatten(2), 2)  # (B, N, M)
    return (value.flatten(2) @ weights.mT).unflatten(2, query.shape[2:])


def in_rows(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    with torch.enable_grad():
        return attend(query if query.requires_grad else query.detach().requires_grad_(), key, value)


FORMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"explicit": explicit, "rows": in_rows, "ours": attend}


def make_inputs(side: int, channels: tuple[int, int], train: bool) -> list[Tensor]:
    """Query, key and value, with scores of a few units."""
    random = torch.Generator().manual_seed(0)
    d, e = channels
    shapes = (1, d, side, side), (1, d, side, side), (1, e, side, side)
    inputs = [torch.randn(shape, generator=random) * scale for shape, scale in zip(shapes, (d**-0.25, d**-0.25, 1))]
    return [x.requires_grad_(train) for x in inputs]


def run(name: str, inputs: list[Tensor]) -> Tensor:
    out = FORMS[name](*inputs)
    if inputs[0].requires_grad:
        torch.autograd.grad(out.square().sum(), inputs)
    return out.detach()


def measure_memory(name: str, side: int, channels: tuple[int, int], train: bool) -> int:
    """In a fresh process: bytes by which one run raises its peak."""
    run(name, make_inputs(4, channels, train))  # what PyTorch takes at its first call
    inputs = make_inputs(side, channels, train)
    return growth(lambda: run(name, inputs))[0]


def main() -> None:
    parser = make_parser(__doc__, rounds=3)
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64, 128, 256], help="positions a side")
    parser.add_argument("--channels", type=int, nargs=2, default=[240, 256], help="of key and value: AdaAttN's")
    parser.add_argument("--train", action="store_true", help="forward and backward")
    parser.add_argument(
        "--largest", type=int, default=1024, help="MiB of the largest matrix that the explicit form may hold"
    )
    options = parser.parse_args()
    if options.quick:
        options.sides, options.channels, options.rounds = [8, 16], [8, 16], 1
    channels = tuple(options.channels)
    print_setup(
        f"{channels[0]} channels of keys, {channels[1]} of values, "
        f"{'forward and backward' if options.train else 'inference'}, float32, at most {BUDGET / MIB:.0f} MiB of the "
        f"matrix at a time, median of {options.rounds} rounds",
        options.threads,
    )
    print_head(
        *("positions", "picture, px", "matrix, MiB", "explicit, MiB", "in rows, MiB", "ours, MiB"),
        *("times less than explicit", "explicit, s", "in rows, s", "ours, s"),
        *("times faster than explicit", "largest difference"),
    )
    rate = Rate()
    for side in options.sides:
        matrix = 4 * side**4
        names = [name for name in FORMS if name != "explicit" or matrix <= options.largest * MIB]
        memory = {"explicit": matrix * (4 if options.train else 2)}
        for name in names:
            memory[name] = in_fresh_process(measure_memory, name, side, channels, options.train)
        inputs = make_inputs(side, channels, options.train)
        first = {name: run(name, inputs) for name in (names[0], "ours")}
        difference = (first[names[0]] - first["ours"]).abs().max().item()
        forms = {name: functools.partial(run, name, inputs) for name in names}
        seconds = take_turns(forms, options.rounds, rate, warm_up=0)
        known = "explicit" in seconds
        print_row(
            *(f"{side} x {side}", 8 * side, f"{matrix / MIB:.3g}"),
            f"{memory['explicit'] / MIB:.0f}{'' if known else ' (computed)'}",
            *(f"{memory[name] / MIB:.0f}" for name in ("rows", "ours")),
            f"{memory['explicit'] / max(memory['ours'], MIB):.1f}",
            f"{seconds['explicit']:.3f}" if known else "",
            *(f"{seconds[name]:.3f}" for name in ("rows", "ours")),
            f"{seconds['explicit'] / seconds['ours']:.2f}" if known else "",
            f"{difference:.1e}",
        )
    print(rate)


if __name__ == "__main__":
    main()
