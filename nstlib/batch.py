"""Many pictures at once: a folder of photographs or camera frames, or a video file.

A folder is painted picture by picture, and a run that was stopped goes on where it was: what is there and not older than
its photograph is left alone. A file that can't be read stops nothing. A video is painted frame by frame, each on its own;
what flickers in the result is where a method answers to small changes strongly.
"""

from __future__ import annotations

import errno
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from nstlib.files import clear_leftovers, same_place
from nstlib.image import WRITABLE, save_image

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Errors of a disk that is full or can't be written to."""

VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
"""Suffixes of video files."""


@dataclass
class Report:
    """What became of a folder: files written, files that were done before, and files that failed, with the reason."""

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def paint_folder(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    paint: Callable[[Path], Tensor],
    *,
    progress: bool = True,
) -> Report:
    """Paint every picture of a folder (not of the folders in it) into another, under the same names.

    Files whose format can't be written get `.png` added to their name.

    Args:
        folder: the photographs.
        out: where to; it is made if it is missing.
        paint: path of a photograph -> result `(1, 3, H, W)`; see `nstlib.stylize.painter`.
        progress: show a bar.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder, or `out` is a file.
        ValueError: no picture in it, or `out` is the folder itself.
        OSError: the disk is full; the same call goes on when there is room again.
        KeyboardInterrupt: Ctrl-C, also if `paint` would have caught it; the picture it met is not written.
    """
    folder, out = Path(folder), Path(out)
    files = _list(folder)
    if out.suffix.lower() in (*WRITABLE, *VIDEOS) or (out.exists() and not out.is_dir()):
        raise NotADirectoryError(f"'{folder}' is a folder, so the results need one too, and '{out}' is a file name")
    if same_place(out, folder):
        raise ValueError(f"the results would replace the photographs in '{folder}': name another folder for them")
    clear_leftovers(out)
    report = Report()
    taken: dict[Path, Path] = {}
    bar = tqdm(files, disable=not progress or sys.stderr is None, leave=False, unit="picture")
    with _noted_interrupts() as interrupted:
        for file in bar:
            bar.set_description(file.name, refresh=False)
            target = out / (file.name if file.suffix.lower() in WRITABLE else f"{file.name}.png")
            other = taken.setdefault(target, file)
            if other != file:
                report.failed[file] = f"its result would replace that of '{other.name}', '{target.name}': rename one"
                continue
            try:
                if target.is_file() and target.stat().st_mtime >= file.stat().st_mtime:
                    report.skipped.append(target)
                    continue
                picture = paint(file)
                if interrupted.is_set():
                    raise KeyboardInterrupt
                report.written.append(save_image(picture, target))
            except (OSError, ValueError, RuntimeError, MemoryError) as error:
                if isinstance(error, OSError) and error.errno in FULL:
                    raise  # so would all others fail, after the time that it takes to paint them
                report.failed[file] = (str(error) or type(error).__name__).splitlines()[0]
    return report


