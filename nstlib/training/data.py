"""Folders of pictures as a data set of random crops.

Sample p of a run is a function of (seed, p). There is no state that a stopped run could lose, and any number of processes
may load samples in any order.
"""

from __future__ import annotations

import hashlib
import math
import os
import signal
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from nstlib.training.options import TrainingOptions
from nstlib.utils.files import expand_home
from nstlib.utils.image import load_image

Folder = str | os.PathLike[str]


def list_folders(folders: Folder | Sequence[Folder]) -> list[list[Path]]:
    """Return the files of every folder, sorted by name.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        ValueError: no folder is given, or a folder has no readable picture.
    """
    chosen = [folders] if isinstance(folders, (str, os.PathLike)) else list(folders)
    if not chosen:
        raise ValueError("no folder of pictures was named")
    return [_list_pictures(expand_home(folder)) for folder in chosen]


def _list_pictures(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    reason = "there are no files in it, and folders in it are not looked into"
    for file in files:
        try:
            load_image(file)
            return files
        except (OSError, ValueError) as error:
            reason = str(error)
    raise ValueError(f"no readable picture in '{folder}': {reason}")


def fingerprint(folders: Sequence[Sequence[Path]]) -> str:
    """Return the number of files and a hash of their names, which determine the order."""
    names = [file.name for files in folders for file in files]
    digest = hashlib.sha256(os.fsencode("\n".join(names))).hexdigest()
    return f"{len(names)} files, {digest[:8]}" if names else "none"


class Sample(NamedTuple):
    """A sample `(3, S, S)` or a batch `(B, 3, S, S)`, and the files that could not be read for it, with the reasons."""

    content: Tensor
    style: Tensor | None
    broken: dict[str, str]

    def to(self, device: torch.device) -> Sample:
        def move(pictures: Tensor) -> Tensor:
            return pictures.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)

        return Sample(move(self.content), None if self.style is None else move(self.style), self.broken)


class Crops(Dataset[Sample]):
    """Random crops of pictures, half of them mirrored: samples `first` to `first + count` of a run.

    Every file is used once before any is used again, in an order that is shuffled each time.

    Args:
        content: the files of every folder of photographs.
        style: the files of every folder of paintings. May be empty.
    """

    def __init__(
        self,
        content: Sequence[Sequence[Path]],
        style: Sequence[Sequence[Path]],
        options: TrainingOptions,
        *,
        first: int = 0,
        count: int,
    ) -> None:
        self.options, self.first, self.count = options, first, count
        # kind -> lists of files, from which pictures are drawn in turn
        self.lists = [
            [list(files) for files in folders]
            if options.balance_folders
            else [[file for files in folders for file in files]]
            for folders in (content, style)
        ]
        self.unreadable: set[Path] = set()

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        broken: dict[str, str] = {}
        content = self.crop(0, self.first + index, broken)
        return Sample(content, self.crop(1, self.first + index, broken) if any(self.lists[1]) else None, broken)

    def crop(self, kind: int, position: int, broken: dict[str, str]) -> Tensor:
        """Return `(3, S, S)`. Kind 0 is content, kind 1 is style."""
        options = self.options
        random = np.random.default_rng((options.seed, kind, 1, position))
        side = math.ceil(options.size / random.uniform(*options.crop_scale))
        picture = self._load(kind, position, side, broken)  # (3, H, W)
        top, left = (int(random.integers(length - options.size + 1)) for length in picture.shape[1:])
        crop = picture[:, top : top + options.size, left : left + options.size]
        crop = crop.flip(2) if random.random() < 0.5 else crop
        if random.random() < options.color_augmentation:
            return change_colors(crop, random)
        return crop.clone()  # a view would keep the whole picture in memory

    def _load(self, kind: int, position: int, side: int, broken: dict[str, str]) -> Tensor:
        """Return the picture of a position. A file that can't be read is replaced by the next one."""
        turn, which = divmod(position, len(self.lists[kind]))
        files = self.lists[kind][which]
        times_through, place = divmod(turn, len(files))
        order = _order(self.options.seed, kind, times_through, len(files))
        for file in (files[number] for number in np.roll(order, -place)):
            if file not in self.unreadable:
                try:
                    return load_image(file, size=side)[0]
                except (OSError, ValueError) as error:
                    self.unreadable.add(file)
                    broken[str(file)] = str(error)
        raise ValueError(f"no file beside '{files[0]}' can be read any more")


@lru_cache(maxsize=32)
def _order(seed: int, kind: int, times_through: int, count: int) -> np.ndarray:
    """Return the order of the files in one pass through the data."""
    return np.random.default_rng((seed, kind, 0, times_through)).permutation(count)


def change_colors(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Change the colours of a picture `(3, H, W)` by a random affine map, and clamp them to [0, 1].

    The hue is rotated about the grey axis, channels are permuted, saturation is scaled by 0.5 to 2.2 and contrast by 0.7 to
    1.4, and brightness is shifted by up to 0.12, each of these for some of the pictures.
    """
    matrix, shift, grey = np.eye(3), 0.0, np.full((3, 3), 1 / 3)
    if random.random() < 0.6:
        # Rodrigues: R = I + sin(a) K + (1 - cos(a)) K^2, a rotation by a about (1, 1, 1) / sqrt(3)
        angle = random.uniform(-math.pi, math.pi)
        k = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
        matrix = np.eye(3) + math.sin(angle) * k + (1 - math.cos(angle)) * k @ k
    if random.random() < 0.3:
        matrix = matrix[random.permutation(3)]
    if random.random() < 0.6:
        # grey + s (color - grey)
        matrix = (grey + math.exp(random.uniform(math.log(0.5), math.log(2.2))) * (np.eye(3) - grey)) @ matrix
    if random.random() < 0.5:
        # 1/2 + c (color - 1/2)
        contrast = math.exp(random.uniform(math.log(0.7), math.log(1.4)))
        matrix, shift = contrast * matrix, 0.5 * (1 - contrast)
    if random.random() < 0.5:
        shift += random.uniform(-0.12, 0.12)
    colors = torch.from_numpy(matrix).to(picture) @ picture.flatten(1) + shift  # (3, HW)
    return colors.clamp(0, 1).view_as(picture)


def collate(samples: Sequence[Sample]) -> Sample:
    """Stack samples `(3, S, S)` into a batch `(B, 3, S, S)`."""
    styles = [sample.style for sample in samples if sample.style is not None]
    broken = {file: reason for sample in samples for file, reason in sample.broken.items()}
    return Sample(torch.stack([sample.content for sample in samples]), torch.stack(styles) if styles else None, broken)


def load_batches(crops: Crops, device: torch.device, *, rank: int, world: int) -> Iterator[Sample]:
    """Yield the batches of this process, on its device."""
    options, workers, on_gpu = crops.options, crops.options.workers, device.type == "cuda"
    if workers is None:
        workers = min(4, os.cpu_count() or 1) if on_gpu else 0
    loader = DataLoader(
        crops,
        batch_size=options.batch_size // world,
        sampler=DistributedSampler(crops, world, rank, shuffle=False),  # sample p goes to process p mod world
        num_workers=workers,
        collate_fn=collate,
        pin_memory=on_gpu,
        worker_init_fn=_ignore_interrupts,
        generator=torch.Generator(),  # else it would draw from the global state
    )
    with torch.device("cpu"):  # where the loader's generator is, whatever PyTorch's default device is
        batches = iter(loader)
    for samples in batches:
        yield samples.to(device)


def _ignore_interrupts(worker: int) -> None:
    """Ignore Ctrl-C in the processes that load pictures, so that only the training loop handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
