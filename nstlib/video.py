"""Videos: paint them frame by frame, and keep the sound in sync.

Video files are read and written with PyAV, animations (GIF, WebP, APNG) with Pillow. Either can be turned into the other.

Until the result is complete, the painted frames are kept in a hidden folder beside it. Frames of a video are encoded, in one
file per run, so they take no more space than the result; frames of an animation are PNG files. A run that was stopped in any
way resumes from there. As a frame may depend on the last result, the last few results are kept as well, without compression.
"""

from __future__ import annotations

import glob
import hashlib
import io
import math
import os
import shutil
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from nstlib.steady import Before
from nstlib.utils.animations import ANIMATIONS, AnimationWriter, Clip, Frame, open_animation
from nstlib.utils.files import check_writable, make_folder, same_place, write_atomically
from nstlib.utils.interrupts import noted_interrupts
from nstlib.utils.progress import can_draw_bars

if TYPE_CHECKING:
    from nstlib.utils.movies import MovieWriter

VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")
"""Suffixes of video files."""

ONLY_READ = (".3gp", ".flv", ".m2ts", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".wmv")
"""Suffixes of video files that are read, but not written."""

RESULTS_KEPT = 3
"""The number of results that are kept. A stopped run may repeat the frame that was being encoded, from the result before."""


def is_video(source: str | os.PathLike[str], out: str | os.PathLike[str]) -> bool:
    """Return whether `paint_video` should be used to paint `source` to `out`.

    This is so for a video file, and for an animation if `out` can be animated too: a video, `.gif`, `.webp`, `.apng`, or the
    suffix of `source`. (If a GIF is painted to a `.jpg` or `.png` file, only its first frame is used.)

    Example:
        >>> is_video("clip.mp4", "out.mp4"), is_video("photo.jpg", "out.jpg")
        (True, False)
    """
    suffix, target = Path(source).suffix.lower(), Path(out).suffix.lower()
    if suffix not in ANIMATIONS:
        return suffix in (*VIDEOS, *ONLY_READ)
    if target not in (*VIDEOS, ".gif", ".webp", ".apng", suffix):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about very large pictures, which load_image judges
            with Image.open(source) as image:
                return bool(getattr(image, "is_animated", False))
    except Exception:  # a missing or damaged file, for which load_image raises a better error
        return False


def paint_video(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    paint: Callable[[Tensor, Before | None], Tensor],
    *,
    settings: object = None,
    progress: bool = True,
) -> int:
    """Paint a video or an animation frame by frame, and keep its timing and, in a video file, its sound.

    Video files need `pip install "nstlib[video]"`. The result is H.264 (VP9 in WebM) in BT.709 colours, with square pixels,
    and upright. The sound is copied, or re-encoded if the container can't hold it. Until the result is complete, painted
    frames are kept in a hidden folder beside `out`. A stopped run resumes where it was if source, `out` and `settings` are
    the same, and otherwise starts again. Frames of a transparent animation have an opacity, and results may have one too. A
    video file shows them on white.

    Args:
        source: a video file of any common kind, or an animated GIF, WebP or PNG.
        out: where to; the suffix chooses the format: `.mp4`, `.m4v`, `.mov`, `.mkv`, `.avi`, `.webm`, `.gif`, `.webp`,
            `.apng` or `.png`. Written whole or not at all.
        paint: `(frame, before) -> result`, which `nstlib.stylize.make_stylizer` makes. The frame is `(1, 3, H, W)` in
            [0, 1], or `(1, 4, H, W)` with opacity. `before`, a `nstlib.steady.Before`, holds the last frame and its result,
            rounded to half precision; it is None for the first. All results must have the same size.
        settings: what decides how `paint` paints, as anything with a meaningful `repr`.
        progress: show a bar.

    Returns:
        The number of frames in the result.

    Raises:
        ImportError: PyAV isn't installed.
        FileNotFoundError: no such file.
        ValueError: `out` has the suffix of no video, or is the source.
        OSError: the source can't be read, or the result can't be written.
        KeyboardInterrupt: Ctrl-C, also if `paint` catches it.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> red, blue = Image.new("RGB", (32, 24), "red"), Image.new("RGB", (32, 24), "blue")
        >>> red.save(f"{folder.name}/in.gif", save_all=True, append_images=[blue], duration=500)
        >>> paint_video(f"{folder.name}/in.gif", f"{folder.name}/out.gif", lambda frame, before: 1 - frame, progress=False)
        2
        >>> folder.cleanup()
    """
    source, out = Path(source), Path(out)
    _check_paths(source, out)
    kept = _kept_folder(source, out, settings)
    try:
        clip = _open(source)
        target = _writer(out, kept, clip)
        times = _paint_frames(clip, target, paint, _Results(kept), progress)
        if not target.done:
            raise OSError(f"'{source}' holds no frame")
        target.write(times)
        shutil.rmtree(kept, ignore_errors=True)
        return len(times) - 1
    finally:
        with suppress(OSError):
            kept.rmdir()  # if nothing was painted


