"""Optimising pixels: the canvas, one step of the optimiser, and refining a picture that a network has painted.

Gatys takes hundreds of these steps, starting from the photograph. `refine` takes only a few, starting from the picture that
a network has painted. The network has learnt to predict in one pass where such an optimisation would end (amortised
optimisation), and the steps on the pixels of this one picture correct the errors of its prediction.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

MAX_PIXEL_STEP = 0.5
"""No step of L-BFGS changes a value of `Canvas.z` by more than this. It has no line search, and may propose far more."""


class Canvas(nn.Module):
    """The picture as the optimiser sees it: x = first + irfft(w rfft(z)), with w = (f / 0.1)^-preconditioner.

    A step in z moves the low frequencies of x further than the high ones. The loss is steeper along fine grain than along
    broad strokes, so L-BFGS then needs fewer steps (benchmarks/gatys.py). With a preconditioner of 0, z holds plain pixels.
    """

    def __init__(self, first: Tensor, preconditioner: float = 0.0) -> None:
        super().__init__()
        # L-BFGS flattens z and its gradient with .view, so both must be contiguous, whatever format the encoder uses
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
    """Return an L-BFGS optimiser with one evaluation per step and no tolerances: the caller decides when to stop."""
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
    """Take one step. Return the picture from before the step and the terms of its loss.

    `evaluate` returns the terms of a picture as scalars, of which `total` is minimised. A step of L-BFGS that would change
    any value of the canvas by more than `reach` is shortened.
    """
    terms: dict[str, Tensor] = {}
    pictures: list[Tensor] = []

    def closure() -> float:
        optimizer.zero_grad(set_to_none=True)
        x = canvas()
        pictures.append(x.detach())
        terms.update(evaluate(x))
        # L-BFGS ignores steps whose product with the change in the gradient is below 1e-10. The gradient of a mean over
        # pixels shrinks as the picture grows, so it is given the sum instead.
        total = terms["total"] * x[0].numel()
        total.backward()
        return total.item()

    before = canvas.z.detach().clone()
    optimizer.step(closure)
    if isinstance(optimizer, torch.optim.LBFGS):
        step = canvas.z.detach() - before
        longest = step.abs().max().item()
        if math.isfinite(longest) and longest > reach:
            # take a shorter step in the same direction, and tell the optimiser how long it was
            canvas.z.data.copy_(before + step * (reach / longest))
            optimizer.state[canvas.z]["t"] *= reach / longest
    return pictures[0], {name: term.item() for name, term in terms.items()}


def refine(picture: Tensor, loss: Callable[[Tensor], Tensor], *, steps: int) -> Tensor:
    """Take steps of L-BFGS on the pixels of a picture `(1, 3, H, W)`, and return the best picture found, not clamped.

    `loss` maps such a picture to the scalar that is minimised. An interrupt (Ctrl-C, or the stop button of a notebook)
    returns the best picture so far.

    Example:
        >>> picture, loss = torch.rand(1, 3, 8, 8), lambda x: (x - 0.5).square().mean()
        >>> bool(loss(refine(picture, loss, steps=5)) < loss(picture))
        True
    """
    canvas = Canvas(picture, preconditioner=0.25)  # less than in Gatys, because the first picture is nearly right
    optimizer = make_lbfgs(canvas)
    best, least = picture, math.inf
    with torch.enable_grad():
        try:
            for step in range(steps + 1):  # the last one only evaluates the final picture
                # At first L-BFGS knows nothing about the curvature and would hardly move. With so few steps, none should be
                # wasted, so the first one goes down the gradient until some value of z has changed by 0.1
                optimizer.param_groups[0]["lr"] = 1e12 if step == 0 else 1.0
                before, losses = take_step(
                    optimizer, canvas, lambda x: {"total": loss(x)}, reach=0.1 if step == 0 else MAX_PIXEL_STEP
                )
                if not math.isfinite(losses["total"]):
                    warnings.warn(
                        f"the loss was not finite at step {step}: kept the best picture before it", stacklevel=2
                    )
                    break
                if losses["total"] < least:
                    best, least = before, losses["total"]
        except KeyboardInterrupt:
            pass  # return the best result so far
    return best
