from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nstlib.utils.tiling import FeatureMaps, crop, in_tiles, pad_to_multiple


def blur(maps: FeatureMaps) -> dict[str, Tensor]:
    """A 7x7 mean of the picture, zeros around it: sees 3 px far."""
    return {"blurred": F.avg_pool2d(maps["picture"], 7, 1, 3)}


def several(maps: FeatureMaps) -> dict[str, Tensor]:
    """Maps of several strides in and out: a 3x3 convolution after a pool, and enlarging."""
    kernel = torch.arange(9.0).reshape(1, 1, 3, 3)
    half = F.conv2d(F.max_pool2d(maps["picture"][:, :1], 2), kernel, padding=1)  # sees 2 + 1 px
    return {
        "half": half + maps["half"],
        "full": F.interpolate(half, scale_factor=2) + F.interpolate(maps["quarter"], scale_factor=4),
    }


@pytest.mark.parametrize("size", [(32, 48), (16, 16), (13, 7), (1, 50)])
@pytest.mark.parametrize("tile", [1, 5, 16, 100])
def test_tiles_of_a_known_convolution_fit_together(size: tuple[int, int], tile: int) -> None:
    if tile == 1 and size[0] > 1:
        size = (6, 7)  # every pixel by itself
    maps = {"picture": torch.rand(2, 3, *size, dtype=torch.float64)}
    torch.testing.assert_close(in_tiles(blur, maps, size, tile, 3)["blurred"], blur(maps)["blurred"])


def test_a_reach_that_is_too_small_is_seen() -> None:
    maps = {"picture": torch.rand(1, 3, 32, 48)}
    found = in_tiles(blur, maps, (32, 48), 16, 2)["blurred"]
    wrong = ((found - blur(maps)["blurred"]).abs() > 1e-5).any(1)[0]
    assert wrong[:, 15].all()
    assert wrong[15].all()
    assert not wrong[:14, :14].any()


@pytest.mark.parametrize("tile", [4, 7, 12, 100])
def test_maps_of_several_strides_fit_together(tile: int) -> None:
    maps = {"picture": torch.rand(1, 3, 20, 36), "half": torch.rand(1, 1, 10, 18), "quarter": torch.rand(1, 1, 5, 9)}
    found, expected = in_tiles(several, maps, (20, 36), tile, 3, stride=4), several(maps)
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        torch.testing.assert_close(found[name], one, msg=name)


def test_a_window_is_no_larger_than_tile_and_reach() -> None:
    sizes = []

    def look(maps: FeatureMaps) -> dict[str, Tensor]:
        sizes.append(tuple(maps["picture"].shape[2:]))
        return dict(maps)

    picture = torch.rand(1, 3, 40, 64)
    assert torch.equal(in_tiles(look, {"picture": picture}, (40, 64), 16, 8)["picture"], picture)
    assert len(sizes) == 3 * 4
    assert max(sizes) == (32, 32)
    assert set(sizes) == {(h, w) for h in (24, 32, 16) for w in (24, 32)}


def test_a_map_of_one_position_holds_for_the_whole_picture() -> None:
    maps = {"picture": torch.rand(1, 3, 16, 24), "scale": torch.rand(1, 3, 1, 1)}
    found = in_tiles(lambda window: {"scaled": window["picture"] * window["scale"]}, maps, (16, 24), 8, 0)
    assert torch.equal(found["scaled"], maps["picture"] * maps["scale"])


def test_pictures_no_larger_than_a_tile_and_those_that_no_tile_fits_are_computed_whole() -> None:
    sizes = []

    def look(maps: FeatureMaps) -> dict[str, Tensor]:
        sizes.append(tuple(maps["picture"].shape[2:]))
        return dict(maps)

    for size, tile, stride in (((16, 16), 16, 8), ((8, 32), 16, 8), ((30, 32), 16, 8), ((64, 64), math.inf, 8)):
        in_tiles(look, {"picture": torch.rand(1, 3, *size)}, size, tile, 3, stride)
        assert sizes.pop() == size
        assert not sizes


def test_dtype_is_kept() -> None:
    maps = {"picture": torch.rand(1, 3, 8, 8, dtype=torch.float64)}
    assert in_tiles(blur, maps, (8, 8), 4, 3)["blurred"].dtype == torch.float64


def test_gradients_pass_through_tiles() -> None:
    picture = torch.rand(1, 3, 16, 16, requires_grad=True)
    in_tiles(blur, {"picture": picture}, (16, 16), 8, 3)["blurred"].sum().backward()
    tiled, picture.grad = picture.grad, None
    blur({"picture": picture})["blurred"].sum().backward()
    assert tiled is not None
    assert picture.grad is not None
    torch.testing.assert_close(tiled, picture.grad)


@pytest.mark.parametrize(
    ("side", "multiple", "least", "wanted"),
    [
        (1, 4, 1, [0, 0, 0, 0]),
        (2, 1, 5, [0, 1, 0, 1, 0]),
        (3, 8, 1, [0, 1, 2, 1, 0, 1, 2, 1]),
        (5, 4, 1, [0, 1, 2, 3, 4, 3, 2, 1]),
        (4, 4, 4, [0, 1, 2, 3]),
        (4, 3, 7, [0, 1, 2, 3, 2, 1, 0, 1, 2]),
    ],
)
def test_pictures_are_mirrored_until_they_fit(side: int, multiple: int, least: int, wanted: list[int]) -> None:
    row = torch.arange(float(side))
    filled = pad_to_multiple((10 * row[:, None] + row)[None, None], multiple, least)
    expected = torch.tensor(wanted, dtype=torch.float32)
    assert torch.equal(filled[0, 0], 10 * expected[:, None] + expected)


def test_mirroring_is_that_of_pytorch_where_pytorch_can_and_passes_gradients() -> None:
    picture = torch.rand(2, 3, 9, 14, requires_grad=True)
    filled = pad_to_multiple(picture, 8)
    assert torch.equal(filled, F.pad(picture, (0, 2, 0, 7), mode="reflect"))
    filled.sum().backward()
    assert picture.grad is not None
    assert picture.grad.sum() == filled.numel()


def test_a_picture_that_fits_is_left_alone() -> None:
    picture = torch.rand(1, 3, 16, 24)
    assert pad_to_multiple(picture, 8, 16) is picture


def test_cropping_undoes_padding() -> None:
    picture = torch.rand(1, 3, 13, 7)
    assert torch.equal(crop(pad_to_multiple(picture, 8, 32), 13, 7), picture)
