"""Every method: the same bits twice, one thread or many, whatever the size, and nothing of the program's state touched."""

from __future__ import annotations

import random
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch._dynamo  # which torch imports late, and which sets filters of warnings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import lively, picture, random_convs, torchvision_state
from torch import Tensor, nn

import nstlib as nst
from nstlib.adaattn import AdaAttNObjective
from nstlib.adain import AdaINObjective
from nstlib.johnson import JohnsonObjective, TransformerNet
from nstlib.objective import Objective
from nstlib.sanet import SANetObjective
from nstlib.stylize import METHODS, stylize
from nstlib.weights import load_file, save_file

STATE = torchvision_state(random_convs())
ANY: dict[str, tuple[Any, Any]] = {
    "adain": (nst.AdaIN, AdaINObjective),
    "sanet": (nst.SANet, SANetObjective),
    "adaattn": (nst.AdaAttN, AdaAttNObjective),
}


def model(method: str) -> Any:
    """Small, with the same random weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        if method == "gatys":
            return nst.Gatys(STATE, steps=3, pyramid=2, init="noise", seed=5)
        if method == "johnson":
            return nst.Johnson(TransformerNet(width=2))
        return lively(ANY[method][0](STATE))


MODELS: dict[str, Any] = {method: model(method) for method in METHODS}


def paint(one: Any, content: Tensor, style: Tensor) -> Tensor:
    painted: Tensor = one.stylize(content, None if isinstance(one, nst.Johnson) else style, progress=False)
    return painted


def state_of_the_program() -> dict[str, Any]:
    """All that a library could change behind its user's back."""
    legacy: Any = np.random.get_state(legacy=True)  # noqa: NPY002
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": (legacy[0], legacy[1].tolist(), *legacy[2:]),
        "random": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "warnings": list(warnings.filters),
        "numpy errors": np.geterr(),
    }


# ---------------------------------------------------------------------------------------------- the same bits


@pytest.mark.parametrize("method", METHODS)
def test_the_same_twice_and_nothing_touched(method: str) -> None:
    content, style = picture(1, 3, 48, 40), picture(1, 3, 40, 56, seed=1)
    before = state_of_the_program()
    first = paint(MODELS[method], content, style)
    assert state_of_the_program() == before
    torch.manual_seed(99)
    assert torch.equal(paint(model(method), content, style), first)
    assert torch.equal(content, picture(1, 3, 48, 40))
    assert torch.equal(style, picture(1, 3, 40, 56, seed=1))


def test_other_seeds_give_other_pictures() -> None:
    content, style = picture(1, 3, 32, 32), picture(1, 3, 32, 32, seed=1)
    one, other = (nst.Gatys(STATE, steps=1, init="noise", seed=seed) for seed in (0, 1))
    assert not torch.equal(paint(one, content, style), paint(other, content, style))


def objective(method: str) -> Objective:
    if method == "johnson":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            network = TransformerNet(width=2)
        return JohnsonObjective(network, picture(1, 3, 32, 32), encoder=STATE)
    trained: Objective = ANY[method][1](model(method))
    return trained


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("determinism")
    for kind in range(2):
        for i in range(3):
            nst.save_image(picture(1, 3, 40, 40 + i, seed=10 * kind + i), folder / str(kind) / f"{i}.png")
    return [folder / "0", folder / "1"]


