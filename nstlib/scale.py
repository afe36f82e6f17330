"""The size at which a painting is used beside a photograph: the rule of `style_scale`, for every method."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from torch import Tensor

LEAST_SIDE = 16
"""No side of a painting becomes shorter than this, in pixels: networks of five scales need so many."""


def scaled_size(
    style: Sequence[int],
    content: Sequence[int],
    style_scale: float,
    level: Sequence[int] | None = None,
    *,
    least: int = LEAST_SIDE,
) -> tuple[int, int]:
    """Return the size `(h, w)` at which a painting is used.

    Its short side becomes `style_scale` times that of the photograph. A painting is never enlarged: where it has fewer
    pixels than that, it keeps its own size.

    Args:
        style: `(h, w)` of the painting, in pixels.
        content: `(H, W)` of the photograph.
        style_scale: size of the painting relative to the photograph, above 0.
        level: `(H, W)` that the photograph has at one level of a pyramid; the painting shrinks along with it.
        least: no side of the painting becomes shorter than this, in pixels.

    Example:
        >>> scaled_size((600, 900), (256, 384), 1.0), scaled_size((600, 900), (256, 384), 2.0, level=(128, 192))
        ((256, 384), (256, 384))
        >>> scaled_size((600, 900), (1024, 1024), 1.0)
        (600, 900)
    """
    scale = min(style_scale, min(style) / min(content))
    factor = min(level or content) * scale / min(style)
    height, width = (max(least, round(side * factor)) for side in style)
    return height, width


def warn_of_small_styles(
    styles: Sequence[Tensor], content: Tensor, style_scale: float, warned: set[tuple[int, ...]]
) -> None:
    """Warn of every painting that would have to be enlarged for `style_scale`, and is used at its own size instead.

    Args:
        styles: the paintings, `(B, 3, h, w)`.
        content: the photograph, `(B, 3, H, W)`.
        style_scale: as for `scaled_size`.
        warned: the paintings that were named before, which are left out; those that are named now are added.
    """
    for number, style in enumerate(styles, 1):
        height, width = style.shape[2:]
        if (number, height, width) not in warned and min(height, width) < round(min(content.shape[2:]) * style_scale):
            warned.add((number, height, width))
            name = "the painting" if len(styles) == 1 else f"painting {number}"
            warnings.warn(
                f"{name} has only {width} x {height} px, too few for style_scale={style_scale:g} beside this photograph; "
                "it is used at its own size, which makes its strokes finer",
                stacklevel=3,
            )
