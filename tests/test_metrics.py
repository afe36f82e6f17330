"""Metrics against their formulas, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from networks import picture, random_convs, torchvision_state
from torch import Tensor
from torchvision.models import get_model

import nstlib as nst
from nstlib import backbones
from nstlib.metrics import content_distance, style_distance

ENCODER = nst.Encoder(torchvision_state(random_convs()), ["relu1_1", "relu3_1"]).double()
PAINTED, OTHER = picture(2, 3, 24, 32, seed=1).double(), picture(2, 3, 24, 32, seed=2).double()


def textbook(kind: str, picture: Tensor, target: Tensor) -> float:
    """One picture, one number at a time."""
    found = []
    for layer in ENCODER.layers:
        f, a = (ENCODER(one[None])[layer][0].flatten(1).tolist() for one in (picture, target))
        if kind == "content":
            pairs = [(x, y) for row, other in zip(f, a, strict=True) for x, y in zip(row, other, strict=True)]
        elif kind == "gram":
            grams = [
                [sum(x * y for x, y in zip(r, q, strict=True)) / len(r) for r in rows for q in rows] for rows in (f, a)
            ]
            pairs = [*zip(*grams, strict=True)]
        else:
            stats = []
            for rows in (f, a):
                means = [sum(row) / len(row) for row in rows]
                variances = [
                    sum((x - m) ** 2 for x in row) / (len(row) - 1) for row, m in zip(rows, means, strict=True)
                ]
                stats.append([*means, *((v + 1e-5) ** 0.5 for v in variances)])
            pairs = [*zip(*stats, strict=True)]
        found.append(sum((x - y) ** 2 for x, y in pairs) / sum(y * y for _, y in pairs))
    return sum(found) / len(found)


@pytest.mark.parametrize("kind", ["content", "gram", "moments"])
def test_distances_are_their_formulas(kind: Any) -> None:
    if kind == "content":
        found = content_distance(PAINTED, OTHER, encoder=ENCODER)
    else:
        found = style_distance(PAINTED, OTHER, kind=kind, encoder=ENCODER)
    assert found.shape == (2,)
    for one, painted, other in zip(found, PAINTED, OTHER, strict=True):
        assert float(one) == pytest.approx(textbook(kind, painted, other), rel=1e-4)  # features are taken as float32


def test_one_target_serves_many_pictures() -> None:
    for distance in (content_distance, style_distance):
        found = distance(PAINTED, OTHER[:1], encoder=ENCODER)
        expected = [distance(one[None], OTHER[:1], encoder=ENCODER) for one in PAINTED]
        torch.testing.assert_close(found, torch.cat(expected))
        assert torch.equal(distance(PAINTED[:1], PAINTED[:1], encoder=ENCODER), torch.zeros(1))


def test_style_is_compared_across_sizes_and_place_doesnt_count() -> None:
    painting = picture(1, 3, 32, 48, seed=3).double()
    mirrored = torch.cat([painting, painting.flip(3)], 3)
    for kind in ("gram", "moments"):
        near = style_distance(mirrored, painting, kind=kind, encoder=ENCODER)
        far = style_distance(OTHER[:1], painting, kind=kind, encoder=ENCODER)
        assert near < 0.2 * far
    assert content_distance(painting.flip(3), painting, encoder=ENCODER) > 0.05


def test_layers_may_be_chosen_and_networks_named() -> None:
    some = content_distance(PAINTED, OTHER, encoder=ENCODER, layers=["relu3_1"])
    deep = nst.Encoder(torchvision_state(random_convs()), ["relu3_1"]).double()
    torch.testing.assert_close(some, content_distance(PAINTED, OTHER, encoder=deep))
    small = PAINTED.float(), OTHER.float()
    by_name = style_distance(*small, layers=["relu2_1"])
    torch.testing.assert_close(by_name, style_distance(*small, encoder=nst.Encoder(layers=["relu2_1"])))
    usual = nst.Encoder(layers=["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"])
    torch.testing.assert_close(style_distance(*small), style_distance(*small, encoder=usual))
    torch.testing.assert_close(content_distance(*small), content_distance(*small, encoder=usual, layers=["relu4_1"]))


def test_other_networks_are_read_at_their_usual_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    state = get_model("squeezenet1_1", weights=None).state_dict()
    monkeypatch.setattr(backbones, "download", lambda name: state)
    small = picture(1, 3, 96, 96, seed=1), picture(1, 3, 96, 96, seed=2)
    for distance, layers in (
        (content_distance, ["fire6"]),
        (style_distance, ["relu1", "fire3", "fire5", "fire7", "fire9"]),
    ):
        expected = distance(*small, encoder=nst.Encoder("squeezenet1_1", layers, weights=state))
        torch.testing.assert_close(distance(*small, encoder="squeezenet1_1"), expected)


def test_what_cant_be_measured_is_told() -> None:
    with pytest.raises(ValueError, match=r"the size of the pictures, \(2, 3, 24, 32\), .* got \(1, 3, 24, 31\)"):
        content_distance(PAINTED, OTHER[:1, ..., :31], encoder=ENCODER)
    with pytest.raises(ValueError, match="2 pictures need as many styles or one, got 3"):
        style_distance(PAINTED, OTHER[[0, 1, 0]], encoder=ENCODER)
    with pytest.raises(ValueError, match="no kind 'moment'; did you mean 'moments'"):
        style_distance(PAINTED, OTHER, kind="moment", encoder=ENCODER)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"the encoder gives \['relu1_1', 'relu3_1'\], and lacks \['relu2_1'\]"):
        style_distance(PAINTED, OTHER, encoder=ENCODER, layers=["relu2_1"])
    with pytest.raises(ValueError, match="no network or weights file 'vgg17'"):
        content_distance(PAINTED, OTHER, encoder="vgg17")
