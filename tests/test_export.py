"""Networks leave Python: traced, exported and ONNX graphs paint pictures of any size as the model does."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo  # which torch imports late
from networks import condition_randomly, lively, picture, random_convs, torchvision_state
from torch import Tensor, nn
from torch.export import Dim

import nstlib as nst
from nstlib.cli import main
from nstlib.johnson import TransformerNet

SIZES = [(64, 48), (65, 49), (50, 83)]

AWKWARD = [(64, 48), (67, 131), (5, 9), (1, 1)]
"""Even and odd, and smaller than a network can read."""

SHALLOW = torchvision_state([conv for conv in random_convs() if conv[0].endswith("_1")])
"""One convolution in each block: what there is to export is then mostly the decoder."""

METHODS: dict[str, Any] = {"adain": nst.AdaIN, "sanet": nst.SANet, "adaattn": nst.AdaAttN}


def make(method: str) -> nn.Module:
    """A small model in float64: a graph multiplies in another order, and rounds otherwise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nst.Johnson(TransformerNet(4)) if method == "johnson" else lively(METHODS[method](SHALLOW))
    return model.double()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["johnson", *METHODS])
def test_a_traced_graph_paints_any_size(method: str) -> None:
    model = make(method)
    styles = () if method == "johnson" else (picture(1, 3, 32, 40, seed=1).double(),)
    graph = torch.jit.trace(model, (torch.rand(1, 3, 64, 64).double(), *styles), check_trace=False)
    compare(model, graph, styles)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["johnson", "adain"])
def test_an_exported_graph_paints_any_size(method: str) -> None:
    model = make(method)
    styles = () if method == "johnson" else (picture(1, 3, 32, 40, seed=1).double(),)
    sides = {2: Dim("height", min=32, max=4096), 3: Dim("width", min=32, max=4096)}
    program = torch.export.export(
        model,
        (torch.rand(1, 3, 64, 96).double(), *styles),
        dynamic_shapes=(sides, *(None for _ in styles)),
        strict=False,
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    compare(model, program.module(), styles)


@torch.no_grad()
def compare(model: nn.Module, graph: nn.Module, styles: tuple[Tensor, ...]) -> None:
    for height, width in SIZES:
        content = picture(1, 3, height, width).double()
        painted, expected = graph(content, *styles), model(content, *styles)
        assert expected.std() > 0.01
        torch.testing.assert_close(painted, expected, rtol=0, atol=1e-6)


# ------------------------------------------------------------------------------------------------ ONNX


ONNX = pytest.mark.skipif(
    torch.__version__ < "2.9" or not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))),
    reason='PyTorch 2.9 or newer, and pip install "nstlib[export]"',
)


def open_onnx(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def run(path: Path, **inputs: Any) -> dict[str, Any]:
    """Run a file on tensors and numbers, by the names of its inputs."""
    session = open_onnx(path)
    feeds = {name: value.numpy() if isinstance(value, Tensor) else value for name, value in inputs.items()}
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, {one.name: feeds[one.name] for one in session.get_inputs()})))


def one(number: float) -> Tensor:
    return torch.tensor([number])


def small(method: str, conditioned: bool = False) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = METHODS[method](SHALLOW, conditioned=conditioned)
        if conditioned:
            condition_randomly(model.decoder, size=0.02)
        return lively(model)


@ONNX
def test_a_split_file_reads_a_painting_once_and_paints_any_size(tmp_path: Path) -> None:
    model = small("adain", conditioned=True)
    files, difference = nst.export(model, tmp_path / "net.onnx", split=True)
    assert [path.name for path in files] == ["net-style.onnx", "net-painter.onnx"]
    assert difference is not None
    assert difference < 2e-3
    styles = [picture(1, 3, 71, 50, seed=1), picture(1, 3, 64, 64, seed=2)]
    codes = [run(files[0], style=style) for style in styles]

    def paint(content: Tensor, alpha: float, code: dict[str, Any]) -> Tensor:
        return torch.from_numpy(run(files[1], content=content, alpha=one(alpha), **code)["painted"])

    for size in AWKWARD:
        content = picture(1, 3, *size)
        for alpha in (1.0, 0.4, 0.0):
            expected = model.stylize(content, styles[0], alpha)
            torch.testing.assert_close(paint(content, alpha, codes[0]), expected, rtol=0, atol=5e-3)
    # the mean of two codes paints the blend
    content = picture(1, 3, 48, 64)
    mixed = {name: np.float32(0.25) * codes[0][name] + np.float32(0.75) * codes[1][name] for name in codes[0]}
    expected = model.stylize(content, styles, 0.8, style_weights=[1, 3])
    torch.testing.assert_close(paint(content, 0.8, mixed), expected, rtol=0, atol=1e-3)


