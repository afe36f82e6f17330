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

    A method may catch the `KeyboardInterrupt`, as `Gatys` does to return its best picture so far. The loop around it can
    check the event after each picture, and stop as well. Outside the main thread, which alone receives signals, the event is
    never set.

    Args:
        deferred: number of first presses that are recorded but raise nothing, so that a loop can finish its current step.
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
