"""The command line: words, options, masks, where results go, and what is printed."""

from __future__ import annotations

import errno
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import nstlib as nst
from nstlib.cli import main
from nstlib.registry import METHODS
from nstlib.stylize import make_stylizer
from nstlib.utils.files import check_writable
from nstlib.utils.masks import read_masks


@pytest.fixture
def photo(tmp_path: Path) -> str:
    return str(nst.save_image(nst.samples.content("cat", 32), tmp_path / "photo.png"))


@pytest.fixture
def paintings(tmp_path: Path) -> list[str]:
    return [str(nst.save_image(nst.samples.style(name, 64), tmp_path / f"{name}.png")) for name in ("swirl", "ink")]


def pixels(path: Path) -> Tensor:
    return nst.load_image(path, size=None)


def told(capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence that was printed."""
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("nst: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("nst: ")


# ------------------------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        ("stylise cat swirl -o x.png", 2, "no command 'stylise'; did you mean 'stylize'?"),
        ("stylize cat swirl -o x.png --keep-colour coral", 2, "did you mean --keep-color?"),
        ("stylize cat swirl --output x.png", 2, "nst stylize has no option --output; did you mean --out?"),
        ("train johnson --styel swirl", 2, "nst train has no option --styel; did you mean --style?"),
        ("samples --sise=3", 2, "nst samples has no option --sise; did you mean --size?"),
        ("stylize cat swril -o x.png", 1, "no picture 'swril'"),
        ("stylize cat swril -o x.png", 1, "did you mean 'swirl'?"),
        ("stylize cta swirl -o x.png", 1, "did you mean 'cat'?"),
        ("stylize cat swirl -o x.png --method gatis", 1, "no method 'gatis'; did you mean 'gatys'?"),
        ("stylize cat swirl -o x.png --keep-color luminence", 1, "did you mean 'luminance'?"),
        ("stylize cat swirl -o x.png --init nosie", 1, "no init 'nosie'; did you mean 'noise'?"),
        ("stylize cat swirl -o x.png --init nosie.png", 1, "there is no file 'nosie.png'"),
        ("stylize cat swirl -o x.png --optimizer lbgfs", 1, "did you mean 'lbfgs'?"),
        ("stylize cat swirll -o x.png --method johnson", 1, "did you mean 'swirl'?"),
        ("train jonson --content . --out run --steps 1", 1, "no method 'jonson'; did you mean 'johnson'?"),
        ("train johnson --style swril --content . --out run --steps 1", 1, "did you mean 'swirl'?"),
        ("train johnson --style ink --content . --out-dir run --steps 1 --init-from swril", 1, "did you mean 'swirl'?"),
        ("train johnson --style ink --content . --out run --preset smok", 1, "did you mean 'smoke'?"),
        ("samples swril", 1, "did you mean 'swirl'"),
        ("stylize cat swirl", 2, "name a file or a folder with -o"),
        ("stylize -o x.png", 2, "no photograph"),
        ("train johnson --out run", 2, "with --content"),
        ("train", 2, "the following arguments are required: METHOD"),
        ("stylize cat swirl -o x.png --size big", 2, "--size: invalid int value: 'big'"),
    ],
)
def test_a_wrong_word_is_one_sentence_with_the_right_one(
    words: str,
    status: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == status
    assert sentence in told(capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "method", "option"),
    [
        ("stylize cat swirl -o x.png --alpha 0.5", "gatys", "--alpha"),
        ("stylize cat swirl -o x.png --method johnson --steps 3", "johnson", "--steps"),
        ("stylize cat swirl -o x.png --method johnson --style-scale 2", "johnson", "--style-scale"),
        ("stylize cat swirl -o x.png --method sanet --init noise", "sanet", "--init"),
        ("stylize cat swirl -o x.png --method adain --save-every 3", "adain", "--save-every"),
        ("train sanet --style . --content . --out run --steps 1 --width 8", "sanet", "--width"),
        ("train adaattn --style . --content . --out run --steps 1 --style-weight 8", "adaattn", "--style-weight"),
    ],
)
def test_an_option_of_another_method_is_told_with_those_that_the_method_takes(
    words: str, method: str, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words.split()) == 1
    sentence = told(capsys)
    assert sentence.startswith(f"{method} takes no {option}; its options are --")
    with pytest.raises(SystemExit):
        main([words.split()[0], "--help"])
    help = capsys.readouterr().out
    for offered in sentence.strip().partition(" are ")[2].split(", "):
        assert f"  {offered} " in help  # so what is offered can be used


def test_pictures_may_stand_before_between_and_after_options(photo: str, paintings: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    order = ["--steps", "1", photo, "-q", paintings[0], "--size", "32", paintings[1], "-o", str(out)]
    assert main(["stylize", *order]) == 0
    expected = nst.stylize(photo, paintings, steps=1, progress=False)
    assert (pixels(out) - expected).abs().max() < 0.01


# ---------------------------------------------------------------------------------------------- options


def test_the_options_of_gatys_reach_the_library(photo: str, paintings: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    options = (
        "--content-weight 3 --style-weight 50 --tv-weight 2 --content-layers relu3_1 relu4_2 --style-layers relu1_1 relu2_1 "
        "--layer-weights 1 3 --style-weights 0.3 0.7 --style-scale 1.5 --init noise --seed 5 --steps 3 --pyramid 1 "
        "--optimizer adam --learning-rate 0.1 --history-size 4 --precision float32 --pooling average --encoder vgg19_mini"
    )
    assert main(["stylize", photo, *paintings, "-o", str(out), "-q", "--device", "cpu", *options.split()]) == 0
    gatys = nst.Gatys(
        content_weight=3,
        style_weight=50,
        tv_weight=2,
        content_layers=["relu3_1", "relu4_2"],
        style_layers=["relu1_1", "relu2_1"],
        layer_weights={"relu1_1": 1, "relu2_1": 3},
        style_scale=1.5,
        init="noise",
        seed=5,
        steps=3,
        pyramid=1,
        optimizer="adam",
        learning_rate=0.1,
        pooling="average",
    )
    content, *styles = (pixels(Path(path)) for path in (photo, *paintings))
    expected = gatys.stylize(content, styles, style_weights=[0.3, 0.7], progress=False)
    assert (pixels(out) - expected).abs().max() < 0.01


def test_layer_weights_must_be_as_many_as_style_layers(photo: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", photo, "swirl", "-o", "x.png", "--layer-weights", "1", "2"]) == 1
    assert "one number for each of relu1_1 relu2_1 relu3_1 relu4_1 relu5_1: 5, got 2" in told(capsys)


def test_a_picture_to_begin_with_is_scaled_to_the_photograph(photo: str, tmp_path: Path) -> None:
    first = nst.save_image(nst.samples.content("coffee", 64), tmp_path / "first.png")
    out = tmp_path / "out.png"
    order = ["stylize", photo, "swirl", "-o", str(out), "-q", "--steps", "1", "--pyramid", "1", "--init", str(first)]
    assert main(order) == 0
    painted = pixels(out)
    near = nst.load_image(np.asarray(Image.open(first).resize((48, 32), Image.Resampling.BICUBIC)), size=None)
    assert (painted - near).abs().mean() < 0.03  # the picture before the first step
    assert (painted - pixels(Path(photo))).abs().mean() > 0.1


def test_pictures_along_the_way(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out" / "a.jpg"
    order = ["stylize", photo, "swirl", "-o", str(out), "--steps", "5", "--pyramid", "1"]
    assert main([*order, "--save-every", "2"]) == 0
    assert sorted(path.name for path in out.parent.iterdir()) == ["a-0002.jpg", "a-0004.jpg", "a.jpg"]
    assert (pixels(out.parent / "a-0004.jpg") - pixels(out)).abs().max() > 0
    capsys.readouterr()
    assert main([*order, "--save-every", "0"]) == 1
    assert told(capsys) == "--save-every must be a whole number of at least 1, got 0\n"


def test_the_strength_of_johnson_blends_pixels() -> None:
    content, johnson = nst.samples.content("cat", 40), nst.Johnson.pretrained("wave")
    whole = johnson.stylize(content)
    expected = 0.25 * whole + 0.75 * content
    torch.testing.assert_close(nst.stylize(content, "wave", method="johnson", alpha=0.25, device="cpu"), expected)
    assert torch.equal(johnson.stylize(content, alpha=1), whole)
    assert torch.equal(johnson.stylize(content, alpha=0), content)
    with pytest.raises(ValueError, match=r"alpha must lie in \[0, 1\], got 2"):
        johnson.stylize(content, alpha=2)


# ------------------------------------------------------------------------------------------------ masks


def test_grey_masks_and_a_map_of_colours_say_the_same(tmp_path: Path) -> None:
    left = np.zeros((20, 40), np.uint8)
    left[:, :20] = 255
    files = [tmp_path / "left.png", tmp_path / "right.png", tmp_path / "map.png", tmp_path / "map.jpg"]
    Image.fromarray(left).save(files[0])
    Image.fromarray(255 - left).save(files[1])
    colors = np.where(left[..., None] > 0, (200, 30, 30), (30, 30, 200)).astype(np.uint8)
    for path in files[2:]:
        Image.fromarray(colors).save(path)
    expected = torch.zeros(2, 40, 80)
    expected[0, :, :40], expected[1, :, 40:] = 1, 1
    assert (read_masks(files[:2], 2, (40, 80)) - expected).abs().mean() < 0.02  # whose edge is soft
    for path in files[2:]:
        assert torch.equal(read_masks([path], 2, (40, 80)), expected), path.name
    assert read_masks(files[:1], 1, (40, 80)).shape == (1, 40, 80)


def test_the_colours_of_a_map_are_taken_from_the_top_left_row_by_row() -> None:
    colors = np.zeros((30, 30, 3), np.uint8)
    colors[:10], colors[10:, :20], colors[10:, 20:] = (0, 0, 250), (250, 250, 0), (250, 0, 0)
    masks = read_masks([colors], 3, (30, 30))
    assert [mask.nonzero()[0].tolist() for mask in masks] == [[0, 0], [10, 0], [10, 20]]
    assert [int(mask.sum()) for mask in masks] == [300, 400, 200]


@pytest.mark.parametrize(
    ("count", "styles", "sentence"),
    [
        (2, 3, "or a single map of their colours, got 2 files for 3 paintings"),
        (2, 1, "or a single map of their colours, got 2 files for 1 painting"),
        (1, 3, "has 2 flat colours, and there are 3 paintings"),
    ],
)
def test_masks_that_dont_fit_the_paintings(
    count: int, styles: int, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grey = np.zeros((8, 8), np.uint8)
    grey[:4] = 255
    Image.fromarray(grey).save(tmp_path / "mask.png")
    masks = ["--mask", str(tmp_path / "mask.png")] * count
    names = ["swirl", "ink", "wave"][:styles]
    assert main(["stylize", "cat", *names, "-o", str(tmp_path / "x.png"), "--size", "32", *masks]) == 1
    assert sentence in told(capsys)


def test_a_black_mask_is_told(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "night.png")
    with pytest.raises(ValueError, match=r"the mask '.*night\.png' is black everywhere"):
        read_masks([tmp_path / "night.png"], 1, (8, 8))


@pytest.mark.parametrize("hidden", [0, 255])
def test_what_is_transparent_in_a_mask_is_not_where_its_painting_goes(hidden: int, tmp_path: Path) -> None:
    shape = np.full((20, 40, 4), (hidden, hidden, hidden, 0), np.uint8)
    shape[:, :20] = 255  # a white shape before nothing, as editors export it
    Image.fromarray(shape).save(tmp_path / "shape.png")
    mask = read_masks([tmp_path / "shape.png"], 1, (20, 40))
    assert torch.equal(mask, (torch.arange(40) < 20).float().expand(1, 20, 40))


def test_what_no_mask_covers_stays_a_photograph(tmp_path: Path) -> None:
    mask = np.zeros((48, 72), np.uint8)
    mask[:, :36] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    order = ["stylize", "cat", "poster", "-o", str(tmp_path / "out.png"), "--size", "48", "-q", "--device", "cpu"]
    assert main([*order, "--mask", str(tmp_path / "mask.png"), "--method", "adain"]) == 0
    painted, content = pixels(tmp_path / "out.png"), nst.samples.content("cat", 48)
    assert (painted - content)[..., 36:].abs().max() < 0.003
    whole = nst.stylize(content, nst.samples.style("poster", None), method="adain", device="cpu")
    assert (painted - whole)[..., :36].abs().max() < 0.003
    style = nst.samples.style("poster", 48)
    by_file, by_tensor = (
        nst.stylize(content, style, mask=one, steps=2, progress=False)
        for one in (tmp_path / "mask.png", torch.from_numpy(mask)[None] / 255)
    )
    assert torch.equal(by_file, by_tensor)  # Gatys knows regions that have no style


@pytest.mark.parametrize("which", ["painting", "mask", "init"])
def test_whatever_is_a_jpeg_beyond_the_limit_is_read_at_half_its_size(
    which: str, photo: str, paintings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = nst.save_image(nst.samples.style("swirl", 200), tmp_path / "scan.jpg")
    half = nst.save_image(nst.load_image(scan, size=100), tmp_path / "half.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # 20,000 pixels are refused, as are 178,956,970 else
    painted = []
    for source in (scan, half):
        given = {"painting": paintings[1], "mask": paintings[0], "init": photo, which: str(source)}
        order = ["stylize", photo, given["painting"], "--mask", given["mask"], "--init", given["init"], "--steps", "1"]
        assert main([*order, "-q", "-o", str(tmp_path / "out.png")]) == 0
        painted.append(pixels(tmp_path / "out.png"))
    assert (painted[0] - painted[1]).abs().mean() < 0.03


# ------------------------------------------------------------------------------------------- style_scale


@pytest.mark.parametrize("method", ["adain", "sanet", "adaattn"])
def test_a_painting_is_as_large_as_the_photograph(method: str) -> None:
    content, style = nst.samples.content("cat", 40), nst.samples.style("swirl", 80)
    model = METHODS[method].model.pretrained()
    cases: list[tuple[dict[str, Any], int]] = [({}, 40), ({"style_scale": 1.5}, 60), ({"size": 32}, 32)]
    for options, side in cases:
        painted = nst.stylize(content, style, method=method, device="cpu", **options)
        expected = model.stylize(nst.load_image(content, size=options.get("size")), nst.load_image(style, size=side))
        torch.testing.assert_close(painted, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("method", ["gatys", "adain"])
def test_a_small_painting_is_told_and_not_enlarged(method: str) -> None:
    style = nst.samples.style("glass", 32)
    options: dict[str, Any] = {"steps": 1, "init": "noise"} if method == "gatys" else {}
    paint = make_stylizer(style, method=method, style_scale=2, device="cpu", progress=False, **options)
    contents = [nst.samples.content(name, size) for name, size in (("cat", 48), ("coffee", 64), ("rocket", 48))]
    with pytest.warns(
        UserWarning, match="too small for style_scale=2 beside a photograph of 96 x 64 px: it is used at"
    ):
        painted = [paint(content) for content in contents]
    asked = nst.stylize(contents[1], style, method=method, style_scale=0.5, device="cpu", progress=False, **options)
    torch.testing.assert_close(painted[1], asked)  # 32 of 64 px


def test_gatys_keeps_a_small_painting_at_its_share_of_the_photograph_on_every_level() -> None:
    content, style = nst.samples.content("cat", 128), nst.samples.style("dots", 96)
    options: dict[str, Any] = {"steps": 2, "pyramid": 2}
    with pytest.warns(UserWarning, match="96 x 96 px"):
        small = nst.Gatys(**options).stylize(content, style, progress=False)
    asked = nst.Gatys(style_scale=0.75, **options).stylize(content, style, progress=False)
    assert torch.equal(small, asked)


# ----------------------------------------------------------------------------------- where results go


def test_each_painting_by_itself(
    photo: str, paintings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    order = ["stylize", photo, *paintings, "--each", "-o", str(out), "--method", "adain", "--device", "cpu"]
    assert main(order) == 0
    assert capsys.readouterr() == (
        f"{out / 'photo-swirl.png'}: 48 x 32 px\n{out / 'photo-ink.png'}: 48 x 32 px\n",
        "",
    )
    for name, painting in zip(("swirl", "ink"), paintings):
        expected = nst.stylize(photo, painting, method="adain", device="cpu")
        assert (pixels(out / f"photo-{name}.png") - expected).abs().max() < 0.003


def test_each_network_paints_a_folder(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    Path(photo).rename(folder / "a.png")
    assert main(["stylize", str(folder), "wave", "glass", "--each", "-o", str(out), "--method", "johnson"]) == 0
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.png")) == ["glass/a.png", "wave/a.png"]
    assert "1 pictures written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["-o", "out", "--style-weights", "1", "2"], "--each paints with one painting at a time, and --style-weights"),
        (["-o", "out", "--mask", "map.png"], "--each paints with one painting at a time, and --mask"),
        (["-o", "out.png"], "--each writes one picture for each painting into a folder, and 'out.png' is a file name"),
        (["-o", "out", "deep/swirl.jpg"], "would both be called 'cat-swirl.png': rename a painting"),
    ],
)
def test_each_refuses_what_makes_no_sense(more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stylize", "cat", "swirl", "ink", "--each", *more]) == 1
    assert sentence in told(capsys)


def test_ctrl_c_ends_all_paintings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def painter_that_is_stopped(styles: Any, **options: Any) -> Callable[[Any], Tensor]:
        def paint(content: Any) -> Tensor:
            with suppress(KeyboardInterrupt):  # as Gatys does, to give its best picture so far
                signal.raise_signal(signal.SIGINT)
            return torch.zeros(1, 3, 8, 8)

        return paint

    monkeypatch.setattr("nstlib.cli.stylize.make_stylizer", painter_that_is_stopped)
    assert main(["stylize", "cat", "swirl", "ink", "--each", "-o", str(tmp_path)]) == 130
    assert [path.name for path in tmp_path.iterdir()] == ["cat-swirl.png"]
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("which", ["photograph", "painting", "mask", "init"])
def test_a_result_replaces_none_of_its_sources(
    which: str, photo: str, paintings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = {"photograph": photo, "painting": paintings[0], "mask": paintings[1], "init": str(tmp_path / "init.png")}
    Path(sources["init"]).write_bytes(Path(photo).read_bytes())
    before = Path(sources[which]).read_bytes()
    order = ["stylize", photo, paintings[0], "--mask", sources["mask"], "--init", sources["init"], "--steps", "1"]
    (tmp_path / "link").symlink_to(tmp_path)
    assert main([*order, "-o", str(tmp_path / "link" / Path(sources[which]).name)]) == 1
    assert f"the result would replace '{sources[which]}', one of its sources" in told(capsys)
    assert Path(sources[which]).read_bytes() == before


def test_pictures_along_the_way_replace_no_source(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = nst.save_image(nst.samples.content("cat", 32), tmp_path / "out-0002.png")
    before = first.read_bytes()
    order = ["stylize", photo, "swirl", "-o", str(tmp_path / "out.png"), "--init", str(first), "--steps", "4"]
    assert main([*order, "--save-every", "2"]) == 1
    assert f"the result would replace '{first}', one of its sources" in told(capsys)
    assert main([*order, "--save-every", "3"]) == 0
    assert first.read_bytes() == before


def test_pictures_of_a_folder_replace_no_source(
    photo: str, paintings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", Path(paintings[0]).parent
    photos.mkdir()
    Path(photo).rename(photos / "a.png")
    order = ["stylize", str(photos), paintings[0], "-o", str(out), "--method", "adain", "-q"]
    assert main(order) == 0  # beside the painting
    (photos / "a.png").rename(photos / "swirl.png")
    assert main(order) == 1
    assert f"the result would replace '{paintings[0]}', one of its sources" in told(capsys)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no folder that nobody can write to")
@pytest.mark.parametrize("kind", ["picture", "folder", "each"])
def test_where_nothing_can_be_written_nothing_is_painted(
    kind: str, photo: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nstlib.cli.stylize.make_stylizer", lambda *given, **options: pytest.fail("it has begun"))
    content = str(Path(photo).parent) if kind == "folder" else photo
    out = {"picture": "/proc/nst/x.png", "folder": "/proc/nst", "each": "/proc/nst"}[kind]
    assert main(["stylize", content, "swirl", "-o", out, *(["--each"] if kind == "each" else [])]) == 1
    assert told(capsys).startswith("'/proc/nst")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no folder that nobody can write to")
def test_where_nothing_can_be_written_nothing_is_trained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nstlib.cli.train.train", lambda *given, **options: pytest.fail("it has begun"))
    assert (
        main(["train", "johnson", "--style", "swirl", "--content", ".", "--out-dir", "/proc/nst", "--steps", "3"]) == 1
    )
    assert told(capsys).startswith("'/proc/nst' cannot be written")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC])
@pytest.mark.parametrize("folder", [False, True])
def test_a_check_that_fails_says_why(
    folder: bool, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object, **options: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    with pytest.raises(OSError, match=r"deep.*' cannot be written: no") as caught:
        check_writable(tmp_path / "deep" / "x.png", folder=folder)
    assert caught.value.errno == number


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_writable(tmp_path / "deep" / "deeper" / "x.png")
    check_writable(tmp_path / "deep", folder=True)
    check_writable(tmp_path, folder=True)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"'.*file' is not a folder"):
        check_writable(tmp_path / "file" / "x.png")
    with pytest.raises(IsADirectoryError, match="is a folder, and one file is to be written"):
        check_writable(tmp_path)


# ------------------------------------------------------------------------------------------ what is printed


def test_warnings_are_sentences(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = [nst.save_image(nst.samples.style(name, 24), tmp_path / f"{name}.png") for name in ("ink", "dots")]
    order = ["stylize", photo, *map(str, small), "--each", "-o", str(tmp_path / "out"), "--steps", "1"]
    assert main(order) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    for line, painting in zip(lines, small):
        assert line.startswith(
            f"nst: warning: {painting}: a painting of 24 x 24 px is too small for style_scale=1 beside"
        )


def test_quiet_prints_errors_only(photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = str(nst.save_image(nst.samples.style("ink", 24), tmp_path / "ink.png"))
    order = ["stylize", photo, small, "-o", str(tmp_path / "out.png"), "-q", "--steps", "1"]
    assert main(order) == 0
    assert main(["samples", "ink", "--out", str(tmp_path), "--size", "16", "-q"]) == 0
    assert capsys.readouterr() == ("", "")
    assert main([*order, "--steps", "0"]) == 1
    assert told(capsys) == "steps must be a whole number of at least 1, got 0\n"


@pytest.mark.parametrize("content", ["picture", "folder"])
def test_without_a_terminal_there_is_no_bar(
    content: str, photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = {"picture": tmp_path / "out.png", "folder": tmp_path / "out"}[content]
    source = photo if content == "picture" else str(tmp_path)
    assert main(["stylize", source, "swirl", "-o", str(out), "--size", "32", "--steps", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1


def test_a_training_without_a_terminal_prints_whole_lines(
    photo: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = [
        "train",
        "johnson",
        "--style",
        "swirl",
        "--content",
        str(Path(photo).parent),
        "--out-dir",
        str(tmp_path / "run"),
    ]
    small = [
        "--batch-size",
        "1",
        "--size",
        "32",
        "--width",
        "2",
        "--style-size",
        "32",
        "--device",
        "cpu",
        "--steps",
        "1",
    ]
    assert main([*order, *small]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "1 steps of 1 pictures" in captured.out
    assert "\r" not in captured.out
    assert main([*order, *small, "-q"]) == 0
    assert capsys.readouterr() == ("", "")
