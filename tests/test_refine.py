"""Refining: steps on the pixels of what a network has painted, on the loss that it was trained by."""

from __future__ import annotations

import copy
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import picture, random_convs, torchvision_state
from torch import Tensor

import nstlib as nst
from nstlib.johnson import JohnsonObjective, TransformerNet
from nstlib.losses import moments
from nstlib.registry import METHODS, Method
from nstlib.utils.checks import check_picture

ARBITRARY = ["adain", "sanet", "adaattn"]
ENCODER = torchvision_state(random_convs((4, 6, 8, 10, 12)))
CONTENT, STYLE, OTHER = picture(1, 3, 48, 64, seed=1), picture(1, 3, 40, 56, seed=2), 1 - picture(1, 3, 32, 80, seed=3)


@functools.cache
def model_of(method: str) -> Any:
    torch.manual_seed(0)
    return METHODS[method].model(ENCODER)


def loss_of(method: str, result: Tensor, content: Tensor, style: Tensor) -> float:
    """The method's loss of a result, as its training has it, by the terms that its paper names."""
    objective: Any = METHODS[method].objective
    objective = objective(model_of(method))
    with torch.no_grad():
        x, c, s = (objective.encoder(one, objective.layers) for one in (result, content, style))
        content_weight, style_weight = list(objective.weight.values())[:2]
        target = objective.content_target(c, s)
        return (
            content_weight * objective.content_distance(x, target) + style_weight * objective.style_distance(x, s)
        ).item()


@pytest.mark.parametrize("method", ARBITRARY)
def test_more_steps_lower_the_methods_own_loss(method: str) -> None:
    losses = [loss_of(method, model_of(method).stylize(CONTENT, STYLE, refine=n), CONTENT, STYLE) for n in (0, 4, 16)]
    assert losses[2] < losses[1] < losses[0]
    assert losses[2] < 0.7 * losses[0]


@pytest.mark.parametrize("method", ARBITRARY)
def test_the_loss_has_the_weights_of_the_training(method: str) -> None:
    style = list(METHODS[method].objective.weights)[1]  # type: ignore[union-attr]
    plain = copy.deepcopy(model_of(method))
    plain.metadata[f"weight of {style}"] = "0.0"
    without, usual = (
        nst.metrics.style_distance(
            model.stylize(CONTENT, STYLE, refine=10), STYLE, kind="moments", encoder=plain.encoder
        )
        for model in (plain, model_of(method))
    )
    assert without > 1.5 * usual


@pytest.mark.parametrize("method", ARBITRARY)
def test_no_steps_are_what_the_network_paints(method: str) -> None:
    model = model_of(method)
    assert torch.equal(model.stylize(CONTENT, STYLE, refine=0), model.stylize(CONTENT, STYLE))


def test_results_keep_their_size_and_range() -> None:
    content = torch.cat([CONTENT, 1 - CONTENT])[..., :45, :53]
    result = model_of("adain").stylize(content, STYLE, refine=2)
    assert result.shape == content.shape
    assert 0 <= result.min() <= result.max() <= 1
    alone = model_of("adain").stylize(content[:1], STYLE, refine=2)
    torch.testing.assert_close(result[:1], alone, rtol=0, atol=1e-3)


def test_strength_moves_the_goal() -> None:
    """With strength 0 the photograph is its own painting, so its moments are the goal."""
    model = model_of("adain")

    def distance(result: Tensor, goal: Tensor) -> float:
        encoder = nst.Encoder(ENCODER, ["relu2_1"])
        pairs = zip(*(moments(encoder(one)["relu2_1"]) for one in (result, goal)))
        return sum((x - y).square().sum().item() for x, y in pairs)

    weak, strong = (model.stylize(CONTENT, STYLE, alpha, refine=16) for alpha in (0.0, 1.0))
    assert distance(weak, CONTENT) < distance(strong, CONTENT)
    assert distance(strong, STYLE) < distance(weak, STYLE)


