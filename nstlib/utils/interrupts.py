"""Ctrl-C for loops over many pictures."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def noted_interrupts(*, deferred: float = 0) -> Iterator[threading.Event]:
    """Record Ctrl-C in an event, and raise `KeyboardInterrupt` as usual.

    A method may catch the `KeyboardInterrupt`, as `Gatys` does to return its best picture so far. The loop around it reads
    the event after each picture, so that it ends all the same. Outside the main thread, which receives no signals, the event
    is never set.

    Args:
        deferred: the first presses, this many, are recorded and raise nothing, so that a loop can end where all that is to
            be saved fits together.
    """
    pressed, times = threading.Event(), 0
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        nonlocal times
        times += 1
        pressed.set()
        if times > deferred:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
