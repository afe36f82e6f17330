"""Big pictures: a function of pictures, computed window by window.

A convolution sees only so far. So a window that is larger than its tile by that reach gives, within the tile, what the
whole picture would give. Whatever needs the whole picture (means, standard deviations, attention) is not computed in tiles:
the encoder's maps are put together from tiles, and are small.

    picture --in tiles--> maps of the whole picture --as ever--> changed maps --in tiles--> painted picture
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
    """The picture `(B, C, H, W)`, mirrored at its right and lower border until its sides are multiples of at least `least`.

    Example:
        >>> pad_to_multiple(torch.tensor([[[[0, 1, 2]]]]), 4)[0, 0].tolist()
        [[0, 1, 2, 1], [0, 1, 2, 1], [0, 1, 2, 1], [0, 1, 2, 1]]
    """
    for dim in (2, 3):
        side: Any = picture.shape[dim]
        if torch.onnx.is_in_onnx_export() and not torch.jit.is_tracing():  # sides are symbols, and any size is to come
            wanted = (torch.sym_max(side, least) + multiple - 1) // multiple * multiple
            last = torch.scalar_tensor(side - 1, dtype=torch.int64, device=picture.device)
            position, period = torch.arange(wanted, device=picture.device), (2 * last).clamp(min=1)
            position = position % period  # ONNX has a remainder of tensors, and none of symbols
            picture = picture.index_select(dim, torch.minimum(position, period - position).minimum(last))
            continue
        # other graphs have symbols too, without branches on them, and pictures have their least size
        exporting = is_exporting()
        # (x + m - 1) // m * m rounds up even where integer division truncates, as it does in ONNX
        wanted = ((side if exporting else max(side, least)) + multiple - 1) // multiple * multiple
        if exporting or wanted != side:
            # 0 1 2 3 2 1 0 1 ...: back and forth as often as it takes, and 0 0 0 ... for a single pixel
            period = 2 * (side - 1) if exporting else max(1, 2 * (side - 1))
            position = torch.arange(wanted, device=picture.device)
            if not exporting:
                position = position % period
            picture = picture.index_select(dim, torch.minimum(position, period - position).clamp(max=side - 1))
    return picture


def crop(picture: Tensor, height: int, width: int) -> Tensor:
    """Undo `pad_to_multiple`: the upper left part of a picture `(B, C, H, W)`."""
    if is_exporting():  # a slice would tie the graph to sizes that are multiples
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
        function: maps of a window -> other maps of it. Convolutions, pooling, enlarging; nothing that looks at all of it.
        maps: of the whole picture.
        size: height and width of the whole picture in pixels. If they aren't multiples of the stride, no tiles are cut.
        tile: side of a tile in pixels, at least the stride; infinity computes all at once.
        reach: how far the function sees, in pixels.
        stride: the largest stride of any map: tiles are cut at multiples of it.

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
        window = {  # a map of one position holds for the whole picture
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
    """For every tile, vertically and horizontally: its ends, and the ends of its window."""
    sides = [
        [
            (start, min(start + tile, side), max(start - reach, 0), min(start + tile + reach, side))
            for start in range(0, side, tile)
        ]
        for side in size
    ]
    return ((vertical, horizontal) for vertical in sides[0] for horizontal in sides[1])


def _cut(one: Tensor, stride: int, rows: tuple[int, int], columns: tuple[int, int]) -> Tensor:
    """A part of a map, its ends given in pixels of the picture."""
    return one[..., rows[0] // stride : rows[1] // stride, columns[0] // stride : columns[1] // stride]
