"""Runs that are killed, disks that are full, folders that are shared: what is on disk is whole, and nothing is lost."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from forks import Forks
from PIL import Image
from torch import Tensor

import nstlib as nst
from nstlib.johnson import TransformerNet
from nstlib.training.state import list_checkpoints
from nstlib.utils.batch import paint_folder
from nstlib.utils.files import write_atomically
from nstlib.weights import load_file, load_metadata, save_file

KILLS = 6
"""Of a training, and as many of a folder."""


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with Forks() as started:
        yield started


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 60 small photographs."""
    folder = tmp_path_factory.mktemp("stopping") / "photos"
    folder.mkdir()
    for i in range(60):
        pixels = np.random.default_rng(i).integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 33)).save(folder / f"{i:03}.png")
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights that `nst stylize --method johnson` paints with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = TransformerNet(width=2).state_dict()
    return save_file(tmp_path_factory.mktemp("network") / "tiny.safetensors", state, {"method": "johnson"})


def training(photos: Path, out: Path, steps: int) -> list[object]:
    return [
        *("train", "johnson", "--content", photos, "--style", photos / "000.png", "--style-size", 32),
        *("--width", 1, "--size", 16, "--batch-size", 1, "--out-dir", out, "--steps", steps, "--device", "cpu", "-q"),
        *("--save-every", 3, "--sample-every", 6, "--ema", 0.9, "--workers", 0, "--encoder", photos.parent / "vgg.pth"),
    ]


@pytest.fixture(scope="module", autouse=True)
def encoder(photos: Path) -> None:
    """A small encoder, so that a step takes milliseconds."""
    from networks import random_convs, torchvision_state

    torch.save(torchvision_state(random_convs((2, 2, 2, 2, 2))), photos.parent / "vgg.pth")


def check_run(out: Path) -> None:
    """Whatever there is of a run is whole. Nothing else is there but unfinished files under hidden names."""
    for path in out.iterdir() if out.exists() else ():
        if path.name.startswith(".nst-"):
            continue
        if path.suffix == ".pt":
            saved = torch.load(path, weights_only=True)
            assert path.name == f"checkpoint-{saved['step']}.pt"
            assert saved["network"].keys() == saved["average"].keys()
        elif path.suffix == ".safetensors":
            assert load_metadata(path)["method"] == "johnson"
            assert all(value.isfinite().all() for value in load_file(path).values())
        elif path.suffix == ".png":
            nst.load_image(path, size=None)
        else:
            assert path.name == "losses.csv", path.name


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def check_same_run(found: Path, unbroken: Path, steps: int) -> None:
    """The very weights, checkpoints, losses and sheets."""
    names = {path.name for path in unbroken.iterdir()}
    assert {path.name for path in found.iterdir() if not path.name.startswith(".nst-")} >= names
    for name in names - {"losses.png"}:
        if name.endswith(".pt"):
            loaded = [torch.load(folder / name, weights_only=True) for folder in (found, unbroken)]
            assert same(*loaded), name
        else:
            assert (found / name).read_bytes() == (unbroken / name).read_bytes(), name
    assert f"checkpoint-{steps}.pt" in names


# ------------------------------------------------------------------------------------------------- killed


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
def test_a_video_that_is_killed_goes_on_where_it_was(name: str, forks: Forks, network: Path, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    pixels = np.random.default_rng(0).integers(0, 256, (20, 32, 48), dtype=np.uint8)
    frames = [Image.fromarray(frame) for frame in pixels]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=50)
    order = ["stylize", tmp_path / "in.gif", network, "--method", "johnson", "--device", "cpu", "-q", "-o"]

    def kept() -> list[int]:
        return [path.stat().st_size for path in tmp_path.glob(f".{name}.*/*")]

    command = forks.start(*order, tmp_path / name, said=tmp_path / "said")
    assert command.kill_when(lambda: sum(kept()) > 6000) == -9
    assert kept()
    assert not (tmp_path / name).exists()
    paths = tmp_path / name, tmp_path / f"whole-{name}"
    for path in paths:
        assert forks.run(*order, path, said=tmp_path / "said") == 0, (tmp_path / "said").read_text()
    found, expected = (
        [frame.to_ndarray(format="gray").astype(float) for frame in av.open(str(path)).decode(video=0)]
        for path in paths
    )
    assert len(found) == len(expected) == 20
    # noise compresses badly, in two pieces otherwise than in one; two frames of it differ by 85
    assert max(np.abs(one - other).mean() for one, other in zip(found, expected)) < 30
    assert not list(tmp_path.glob(".*"))


