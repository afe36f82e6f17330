"""Memory: refuse a picture that can't fit before the work begins, and name a size that would fit.

The memory of a method grows linearly with the number of pixels, and with the width of the first layer of its network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor

BYTES_PER_PIXEL = {"gatys": 1960, "johnson": 170, "adain": 400, "sanet": 400, "adaattn": 670}
"""Method -> bytes per pixel of the photograph, besides the networks and PyTorch itself. This is the growth between two sizes
of photograph and painting, measured by `benchmarks/memory.py` with `vgg19_mini` or Johnson's network of width 16."""

MESSAGES = ("out of memory", "can't allocate memory", "not enough memory")
"""Messages of the allocators of CUDA, MPS, Linux and Windows."""


def available(device: torch.device) -> int | None:
    """Return the number of bytes that are available, or None if the system doesn't tell."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # memory that PyTorch has reserved but doesn't use is available too
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    found: list[int] = []
    with suppress(OSError, ValueError, KeyError):
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    with suppress(OSError, ValueError, KeyError):  # the limit of a container; "max" is no number
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        kept = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        # the kernel drops cached pages of inactive files when memory is short
        found.append(max(0, limit - used + int(kept["inactive_file"])))
    return min(found) if found else None


@contextmanager
def enough_memory(method: str, picture: Tensor, *, device: torch.device, width: float = 1.0) -> Iterator[None]:
    """Refuse work that can't fit into memory, and explain an allocation that fails nevertheless.

    Args:
        method: a key of `BYTES_PER_PIXEL`. Other methods are not refused.
        picture: the photograph, `(B, C, H, W)`.
        device: the device that does the work.
        width: the width of the encoder, relative to that of `vgg19_mini`.

    Raises:
        MemoryError: the message names the memory needed, the memory available, and a size that would fit.
    """
    height, side = picture.shape[2:]
    need = round(BYTES_PER_PIXEL.get(method, 0) * width * len(picture) * height * side)
    free = available(device) if need else None
    if free is not None and need > free:
        # a short side that fits, as a multiple of 8; the long side may be rounded up by half a pixel
        fits = 8 * int((min(height, side) * (free / need) ** 0.5 - 0.5) / 8)
        raise MemoryError(
            f"a picture of {side} x {height} px needs about {need / 1e6:,.0f} MB, and there are {free / 1e6:,.0f} MB: "
            + (f"size={fits} (the short side) would fit" if fits >= 64 else "no useful size fits")
        )
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError))
        if not known and not any(text in str(error) for text in MESSAGES):
            raise
        error.__traceback__ = None  # its frames hold the tensors of the work
        raise MemoryError(f"no memory left for a picture of {side} x {height} px; take a smaller size") from None
