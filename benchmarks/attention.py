"""How much memory and time does attention take when it never holds the HW x HW matrix?

    python benchmarks/attention.py            32 to 256 positions a side (256 to 2048 px at relu4_1), inference
    python benchmarks/attention.py --train    the same with gradients
    python benchmarks/attention.py --networks whole networks, photograph and painting of 1024 px
    python benchmarks/attention.py --quick    8 and 16 positions a side: does it run?

Three forms take turns: explicit, softmax(Q^T K) V in one piece; fused, PyTorch's scaled_dot_product_attention on
contiguous sequences, with zeros up to the larger of D and E, without which it holds the matrix; and ours,
`nstlib.attention.attend`. Memory is what the peak of a fresh process grows by. Where the matrix is larger than
--largest, the explicit form is not run, and its memory is computed: the scores and their softmax, and with gradients
twice that.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nstlib.attention import BUDGET, attend

MIB = 2**20


def explicit(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    weights = torch.softmax(query.flatten(2).mT @ key.flatten(2), 2)  # (B, N, M)
    return (value.flatten(2) @ weights.mT).unflatten(2, query.shape[2:])


def fused(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    width = max(query.shape[1], value.shape[1])
    # (B, 1, N, max(D, E)): a single head
    q, k, v = (F.pad(x.flatten(2).mT, (0, width - x.shape[1]))[:, None].contiguous() for x in (query, key, value))
    out = F.scaled_dot_product_attention(q, k, v, scale=1.0)[:, 0, :, : value.shape[1]]
    return out.mT.unflatten(2, query.shape[2:])


FORMS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"explicit": explicit, "fused": fused, "ours": attend}


def make_inputs(side: int, channels: tuple[int, int], train: bool) -> list[Tensor]:
    """Query, key and value, with scores of a few units."""
    random = torch.Generator().manual_seed(0)
    d, e = channels
    shapes = (1, d, side, side), (1, d, side, side), (1, e, side, side)
    inputs = [torch.randn(shape, generator=random) * scale for shape, scale in zip(shapes, (d**-0.25, d**-0.25, 1))]
    return [x.requires_grad_(train) for x in inputs]


def run(name: str, inputs: list[Tensor]) -> Tensor:
    out = FORMS[name](*inputs)
    if out.requires_grad:
        torch.autograd.grad(out.square().sum(), inputs)
    return out.detach()


def peak() -> int:
    """Bytes of memory that this process has ever held at once. (ru_maxrss would begin with the parent's peak.)"""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def growth(name: str, side: int, channels: tuple[int, int], train: bool, threads: int) -> int:
    """By how much one run raises the peak of this process, which has to be a fresh one."""
    torch.set_num_threads(threads)
    run(name, make_inputs(4, channels, train))  # what PyTorch takes at its first call
    inputs = make_inputs(side, channels, train)
    before = peak()
    run(name, inputs)
    return peak() - before


def network_growth(method: str, size: int, threads: int) -> tuple[int, float]:
    """By how much the peak of this fresh process rises when a network paints a picture, and the seconds it takes."""
    from nstlib.stylize import METHODS

    torch.set_num_threads(threads)
    model = METHODS[method].pretrained()
    random = torch.Generator().manual_seed(0)
    content, style = (torch.rand(1, 3, size, size, generator=random) for _ in range(2))
    model.stylize(content[..., :64, :64], style[..., :64, :64])  # what PyTorch takes at its first call
    before, begun = peak(), time.perf_counter()
    model.stylize(content, style)
    return peak() - before, time.perf_counter() - begun


def networks(size: int, threads: int) -> None:
    """Whole networks against the two explicit matrices of their largest level (computed)."""
    print(f"torch {torch.__version__}, {threads} threads, {size} px")
    print("| method | MiB | explicit matrices, MiB (computed) | times | s |\n|---|---|---|---|---|")
    for method, stride in (("adain", 0), ("sanet", 8), ("adaattn", 4)):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            grown, seconds = pool.apply(network_growth, (method, size, threads))
        explicit = 2 * 4 * (size // stride) ** 4 if stride else 0
        print(
            f"| {method} | {grown / MIB:.0f} | {explicit / MIB:.0f} | {explicit / max(grown, 1):.1f} | {seconds:.1f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64, 128, 256], help="positions a side")
    parser.add_argument("--channels", type=int, nargs=2, default=[240, 256], help="of key and value: AdaAttN's")
    parser.add_argument("--train", action="store_true", help="forward and backward")
    parser.add_argument("--networks", action="store_true", help="whole networks at 1024 px")
    parser.add_argument(
        "--largest", type=int, default=1024, help="MiB of the largest matrix that the explicit form may hold"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, help="default: PyTorch's")
    parser.add_argument("--quick", action="store_true", help="small and short")
    options = parser.parse_args()
    if options.quick:
        options.sides, options.channels, options.rounds = [8, 16], [8, 16], 1
    if options.threads:
        torch.set_num_threads(options.threads)
    channels, threads = tuple(options.channels), torch.get_num_threads()
    if options.networks:
        networks(128 if options.quick else 1024, threads)
        return
    fresh = multiprocessing.get_context("spawn")

    print(
        f"torch {torch.__version__}, {threads} threads, {channels[0]} channels of keys, {channels[1]} of values, "
        f"{'forward and backward' if options.train else 'inference'}, float32, at most {BUDGET / MIB:.0f} MiB of the "
        f"matrix at a time, median of {options.rounds} rounds"
    )
    print(
        "| positions | picture, px | matrix, MiB | explicit, MiB | fused, MiB | ours, MiB | times less than explicit "
        "| explicit, s | fused, s | ours, s | times faster than explicit | largest difference |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for side in options.sides:
        matrix = 4 * side**4
        names = [name for name in FORMS if name != "explicit" or matrix <= options.largest * MIB]
        memory = {"explicit": matrix * (4 if options.train else 2)}
        for name in names:
            with fresh.Pool(1) as pool:
                memory[name] = pool.apply(growth, (name, side, channels, options.train, threads))
        inputs = make_inputs(side, channels, options.train)
        times: dict[str, list[float]] = {name: [] for name in names}
        results: dict[str, Tensor] = {}
        for _ in range(options.rounds):
            for name in names:
                begun = time.perf_counter()
                results[name] = run(name, inputs)
                times[name].append(time.perf_counter() - begun)
        seconds = {name: statistics.median(values) for name, values in times.items()}
        difference = (results[names[0]] - results["ours"]).abs().max().item()
        if "explicit" in seconds:
            note, taken, faster = "", f"{seconds['explicit']:.3f}", f"{seconds['explicit'] / seconds['ours']:.2f}"
        else:
            note, taken, faster = " (computed)", "", ""
        print(
            f"| {side} x {side} | {8 * side} | {matrix / MIB:.3g} | {memory['explicit'] / MIB:.0f}{note} "
            f"| {memory['fused'] / MIB:.0f} | {memory['ours'] / MIB:.0f} "
            f"| {memory['explicit'] / max(memory['ours'], 1):.1f} "
            f"| {taken} | {seconds['fused']:.3f} | {seconds['ours']:.3f} | {faster} | {difference:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
