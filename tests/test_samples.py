"""The samples: photographs read offline, and paintings that are the same each time and at every size."""

from __future__ import annotations

import socket
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import torch
from paintings import PAINTINGS
from paintings.canvas import resize
from PIL import Image
from torch import Tensor

from nstlib import samples

SIZE = 97  # odd and prime: no size is special
LARGE = 360
THUMBNAIL = 40


@pytest.fixture(scope="module")
def paintings() -> dict[str, Tensor]:
    """Every painting, at 97 pixels."""
    return {name: samples.style(name, size=SIZE) for name in samples.style_names()}


def thumbnail(picture: Tensor) -> Tensor:
    """The picture shrunk to 40 pixels by area averaging, `(40, 40, 3)`."""
    return torch.from_numpy(resize(picture[0].permute(1, 2, 0).numpy(), THUMBNAIL))


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's correlation of all the values of two pictures of one size."""
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


# ------------------------------------------------------------------------------------------------- photographs


@pytest.mark.parametrize("name", samples.content_names())
def test_photographs_need_no_network(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a sample photograph asked for the network")

    for way_out in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, way_out, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    # Nor does it need scikit-image's cache: there is none in an empty home.
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKIMAGE_DATADIR", str(tmp_path / "data"))
    photo = samples.content(name, size=96)
    assert photo.dtype == torch.float32
    assert photo.shape[:2] == (1, 3)
    assert min(photo.shape[2:]) == 96
    assert photo.min() >= 0
    assert photo.max() <= 1
    assert photo.std() > 0.05
    assert list(tmp_path.iterdir()) == []


def test_photographs_have_the_size_asked_for_or_their_own() -> None:
    assert samples.content("cat", size=30).shape == (1, 3, 30, 45)
    assert samples.content("cat", size=None).shape == (1, 3, 300, 451)
    assert samples.content("astronaut").shape == (1, 3, 256, 256)


def test_a_photograph_holds_the_pixels_of_its_file() -> None:
    with Image.open(Path(skimage.__file__).parent / "data" / "astronaut.png") as file:
        pixels = torch.from_numpy(np.array(file))  # (H, W, 3)
    photo = samples.content("astronaut", size=None)
    torch.testing.assert_close(photo * 255, pixels.permute(2, 0, 1)[None].float(), rtol=0, atol=1e-3)


# --------------------------------------------------------------------------------------------------- paintings


def test_there_are_at_least_eight_paintings() -> None:
    assert len(samples.style_names()) >= 8
    assert len(set(samples.style_names())) == len(samples.style_names())


@pytest.mark.parametrize("name", samples.style_names())
def test_a_painting_is_a_picture(name: str, paintings: dict[str, Tensor]) -> None:
    picture = paintings[name]
    assert picture.shape == (1, 3, SIZE, SIZE)
    assert picture.dtype == torch.float32
    assert picture.min() >= 0
    assert picture.max() <= 1
    # Contrast over the whole picture, and texture in its finest detail.
    assert picture.std() > 0.12
    assert picture.diff(dim=3).abs().mean() > 0.015


@pytest.mark.parametrize("name", samples.style_names())
def test_a_painting_is_the_same_at_every_size(name: str, paintings: dict[str, Tensor]) -> None:
    small, large = thumbnail(paintings[name]), thumbnail(samples.style(name, size=LARGE))
    assert correlation(large, small) > 0.97
    assert (large - small).abs().mean() < 0.04


@pytest.mark.parametrize("name", ["wave", "glass"])
def test_the_files_are_what_the_programs_paint(name: str) -> None:
    # The file was painted at 1024 pixels and compressed, and the libraries that draw the edges change.
    painted = torch.from_numpy(resize(PAINTINGS[name](LARGE), THUMBNAIL))
    stored = thumbnail(samples.style(name, size=LARGE))
    assert correlation(painted, stored) > 0.97
    assert (painted - stored).abs().mean() < 0.04


@pytest.mark.parametrize("size", [1, 16, 64, 1024])
def test_any_size_up_to_that_of_the_file_will_do(size: int) -> None:
    picture = samples.style("wave", size=size)
    assert picture.shape == (1, 3, size, size)
    assert torch.isfinite(picture).all()
    assert samples.style("wave", size=None).shape == (1, 3, 1024, 1024)


def test_the_paintings_differ(paintings: dict[str, Tensor]) -> None:
    for one, other in combinations(paintings.values(), 2):
        assert correlation(one, other) < 0.75
        assert (one - other).abs().mean() > 0.08


# ------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(("wrong", "near"), [("swril", "swirl"), ("Waves", "wave"), ("engrave", "engraving")])
def test_a_wrong_style_name_is_answered_with_the_right_ones(wrong: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{near}'") as caught:
        samples.style(wrong)
    for name in samples.style_names():
        assert name in str(caught.value)


def test_a_wrong_photograph_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(ValueError, match="did you mean 'astronaut'") as caught:
        samples.content("astronauts")
    for name in samples.content_names():
        assert name in str(caught.value)
    with pytest.raises(ValueError, match="no sample photograph") as caught:
        samples.content("xyzzy")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 1025, 99.5, True])
def test_a_wrong_size_is_refused(size: float) -> None:
    with pytest.raises(ValueError, match="whole number from 1 to 1024"):
        samples.style("wave", size=size)  # type: ignore[arg-type]
