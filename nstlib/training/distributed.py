"""Several processes, as torchrun starts them, that share out every batch."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from nstlib.utils.checks import choose_device

_T = TypeVar("_T")


def init_distributed(device: str | torch.device | None) -> tuple[int, int, torch.device]:
    """Return rank, number of processes, and device of this one. torchrun says so in the environment; else it is alone."""
    chosen = choose_device(device)
    world = dist.get_world_size() if dist.is_initialized() else int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return 0, 1, chosen
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) if chosen.index is None else chosen.index)
        torch.cuda.set_device(chosen)
    elif chosen.type == "mps":
        chosen = torch.device("cpu")  # gloo carries no tensors of MPS
    if not dist.is_initialized():
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        # kept for the next run: processes that leave one group and meet again in another may miss each other
        atexit.register(_leave)
    return dist.get_rank(), world, chosen


def _leave() -> None:
    # Destruction waits for gloo's thread and holds Python's lock, which the thread may need to free a tensor (seen with
    # PyTorch 2.4). Asleep, we leave the lock to it.
    time.sleep(0.5)
    dist.destroy_process_group()


def broadcast_from_rank0(rank: int, world: int, function: Callable[[], _T]) -> _T:
    """Return what `function` returns on the first process to all of them, which need no copy of its files; errors too."""
    if world == 1:
        return function()
    answer: list[Any] = [None, None]
    if rank == 0:
        try:
            answer[0] = function()
        except Exception as error:  # raised by all, so that none waits for the others
            answer[1] = error
    dist.broadcast_object_list(answer)
    if answer[1] is not None:
        raise answer[1]
    result: _T = answer[0]
    return result
