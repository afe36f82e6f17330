"""Videos and animations: timing, sound, colours, shape, and runs that are stopped."""

from __future__ import annotations

import errno
import resource
import signal
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from test_johnson import TransformerNet
from torch import Tensor

import nstlib as nst
from nstlib.cli import main
from nstlib.steady import Before
from nstlib.utils.batch import paint_folder
from nstlib.video import VIDEOS, is_video, paint_video
from nstlib.weights import save_file

av: Any = pytest.importorskip("av")

COLOURS = [
    (0, 255, 0),
    (255, 0, 0),
    (0, 0, 255),
    (255, 255, 255),
    (0, 0, 0),
    (128, 64, 200),
    (250, 180, 20),
    (30, 90, 60),
]
BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)
TICK = Fraction(1, 600)
UNEVEN = [0, 10, 20, 60, 70, 200, 210, 280]  # ticks: a variable frame rate


def invert(frame: Tensor, before: Before | None) -> Tensor:
    return 1 - frame


def keep(frame: Tensor, before: Before | None) -> Tensor:
    return frame


def paint(source: Path, out: Path, painted: Callable[[Tensor, Before | None], Tensor] = invert, **options: Any) -> int:
    return paint_video(source, out, painted, progress=False, **options)


def stripes(height: int = 48, width: int = 64) -> np.ndarray:
    """Eight stripes of even width: (H, W, 3)."""
    return np.array(COLOURS, np.uint8)[None].repeat(height, 0).repeat(width // 8, 1)


def clip(
    path: Path,
    times: Sequence[int] = range(0, 480, 60),
    *,
    picture: np.ndarray | None = None,
    sound: str | None = None,
    rotation: int = 0,
    codec: str = "libx264",
    form: str | None = None,
    faststart: bool = False,
    **context: Any,
) -> Path:
    """Write a video of frames at these ticks, each darker than the last, or all alike."""
    options = {"movflags": "faststart"} if faststart and form == "mp4" else {}
    with av.open(f"file:{path}", "w", format=form, container_options=options) as container:
        video = container.add_stream(codec, rate=10, options={"qp": "0"})
        levels = np.linspace(230, 30, len(times)).astype(np.uint8)
        frames = [np.full((48, 64, 3), level) if picture is None else picture for level in levels]
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "rgb24" if codec == "libx264rgb" else "yuv444p"
        video.codec_context.time_base = TICK
        for name, value in context.items():
            setattr(video.codec_context, name, value)
        if rotation:
            video.set_display_rotation(rotation)
        tone = container.add_stream(sound, rate=48000) if sound else None
        for pixels, time in zip(frames, times):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if codec != "libx264rgb":
                frame = frame.reformat(format="yuv444p", dst_colorspace=context.get("colorspace", 5))
            frame.pts, frame.time_base = time, TICK
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if tone is not None:
            wave = (9000 * np.sin(np.arange(24000) * 0.06)).astype(np.int16)[None].repeat(2, 1)  # half a second, stereo
            samples = av.AudioFrame.from_ndarray(wave, format="s16", layout="stereo")
            samples.sample_rate, samples.pts, samples.time_base = 48000, 0, Fraction(1, 48000)
            container.mux([*tone.encode(samples), *tone.encode(None)])
    return path


def starts(path: Path) -> list[float]:
    """The seconds at which the frames of a video are shown."""
    with av.open(f"file:{path}") as container:
        return [frame.time for frame in container.decode(video=0)]


def brightness(path: Path) -> list[float]:
    """The mean of every frame of a video, from 0 to 1."""
    with av.open(f"file:{path}") as container:
        return [frame.to_ndarray(format="gray").mean() / 255 for frame in container.decode(video=0)]


def durations(path: Path) -> tuple[list[int], int | None]:
    """The milliseconds of every frame of an animation, and its loop entry."""
    with Image.open(path) as image:
        found = []
        for index in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(index)
            image.load()
            found.append(round(image.info["duration"]))
        return found, image.info.get("loop")


def animation(path: Path, shown: Sequence[int] = (100, 250, 40, 300), **options: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    frames = [Image.new("RGB", (64, 48), (level, level, level)) for level in (20, 90, 160, 230)]
    quality = {"lossless": True} if path.suffix == ".webp" else {}
    form = {".gif": "GIF", ".webp": "WEBP"}.get(path.suffix, "PNG")
    frames[0].save(path, form, save_all=True, append_images=frames[1:], duration=list(shown), **quality, **options)
    return path


# ---------------------------------------------------------------- timing and sound


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_a_variable_frame_rate_stays_and_the_sound_is_in_step(suffix: str, tmp_path: Path) -> None:
    source, out = clip(tmp_path / "in.mp4", UNEVEN, sound="aac"), tmp_path / f"out{suffix}"
    assert paint(source, out) == len(UNEVEN)
    with av.open(str(out)) as container:
        sound = list(container.decode(audio=0))
        assert container.duration / av.time_base == pytest.approx(0.567, abs=0.03)
    first = sound[0].time + (
        0.0213 if suffix == ".mkv" else 0
    )  # AAC's first block is none of it, and Matroska shows it
    assert [start - first for start in starts(out)] == pytest.approx([tick / 600 for tick in UNEVEN], abs=0.003)
    assert sound[-1].time + sound[-1].samples / 48000 - first == pytest.approx(0.5, abs=0.03)
    assert brightness(out)[0] < 0.2 < 0.8 < brightness(out)[-1]  # painted, and in order


@pytest.mark.parametrize("suffix", VIDEOS)
def test_videos_of_every_suffix_can_be_played(suffix: str, tmp_path: Path) -> None:
    source = clip(tmp_path / "12:30:15.mp4")  # a colon is no protocol
    out = tmp_path / "a:b" / f"out{suffix}"
    assert paint(source, out) == 8
    assert np.diff(starts(out)) == pytest.approx([0.1] * 7, abs=0.002)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize(("suffix", "codec"), [(".ts", "libx264"), (".flv", "flv"), (".WMV", "wmv2")])
def test_what_cameras_and_old_sites_give_is_read(suffix: str, codec: str, tmp_path: Path) -> None:
    source, out = tmp_path / f"in{suffix}", tmp_path / "out"
    form = {".ts": "mpegts", ".WMV": "asf"}.get(suffix)
    with av.open(str(source), "w", format=form) as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for level in range(20, 180, 20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), level, np.uint8))))
        container.mux(stream.encode(None))
    order = ["stylize", str(source), "wave", "--method", "johnson", "-q"]
    assert main([*order, "--each", "-o", str(out)]) == 0
    assert np.diff(starts(out / "in-wave.mp4")) == pytest.approx([0.1] * 7, abs=0.002)
    with pytest.raises(ValueError, match=r"the result needs a suffix of one: \.mp4, "):
        paint(source, tmp_path / f"out{suffix}")


