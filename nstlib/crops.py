"""Folders of pictures as a data set of random crops.

Sample p of a run is a function of (seed, p): no state is kept that a stopped run could lose, and any number of processes
may load samples in any order.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from nstlib.image import load_image

Folder = str | os.PathLike[str]

MARGIN = 1.125
"""The short side of a picture is this many crops long before it is cropped: 288 px for crops of 256 px."""


def list_pictures(folders: Folder | Sequence[Folder]) -> list[Path]:
    """The files of flat folders, sorted by name within each; at least one of each can be read as a picture.

    Raises:
        FileNotFoundError, NotADirectoryError: no such folder.
        ValueError: a folder without a picture that can be read.
    """
    files: list[Path] = []
    chosen = [folders] if isinstance(folders, (str, os.PathLike)) else list(folders)
    if not chosen:
        raise ValueError("no folder of pictures was named; one at least is needed")
    for folder in map(Path, chosen):
        if not folder.is_dir():
            kind = NotADirectoryError if folder.exists() else FileNotFoundError
            raise kind(f"'{folder}' is no folder, and training reads a folder of pictures")
        with os.scandir(folder) as entries:
            listed = [(entry.name, entry.is_file()) for entry in entries if not entry.name.startswith(".")]
        found = sorted(folder / name for name, is_file in listed if is_file)
        if not found:
            inside = f"{len(listed)} folders; name those" if listed else "nothing"
            raise ValueError(f"no readable picture in '{folder}': it holds {inside}")
        reason = ""
        for file in found:
            try:
                load_image(file)
            except (OSError, ValueError) as error:
                reason = reason or str(error)
            else:
                break
        else:
            raise ValueError(f"no readable picture in '{folder}': all {len(found)} files fail, as the first: {reason}")
        files += found
    return files


@dataclass
class Sample:
    """One sample `(3, S, S)`, or a batch `(B, 3, S, S)`, and the files that could not be read for it, with the reason."""

    content: Tensor
    style: Tensor | None
    broken: dict[str, str]

    def pin_memory(self) -> Sample:
        """Called by the DataLoader, so that copies to a graphics card need not be waited for."""
        return Sample(self.content.pin_memory(), None if self.style is None else self.style.pin_memory(), self.broken)

    def to(self, device: torch.device) -> Sample:
        content, style = (
            None if x is None else x.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)
            for x in (self.content, self.style)
        )
        assert content is not None
        return Sample(content, style, self.broken)


class Crops(Dataset[Sample]):
    """Random crops of pictures, half of them mirrored: sample p of a run is a function of (seed, p).

    The files are shuffled anew each time through.

    Args:
        content: files.
        style: files; may be empty.
        size: side of the crops in pixels.
        seed: decides order and crops.
        first: samples `first` to `first + count` are those of this data set.
        count: their number.
    """

    def __init__(
        self, content: Sequence[Path], style: Sequence[Path], size: int, seed: int, first: int, count: int
    ) -> None:
        self.files, self.size, self.seed, self.first, self.count = (content, style), size, seed, first, count
        self.broken: dict[str, str] = {}
        self.orders: dict[int, tuple[int, np.ndarray]] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        broken: dict[str, str] = {}
        content = self.crop(0, self.first + index, broken)
        return Sample(content, self.crop(1, self.first + index, broken) if self.files[1] else None, broken)

    def crop(self, kind: int, position: int, broken: dict[str, str]) -> Tensor:
        """`(3, S, S)`: kind 0 is content, 1 is style."""
        files = self.files[kind]
        times_through, place = divmod(position, len(files))
        if self.orders.get(kind, (-1,))[0] != times_through:
            order = np.random.default_rng((self.seed, kind, 0, times_through)).permutation(len(files))
            self.orders[kind] = times_through, order
        order = self.orders[kind][1]
        for i in range(len(files)):
            file = files[order[(place + i) % len(files)]]  # in place of a broken one comes the next
            if str(file) not in self.broken:
                try:
                    picture = load_image(file, size=math.ceil(self.size * MARGIN))[0]  # (3, H, W)
                except (OSError, ValueError) as error:
                    self.broken[str(file)] = broken[str(file)] = str(error)
                else:
                    break
        else:
            raise ValueError(f"none of the {len(files)} files beside '{files[0]}' can be read any more")
        random = np.random.default_rng((self.seed, kind, 1, position))
        top, left = (int(random.integers(length - self.size + 1)) for length in picture.shape[1:])
        crop = picture[:, top : top + self.size, left : left + self.size]
        return (
            crop.flip(2) if random.random() < 0.5 else crop
        ).clone()  # not a view: it would carry all of the picture


def collate(samples: Sequence[Sample]) -> Sample:
    """Samples `(3, S, S)` -> a batch `(B, 3, S, S)`."""
    styles = [sample.style for sample in samples if sample.style is not None]
    broken = {file: reason for sample in samples for file, reason in sample.broken.items()}
    return Sample(torch.stack([sample.content for sample in samples]), torch.stack(styles) if styles else None, broken)


def fingerprint(files: Sequence[Path]) -> str:
    """How many files, and a hash of their names, which decide the order."""
    names = "\n".join(file.name for file in files)
    return f"{len(files)} files, {hashlib.sha256(os.fsencode(names)).hexdigest()[:8]}" if files else "none"


def ignore_interrupts(worker: int) -> None:
    """For a process that loads pictures: Ctrl-C reaches it too, and is for the loop to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
