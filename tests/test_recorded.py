"""Recordings of the chapters: computed once, and read from then on."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import nstlib as nst

sys.path.append(str(Path(__file__).parents[1] / "book"))

import recorded


def lossless() -> dict[str, Any]:
    return {"picture": nst.samples.content("cat", 64), "curve": [1.0, 0.5], "weights": torch.arange(6.0).view(2, 3)}


def lossy() -> dict[str, Any]:
    return lossless()


@pytest.mark.parametrize(("function", "quality"), [(lossless, None), (lossy, 80)])
def test_what_was_recorded_comes_back(
    function: Callable[[], Any], quality: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "FOLDER", tmp_path)
    call = recorded.recorded(quality=quality)(function)
    truth = call()  # nothing is recorded yet, so it runs
    monkeypatch.setenv(recorded.RECORD, "a_chapter.ipynb")
    call()
    monkeypatch.delenv(recorded.RECORD)
    found = call()
    assert found["curve"] == truth["curve"]
    torch.testing.assert_close(found["weights"], truth["weights"])
    difference = (found["picture"] - truth["picture"]).abs()
    assert difference.max() <= 0.5 / 255 + 1e-6 if quality is None else 0 < difference.mean() < 0.05
    sizes = {path.stem: path.stat().st_size for path in tmp_path.iterdir()}
    assert list(sizes) == [function.__name__]
    assert sizes[function.__name__] < (15_000 if quality is None else 5_000)


def test_on_colab_recordings_are_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf, here = tmp_path / "online", tmp_path / "here"
    monkeypatch.setattr(recorded, "FOLDER", shelf)
    monkeypatch.setenv(recorded.RECORD, "a_chapter.ipynb")
    recorded.recorded(lossless)()
    monkeypatch.delenv(recorded.RECORD)
    monkeypatch.setattr(recorded, "FOLDER", here)
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    handler = partial(SimpleHTTPRequestHandler, directory=str(shelf))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(recorded, "ONLINE", f"http://127.0.0.1:{server.server_port}")
        recorded.recorded(lossless)()
        assert (here / "lossless.zip").read_bytes() == (shelf / "lossless.zip").read_bytes()
        assert recorded.recorded(lossy)()["curve"] == [1.0, 0.5]  # which the server lacks, so it runs
        server.shutdown()
    assert [path.name for path in here.iterdir()] == ["lossless.zip"]


def test_other_code_than_was_recorded_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "FOLDER", tmp_path)
    monkeypatch.setenv(recorded.RECORD, "a_chapter.ipynb")
    recorded.recorded(lossless)()
    (tmp_path / "lossless.zip").rename(tmp_path / "lossy.zip")
    monkeypatch.delenv(recorded.RECORD)
    monkeypatch.setattr(recorded, "hash_code", lambda source: "another")
    with pytest.raises(RuntimeError, match=r"the code of lossy\(\) has changed .* --record book/a_chapter.ipynb"):
        recorded.recorded(lossy)()


def test_only_what_is_missing_or_has_changed_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "FOLDER", tmp_path)
    monkeypatch.setenv(recorded.RECORD, "a_chapter.ipynb")
    call = recorded.recorded(lossless)
    call()
    first = (tmp_path / "lossless.zip").stat().st_mtime_ns
    call()
    assert (tmp_path / "lossless.zip").stat().st_mtime_ns == first
    monkeypatch.setattr(recorded, "hash_code", lambda source: "another")
    assert recorded.recorded(lossless)()["curve"] == [1.0, 0.5]
    assert (tmp_path / "lossless.zip").stat().st_mtime_ns > first