def test_avi_which_counts_frames_keeps_a_variable_frame_rate_as_well_as_it_can(tmp_path: Path) -> None:
    source, out = clip(tmp_path / "in.mp4", UNEVEN), tmp_path / "out.avi"
    assert paint(source, out) == len(UNEVEN)
    with av.open(str(out)) as container:
        shown = [float(packet.dts * packet.time_base) for packet in container.demux(video=0) if packet.size]
    assert shown == pytest.approx(np.array(UNEVEN) / 600, abs=0.0001)  # multiples of 1/60 s
    assert paint(out, tmp_path / "back.mp4") == len(UNEVEN)
    assert starts(tmp_path / "back.mp4") == pytest.approx(np.array(UNEVEN) / 600, abs=0.0001)


def test_the_last_frame_is_shown_as_long_as_before(tmp_path: Path) -> None:
    source, out = animation(tmp_path / "in.gif", (100, 100, 100, 900)), tmp_path / "out.mp4"
    assert paint(source, out) == 4
    with av.open(str(out)) as container:
        assert container.duration / av.time_base == pytest.approx(1.2, abs=0.01)


@pytest.mark.parametrize(
    ("codec", "source", "out", "expected"),
    [
        ("aac", ".mp4", ".mov", "aac"),  # copied
        ("libopus", ".mkv", ".webm", "opus"),
        ("pcm_s16le", ".mkv", ".mp4", "aac"),  # can't be: cameras
        ("libopus", ".webm", ".mov", "aac"),  # browsers
        ("libopus", ".webm", ".avi", "mp3float"),
        ("aac", ".mp4", ".webm", "opus"),
    ],
)
def test_sound_that_a_container_cant_hold_is_encoded_anew(
    codec: str, source: str, out: str, expected: str, tmp_path: Path
) -> None:
    video = "libvpx-vp9" if source == ".webm" else "libx264"
    given = clip(tmp_path / f"in{source}", sound=codec, codec=video)
    paint(given, tmp_path / f"out{out}")
    with av.open(str(tmp_path / f"out{out}")) as container:
        assert container.streams.audio[0].codec_context.name == expected
        sound = np.concatenate([frame.to_ndarray()[0].astype(float) for frame in container.decode(audio=0)])
    assert len(sound) >= 23000
    assert np.abs(sound).max() > 0


