"""Every script of examples/ runs as it stands and does what its docstring says."""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import nstlib as nst
from nstlib.registry import METHODS

FOLDER = Path(__file__).parents[1] / "examples"

Run = Callable[..., str]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a script by its name, with words, in an empty folder, and return what it prints."""
    monkeypatch.chdir(tmp_path)

    def run_script(name: str, *words: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *words])
        runpy.run_path(str(FOLDER / name), run_name="__main__")
        return capsys.readouterr().out

    return run_script


def test_own_objective(run: Run) -> None:
    printed = run("own_objective.py")
    first, last = (float(number) for number in re.findall(r"\d+\.\d+(?= at the)", printed))
    assert last < first / 4
    before, after = nst.load_image("colors/colors.png", size=None).chunk(2, 3)
    wanted = nst.moments(nst.samples.style("wave", 64))[0]
    assert (nst.moments(after)[0] - wanted).norm() < (nst.moments(before)[0] - wanted).norm() / 2


def test_masks(run: Run) -> None:
    run("masks.py")
    photo, inside, painted = nst.load_image("masks.png", size=None).chunk(3, 3)
    difference = (painted - photo).abs()
    for region in (inside, 1 - inside):
        assert (difference * region).sum() / region.sum() > 0.05


def test_train_on_a_folder(run: Run) -> None:
    printed = run("train_on_a_folder.py")
    assert re.findall(r"^step (\d+):", printed, re.MULTILINE) == ["4", "8"]
    assert "from step 4" in printed
    styles = [float(line.split(",")[4]) for line in Path("training/run/losses.csv").read_text().splitlines()[1:]]
    assert len(styles) == 8
    assert styles[-1] < styles[0] / 2
    assert nst.load_image("training/rocket.png", size=None).std() > 0.05


def test_wct(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "wct", METHODS["adain"])  # which the script replaces, and pytest takes away again
    run("wct.py")
    painted, photo = nst.load_image("wct.png", size=None), nst.samples.content("cat", 256)
    assert painted.shape == photo.shape
    assert (painted - photo).abs().mean() > 0.05


@pytest.mark.skipif(torch.__version__ < "2.9", reason="the exporter needs PyTorch 2.9")
@pytest.mark.skipif(
    not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))), reason='pip install "nstlib[export]"'
)
def test_export_onnx(run: Run) -> None:
    photo, model = nst.samples.content("cat", 65), nst.Johnson.pretrained("wave")
    nst.export(model, "wave.onnx", check=False)
    nst.save_image(photo, "photo.png")
    assert "painted.png: johnson, 98 x 65 px" in run("export_onnx.py", "wave.onnx", "photo.png")
    painted = nst.load_image("painted.png", size=None)
    torch.testing.assert_close(painted, model.stylize(nst.load_image("photo.png", size=None)), rtol=0, atol=1 / 255)


def test_every_script_is_tested() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert {path.stem for path in FOLDER.glob("*.py")} <= tested
