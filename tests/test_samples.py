"""The samples: photographs read offline, and paintings that are the same each time and at every size."""

from __future__ import annotations

import re
import socket
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import torch
from PIL import Image
from torch import Tensor

from nstlib import samples
from nstlib.samples import planes, strokes
from nstlib.samples.canvas import resize

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
def test_a_painting_is_the_same_each_time(name: str, paintings: dict[str, Tensor]) -> None:
    # Nothing remembered may help: neither whole paintings nor the layouts that some of them keep.
    for value in (*vars(samples).values(), *vars(planes).values(), *vars(strokes).values()):
        if hasattr(value, "cache_clear"):
            value.cache_clear()
    state = torch.get_rng_state()
    np.random.seed(1)  # noqa: NPY002  (the global generator must neither matter nor move)
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    again = samples.style(name, size=SIZE)
    assert again.numpy().tobytes() == paintings[name].numpy().tobytes()
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], before)  # type: ignore[index]  # noqa: NPY002


@pytest.mark.parametrize("name", samples.style_names())
def test_a_painting_is_the_same_at_every_size(name: str, paintings: dict[str, Tensor]) -> None:
    small, large = thumbnail(paintings[name]), thumbnail(samples.style(name, size=LARGE))
    assert correlation(large, small) > 0.97
    assert (large - small).abs().mean() < 0.04


@pytest.mark.parametrize("size", [1, 16, 64])
def test_any_size_will_do(size: int) -> None:
    picture = samples.style("wave", size=size)
    assert picture.shape == (1, 3, size, size)
    assert torch.isfinite(picture).all()


def test_the_paintings_differ(paintings: dict[str, Tensor]) -> None:
    for one, other in combinations(paintings.values(), 2):
        assert correlation(one, other) < 0.75
        assert (one - other).abs().mean() > 0.08


def test_what_is_remembered_cannot_be_spoilt() -> None:
    first = samples.style("wave", size=16)
    kept = first.clone()
    first.zero_()
    assert torch.equal(samples.style("wave", size=16), kept)


# ------------------------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(("wrong", "near"), [("swril", "swirl"), ("Waves", "wave"), ("engrave", "engraving")])
def test_a_wrong_style_name_is_answered_with_the_right_ones(wrong: str, near: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f'Did you mean "{near}"?')) as caught:
        samples.style(wrong)
    for name in samples.style_names():
        assert name in str(caught.value)


def test_a_wrong_photograph_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(ValueError, match=r'Did you mean "astronaut"\?') as caught:
        samples.content("astronauts")
    for name in samples.content_names():
        assert name in str(caught.value)
    with pytest.raises(ValueError, match="no sample photograph") as caught:
        samples.content("xyzzy")
    assert "Did you mean" not in str(caught.value)


def test_a_wrong_size_is_refused() -> None:
    with pytest.raises(ValueError, match="from 1 up"):
        samples.style("wave", size=0)
    with pytest.raises(TypeError, match="whole number"):
        samples.style("wave", size=99.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="whole number"):
        samples.style("wave", size=True)
