"""How many steps of Gatys is one forward pass of a shipped network worth?

    python benchmarks/styles.py                                        the sample photographs, 256 px
    python benchmarks/styles.py --photos FOLDER --count 20             photographs of your own, the last of the folder
    python benchmarks/styles.py --quick                                one style, one photograph, 10 steps: does it run?

For every style and photograph, the objective that the network was trained by is minimised on the pixels, by L-BFGS (history
100, one evaluation a step) and by Adam (learning rate 0.02, as in `nst.Gatys`), from the photograph and from noise. The
table gives the mean losses after --steps, the median step at which a run passes below the network (or in how many of the
runs it does), and the time it takes to there over the network's.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import torch
from common import make_parser, print_head, print_row, print_setup, square, timed
from torch import Tensor

import nstlib as nst
from nstlib.johnson import Johnson, JohnsonObjective

RUNS = ("L-BFGS from the photograph", "L-BFGS from noise", "Adam from the photograph", "Adam from noise")


def main() -> None:
    parser = make_parser(__doc__, rounds=5)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--count", type=int, default=5)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--styles", nargs="*", default=Johnson.styles())
    options = parser.parse_args()
    if options.quick:
        options.styles, options.count, options.size, options.steps = options.styles[:1], 1, 64, 10
    pictures = [square(photo, options.size) for photo in photos(options.photos, options.count)]
    print_setup(f"{len(pictures)} photographs, {options.size} px", options.threads)
    print_head(
        *("style", "loss of the network", "Gatys", f"loss after {options.steps} steps", "passes the network at step"),
        "time",
    )
    for style in options.styles:
        model = Johnson.pretrained(style)
        objective = rebuild(model)
        rows = [compare(model, objective, picture, options.steps, options.rounds) for picture in pictures]
        target = statistics.mean(row[0] for row in rows)
        for number, name in enumerate(RUNS):
            runs = [row[1][number] for row in rows]
            passed = [(step, taken) for _, step, taken in runs if step]
            step = f"{statistics.median(step for step, _ in passed):.0f}" if len(passed) == len(runs) else "in none"
            step = f"in {len(passed)} of {len(runs)}" if 0 < len(passed) < len(runs) else step
            taken = f"{statistics.median(taken for _, taken in passed):.0f}x" if passed else ""
            loss = statistics.mean(loss for loss, _, _ in runs)
            print_row(style, f"{target:.3f}", name, f"{loss:.3f}", step, taken)


def photos(folder: Path | None, count: int) -> list[Tensor]:
    if folder is None:
        return [nst.samples.content(name, 512) for name in nst.samples.content_names()[:count]]
    return [nst.load_image(file, size=None) for file in sorted(folder.iterdir())[-count:]]


def rebuild(model: Johnson) -> JohnsonObjective:
    """The objective that the network was trained by, with the Gram matrices of the painting that its file holds."""
    about = model.metadata
    weights = {name: float(about[name]) for name in ("content_weight", "style_weight", "tv_weight")}
    layers = {name: about[name].split() for name in ("content_layers", "style_layers")}
    painting = torch.zeros(1, 3, 64, 64)
    objective = JohnsonObjective(model.network, painting, **weights, **layers)  # type: ignore[arg-type]
    for layer, gram in model.grams.items():
        objective.get_buffer(f"gram_{layer}").copy_(gram)
    return objective


def compare(
    model: Johnson, objective: JohnsonObjective, content: Tensor, steps: int, rounds: int
) -> tuple[float, list[tuple[float, int, float]]]:
    """The network's loss; and for every run its last loss, the step at which it is lower, and the ratio of times."""

    def loss(picture: Tensor) -> Tensor:
        return torch.stack(list(objective.terms(picture, content).values())).sum()

    seconds = min(timed(lambda: model.network.fast(content)) for _ in range(rounds))
    with torch.no_grad():
        target = loss(model(content)).item()
    noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(0))
    runs = []
    for name in RUNS:
        picture = (noise if "noise" in name else content).clone().requires_grad_()
        optimizer: torch.optim.Optimizer
        if "Adam" in name:
            optimizer = torch.optim.Adam([picture], lr=0.02, betas=(0.9, 0.99))
        else:
            optimizer = torch.optim.LBFGS([picture], max_iter=1, history_size=100, tolerance_grad=0, tolerance_change=0)

        def closure(picture: Tensor = picture, optimizer: torch.optim.Optimizer = optimizer) -> float:
            optimizer.zero_grad()
            value = loss(picture)
            value.backward()
            return value.item()

        begun, passed, took = time.perf_counter(), 0, 0.0
        for step in range(1, steps + 1):
            value = optimizer.step(closure)  # the loss before the step
            if value is not None and value <= target and step > 1 and not passed:
                passed, took = step - 1, (time.perf_counter() - begun) / seconds
        with torch.no_grad():
            runs.append((loss(picture).item(), passed, took))
    return target, runs


if __name__ == "__main__":
    main()
