"""Makes the pictures of the first page and of the README: python book/hero.py

Six photographs painted by `nst.Gatys`, with the painting in a corner: `_static/hero/*.webp`, and all together
`_static/hero.jpg`. Takes some ten minutes on one core.
"""

from __future__ import annotations

from pathlib import Path

import nstlib as nst
import torch
import torch.nn.functional as F

PAIRS = (
    ("rocket", "swirl"),
    ("cat", "wave"),
    ("coffee", "mosaic"),
    ("astronaut", "cubist"),
    ("cat", "ink"),
    ("coffee", "marble"),
)
SIDE, GAP, INSET = 448, 8, 104
STATIC = Path(__file__).parent / "_static"


def main() -> None:
    painted = [paint(*pair) for pair in PAIRS]
    for (photograph, painting), picture in zip(PAIRS, painted):
        path = STATIC / "hero" / f"{photograph}_{painting}.webp"
        path.parent.mkdir(exist_ok=True)
        nst.to_pil(picture).save(path, quality=84, method=6)
    gap = torch.ones(1, 3, SIDE, GAP)
    rows = [
        torch.cat([painted[n], gap, painted[n + 1], gap, painted[n + 2]], 3)
        for n in (0, 3)
    ]
    between = torch.ones(1, 3, GAP, rows[0].shape[3])
    nst.save_image(
        torch.cat([rows[0], between, rows[1]], 2), STATIC / "hero.jpg", quality=85
    )


def paint(photograph: str, painting: str) -> torch.Tensor:
    """Return the result, a square with the painting in its lower right corner."""
    content = nst.samples.content(photograph, SIDE)
    left = (content.shape[3] - SIDE) // 2
    content = content[:, :, :, left : left + SIDE]
    # marks a little larger than those of the painting at this size
    style = nst.samples.style(painting, 3 * SIDE // 2)
    result = nst.stylize(content, style, style_scale=1.4).clone()
    height, width = style.shape[2:]
    side = min(height, width)
    top, start = (height - side) // 2, (width - side) // 2
    square = style[..., top : top + side, start : start + side]
    small = F.interpolate(square, (INSET, INSET), mode="bicubic", antialias=True)
    result[..., -INSET - 3 :, -INSET - 3 :] = 1  # a white edge
    result[..., -INSET:, -INSET:] = small.clamp(0, 1)
    return result


if __name__ == "__main__":
    main()
