"""Training in several processes, started by torchrun, which share every batch."""

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
    """Return the rank, the number of processes, and the device of this process, as torchrun set them in the environment."""
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
        # kept for the next run, because processes that leave a group can fail to form another one
        atexit.register(_leave)
    return dist.get_rank(), world, chosen


def _leave() -> None:
    # Destroying the group waits for gloo's thread while holding Python's GIL, which that thread may need to free a tensor
    # (seen with PyTorch 2.4). Sleeping releases the GIL.
    time.sleep(0.5)
    dist.destroy_process_group()


def broadcast_from_rank0(rank: int, world: int, function: Callable[[], _T]) -> _T:
    """Call `function` on the first process, and return its result, or raise its error, on all of them."""
    if world == 1:
        return function()
    answer: list[Any] = [None, None]
    if rank == 0:
        try:
            answer[0] = function()
        except Exception as error:  # raised by all processes, so that none waits for the others
            answer[1] = error
    dist.broadcast_object_list(answer)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]
