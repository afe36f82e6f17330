"""Animated GIF, WebP and PNG files: read and write them with Pillow, including frame durations and the number of plays."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from nstlib.utils.files import write_atomically
from nstlib.utils.image import load_image, save_image
from nstlib.utils.opacity import drop_full_opacity

ANIMATIONS = {".gif": "GIF", ".webp": "WEBP", ".png": "PNG", ".apng": "PNG"}
"""Suffix -> Pillow's name of the format."""

Frame = tuple[Fraction, Fraction, Callable[[], Tensor]]
"""Start and duration in seconds, and a function that returns the picture: `(1, 3 or 4, H, W)` in [0, 1]."""


@dataclass
class Clip:
    """A video or an animation that is open for reading."""

    frames: Iterator[Frame]
    count: int  # estimated number of frames; 0 if unknown
    tick: Fraction  # seconds per unit of the time stamps
    rate: Fraction  # highest number of frames per second
    plays: int = 0  # how often it is played; 0 is forever
    sound: Path | None = None  # the file that holds its sound


def open_animation(source: Path) -> Clip:
    """Open an animation for reading. A damaged frame raises an OSError when it is read."""
    try:
        image: Any = Image.open(source)
        count = getattr(image, "n_frames", 1)
    except Exception as error:  # a damaged file can raise nearly anything
        raise OSError(f"'{source}' is no animation that can be read ({error})") from error
    plays = image.info.get("loop", 1)
    if image.format == "GIF" and "loop" in image.info:
        plays = plays and plays + 1  # GIF counts repetitions

    def frames() -> Iterator[Frame]:
        start = Fraction(0)
        with image:
            for index in range(count):
                try:
                    image.seek(index)
                    image.load()
                except Exception as error:
                    raise OSError(f"frame {index + 1} of '{source}' is damaged ({error}): get a whole copy") from error
                shown = round(image.info.get("duration", 0))  # in ms
                duration = Fraction(shown if shown > 10 else 100, 1000)  # as browsers do
                yield start, duration, partial(_to_picture, image.copy())
                start += duration

    return Clip(frames(), count, Fraction(1, 1000), Fraction(50), plays)


def _to_picture(image: Image.Image) -> Tensor:
    return drop_full_opacity(load_image(image, size=None, alpha=True))


class AnimationWriter:
    """Write an animation. Frames are added to the folder `kept` as PNG files, and assembled at the end.

    Frames that are already in the folder count as added.
    """

    def __init__(self, out: Path, kept: Path, clip: Clip) -> None:
        self.out, self.kept, self.plays = out, kept, clip.plays
        self.form = ANIMATIONS[out.suffix.lower()]
        # browsers show frames of a GIF that are shorter than 20 ms for 100 ms
        self.tick, self.gap = (Fraction(1, 100), 2) if self.form == "GIF" else (Fraction(1, 1000), 1)
        self.done = len(self._files())

    def add(self, picture: Tensor, start: Fraction) -> None:
        """Save the next frame, `(1, 3 or 4, H, W)`."""
        save_image(picture, self.kept / f"{self.done:08}.png")
        self.done += 1

    def close(self) -> None:
        """Do nothing, because every frame is written when it is added."""

    def write(self, times: Sequence[Fraction]) -> None:
        """Write the file. `times` holds the starts of all frames, and the end."""
        ticks = [round(time / self.tick) for time in times]
        durations = [int((after - before) * self.tick * 1000) for before, after in pairwise(ticks)]
        options: dict[str, Any] = {"loop": self.plays, "quality": 95}  # PNG has no quality
        if self.form == "GIF":
            options = {} if self.plays == 1 else {"loop": max(0, self.plays - 1)}
        frames: list[Image.Image] = [Image.open(io.BytesIO(file.read_bytes())) for file in self._files()]
        if any(frame.mode == "RGBA" for frame in frames):
            frames = [frame.convert("RGBA") for frame in frames]
            if self.form == "GIF":
                options["disposal"] = 2  # remove every frame before the next, whose transparent parts would show it
        first, *others = frames
        encoded = io.BytesIO()
        first.save(encoded, self.form, save_all=True, append_images=others, duration=durations, **options)
        write_atomically(self.out, encoded.getvalue())

    def _files(self) -> list[Path]:
        return sorted(self.kept.glob("*.png"))
