"""The perceptual loss against the papers' formulas, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import picture, random_convs, torchvision_state
from torch import Tensor

import nstlib as nst
from nstlib.perceptual import PerceptualLoss, StyleTargets

STYLE, CONTENT = ("relu1_1", "relu3_1"), ("relu2_1", "relu3_1")
WEIGHTS = {"relu1_1": 0.25, "relu3_1": 0.75}
ENCODER = nst.Encoder(torchvision_state(random_convs()), ["relu1_1", "relu2_1", "relu3_1"]).double()
X, PHOTO = picture(1, 3, 32, 40).double(), picture(1, 3, 32, 40, seed=1).double()
PAINTINGS = [picture(1, 3, 24, 32, seed=2).double(), picture(1, 3, 36, 28, seed=3).double()]
EVERY = pytest.mark.parametrize("normalize", [True, False])


def make(normalize: bool, **options: Any) -> PerceptualLoss:
    settings: dict[str, Any] = {"content_layers": CONTENT, "style_layers": STYLE, "layer_weights": WEIGHTS}
    return PerceptualLoss(ENCODER, normalize_losses=normalize, **{**settings, **options})


def gram(colors: Tensor, layer: str, weights: Tensor | None = None) -> Tensor:
    """G_ij = sum_k m_k F_ik F_jk / sum_k m_k."""
    f = ENCODER(colors)[layer][0].flatten(1)  # (C, HW)
    m = torch.ones_like(f[:1]) if weights is None else weights.flatten()[None]
    return (f * m) @ f.T / m.sum()


def style_error(g: Tensor, a: Tensor, normalize: bool) -> Tensor:
    """|G - A|^2 / |A|^2, or the paper's 1 / (4 C^2) |G - A|^2."""
    return (g - a).square().sum() / (a.square().sum() if normalize else 4 * a.numel())


def at(mask: Tensor, layer: str) -> Tensor:
    return F.avg_pool2d(mask, ENCODER.stride[layer])


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)


@EVERY
def test_content_is_the_formula(normalize: bool) -> None:
    loss, expected = make(normalize), []
    for layer in CONTENT:
        f, p = ENCODER(X)[layer], ENCODER(PHOTO)[layer]
        expected.append((f - p).square().sum() / (p.square().sum() if normalize else 2))
    close(loss(X, loss.read_content(PHOTO), StyleTargets({}))["content"], torch.stack(expected).mean())