def _paint_frames(
    clip: Clip,
    target: AnimationWriter | MovieWriter,
    paint: Callable[[Tensor, Before | None], Tensor],
    results: _Results,
    progress: bool,
) -> list[Fraction]:
    """Paint the frames that `target` doesn't have yet. Return the starts of all frames, and the end."""
    times, before = [Fraction(0)], None
    with (
        closing(target),
        closing(_on_ticks(clip.frames, target.tick, target.gap)) as frames,
        tqdm(total=clip.count or None, disable=not (progress and can_draw_bars()), leave=False, unit="frame") as bar,
        noted_interrupts() as interrupted,
    ):
        for count, (start, duration, picture) in enumerate(frames):
            times[count:] = [start, start + max(duration, target.gap * target.tick)]
            if count == target.done - 1 and (last := results.read(count)) is not None:
                before = Before(picture(), last)
            if count >= target.done:
                frame = picture()
                result = paint(frame, before)
                if interrupted.is_set():
                    raise KeyboardInterrupt
                before = Before(frame, results.keep(count, result))  # first, because `add` marks the frame as painted
                target.add(result, start)
            bar.update()
    return times


@dataclass
class _Results:
    """The last results, kept in a folder in half precision. With 8 bits, rounding errors would add up over many frames."""

    folder: Path

    def keep(self, number: int, result: Tensor) -> Tensor:
        """Save the result of a frame, and return it as it will be read, so that a resumed run paints the same."""
        half, encoded = result.detach().cpu().half(), io.BytesIO()
        np.save(encoded, half.numpy())
        write_atomically(self._file(number), encoded.getvalue())
        self._file(number - RESULTS_KEPT).unlink(missing_ok=True)
        return half.float()

    def read(self, number: int) -> Tensor | None:
        """Return the result of a frame, if it is kept."""
        file = self._file(number)
        return torch.from_numpy(np.load(file)).float() if file.is_file() else None

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:08}.npy"


def _check_paths(source: Path, out: Path) -> None:
    for path in (source, out):
        if path.suffix.lower() in (*VIDEOS, *ONLY_READ) and find_spec("av") is None:
            raise ImportError(
                f"'{path}' is a video, and videos need the package PyAV: pip install \"nstlib[video]\"; animated GIF, WebP "
                "and PNG files can be painted without it"
            )
    if not source.is_file():
        raise FileNotFoundError(f"there is no file '{source}'")
    if out.suffix.lower() not in (*VIDEOS, *ANIMATIONS):
        raise ValueError(
            f"'{source}' is a video, and the result needs a suffix of one: {', '.join((*VIDEOS, *ANIMATIONS))}; got '{out}'"
        )
    if same_place(out, source):
        raise ValueError(f"the result would replace the video '{source}': name another file for it")
    check_writable(out)


def _open(source: Path) -> Clip:
    if source.suffix.lower() in ANIMATIONS:
        return open_animation(source)
    from nstlib.utils.movies import open_movie  # needs PyAV

    return open_movie(source)


def _writer(out: Path, kept: Path, clip: Clip) -> AnimationWriter | MovieWriter:
    if out.suffix.lower() in ANIMATIONS:
        return AnimationWriter(out, kept, clip)
    from nstlib.utils.movies import MovieWriter

    return MovieWriter(out, kept, clip)


def _kept_folder(source: Path, out: Path, settings: object) -> Path:
    """Create the hidden folder of frames for this source and these settings, and remove folders for others."""
    about = source.stat()
    identity = repr((source.resolve(), about.st_size, about.st_mtime_ns, settings))
    kept = out.with_name(f".{out.name}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}.frames")
    for other in out.parent.glob(f".{glob.escape(out.name)}.*.frames"):
        if other != kept:
            shutil.rmtree(other, ignore_errors=True)
    make_folder(kept, out)
    return kept


def _on_ticks(frames: Iterable[Frame], tick: Fraction, gap: int) -> Generator[Frame, None, None]:
    """Drop frames that come less than `gap` ticks after the last one, which the format can't represent."""
    last = -math.inf
    for start, duration, picture in frames:
        now = round(start / tick)
        if now - last >= gap:
            last = now
            yield start, duration, picture
