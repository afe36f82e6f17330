"""How soon does Gatys reach the loss that the textbook's loop has after 300 steps, and how fast is a step?

    python benchmarks/gatys.py                        VGG19 with random weights, 256 px, 300 steps
    python benchmarks/gatys.py --size 512
    python benchmarks/gatys.py --encoder vgg19_mini   the network in the package
    python benchmarks/gatys.py --pystiche FOLDER      with pystiche beside them: see below
    python benchmarks/gatys.py --curves curves.csv    every loss and when it was reached
    python benchmarks/gatys.py --quick                64 px, 10 steps: does it run?

The textbook is written here as tutorials write it: `vgg19().features` with a module after each layer that computes a loss,
the photograph as start, torch.optim.LBFGS as it comes, full size throughout. All forms have the same weights, pictures and
objective: relative content loss at relu4_2, relative Gram losses at relu1_1 to relu5_1, no total variation. Its value is
multiplied by the number of pixels, as tutorials choose weights of a million: L-BFGS drops steps along which gradients
change by less than 1e-10. A step is one evaluation of loss and gradient. The forms take turns of a few steps, each on a
clock of its own that includes its preparations; a loss counts once it is reached at full size and in full precision. The
last form is planned for five sixths of the steps.

pystiche 1.0.1 imports names that torchvision has dropped since. They are put back here:

    pip install --target FOLDER --no-deps pystiche
"""

from __future__ import annotations

import csv
import math
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from common import VGG19, Rate, make_parser, print_head, print_row, print_setup, square
from torch import Tensor, nn
from torch.optim import LBFGS

import nstlib as nst

CONTENT, STYLE = "relu4_2", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_WEIGHT = 20.0
TEXTBOOK, EQUAL = "textbook", "nstlib, plain L-BFGS"

Note = Callable[[float], None]
Form = Callable[["Problem", Note], Iterator[None]]


@dataclass
class Problem:
    """What all forms are given."""

    encoder: nst.Encoder
    content: Tensor  # (1, 3, S, S)
    style: Tensor  # (1, 3, S, S)
    steps: int

    @property
    def scale(self) -> int:
        """What the objective is multiplied by where L-BFGS sees it."""
        return self.content[0].numel()


@dataclass
class Run:
    """A form on its way: every loss at full size, and the seconds of its own clock at which it was known."""

    iterator: Iterator[None] = field(default_factory=lambda: iter(()))
    curve: list[tuple[float, float]] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)
    spent: float = 0.0
    resumed: float = 0.0
    done: bool = False

    def note(self, loss: float) -> None:
        self.curve.append((self.spent + time.perf_counter() - self.resumed, loss))

    def take_turn(self, steps: int) -> None:
        """Go on for that many steps or a few more, as many as the form takes at once."""
        self.resumed, before, end = time.perf_counter(), len(self.curve), len(self.curve) + steps
        while len(self.curve) < end and not self.done:
            self.done = next(self.iterator, self) is self
        taken = time.perf_counter() - self.resumed
        self.spent += taken
        if len(self.curve) > before:
            self.turns.append(taken / (len(self.curve) - before))

    def reaches(self, target: float) -> tuple[int, float] | None:
        """The first step at which the loss is no higher, and the seconds until then."""
        return next(((step, at) for step, (at, loss) in enumerate(self.curve, 1) if loss <= target), None)

    def best(self, steps: int | None = None) -> float:
        return min((loss for _, loss in self.curve[:steps]), default=float("nan"))


# ------------------------------------------------------------------------------------------------ the textbook's form


class ContentLoss(nn.Module):
    def __init__(self, target: Tensor) -> None:
        super().__init__()
        self.target = target.detach()
        self.weight = 1 / self.target.square().mean()

    def forward(self, x: Tensor) -> Tensor:
        self.loss = self.weight * F.mse_loss(x, self.target)
        return x


class StyleLoss(nn.Module):
    def __init__(self, target: Tensor) -> None:
        super().__init__()
        self.target = gram(target).detach()
        self.weight = STYLE_WEIGHT / len(STYLE) / self.target.square().mean()

    def forward(self, x: Tensor) -> Tensor:
        self.loss = self.weight * F.mse_loss(gram(x), self.target)
        return x


def gram(x: Tensor) -> Tensor:
    _, c, h, w = x.shape
    features = x.view(c, h * w)
    return features @ features.t() / (h * w)


