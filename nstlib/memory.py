"""Memory: what a run needs, said before it begins.

There is no formula per method. A method is rehearsed: its own code runs on PyTorch's "meta" device, where tensors have a
shape and no numbers, and a dispatch mode adds up the storages that are alive. This takes milliseconds (and once, a second:
PyTorch imports its meta kernels), so it is left out where memory is plenty. `nstlib.memory.CHECK = False` turns it off.

On the CPU a process needs more than that sum. glibc gives storages from 32 MiB to the system and back; smaller ones share a
heap, which fragments and keeps what it once had:

    need(t) = heap max_{s <= t} small(s) + big(t)               small, big: bytes alive in storages below and from 32 MiB

The factor `heap` is measured, and each method brings its own: a loop that keeps all features for its gradient leaves few
holes, one that throws each away after the next leaves many. tests/test_memory.py compares the estimates with processes:
within a quarter where there is no heap, and with one as near as chance allows.
"""

from __future__ import annotations

import copy
import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

CHECK = True
"""Whether runs that don't fit are refused. False tries them all the same."""

BIG = 32 * 2**20
"""glibc's DEFAULT_MMAP_THRESHOLD_MAX: storages from here on are not on the heap."""

MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")
"""What the allocators of CUDA, MPS, Linux and Windows say."""

Rehearsal = Callable[[Any, Tensor, dict[str, Any]], object]
"""(model without numbers, content without numbers, options to try) -> whatever: it does what the run would do."""


def available(device: torch.device, root: Path = Path("/")) -> int | None:
    """Bytes that may still be taken, swap included; None if the system doesn't say.

    Args:
        device: CUDA has memory of its own; all others share the machine's.
        root: where `/proc` and `/sys` are.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # what PyTorch has reserved and doesn't use is ours too
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    found = [*_machine(root), *_groups(root)]
    return min(found) if found else None


def _machine(root: Path) -> Iterator[int]:
    with suppress(OSError):
        table = _table((root / "proc/meminfo").read_text())
        yield (table["MemAvailable:"] + table["SwapFree:"]) * 1024
        return
    with suppress(AttributeError, ValueError, OSError):  # no such function, or no such number: Windows, macOS
        yield os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _groups(root: Path) -> Iterator[int]:
    """What the limits of containers leave: of the process's own control group, and of those around it."""
    lines: list[str] = []
    with suppress(OSError):
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":  # version 2
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in kinds.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        group = Path(path.lstrip("/"))
        # a container may not see the path, but its base
        for folder in {base / part for part in (group, *group.parents)}:
            with suppress(OSError, ValueError):  # "max" is no number
                limit, used = (int((folder / name).read_text()) for name in names[:2])
                # files that were read are forgotten when memory is short
                yield max(0, limit - used + _table((folder / "memory.stat").read_text()).get(names[2], 0))


def _table(text: str) -> dict[str, int]:
    return {line.split()[0]: int(line.split()[1]) for line in text.splitlines() if len(line.split()) > 1}


class _Ledger(TorchDispatchMode):
    """Adds up the storages that operations make, until they are gone."""

    def __init__(self, heap: float) -> None:
        super().__init__()
        self.heap, self.known = heap, set[int]()
        self.small = self.most_small = self.big = self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        self.peak = max(self.peak, round(self.heap * self.most_small) + self.big)
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self._add(size)
            weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self.known.discard(key)
        self._add(-size)

    def _add(self, size: int) -> None:
        if abs(size) < BIG:
            self.small += size
            self.most_small = max(self.most_small, self.small)
        else:
            self.big += size


def peak(model: nn.Module, rehearse: Callable[[Any], object], *, heap: float = 1.0) -> int:
    """Bytes that a run takes at most, besides what is there before it.

    Args:
        model: what runs.
        rehearse: runs it, given a copy of the model on the meta device.
        heap: bytes of heap per byte of small storages.

    Example:
        >>> peak(nn.ReLU(), lambda ghost: ghost(torch.empty(10_000, 1000, device="meta")))  # what goes in, what comes out
        80000000
    """
    memo: dict[int, Any] = {}  # what deepcopy takes for copied already
    for tensor in (*model.parameters(), *model.buffers()):
        empty = tensor.detach().to("meta")
        memo[id(tensor)] = nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
    ghost = copy.deepcopy(model, memo)
    ledger = _Ledger(heap)
    with ledger:
        rehearse(ghost)
    return ledger.peak