def paint_video(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    paint: Callable[[Tensor], Tensor],
    *,
    progress: bool = True,
) -> int:
    """Paint a video file frame by frame; its sound is kept. Needs `pip install "nstlib[video]"`.

    Args:
        source: the video.
        out: where to: `.mp4`, `.mov`, `.mkv` or another video suffix. Written whole or not at all.
        paint: frame `(1, 3, H, W)` in [0, 1] -> result of any one size.
        progress: show a bar.

    Returns:
        The number of frames.

    Raises:
        ImportError: imageio-ffmpeg isn't installed.
        FileNotFoundError: no such file.
        ValueError: `out` is no video file name, or is the source.
        OSError: the video can't be read or written.
        KeyboardInterrupt: Ctrl-C, also if `paint` would have caught it; nothing is written then.
    """
    source, out = Path(source), Path(out)
    try:
        import imageio_ffmpeg
    except ImportError:
        raise ImportError(
            f"'{source}' is a video, and videos need the package imageio-ffmpeg: pip install \"nstlib[video]\", or give "
            "a folder of frames"
        ) from None
    if not source.is_file():
        raise FileNotFoundError(f"there is no file '{source}'")
    if out.suffix.lower() not in VIDEOS:
        raise ValueError(
            f"'{source}' is a video, and the result needs a suffix of one: {', '.join(VIDEOS)}; got '{out}'"
        )
    if same_place(out, source):
        raise ValueError(f"the result would replace the video '{source}': name another file for it")
    if out.is_dir():
        raise IsADirectoryError(f"'{out}' is a folder, and one video is to be written; add a file name")

    # "file:", since ffmpeg takes what stands before a colon for a protocol
    reader = imageio_ffmpeg.read_frames(f"file:{source}", pix_fmt="rgb24")
    try:
        about = next(reader)
    except (OSError, RuntimeError, StopIteration) as error:
        raise OSError(f"'{source}' is no video that can be read ({_first_line(error)})") from None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"'{out}' cannot be written: '{out.parent}' is not a folder") from error
    clear_leftovers(out.parent)
    temporary = out.with_name(f".nst-{secrets.token_hex(6)}.tmp{out.suffix}")
    writer: Any = None
    count = 0
    codecs = {"codec": "libvpx-vp9"} if out.suffix.lower() == ".webm" else {}
    failed: BaseException | None = None  # what is not about the file that is written
    try:
        width, height = about["size"]
        with (
            tqdm(
                total=round(about["duration"] * about["fps"]),
                disable=not progress or sys.stderr is None,
                leave=False,
                unit="frame",
            ) as bar,
            _noted_interrupts() as interrupted,
        ):
            for data in reader:
                frame = torch.from_numpy(np.frombuffer(data, np.uint8).reshape(1, height, width, 3).copy())
                try:
                    picture = paint(frame.permute(0, 3, 1, 2).contiguous().float() / 255)
                except Exception as error:
                    failed = error
                    raise
                if interrupted.is_set():
                    raise KeyboardInterrupt
                # yuv420p halves the resolution of colours: sides are even
                picture = picture[..., : picture.shape[2] // 2 * 2, : picture.shape[3] // 2 * 2]
                if writer is None:
                    shape = picture.shape[3], picture.shape[2]
                    if about.get("audio_codec"):
                        codecs |= {"audio_path": f"file:{source}", "audio_codec": "libopus" if codecs else "copy"}
                    writer = imageio_ffmpeg.write_frames(
                        f"file:{temporary}", shape, fps=about["fps"], quality=8, macro_block_size=2, **codecs
                    )
                    writer.send(None)
                pixels = picture[0].clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)  # (H, W, 3)
                writer.send(np.ascontiguousarray(pixels.cpu().numpy()))
                count += 1
                bar.update()
        if writer is None:
            failed = OSError(f"'{source}' holds no frame")
            raise failed
        writer.close()
        writer = None
        if not temporary.is_file() or not temporary.stat().st_size:
            raise OSError("ffmpeg wrote nothing")
        written, _ = imageio_ffmpeg.count_frames_and_secs(f"file:{temporary}")  # it doesn't say when a disk is full
        if written != count:
            raise OSError(f"only {written} of {count} frames arrived; is the disk full?")
        temporary.replace(out)
    except (OSError, RuntimeError) as error:
        if error is failed:
            raise
        raise OSError(f"'{out}' cannot be written: {_first_line(error)}; what was there is untouched") from error
    finally:
        reader.close()
        if writer is not None:
            writer.close()
        temporary.unlink(missing_ok=True)
    return count


def _list(folder: Path) -> list[Path]:
    """The pictures of a folder, by their suffixes, sorted by name."""
    if not folder.is_dir():
        kind = NotADirectoryError if folder.exists() else FileNotFoundError
        raise kind(f"there is no folder '{folder}'")
    suffixes = Image.registered_extensions()
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    pictures = [path for path in files if path.suffix.lower() in suffixes]
    if not pictures:
        found = f"{len(files)} files of other kinds, such as '{files[0].name}'" if files else "no files"
        raise ValueError(f"no picture in '{folder}': it holds {found}")
    return pictures


@contextmanager
def _noted_interrupts() -> Iterator[threading.Event]:
    """Tells whether Ctrl-C was pressed, even if what it interrupted caught it, as `Gatys` does."""
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        pressed.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:120]
