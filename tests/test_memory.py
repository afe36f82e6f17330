"""Memory: what there is of it, the size that fits where a picture doesn't, and allocations that fail all the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import nstlib as nst
from nstlib import arbitrary
from nstlib.cli import main
from nstlib.johnson import TransformerNet
from nstlib.registry import METHODS
from nstlib.stylize import make_stylizer
from nstlib.utils import memory
from nstlib.utils.batch import paint_folder
from nstlib.utils.memory import BYTES_PER_PIXEL, enough_memory

CPU = torch.device("cpu")


def make(method: str) -> Any:
    if method == "johnson":
        return nst.Johnson.pretrained("wave")
    return nst.Gatys(steps=1) if method == "gatys" else METHODS[method].model.pretrained()


def paint(model: Any, content: Tensor) -> Tensor:
    painted: Tensor = model.stylize(content, None if isinstance(model, nst.Johnson) else torch.rand(1, 3, 64, 64))
    return painted


def leave(free: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be so many bytes."""
    monkeypatch.setattr(memory, "available", lambda device: free if free is None else int(free))


# ------------------------------------------------------------------------------------------ what there is

MEMINFO = {"proc/meminfo": "MemTotal: 16000 kB\nMemFree: 10 kB\nMemAvailable: 8000 kB\nHugePages_Total: 0\n"}


def group(limit: str, used: int, inactive: int) -> dict[str, str]:
    stat = f"anon 7\ninactive_file {inactive}\n"
    return {
        f"sys/fs/cgroup/memory.{name}": text
        for name, text in {"max": limit, "current": str(used), "stat": stat}.items()
    }


@pytest.mark.parametrize(
    ("files", "free"),
    [
        (MEMINFO, 8000 * 1024),
        (MEMINFO | group("5000000\n", 2_000_000, 0), 3_000_000),
        (MEMINFO | group("5000000\n", 5_000_000, 4_000_000), 4_000_000),  # files that were read may be forgotten
        (MEMINFO | group("10", 11, 0), 0),
        (MEMINFO | group("max\n", 1, 0), 8000 * 1024),
        (group("5000000\n", 0, 0), 5_000_000),
        ({}, None),
    ],
    ids=["machine", "container", "container full of files", "over the limit", "no limit", "only a limit", "no files"],
)
def test_the_least_of_all_limits_is_available(
    files: dict[str, str], free: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "Path", lambda path: tmp_path / path.lstrip("/"))
    assert memory.available(CPU) == free


def test_a_graphics_card_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (700, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 200)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 150)
    assert memory.available(torch.device("cuda")) == 750


def test_there_is_some_here() -> None:
    free = memory.available(CPU)
    assert free is None or 2**20 < free < 2**50


# ------------------------------------------------------------------------------------------ before the work


def test_every_method_has_its_line() -> None:
    assert BYTES_PER_PIXEL.keys() == METHODS.keys()


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_fit_is_refused_and_the_size_that_is_named_is_painted(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arbitrary, "TILE", 64)  # up to this size, nothing is asked
    model, width = make(method), 1.0
    if method == "johnson":
        width = model.network.width / 16
    leave(BYTES_PER_PIXEL[method] * width * 83 * 125, monkeypatch)
    with pytest.raises(MemoryError) as caught:
        paint(model, torch.rand(1, 3, 200, 300))
    said = (
        r"a picture of 300 x 200 px needs about [\d,]+ MB, and there are \d+ MB: size=80 \(the short side\) would fit"
    )
    assert re.fullmatch(said, str(caught.value))
    assert paint(model, torch.rand(1, 3, 80, 120)).shape == (1, 3, 80, 120)
    with pytest.raises(MemoryError):
        paint(model, torch.rand(1, 3, 88, 132))


@settings(deadline=None, derandomize=True, database=None)
@given(height=st.integers(65, 3000), width=st.integers(65, 3000), share=st.floats(0.01, 0.999), batch=st.integers(1, 3))
def test_the_size_that_is_named_fits_whatever_the_picture(height: int, width: int, share: float, batch: int) -> None:
    content = torch.empty(1, 3, 1, 1).expand(batch, 3, height, width)
    with pytest.MonkeyPatch.context() as patch:
        leave(share * 1960 * batch * height * width, patch)
        with pytest.raises(MemoryError) as caught, enough_memory("gatys", content, device=CPU):
            pytest.fail("it has begun")
        found = re.search(r"size=(\d+)", str(caught.value))
        if found is None:
            assert "no useful size fits" in str(caught.value)
            assert share * min(height, width) ** 2 < 74**2
            return
        factor = int(found[1]) / min(height, width)
        smaller = content[..., :1, :1].expand(batch, 3, round(factor * height), round(factor * width))
        with enough_memory("gatys", smaller, device=CPU):
            pass


