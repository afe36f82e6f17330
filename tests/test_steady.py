"""Videos that don't flicker: what stays is held, what moves is followed, and what is new is painted anew."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

import nstlib as nst
from nstlib.cli import main
from nstlib.registry import METHODS
from nstlib.steady import Before, follow, hold, motion
from nstlib.stylize import make_stylizer
from nstlib.utils.animations import open_animation
from nstlib.video import paint_video

EVERY = pytest.mark.parametrize("method", METHODS)


def clip(count: int = 4, *, right: int = 0, down: int = 0, noise: float = 0.02, size: int = 64) -> list[Tensor]:
    """The astronaut, by a camera that moves so many pixels a frame, and whose pixels are noisy."""
    random = torch.Generator().manual_seed(0)
    photo = nst.samples.content("astronaut", size + (count - 1) * max(right, down))
    frames = [photo[..., k * down :, k * right :][..., :size, :size] for k in range(count)]
    return [(frame + noise * torch.randn(frame.shape, generator=random)).clamp(0, 1) for frame in frames]


def painted(frames: list[Tensor], method: str, *, alone: bool = False, **options: Any) -> list[Tensor]:
    """The results of a video, or those of its frames one by one."""
    if method == "gatys":
        options = {"steps": 15, "frame_steps": 2, "progress": False, **options}
    paint = make_stylizer(style_of(method), method=method, device="cpu", **options)
    results: list[Tensor] = []
    for k, frame in enumerate(frames):
        before = Before(frames[k - 1], results[-1]) if k and not alone else None
        results.append(paint(frame, before))
    return results


def style_of(method: str) -> Any:
    return "wave" if method == "johnson" else nst.samples.style("swirl", 64)


def flicker(results: list[Tensor], right: int = 0) -> float:
    """The mean difference of consecutive results, where they show the same after a motion of so many pixels."""
    width = results[0].shape[3]
    pairs = itertools.pairwise(results)
    return sum((a[..., right:] - b[..., : width - right]).abs().mean().item() for a, b in pairs) / (len(results) - 1)


def save_clip(frames: list[Tensor], path: Path) -> Path:
    first, *others = map(nst.to_pil, frames)
    first.save(path, save_all=True, append_images=others, duration=100)
    return path


def read_clip(path: Path) -> list[Tensor]:
    return [picture() for _, _, picture in open_animation(path).frames]


# ---------------------------------------------------------------- motion and trust


@pytest.mark.parametrize(("right", "down"), [(1, 0), (3, 2), (0, 9), (12, 5)])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_pan_is_followed(right: int, down: int, noise: float) -> None:
    last, frame = clip(2, right=right, down=down, noise=noise, size=160)
    flow = motion(last, frame)
    assert flow.shape == (1, 2, 160, 160)
    # the middle of all pixels, since the flat wall behind the astronaut doesn't tell where it came from
    assert flow[0].flatten(1).median(1).values.tolist() == pytest.approx([right, down], abs=0.3)
    moved, trust = follow(Before(last, 1 - last), frame)
    inner = (..., slice(None, 160 - down), slice(None, 160 - right))
    assert trust[inner].mean() > 0.9
    assert (trust * (moved.result - (1 - frame)).abs()).mean() < 0.03 + noise


def test_a_large_frame_is_followed_too() -> None:
    last, frame = clip(2, right=10, down=4, size=512)
    flow = motion(last, frame)
    assert flow[0].flatten(1).median(1).values.tolist() == pytest.approx([10, 4], abs=1)


def test_the_noise_of_a_still_clip_is_not_followed() -> None:
    last, frame = clip(2, noise=0.02, size=128)
    assert motion(last, frame).abs().mean() < 0.05
    _, trust = follow(Before(last, last), frame)
    assert trust.mean() > 0.9


def test_what_moves_before_a_background_leaves_no_trace() -> None:
    background, object = nst.samples.content("coffee", 128), nst.samples.content("cat", 128)[..., :40, :40]
    last, frame = background.clone(), background.clone()
    last[..., 40:80, 30:70], frame[..., 40:80, 50:90] = object, object
    red, blue = torch.tensor([1.0, 0, 0])[:, None, None], torch.tensor([0, 0, 1.0])[:, None, None]
    old = red.expand_as(last).clone()
    shown = hold(blue.expand_as(frame), frame, Before(last, old), steady=1)
    uncovered, still = shown[0, 0, 44:76, 32:44], shown[0, 0, 100:, :]
    assert uncovered.mean() < 0.2  # painted anew
    assert still.mean() > 0.9  # held


def test_a_cut_is_not_smeared() -> None:
    last, frame = (nst.samples.content(name, 96)[..., :96, :96] for name in ("cat", "coffee"))
    _, trust = follow(Before(last, last), frame)
    assert trust.mean() < 0.02
    assert (hold(frame, frame, Before(last, 1 - last), steady=1) - frame).abs().mean() < 0.02


def test_steadiness_is_the_part_of_the_last_result() -> None:
    frame = nst.samples.content("cat", 48)
    old, new = torch.zeros_like(frame), torch.ones_like(frame)
    for steady in (0.0, 0.25, 1.0):
        shown = hold(new, frame, Before(frame, old), steady)
        torch.testing.assert_close(shown, torch.full_like(frame, 1 - steady), rtol=0, atol=1e-5)
    assert hold(new, frame, None) is new
    with pytest.raises(ValueError, match=r"steady must lie in \[0, 1\], got 1\.5"):
        hold(new, frame, Before(frame, old), 1.5)


def test_what_was_transparent_is_no_last_result() -> None:
    colors = nst.samples.content("cat", 48)
    half = torch.ones(1, 1, 48, 72)
    half[..., 36:] = 0
    hidden = torch.cat([torch.ones_like(colors), half], 1)  # white on white, and then a white picture
    shown = hold(torch.zeros(1, 4, 48, 72), torch.ones(1, 4, 48, 72), Before(hidden, hidden), steady=1)
    assert shown[0, :3, :, :30].min() > 0.99
    assert shown[0, :3, :, 42:].max() < 0.01
    assert torch.equal(shown[:, 3:], torch.zeros(1, 1, 48, 72))  # the present frame's


# ---------------------------------------------------------------- every method


@EVERY
def test_a_still_clip_flickers_less(method: str) -> None:
    frames = clip(3, size=48)
    assert flicker(painted(frames, method)) < 0.5 * flicker(painted(frames, method, alone=True))


@EVERY
def test_a_pan_flickers_less_along_its_motion(method: str) -> None:
    frames = clip(3, right=3, noise=0.0, size=58)
    held, alone = painted(frames, method), painted(frames, method, alone=True)
    assert flicker(held, right=3) < 0.7 * flicker(alone, right=3)


@pytest.mark.parametrize("method", [method for method in METHODS if method != "gatys"])
def test_a_steadiness_of_0_paints_frame_by_frame(method: str) -> None:
    frames = clip(2)
    for one, other in zip(painted(frames, method, steady=0), painted(frames, method, alone=True)):
        assert torch.equal(one, other)


def test_gatys_begins_with_the_last_result_and_anew_after_a_cut() -> None:
    frames = [*clip(2), nst.samples.content("coffee", 64)[..., :64, :64]]
    steps: list[int] = []

    def note(result: Any) -> None:
        steps.append(int(result.history[-1]["step"]))

    results = painted(frames, "gatys", steps=6, frame_steps=2, callback=note)
    assert steps == [1, 2, 3, 4, 5, 6, 1, 2, 1, 2, 3, 4, 5, 6]
    alone = painted(frames, "gatys", steps=6, alone=True)
    torch.testing.assert_close(results[2], alone[2])


def test_gatys_takes_a_start_and_steps_for_one_picture() -> None:
    content, style = nst.samples.content("cat", 64), nst.samples.style("swirl", 64)
    gatys, start = nst.Gatys(steps=9), torch.full_like(content, 0.5)
    result = gatys(content, style, init=start, steps=3, progress=False)
    assert [entry["size"] for entry in result.history] == [64, 64, 64]
    expected = nst.Gatys(steps=3, pyramid=1, init=start)(content, style, progress=False)
    torch.testing.assert_close(result.picture, expected.picture)
    with pytest.raises(ValueError, match="init is"):
        gatys(content, style, init=start[..., 1:], progress=False)


@pytest.mark.parametrize("options", [{"keep_color": "luminance"}, {"size": 48}, {"keep_alpha": False}])
def test_frames_take_the_options_of_pictures(options: dict[str, Any]) -> None:
    frames = clip(3)
    results = painted(frames, "adain", **options)
    side = options.get("size", 64)
    assert results[2].shape == (1, 3, side, side)
    assert flicker(results) < 0.5 * flicker(painted(frames, "adain", alone=True, **options))


# ---------------------------------------------------------------- whole videos


@pytest.mark.parametrize("method", ["gatys", "sanet"])
@pytest.mark.parametrize("name", ["out.png", "out.mp4"])
def test_a_video_that_was_stopped_is_that_of_a_run_without_a_stop(method: str, name: str, tmp_path: Path) -> None:
    if name.endswith(".mp4"):
        pytest.importorskip("av")
    source = save_clip(clip(6, right=1, size=48), tmp_path / "in.png")
    options: dict[str, Any] = {"steps": 6, "frame_steps": 2, "progress": False} if method == "gatys" else {}
    paint = make_stylizer(style_of(method), method=method, device="cpu", **options)
    calls: list[Tensor] = []

    def stopping(frame: Tensor, before: Before | None) -> Tensor:
        if len(calls) == 4:
            calls.clear()
            raise RuntimeError("stopped")
        calls.append(paint(frame, before))
        return calls[-1]

    def keeping(frame: Tensor, before: Before | None) -> Tensor:
        whole.append(paint(frame, before))
        return whole[-1]

    whole: list[Tensor] = []
    paint_video(source, tmp_path / f"whole-{name}", keeping, progress=False)
    with pytest.raises(RuntimeError, match="stopped"):
        paint_video(source, tmp_path / name, stopping, progress=False)
    assert 1 < len(list(tmp_path.glob(f".{name}.*/*.npy"))) <= 3  # not one for every frame
    assert paint_video(source, tmp_path / name, stopping, progress=False) == 6
    assert 2 <= len(calls) <= 3
    for one, other in zip(reversed(calls), reversed(whole)):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    assert not list(tmp_path.glob(".*"))


def test_the_command_line_paints_steady_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = save_clip(clip(3), tmp_path / "in.png")
    order = ["stylize", str(source), "--method", "johnson", "--style", "wave", "--device", "cpu", "-o"]
    shown = {}
    for name, more in {"steady.png": [], "asked.png": ["--steady", "0.8"], "alone.png": ["--steady", "0"]}.items():
        assert main([*order, str(tmp_path / name), *more]) == 0
        shown[name] = read_clip(tmp_path / name)
    assert capsys.readouterr().err == ""
    assert all(map(torch.equal, shown["steady.png"], shown["asked.png"]))
    assert flicker(shown["steady.png"]) < 0.5 * flicker(shown["alone.png"])
    frames = read_clip(source)
    expected = [nst.stylize(frame, "wave", method="johnson", device="cpu") for frame in frames]
    for one, other in zip(shown["alone.png"], expected):
        torch.testing.assert_close(one, other, rtol=0, atol=0.003)  # 8 bits
    assert (
        main(["stylize", str(source), "swirl", "--steps", "4", "--frame-steps", "1", "-o", str(tmp_path / "g.png")])
        == 0
    )
    assert len(read_clip(tmp_path / "g.png")) == 3


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (
            ["cat", "--method", "adain", "--steady", "0.5"],
            "--steady is for the frames of a video, and 'cat' is a picture",
        ),
        (["cat", "--frame-steps", "5"], "--frame-steps is for the frames of a video, and 'cat' is a picture"),
        (["FOLDER", "--method", "adain", "--steady", "0.5"], "--steady is for the frames of a video, and"),
        (["cat", "--steady", "0.5"], "gatys takes no --steady; its options are"),
        (["cat", "--method", "sanet", "--frame-steps", "5"], "sanet takes no --frame-steps; its options are"),
        (["CLIP", "--method", "adain", "--steady", "2"], "steady must lie in [0, 1], got 2.0"),
        (["CLIP", "--frame-steps", "0"], "frame_steps must be a whole number of at least 1, got 0"),
    ],
)
def test_options_where_they_dont_belong_are_refused(
    more: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = save_clip(clip(2, size=16), tmp_path / "in.png")
    folder = nst.save_image(torch.rand(1, 3, 8, 8), tmp_path / "folder" / "a.png").parent
    words = [{"CLIP": str(source), "FOLDER": str(folder)}.get(word, word) for word in more]
    out = tmp_path / ("results" if "FOLDER" in more else "out.png")
    assert main(["stylize", words[0], "swirl", *words[1:], "-o", str(out)]) == 1
    assert sentence in capsys.readouterr().err
    assert not out.exists()


def test_the_library_refuses_them_for_pictures() -> None:
    photo = nst.samples.content("cat", 32)
    for method, option in (("adain", {"steady": 0.5}), ("gatys", {"frame_steps": 2})):
        with pytest.raises(TypeError, match=r"is for the frames of a video, and stylize paints one picture"):
            nst.stylize(photo, photo, method=method, **option)
    with pytest.raises(TypeError, match="gatys has no option 'steady'"):
        make_stylizer(photo, steady=0.5)


# ---------------------------------------------------------------- transparency


def disc(k: int) -> Tensor:
    """A cat that is seen in a square, which moves: `(1, 4, 48, 72)`."""
    opacity = torch.zeros(1, 1, 48, 72)
    opacity[..., 10:30, 10 * k + 5 : 10 * k + 35] = 1
    return torch.cat([nst.samples.content("cat", 48), opacity], 1)


@pytest.mark.parametrize("source", ["in.gif", "in.webp", "in.png"])
def test_transparent_animations_stay_so(source: str, tmp_path: Path) -> None:
    first, *others = [nst.to_pil(disc(k)) for k in range(3)]
    kinds: dict[str, Any] = {"in.gif": {"disposal": 2}, "in.webp": {"lossless": True}, "in.png": {}}
    first.save(tmp_path / source, save_all=True, append_images=others, duration=100, **kinds[source])
    paint = make_stylizer("wave", method="johnson", device="cpu")
    for out in ("out.gif", "out.webp", "out.png", "out.apng"):
        paint_video(tmp_path / source, tmp_path / out, paint, progress=False)
        results = read_clip(tmp_path / out)
        assert len(results) == 3
        for k, result in enumerate(results):
            torch.testing.assert_close(result[:, 3:], disc(k)[:, 3:], rtol=0, atol=0.01)
    opaque = make_stylizer("wave", method="johnson", device="cpu", keep_alpha=False)
    paint_video(tmp_path / source, tmp_path / "white.png", opaque, progress=False)
    assert {result.shape[1] for result in read_clip(tmp_path / "white.png")} == {3}


def test_a_video_file_says_that_it_lies_on_white(tmp_path: Path) -> None:
    pytest.importorskip("av")
    source = save_clip([disc(0), disc(1)], tmp_path / "in.png")
    with pytest.warns(
        UserWarning, match=r"'out\.mp4' can't be transparent as its source is, so it lies on white"
    ) as told:
        paint_video(source, tmp_path / "out.mp4", lambda frame, before: frame, progress=False)
    assert len(told) == 1
    paint_video(tmp_path / "out.mp4", tmp_path / "back.png", lambda frame, before: frame, progress=False)
    assert read_clip(tmp_path / "back.png")[0][..., :6, :].min() > 0.95


def test_frames_that_are_opaque_have_no_opacity(tmp_path: Path) -> None:
    frames = [Image.new("RGBA", (16, 16), (k * 90, 0, 0, 255)) for k in range(2)]
    frames[0].save(tmp_path / "in.png", save_all=True, append_images=frames[1:], duration=100)
    assert {frame.shape for frame in read_clip(tmp_path / "in.png")} == {(1, 3, 16, 16)}
