"""Large pictures: compute a function of pictures window by window.

A convolution has a limited reach. A window that extends beyond its tile by this reach therefore gives, within the tile, the
same result as the whole picture. Operations on the whole picture (means, standard deviations, attention) are not computed in
tiles: the encoder's maps are small, and are assembled from tiles first.

    picture --in tiles--> maps of the whole picture --at once--> changed maps --in tiles--> painted picture
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from nstlib.utils.checks import is_exporting

FeatureMaps = Mapping[str, Tensor]
"""Name -> `(B, C, h, w)`, each a whole number of times smaller than the picture."""


def pad_to_multiple(picture: Tensor, multiple: int, least: int = 1) -> Tensor:
    """Pad a picture `(B, C, H, W)` by reflection on its right and bottom, to sides that are multiples and at least `least`.

    Example:
        >>> pad_to_multiple(torch.tensor([[[[0, 1, 2]]]]), 4)[0, 0].tolist()
        [[0, 1, 2, 1], [0, 1, 2, 1], [0, 1, 2, 1], [0, 1, 2, 1]]
    """
    for dim in (2, 3):
        side: Any = picture.shape[dim]
        if torch.onnx.is_in_onnx_export() and not torch.jit.is_tracing():  # sides are symbols that may have any value
            wanted = (torch.sym_max(side, least) + multiple - 1) // multiple * multiple
            last = torch.scalar_tensor(side - 1, dtype=torch.int64, device=picture.device)
            position, period = torch.arange(wanted, device=picture.device), (2 * last).clamp(min=1)
            position = position % period  # ONNX has a remainder for tensors, but not for symbols
            picture = picture.index_select(dim, torch.minimum(position, period - position).minimum(last))
            continue
        # In other graphs (torch.export, torch.compile, trace), sides are symbols too, on which no branch is possible, so
        # pictures are assumed to have at least `least` pixels on each side already
        exporting = is_exporting()
        # (x + m - 1) // m * m rounds up even where integer division truncates, as it does in ONNX
        wanted = ((side if exporting else max(side, least)) + multiple - 1) // multiple * multiple
        if exporting or wanted != side:
            # 0 1 2 3 2 1 0 1 ...: back and forth as often as necessary, and 0 0 0 ... for a single pixel
            period = 2 * (side - 1) if exporting else max(1, 2 * (side - 1))
            position = torch.arange(wanted, device=picture.device)
            if not exporting:
                position = position % period
            picture = picture.index_select(dim, torch.minimum(position, period - position).clamp(max=side - 1))
    return picture


def crop(picture: Tensor, height: int, width: int) -> Tensor:
    """Undo `pad_to_multiple`: return the upper left part of a picture `(B, C, H, W)`."""
    if is_exporting():  # a slice would restrict the graph to sizes that are multiples
        rows, columns = (torch.arange(side, device=picture.device) for side in (height, width))
        return picture.index_select(2, rows).index_select(3, columns)
    return picture[..., :height, :width]


def in_tiles(
    function: Callable[[FeatureMaps], FeatureMaps],
    maps: FeatureMaps,
    size: Sequence[int],
    tile: float,
    reach: int,
    stride: int = 1,
) -> dict[str, Tensor]:
    """Return `function(maps)`, computed in tiles if the picture has more pixels than a tile.

    Args:
        function: maps the maps of a window to others. It may convolve, pool and upsample, but not combine all positions.
        maps: maps of the whole picture.
        size: height and width of the whole picture in pixels. If they aren't multiples of the stride, it isn't tiled.
        tile: side of a tile in pixels, at least the stride. Infinity computes everything at once.
        reach: the largest distance between an output and the inputs that it depends on, in pixels.
        stride: the largest stride of any map. Tiles are cut at multiples of it.

    Example:
        >>> blur = lambda maps: {"blurred": torch.nn.functional.avg_pool2d(maps["picture"], 3, 1, 1)}
        >>> picture = {"picture": torch.rand(1, 3, 32, 48)}
        >>> torch.allclose(in_tiles(blur, picture, (32, 48), 16, 1)["blurred"], blur(picture)["blurred"])
        True
    """
    if math.isinf(tile) or size[0] * size[1] <= tile**2 or any(side % stride for side in size):
        return dict(function(maps))
    tile, reach = int(tile) // stride * stride, -(-reach // stride) * stride
    whole: dict[str, Tensor] = {}
    for (top, bottom, above, below), (left, right, before, after) in _windows(size, tile, reach):
        window = {  # a map with a single position holds statistics of the whole picture
            name: one
            if one.shape[2:] == (1, 1)
            else _cut(one, size[0] // one.shape[2], (above, below), (before, after))
            for name, one in maps.items()
        }
        for name, one in function(window).items():
            step = (below - above) // one.shape[2]
            if name not in whole:
                whole[name] = one.new_empty(*one.shape[:2], size[0] // step, size[1] // step)
            target = _cut(whole[name], step, (top, bottom), (left, right))
            target.copy_(_cut(one, step, (top - above, bottom - above), (left - before, right - before)))
    return whole


def _windows(size: Sequence[int], tile: int, reach: int) -> Iterator[tuple[tuple[int, int, int, int], ...]]:
    """Yield the vertical and horizontal bounds of every tile, each followed by the bounds of its window."""
    sides = [
        [
            (start, min(start + tile, side), max(start - reach, 0), min(start + tile + reach, side))
            for start in range(0, side, tile)
        ]
        for side in size
    ]
    return ((vertical, horizontal) for vertical in sides[0] for horizontal in sides[1])


def _cut(one: Tensor, stride: int, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """Return a part of a map, whose bounds are given in pixels of the picture."""
    return one[..., rows[0] // stride : rows[1] // stride, columns[0] // stride : columns[1] // stride]
