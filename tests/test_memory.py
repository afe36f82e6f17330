"""Memory: the estimates against processes, and the one sentence that is said when it isn't enough."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nstlib as nst
from nstlib import arbitrary, gatys, johnson, memory, training
from nstlib.cli import main
from nstlib.cli.train import ARBITRARY
from nstlib.johnson import JohnsonObjective, TransformerNet
from nstlib.stylize import METHODS, painter

MIB = 2**20

VGG19 = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"]

CASES = [
    *(("johnson", size) for size in (768, 1024)),
    *(("adain", size) for size in (768, 1024)),
    *(("sanet", size) for size in (384, 1024)),
    *(("adaattn", size) for size in (256, 384)),
    *(("gatys", size) for size in (256, 384)),
    ("vgg19", 256),  # Gatys, by the large network with random weights
    *((f"{method}-step", 256) for method in ("johnson", "adain", "sanet", "adaattn")),
]


class Step:
    """One step of a training, as if it were a method."""

    def __init__(self, method: str) -> None:
        self.objective: Any
        if method == "johnson":
            self.objective = JohnsonObjective(TransformerNet(16), nst.samples.style("wave", 64))
        else:
            model, objective = ARBITRARY[method]
            self.objective = objective(model())

    def stylize(self, content: Tensor, style: Tensor | None = None, *, progress: bool = False) -> None:
        size, styled = content.shape[-1], style is not None
        with training._fits(self.objective, len(content), 1, size, styled, "float32", torch.device("cpu")):
            torch.stack(list(self.objective(content, style).values())).sum().backward()


def make(method: str) -> Any:
    if method.endswith("-step"):
        return Step(method.removesuffix("-step"))
    if method == "johnson":
        return nst.Johnson.pretrained("wave")
    if method in ("gatys", "vgg19"):
        return nst.Gatys(nst.Encoder("vgg19", VGG19, weights="random") if method == "vgg19" else "vgg19_mini", steps=3)
    return METHODS[method].pretrained()


def pictures(method: str, size: int, style: int = 512) -> tuple[Tensor, ...]:
    random = torch.Generator().manual_seed(0)
    if method.endswith("-step"):
        return tuple(torch.rand(2, 3, size, size, generator=random) for _ in range(1 + ("johnson" not in method)))
    content = torch.rand(1, 3, size, 3 * size // 2, generator=random)
    return (content,) if method == "johnson" else (content, torch.rand(1, 3, style, style * 5 // 4, generator=random))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., memory._Asked]:
    """What a call asks of `nstlib.memory`; it is not run."""

    def ask(call: Callable[[], object]) -> memory._Asked:
        found: list[memory._Asked] = []

        def note(self: memory._Asked, free: int, there: str) -> str:
            found.append(self)
            return "noted"

        with monkeypatch.context() as patch:
            patch.setattr(memory, "available", lambda device: 0)
            patch.setattr(memory._Asked, "sentence", note)
            with pytest.raises(MemoryError, match="noted"):
                call()
        return found[0]

    return ask


# --------------------------------------------------------------------------------- the estimates, measured

GROWTH = """
import ctypes, os, sys
sys.path.insert(0, {tests!r})
import test_memory
from nstlib import memory

def now(name):
    with open("/proc/self/status") as file:
        return 1024 * next(int(line.split()[1]) for line in file if line.startswith(name))

memory.CHECK = False
trim = getattr(ctypes.CDLL(None), "malloc_trim", abs)  # of glibc
for line in sys.stdin:
    method, size = line.split()
    if not os.fork():
        model, given = test_memory.make(method), test_memory.pictures(method, int(size))
        options = {{"progress": False}}
        model.stylize(*[picture[..., :64, :64] for picture in given], **options)  # code is read and compiled
        trim(0)  # what making the model left free on the heap
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak begins here
        before = now("VmRSS")
        model.stylize(*given, **options)
        print(now("VmHWM") - before, flush=True)
        os._exit(0)
    os.wait()