# ---------------------------------------------------------------- colours and shape


def as_players_show(path: Path) -> np.ndarray:
    """Decode the first frame by hand, by the formula of BT.709: the colours of eight stripes."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_primaries, frame.color_trc, frame.color_range) == (1, 1, 1, 1)
    y, u, v = (
        np.frombuffer(plane, np.uint8).reshape(plane.height, -1)[plane.height // 2, : plane.width].astype(float)
        for plane in frame.planes
    )
    middle = np.arange(8) * frame.width // 8 + frame.width // 16
    luma, blue, red = (y[middle] - 16) / 219, (u[middle // 2] - 128) / 112, (v[middle // 2] - 128) / 112
    (kr, kb) = BT709
    r, b = luma + (1 - kr) * red, luma + (1 - kb) * blue
    return np.stack([r, (luma - kr * r - kb * b) / (1 - kr - kb), b], axis=1) * 255  # (8, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi", ".mkv", ".mov"])
def test_players_show_the_painted_colours(suffix: str, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", picture=stripes(48, 256), codec="libx264rgb")
    paint(source, tmp_path / f"out{suffix}", keep)
    assert np.abs(as_players_show(tmp_path / f"out{suffix}") - COLOURS).max() < 4


@pytest.mark.parametrize(
    ("height", "context", "matrix"),
    [
        (48, {"colorspace": 1}, BT709),  # as tagged
        (48, {"colorspace": 6}, BT601),
        (48, {}, BT601),  # as players guess
        (640, {}, BT709),
        (48, {"colorspace": 1, "color_range": 2}, BT709),  # full range, as some phones record
    ],
)
def test_colours_are_read_as_they_are_tagged(
    height: int, context: dict[str, int], matrix: tuple[float, float], tmp_path: Path
) -> None:
    kr, kb = matrix
    r, g, b = np.moveaxis(stripes(height) / 255, 2, 0)
    luma = kr * r + (1 - kr - kb) * g + kb * b
    planes = np.stack([luma, (b - luma) / (2 - 2 * kb) + 0.5, (r - luma) / (2 - 2 * kr) + 0.5])
    if "color_range" not in context:
        planes = planes * np.array([219, 224, 224])[:, None, None] / 255
        planes += np.array([16, 16, 16])[:, None, None] / 255
    frame = av.VideoFrame.from_ndarray((planes * 255).round().clip(0, 255).astype(np.uint8), format="yuv444p")
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=10, options={"qp": "0"})
        video.pix_fmt, video.width, video.height = "yuv444p", 64, height
        for name, value in context.items():
            setattr(video.codec_context, name, value)
            setattr(frame, name, value)
        container.mux([*video.encode(frame), *video.encode(None)])
    frames: list[Tensor] = []

    def note(frame: Tensor, before: Before | None) -> Tensor:
        frames.append(frame)
        return frame

    paint(tmp_path / "in.mp4", tmp_path / "out.mp4", note)
    assert np.abs(frames[0][0].permute(1, 2, 0).numpy() * 255 - stripes(height)).max() < 3


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 18, reason="this PyAV can't convert it")
def test_the_white_of_a_phones_hdr_video_is_white(tmp_path: Path) -> None:
    frames: list[Tensor] = []
    with av.open(str(tmp_path / "in.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=10, options={"qp": "0"})
        video.pix_fmt, video.width, video.height = "yuv420p10le", 64, 72
        context = video.codec_context
        context.colorspace, context.color_primaries, context.color_trc = 9, 9, 18  # BT.2020, HLG: white is at 75 %
        frame = av.VideoFrame(64, 72, "yuv420p10le")
        for plane, level in zip(frame.planes, (64 + 876 * 3 // 4, 512, 512)):
            plane.update(np.full(plane.buffer_size // 2, level, np.uint16).tobytes())
        container.mux([*video.encode(frame), *video.encode(None)])

    def note(frame: Tensor, before: Before | None) -> Tensor:
        frames.append(frame)
        return frame

    paint(tmp_path / "in.mp4", tmp_path / "out.mp4", note)
    assert 0.95 < frames[0].min() <= frames[0].max() <= 1


def test_anamorphic_video_keeps_its_shape(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", sample_aspect_ratio=Fraction(64, 45))  # 64 x 48, shown as 91 x 48
    shapes = set()

    def note(frame: Tensor, before: Before | None) -> Tensor:
        shapes.add(tuple(frame.shape))
        return frame

    for name in ("out.mp4", "out.webm", "out.avi", "out.gif"):
        paint(source, tmp_path / name, note)
        with av.open(str(tmp_path / name)) as container:
            video = container.streams.video[0]
            shown = video.width * (video.sample_aspect_ratio or 1)
            assert float(shown / video.height) == pytest.approx(64 / 48 * 64 / 45, abs=0.03)
    assert shapes == {(1, 3, 48, 91)}  # the strokes are painted on what is seen, so nobody stretches them


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV can't write the metadata")
@pytest.mark.parametrize(("rotation", "turns"), [(-90, -1), (90, 1), (180, 2)])
def test_a_phones_video_stands_upright(rotation: int, turns: int, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", picture=stripes(), rotation=rotation, codec="libx264rgb")
    frames: list[Tensor] = []

    def note(frame: Tensor, before: Before | None) -> Tensor:
        frames.append(frame)
        return frame

    paint(source, tmp_path / "out.mp4", note)
    shown = np.rot90(stripes(), turns)  # counter-clockwise, as FFmpeg counts
    assert np.abs(frames[0][0].permute(1, 2, 0).numpy() * 255 - shown).max() < 3
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.height, frame.width, frame.rotation) == (*shown.shape[:2], 0)


# ---------------------------------------------------------------- animations


@pytest.mark.parametrize(
    ("source", "out", "given", "kept"),
    [
        ("in.gif", "out.gif", {"loop": 0}, 0),
        ("in.gif", "out.gif", {"loop": 2}, 2),
        ("in.gif", "out.gif", {}, None),  # once
        ("in.webp", "out.webp", {"loop": 3}, 3),
        ("in.png", "out.png", {"loop": 2}, 2),
        ("in.apng", "out.apng", {"loop": 0}, 0),
        ("in.gif", "out.webp", {"loop": 2}, 3),  # GIF counts repetitions, the others plays
        ("in.png", "out.gif", {"loop": 3}, 2),
        ("in.webp", "out.gif", {"loop": 1}, None),
    ],
)
def test_animations_keep_durations_and_loops(
    source: str, out: str, given: dict[str, Any], kept: int | None, tmp_path: Path
) -> None:
    assert paint(animation(tmp_path / source, **given), tmp_path / out) == 4
    assert durations(tmp_path / out) == ([100, 250, 40, 300], kept)
    with Image.open(tmp_path / out) as image:
        found = []
        for index in range(4):
            image.seek(index)
            found.append(np.asarray(image.convert("RGB")).mean())
    assert found == pytest.approx([235, 165, 95, 25], abs=3)
    assert sorted(path.name for path in tmp_path.iterdir()) == [source, out]


def test_animations_become_videos_and_videos_animations(tmp_path: Path) -> None:
    paint(animation(tmp_path / "in.webp"), tmp_path / "out.mp4")
    assert starts(tmp_path / "out.mp4") == pytest.approx([0, 0.1, 0.35, 0.39], abs=0.001)
    paint(tmp_path / "out.mp4", tmp_path / "out.gif")
    assert durations(tmp_path / "out.gif") == ([100, 250, 40, 300], 0)


def test_a_gif_gets_no_frames_that_browsers_slow_down(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4", range(0, 300, 5))  # 120 frames per second
    count = paint(source, tmp_path / "out.gif")
    shown, _ = durations(tmp_path / "out.gif")
    assert min(shown) >= 20
    assert sum(shown) == pytest.approx(500, abs=20)
    assert 20 <= len(shown) <= count <= 25


def test_frames_without_a_duration_last_as_long_as_in_browsers(tmp_path: Path) -> None:
    paint(animation(tmp_path / "in.gif", (0, 10, 100, 50)), tmp_path / "out.gif")
    assert durations(tmp_path / "out.gif")[0] == [100, 100, 100, 50]


def test_what_is_a_video(tmp_path: Path) -> None:
    moving = {suffix: animation(tmp_path / f"moving{suffix}") for suffix in (".gif", ".webp", ".png")}
    still = nst.save_image(torch.rand(1, 3, 8, 8), tmp_path / "still.png")
    (tmp_path / "damaged.gif").write_bytes(moving[".gif"].read_bytes()[:9])
    assert is_video("anything.MOV", "anything.jpg")
    assert is_video(moving[".gif"], "out.mp4")
    assert is_video(moving[".gif"], "out.webp")
    assert is_video(moving[".png"], "out.png")
    assert not is_video(moving[".gif"], "out.jpg")  # one picture is wanted
    assert not is_video(moving[".gif"], "out.png")
    for source in (still, tmp_path / "gone.gif", tmp_path / "damaged.gif", tmp_path):
        assert not is_video(source, "out.gif")


def test_the_command_line_paints_animations(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = animation(tmp_path / "in.gif")
    weights = save_file(tmp_path / "mine.safetensors", TransformerNet(2).state_dict(), {})
    order = ["stylize", str(source), str(weights), "--method", "johnson", "--device", "cpu", "-o"]
    for name in ("out.gif", "out.mp4"):
        assert main([*order, str(tmp_path / name)]) == 0
        printed = capfd.readouterr()
        assert printed.out == f"{tmp_path / name}: 4 frames\n"
        assert printed.err == ""
    assert main([*order, str(tmp_path / "out.mkv"), "--size", "33"]) == 0  # odd sides
    assert len(starts(tmp_path / "out.mkv")) == 4


def test_without_a_terminal_there_is_no_bar(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    paint_video(animation(tmp_path / "in" / "a.gif"), tmp_path / "out.gif", invert)
    paint_folder(tmp_path / "in", tmp_path / "out", invert)
    nst.stylize(nst.samples.content("cat", 32), nst.samples.style("ink", 32), steps=1)
    assert capfd.readouterr() == ("", "")


def test_animations_in_a_folder_are_painted_as_such(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.gif", "b.png", "c.webp"):
        animation(tmp_path / "in" / name)
    nst.save_image(torch.rand(1, 3, 8, 8), tmp_path / "in" / "d.png")
    (tmp_path / "in" / "e.gif").write_bytes((tmp_path / "in" / "a.gif").read_bytes()[:300])

    def painted(source: Any, before: Before | None = None) -> Tensor:
        return 1 - nst.load_image(source, size=None)

    report = paint_folder(tmp_path / "in", tmp_path / "out", painted, progress=False)
    assert [path.name for path in report.written] == ["a.gif", "b.png", "c.webp", "d.png"]
    assert [path.name for path in report.failed] == ["e.gif"]
    for name in ("a.gif", "b.png", "c.webp"):
        assert durations(tmp_path / "out" / name)[0] == [100, 250, 40, 300]
    report = paint_folder(tmp_path / "in", tmp_path / "out", painted, progress=False)
    assert len(report.skipped) == 4


# ---------------------------------------------------------------- runs that are stopped


class Counted:
    """Paints, and stops by an error at a frame."""

    def __init__(self, stop: int = -1) -> None:
        self.stop = stop
        self.seen: list[tuple[float, tuple[int, ...] | None]] = []

    def __call__(self, frame: Tensor, before: Before | None) -> Tensor:
        if len(self.seen) == self.stop:
            raise RuntimeError("the card is gone")
        self.seen.append((frame.mean().item(), None if before is None else tuple(before.result.shape)))
        return 1 - frame[..., 1:, 1:]  # odd sides


@pytest.mark.parametrize("name", ["out.mp4", "out.webm", "out.avi", "out.gif", "out.png"])
def test_a_stopped_run_goes_on_where_it_was(name: str, tmp_path: Path) -> None:
    source, out = clip(tmp_path / "in.mp4", UNEVEN, sound="aac"), tmp_path / name
    count = paint(source, tmp_path / f"whole{out.suffix}", Counted())
    first, second, third = Counted(stop=3), Counted(stop=2), Counted()
    for painter in (first, second):
        with pytest.raises(RuntimeError, match=r"^the card is gone$"):  # as it is
            paint(source, out, painter)
        assert not out.exists()
    assert paint(source, out, third) == count
    assert count <= len(first.seen + second.seen + third.seen) <= count + 2
    assert first.seen[0][1] is None
    assert {shape for _, shape in (first.seen + second.seen + third.seen)[1:]} == {(1, 3, 47, 63)}
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mp4", f"whole{out.suffix}", name])
    if out.suffix in VIDEOS:
        assert starts(out) == starts(tmp_path / f"whole{out.suffix}")
        assert brightness(out) == pytest.approx(brightness(tmp_path / f"whole{out.suffix}"), abs=0.01)
    else:
        assert out.read_bytes() == (tmp_path / f"whole{out.suffix}").read_bytes()


def test_the_next_frame_is_given_the_last_result(tmp_path: Path) -> None:
    given: list[float | None] = []

    def painted(frame: Tensor, before: Before | None) -> Tensor:
        given.append(None if before is None else before.result.mean().item())
        if len(given) == 5:
            raise RuntimeError("the card is gone")
        return torch.full_like(frame, len(given) / 10)

    source = clip(tmp_path / "in.mp4")
    with pytest.raises(RuntimeError):
        paint(source, tmp_path / "out.mp4", painted)
    assert given[0] is None
    assert given[1:] == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.001)
    given.append(0)  # the call that failed is no frame
    paint(source, tmp_path / "out.mp4", painted)
    assert given[6] == pytest.approx(0.3, abs=0.001)  # the last that is surely whole


def test_other_settings_or_another_source_begin_anew(tmp_path: Path) -> None:
    source, out = clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    for change in ("settings", "source"):
        with pytest.raises(RuntimeError):
            paint(source, out, Counted(stop=4), settings={"alpha": 0.5})
        if change == "source":
            clip(source, range(0, 540, 60))
        again = Counted()
        paint(source, out, again, settings={"alpha": 1.0 if change == "settings" else 0.5})
        assert len(again.seen) == (8 if change == "settings" else 9)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_an_interrupt_ends_a_video_even_if_the_method_catches_it(tmp_path: Path) -> None:
    source, out = clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    frames: list[Tensor] = []

    def painted(frame: Tensor, before: Before | None) -> Tensor:
        frames.append(frame)
        try:
            if len(frames) == 3:
                signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:  # as Gatys does, to give what it has
            pass
        return frame

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        paint(source, out, painted)
    assert signal.getsignal(signal.SIGINT) is before
    assert (len(frames), out.exists()) == (3, False)
    paint(source, out, painted)
    assert len(frames) <= 3 + 7  # two are kept, of which one may be painted again


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
@pytest.mark.parametrize("share", [0.02, 0.6])
def test_on_a_full_disk_the_old_video_stays(name: str, share: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    source, out = clip(tmp_path / "in.mkv", picture=noise, codec="libx264rgb"), tmp_path / name
    paint(source, tmp_path / f"size{out.suffix}", keep)
    size = (tmp_path / f"size{out.suffix}").stat().st_size
    out.write_bytes(b"the old one")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), hard))  # no file may be longer
    try:
        with pytest.raises(OSError, match=r"cannot be written: File too large; what was there is untouched") as caught:
            paint(source, out, keep)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert out.read_bytes() == b"the old one"
    assert paint(source, out, keep) == 8  # when there is room again
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.mkv", name, f"size{out.suffix}"])


# ---------------------------------------------------------------- what won't do


def test_videos_that_wont_do_are_named(tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mp4")
    (tmp_path / "text.mp4").write_bytes(b"no video")
    (tmp_path / "text.gif").write_bytes(b"no video")
    (tmp_path / "folder.mp4").mkdir()
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        tone = container.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 9600), np.int16), format="s16", layout="stereo")
        frame.sample_rate, frame.pts = 48000, 0
        container.mux([*tone.encode(frame), *tone.encode(None)])
    wrong: list[tuple[Path, Path, type[Exception], str]] = [
        (source, tmp_path / "out.jpg", ValueError, r"needs a suffix of one: \.mp4, .*\.gif.*; got"),
        (source, source, ValueError, "would replace the video"),
        (source, tmp_path / "folder.mp4", IsADirectoryError, "is a folder"),
        (source, source / "out.mp4", NotADirectoryError, r"in\.mp4' is not a folder"),
        (tmp_path / "gone.mp4", tmp_path / "out.mp4", FileNotFoundError, r"there is no file .*gone\.mp4"),
        (tmp_path / "text.mp4", tmp_path / "out.mp4", OSError, "no video that can be read"),
        (tmp_path / "text.gif", tmp_path / "out.mp4", OSError, "no animation that can be read"),
        (tmp_path / "sound.mp4", tmp_path / "out.mp4", OSError, "holds no video"),
    ]
    before = sorted(tmp_path.iterdir())
    for given, out, kind, words in wrong:
        with pytest.raises(kind, match=words) as caught:
            paint(given, out)
        assert "\n" not in str(caught.value)
        assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("form", ["matroska", "mp4"])
def test_a_video_that_is_cut_short_is_painted_as_far_as_it_goes(form: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    whole = clip(tmp_path / "in.mp4", picture=noise, sound="aac", form=form, faststart=True)
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[: whole.stat().st_size * 3 // 4])
    assert 2 <= paint(tmp_path / "cut.mp4", tmp_path / "out.mp4") < 8


def test_video_files_say_what_they_need_and_animations_need_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nstlib.video.find_spec", lambda name: None)
    for given, out in (("in.mp4", "out.gif"), ("in.gif", "out.mp4")):
        with pytest.raises(ImportError, match=r'\.mp4\' is a video, .* PyAV: pip install "nstlib\[video\]"'):
            paint(tmp_path / given, tmp_path / out)
    assert paint(animation(tmp_path / "in.gif"), tmp_path / "out.webp") == 4