def textbook_network(encoder: nst.Encoder, content: Tensor, style: Tensor) -> tuple[nn.Sequential, list[Any]]:
    """The encoder as a chain of PyTorch's modules in the layout they come in, with the losses in between."""
    color = nn.Conv2d(3, 3, 1)
    color.weight.data, color.bias = encoder.color_weight.clone(), nn.Parameter(encoder.color_bias.clone())
    model, losses = nn.Sequential(color), []
    model.requires_grad_(False)
    for name in encoder.layer_sequence:
        layer: nn.Module
        if name.startswith("conv"):
            ours = encoder.convs[name]
            assert isinstance(ours, nn.Conv2d)
            layer = nn.Conv2d(ours.in_channels, ours.out_channels, 3, padding=1, padding_mode=ours.padding_mode)
            layer.load_state_dict({key: value.contiguous() for key, value in ours.state_dict().items()})
        else:
            layer = nn.ReLU() if name.startswith("relu") else nn.MaxPool2d(2, 2)
        model.append(layer.requires_grad_(False))
        for kind, wanted, picture in ((ContentLoss, (CONTENT,), content), (StyleLoss, STYLE, style)):
            if name in wanted:
                with torch.no_grad():
                    loss = kind(model(picture))
                model.append(loss)
                losses.append(loss)
    return model, losses


def textbook(problem: Problem, note: Note) -> Iterator[None]:
    model, losses = textbook_network(problem.encoder, problem.content, problem.style)
    picture = problem.content.clone().requires_grad_()
    optimizer = LBFGS([picture])
    step = 0

    def closure() -> Tensor:
        nonlocal step
        optimizer.zero_grad()
        model(picture)
        loss = problem.scale * torch.stack([one.loss for one in losses]).sum()
        loss.backward()
        step += 1
        note(loss.item() / problem.scale)
        return loss

    while step < problem.steps:
        optimizer.step(closure)  # up to 20 evaluations
        yield


# ------------------------------------------------------------------------------------------------ the others


def ours(**options: Any) -> Form:
    """nst.Gatys with these options."""

    def form(problem: Problem, note: Note) -> Iterator[None]:
        steps = min(options.get("steps", problem.steps), problem.steps)
        settings = {"style_weight": STYLE_WEIGHT, "tv_weight": 0.0, **options, "steps": steps}
        gatys = nst.Gatys(problem.encoder, content_layers=[CONTENT], style_layers=STYLE, **settings)
        for result in gatys.iterate(problem.content, problem.style, every=1):
            entry = result.history[-1]
            # a step counts at full size, its loss in full precision
            if entry["size"] == problem.content.shape[2]:
                note(entry["total"] if entry["bits"] == 32 else math.inf)
            yield

    return form


def import_pystiche(folder: str) -> Any:
    """pystiche from that folder, with what it misses in today's torchvision: addresses of weights."""
    from torchvision.models import alexnet, vgg  # noqa: F401
    from torchvision.models.vgg import cfgs

    names = {"A": 11, "B": 13, "D": 16, "E": 19}
    archs = [f"vgg{names[key]}{norm}" for key in cfgs for norm in ("", "_bn")]
    sys.modules["torchvision.models.vgg"].model_urls = dict.fromkeys(archs, "")  # type: ignore[attr-defined]
    sys.modules["torchvision.models.alexnet"].model_urls = {"alexnet": ""}  # type: ignore[attr-defined]
    os.environ.setdefault("PYSTICHE_HOME", tempfile.mkdtemp())
    sys.path.append(folder)
    import pystiche  # type: ignore[import-not-found]

    return pystiche


def theirs(pystiche: Any) -> Form:
    """pystiche's encoder, losses and optimiser, in the loop of `pystiche.optim.image_optimization`."""

    def form(problem: Problem, note: Note) -> Iterator[None]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision's, of the way it is called
            encoder = pystiche.enc.vgg19_multi_layer_encoder(pretrained=False)
        weights = problem.encoder.state_dict()
        for name in problem.encoder.convs:
            conv = getattr(encoder, name)
            conv.weight.data = weights[f"convs.{name}.weight"].contiguous()
            conv.bias.data = weights[f"convs.{name}.bias"].contiguous()
        encoder.requires_grad_(False)
        features = problem.encoder(problem.content)[CONTENT]
        content_loss = pystiche.loss.FeatureReconstructionLoss(
            encoder.extract_encoder(CONTENT), score_weight=problem.scale / float(features.square().mean())
        )
        painting = problem.encoder(problem.style)

        def style_loss(part: Any, weight: float) -> Any:
            size = nst.gram_matrix(painting[part.layer]).square().mean()
            return pystiche.loss.GramLoss(part, score_weight=weight * problem.scale * STYLE_WEIGHT / float(size))

        style_losses = pystiche.loss.MultiLayerEncodingLoss(encoder, STYLE, style_loss, layer_weights="mean")
        criterion = pystiche.loss.PerceptualLoss(content_loss, style_losses)
        criterion.set_content_image(problem.content)
        criterion.set_style_image(problem.style)
        picture = problem.content.clone()
        optimizer = pystiche.optim.default_image_optimizer(picture)

        def closure() -> float:
            optimizer.zero_grad()
            loss = criterion(picture)
            loss.backward()
            note(float(loss) / problem.scale)
            return float(loss)

        for _ in range(problem.steps):
            optimizer.step(closure)
            yield

    return form


