"""Memory: what there is of it, and the one sentence that names a size that fits."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nstlib as nst
from nstlib import arbitrary, johnson, memory
from nstlib.adain import AdaINObjective
from nstlib.cli import main
from nstlib.stylize import METHODS, make_stylizer

MIB = 2**20


def make(method: str) -> Any:
    if method == "johnson":
        return nst.Johnson.pretrained("wave")
    if method == "gatys":
        return nst.Gatys(steps=3)
    return METHODS[method].pretrained()


def pictures(method: str, size: int, style: int = 512) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    content = torch.rand(1, 3, size, 3 * size // 2, generator=random)
    return (content,) if method == "johnson" else (content, torch.rand(1, 3, style, style * 5 // 4, generator=random))


# ------------------------------------------------------------------------------------------ what there is


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = "MemTotal: 16000 kB\nMemFree: 10 kB\nMemAvailable: 8000 kB\nSwapFree: 1000 kB\nHugePages_Total: 0\n"
V1, V2 = "sys/fs/cgroup/memory/", "sys/fs/cgroup/"
TREES: dict[str, tuple[dict[str, str], int]] = {
    "no group": ({}, 9000 * 1024),
    "a group of version 2": (
        {
            "proc/self/cgroup": "0::/user/me\n",
            V2 + "user/me/memory.max": "5000000\n",
            V2 + "user/me/memory.current": "2000000\n",
            V2 + "user/me/memory.stat": "anon 7\ninactive_file 500000\n",
        },
        3_500_000,
    ),
    "the group around it is smaller": (
        {
            "proc/self/cgroup": "0::/user/me\n",
            V2 + "user/me/memory.max": "max\n",
            V2 + "user/me/memory.current": "1\n",
            V2 + "user/memory.max": "1000000\n",
            V2 + "user/memory.current": "999000\n",
            V2 + "user/memory.stat": "anon 7\n",
        },
        1000,
    ),
    "in a container, which sees its own group as the root": (
        {
            "proc/self/cgroup": "0::/docker/abc\n",
            V2 + "memory.max": "3000000\n",
            V2 + "memory.current": "1000000\n",
            V2 + "memory.stat": "inactive_file 0\n",
        },
        2_000_000,
    ),
    "a group of version 1": (
        {
            "proc/self/cgroup": "9:name=systemd:/\n4:cpu,memory:/jobs\n",
            V1 + "jobs/memory.limit_in_bytes": "4000000",
            V1 + "jobs/memory.usage_in_bytes": "3000000",
            V1 + "jobs/memory.stat": "total_inactive_file 100\n",
        },
        1_000_100,
    ),
    "a group that is over its limit": (
        {
            "proc/self/cgroup": "0::/\n",
            V2 + "memory.max": "10",
            V2 + "memory.current": "11",
            V2 + "memory.stat": "",
        },
        0,
    ),
}


@pytest.mark.parametrize("kind", TREES)
def test_limits_of_containers_count(kind: str, tmp_path: Path) -> None:
    files, free = TREES[kind]
    root = tree(tmp_path, {"proc/meminfo": MEMINFO, **files})
    assert memory.available(torch.device("cpu"), root) == free


def test_systems_without_proc_are_asked_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"SC_AVPHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf", lambda name: numbers[name])
    assert memory.available(torch.device("mps"), tmp_path) == 4_096_000

    def unknown(name: str) -> int:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "sysconf", unknown)
    assert memory.available(torch.device("cpu"), tmp_path) is None
    monkeypatch.delattr(os, "sysconf")
    assert memory.available(torch.device("cpu"), tmp_path) is None


def test_where_the_system_says_nothing_everything_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: None)
    assert make("johnson").stylize(*pictures("johnson", 32)).shape == (1, 3, 32, 48)


def test_a_graphics_card_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (700, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 200)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 150)
    assert memory.available(torch.device("cuda")) == 750


def test_there_is_some_here() -> None:
    free = memory.available(torch.device("cpu"))
    assert free is not None
    assert 10 * MIB < free < 2**50


# ------------------------------------------------------------------------------------------- the sentence

SENTENCE = (
    r"^\w+ at \d+ x \d+ px needs about [\d.]+ [MG]B of memory, and there (are|were) [\d.]+ [MG]B; what fits is .*$"
)


@pytest.mark.parametrize("method", ["gatys", "johnson"])
def test_what_cannot_fit_is_refused_and_what_is_advised_fits(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, given = make(method), pictures(method, 1000, style=128)  # reading it needs less than the photograph
    monkeypatch.setattr(memory, "available", lambda device: 120_000_000)
    with pytest.raises(MemoryError) as caught:
        model.stylize(*given)
    said = str(caught.value)
    assert re.match(SENTENCE, said)
    assert "at 1500 x 1000 px" in said
    assert "there are 120 MB" in said
    found = re.search(r"(\bsize=(\d+)) \(the short side\)", said)
    assert found
    short = int(found[2])
    assert 32 <= short < 1000

    def check(short: int) -> None:
        small = (torch.nn.functional.interpolate(given[0], (short, short * 3 // 2)), *given[1:])
        with monkeypatch.context() as patch:
            patch.setattr(type(model), "_optimise" if method == "gatys" else "forward", lambda *_, **__: iter([None]))
            patch.setattr(arbitrary.ArbitraryStyle, "_paint", rehearsed_only(arbitrary.ArbitraryStyle._paint))
            patch.setattr(johnson.TransformerNet, "fast", rehearsed_only(johnson.TransformerNet.fast))
            if method == "gatys":
                next(model.iterate(*small))
            else:
                model.stylize(*small)

    check(short)  # is let through
    with pytest.raises(MemoryError):
        check(short + 8)


def rehearsed_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """Runs where there is nothing to compute, and else gives an empty picture."""

    def run(self: Any, content: Tensor, *arguments: Any) -> Any:
        return function(self, content, *arguments) if content.is_meta else torch.zeros(1)

    return run


def test_a_painting_that_is_too_large_to_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 150_000_000)
    paint = make_stylizer(torch.rand(1, 3, 1001, 1501), method="adaattn", device="cpu")
    with pytest.raises(MemoryError, match=r"^AdaAttN at 1501 x 1001 px .* size=\d+ \(the short side\)$"):
        paint(torch.rand(1, 3, 1001, 1001))


def test_where_nothing_fits_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    with pytest.raises(MemoryError, match=r"there are 0 MB; no smaller size fits either$"):
        nst.Johnson.pretrained("wave").stylize(torch.rand(1, 3, 40, 40))


def test_the_check_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    monkeypatch.setattr(memory, "CHECK", False)
    assert nst.Johnson.pretrained("wave").stylize(torch.rand(1, 3, 40, 40)).shape == (1, 3, 40, 40)


def test_a_training_that_does_not_fit_is_refused_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nst.save_image(nst.samples.content("cat", 64), tmp_path / "photos" / "cat.png")
    objective, out = AdaINObjective(nst.AdaIN()), tmp_path / "run"
    options: dict[str, Any] = {"steps": 1, "out": out, "size": 64, "progress": False, "device": "cpu"}
    folders = (tmp_path / "photos", tmp_path / "photos")
    monkeypatch.setattr(memory, "available", lambda device: 20_000_000)
    with pytest.raises(
        MemoryError, match=r"^AdaINObjective at 64 x 64 px .* what fits is batch=2 or size=\d+ \(the short"
    ):
        nst.train(objective, *folders, batch=8, **options)
    assert not list(out.glob("*.pt"))
    assert nst.train(objective, *folders, batch=2, **options).finished


def test_an_objective_that_cannot_be_rehearsed_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bright(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Conv2d(3, 3, 1)

        def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
            bright = content[content.sum(1, keepdim=True).expand_as(content) > 0.5]  # of a size that data decide
            return {"bright": self.network(content).square().mean() + bright.mean()}

        def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
            return content

        def describe(self) -> dict[str, str]:
            return {"method": "bright"}

    nst.save_image(nst.samples.content("cat", 64), tmp_path / "photos" / "cat.png")
    monkeypatch.setattr(memory, "available", lambda device: 10_000_000)
    run = nst.train(Bright(), tmp_path / "photos", steps=1, size=32, out=tmp_path / "run", progress=False, device="cpu")
    assert run.finished


def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 30_000_000)
    order = ["stylize", "cat", "swirl", "--size", "512", "-o", str(tmp_path / "out.png"), "-q", "--device", "cpu"]
    assert main(order) == 1
    said = capsys.readouterr().err
    assert said.startswith("nst: Gatys at 770 x 512 px needs about ")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_goes_on_after_a_picture_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nstlib.batch import paint_folder

    for name, size in (("a.png", 64), ("b.png", 700), ("c.png", 64)):
        nst.save_image(nst.samples.content("cat", size), tmp_path / "photos" / name)
    monkeypatch.setattr(memory, "available", lambda device: 25_000_000)
    paint = make_stylizer("wave", method="johnson", device="cpu")
    report = paint_folder(tmp_path / "photos", tmp_path / "out", paint, progress=False)
    assert [path.name for path in report.written] == ["a.png", "c.png"]
    ((path, reason),) = report.failed.items()
    assert path.name == "b.png"
    assert re.match(SENTENCE, reason)


# --------------------------------------------------------------------------------- memory that runs out all the same

ERRORS: dict[str, BaseException] = {
    "CUDA": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total of ..."),
    "Linux": RuntimeError(
        "[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory: you tried"
    ),
    "Windows": RuntimeError(
        "[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."
    ),
    "MPS": RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 1.00 GB)"),
    "Python": MemoryError(),
}


@pytest.mark.parametrize(
    ("method", "kind"), [*(("johnson", kind) for kind in ERRORS), *((m, "Linux") for m in METHODS)]
)
def test_running_out_of_memory_is_said_once_and_not_retried(
    method: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def fail(*_: Any, **__: Any) -> Any:
        nonlocal calls
        calls += 1
        raise ERRORS[kind]

    model, given = make(method), pictures(method, 256, style=64)
    module = model.network if method == "johnson" else model.encoder
    name = "fast" if method == "johnson" else "forward"
    really = getattr(type(module), name)

    def run(self: Any, content: Tensor, *arguments: Any) -> Any:
        return really(self, content, *arguments) if content.is_meta else fail()

    monkeypatch.setattr(type(module), name, run)
    with pytest.raises(MemoryError, match=SENTENCE) as caught:
        model.stylize(*given)
    assert calls == 1
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert caught.value.__context__ is ERRORS[kind]
    assert ERRORS[kind].__traceback__ is None  # whose frames would hold the tensors
    short = re.search(r"size=(\d+)", str(caught.value))
    assert short
    assert 8 <= int(short[1]) < 256


def test_other_errors_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    model = make("adain")
    monkeypatch.setattr(model.encoder, "forward", fail)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        model.stylize(*pictures("adain", 64))
