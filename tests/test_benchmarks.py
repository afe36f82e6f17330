"""Every script of benchmarks/ runs with --quick, and its tables hold numbers. Nothing is said of how fast it is."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
ROWS = {
    "agreement": 2,
    "any_style": 5,
    "attention": 2,
    "encoder": 12,
    "export": 1,
    "feedforward": 6,
    "flicker": 2,
    "gatys": 5,
    "machine": 2,
    "memory": 5,
    "painters": 1,
    "styles": 4,
    "training": 2,
}
"""Script -> rows that it prints at least."""

MORE = {"training": ["--methods", "johnson", "adain"], "feedforward": ["--methods", "johnson", "adaattn"]}
"""Script -> what makes it shorter still."""

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|\bnan\b|\binf\b")


@pytest.fixture(autouse=True)
def _on_the_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scripts import each other by name, as they do when they are run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    for name in (*ROWS, "common"):
        sys.modules.pop(name, None)


def test_all_scripts_are_here() -> None:
    assert set(ROWS) == {file.stem for file in FOLDER.glob("*.py")} - {"common"}


@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc")
@pytest.mark.parametrize("name", sorted(ROWS))
def test_quick(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--quick", *MORE.get(name, [])])
    monkeypatch.chdir(tmp_path)
    script = importlib.import_module(name)
    if name == "encoder":
        monkeypatch.setattr(script, "VGG19", "vgg19_mini")  # another small network in the place of the large one
    if name == "feedforward":  # the script `attention` starts processes of its own, and one of the two is enough
        monkeypatch.setattr(script, "in_fresh_process", lambda function, *given: function(*given))
    script.main()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    tables = [at for at, line in enumerate(lines) if set(line) <= set("|- ")]
    rows = [line for at, line in enumerate(lines) if at not in tables and at + 1 not in tables]
    assert tables
    assert len(rows) >= ROWS[name]
    for row in rows:
        numbers = [float(number) for number in NUMBER.findall(row)]
        assert numbers, row
        assert all(map(math.isfinite, numbers)), row
    assert not list(tmp_path.iterdir()), "a quick run leaves nothing behind"


def test_a_line_through_points() -> None:
    straight_line = importlib.import_module("common").straight_line
    assert straight_line([0, 1, 2], [1, 3, 5]) == pytest.approx((2, 1, 1))
    slope, start, explained = straight_line([0, 1, 2, 3], [0, 1, 0, 1])
    # by hand: slope = 1 / 5, start = 1 / 5, and the line explains 1 - 0.8 / 1
    assert (slope, start, explained) == pytest.approx((0.2, 0.2, 0.2))


def test_median_of_turns() -> None:
    common = importlib.import_module("common")
    calls: list[str] = []
    rate = common.Rate()
    medians = common.take_turns({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2, rate)
    assert calls == ["a", "b"] * 3
    assert set(medians) == {"a", "b"}
    assert rate.value > 0