def test_below_full_strength_two_pictures_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arbitrary, "TILE", 64)
    model, content, style = make("adain"), torch.rand(1, 3, 80, 80), torch.rand(1, 3, 64, 64)
    leave(1.5 * BYTES_PER_PIXEL["adain"] * 80 * 80, monkeypatch)
    assert model.stylize(content, style).shape == content.shape
    with pytest.raises(MemoryError, match="80 x 80 px needs about 5 MB, and there are 4 MB"):
        model.stylize(content, style, 0.5)


def test_wider_networks_need_more(monkeypatch: pytest.MonkeyPatch) -> None:
    content = torch.rand(1, 3, 64, 64)
    leave(1.5 * 170 * 64 * 64, monkeypatch)
    assert nst.Johnson(TransformerNet(16)).stylize(content).shape == content.shape
    with pytest.raises(MemoryError, match="64 x 64 px needs about 1 MB"):
        nst.Johnson(TransformerNet(32)).stylize(content)
    leave(1.5 * 1960 * 64 * 64, monkeypatch)
    assert paint(nst.Gatys(steps=1), content).shape == content.shape
    with pytest.raises(MemoryError, match="64 x 64 px needs about 32 MB"):
        paint(nst.Gatys(nst.Encoder("vgg19", weights="random"), content_layers=["relu3_1"], steps=1), content)


@pytest.mark.parametrize("free", [0, 1000])
def test_where_no_useful_size_fits_that_is_said(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(free, monkeypatch)
    with pytest.raises(MemoryError, match=r"there are 0 MB: no useful size fits$"):
        paint(make("johnson"), torch.rand(1, 3, 128, 128))


def test_where_nothing_is_known_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    leave(None, monkeypatch)
    assert paint(make("johnson"), torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)
    leave(1000, monkeypatch)
    with enough_memory("a method of one's own", torch.rand(1, 3, 64, 64), device=CPU):
        pass


def test_the_command_line_says_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    leave(30_000_000, monkeypatch)
    order = ["stylize", "cat", "swirl", "--size", "512", "-o", str(tmp_path / "out.png"), "-q", "--device", "cpu"]
    assert main(order) == 1
    said = capsys.readouterr().err
    assert said.startswith("nst: a picture of 770 x 512 px needs about 773 MB, and there are 30 MB: size=96 ")
    assert said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_folder_goes_on_after_a_picture_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("a.png", 64), ("b.png", 200), ("c.png", 64)):
        nst.save_image(nst.samples.content("cat", size), tmp_path / "photos" / name)
    leave(4_000_000, monkeypatch)
    paint = make_stylizer("wave", method="johnson", device="cpu")
    report = paint_folder(tmp_path / "photos", tmp_path / "out", paint, progress=False)
    assert [path.name for path in report.written] == ["a.png", "c.png"]
    ((path, reason),) = report.failed.items()
    assert path.name == "b.png"
    assert "would fit" in reason


# ------------------------------------------------------------------------------------------ on the way

ERRORS: dict[str, BaseException] = {
    "CUDA": torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total of ..."),
    "Linux": RuntimeError("[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory: you tried"),
    "Windows": RuntimeError("[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    "MPS": RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 1.00 GB)"),
    "Python": MemoryError(),
}  # fmt: skip


@pytest.mark.parametrize(
    ("method", "kind"), [*(("johnson", kind) for kind in ERRORS), *((one, "Linux") for one in METHODS)]
)
def test_an_allocation_that_fails_is_named_in_one_sentence(
    method: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arbitrary, "TILE", 64)
    calls: list[int] = []

    def fail(*_: Any) -> None:
        calls.append(1)
        raise ERRORS[kind]

    model = make(method)
    monkeypatch.setattr(*((model.network, "fast") if method == "johnson" else (model.encoder, "forward")), fail)
    with pytest.raises(MemoryError) as caught:
        paint(model, torch.rand(1, 3, 64, 96))
    assert str(caught.value) == "no memory left for a picture of 96 x 64 px; take a smaller size"
    assert len(calls) == 1  # and is not tried again
    assert caught.value.__suppress_context__
    assert ERRORS[kind].__traceback__ is None  # whose frames would hold the tensors


def test_other_errors_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    model = make("adain")
    monkeypatch.setattr(model.encoder, "forward", fail)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        paint(model, torch.rand(1, 3, 64, 64))


@pytest.mark.parametrize("method", ["johnson", "adain"])
def test_refining_is_refused_before_the_painting(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, content = make(method), torch.rand(1, 3, 64, 96)
    style = None if method == "johnson" else torch.rand(1, 3, 64, 64)
    leave(BYTES_PER_PIXEL["gatys"] * 64 * 96 - 1, monkeypatch)
    assert paint(model, content).shape == content.shape
    monkeypatch.setattr(*((model.network, "fast") if method == "johnson" else (model.encoder, "forward")), pytest.fail)
    with pytest.raises(MemoryError, match=r"of 96 x 64 px needs about 12 MB, and there are 12 MB"):
        model.stylize(content, style, refine=1)