def test_only_the_layers_named_count_if_an_encoder_gives_more() -> None:
    class Generous(nst.Encoder):
        def forward(self, pictures: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
            return super().forward(pictures)

    generous, layers = Generous(torchvision_state(random_convs()), ENCODER.layers).double(), ["relu2_1"]
    loss, usual = (
        PerceptualLoss(encoder, content_layers=layers, style_layers=layers) for encoder in (generous, ENCODER)
    )
    found, expected = (one(X, one.read_content(PHOTO), one.read_styles(PAINTINGS)) for one in (loss, usual))
    for term in ("content", "style"):
        close(found[term], expected[term])


@EVERY
def test_style_is_the_formula(normalize: bool) -> None:
    loss = make(normalize)
    terms = loss(X, {}, loss.read_styles(PAINTINGS[:1]))
    layers = {layer: style_error(gram(X, layer), gram(PAINTINGS[0], layer), normalize) for layer in STYLE}
    for layer, expected in layers.items():
        close(terms[f"style/{layer}"], expected)
    close(terms["style"], 0.25 * layers["relu1_1"] + 0.75 * layers["relu3_1"])


def test_several_styles_are_the_weighted_mean_of_their_gram_matrices() -> None:
    loss = make(True)
    terms = loss(X, {}, loss.read_styles(PAINTINGS, shares=torch.tensor([0.2, 0.8], dtype=torch.float64)))
    for layer in STYLE:
        mixed = 0.2 * gram(PAINTINGS[0], layer) + 0.8 * gram(PAINTINGS[1], layer)
        close(terms[f"style/{layer}"], style_error(gram(X, layer), mixed, True))
    half = loss(X, {}, loss.read_styles(PAINTINGS, shares=torch.tensor([0.5, 0.5], dtype=torch.float64)))
    assert loss(X, {}, loss.read_styles(PAINTINGS))["style"] == half["style"]


@EVERY
def test_every_region_has_the_gram_matrix_of_its_style(normalize: bool) -> None:
    mask = torch.zeros(2, 1, 32, 40).double()
    mask[0, :, :14], mask[1, :, 10:] = 1, 0.5
    loss, shares = make(normalize), torch.tensor([0.3, 0.7], dtype=torch.float64)
    terms = loss(X, {}, loss.read_styles(PAINTINGS, shares=shares, mask=mask))
    for layer in STYLE:
        errors = [
            style_error(gram(X, layer, at(region, layer)), gram(painting, layer), normalize)
            for region, painting in zip(mask, PAINTINGS, strict=True)
        ]
        close(terms[f"style/{layer}"], 0.3 * errors[0] + 0.7 * errors[1])


def test_one_region_may_take_a_mixture() -> None:
    mask = picture(1, 1, 32, 40, seed=4).double()
    loss, shares = make(False), torch.tensor([0.3, 0.7], dtype=torch.float64)
    terms = loss(X, {}, loss.read_styles(PAINTINGS, shares=shares, mask=mask))
    for layer in STYLE:
        mixed = 0.3 * gram(PAINTINGS[0], layer) + 0.7 * gram(PAINTINGS[1], layer)
        close(terms[f"style/{layer}"], style_error(gram(X, layer, at(mask, layer)), mixed, False))


def test_the_gram_matrix_of_a_style_is_that_of_what_is_seen_of_it() -> None:
    opacity = torch.ones(1, 1, 24, 32).double()
    opacity[..., 20:], opacity[..., :6, :] = 0, 0.25
    found = make(True).read_styles([torch.cat([PAINTINGS[0], opacity], 1)]).grams
    for layer in STYLE:
        close(found[layer][0], gram(PAINTINGS[0], layer, at(opacity, layer)))


def test_terms_are_weighed_and_left_out() -> None:
    loss = make(True, content_weight=2.0, style_weight=3.0, tv_weight=5.0, tv_norm="l1")
    terms = loss(X, loss.read_content(PHOTO), loss.read_styles(PAINTINGS))
    close(terms["tv"], nst.total_variation(X, norm="l1"))
    weighed = loss.weigh(terms)
    assert list(weighed) == ["content", "style", "tv"]
    for name, weight in (("content", 2.0), ("style", 3.0), ("tv", 5.0)):
        close(weighed[name], weight * terms[name])
    nothing = make(True, content_layers=(), style_layers=(), layer_weights=None)
    terms = nothing(X, nothing.read_content(PHOTO), nothing.read_styles([]))
    assert terms.keys() == {"content", "style", "tv"}
    assert terms["content"] == terms["style"] == 0


def test_layers_count_alike_unless_said_otherwise() -> None:
    loss = make(True, layer_weights=None)
    terms = loss(X, {}, loss.read_styles(PAINTINGS[:1]))
    close(terms["style"], (terms["style/relu1_1"] + terms["style/relu3_1"]) / 2)


def test_the_loss_of_a_batch_is_the_mean_over_its_pictures() -> None:
    loss, batch = make(True), torch.cat([X, X.flip(3)])
    styles = loss.read_styles(PAINTINGS[:1])
    terms = loss(batch, loss.read_content(PHOTO), styles)
    alone = [loss(one, loss.read_content(PHOTO), styles) for one in batch.split(1)]
    for name in ("content", "style", "tv"):
        close(terms[name], (alone[0][name] + alone[1][name]) / 2)


def test_targets_carry_no_gradients_and_the_picture_does() -> None:
    loss, x = make(True), X.clone().requires_grad_()
    photo = PHOTO.clone().requires_grad_()
    contents, styles = loss.read_content(photo), loss.read_styles([photo])
    torch.stack(list(loss.weigh(loss(x, contents, styles)).values())).sum().backward()
    assert photo.grad is None
    assert x.grad is not None
    assert x.grad.std() > 0
