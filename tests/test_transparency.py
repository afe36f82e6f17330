"""Photographs and paintings with transparency: every method keeps it, and what isn't seen counts for nothing."""

from __future__ import annotations

import io
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import nstlib as nst
from nstlib.cli import main
from nstlib.stylize import METHODS

SIZE = (32, 48)
KEPT_COLORS = (None, "luminance", "coral")


def cut_out(hidden: Tensor | float, name: str = "cat") -> Tensor:
    """A disc with a soft edge out of a photograph, in 8 bits, whose hidden pixels have this colour: (1, 4, 32, 48)."""
    photo = nst.samples.content(name, SIZE[0])
    down, right = torch.meshgrid(*(torch.arange(side) - side / 2 for side in SIZE), indexing="ij")
    opacity = ((14 - (down.square() + right.square()).sqrt()) / 5).clamp(0, 1).expand(1, 1, *SIZE)
    colors = torch.where(opacity > 0, photo, torch.as_tensor(hidden))
    return (torch.cat([colors, opacity], 1) * 255).round() / 255


def two_alike() -> tuple[Tensor, Tensor]:
    """Two pictures that look alike: only what is hidden differs."""
    return cut_out(1.0), cut_out(torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(0)))


def options_of(method: str) -> dict[str, Any]:
    return {"method": method, "device": "cpu", **({"steps": 3, "progress": False} if method == "gatys" else {})}


def style_of(method: str) -> Any:
    return "glass" if method == "johnson" else nst.samples.style("swirl", 48)


def seen(picture: Tensor) -> Tensor:
    """What is to be seen of a picture, before black: (1, 3, H, W)."""
    return picture[:, :3] * picture[:, 3:]


# ------------------------------------------------------------------------------------------------ every method


@pytest.mark.parametrize(
    ("method", "keep_color"), [pair for pair in product(METHODS, KEPT_COLORS) if pair != ("johnson", "coral")]
)
def test_opacity_is_kept_and_hidden_colours_count_for_nothing(method: str, keep_color: Any) -> None:
    one, other = two_alike()
    painted, again = (
        nst.stylize(photo, style_of(method), keep_color=keep_color, **options_of(method)) for photo in (one, other)
    )
    assert painted.shape == (1, 4, *SIZE)
    assert torch.equal(painted[:, 3:], one[:, 3:])
    assert torch.equal(seen(painted), seen(again))
    assert (seen(painted) - seen(one)).abs().max() > 0.02


@pytest.mark.parametrize("size", [None, 40])
@pytest.mark.parametrize("method", [method for method in METHODS if method != "johnson"])
def test_what_is_hidden_of_a_painting_is_no_style(method: str, size: int | None) -> None:
    photo, (one, other) = nst.samples.content("coffee", 32), two_alike()
    options = {**options_of(method), "size": size, "style_scale": 0.7}
    painted, again = (nst.stylize(photo, style, **options) for style in (one, other))
    assert torch.equal(painted, again)
    on_white = nst.stylize(photo, one, keep_alpha=False, **options)
    assert (on_white - painted).abs().max() > 0.05


def test_coral_takes_the_colours_that_are_seen() -> None:
    visible = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    half = torch.cat([torch.cat([visible, torch.zeros(1, 3, 8, 8)], 3), torch.ones(1, 1, 8, 16)], 1)
    half[:, 3, :, 8:] = 0
    style = nst.samples.style("swirl", 16)
    expected = nst.match_color(style, visible, method="coral")
    torch.testing.assert_close(nst.match_color(style, half, method="coral"), expected)
    matched = nst.match_color(half, style, method="coral")
    assert torch.equal(matched[:, 3:], half[:, 3:])
    torch.testing.assert_close(matched[:, :3, :, :8], nst.match_color(visible, style, method="coral"))


@pytest.mark.parametrize("method", METHODS)
def test_of_a_picture_that_is_not_seen_nothing_is_painted(method: str) -> None:
    empty = torch.cat([torch.rand(1, 3, *SIZE), torch.zeros(1, 1, *SIZE)], 1)
    assert torch.equal(nst.stylize(empty, style_of(method), **options_of(method)), empty)


# ------------------------------------------------------------------------------------------------ what is given


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L with a colour that is transparent"])
def test_transparency_of_every_kind_from_every_source(mode: str, tmp_path: Path) -> None:
    image, options = nst.to_pil(cut_out(0.0)), dict[str, Any]()
    if mode.startswith("L with"):
        image, options = Image.fromarray(nst.to_numpy(cut_out(0.0))[:, :, 1]), {"transparency": 0}
    elif mode == "P":
        image = image.quantize(64)
    else:
        image = image.convert(mode)
    path = tmp_path / "photo.png"
    image.save(path, **options)
    opacity = nst.load_image(path, size=None, alpha=True)[:, 3:]
    assert 0.2 < (opacity == 0).float().mean() < 0.8
    with path.open("rb") as file, Image.open(path) as opened:
        for source in (str(path), path, file, io.BytesIO(path.read_bytes()), opened):
            painted = nst.stylize(source, "glass", method="johnson", device="cpu")
            assert torch.equal(painted[:, 3:], opacity), source
            assert torch.equal(painted, nst.stylize(path, "glass", method="johnson", device="cpu")), source


