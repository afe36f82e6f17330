"""Makes _static/hero.jpg, the picture on the first page and in the README: python book/hero.py"""

from __future__ import annotations

from pathlib import Path

import nstlib as nst
import torch
import torch.nn.functional as F

PAIRS = {"astronaut": "swirl", "cat": "dots", "coffee": "mosaic", "rocket": "wave"}
SIDE, GAP, INSET = 320, 8, 90


def main() -> None:
    columns = []
    for photograph, painting in PAIRS.items():
        content = nst.samples.content(photograph, SIDE)
        left = (content.shape[3] - SIDE) // 2
        content = content[:, :, :SIDE, left : left + SIDE]
        style = nst.samples.style(painting, SIDE)
        painted = nst.stylize(content, style, progress=False).clone()
        small = F.interpolate(
            style[..., :SIDE, :SIDE], (INSET, INSET), mode="bicubic", antialias=True
        ).clamp(0, 1)
        painted[..., -INSET - 2 :, -INSET - 2 :] = 1  # a white edge
        painted[..., -INSET:, -INSET:] = small
        columns.append(torch.cat([content, torch.ones(1, 3, GAP, SIDE), painted], 2))
    gap = torch.ones(1, 3, 2 * SIDE + GAP, GAP)
    row = [part for column in columns for part in (gap, column)][1:]
    nst.save_image(
        torch.cat(row, 3), Path(__file__).parent / "_static" / "hero.jpg", quality=90
    )


if __name__ == "__main__":
    main()
