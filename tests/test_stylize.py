from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import nstlib as nst
from nstlib.cli import main

QUICK: dict[str, Any] = {"steps": 3, "progress": False}


def test_paths_in_picture_of_the_contents_size_out(tmp_path: Path) -> None:
    photo = nst.save_image(nst.samples.content("coffee", 70), tmp_path / "photo.png")
    painting = nst.save_image(nst.samples.style("ink", 90), tmp_path / "painting.jpg")
    picture = nst.stylize(str(photo), painting, **QUICK)
    assert picture.shape == nst.load_image(photo, size=None).shape
    assert picture.dtype == torch.float32
    assert 0 <= picture.min() <= picture.max() <= 1
    assert nst.stylize(photo, painting, size=48, **QUICK).shape[2] == 48


def test_it_is_gatys_and_nothing_else() -> None:
    content, style = nst.samples.content("cat", 64), nst.samples.style("glass", 64)
    expected = nst.Gatys(steps=3, style_weight=7).stylize(content, style, progress=False)
    assert torch.equal(nst.stylize(content, style, style_weight=7, device="cpu", **QUICK), expected)


def test_colours_are_kept() -> None:
    content, style = nst.samples.content("cat", 64), nst.samples.style("swirl", 64)
    plain = nst.stylize(content, style, style_weight=1000, **{**QUICK, "steps": 20})
    distance = (plain.mean((2, 3)) - content.mean((2, 3))).abs().sum()
    for how in ("luminance", "coral"):
        kept = nst.stylize(content, style, style_weight=1000, keep_color=how, **{**QUICK, "steps": 20})
        assert (kept.mean((2, 3)) - content.mean((2, 3))).abs().sum() < 0.5 * distance, how


def test_wrong_options_are_named() -> None:
    content, style = nst.samples.content("cat", 64), nst.samples.style("glass", 64)
    with pytest.raises(ValueError, match=r"no method 'gatis'; did you mean 'gatys'\?"):
        nst.stylize(content, style, method="gatis")
    with pytest.raises(ValueError, match=r"no keep_color 'yes'.*luminance, coral"):
        nst.stylize(content, style, keep_color="yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="strength"):
        nst.stylize(content, style, strength=3)
    with pytest.raises(FileNotFoundError, match=r"photo\.jpg"):
        nst.stylize("photo.jpg", style)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.png"
    assert (
        main(["stylize", "cat", "wave", "-o", str(out), "--size", "64", "--steps", "2", "-q", "--style-weight", "5"])
        == 0
    )
    assert capsys.readouterr().out == f"{out}: 96 x 64 px\n"
    expected = nst.stylize(
        nst.samples.content("cat", 64), nst.samples.style("wave", 64), style_weight=5, steps=2, progress=False
    )
    assert (nst.load_image(out, size=None) - expected).abs().max() < 0.003
    assert main(["stylize", "cat", "wave", "ink", "-o", str(out), "--size", "64", "--steps", "2", "-q"]) == 0


def test_the_command_line_names_bad_input_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["stylize", "nowhere.jpg", "wave", "-o", "out.png"], "nowhere.jpg"),
        (["stylize", "cat", "wave", "-o", "out.png", "--method", "magic"], "gatys"),
        (["stylize", "cat", "wave", "-o", str(tmp_path / "out.xyz"), "--size", "64", "--steps", "1", "-q"], ".png"),
        (["samples", "wafe", "--out", str(tmp_path)], "wave"),
    ):
        assert main(arguments) == 1
        error = capsys.readouterr().err
        assert error.startswith("nst: ")
        assert words in error
        assert error.count("\n") == 1


def test_the_command_line_lists_and_writes_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samples"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in (*nst.samples.content_names(), *nst.samples.style_names()))
    assert main(["samples", "wave", "cat", "--out", str(tmp_path), "--size", "64"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cat.png", "wave.png"]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["stylize", "--help"], ["samples", "--help"]])
def test_help_teaches(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if arguments:
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
    else:
        assert main(arguments) == 0
    assert "stylize" in capsys.readouterr().out or arguments == ["samples", "--help"]
