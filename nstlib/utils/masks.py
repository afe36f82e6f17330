"""Masks from files, which assign the regions of a photograph to paintings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from nstlib.utils.image import load_image

NEAR = 48
"""Colours whose channels differ by at most this, out of 255, count as one, because JPEG changes flat colours slightly."""

LEAST_SHARE = 0.01
"""A colour is a region if it fills at least this share of a map's flat areas."""


def read_masks(files: Sequence[Any], styles: int, size: tuple[int, int]) -> Tensor:
    """Read one region per painting, scaled to the photograph.

    Args:
        files: paths, or anything else that `load_image` reads. Either one grey picture per painting, in the same order,
            white where the painting applies and black or transparent elsewhere. Or, for two or more paintings, a single
            map with one flat colour per painting: the first painting takes the colour of the top left pixel, and the
            others take the remaining colours in the order in which they appear, row by row.
        styles: K, the number of paintings.
        size: `(H, W)` of the photograph.

    Returns:
        `(K, H, W)` in [0, 1].

    Raises:
        ValueError: the number of files or colours isn't that of the paintings, or a mask is black everywhere.

    Example:
        >>> map = torch.zeros(3, 8, 8)
        >>> map[0, :, :4], map[2, :, 4:] = 1, 1  # red on the left, blue on the right
        >>> read_masks([map], 2, (1, 4))
        tensor([[[1., 1., 0., 0.]],
        <BLANKLINE>
                [[0., 0., 1., 1.]]])
    """
    if len(files) == styles:
        return torch.cat([_read_grey(file, size) for file in files])
    if len(files) == 1:
        return _split_colors(files[0], styles, size)
    raise ValueError(
        "masks must be one grey picture for each painting, or a single map of their colours, got "
        f"{len(files)} files for {styles} painting{'s' * (styles > 1)}"
    )


def _read_grey(file: Any, size: tuple[int, int]) -> Tensor:
    picture = load_image(file, size=None, alpha=True, reduce=True)
    grey = picture[:, :3].mean(1, keepdim=True)  # (1, 1, h, w)
    if picture.shape[1] == 4:
        grey = grey * picture[:, 3:]  # image editors export a white shape on a transparent background
    mask = F.interpolate(grey, size, mode="bilinear", antialias=True)[0].clamp(0, 1)  # (1, H, W)
    if not bool((mask > 0).any()):
        raise ValueError(f"the mask '{file}' is black everywhere; it must be white where its painting goes")
    return mask


def _split_colors(file: Any, styles: int, size: tuple[int, int]) -> Tensor:
    picture = load_image(file, size=None, reduce=True) * 255
    colors = _flat_colors(picture)
    if len(colors) != styles:
        raise ValueError(
            f"the map '{file}' has {len(colors)} flat colours, and there are {styles} paintings: fill the region of each "
            "painting with one colour of its own"
        )
    scaled = F.interpolate(picture, size, mode="nearest-exact")[0]  # (3, H, W)
    distances = torch.stack([(scaled - color[:, None, None]).abs().sum(0) for color in colors])  # (K, H, W)
    region = distances.argmin(0)  # every pixel belongs to the nearest colour
    order = sorted(range(styles), key=lambda k: int((region == k).flatten().int().argmax()))
    return torch.stack([(region == k).float() for k in order])


def _flat_colors(picture: Tensor) -> list[Tensor]:
    """Return the colours `(3,)` of the flat areas of a map `(1, 3, H, W)` in 0..255."""
    levels = F.interpolate(picture, [min(side, 512) for side in picture.shape[2:]], mode="nearest-exact")[0]
    # along antialiased edges, colours change from one pixel to the next
    spread = F.max_pool2d(levels, 3, 1, 1) + F.max_pool2d(-levels, 3, 1, 1)
    pixels = levels[:, (spread <= NEAR).all(0)].round().T  # (N, 3)
    found, counts = pixels.unique(dim=0, return_counts=True)  # (M, 3), (M,)
    colors: list[Tensor] = []
    while counts.any():
        color = found[counts.argmax()]
        same = ((found - color).abs() <= NEAR).all(1)
        if counts[same].sum() >= LEAST_SHARE * len(pixels):
            colors.append(color)
        counts[same] = 0
    return colors
