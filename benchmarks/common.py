"""What the scripts of this folder share: turns, medians, the machine's rate, memory of fresh processes, tables.

Times of two forms are comparable only if they were taken under the same conditions. So the forms take turns, a matrix
product before each round says what the machine can do at that moment, and what is reported are medians.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
import torchvision
from torch import Tensor

import nstlib as nst

MIB = 2**20
SIDE = 1024
"""Of the matrices whose product gives the machine's rate."""

VGG19 = "vgg19"
"""With random weights wherever it is measured here: its time doesn't depend on them, and nothing is downloaded."""

_T = TypeVar("_T")


def make_parser(doc: str | None, *, rounds: int) -> argparse.ArgumentParser:
    """Options that every script of this kind has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="turns that the medians are of")
    parser.add_argument("--threads", type=int, help="default: PyTorch's")
    parser.add_argument("--quick", action="store_true", help="small and short: does it run?")
    return parser


def print_setup(what: str, threads: int | None = None) -> None:
    """Versions, machine and what is measured."""
    if threads:
        torch.set_num_threads(threads)
    print(
        f"torch {torch.__version__}, torchvision {torchvision.__version__}, Python {platform.python_version()}, "
        f"{_processor()}, {torch.get_num_threads()} threads; {what}",
        flush=True,
    )


def _processor() -> str:
    """The processor's name, and whether it multiplies whole tiles of bfloat16."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return name + "".join(f" {flag}" for flag in ("avx512f", "amx_bf16") if flag in flags)


def print_head(*columns: str) -> None:
    """The head of a Markdown table."""
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns), flush=True)


def print_row(*cells: object) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def timed(function: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


class Rate:
    """The machine's matrix-product rate, measured again and again along a run."""

    def __init__(self) -> None:
        self._a, self._b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
        self._seconds: list[float] = []
        self._multiply()  # the first one warms up

    def measure(self) -> None:
        self._seconds.append(timed(self._multiply))

    def _multiply(self) -> None:
        self._a @ self._b

    @property
    def value(self) -> float:
        """The median, in billions of multiply-adds a second."""
        return SIDE**3 / statistics.median(self._seconds) / 1e9

    def __str__(self) -> str:
        low, high = (SIDE**3 / end(self._seconds) / 1e9 for end in (max, min))
        return (
            f"matrix product of {SIDE} x {SIDE}: {self.value:.0f} billion multiply-adds a second "
            f"({low:.0f} to {high:.0f} in {len(self._seconds)} rounds)"
        )


def take_turns(
    runs: Mapping[str, Callable[[], object]], rounds: int, rate: Rate, *, warm_up: int = 1
) -> dict[str, float]:
    """Median seconds of every run: all of them once a round, each round after a matrix product."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(warm_up + rounds):
        rate.measure()
        for name, run in runs.items():
            taken = timed(run)
            if number >= warm_up:
                times[name].append(taken)
    return {name: statistics.median(values) for name, values in times.items()}


def peak() -> int:
    """The most bytes of memory that this process has held at once. (ru_maxrss would begin with the parent's peak.)"""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def growth(run: Callable[[], object]) -> tuple[int, float]:
    """By how many bytes one run raises the memory of this process, which has to be a fresh one; and its seconds."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from now on
    before, seconds = peak(), timed(run)
    return peak() - before, seconds


def in_fresh_process(function: Callable[..., _T], *arguments: Any) -> _T:
    """`function(*arguments)` in a process that has imported the library and done nothing else."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nstlib", "torchvision"])
    with context.Pool(1, initializer=torch.set_num_threads, initargs=(torch.get_num_threads(),)) as pool:
        return pool.apply(function, arguments)


def square(picture: Tensor, size: int) -> Tensor:
    """The middle of a picture, `(1, 3, size, size)`."""
    small = nst.load_image(picture, size=size)
    top, left = ((side - size) // 2 for side in small.shape[2:])
    return small[..., top : top + size, left : left + size].contiguous()


def straight_line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Least squares y = slope x + start: slope, start, and R^2, the share of y's variance that the line explains."""
    slope, start = statistics.linear_regression(x, y)
    mean = statistics.fmean(y)
    rest, all_of_it = (
        sum((b - line) ** 2 for b, line in zip(y, lines)) for lines in ([slope * a + start for a in x], [mean] * len(y))
    )
    return slope, start, 1 - rest / all_of_it if all_of_it else 1.0
