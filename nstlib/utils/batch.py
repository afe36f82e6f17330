"""Paint a folder of photographs or video frames, picture by picture.

A stopped run resumes where it was: results that exist and are not older than their photographs are skipped. A file that
can't be read doesn't stop the run. Animations among the pictures are painted frame by frame.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from nstlib.utils.files import check_writable, clear_leftovers, same_place
from nstlib.utils.image import WRITABLE, save_image
from nstlib.utils.interrupts import noted_interrupts
from nstlib.utils.progress import can_draw_bars
from nstlib.video import VIDEOS, is_video, paint_video

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
"""Errors of a disk that is full, or of a folder that can't be written to."""


@dataclass
class Report:
    """The result for a folder: files written, files skipped because they were done, and failures with their reasons."""

    written: list[Path] = field(default_factory=list)
    skipped: list[Path] = field(default_factory=list)
    failed: dict[Path, str] = field(default_factory=dict)


def paint_folder(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    paint: Callable[..., Tensor],
    *,
    progress: bool = True,
) -> Report:
    """Paint every picture of a folder, without its subfolders, and write the results to another under the same names.

    If a format can't be written, `.png` is added to the file name. `paint` is a function from `make_stylizer`: it returns
    `(1, 3, H, W)` for the path of a photograph, or for a frame of an animation, as for `nstlib.video.paint_video`.

    Raises:
        FileNotFoundError: there is no such folder.
        NotADirectoryError: `out` is a file.
        ValueError: there is no picture in the folder, or `out` is the folder itself.
        OSError: `out` can't be written, or the disk is full. The same call resumes when there is space again.
        KeyboardInterrupt: Ctrl-C, even if `paint` catches it. The interrupted picture is not written.
    """
    folder, out = Path(folder), Path(out)
    files = _list(folder)
    if out.suffix.lower() in (*WRITABLE, *VIDEOS) or (out.exists() and not out.is_dir()):
        raise NotADirectoryError(f"'{folder}' is a folder, so the results need one too, and '{out}' is a file name")
    if same_place(out, folder):
        raise ValueError(f"the results would replace the photographs in '{folder}': name another folder for them")
    check_writable(out, folder=True)
    clear_leftovers(out)
    report = Report()
    taken: dict[Path, Path] = {}
    bar = tqdm(files, disable=not (progress and can_draw_bars()), leave=False, unit="picture")
    with noted_interrupts() as interrupted:
        for file in bar:
            bar.set_description(file.name, refresh=False)
            moves = is_video(file, file)
            target = out / (file.name if moves or file.suffix.lower() in WRITABLE else f"{file.name}.png")
            other = taken.setdefault(target, file)
            if other != file:
                report.failed[file] = f"its result would replace that of '{other.name}', '{target.name}': rename one"
                continue
            try:
                if target.is_file() and target.stat().st_mtime >= file.stat().st_mtime:
                    report.skipped.append(target)
                    continue
                if moves:
                    paint_video(file, target, paint, progress=False)
                else:
                    picture = paint(file)
                    if interrupted.is_set():
                        raise KeyboardInterrupt
                    save_image(picture, target)
                report.written.append(target)
            except (OSError, ValueError, RuntimeError, MemoryError) as error:
                if isinstance(error, OSError) and error.errno in UNWRITABLE:
                    raise  # all other pictures would fail in the same way, after they have been painted
                report.failed[file] = (str(error) or type(error).__name__).splitlines()[0]
    return report


def _list(folder: Path) -> list[Path]:
    """Return the pictures of a folder, recognised by their suffixes and sorted by name."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder '{folder}'")
    suffixes = Image.registered_extensions()
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    pictures = [path for path in files if path.suffix.lower() in suffixes]
    if not pictures:
        raise ValueError(f"no picture in '{folder}', among {len(files)} files")
    return pictures