def test_open_files_and_bytes_are_photographs_and_paintings(tmp_path: Path) -> None:
    photo, painting = nst.samples.content("cat", 32), nst.samples.style("swirl", 48)
    paths = [nst.save_image(one, tmp_path / f"{name}.png") for name, one in (("photo", photo), ("painting", painting))]
    expected = nst.stylize(*paths, method="adain", device="cpu")
    assert expected.shape == (1, 3, 32, 48)
    with paths[0].open("rb") as one, paths[1].open("rb") as other:
        assert torch.equal(nst.stylize(one, other, method="adain", device="cpu"), expected)
    buffers = [io.BytesIO(path.read_bytes()) for path in paths]
    assert torch.equal(nst.stylize(*buffers, method="adain", device="cpu"), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_photograph_that_is_opaque_everywhere_has_no_opacity_to_keep(mode: str) -> None:
    photo = nst.to_pil(nst.samples.content("cat", 32))
    photo = photo.convert("L").convert("RGB") if mode == "LA" else photo
    painted = nst.stylize(photo.convert(mode), "glass", method="johnson", device="cpu")
    assert torch.equal(painted, nst.stylize(photo, "glass", method="johnson", device="cpu"))
    assert painted.shape[1] == 3


def test_without_keep_alpha_the_photograph_lies_on_white() -> None:
    photo = cut_out(0.0)
    painted = nst.stylize(photo, "glass", method="johnson", device="cpu", keep_alpha=False)
    white = seen(photo) + 1 - photo[:, 3:]
    torch.testing.assert_close(painted, nst.Johnson.pretrained("glass").stylize(white))


# ------------------------------------------------------------------------------------------------ the command line


@pytest.mark.parametrize("method", METHODS)
def test_the_command_line_keeps_opacity_where_the_file_can_hold_it(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = nst.save_image(cut_out(0.0), tmp_path / "photo.png")
    order = ["stylize", str(photo), "glass", "--method", method, *(["--steps", "2"] if method == "gatys" else [])]
    for suffix in (".png", ".webp", ".tif"):
        assert main([*order, "-o", str(tmp_path / f"out{suffix}")]) == 0
        found = nst.load_image(tmp_path / f"out{suffix}", size=None, alpha=True)
        assert torch.equal(found[:, 3:], cut_out(0.0)[:, 3:])
    assert capsys.readouterr().err == ""
    jpeg = tmp_path / "out.jpg"
    assert main([*order, "-o", str(jpeg)]) == 0
    assert capsys.readouterr().err == (
        f"nst: warning: JPEG has no transparency, so the picture in '{jpeg}' lies on white\n"
    )
    assert nst.load_image(jpeg, size=None)[..., 0, 0].min() > 0.95
    assert main([*order, "-o", str(tmp_path / "white.png"), "--no-keep-alpha"]) == 0
    assert nst.load_image(tmp_path / "white.png", size=None, alpha=True).shape[1] == 3


def test_photographs_of_a_folder_keep_their_opacity(tmp_path: Path) -> None:
    nst.save_image(cut_out(0.0), tmp_path / "in" / "a.webp")
    nst.to_pil(cut_out(0.0)).quantize(64).save(tmp_path / "in" / "b.gif")
    assert (
        main(["stylize", str(tmp_path / "in"), "glass", "--method", "johnson", "-o", str(tmp_path / "out"), "-q"]) == 0
    )
    for file, result in (("a.webp", "a.webp"), ("b.gif", "b.gif.png")):
        given, painted = (
            nst.load_image(path, size=None, alpha=True) for path in (tmp_path / "in" / file, tmp_path / "out" / result)
        )
        assert torch.equal(given[:, 3:], painted[:, 3:])


def test_a_picture_to_begin_with_may_be_transparent(tmp_path: Path) -> None:
    photo = nst.save_image(cut_out(0.0), tmp_path / "photo.png")
    for number, first in enumerate(two_alike()):
        init = nst.save_image(first, tmp_path / f"{number}.png")
        order = ["stylize", str(photo), "swirl", "-o", str(tmp_path / f"out{number}.png"), "--init", str(init), "-q"]
        assert main([*order, "--steps", "3"]) == 0
    one, other = (nst.load_image(tmp_path / f"out{number}.png", size=None, alpha=True) for number in (0, 1))
    assert torch.equal(seen(one), seen(other))


@pytest.mark.parametrize("opacity", [0.0, 1e-9])
def test_johnsons_network_paints_what_nobody_sees_without_nan(opacity: float) -> None:
    hidden = torch.cat([nst.samples.content("cat", 32), torch.full((1, 1, *SIZE), opacity)], 1)
    painted = nst.Johnson.pretrained("glass").stylize(hidden)
    assert painted.isfinite().all()
    assert torch.equal(painted[:, 3:], hidden[:, 3:])
