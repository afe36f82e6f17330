"""What every test gets: no display, and no network but this machine's own."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
import torch

os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def same_random_numbers() -> None:
    """A test draws the same numbers whenever it runs, and whichever ran before."""
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that asks another machine for something fails: nstlib must work with no network."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        host = address[0] if isinstance(address, tuple) else "localhost"
        if host not in ("localhost", "127.0.0.1", "::1"):
            raise OSError(f"tests are offline, and this one asked {host}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
