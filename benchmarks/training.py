"""How many steps a second does a training take, and how much of the time does it wait for pictures?

    python benchmarks/training.py                    every method, batch 4, crops of 256 px, 30 steps
    python benchmarks/training.py --workers 0 1 2    pictures loaded in the training's own process, in one more, in two
    python benchmarks/training.py --heaps            with the heap of Linux as it is, and with one that keeps its memory
    python benchmarks/training.py --quick            batch 2, 64 px, 3 steps: does it run?

This is `nst.train` itself, on JPEG files that the script makes of the package's photographs in a temporary folder; paintings
come from the same folder. A step lasts from one request for pictures to the next, and waits until they are there. Without
worker processes, which is what `nst.train` does on a CPU, all loading is waiting. The first --warm-up steps and the last,
which saves the weights, are left out.

By default, the C library of Linux returns large pieces of memory to the system and asks for them again in the next step, and
the system clears every page. With `--heaps`, each method is trained twice, in processes of its own: as it is, and with the
environment variables `KEPT`, with which the process keeps what it once had.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import torch
from common import Rate, make_parser, print_head, print_row, print_setup
from torch import nn
from torch.utils.data import DataLoader

import nstlib as nst
from nstlib.adaattn import AdaAttNObjective
from nstlib.adain import AdaINObjective
from nstlib.johnson import JohnsonObjective, TransformerNet
from nstlib.sanet import SANetObjective

OBJECTIVES: dict[str, Callable[[], nn.Module]] = {
    "johnson": lambda: JohnsonObjective(TransformerNet(), nst.samples.style("mosaic", 256)),
    "adain": lambda: AdaINObjective(nst.AdaIN(nst.Encoder())),
    "sanet": lambda: SANetObjective(nst.SANet(nst.Encoder())),
    "adaattn": lambda: AdaAttNObjective(nst.AdaAttN(nst.Encoder())),
}


KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**36)}
"""Environment variables that make the heap of Linux keep its memory."""


class Watched(DataLoader[Any]):
    """The training's loader, with a clock at its door."""

    visits: ClassVar[list[tuple[float, float]]] = []
    """When pictures were asked for, and when they were there."""

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        batches = iter(super().__iter__())
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            self.visits.append((asked, time.perf_counter()))
            yield batch


def make_pictures(folder: Path, count: int, size: int) -> None:
    """JPEG files of 4 : 3, no two of them alike."""
    random = torch.Generator().manual_seed(0)
    names = nst.samples.content_names()
    for number in range(count):
        picture = nst.load_image(nst.samples.content(names[number % len(names)], size), size=size)
        picture = (picture * (0.6 + 0.4 * torch.rand(1, 3, 1, 1, generator=random))).roll(number, 3)
        nst.save_image(picture[..., : size * 4 // 3], folder / f"{number:03}.jpg", quality=90)


def measure(method: str, folder: Path, options: Any, workers: int) -> tuple[float, float]:
    """Median seconds of a step, and the share of all of them that was spent waiting."""
    Watched.visits.clear()
    objective = OBJECTIVES[method]()
    style = None if isinstance(objective, JohnsonObjective) else folder
    with tempfile.TemporaryDirectory() as out, patch("nstlib.training.data.DataLoader", Watched):
        nst.train(
            objective,  # type: ignore[arg-type]
            folder,
            style,
            steps=options.warm_up + options.steps + 1,
            out_dir=out,
            batch_size=options.batch,
            size=options.size,
            workers=workers,
            precision=options.precision,
            progress=False,
        )
    visits = Watched.visits[options.warm_up :]
    steps = [after[0] - before[0] for before, after in itertools.pairwise(visits)]
    waiting = [there - asked for asked, there in visits[:-1]]
    return statistics.median(steps), sum(waiting) / sum(steps)


def compare_heaps(method: str, folder: Path, options: Any) -> tuple[float, float]:
    """Median seconds of a step with the heap as it is, and with one that keeps its memory."""
    seconds = []
    for variables in ({}, KEPT):
        with patch.dict(os.environ, variables):  # the C library reads them when a process starts
            pool = ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn"), torch.set_num_threads, (options.threads,)
            )
            with pool:
                seconds.append(pool.submit(measure, method, folder, options, 0).result()[0])
    return seconds[0], seconds[1]


def main() -> None:
    parser = make_parser(__doc__, rounds=1)
    parser.add_argument("--methods", nargs="+", choices=list(OBJECTIVES), default=list(OBJECTIVES))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=256, help="side of the crops in pixels")
    parser.add_argument("--files", type=int, default=480, help="short side of the files in pixels")
    parser.add_argument("--workers", type=int, nargs="+", default=[0])
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--heaps", action="store_true", help="compare two ways of the C library to keep memory")
    options = parser.parse_args()
    if options.quick:
        options.steps, options.warm_up, options.batch, options.size, options.files = 3, 1, 2, 64, 96
    files = f"files of {options.files * 4 // 3} x {options.files} px"
    options.threads = options.threads or torch.get_num_threads()
    print_setup(f"batch {options.batch}, crops of {options.size} px, {files}, {options.steps} steps", options.threads)
    rate = Rate()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_pictures(folder, 8 if options.quick else 48, options.files)
        if options.heaps:
            print_head("method", "steps/s", "steps/s, memory kept", "times faster")
            for method in options.methods:
                before, after = compare_heaps(method, folder, options)
                print_row(method, f"{1 / before:.3g}", f"{1 / after:.3g}", f"{before / after:.2f}")
            return
        print_head("method", "workers", "steps/s", "pictures/s", "waiting for pictures")
        for _ in range(options.rounds):
            for method in options.methods:
                for workers in options.workers:
                    rate.measure()
                    seconds, share = measure(method, folder, options, workers)
                    pace = (f"{1 / seconds:.3g}", f"{options.batch / seconds:.3g}")
                    print_row(method, workers, *pace, f"{share:.1%}")
    print(rate)


if __name__ == "__main__":
    main()
