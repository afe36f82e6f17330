"""The size at which a painting is used beside a photograph: the rule of `style_scale`, for every method."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

LEAST_SIDE = 16
"""No side of a painting becomes shorter than this, in pixels: networks of five scales need so many."""


def scaled_size(
    style: Sequence[int],
    content: Sequence[int],
    style_scale: float,
    *,
    level: Sequence[int] | None = None,
    least: int = LEAST_SIDE,
) -> tuple[int, int]:
    """Return the size `(h, w)` at which a painting is used, in pixels.

    Its short side becomes `style_scale` times that of the photograph. A painting is never enlarged: where it has fewer
    pixels than that, it keeps its own size, and a warning says so.

    Args:
        style: `(h, w)` of the painting.
        content: `(H, W)` of the photograph.
        style_scale: size of the painting relative to the photograph, above 0.
        level: `(H, W)` that the photograph has at one level of a pyramid; the painting shrinks along with it.
        least: no side of the painting becomes shorter than this.

    Example:
        >>> scaled_size((600, 900), (256, 384), 1.0), scaled_size((600, 900), (256, 384), 2.0, level=(128, 192))
        ((256, 384), (256, 384))
    """
    scale = min(style_scale, min(style) / min(content))
    if min(style) < round(min(content) * style_scale):
        warnings.warn(
            f"a painting of {style[1]} x {style[0]} px is too small for style_scale={style_scale:g} beside a photograph of "
            f"{content[1]} x {content[0]} px: it is used at its own size, which makes its strokes finer",
            stacklevel=3,
        )
    factor = min(level or content) * scale / min(style)
    height, width = (max(least, round(side * factor)) for side in style)
    return height, width
