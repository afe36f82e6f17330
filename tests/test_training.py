from __future__ import annotations

import csv
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import nstlib as nst
from nstlib.cli import main
from nstlib.training.options import Precision, TrainingOptions
from nstlib.weights import load_file, load_metadata


class Tint(nst.Objective):
    """A convolution that learns to darken. It draws a random number, and normalises, as objectives may."""

    def __init__(self, *, normalised: bool = True, nan_at: int = 0, interrupt_at: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(3)
            layers: list[nn.Module] = [nn.Conv2d(3, 3, 3, padding=1)]
        self.network = nn.Sequential(*layers, *([nn.BatchNorm2d(3)] if normalised else []))
        self.drawn: list[float] = []
        self.seen: list[Tensor] = []
        self.normalised, self.nan_at, self.interrupt_at = normalised, nan_at, interrupt_at

    def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
        self.seen.append(content)
        if len(self.seen) == self.interrupt_at:
            signal.raise_signal(signal.SIGINT)
        self.drawn.append(torch.rand(()).item())
        picture = self.network(content)
        noise = self.drawn[-1] if self.normalised else 0.0
        target = 0.5 * content if style is None else style.mean((2, 3), keepdim=True)
        terms = {"pixels": (picture - target).square().mean() * (1 + noise), "tv": 0.1 * nst.total_variation(picture)}
        if len(self.seen) == self.nan_at:
            terms["tv"] = terms["tv"] * float("nan")
        return terms

    def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
        assert not self.training
        picture: Tensor = self.network(content).clamp(0, 1)
        return picture

    def describe(self) -> dict[str, str]:
        return {"method": "tint"}


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven pictures of several sizes and kinds, and a file that is none."""
    folder = tmp_path_factory.mktemp("photos")
    names = nst.samples.content_names()
    for i, suffix in enumerate((".png", ".jpg", ".webp", ".png", ".jpg", ".png", ".jpeg")):
        picture = nst.samples.content(names[i % len(names)], 40 + 9 * i)
        nst.save_image(picture if i % 2 else picture.transpose(2, 3), folder / f"{i}{suffix}")
    (folder / "4_cut.jpg").write_bytes((folder / "4.jpg").read_bytes()[:700])
    return folder


@pytest.fixture(scope="session")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("paintings")
    for name in ("swirl", "wave", "ink"):
        nst.save_image(nst.samples.style(name, 48), folder / f"{name}.png")
    return folder


def run(objective: Tint, content: Path, out: Path, steps: int = 6, **options: Any) -> nst.training.TrainingResult:
    chosen: dict[str, Any] = {"batch_size": 2, "size": 32, "device": "cpu", "progress": False, **options}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "skipped a file")
        return nst.train(objective, content, steps=steps, out_dir=out, **chosen)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def checkpoint(out: Path, step: int) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(out / f"checkpoint-{step}.pt", weights_only=True)
    return loaded


# ---------------------------------------------------------------------------------------------- pictures


def test_workers_load_the_same_batches(photos: Path, paintings: Path, tmp_path: Path) -> None:
    alone, helped = Tint(), Tint()
    run(alone, photos, tmp_path / "a", style=paintings)
    run(helped, photos, tmp_path / "b", style=paintings, workers=2)
    assert same(alone.seen, helped.seen)
    assert same(alone.network.state_dict(), helped.network.state_dict())


def test_a_broken_file_is_skipped_and_named_once(photos: Path, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="skipped a file") as caught:
        result = nst.train(
            Tint(), photos, steps=12, batch_size=2, size=32, out_dir=tmp_path, device="cpu", progress=False
        )
    assert sum("4_cut.jpg" in str(warning.message) for warning in caught) == 1
    assert [Path(file).name for file in result.skipped] == ["4_cut.jpg"]
    assert result.finished


def test_folders_without_pictures_are_named(tmp_path: Path) -> None:
    photo = nst.save_image(nst.samples.content("cat", 32), tmp_path / "good" / "cat.png")
    for name in ("empty", "outer/inner", "text"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "text" / "a.txt").write_text("no picture")
    (tmp_path / "text" / "b.jpg").write_bytes(b"\xff\xd8\xff")
    for folders, kind, words in (
        (tmp_path / "empty", ValueError, "no readable picture in '.*empty': there are no files in it"),
        (tmp_path / "outer", ValueError, "folders in it are not looked into"),
        ([photo.parent, tmp_path / "text"], ValueError, r"no readable picture in '.*text': .*b\.jpg"),
        (tmp_path / "nowhere", FileNotFoundError, "'.*nowhere'"),
        (photo, NotADirectoryError, r"'.*cat\.png'"),
        ([], ValueError, "no folder"),
    ):
        with pytest.raises(kind, match=words):
            nst.train(Tint(), folders, steps=1, out_dir=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------------------------------------- the loop


def test_it_learns_and_writes_what_it_says(photos: Path, tmp_path: Path) -> None:
    objective = Tint(normalised=False)
    options: dict[str, Any] = {"learning_rate": 0.02, "schedule": "cosine", "max_grad_norm": 1.0, "save_every": 20}
    result = run(objective, photos, tmp_path, 70, sample_every=30, **options)
    assert result.finished
    assert result.step == 70
    assert result.history[-1]["total"] < 0.2 * result.history[0]["total"]
    assert result.history[35]["learning_rate"] == pytest.approx(0.02 / 2)
    row = result.history[-1]
    assert row["total"] == pytest.approx(row["pixels"] + row["tv"])
    assert {path.name for path in tmp_path.iterdir()} == {
        *("checkpoint-60.pt", "checkpoint-70.pt", "losses.csv", "losses.png", "weights.safetensors"),
        *("samples-30.png", "samples-60.png", "samples-70.png"),
    }
    rows = list(csv.DictReader((tmp_path / "losses.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(1, 71))
    assert list(rows[0]) == ["step", "learning_rate", "total", "pixels", "tv"]
    assert nst.load_image(tmp_path / "samples-70.png", size=None).shape == (1, 3, 2 * 36, 4 * 36)

    weights, metadata = load_file(result.weights), load_metadata(result.weights)
    for key, value in objective.network.state_dict().items():
        assert torch.equal(weights[key], value.half().float())
    assert metadata["method"] == "tint"
    assert metadata["steps"] == "70"
    assert metadata["nstlib"] == nst.__version__
    assert metadata["data"].startswith("8 files")
    assert json.loads(metadata["losses"])["total"] > 0
    assert not objective.network.training


def test_the_global_random_state_is_left_alone(photos: Path, paintings: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    objective = Tint()
    run(objective, photos, tmp_path / "a", style=paintings, workers=1, ema=0.5)
    assert torch.equal(torch.get_rng_state(), before[0])
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    assert np.array_equal(after["state"]["key"], before[1]["state"]["key"])
    assert after["state"]["pos"] == before[1]["state"]["pos"]
    assert random.getstate() == before[2]
    # and nothing depends on it
    torch.manual_seed(2)
    again = Tint()
    run(again, photos, tmp_path / "b", style=paintings, ema=0.5)
    assert objective.drawn == again.drawn
    assert len(set(objective.drawn)) == len(objective.drawn)


def test_the_average_is_what_is_saved(photos: Path, tmp_path: Path) -> None:
    objective = Tint()
    run(objective, photos, tmp_path, ema=0.9)
    saved = checkpoint(tmp_path, 6)
    assert same(objective.network.state_dict(), saved["average"])
    assert not torch.equal(saved["average"]["0.weight"], saved["network"]["0.weight"])
    assert torch.equal(
        load_file(tmp_path / "weights.safetensors")["0.weight"], saved["average"]["0.weight"].half().float()
    )
    assert saved["average"]["1.num_batches_tracked"] == 6


def test_schedules() -> None:
    def rates(steps: int, *at: int, **options: Any) -> list[float]:
        chosen = TrainingOptions(steps=steps, learning_rate=2.0, **options)
        return [chosen.rate(step) / 2 for step in at]

    assert rates(10, 0, 9) == [1, 1]
    assert rates(10, 0, 5, 10, schedule="cosine") == pytest.approx([1, 0.5, 0])
    assert rates(160_000, 100_000, schedule="adain") == pytest.approx([1 / 6])
    assert rates(100, 0, 80, 90, 99, schedule="linear_end") == pytest.approx([1, 1, 0.5, 0.05])
    assert rates(100, 0, 4, 9, 50, warmup=10) == pytest.approx([0.1, 0.5, 1, 1])


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_comes_close(photos: Path, tmp_path: Path, precision: Precision) -> None:
    full, mixed = Tint(), Tint()
    expected = run(full, photos, tmp_path / "full").history
    found = run(mixed, photos, tmp_path / "mixed", precision=precision).history
    assert found[0]["total"] == pytest.approx(expected[0]["total"], rel=0.02)
    assert found[0]["total"] != expected[0]["total"]
    assert next(mixed.network.parameters()).dtype == torch.float32
    assert bool(checkpoint(tmp_path / "mixed", 6)["scaler"]) == (precision == "float16")


def test_compile_is_an_option(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def compile(model: Any) -> Any:
        asked.append(model)
        return model

    monkeypatch.setattr(torch, "compile", compile)
    objective = Tint()
    run(objective, photos, tmp_path, 1, compile=True)
    assert asked == [objective]


def test_wrong_options_are_named(photos: Path, tmp_path: Path) -> None:
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.0}, "batch_size must be"),
        ({"learning_rate": -1}, "learning_rate must be a number above 0"),
        ({"max_grad_norm": float("nan")}, "max_grad_norm must be"),
        ({"ema": 1.0}, r"ema must lie in \[0, 0\.999999\]"),
        ({"schedule": "linear"}, "no schedule 'linear'.*constant, cosine, adain, linear_end"),
        ({"precision": "half"}, "no precision 'half'.*bfloat16"),
    )
    for options, words in cases:
        with pytest.raises(ValueError, match=words):
            run(Tint(), photos, tmp_path, **options)
    with pytest.raises(TypeError, match=r"an objective derives from nst\.Objective"):
        nst.train(len, photos, steps=1, out_dir=tmp_path)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_resumed_run_ends_as_one_that_never_stopped(photos: Path, tmp_path: Path, precision: str) -> None:
    options: dict[str, Any] = {
        "ema": 0.9,
        "schedule": "cosine",
        "max_grad_norm": 0.5,
        "save_every": 4,
        "precision": precision,
    }
    straight, stopped, resumed = Tint(), Tint(interrupt_at=7), Tint()
    run(straight, photos, tmp_path / "a", 12, **options)
    half = run(stopped, photos, tmp_path / "b", 12, **options)
    assert not half.finished
    assert half.step == 7
    assert half.weights.exists()
    (tmp_path / "b" / "losses.csv").write_text("edited")  # the losses are in the checkpoint
    with torch.no_grad():
        next(resumed.network.parameters()).fill_(7)  # whatever it was
    result = run(resumed, photos, tmp_path / "b", 12, **options)
    assert result.finished
    assert len(result.history) == 12
    assert same(straight.network.state_dict(), resumed.network.state_dict())
    assert same(checkpoint(tmp_path / "a", 12), checkpoint(tmp_path / "b", 12))
    for name in ("losses.csv", "samples-12.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert same(*(load_file(tmp_path / run / "weights.safetensors") for run in "ab"))


def test_a_finished_run_goes_on_when_steps_are_raised(photos: Path, tmp_path: Path) -> None:
    straight, again = Tint(), Tint()
    run(straight, photos, tmp_path / "a", 6)
    run(Tint(), photos, tmp_path / "b", 4)
    run(again, photos, tmp_path / "b", 6)
    assert same(straight.network.state_dict(), again.network.state_dict())
    idle = Tint()
    assert run(idle, photos, tmp_path / "b", 6).finished
    assert not idle.seen
    assert same(straight.network.state_dict(), idle.network.state_dict())
    with pytest.raises(ValueError, match="has 6 steps behind it, and steps=3"):
        run(Tint(), photos, tmp_path / "b", 3)


def test_other_settings_are_named(photos: Path, paintings: Path, tmp_path: Path) -> None:
    run(Tint(), photos, tmp_path, 2)
    with pytest.raises(ValueError, match=r"batch_size is 2 there and 4 here; ema is 0 there and 0\.5 here"):
        run(Tint(), photos, tmp_path, 4, batch_size=4, ema=0.5)
    with pytest.raises(ValueError, match=r"data is 8 files, .* there and 3 files, .* here"):
        run(Tint(), paintings, tmp_path, 4)
    with pytest.raises(ValueError, match="parameters is 90 there and 84 here"):
        run(Tint(normalised=False), photos, tmp_path, 4)


def test_the_newest_readable_checkpoint_serves(photos: Path, tmp_path: Path) -> None:
    straight, resumed = Tint(), Tint()
    run(straight, photos, tmp_path / "a", 6, save_every=2)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    newest = tmp_path / "b" / "checkpoint-6.pt"
    newest.write_bytes(newest.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"checkpoint-6\.pt can't be read"):
        run(resumed, photos, tmp_path / "b", 6, save_every=2)
    assert len(resumed.seen) == 2
    assert same(straight.network.state_dict(), resumed.network.state_dict())
    for path in (tmp_path / "b").glob("checkpoint-*"):
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="can't be read"), pytest.raises(OSError, match="none of the checkpoints"):
        run(Tint(), photos, tmp_path / "b", 6)


def test_a_step_without_a_finite_gradient_is_not_taken(photos: Path, tmp_path: Path) -> None:
    class Root(Tint):
        def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
            terms = super().forward(content, style)
            if len(self.seen) == 2:
                terms["tv"] = terms["tv"] + (0 * self.network(content)).abs().sqrt().sum()  # 0, with a slope of 0 / 0
            return terms

    with pytest.warns(UserWarning, match="step 2 is not taken: its gradient is not finite"):
        result = nst.train(
            Root(),
            photos,
            steps=3,
            size=32,
            batch_size=2,
            out_dir=tmp_path / "clipped",
            max_grad_norm=1.0,
            progress=False,
        )
    assert all(value.isfinite().all() for value in load_file(result.weights).values())
    assert result.step == 3
    with pytest.warns(UserWarning, match="step 2 is not taken"):  # without clipping, too
        plain = nst.train(Root(), photos, steps=3, size=32, batch_size=2, out_dir=tmp_path / "plain", progress=False)
    assert all(value.isfinite().all() for value in load_file(plain.weights).values())


def test_nan_stops_at_once_and_keeps_the_last_good_checkpoint(photos: Path, tmp_path: Path) -> None:
    objective = Tint(nan_at=6)
    with pytest.raises(
        FloatingPointError, match=r"step 6: the term 'tv' .* last good checkpoint is .*checkpoint-4\.pt"
    ):
        run(objective, photos, tmp_path, 10, save_every=2)
    assert len(objective.seen) == 6
    assert all(value.isfinite().all() for value in checkpoint(tmp_path, 4)["network"].values())
    assert not (tmp_path / "checkpoint-6.pt").exists()
    result = run(Tint(), photos, tmp_path, 10, save_every=2)  # and it can go on from there
    assert [row["step"] for row in result.history] == list(range(1, 11))
    with pytest.raises(FloatingPointError, match="there is no checkpoint yet"):
        run(Tint(nan_at=1), photos, tmp_path / "other", 10)


# --------------------------------------------------------------------------------------- many processes

PROCESS = """
import os, sys
sys.path[:0] = [sys.argv[3]]
import torch
from pathlib import Path
from test_training import Tint, run
objective = Tint(normalised=False)
for steps in (3, 6):  # the second goes on where the first ended
    run(objective, Path(sys.argv[1]), Path(sys.argv[2]), steps, batch_size=4, ema=0.5)
torch.save(objective.network.state_dict(), f"{sys.argv[2]}-rank{os.environ['RANK']}.pt")
try:
    run(objective, Path(sys.argv[1]), Path(sys.argv[2]), 7, batch_size=3)
except ValueError as error:
    print(error)
try:
    run(objective, Path(sys.argv[1]), Path(sys.argv[2]), 7, batch_size=8, ema=0.5)
except ValueError as error:
    print(error)
"""


def test_two_processes_agree_with_one(photos: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", PROCESS, str(photos), str(tmp_path / "two"), str(Path(__file__).parent)]
    # what torchrun tells the processes that it starts
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in (0, 1)
    ]
    for process in processes:
        said, _ = process.communicate(timeout=400)
        assert process.returncode == 0, said
        assert "2 processes can't share a batch_size of 3" in said
        assert "batch_size is 4 there and 8 here" in said  # only one has read the checkpoint, both say so
    one = Tint(normalised=False)
    result = run(one, photos, tmp_path / "one", 6, batch_size=4, ema=0.5)
    states = [torch.load(tmp_path / f"two-rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert same(*states)
    for key, value in one.network.state_dict().items():
        assert (states[0][key] - value).abs().max() < 1e-5, key
    rows = list(csv.DictReader((tmp_path / "two" / "losses.csv").read_text().splitlines()))
    for row, expected in zip(rows, result.history, strict=True):
        assert float(row["total"]) == pytest.approx(expected["total"], rel=1e-4)


# ------------------------------------------------------------------------------------- the command line


def test_the_command_line_trains_a_network_that_paints(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    command = [
        "train",
        "johnson",
        "--style",
        "swirl",
        "--content",
        str(photos),
        "--out-dir",
        str(out),
        "--preset",
        "smoke",
    ]
    small = ["--batch-size", "1", "--size", "32", "--style-size", "64", "--width", "2", "--device", "cpu"]
    assert main([*command, *small, "--steps", "22"]) == 0
    said = capsys.readouterr()
    assert "22 steps of 1 pictures, 22 crops of 32 px from 8 files" in said.out
    assert "expected in all" in said.out
    assert "nst: warning: skipped a file that can't be read" in said.err
    assert said.err.count("4_cut.jpg") == 1
    assert said.out.endswith(f"{out / 'weights.safetensors'}: step 22\n")
    metadata = load_metadata(out / "weights.safetensors")
    assert (metadata["method"], metadata["style"], metadata["width"]) == ("johnson", "swirl", "2")
    painted = nst.Johnson.from_checkpoint(out / "weights.safetensors").stylize(nst.samples.content("cat", 40))
    assert painted.shape == nst.samples.content("cat", 40).shape

    assert main([*command, *small, "--steps", "24", "--learning-rate", "0.01", "-q"]) == 1
    assert "learning_rate is 0.001 there and 0.01 here" in capsys.readouterr().err


def test_the_command_line_names_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "johnson", "--content", str(tmp_path), "--out-dir", str(tmp_path / "run"), "--device", "cpu"]
    for more, words in (
        (["--style", "swirl"], "give --steps"),
        (["--steps", "3"], "--style"),
        (["--steps", "3", "--style", str(tmp_path)], "the style of one painting"),
        (["--steps", "3", "--style", "nowhere.jpg"], "nowhere.jpg"),
        (["--steps", "3", "--style", "swirl"], "no readable picture"),
    ):
        assert main([*command, *more]) == 1
        error = capsys.readouterr().err
        assert error.startswith("nst: ")
        assert words in error
        assert error.count("\n") == 1