def test_a_training_that_is_killed_again_and_again_ends_as_one_that_never_was(
    forks: Forks, photos: Path, tmp_path: Path
) -> None:
    moments, out, reached, killed = random.Random(7), tmp_path / "killed", 0, 0
    for number in range(KILLS):
        # no end in sight, so that every one of them is killed, and not done before
        command = forks.start(*training(photos, out, 10**6), said=tmp_path / f"said{number}")
        goal = reached + moments.randrange(1, 8)

        def ready(goal: int = goal) -> bool:
            return max([0, *list_checkpoints(out)]) >= goal

        killed += command.kill_when(ready, moments.random() * 0.02) == -9
        check_run(out)
        reached = max([0, *list_checkpoints(out)])
    assert killed == KILLS, (tmp_path / "said0").read_text()
    assert reached > 0
    steps = reached + 4
    assert forks.run(*training(photos, out, steps), said=tmp_path / "last") == 0, (tmp_path / "last").read_text()
    assert forks.run(*training(photos, tmp_path / "unbroken", steps), said=tmp_path / "unbroken said") == 0
    check_same_run(out, tmp_path / "unbroken", steps)


@pytest.fixture(scope="module")
def unbroken(forks: Forks, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of nine steps that nothing has happened to."""
    folder = tmp_path_factory.mktemp("unbroken")
    assert forks.run(*training(photos, folder / "run", 9), said=folder / "said") == 0, (folder / "said").read_text()
    return folder / "run"


@pytest.mark.parametrize("run", ["train", "stylize"])
def test_what_killed_writes_left_behind_is_removed_unless_another_may_be_at_it(
    run: str, forks: Forks, photos: Path, network: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    old, new, theirs = out / ".nst-0123456789ab.tmp", out / ".nst-ba9876543210.tmp", out / ".theirs.tmp"
    for path in (old, new, theirs):
        path.write_bytes(b"half of a")
    for path in (old, theirs):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 4000))
    if run == "train":
        order = training(photos, out, 1)
    else:
        order = ["stylize", photos, "--style", network, "--method", "johnson", "--device", "cpu", "-q", "-o", out]
    assert forks.run(*order, said=tmp_path / "said") == 0, (tmp_path / "said").read_text()
    assert not old.exists()
    assert new.exists()
    assert theirs.exists()


LOST: dict[str, tuple[str, ...]] = {
    "weights": ("weights.safetensors",),
    "losses": ("losses.csv",),
    "curves": ("losses.png",),
    "all after the checkpoint before": ("checkpoint-9.pt", "weights.safetensors", "samples-9.png"),
}


@pytest.mark.parametrize("kind", LOST)
def test_what_a_kill_left_out_after_the_last_checkpoint_is_made_up_for(
    kind: str, forks: Forks, photos: Path, unbroken: Path, tmp_path: Path
) -> None:
    """The checkpoint is written first: a kill may come between it and any of these."""
    found = tmp_path / "killed"
    shutil.copytree(unbroken, found)
    for name in LOST[kind]:
        (found / name).unlink()
    assert forks.run(*training(photos, found, 9), said=tmp_path / "said") == 0
    if kind == "losses":  # which are gone, and nothing else
        assert same(*(load_file(folder / "weights.safetensors") for folder in (found, unbroken)))
    else:
        check_same_run(found, unbroken, 9)


def test_a_folder_that_is_killed_again_and_again_is_painted_whole(
    forks: Forks, photos: Path, network: Path, tmp_path: Path
) -> None:
    moments, out, killed, number = random.Random(8), tmp_path / "killed", 0, 0
    order = ["stylize", photos, "--style", network, "--method", "johnson", "--device", "cpu", "-o"]
    assert forks.run(*order, tmp_path / "unbroken", said=tmp_path / "unbroken said") == 0

    def painted() -> list[Path]:
        return [path for path in out.iterdir() if not path.name.startswith(".nst-")] if out.exists() else []

    def reached(goal: int) -> bool:
        return len(painted()) >= goal

    while killed < KILLS:
        number += 1
        assert number < 3 * KILLS
        if len(painted()) > 40:  # and not one of them was too fast for us
            shutil.rmtree(out)
        goal = len(painted()) + moments.randrange(1, 6)
        command = forks.start(*order, out, said=tmp_path / "said")
        killed += command.kill_when(partial(reached, goal), moments.random() * 0.02) == -9
        for path in painted():
            assert path.read_bytes() == (tmp_path / "unbroken" / path.name).read_bytes(), path.name
    before = {path: path.stat().st_mtime_ns for path in painted()}
    assert forks.run(*order, out, said=tmp_path / "said") == 0
    assert f"{60 - len(before)} pictures written, {len(before)} done before" in (tmp_path / "said").read_text()
    assert {path: path.stat().st_mtime_ns for path in before} == before  # none was painted twice
    assert sorted(path.name for path in painted()) == sorted(path.name for path in photos.iterdir())
    for path in painted():
        assert path.read_bytes() == (tmp_path / "unbroken" / path.name).read_bytes(), path.name


# ---------------------------------------------------------------------------------------------- full disks


@pytest.mark.parametrize("share", [0.02, 0.7])
def test_on_a_full_disk_a_training_keeps_what_it_had_and_goes_on_later(
    forks: Forks, photos: Path, unbroken: Path, tmp_path: Path, share: float
) -> None:
    assert forks.run(*training(photos, tmp_path / "full", 3), said=tmp_path / "said") == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "full").iterdir()}
    limit = int(share * len(before["checkpoint-3.pt"]))  # no file may be longer
    assert forks.run(*training(photos, tmp_path / "full", 9), said=tmp_path / "said", limit=limit) == 1
    said = (tmp_path / "said").read_text()
    assert said.startswith("nst: '")
    assert "cannot be written: File too large; what was there is untouched" in said
    assert said.count("\n") == 1
    after = {path.name: path.read_bytes() for path in (tmp_path / "full").iterdir()}
    assert after.keys() - {"samples-6.png"} == before.keys()  # no half file, under whatever name
    assert before.items() <= after.items()
    assert forks.run(*training(photos, tmp_path / "full", 9), said=tmp_path / "said") == 0
    check_same_run(tmp_path / "full", unbroken, 9)


def test_on_a_full_disk_old_pictures_are_intact(forks: Forks, photos: Path, network: Path, tmp_path: Path) -> None:
    order = ["stylize", photos / "001.png", "--style", network, "--method", "johnson", "--device", "cpu", "-q", "-o"]
    out = tmp_path / "out" / "picture.png"
    assert forks.run(*order, out, said=tmp_path / "said") == 0
    whole = out.read_bytes()
    for share in (0.1, 0.5, 0.9):
        status = forks.run(*order, out, said=tmp_path / "said", limit=int(share * len(whole)))
        assert status == 1
        assert (tmp_path / "said").read_text() == (
            f"nst: '{out}' cannot be written: File too large; what was there is untouched\n"
        )
        assert [path.name for path in out.parent.iterdir()] == ["picture.png"]
        assert out.read_bytes() == whole


WRITERS: dict[str, Callable[[Path, Tensor], object]] = {
    "picture.png": lambda path, picture: nst.save_image(picture, path),
    "picture.jpg": lambda path, picture: nst.save_image(picture, path),
    "picture.webp": lambda path, picture: nst.save_image(picture, path),
    "weights.safetensors": lambda path, picture: save_file(path, {"x": picture}, {"method": "johnson"}),
    "anything.bin": lambda path, picture: write_atomically(path, picture.numpy().tobytes()),
}


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("name", WRITERS)
def test_whatever_is_written_to_a_full_disk_leaves_the_old_file_intact(name: str, share: float, tmp_path: Path) -> None:
    path, random = tmp_path / name, torch.Generator().manual_seed(0)
    old, new = torch.rand(2, 1, 3, 40, 40, generator=random)
    WRITERS[name](tmp_path / f"size-{name}", new)
    size = (tmp_path / f"size-{name}").stat().st_size
    WRITERS[name](path, old)
    whole, before = path.read_bytes(), sorted(tmp_path.iterdir())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * size), hard))  # no file may be longer
    try:
        with pytest.raises(OSError, match="cannot be written") as caught:
            WRITERS[name](path, new)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == f"'{path}' cannot be written: File too large; what was there is untouched"
    assert caught.value.errno == errno.EFBIG
    assert path.read_bytes() == whole
    assert sorted(tmp_path.iterdir()) == before  # no half file, under whatever name
    WRITERS[name](path, new)  # when there is room again
    assert path.read_bytes() == (tmp_path / f"size-{name}").read_bytes()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM])
def test_a_disk_that_cant_be_written_to_ends_a_folder_at_once(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png", "c.png"):
        nst.save_image(torch.rand(1, 3, 4, 4), tmp_path / "photos" / name)
    seen: list[str] = []

    def paint(path: Path) -> Tensor:
        seen.append(path.name)
        return nst.load_image(path, size=None)

    def full(path: Path, data: Any) -> Path:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("nstlib.utils.image.write_atomically", full)
    with pytest.raises(OSError, match=os.strerror(number)):
        paint_folder(tmp_path / "photos", tmp_path / "out", paint, progress=False)
    assert seen == ["a.png"]

    def refuse(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(OSError, match=f"out' cannot be written: {os.strerror(number)}"):
        paint_folder(tmp_path / "photos", tmp_path / "out", paint, progress=False)
    assert seen == ["a.png"]  # noticed before anything is painted


@pytest.mark.parametrize(
    "number", [errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EIO, errno.ENAMETOOLONG]
)
@pytest.mark.parametrize("call", ["open", "fsync", "replace", "mkdir"])
def test_errors_of_the_disk_name_the_file(
    call: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_atomically(tmp_path / "old.bin", b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os if call == "fsync" else Path, call, fail)
    with pytest.raises(OSError, match="what was there is untouched") as caught:
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert str(caught.value).startswith(f"'{path}' cannot be written: {os.strerror(number)};")
    assert caught.value.errno == number
    assert type(caught.value) is type(OSError(number, ""))
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["old.bin"]


# -------------------------------------------------------------------------------------- several at a time


def test_two_processes_may_train_in_one_folder(forks: Forks, photos: Path, tmp_path: Path) -> None:
    commands = [forks.start(*training(photos, tmp_path / "both", 12), said=tmp_path / f"said{i}") for i in range(2)]
    assert [command.wait() for command in commands] == [0, 0], (tmp_path / "said0").read_text()
    check_run(tmp_path / "both")
    assert not list((tmp_path / "both").glob(".nst-*"))
    assert forks.run(*training(photos, tmp_path / "both", 15), said=tmp_path / "said") == 0
    assert forks.run(*training(photos, tmp_path / "alone", 15), said=tmp_path / "said") == 0
    weights = [load_file(tmp_path / out / "weights.safetensors") for out in ("both", "alone")]
    assert same(*weights)
    rows = (tmp_path / "both" / "losses.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["step", *map(str, range(1, 16))]


def test_a_checkpoint_that_another_process_took_away_is_no_trouble(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from test_training import Tint, run

    really = list_checkpoints

    def taken(out: Path) -> dict[int, Path]:
        return really(out) | ({1: out / "checkpoint-1.pt"} if really(out) else {})  # gone since it was listed

    monkeypatch.setattr("nstlib.training.state.list_checkpoints", taken)
    assert run(Tint(), photos, tmp_path, 4, save_every=1).finished
    assert sorted(really(tmp_path)) == [3, 4]


def test_two_processes_may_paint_into_one_folder(forks: Forks, photos: Path, network: Path, tmp_path: Path) -> None:
    order = ["stylize", photos, "--style", network, "--method", "johnson", "--device", "cpu", "-q", "-o"]
    commands = [forks.start(*order, tmp_path / "both", said=tmp_path / f"said{i}") for i in range(2)]
    assert [command.wait() for command in commands] == [0, 0], (tmp_path / "said0").read_text()
    assert forks.run(*order, tmp_path / "alone", said=tmp_path / "said") == 0
    names = sorted(path.name for path in (tmp_path / "alone").iterdir())
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == names
    for name in names:
        assert (tmp_path / "both" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes(), name


def test_three_processes_may_write_the_same_samples(forks: Forks, tmp_path: Path) -> None:
    order = ["samples", "cat", "dots", "--size", 48, "--out", tmp_path / "out"]
    commands = [forks.start(*order, said=tmp_path / f"said{i}") for i in range(3)]
    assert [command.wait() for command in commands] == [0, 0, 0]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["cat.png", "dots.png"]
    found = nst.load_image(tmp_path / "out" / "dots.png", size=None)
    assert (found - nst.samples.style("dots", 48)).abs().max() <= 0.5 / 255 + 1e-6


def test_results_of_the_same_name_dont_replace_each_other(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name, level in (("a.bmp", 40), ("a.bmp.png", 200)):
        Image.new("RGB", (4, 4), (level, level, level)).save(tmp_path / "photos" / name)
    report = paint_folder(
        tmp_path / "photos", tmp_path / "out", lambda path: nst.load_image(path, None), progress=False
    )
    assert [path.name for path in report.written] == ["a.bmp.png"]
    assert [(path.name, reason) for path, reason in report.failed.items()] == [
        ("a.bmp.png", "its result would replace that of 'a.bmp', 'a.bmp.png': rename one")
    ]
    assert nst.load_image(tmp_path / "out" / "a.bmp.png").mean().item() == pytest.approx(40 / 255)


def test_a_folder_in_the_place_of_a_result_is_a_failure(tmp_path: Path) -> None:
    nst.save_image(torch.rand(1, 3, 4, 4), tmp_path / "photos" / "a.png")
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    report = paint_folder(
        tmp_path / "photos", tmp_path / "out", lambda path: nst.load_image(path, None), progress=False
    )
    assert not report.skipped
    assert "is a folder" in next(iter(report.failed.values()))


def test_a_photograph_that_vanishes_is_a_failure(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        nst.save_image(torch.rand(1, 3, 4, 4), tmp_path / "photos" / name)
        nst.save_image(torch.rand(1, 3, 4, 4), tmp_path / "out" / name)
    os.utime(tmp_path / "out" / "a.png", (0, 0))  # older than its photograph

    def paint(path: Path) -> Tensor:
        (path.parent / "b.png").unlink()
        return nst.load_image(path, size=None)

    report = paint_folder(tmp_path / "photos", tmp_path / "out", paint, progress=False)
    assert [path.name for path in report.written] == ["a.png"]
    assert [path.name for path in report.skipped] == ["c.png"]
    assert [path.name for path in report.failed] == ["b.png"]
