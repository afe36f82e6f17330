"""Transparent pictures, whose transparent parts are neither painted nor included in any statistic.

A picture with opacity is `(1, 4, H, W)`: the colours, and in the last channel the opacity of every pixel, in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def split_opacity(picture: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the colours `(B, 3, H, W)` of a picture, and its opacity `(1, 1, H, W)` if it has one.

    Colours of transparent pixels are replaced by those around them, so that convolutions can't carry them into the visible
    parts.

    Example:
        >>> half = torch.cat([torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)], 1)
        >>> half[:, 3, :, 4:] = 0
        >>> colors, opacity = split_opacity(half)
        >>> torch.equal(colors[..., :4], half[:, :3, :, :4]), tuple(opacity.shape)
        (True, (1, 1, 8, 8))
    """
    if picture.shape[1] == 3:
        return picture, None
    colors, opacity = picture[:, :3], picture[:, 3:]
    premultiplied, seen = [colors * opacity], [opacity]
    while min(seen[-1].shape[2:]) > 1 and seen[-1].min() == 0:  # until every pixel covers an opaque one
        premultiplied.append(F.avg_pool2d(premultiplied[-1], 2, ceil_mode=True))
        seen.append(F.avg_pool2d(seen[-1], 2, ceil_mode=True))
    filled = premultiplied[-1] / seen[-1].clamp(min=1e-6)
    for color, share in zip(premultiplied[-2::-1], seen[-2::-1]):
        filled = color + (1 - share) * F.interpolate(filled, share.shape[2:], mode="nearest")
    return torch.where(opacity == 1, colors, filled.clamp(0, 1)), opacity


def drop_full_opacity(picture: Tensor) -> Tensor:
    """Return a picture without its opacity if it is opaque everywhere, within the precision of 8 bits."""
    opaque = picture.shape[1] == 4 and bool(picture[:, 3].min() > 1 - 0.5 / 255)
    return picture[:, :3].contiguous() if opaque else picture


def lay_on_white(picture: Tensor) -> Tensor:
    """Return a picture `(B, 3, H, W)`, with its transparent parts laid on white."""
    if picture.shape[1] == 3:
        return picture
    colors, opacity = picture[:, :3], picture[:, 3:]
    return opacity * colors + (1 - opacity)


def opacity_at(opacity: Tensor | None, maps: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """Return the opacity of every position of every map, `(1, 1, h, w)`, or None if the picture has none."""
    if opacity is None:
        return dict.fromkeys(maps)
    return {name: F.adaptive_avg_pool2d(opacity, (one.shape[2], one.shape[3])).to(one) for name, one in maps.items()}


def select_opaque(maps: Mapping[str, Tensor], opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    """Return the opaque positions of every map that has an opacity, in a single row: `(1, C, h, w)` -> `(1, C, 1, N)`."""
    selected: dict[str, Tensor] = {}
    for name, one in maps.items():
        seen = opacity[name]  # (1, 1, h, w)
        selected[name] = one if seen is None else one[:, :, seen[0, 0] >= seen.max().clamp(max=0.5)][:, :, None]
    return selected
