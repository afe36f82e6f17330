"""Wrong options, devices, types and places: one sentence each, and before any work is done."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import distiller
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import nstlib as nst
from nstlib.cli import main
from nstlib.johnson import JohnsonObjective, TransformerNet
from nstlib.metrics import content_distance, style_distance
from nstlib.objective import Objective
from nstlib.training import train
from nstlib.utils.checks import choose_device
from nstlib.weights import load_file, save_file

C = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))
S = torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1))
TWO = torch.cat([S, S])
ADAIN = nst.AdaIN.pretrained()
OTHER = nst.Encoder("vgg19_mini", ["relu1_1", "relu2_1", "relu3_1", "relu4_1"], weights="random")
NAN = C * float("nan")


def gatys(**options: Any) -> Any:
    return nst.Gatys(**{"steps": 1, "pyramid": 1, **options})


def adain(**options: Any) -> Tensor:
    return nst.stylize(C, [S, S], method="adain", **options)


def trained(objective: Any, folder: Path, **options: Any) -> Any:
    if not (folder / "photos").exists():
        nst.save_image(C, folder / "photos" / "a.png")
    settings = {"steps": 1, "batch_size": 1, "size": 32, "out_dir": folder / "run", "progress": False, "device": "cpu"}
    return train(objective, folder / "photos", **{**settings, **options})


MISUSE: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    # devices
    "no such device": (lambda: adain(device="gpu"), ValueError, r"no device 'gpu' here \(there are: cpu"),
    "no such card": (lambda: adain(device="cuda:99"), ValueError, "no device 'cuda:99' here"),
    "no such kind": (lambda: adain(device="xpu"), ValueError, "no device 'xpu' here"),
    "no device at all": (lambda: adain(device=3.5), ValueError, r"no device '3\.5' here"),
    # options of another method
    "steps of adain": (lambda: adain(steps=3), TypeError, r"adain has no option 'steps' \(there are: weights, encoder"),
    "alpha of gatys": (lambda: nst.stylize(C, S, alpha=1), TypeError, "gatys has no option 'alpha'"),
    "a typing error": (lambda: adain(alhpa=1), TypeError, "no option 'alhpa'; did you mean 'alpha'"),
    "steps of johnson": (
        lambda: nst.stylize(C, "swirl", method="johnson", steps=3),
        TypeError,
        "johnson has no option 'steps'",
    ),
    "an encoder of other weights": (lambda: adain(encoder=OTHER), ValueError, "was trained on the encoder 'vgg19_mini'"),
    "an encoder that reads otherwise": (
        lambda: adain(encoder=nst.Encoder(layers=OTHER.layers, pooling="average")),
        ValueError,
        "was trained on the encoder 'vgg19_mini'",
    ),
    # masks, weights and styles
    "a mask of numpy": (lambda: adain(mask=np.full((2, 32, 40), 0.5)), TypeError, "mask must be a tensor"),
    "a mask that is a list": (lambda: gatys()(C, [S, S], mask=[[1.0]]), TypeError, "mask must be a tensor"),
    "a style of numpy": (lambda: gatys()(C, S.numpy()), TypeError, "style must be a tensor"),
    "one weight of styles": (lambda: adain(style_weights=1.0), TypeError, "must be a list of 2 numbers, one per style"),
    "a batch as a style": (lambda: gatys()(C, TWO), ValueError, r"must be one picture .* a batch of 2"),
    "a batch to learn from": (
        lambda: JohnsonObjective(TransformerNet(width=2), TWO),
        ValueError,
        r"must be one picture .* a batch of 2",
    ),
    "a batch to start from": (lambda: gatys(init=torch.cat([C, C]))(C, S), ValueError, "must be one picture as large"),
    "the code of another encoder": (
        lambda: ADAIN.stylize(C, replace(ADAIN.encode_style(S), encoder_fingerprint="0" * 16)),
        ValueError,
        "encoded with another encoder",
    ),
    "the code of random weights": (
        lambda: ADAIN.stylize(C, nst.AdaIN(OTHER).encode_style(S)),
        ValueError,
        "encoded with another encoder",
    ),
    # numbers of Gatys
    "a rate below 0": (lambda: gatys(learning_rate=-1), ValueError, "learning_rate must be a number above 0"),
    "a rate of 0": (lambda: gatys(learning_rate=0), ValueError, "learning_rate must be a number above 0"),
    "a rate that is none": (lambda: gatys(learning_rate=float("nan")), ValueError, "learning_rate must be"),
    "an endless scale": (lambda: gatys(style_scale=float("inf")), ValueError, r"style_scale must lie in \(0, 100\]"),
    "a pyramid to the sky": (lambda: gatys(pyramid=5000), ValueError, "pyramid must be a whole number from 1 to 32"),
    "half a pyramid": (lambda: gatys(pyramid=2.5), ValueError, "pyramid must be a whole number from 1 to 32"),
    "no pyramid": (lambda: gatys(pyramid=[]), ValueError, "pyramid must be a whole number from 1 to 32"),
    "half a seed": (lambda: gatys(seed=1.5, init="noise"), ValueError, "seed must be a whole number of at least 0"),
    "no seed": (lambda: gatys(seed=None), ValueError, "seed must be a whole number"),
    "too large a seed": (lambda: gatys(seed=10**23), ValueError, "seed must be a whole number"),
    "results every 0 steps": (lambda: list(gatys().iterate(C, S, every=0)), ValueError, "every must be a whole number"),
    "no start": (lambda: gatys(init=None), ValueError, r"no init None \(there are: content, noise, style\)"),
    "a third norm": (lambda: gatys(tv_norm="l3"), ValueError, "no tv_norm 'l3'"),
    "a layer, not a list": (lambda: gatys(style_layers="relu4_1"), ValueError, "style_layers must be a list of layer"),
    "a weight in words": (lambda: gatys(style_weight="much"), ValueError, "style_weight must be a number of at least 0"),
    "an endless weight": (lambda: gatys(style_weight=float("inf")), ValueError, "must be a number of at least 0, got inf"),
    "true steps": (lambda: gatys(steps=True), ValueError, "steps must be a whole number of at least 1, got True"),
    "half precision": (lambda: gatys().half()(C, S), ValueError, "optimises in float32"),
    "strength in words": (lambda: ADAIN(C, S, alpha="all"), ValueError, r"alpha must lie in \[0, 1\], got 'all'"),
    # objectives
    "layers of johnson": (
        lambda: JohnsonObjective(TransformerNet(width=2), S, style_layers="relu4_1"),
        ValueError,
        "style_layers must be a list of layer names",
    ),
    "a network of another kind": (
        lambda: JohnsonObjective(ADAIN, S),  # type: ignore[arg-type]
        TypeError,
        "network must be a TransformerNet, not a AdaIN",
    ),
    "a style for a network": (lambda: nst.Johnson("swirl"), TypeError, r"Johnson\.pretrained\('swirl'\)"),  # type: ignore[arg-type]
    # layers
    "a layer that isn't read": (lambda: OTHER(C, ["relu5_1"]), ValueError, r"gives \[.*\], and not \['relu5_1'\]"),
    "a number of layers": (lambda: nst.Encoder(layers=3), ValueError, "must be a list of layer names"),  # type: ignore[arg-type]
    "numbers of layers": (lambda: nst.Encoder(layers=[4, 1]), ValueError, "must be a list of layer names"),  # type: ignore[list-item]
    # measures
    "no number to judge": (lambda: content_distance(NAN, C), ValueError, "pictures holds NaN or infinity"),
    "no number to judge by": (lambda: style_distance(C, NAN), ValueError, "style holds NaN or infinity"),
    "bytes to judge": (lambda: style_distance(255 * C, S), ValueError, "divide it by 255"),
    "a list to judge": (lambda: content_distance([C], C), TypeError, "pictures must be a tensor"),  # type: ignore[arg-type]
    # state dicts
    "a state dict in a state dict": (lambda: nst.Johnson.from_checkpoint({"state_dict": {}}), ValueError, "no state dict"),
    "keys that are numbers": (lambda: nst.Encoder({0: C}), ValueError, "no state dict of tensors: look at 0"),  # type: ignore[dict-item]
    "weights that are none": (lambda: nst.Encoder({"0.weight": NAN}), ValueError, "0.weight holds NaN"),
    # pictures
    "a hole behind a mask": (
        lambda: nst.load_image(np.ma.masked_invalid(np.array([[np.nan, 1.0], [0.0, 1.0]]))),
        ValueError,
        "holds NaN",
    ),
    "quality in words": (lambda: nst.save_image(C, "a.jpg", quality="best"), ValueError, "quality must be a whole"),  # type: ignore[arg-type]
}  # fmt: skip


@pytest.mark.parametrize("kind", MISUSE)
def test_misuse_is_one_sentence(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    call, error, words = MISUSE[kind]
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


class Odd(Objective):
    """An objective whose loss is whatever it is told."""

    def __init__(self, terms: Any) -> None:
        super().__init__()
        self.network, self.terms = nn.Conv2d(3, 3, 1), terms

    def forward(self, content: Tensor, style: Tensor | None) -> Any:
        return self.terms(self.network(content))

    def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
        return content


@pytest.mark.parametrize(
    "terms",
    [lambda x: x.mean(), lambda x: {}, lambda x: {"a": 0.5}, lambda x: {"a": x.mean((1, 2, 3))}, lambda x: None],
    ids=["a tensor", "nothing", "a float", "a vector", "None"],
)
def test_an_objective_gives_its_terms_by_name(terms: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="an objective returns the terms of its loss by name") as caught:
        trained(Odd(terms), tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", [ADAIN, TransformerNet(width=2), "adain"], ids=["model", "network", "name"])
def test_a_model_is_no_objective(model: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"such as AdaINObjective\(model\)"):
        trained(model, tmp_path)


def test_a_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    objective = Odd(lambda x: {"a": x.square().mean()})
    with pytest.raises(ValueError, match="would be read as pictures"):
        trained(objective, tmp_path, out_dir=tmp_path / "photos" / ".." / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.png"]


def test_numbers_that_are_equal_go_on_with_the_same_run(tmp_path: Path) -> None:
    def objective(weight: float) -> JohnsonObjective:
        torch.manual_seed(0)
        return JohnsonObjective(TransformerNet(width=2), S, style_weight=weight)

    with torch.random.fork_rng(devices=[]):
        trained(objective(2), tmp_path, max_grad_norm=1, learning_rate=1e-3)
        path = tmp_path / "run" / "checkpoint-1.pt"
        saved = torch.load(path, weights_only=True)
        saved["settings"] |= {"max_grad_norm": "1", "style_weight": "2", "ema": "0"}  # as versions before wrote them
        torch.save(saved, path)
        result = trained(objective(2.0), tmp_path, max_grad_norm=1.0, learning_rate=0.001, steps=2)
    assert [row["step"] for row in result.history] == [1, 2]


def test_names_of_any_bytes_may_be_learnt_from(tmp_path: Path) -> None:
    nst.save_image(C, tmp_path / "photos" / "a.png")
    try:
        os.rename(tmp_path / "photos" / "a.png", os.fsencode(tmp_path / "photos") + b"/bad\xff.png")
    except OSError:
        pytest.skip("this file system takes no such names")
    assert trained(Odd(lambda x: {"a": x.square().mean()}), tmp_path).finished


def test_a_file_whose_name_begins_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert nst.save_image(C, "~no such user.png") == Path("~no such user.png")
    assert (tmp_path / "~no such user.png").is_file()
    assert nst.load_image("~no such user.png", None).shape == C.shape


def test_numbers_of_every_kind_are_numbers(tmp_path: Path) -> None:
    """Of numpy, of tensors without dimensions, and fractions: what is saved is Python's own."""
    painted = [
        gatys(style_weight=weight, preconditioner=half, steps=steps, learning_rate=one)(C, S, progress=False).picture
        for weight, half, steps, one in (
            (20.0, 0.5, 2, 1.0),
            (torch.tensor(20.0), Fraction(1, 2), np.int64(2), np.float32(1)),
            (np.array(20.0), np.float64(0.5), torch.tensor(2), 1),
        )
    ]
    assert torch.equal(painted[0], painted[1])
    assert torch.equal(painted[0], painted[2])
    alpha = torch.tensor(0.5, requires_grad=True)
    assert torch.equal(ADAIN(C, S, alpha), ADAIN(C, S, 0.5))
    assert torch.equal(ADAIN(C, S, Fraction(1, 2)), ADAIN(C, S, 0.5))
    (gradient,) = torch.autograd.grad(ADAIN(C, S, alpha).sum(), alpha)
    assert bool(gradient.isfinite())
    nst.save_image(C, tmp_path / "a.jpg", quality=np.int64(90))  # type: ignore[arg-type]
    odd = Odd(lambda x: {"a": x.square().mean()})
    settings = {
        "learning_rate": np.float64(1e-3),
        "max_grad_norm": np.float32(1),
        "batch_size": np.int64(1),
        "seed": torch.tensor(0),
    }
    trained(odd, tmp_path, steps=torch.tensor(1), **settings)
    result = trained(odd, tmp_path, steps=2, **settings)
    assert result.finished is True
    assert [row["step"] for row in result.history] == [1, 2]