@ONNX
def test_one_file_of_sanet_paints_any_size(tmp_path: Path) -> None:
    model = small("sanet")
    ((path,), difference) = nst.export(model, tmp_path / "net.onnx", check=False)
    assert difference is None
    style = picture(1, 3, 71, 50, seed=1)
    for size in AWKWARD:
        content = picture(1, 3, *size)
        for alpha in (1.0, 0.4, 0.0):
            painted = torch.from_numpy(run(path, content=content, style=style, alpha=one(alpha))["painted"])
            torch.testing.assert_close(painted, model.stylize(content, style, alpha), rtol=0, atol=5e-3)
    metadata = open_onnx(path).get_modelmeta().custom_metadata_map
    assert {name: metadata[name] for name in ("method", "style", "encoder", "size")} == {
        "method": "sanet",
        "style": "any painting",
        "encoder": "given",
        "size": "free",
    }


@ONNX
def test_a_split_file_of_adaattn_paints_the_same(tmp_path: Path) -> None:
    """With a fixed size, because free ones take PyTorch's exporter a minute. The graphs below have free sizes."""
    model = small("adaattn")
    reader, painter = nst.export(model, tmp_path / "net.onnx", split=True, size=(64, 48)).files
    content, style = picture(1, 3, 64, 48), picture(1, 3, 64, 48, seed=1)
    painted = torch.from_numpy(run(painter, content=content, alpha=one(0.4), **run(reader, style=style))["painted"])
    torch.testing.assert_close(painted, model.stylize(content, style, 0.4), rtol=0, atol=5e-3)


