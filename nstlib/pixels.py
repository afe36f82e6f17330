"""Pixels as what is optimised: the canvas, one step of the optimiser, and refining what a network has painted.

Gatys takes hundreds of these steps from the photograph. `refine` takes a few from the picture that a network has painted:
the network has learnt to guess, in one pass, where such an optimisation would end (amortised optimisation), and steps on the
pixels of this one picture make up for what the guess lacks.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

MAX_PIXEL_STEP = 0.5
"""No step of L-BFGS changes a pixel by more than this: without a line search it would leap out of the picture at times."""


class Canvas(nn.Module):
    """The picture as the optimiser sees it: x = first + irfft(w rfft(z)), with w = (f / 0.1)^-preconditioner.

    A step in z is a step in x whose low frequencies count more. The loss is steeper along fine grain than along broad
    strokes, so L-BFGS needs fewer of these steps (benchmarks/gatys.py). With a preconditioner of 0, z are plain pixels.
    """

    def __init__(self, first: Tensor, preconditioner: float = 0.0) -> None:
        super().__init__()
        # L-BFGS flattens z and its gradient with .view, so both are contiguous whatever the encoder runs in
        self.first = first.detach().contiguous()
        self.z = nn.Parameter(torch.zeros_like(self.first))  # (1, 3, H, W)
        height, width = first.shape[2:]
        place: dict[str, Any] = {"device": first.device, "dtype": first.dtype}
        fy, fx = torch.fft.fftfreq(height, **place)[:, None], torch.fft.rfftfreq(width, **place)[None]
        f = (fy.square() + fx.square()).sqrt().clamp(min=1 / max(height, width))  # (H, W / 2 + 1), cycles per pixel
        self.w = (f / 0.1) ** -preconditioner if preconditioner else None

    def forward(self) -> Tensor:
        if self.w is None:
            return self.first + self.z
        return self.first + torch.fft.irfft2(self.w * torch.fft.rfft2(self.z), s=self.first.shape[2:])


def make_lbfgs(canvas: Canvas, *, learning_rate: float = 1.0, history_size: int = 20) -> torch.optim.LBFGS:
    """Return an L-BFGS of one evaluation a step, without tolerances: the caller counts steps and keeps the best."""
    return torch.optim.LBFGS(
        canvas.parameters(),
        lr=learning_rate,
        max_iter=1,
        history_size=history_size,
        tolerance_grad=0,
        tolerance_change=0,
    )


def take_step(
    optimizer: torch.optim.Optimizer,
    canvas: Canvas,
    evaluate: Callable[[Tensor], Mapping[str, Tensor]],
    *,
    reach: float = MAX_PIXEL_STEP,
) -> tuple[Tensor, dict[str, float]]:
    """Take one step: return the picture before it, and the terms of its loss.

    `evaluate` gives the terms of a picture, scalars, of which `total` is minimised. A step of L-BFGS that would change a
    number of the canvas by more than `reach` is shortened.
    """
    terms: dict[str, Tensor] = {}
    pictures: list[Tensor] = []

    def closure() -> float:
        optimizer.zero_grad(set_to_none=True)
        x = canvas()
        pictures.append(x.detach())
        terms.update(evaluate(x))
        # L-BFGS drops steps whose product with the change of gradient is below 1e-10, and the gradient of a mean over
        # pixels shrinks as the picture grows: so it is given the sum.
        total = terms["total"] * x[0].numel()
        total.backward()
        return total.item()

    before = canvas.z.detach().clone()
    optimizer.step(closure)
    if isinstance(optimizer, torch.optim.LBFGS):
        step = canvas.z.detach() - before
        longest = step.abs().max().item()
        if math.isfinite(longest) and longest > reach:
            # take a shorter step the same way, and let the optimiser know how long it was
            canvas.z.data.copy_(before + step * (reach / longest))
            optimizer.state[canvas.z]["t"] *= reach / longest
    return pictures[0], {name: term.item() for name, term in terms.items()}


def refine(picture: Tensor, loss: Callable[[Tensor], Tensor], *, steps: int) -> Tensor:
    """Take steps of L-BFGS on the pixels of a picture `(1, 3, H, W)`, and return the best found, not clamped.

    An interrupt (Ctrl-C, or the stop button of a notebook) returns the best so far. `loss` gives the scalar to be minimised,
    of such a picture.

    Example:
        >>> picture, loss = torch.rand(1, 3, 8, 8), lambda x: (x - 0.5).square().mean()
        >>> bool(loss(refine(picture, loss, steps=5)) < loss(picture))
        True
    """
    canvas = Canvas(picture, preconditioner=0.25)  # a start that is nearly right needs less of it than Gatys
    optimizer = make_lbfgs(canvas)
    best, least = picture, math.inf
    with torch.enable_grad():
        try:
            for step in range(steps + 1):  # the last only to judge where the steps have led
                # L-BFGS knows no curvature at first and would hardly move, but with so few steps none may be lost: let the
                # first one, down the gradient, change some pixel by 0.1
                optimizer.param_groups[0]["lr"] = 1e12 if step == 0 else 1.0
                before, losses = take_step(
                    optimizer, canvas, lambda x: {"total": loss(x)}, reach=0.1 if step == 0 else MAX_PIXEL_STEP
                )
                if not math.isfinite(losses["total"]):
                    warnings.warn(f"the loss was no longer finite at step {step}: kept the best before", stacklevel=2)
                    break
                if losses["total"] < least:
                    best, least = before, losses["total"]
        except KeyboardInterrupt:
            pass  # return the best result so far
    return best
