"""Ctrl-C for loops over many pictures."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def noted_interrupts() -> Iterator[threading.Event]:
    """Record Ctrl-C in an event, and raise `KeyboardInterrupt` as usual.

    A method may catch the `KeyboardInterrupt`, as `Gatys` does to return its best picture so far. The loop around it reads
    the event after each picture, so that it ends all the same. Outside the main thread, which receives no signals, the event
    is never set.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        pressed.set()
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def deferred_interrupts(*, once: bool = True) -> Iterator[threading.Event]:
    """Defer SIGINT: record Ctrl-C in an event, so that a loop can end where all that is to be saved fits together.

    Args:
        once: raise `KeyboardInterrupt` when it is pressed again. Under torchrun, which passes on the signal that the
            terminal has sent to every process already, twice means once.
    """
    pressed = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield pressed
        return

    def note(number: int, frame: Any) -> None:
        if pressed.is_set() and once:
            raise KeyboardInterrupt
        pressed.set()

    before = signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)