def main() -> None:
    parser = make_parser(__doc__, rounds=6)
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--encoder", choices=[VGG19, "vgg19_mini"], default=VGG19)
    parser.add_argument("--content", default="astronaut")
    parser.add_argument("--style", default="swirl")
    parser.add_argument("--turn", type=int, default=10, help="steps that a form takes before the next one goes on")
    parser.add_argument("--pystiche", metavar="FOLDER")
    parser.add_argument("--curves", type=Path, help="file to write: form, step, seconds, loss")
    options = parser.parse_args()
    if options.quick:
        options.size, options.steps, options.turn, options.rounds = 64, 10, 5, 2
        options.encoder = "vgg19_mini"
    print_setup(f"Gatys, {options.encoder}, {options.size} px, {options.steps} steps", options.threads)
    weights = "random" if options.encoder == VGG19 else None
    encoder = nst.Encoder(options.encoder, [*STYLE, CONTENT], weights=weights)
    content = square(nst.samples.content(options.content, options.size), options.size)
    style = square(nst.samples.style(options.style, options.size), options.size)
    problem = Problem(encoder, content, style, options.steps)

    forms: dict[str, Form] = {
        TEXTBOOK: textbook,
        # only for its speed: as many steps as it takes to compare
        EQUAL: ours(pyramid=1, preconditioner=0.0, history_size=100, steps=options.turn * options.rounds),
        "nstlib, one scale": ours(pyramid=1),
        "nstlib, defaults": ours(),
        "nstlib, one scale, bfloat16": ours(pyramid=1, precision="bfloat16"),
        # as few steps as reach the loss
        "nstlib, pyramid [1, 4], bfloat16": ours(pyramid=[1, 4], precision="bfloat16", steps=options.steps * 5 // 6),
    }
    if options.pystiche and options.encoder == VGG19:
        pystiche = import_pystiche(options.pystiche)
        forms[f"pystiche {pystiche.__version__}"] = theirs(pystiche)
    warm_up = Problem(encoder, content, style, 2)
    runs = {}
    for name, form in forms.items():
        for _ in form(warm_up, lambda loss: None):
            pass
        run = runs[name] = Run()
        run.iterator = form(problem, run.note)

    rate = Rate()
    while not all(run.done for run in runs.values()):
        rate.measure()
        for run in runs.values():
            if not run.done:
                run.take_turn(options.turn)
        if runs[TEXTBOOK].done:
            target = runs[TEXTBOOK].best(options.steps)
            for run in runs.values():
                run.done = run.done or run.reaches(target) is not None
    report(runs, options.steps, options.turn, options.rounds, rate)
    if options.curves:
        with options.curves.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["form", "step at full size", "seconds", "loss"])
            for name, run in runs.items():
                writer.writerows([name, step, *point] for step, point in enumerate(run.curve, 1))


def report(runs: dict[str, Run], steps: int, turn: int, rounds: int, rate: Rate) -> None:
    plain = runs[TEXTBOOK]
    marks = sorted({max(1, steps // 6), max(1, steps // 3), steps})
    targets = {mark: plain.best(mark) for mark in marks}
    print(rate)
    losses = ", ".join(f"{target:.4f} after {mark}" for mark, target in targets.items())
    print(f"best losses of the textbook: {losses} steps; ms a step: median over the first {rounds} turns at full size")
    ends = [text for mark in marks for text in (f"loss of step {mark} at step", "s", "times sooner")]
    print_head("form", "ms a step", "times faster", "best loss", *ends)

    def pace(run: Run) -> float:
        """Seconds a step at full size; the first turn prepares."""
        return statistics.median(run.turns[1:rounds] or run.turns)

    for name, run in runs.items():
        cells: list[str] = []
        for target in targets.values():
            found, wanted = run.reaches(target), plain.reaches(target)
            assert wanted is not None
            cells += ["never", "", ""] if found is None else [str(found[0]), f"{found[1]:.1f}"]
            cells += [] if found is None else [f"{wanted[1] / found[1]:.2f}"]
        print_row(name, f"{1000 * pace(run):.0f}", f"{pace(plain) / pace(run):.2f}", f"{run.best():.4f}", *cells)


if __name__ == "__main__":
    main()