def test_regions_are_refined_towards_their_own_painting() -> None:
    mask = torch.zeros(2, 48, 64)
    mask[0, :, :32], mask[1, :, 32:] = 1, 1
    bright, dark = torch.full((1, 3, 32, 32), 0.9), torch.full((1, 3, 32, 32), 0.1)
    result = model_of("adain").stylize(CONTENT, [bright, dark], mask=mask, refine=16)
    swapped = model_of("adain").stylize(CONTENT, [dark, bright], mask=mask, refine=16)
    assert (result[..., :24] - swapped[..., :24]).mean() > 0.02
    assert (result[..., 40:] - swapped[..., 40:]).mean() < -0.02


def test_opacity_is_kept_and_hidden_pixels_do_not_count() -> None:
    opacity = torch.ones(1, 1, 48, 64)
    opacity[..., 32:] = 0
    hidden = CONTENT.clone()
    hidden[..., 32:] = torch.rand(1, 3, 48, 32, generator=torch.Generator().manual_seed(0))
    one, other = (
        model_of("adain").stylize(torch.cat([colors, opacity], 1), STYLE, refine=3) for colors in (CONTENT, hidden)
    )
    assert torch.equal(one[:, 3:], opacity)
    torch.testing.assert_close(one[..., :32], other[..., :32], rtol=0, atol=1e-3)


def test_one_call_and_its_options(tmp_path: Any) -> None:
    content, style = nst.samples.content("cat", 64), nst.samples.style("swirl", 64)
    plain, refined = (nst.stylize(content, style, method="adain", refine=steps) for steps in (0, 3))
    assert plain.shape == refined.shape
    assert (plain - refined).abs().mean() > 1e-3
    kept = nst.stylize(content, style, method="adain", refine=3, keep_color="luminance")
    assert kept.shape == refined.shape


def test_an_encoded_style_cannot_be_compared_with() -> None:
    model = model_of("adain")
    with pytest.raises(ValueError, match="give pictures in place of encoded styles"):
        model.stylize(CONTENT, model.encode_style(STYLE), refine=1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_and_autocast_refines(dtype: torch.dtype) -> None:
    model = model_of("adain")
    before = loss_of("adain", model.stylize(CONTENT, STYLE), CONTENT, STYLE)
    with torch.autocast("cpu", dtype):
        refined = model.stylize(CONTENT, STYLE, refine=8)
    assert loss_of("adain", refined.float(), CONTENT, STYLE) < before
    with pytest.raises(ValueError, match=f"refine optimises in float32, and this model is {dtype}: call float"):
        copy.deepcopy(model).to(dtype).stylize(CONTENT, STYLE, refine=1)


@pytest.mark.parametrize("steps", [-1, 1.5, "many"])
def test_steps_are_a_number_of_at_least_0(steps: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="refine"):
        model_of("adain").stylize(CONTENT, STYLE, refine=steps)


def test_an_interrupt_returns_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def loss(x: Tensor) -> Tensor:
        calls.append(x)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return (x - 0.5).square().sum()

    from nstlib.pixels import refine

    result = refine(CONTENT, loss, steps=50)
    assert len(calls) == 4
    assert (result - 0.5).square().sum() < (CONTENT - 0.5).square().sum()
    check_picture(result.clamp(0, 1), "result")


def test_a_method_without_a_loss_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "adain", Method(nst.AdaIN, nst.AdaIN.open))
    with pytest.raises(ValueError, match="adain has none"):
        model_of("adain").stylize(CONTENT, STYLE, refine=1)


def johnson_loss(model: nst.Johnson, result: Tensor, content: Tensor, style: Tensor) -> float:
    about = model.metadata
    weights: Any = {f"{name}_weight": float(about[f"{name}_weight"]) for name in ("content", "style", "tv")}
    objective = JohnsonObjective(model.network, style, content_layers=about["content_layers"].split(), **weights)
    with torch.no_grad():
        return sum(term.item() for term in objective.terms(result, content).values())


