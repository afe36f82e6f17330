"""How the Johnson networks of the package are trained in the end: with crops of many sizes.

    PYTHONPATH=tools python -m one_painting wave --init-from runs/wave/weights.safetensors --content photos/ --out runs/wave2

A network that was trained with crops of a single size can fail on single pictures of another size, above all on small ones
with a plain background: a map that hardly varies there is divided by its small standard deviation, and the picture gets
garish. So this calls `nst.train` with an objective that cuts a square of a random size out of every crop.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import nstlib as nst

LEAST, STEP = 128, 16
"""The smallest square in pixels, of which the term `edge` takes 16 on every side, and the step from size to size."""


class AnySize(nst.JohnsonObjective):
    """The objective of Johnson, for a square of a random size in every crop."""

    def forward(self, content: Tensor, style: Tensor | None = None) -> dict[str, Tensor]:
        # The crop decides where its square lies, so that a run that was stopped resumes exactly
        random = torch.Generator().manual_seed(int(1e6 * content.float().mean().item()))
        sides = range(LEAST, content.shape[3] + 1, STEP)
        side = sides[int(torch.randint(len(sides), (1,), generator=random))]
        top, left = torch.randint(content.shape[3] - side + 1, (2,), generator=random).tolist()
        return super().forward(content[..., top : top + side, left : left + side], style)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="one_painting", description="Train a Johnson network with crops of many sizes."
    )
    parser.add_argument("style", help="the name of a sample painting, or a file")
    parser.add_argument("--style-size", type=int, default=320, help="short side of the painting in pixels")
    parser.add_argument("--init-from", required=True, help="weights to begin with, a shipped style or a file")
    parser.add_argument("--content", type=Path, nargs="+", required=True, help="folders of photographs")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--size", type=int, default=288, help="side of the crops in pixels")
    parser.add_argument("--style-weight", type=float, default=8.0)
    parser.add_argument("--tv-weight", type=float, default=1.0)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    options = parser.parse_args()

    known = options.style in nst.samples.style_names()
    size = options.style_size
    painting = nst.samples.style(options.style, size) if known else nst.load_image(options.style, size)
    objective = AnySize(
        nst.Johnson.open([options.init_from]).network,
        painting,
        name=Path(options.style).stem,
        init_from=options.init_from,
        style_weight=options.style_weight,
        tv_weight=options.tv_weight,
        edge_weight=20,
    )
    nst.train(
        objective,
        options.content,
        out_dir=options.out,
        steps=options.steps,
        batch_size=1,
        size=options.size,
        crop_scale=(0.6, 1.0),
        learning_rate=options.learning_rate,
        schedule="linear_end",
        warmup=50,
        max_grad_norm=1.0,
        precision="bfloat16",
        ema=0.998,
        save_every=500,
    )