def test_generators_are_read_once(tmp_path: Path) -> None:
    layers = ("relu1_1", "relu2_1")
    expected = gatys(style_layers=layers, content_layers=["relu3_1"])(C, S, progress=False).picture
    given = {"style_layers": iter(layers), "content_layers": iter(["relu3_1"])}
    assert torch.equal(gatys(**given)(C, S, progress=False).picture, expected)
    assert nst.Encoder(layers=iter(layers)).layers == layers  # type: ignore[arg-type]
    assert style_distance(C, S, layers=iter(layers)) == style_distance(C, S, layers=layers)  # type: ignore[arg-type]
    assert "style" in JohnsonObjective(TransformerNet(width=2), S, style_layers=iter(layers))(C)  # type: ignore[arg-type]
    nst.save_image(C, tmp_path / "photos" / "a.png")
    settings: dict[str, Any] = {"steps": 1, "batch_size": 1, "size": 32, "progress": False, "device": "cpu"}
    odd = Odd(lambda x: {"a": x.square().mean()})
    assert train(odd, tmp_path.glob("ph*"), out_dir=tmp_path / "run", **settings).finished  # type: ignore[arg-type]


def test_losses_that_were_edited_are_written_anew(tmp_path: Path) -> None:
    odd = Odd(lambda x: {"a": x.square().mean()})
    trained(odd, tmp_path, steps=2)
    path = tmp_path / "run" / "losses.csv"
    path.write_text(path.read_text().replace("total", "sum of all"))
    result = trained(odd, tmp_path, steps=3)
    assert [row["step"] for row in result.history] == [1, 2, 3]
    assert path.read_text().splitlines()[0] == "step,learning_rate,total,a"
    assert result.weights.is_file()