def test_a_johnson_network_knows_its_painting() -> None:
    model, content = nst.Johnson.pretrained("wave"), nst.samples.content("cat", 96)
    style = nst.samples.style("wave", int(model.metadata["style_size"].split(" x ")[0]))
    losses = [johnson_loss(model, model.stylize(content, refine=n), content, style) for n in (0, 3, 10)]
    assert losses[2] < losses[1] < 0.95 * losses[0]
    half = model.stylize(content, alpha=0.5, refine=3)
    torch.testing.assert_close(half, (content + model.stylize(content, refine=3)) / 2, rtol=0, atol=1e-3)
    assert nst.stylize(content, "wave", method="johnson", refine=1).shape == content.shape


def test_training_and_saving_keep_the_grams(tmp_path: Path) -> None:
    style = nst.samples.style("ink", 48)
    objective = JohnsonObjective(TransformerNet(width=2), style, name="ink")
    nst.save_image(CONTENT, tmp_path / "photos" / "photo.png")
    nst.train(objective, tmp_path / "photos", out_dir=tmp_path / "run", steps=1, batch_size=1, size=32)
    model = nst.Johnson.from_checkpoint(tmp_path / "run" / "weights.safetensors")
    again = nst.Johnson.from_checkpoint(model.save(tmp_path / "again.safetensors"))
    for layer, gram in objective.constants().items():
        torch.testing.assert_close(again.grams[layer.removeprefix("gram.")], gram, rtol=2e-3, atol=1e-3)
    assert again.stylize(CONTENT, refine=1).shape == CONTENT.shape


def test_weights_without_grams_cannot_refine() -> None:
    grams = nst.Johnson.pretrained("wave").grams
    for model in (nst.Johnson(TransformerNet(width=2)), nst.Johnson(TransformerNet(width=2), grams=grams)):
        with pytest.raises(
            ValueError, match=r"settings of the training: nst train writes them into weights\.safetensors"
        ):
            model.stylize(CONTENT, refine=1)


def test_johnson_refines_what_is_seen_and_refuses_before_it_paints(monkeypatch: pytest.MonkeyPatch) -> None:
    model, content = nst.Johnson.pretrained("wave"), nst.samples.content("cat", 64)
    opacity = torch.ones(1, 1, 64, content.shape[3])
    opacity[..., content.shape[3] // 2 :] = 0
    hidden = torch.where(opacity == 1, content, 0.9)
    first, second = (model.stylize(torch.cat([one, opacity], 1), refine=3) for one in (content, hidden))
    seen = opacity.expand(1, 3, -1, -1)[..., :-8] == 1  # the rim of what is seen may feel what it is filled with
    assert (first - second)[:, :3, :, :-8][seen].abs().mean() < 0.02
    assert (first - model.stylize(torch.cat([content, opacity], 1)))[:, :3][..., :40].abs().mean() > 0.01

    monkeypatch.setattr(model.network, "fast", lambda *_: pytest.fail("it has painted"))
    model.metadata["encoder_fingerprint"] = "another"
    with pytest.raises(ValueError, match="refine needs the encoder of the training, and 'vgg19_mini' is another"):
        model.stylize(content, refine=1)
    with pytest.raises(ValueError, match=r"this model is torch.float16: call float\(\) on it first"):
        model.half().stylize(content, refine=1)


def test_the_default_model_is_read_once_and_can_refine_whatever_the_first_call_was_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[Any] = []

    def open_model(styles: Any) -> Any:
        opened.append(nst.AdaIN(ENCODER))
        return opened[-1]

    known = METHODS["adain"]
    method = Method(nst.AdaIN, open_model, (), known.picture_options, known.objective)
    monkeypatch.setitem(METHODS, "own", method)
    with torch.inference_mode():
        first = nst.stylize(CONTENT, STYLE, method="own")
    again = nst.stylize(CONTENT, STYLE, method="own")
    torch.testing.assert_close(first.clone(), again)
    assert nst.stylize(CONTENT, STYLE, method="own", refine=1).shape == CONTENT.shape
    assert len(opened) == 1