@contextmanager
def guarded(
    model: nn.Module,
    content: Tensor,
    rehearse: Rehearsal,
    *,
    device: torch.device,
    least: int,
    plenty: int,
    heap: float,
    options: Sequence[dict[str, Any]] = (),
) -> Iterator[None]:
    """Refuses a run that doesn't fit before it begins; if memory runs out on the way all the same, says the same.

    Args:
        model: what runs.
        content: its picture, `(B, 3, H, W)`.
        rehearse: does what the run will do.
        device: where it runs.
        least: the shortest side to advise.
        plenty: if there are so many bytes, it surely fits, and is not rehearsed.
        heap: of this kind of run, on a CPU.
        options: changes to try that need less memory, the best first.

    Raises:
        MemoryError: what it needs, what there is, and what would fit.
    """
    asked = _Asked(model, content, rehearse, device, least, heap if device.type == "cpu" else 1.0, options)
    free = available(device) if CHECK else None
    if free is not None and free < plenty and asked.need() > free:
        raise MemoryError(asked.sentence(free, "there are"))
    try:
        yield
        return
    except (RuntimeError, MemoryError) as error:
        # torch.cuda.OutOfMemoryError is a RuntimeError, and torch.OutOfMemoryError the same
        known = isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError))
        if not known and not any(text in str(error) for text in MESSAGES):
            raise
        error.__traceback__ = None  # its frames hold the run's tensors
    need = asked.need()
    # it was too much, whatever the estimate says: what is advised needs clearly less
    raise MemoryError(asked.sentence(min(available(device) or need, round(0.8 * need)), "there were")) from None


class _Asked:
    """A run that was asked for, and what to do instead."""

    def __init__(
        self,
        model: nn.Module,
        content: Tensor,
        rehearse: Rehearsal,
        device: torch.device,
        least: int,
        heap: float,
        options: Sequence[dict[str, Any]],
    ) -> None:
        self.model, self.rehearse, self.device = model, rehearse, device
        self.shape, self.dtype, self.gradients = tuple(content.shape), content.dtype, torch.is_grad_enabled()
        self.least, self.heap, self.options = least, heap, options

    def need(self, short: int | None = None, **option: Any) -> int:
        """Bytes, for a picture of this short side, with this option."""
        batch, channels, height, width = self.shape
        factor = 1.0 if short is None else short / min(height, width)
        shape = (batch, channels, max(1, round(height * factor)), max(1, round(width * factor)))

        def run(ghost: Any) -> None:
            with torch.set_grad_enabled(self.gradients):  # as where it was asked for
                self.rehearse(ghost, torch.empty(shape, dtype=self.dtype, device="meta"), option)

        return peak(self.model, run, heap=self.heap)

    def sentence(self, free: int, there: str) -> str:
        height, width = self.shape[2:]
        advice = [
            ", ".join(f"{name}={value!r}" for name, value in option.items())
            for option in self.options
            if self.need(**option) <= free
        ][:1]
        short = self._fitting(free)
        if short is not None:
            advice.append(f"size={short} (the short side)")
        where = "of GPU memory" if self.device.type == "cuda" else "of memory"
        return (
            f"{type(self.model).__name__} at {width} x {height} px needs about {_text(self.need())} {where}, and {there} "
            f"{_text(free)}; " + (f"what fits is {' or '.join(advice)}" if advice else "no smaller size fits either")
        )

    def _fitting(self, free: int) -> int | None:
        """The longest short side that fits, in whole eights."""
        fits, too_large = self.least // 8, -(-min(self.shape[2:]) // 8)
        if fits >= too_large or self.need(8 * fits) > free:
            return None
        while too_large - fits > 1:
            middle = (fits + too_large) // 2
            fits, too_large = (middle, too_large) if self.need(8 * middle) <= free else (fits, middle)
        return 8 * fits


def _text(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
