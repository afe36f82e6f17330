from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch

import nstlib as nst
from nstlib.cli import main
from nstlib.registry import METHODS
from nstlib.stylize import make_stylizer
from nstlib.weights import load_file, load_metadata, save_file

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
    assert main(["stylize", "cat", "wave", "-o", str(out), "--size", "64", "--steps", "2", "--style-weight", "5"]) == 0
    assert capsys.readouterr() == (f"{out}: 96 x 64 px\n", "")
    content, style = nst.samples.content("cat", 64), nst.samples.style("wave", None)
    expected = nst.stylize(content, style, style_weight=5, steps=2, progress=False)
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


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], ["stylize", "--help"], ["train", "--help"], ["samples", "--help"]]
)
def test_help_teaches(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):  # by argparse
        assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "nst " in captured.out
    assert captured.err == ""


# ---------------------------------------------------------------- methods that take any painting


@pytest.mark.parametrize("method", ["adain", "sanet", "adaattn"])
def test_own_weights_of_any_style_methods_paint(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = METHODS[method].model
    torch.manual_seed(0)
    model = kind()
    path = save_file(tmp_path / "mine.safetensors", model.network.state_dict(), {"method": method}, half=False)
    content, styles = nst.samples.content("cat", 65), [nst.samples.style(name, 80) for name in ("swirl", "glass")]
    options: dict[str, Any] = {"method": method, "weights": path, "device": "cpu"}
    painted = nst.stylize(content, styles, alpha=0.5, style_weights=[1, 3], **options)
    small = [nst.load_image(style, size=65) for style in styles]
    expected = model.stylize(content, small, 0.5, style_weights=[1, 3])
    assert painted.shape == content.shape
    assert (painted - expected).abs().max() < 1e-4

    read: list[int] = []
    encode = kind.encode_style

    def count(self: Any, style: torch.Tensor) -> Any:
        read.append(style.shape[2])
        return encode(self, style)

    monkeypatch.setattr(kind, "encode_style", count)
    paint = make_stylizer(styles[0], **options)
    for name, size in (("cat", 48), ("coffee", 64), ("rocket", 48), ("coffee", 64), ("cat", 32), ("cat", 64)):
        paint(nst.samples.content(name, size))
    assert read == [48, 64, 32]  # once for each size of photographs
    kept = nst.stylize(content, styles[0], keep_color="coral", **options)
    assert kept.shape == content.shape


def test_any_style_methods_name_what_is_missing(tmp_path: Path) -> None:
    content, style = nst.samples.content("cat", 64), nst.samples.style("swirl", 64)
    painted = nst.stylize(content, style, method="sanet")
    assert torch.equal(painted, nst.SANet.pretrained().stylize(content, style))
    with pytest.raises(TypeError, match="steps"):
        nst.stylize(content, style, method="adain", steps=3)
    path = save_file(tmp_path / "other.safetensors", {"x": torch.ones(1)}, {"method": "johnson"})
    with pytest.raises(
        ValueError, match=r"other\.safetensors holds weights of the method 'johnson', and those of 'adain' are"
    ):
        nst.stylize(content, style, method="adain", weights=path)


@pytest.mark.parametrize("method", ["adain", "sanet", "adaattn"])
def test_the_command_line_trains_and_paints_any_style(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cat", "coffee"):
        nst.save_image(nst.samples.content(name, 64), tmp_path / "photos" / f"{name}.png")
    nst.save_image(nst.samples.style("swirl", 64), tmp_path / "paintings" / "swirl.png")
    train = ["train", method, "--content", str(tmp_path / "photos"), "--out-dir", str(tmp_path / "run"), "-q"]
    small = ["--steps", "2", "--batch-size", "1", "--size", "32", "--style"]
    assert main([*train, *small, str(tmp_path / "paintings"), "--style-weight", "3"]) == (
        1 if method == "adaattn" else 0
    )
    if method == "adaattn":  # whose loss has other terms
        assert capsys.readouterr().err == (
            "nst: adaattn takes no --style-weight; its options are --encoder, --init-from, --decoder, --balance, "
            "--colors-weight\n"
        )
        assert main([*train, *small, str(tmp_path / "paintings")]) == 0
    weights = tmp_path / "run" / "weights.safetensors"
    metadata = load_metadata(weights)
    assert (metadata["method"], metadata["encoder"], metadata["init"]) == (method, "vgg19_mini", "random weights")
    out = tmp_path / "out.png"
    paint = ["stylize", "cat", "wave", "--method", method, "--weights", str(weights), "-o", str(out), "--size", "48"]
    assert main([*paint, "--alpha", "0.5", "--style-scale", "1.5"]) == 0
    assert nst.load_image(out, size=None).shape == (1, 3, 48, 72)
    capsys.readouterr()
    assert main([*train, *small, str(tmp_path / "paintings" / "swirl.png")]) == 1
    assert "name folders of paintings with --style" in capsys.readouterr().err


def test_the_command_line_starts_from_trained_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nst.save_image(nst.samples.content("cat", 64), tmp_path / "photos" / "cat.png")
    train = ["train", "johnson", "--content", str(tmp_path / "photos"), "-q", "--style", "ink", "--style-size", "64"]
    small = ["--steps", "1", "--batch-size", "1", "--size", "32"]
    assert main([*train, *small, "--out-dir", str(tmp_path / "run"), "--init-from", "wave", "--name", "brush"]) == 0
    metadata = load_metadata(tmp_path / "run" / "weights.safetensors")
    assert (metadata["style"], metadata["width"]) == ("brush", "16")
    assert metadata["init"].startswith("wave after ")
    begun = nst.Johnson.pretrained("wave").network.state_dict()
    moved = load_file(tmp_path / "run" / "weights.safetensors")
    assert (begun["res1.conv1.weight"] - moved["res1.conv1.weight"]).abs().max() < 3e-3  # one step of 0.001
    capsys.readouterr()
    assert main([*train, *small, "--out-dir", str(tmp_path / "b"), "--init-from", "wave", "--width", "8"]) == 1
    assert "--init-from wave is a network of width 16: leave --width out" in capsys.readouterr().err
