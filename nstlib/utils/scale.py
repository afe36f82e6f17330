"""The size at which a painting is used with a photograph: the rule of `style_scale`, for all methods."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

LEAST_SIDE = 16
"""The shortest side of a scaled painting in pixels, which networks with five scales need."""


def scaled_size(
    style: Sequence[int],
    content: Sequence[int],
    style_scale: float,
    *,
    level: Sequence[int] | None = None,
    least: int = LEAST_SIDE,
) -> tuple[int, int]:
    """Return the size `(h, w)` at which a painting is used, in pixels.

    Its short side becomes `style_scale` times that of the photograph. A painting is never enlarged: if it has fewer pixels,
    it keeps its own size, with a warning.

    Args:
        style: `(h, w)` of the painting.
        content: `(H, W)` of the photograph.
        style_scale: size of the painting relative to the photograph, above 0.
        level: `(H, W)` of the photograph at one level of a pyramid. The painting is reduced by the same factor.
        least: the shortest side that the painting may have after scaling.

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