"""


EXACT = {"MALLOC_MMAP_THRESHOLD_": "16384", "MALLOC_ARENA_MAX": "1"}
"""With these, glibc takes every storage from the system and gives it back: peaks are the same in every process."""


@pytest.fixture(scope="module")
def growth() -> Iterator[Callable[..., int]]:
    """(method, size) -> bytes that the peak of a process grows by, as glibc comes or without a heap."""
    with ExitStack() as stack:

        def start(more: dict[str, str]) -> subprocess.Popen[str]:
            script = GROWTH.format(tests=os.path.dirname(__file__))
            environment = os.environ | {"OMP_NUM_THREADS": "2"} | more
            process = subprocess.Popen(
                [sys.executable, "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
                env=environment,
            )
            return stack.enter_context(process)  # which closes its input in the end, and waits

        processes = {False: start({}), True: start(EXACT)}

        def measure(method: str, size: int, *, exact: bool) -> int:
            process = processes[exact]
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{method} {size}\n")
            return int(process.stdout.readline())

        yield measure


linux = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK) or platform.libc_ver()[0] != "glibc",
    reason="peaks are read from Linux's /proc, of glibc's allocator",
)


@linux
@pytest.mark.parametrize(("method", "size"), CASES)
def test_estimates_are_within_a_quarter_of_what_a_process_grows_by(
    method: str,
    size: int,
    growth: Callable[..., int],
    asked: Callable[..., memory._Asked],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where storages go back to the system at once, as they do on a graphics card."""
    monkeypatch.setattr(memory, "BIG", 0)  # nothing is on the heap
    model, given = make(method), pictures(method, size)
    need, measured = asked(lambda: model.stylize(*given)).need(), growth(method, size, exact=True)
    assert 0.75 * measured < need < 1.25 * measured, (need // MIB, measured // MIB)


@linux
@pytest.mark.parametrize(("method", "size"), CASES[::2])
def test_estimates_come_near_with_a_heap_too(
    method: str, size: int, growth: Callable[..., int], asked: Callable[..., memory._Asked]
) -> None:
    """Most come within a quarter. But the heap differs from process to process by as much as that itself."""
    model, given = make(method), pictures(method, size)
    need = asked(lambda: model.stylize(*given)).need()
    measured = [growth(method, size, exact=False)]
    while abs(need / (sum(measured) / len(measured)) - 1) > 0.25 and len(measured) < 3:
        measured.append(growth(method, size, exact=False))  # where threads leave holes in the heap is chance
    mean = sum(measured) / len(measured)
    assert mean / 1.6 < need < 1.6 * mean, (need // MIB, [one // MIB for one in measured])


@pytest.mark.parametrize("method", METHODS)
def test_where_memory_is_plenty_there_is_no_rehearsal(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 100 * 10**9)
    monkeypatch.setattr(memory, "peak", lambda *_, **__: pytest.fail("was rehearsed"))
    make(method).stylize(*pictures(method, 64), **{"progress": False})


@pytest.mark.parametrize("method", [*METHODS, "vgg19", "adain-step", "sanet-step", "adaattn-step"])
def test_plenty_is_plenty(method: str, asked: Callable[..., memory._Asked], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is let pass without a look needs less than half of what there must be for that."""
    model, given, plenty = make(method), pictures(method, 256 if method.endswith("-step") else 1024), []
    guarded = memory.guarded

    def note(*arguments: Any, **options: Any) -> Any:
        plenty.append(options["plenty"])
        return guarded(*arguments, **options)

    for module in (arbitrary, gatys, johnson, training):
        monkeypatch.setattr(module, "guarded", note)
    assert asked(lambda: model.stylize(*given)).need() < plenty[0] / 2


def test_a_graph_of_torchvision_is_rehearsed_too(asked: Callable[..., memory._Asked]) -> None:
    encoder = nst.Encoder("squeezenet1_1", weights="random")
    model = nst.Gatys(encoder, content_layers=encoder.layers[-1:], style_layers=encoder.layers)
    found = asked(lambda: model(*pictures("gatys", 128)))
    assert found.need() > 1.5 * found.need(short=64)


def test_masks_styles_and_a_start_are_counted(asked: Callable[..., memory._Asked]) -> None:
    content, style = pictures("gatys", 128)
    model = nst.Gatys(start=torch.rand(1, 3, 128, 192), steps=9)
    mask = torch.zeros(3, 128, 192)
    mask[0, :40], mask[1, 40:80], mask[2, 80:] = 1, 1, 1
    one = asked(lambda: model(content, style))
    three = asked(lambda: model(content, [style] * 3, mask=mask))
    assert three.need() > 1.3 * one.need()
    assert three.need(short=64) < three.need()


def test_styles_that_were_read_before_need_no_more(asked: Callable[..., memory._Asked]) -> None:
    model, (content, style) = nst.SANet.pretrained(), pictures("sanet", 64)
    code = model.encode_style(style)
    read, unread = (asked(lambda one=one: model.stylize(content, one)).need() for one in (code, style))
    assert read < 0.5 * unread


# ------------------------------------------------------------------------------------- what is counted, exactly


def test_all_that_is_alive_at_once_is_counted_and_nothing_twice() -> None:
    def run(ghost: nn.Module) -> None:
        x = torch.empty(1000, 250, device="meta")  # 1 MB
        y = x + x
        z = y.view(250, 1000)[:100]  # the same storage
        y = z.relu_()
        del x
        z = y @ torch.empty(1000, 2500, device="meta")  # 10 MB, and 100 x 2500: 1 MB
        assert z.shape == (100, 2500)
        assert ghost.weight.is_meta

    model = nn.Linear(1000, 1000)
    assert memory.peak(model, run) == 1e6 + 10e6 + 1e6
    assert memory.peak(model, run, heap=2.0) == 24e6
    assert not model.weight.is_meta


def test_what_the_heap_once_held_stays_and_large_storages_go() -> None:
    def run(ghost: nn.Module) -> None:
        small = torch.empty(5_000_000, device="meta")  # 20 MB
        del small
        large = torch.empty(10_000_000, device="meta")  # 40 MB
        del large
        large = torch.empty(15_000_000, device="meta")  # 60 MB
        assert large.is_meta

    assert memory.peak(nn.Linear(1, 1), run, heap=1.5) == 1.5 * 20e6 + 60e6


def test_gradients_are_counted() -> None:
    def run(ghost: nn.Module) -> None:
        x = torch.empty(100, 1000, device="meta", requires_grad=True)  # 0.4 MB
        hidden = ghost(x).relu().square()  # three times 0.4 MB, of which one is gone after
        hidden.sum().backward()

    kept = memory.peak(nn.Linear(1000, 1000), run)
    assert kept > 1000 * 1000 * 4 + 4 * 400_000  # the gradient of the weight is 4 MB


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


@pytest.mark.parametrize("method", METHODS)
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


def test_options_that_need_less_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 300_000_000)
    (content, style), model = pictures("adain", 1024), nst.AdaIN.pretrained()
    with pytest.raises(MemoryError, match=r"what fits is tile=512 or size=\d+ \(the short side\)$"):
        model.stylize(content, style, tile=2048)
    model.stylize(content, style, tile=512)


@pytest.mark.parametrize("size", [10, 5])
def test_a_shorter_history_is_named(
    size: int, asked: Callable[..., memory._Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, given = nst.Gatys(steps=300, pyramid=1), pictures("gatys", 512)
    need = asked(lambda: model.stylize(*given)).need(history_size=size)
    monkeypatch.setattr(memory, "available", lambda device: need + 1000)
    with pytest.raises(MemoryError, match=rf"what fits is history_size={size} or size=\d+ \(the short side\)$"):
        model.stylize(*given)
    monkeypatch.setattr(model, "_optimise", lambda *_: iter([None]))
    model.history_size = size
    assert next(model.iterate(*given)) is None  # is let through


def test_adam_is_named_where_no_history_fits(
    asked: Callable[..., memory._Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, given = nst.Gatys(steps=300, pyramid=1, history_size=3), pictures("gatys", 512)
    need = asked(lambda: model.stylize(*given)).need(optimizer="adam")
    monkeypatch.setattr(memory, "available", lambda device: need + 1000)
    with pytest.raises(MemoryError, match="what fits is optimizer='adam' or size="):
        model.stylize(*given)


def test_a_painting_that_is_too_large_to_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda device: 150_000_000)
    paint = painter(torch.rand(1, 3, 1001, 1501), method="adaattn", device="cpu")
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
    step, out = Step("adain"), tmp_path / "run"
    options: dict[str, Any] = {"steps": 1, "out": out, "size": 64, "progress": False, "device": "cpu"}
    folders = (tmp_path / "photos", tmp_path / "photos")
    monkeypatch.setattr(memory, "available", lambda device: 20_000_000)
    with pytest.raises(
        MemoryError, match=r"^AdaINObjective at 64 x 64 px .* what fits is batch=2 or size=\d+ \(the short"
    ):
        nst.train(step.objective, *folders, batch=8, **options)
    assert not list(out.glob("*.pt"))
    assert nst.train(step.objective, *folders, batch=2, **options).finished
    half = [
        training._fits(step.objective, 8, 1, 64, True, precision, torch.device("cpu"))
        for precision in ("float32", "bfloat16")
    ]
    monkeypatch.setattr(memory, "available", lambda device: 50_000_000)
    with pytest.raises(MemoryError), half[0]:
        pass
    with half[1]:  # takes about half of it
        pass


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
    paint = painter("wave", method="johnson", device="cpu")
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


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("method", METHODS)
def test_running_out_of_memory_is_said_once_and_not_retried(
    method: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def fail(*_: Any, **__: Any) -> Any:
        nonlocal calls
        calls += 1
        raise ERRORS[kind]

    model, given = make(method), pictures(method, 256, style=128)
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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps this limit")
def test_a_process_that_may_not_have_more_says_so() -> None:
    """No fake: the address space is limited, and the allocator fails."""
    program = (
        "import resource, torch, nstlib as nst; from nstlib import memory\n"
        "model = nst.Johnson.pretrained('wave'); picture = torch.rand(1, 3, 1200, 1200)\n"
        "memory.peak(model, lambda ghost: ghost.network.fast(torch.empty(1, 3, 64, 64, device='meta')))\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 150_000_000,) * 2)\n"
        "try: model.stylize(picture)\n"
        "except MemoryError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        text=True,
        capture_output=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert re.match(SENTENCE, done.stdout), done.stderr