class Call(nn.Module):
    """A model without options: the older exporter of PyTorch knows no keywords."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *pictures: Tensor) -> Tensor:
        painted: Tensor = self.model(*pictures)
        return painted


@ONNX
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["johnson", *METHODS])
def test_the_older_exporter_writes_graphs_of_any_size_too(method: str, tmp_path: Path) -> None:
    model, file = make(method).float(), tmp_path / "net.onnx"
    styles = {} if method == "johnson" else {"style": picture(1, 3, 32, 40, seed=1)}
    torch.onnx.export(
        Call(model),
        (torch.rand(1, 3, 64, 96), *styles.values()),
        file,
        dynamo=False,
        input_names=["content", *styles],
        output_names=["painted"],
        dynamic_axes={"content": {2: "height", 3: "width"}},
    )
    for size in SIZES:
        content = picture(1, 3, *size)
        painted = torch.from_numpy(run(file, content=content, **styles)["painted"])
        with torch.no_grad():
            torch.testing.assert_close(painted, model(content, *styles.values()), rtol=0, atol=2e-3)


@ONNX
def test_the_command_writes_one_file_with_everything_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "wave.onnx"
    assert main(["export", "johnson", "--style", "wave", "-o", str(out), "--half", "--size", "40", "56"]) == 0
    assert re.search(r"wave.onnx: \d\.\d\d MB\nONNX Runtime differs", capsys.readouterr().out)
    model = nst.Johnson.pretrained("wave")
    assert out.stat().st_size < 1.1 * model.save(tmp_path / "wave.safetensors", half=True).stat().st_size + 1e5
    content = nst.samples.content("cat", 56)[..., :40, :56]
    painted = torch.from_numpy(run(out, content=content, alpha=one(1.0))["painted"])
    torch.testing.assert_close(painted, model.stylize(content), rtol=0, atol=1e-2)
    metadata = open_onnx(out).get_modelmeta().custom_metadata_map
    assert {name: metadata[name] for name in ("method", "style", "encoder", "size", "weights", "licence")} == {
        "method": "johnson",
        "style": "wave",
        "encoder": "vgg19_mini",
        "size": "40 x 56",
        "weights": "float16",
        "licence": "CC BY 4.0",
    }


@ONNX
def test_johnson_of_any_size_and_strength(tmp_path: Path) -> None:
    model = nst.Johnson(TransformerNet(4, norm="batch"), {"style": "mine"})
    nn.init.normal_(model.network.res1.norm2.weight)
    ((path,), difference) = nst.export(model, str(tmp_path / "mine.onnx"), half=True)
    assert difference is not None
    content = picture(1, 3, 33, 2)
    painted = torch.from_numpy(run(path, content=content, alpha=one(0.3))["painted"])
    torch.testing.assert_close(painted, model.stylize(content, alpha=0.3), rtol=0, atol=2e-2)
    assert open_onnx(path).get_modelmeta().custom_metadata_map["style"] == "mine"


@ONNX
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no folder that nobody can write to")
def test_where_nothing_can_be_written_nothing_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["nstlib.export"], "_to_onnx", lambda *given: pytest.fail("it has begun"))
    with pytest.raises(OSError, match=r"'/proc/nst/net\.onnx' cannot be written"):
        nst.export(nst.Johnson(TransformerNet(2)), "/proc/nst/net.onnx")


@ONNX
def test_the_default_device_of_pytorch_doesnt_matter(tmp_path: Path) -> None:
    """As under `torch.set_default_device("cuda")`, on every machine: what is made on "meta" holds no numbers."""
    model = nst.Johnson(TransformerNet(2))
    with torch.device("meta"):
        assert nst.export(model, tmp_path / "net.onnx", size=32).difference is not None


@ONNX
def test_a_file_that_paints_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nst.Johnson(TransformerNet(4))
    monkeypatch.setattr(nst.Johnson, "stylize", lambda self, content, style, alpha: 1 - content)
    with pytest.raises(ValueError, match=r"bad\.onnx' was not written: at 32 x 32 px, ONNX Runtime paints \S+ away"):
        nst.export(model, tmp_path / "bad.onnx", size=32)
    assert not list(tmp_path.iterdir())


@ONNX
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("johnson -o a.onnx", "name a style with --style: cypresses"),
        ("johnson --style wave --split -o a.onnx", "johnson takes no --split; its options are --style"),
        ("adain --style wave -o a.onnx", "adain takes no --style; its options are --split, --weights, --encoder"),
        ("gatys -o a.onnx", "no method 'gatys' (there are: johnson, adain, sanet, adaattn)"),
        ("adain", "nowhere to write: name a file with -o"),
        ("johnson --style wave -o a.pt", "networks are exported as ONNX, got 'a.pt': name it a.onnx"),
        (
            "johnson --style wave -o a.onnx --size 1 2 3",
            "size is the side of a square, or height and width, got [1, 2, 3]",
        ),
        ("johnson --style wave -o a.onnx --size 0", "size must be a whole number of at least 1, got 0"),
        ("johnson --style wave -o a.onnx --opset 9", "opset must be a whole number of at least 18, got 9"),
    ],
)
def test_what_can_not_be_exported_is_told(words: str, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", *words.split()]) != 0
    assert sentence in capsys.readouterr().err
    assert not Path("a.onnx").exists()


def test_a_missing_package_and_a_wrong_model_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["nstlib.export"]
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == "onnxruntime" else True)
    with pytest.raises(ImportError, match=r'export needs .* onnxruntime: pip install "nstlib\[export\]"'):
        nst.export(nst.Johnson.pretrained("wave"), "wave.onnx")
    with pytest.raises(
        (TypeError, ImportError), match=r"export takes a Johnson, AdaIN, SANet or AdaAttN model, not Gatys|2\.9"
    ):
        nst.export(nst.Gatys(), "gatys.onnx", check=False)  # type: ignore[arg-type]