@pytest.mark.parametrize("method", [nst.AdaIN, nst.SANet, nst.AdaAttN])
def test_two_styles_in_part_of_the_strength_under_autocast(method: Any) -> None:
    model, mask = method.pretrained(), torch.full((2, 32, 40), 0.5)
    expected = model.stylize(C, [S, C], 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        for painted in (model.stylize(C, [S, C], 0.5), model.stylize(C, [S, C], 0.5, mask=mask)):
            assert (painted.float() - expected).abs().mean() < 0.05


def test_half_precision_state_dicts_are_read_as_their_files_are(tmp_path: Path) -> None:
    from torchvision.models.vgg import cfgs, make_layers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = make_layers(cfgs["D"])[:5].half().state_dict()
    torch.save(state, tmp_path / "half.pth")
    found = [nst.Encoder(source, ["relu1_2"])(C)["relu1_2"] for source in (state, tmp_path / "half.pth")]
    assert torch.equal(*found)


def test_a_gradient_through_a_compiled_encoder() -> None:
    """PyTorch's own replicate padding has a wrong one where channels come last, and says so."""
    encoder, x = nst.Encoder(layers=["relu2_1"]).double(), C.double().requires_grad_()
    (expected,) = torch.autograd.grad(encoder(x)["relu2_1"].square().sum(), x)
    compiled = torch.compile(encoder, backend="aot_eager", fullgraph=False)
    (found,) = torch.autograd.grad(compiled(x)["relu2_1"].square().sum(), x)
    torch.testing.assert_close(found, expected)


def test_a_compiled_network_is_a_network() -> None:
    network = torch.compile(nst.Johnson.pretrained("swirl").network, backend="eager")
    assert nst.Johnson(network).stylize(C).shape == C.shape  # type: ignore[arg-type]
    assert "style" in JohnsonObjective(network, S)(C)  # type: ignore[arg-type]


def test_a_device_by_name_or_by_itself() -> None:
    assert choose_device("cpu") == choose_device(torch.device("cpu")) == torch.device("cpu")
    assert choose_device(None).type in ("cpu", "cuda", "mps")


# ------------------------------------------------------------------------------------------------ modes


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_gatys_needs_no_gradients_around_it(optimizer: str) -> None:
    expected = gatys(steps=3, optimizer=optimizer)(C, S, progress=False).picture
    with torch.no_grad():
        assert torch.equal(gatys(steps=3, optimizer=optimizer)(C, S, progress=False).picture, expected)


def test_in_inference_mode_gatys_says_so_and_the_others_work() -> None:
    with torch.inference_mode():
        with pytest.raises(RuntimeError, match=r"Gatys needs gradients: .* outside of torch\.inference_mode\(\)"):
            gatys()(C, S)
        inside = gatys()
        assert torch.equal(ADAIN.stylize(C, S), nst.AdaIN.pretrained().stylize(C, S))
    with pytest.raises(RuntimeError, match="Gatys needs gradients"):
        inside(C, S)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("method", [nst.AdaIN, nst.SANet, nst.AdaAttN])
def test_models_of_any_precision_paint_the_same(method: Any, dtype: torch.dtype) -> None:
    """Also from a painting that was read before, in another precision, in part of the strength, and in tiles."""
    content, style = nst.samples.content("cat", 64), nst.samples.style("wave", 64)
    model = method.pretrained()
    expected, code = model.stylize(content, style, 0.7), model.encode_style(style)
    model = model.to(dtype)
    painted = [model.stylize(content, one, 0.7) for one in (style, code)]
    painted.append(model.stylize(content, style, 0.7, tile=32))
    for one in painted:
        assert one.dtype == dtype
        assert (one.float() - expected).abs().mean() < (0.03 if dtype == torch.bfloat16 else 0.005)


def test_the_default_precision_of_pytorch_doesnt_matter() -> None:
    expected = [ADAIN.stylize(C, S), OTHER(C)["relu4_1"]]
    try:
        torch.set_default_dtype(torch.float64)
        found = [
            nst.AdaIN.pretrained().stylize(C, S),
            nst.Encoder("vgg19_mini", ["relu4_1"], weights="random")(C)["relu4_1"],
        ]
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip(found, expected):
        assert one.dtype == torch.float32
        assert torch.equal(one, other)


@pytest.mark.parametrize("work", ["paint", "train"])
def test_the_default_device_of_pytorch_doesnt_matter(work: str, tmp_path: Path) -> None:
    """As under `torch.set_default_device("cuda")`, on every machine: what is made on "meta" holds no numbers."""
    nst.save_image(C, tmp_path / "photos" / "a.png")

    def results(out: Path) -> list[Tensor]:
        if work == "paint":
            models = [nst.AdaIN.pretrained(), nst.SANet(), nst.AdaAttN(conditioned=True)]
            return [nst.Johnson.pretrained("wave").stylize(C), *(model.stylize(C, S) for model in models)]
        run = trained(nst.AdaINObjective(nst.AdaIN()), tmp_path, style=tmp_path / "photos", out_dir=out)
        return [*load_file(run.weights).values()]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = results(tmp_path / "one")
        torch.manual_seed(0)
        with torch.device("meta"):
            found = results(tmp_path / "other")
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_results_on_the_way_stay_as_they_were() -> None:
    results = list(gatys(steps=3).iterate(C, S, every=1))
    assert [len(result.history) for result in results] == [1, 2, 3]
    assert not torch.equal(results[0].picture, results[2].picture)


def test_the_result_is_of_full_size_even_if_no_loss_there_is_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    model, content = gatys(steps=4, pyramid=2), torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    forward = model.loss.forward

    def overflow(x: Tensor, *targets: Any) -> dict[str, Tensor]:
        factor = 1.0 if x.shape[2:] == (64, 64) else float("inf")
        return {name: factor * term for name, term in forward(x, *targets).items()}

    monkeypatch.setattr(model.loss, "forward", overflow)
    with pytest.warns(UserWarning, match="no longer finite at step 4"):
        result = model(content, S, progress=False)
    assert result.picture.shape == content.shape
    assert bool(result.picture.isfinite().all())


def test_without_a_place_for_messages_it_paints_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    assert nst.stylize(C, S, steps=1).shape == C.shape


def test_titles_may_be_numbers_or_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt

    monkeypatch.setattr(plt, "show", lambda: None)
    nst.show(C, S, C, titles=iter([0.5, None, "two\nlines"]))  # type: ignore[arg-type]
    assert [axes.get_title() for axes in plt.gcf().axes] == ["0.5", "", "two\nlines"]
    plt.close("all")


def test_weights_with_a_suffix_in_capitals(tmp_path: Path) -> None:
    path = save_file(tmp_path / "A.SAFETENSORS", ADAIN.network.state_dict(), {"method": "adain"})
    assert torch.equal(nst.AdaIN.from_checkpoint(path).stylize(C, S), ADAIN.stylize(C, S))
    assert load_file(path).keys() == ADAIN.network.state_dict().keys()


# ------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize(
    ("out", "words"),
    [("x.bmp", "save_image writes .png"), ("painted", "has no suffix"), (".", "'.' is a folder")],
)
def test_where_to_write_is_checked_before_painting(
    out: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nstlib.cli.stylize.make_stylizer", lambda *given, **options: pytest.fail("it has begun"))
    assert main(["stylize", "cat", "swirl", "-o", out]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("command", ["stylize", "train"])
def test_a_device_that_is_missing(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = nst.save_image(C, tmp_path / "photos" / "a.png")
    order = ["stylize", str(photo), "swirl", "-o", str(tmp_path / "o.png")]
    if command == "train":
        order = [
            "train",
            "johnson",
            "--style",
            "swirl",
            "--content",
            str(photo.parent),
            "--out-dir",
            str(tmp_path / "run"),
        ]
        order += ["--preset", "smoke"]
    assert main([*order, "--device", "cuda:99"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("nst: no device 'cuda:99' here")
    assert error.count("\n") == 1


def test_a_name_that_the_terminal_cant_show(tmp_path: Path) -> None:
    photo = nst.save_image(C, tmp_path / "a.png")
    order = f"stylize {photo} swirl --method adain -o {tmp_path}/漢.png".split()
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-m", "nstlib", *order], env=ascii_only, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "漢.png").is_file()
    assert r"\u6f22.png: 40 x 32 px" in done.stdout


def test_an_animation_among_photographs_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "lime")]
    frames[0].save(folder / "a.gif", save_all=True, append_images=frames[1:])
    order = ["train", "johnson", "--style", "swirl", "--content", str(folder), "--out-dir", str(tmp_path / "run")]
    assert main([*order, "--device", "cpu", "--width", "2", "--size", "32", "--batch", "2", "--steps", "3"]) == 0
    assert capsys.readouterr().err.count("is an animation: its first frame is read") == 1


def test_a_width_of_0_is_no_width(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = ["train", "johnson", "--style", "swirl", "--content", str(tmp_path), "--out-dir", str(tmp_path / "run")]
    assert main([*order, "--steps", "1", "--width", "0"]) == 1
    assert "width must be a whole number of at least 1, got 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("--out o.pth", "--out is a file that ends in .safetensors, got 'o.pth'"),
        ("--out o.safetensors --held-out 1", "--held-out must be a whole number of at least 2, got 1"),
        ("--out o.safetensors --size 33", "--size must be a multiple of 16 from 32 to 288, got 33"),
        ("--out o.safetensors --batch 0", "--batch must be a whole number of at least 1, got 0"),
        ("--out o.safetensors --learning-rate -1", "--learning-rate must be a number above 0"),
        ("--out o.safetensors --vgg19 nowhere.pth", "nowhere.pth"),
    ],
)
def test_distilling_with_wrong_options_is_one_sentence(given: str, words: str) -> None:
    with pytest.raises(SystemExit, match=re.escape(words)) as caught:
        distiller.main(["--pictures", "nowhere", *given.split()])
    assert "\n" not in str(caught.value)