@pytest.mark.parametrize("method", ["johnson", *ANY])
def test_a_training_gives_the_same_bits_and_touches_nothing(method: str, folders: list[Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"steps": 3, "batch_size": 1, "size": 32, "device": "cpu", "progress": False, "ema": 0.5}
    style = None if method == "johnson" else folders[1]
    files = []
    for number in range(2):
        torch.manual_seed(number)
        chosen = objective(method)
        before = state_of_the_program()
        result = nst.train(chosen, folders[0], style, out_dir=tmp_path / str(number), seed=3, **options)
        assert state_of_the_program() == before
        files.append(
            [
                (tmp_path / str(number) / name).read_bytes()
                for name in ("weights.safetensors", "losses.csv", "samples-3.png")
            ]
        )
    assert files[0] == files[1]
    other = nst.train(objective(method), folders[0], style, out_dir=tmp_path / "other", seed=4, **options)
    found = load_file(other.weights), load_file(result.weights)
    assert any(not torch.equal(found[0][key], found[1][key]) for key in found[0])


LOADS: dict[str, Callable[[Path], Any]] = {
    "Encoder": lambda folder: nst.Encoder(),
    "Gatys": lambda folder: nst.Gatys(STATE),
    "samples": lambda folder: [nst.samples.style("ink", 32), nst.samples.content("cat", 32)],
    "stylize": lambda folder: stylize(
        picture(1, 3, 32, 32), picture(1, 3, 32, 32), encoder=STATE, steps=1, progress=False
    ),
    "pictures": lambda folder: nst.load_image(nst.save_image(picture(1, 3, 8, 8), folder / "a.png"), 4),
    "weights": lambda folder: load_file(save_file(folder / "a.safetensors", STATE, {})),
}


UNTIDY: dict[str, Callable[[Path], Any]] = {
    "Johnson.pretrained": lambda folder: nst.Johnson.pretrained("wave"),
    "Johnson by name": lambda folder: stylize(picture(1, 3, 16, 16), "wave", method="johnson"),
    "AdaIN.from_checkpoint": lambda folder: nst.AdaIN.from_checkpoint(
        save_file(folder / "a.safetensors", MODELS["adain"].network.state_dict(), {"method": "adain"}), encoder=STATE
    ),
}


@pytest.mark.parametrize("name", UNTIDY)
def test_networks_that_are_loaded_draw_no_random_numbers(name: str, tmp_path: Path) -> None:
    before = state_of_the_program()
    UNTIDY[name](tmp_path)
    assert state_of_the_program() == before


@pytest.mark.parametrize("name", LOADS)
def test_nothing_that_is_loaded_or_made_touches_anything(name: str, tmp_path: Path) -> None:
    before = state_of_the_program()
    LOADS[name](tmp_path)
    assert state_of_the_program() == before


# -------------------------------------------------------------------------------------------------- threads


@pytest.mark.parametrize("method", METHODS)
def test_one_model_serves_several_threads(method: str) -> None:
    """Each with pictures of its own, of its own size, all at once: the bits are those of one after the other."""
    pairs = [(picture(1, 3, 32 + 8 * i, 40, seed=i), picture(1, 3, 32, 32, seed=10 + i)) for i in range(4)]
    one = MODELS[method]
    expected = [paint(one, *pair) for pair in pairs]
    found: dict[tuple[int, int], Tensor] = {}
    errors: list[BaseException] = []
    start = threading.Barrier(len(pairs))

    def work(number: int) -> None:
        try:
            start.wait(60)
            for again in range(2):
                found[number, again] = paint(one, *pairs[number])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(pairs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(found) == 8
    for (number, _), painted in found.items():
        assert torch.equal(painted, expected[number])


def test_a_training_in_a_thread_works_and_leaves_the_others_alone(folders: list[Path], tmp_path: Path) -> None:
    results: list[Any] = []

    def work() -> None:
        chosen = objective("johnson")
        results.append(
            nst.train(
                chosen, folders[0], steps=2, batch_size=1, size=32, out_dir=tmp_path / "a", device="cpu", progress=False
            )
        )

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    nst.train(
        objective("johnson"),
        folders[0],
        steps=2,
        batch_size=1,
        size=32,
        out_dir=tmp_path / "b",
        device="cpu",
        progress=False,
    )
    assert results[0].finished
    assert results[0].weights.read_bytes() == (tmp_path / "b" / "weights.safetensors").read_bytes()


# ------------------------------------------------------------------------------------------------ at random

fills = st.sampled_from(["noise", "smooth", 0.0, 1.0, 0.5, "one pixel", "stripes"])


def filled(height: int, width: int, fill: str | float, seed: int) -> Tensor:
    if isinstance(fill, float):
        return torch.full((1, 3, height, width), fill)
    if fill == "noise":
        return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    if fill == "smooth":
        return picture(1, 3, height, width, seed=seed)
    drawn = torch.zeros(1, 3, height, width)
    if fill == "stripes":
        drawn[..., ::2] = 1
    else:
        drawn[0, seed % 3, height // 2, width // 2] = 1
    return drawn


@pytest.mark.parametrize("method", METHODS)
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    style_size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    content_fill=fills,
    style_fill=fills,
    seed=st.integers(0, 9),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    opacities=st.tuples(*[st.sampled_from([None, 0.0, 0.5, 1.0, "smooth", "one pixel", "stripes"])] * 2),
)
def test_any_picture_gives_a_picture(
    method: str,
    size: tuple[int, int],
    style_size: tuple[int, int],
    content_fill: str | float,
    style_fill: str | float,
    seed: int,
    dtype: torch.dtype,
    opacities: tuple[str | float | None, str | float | None],
) -> None:
    if method == "gatys":  # which says so of smaller ones: test_gatys.py
        size = (max(16, size[0]), max(16, size[1]))
    content, style = (
        torch.cat([filled(*sides, fill, seed), *([] if opacity is None else [filled(*sides, opacity, seed)[:, :1]])], 1)
        for sides, fill, seed, opacity in zip(
            (size, style_size), (content_fill, style_fill), (seed, seed + 1), opacities, strict=True
        )
    )
    content, style = content.to(dtype), style.to(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*it is used at its own size")
        painted = paint(MODELS[method], content, style)
    assert painted.dtype == torch.float32
    assert painted.shape == content.shape
    assert bool(painted.isfinite().all())
    assert 0 <= painted.min() <= painted.max() <= 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", METHODS)
def test_pictures_of_any_precision_are_read_in_that_of_the_weights(method: str, dtype: torch.dtype) -> None:
    content, style = picture(1, 3, 40, 48).to(dtype), picture(1, 3, 32, 32, seed=1).to(dtype)
    model = MODELS[method]
    if method == "gatys":
        painted = [
            model(one, other, progress=False).picture
            for one, other in ((content, style), (content.float(), style.float()))
        ]
    elif method == "johnson":
        painted = [model(content), model(content.float())]
    else:
        painted = [model(content, style), model(content.float(), style.float())]
    assert painted[0].dtype == torch.float32
    assert torch.equal(*painted)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("method", METHODS)
def test_one_value_that_is_no_number_is_refused_by_every_method(method: str, value: float) -> None:
    good, bad = picture(1, 3, 32, 32), picture(1, 3, 32, 32)
    bad[0, 1, 30, 2] = value
    pairs = [(bad, good)] if method == "johnson" else [(bad, good), (good, bad)]
    for content, style in pairs:
        with pytest.raises(ValueError, match="holds NaN or infinity"):
            paint(MODELS[method], content, style)
        with pytest.raises(ValueError, match="holds NaN or infinity"):
            MODELS[method](content) if method == "johnson" else MODELS[method](content, style)


# ------------------------------------------------------------------------------------------------- numbers


def test_gradients_of_the_losses_that_are_sums() -> None:
    """The rest of them: test_losses.py, and the streamed attention's: test_attention.py."""
    from nstlib.losses import moments_loss, sum_content, sum_style

    draw = torch.Generator().manual_seed(0)

    def maps() -> dict[str, Tensor]:
        sizes = {"relu1_1": (2, 2, 3, 4), "relu2_1": (2, 3, 2, 2)}
        return {layer: torch.rand(size, generator=draw, dtype=torch.float64) for layer, size in sizes.items()}

    found, targets = maps(), maps()
    layers = list(found)
    grams = {layer: nst.gram_matrix(targets[layer]) for layer in layers}

    def of(loss: Callable[[dict[str, Tensor]], Tensor]) -> Callable[..., Tensor]:
        return lambda *features: loss(dict(zip(layers, features, strict=True)))

    inputs = [found[layer].requires_grad_() for layer in layers]
    assert torch.autograd.gradcheck(of(lambda f: moments_loss(f, targets, layers)), inputs)
    assert torch.autograd.gradcheck(of(lambda f: sum_content(f, targets)[0]), inputs)
    weights = dict.fromkeys(layers, 0.5)
    assert torch.autograd.gradcheck(of(lambda f: sum_style(f, grams, weights)[0]), inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", [30_000.0, 60_000.0])
def test_activations_as_large_as_half_precision_goes_give_finite_losses(dtype: torch.dtype, size: float) -> None:
    """Their squares, and sums over 64 x 64 positions, are far beyond it."""
    from nstlib.losses import moments_loss

    draw = torch.Generator().manual_seed(0)
    f, p = ((torch.rand(1, 4, 64, 64, generator=draw) * size).to(dtype).requires_grad_() for _ in range(2))
    gram = nst.gram_matrix(f)
    assert gram.dtype == torch.float32
    assert gram.max() > 1e8
    losses = {
        "gram": gram.sum(),
        "style": nst.style_loss(gram, nst.gram_matrix(p)),
        "content": nst.content_loss(f, p),
        "moments": sum(moment.sum() for moment in nst.moments(f)),
        "moments loss": moments_loss({"a": f}, {"a": p}, ["a"]),
    }
    exact = nst.gram_matrix(f.double())
    assert ((gram - exact).abs() / exact.abs()).max() < 1e-4
    for name, loss in losses.items():
        assert isinstance(loss, Tensor)
        assert loss.dtype == torch.float32, name
        assert bool(loss.isfinite()), name


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_autocast_over_large_features_gives_finite_losses_and_gradients(precision: torch.dtype) -> None:
    """A layer in half precision, as a mixed-precision training has it, and the style loss behind it."""
    conv = nn.Conv2d(3, 8, 1)
    with torch.no_grad():
        conv.weight.fill_(3000.0)
        conv.bias.zero_()  # type: ignore[union-attr]
    with torch.autocast("cpu", precision):
        features = conv(torch.ones(1, 3, 32, 32))
        assert features.dtype == precision
        loss = nst.style_loss(nst.gram_matrix(features), torch.zeros(1, 8, 8))
    assert bool(loss.isfinite())
    if precision == torch.float16:
        return  # gradients of the layer itself are beyond it, for which there is the scaler
    loss.backward()
    assert conv.weight.grad is not None
    assert bool(conv.weight.grad.float().isfinite().all())
