"""Transparent pictures: what nobody sees changes nothing."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from networks import lively, picture, random_convs, torchvision_state, with_random_conditioning
from torch import Tensor

from nstlib.adaattn import AdaAttN
from nstlib.adain import AdaIN
from nstlib.arbitrary import ArbitraryStyle
from nstlib.losses import mean_variance_norm, moments
from nstlib.sanet import SANet
from nstlib.utils.opacity import opacity_at, select_opaque, split_opacity

METHODS: dict[str, type[ArbitraryStyle]] = {"adain": AdaIN, "sanet": SANet, "adaattn": AdaAttN}
EVERY = pytest.mark.parametrize("method", METHODS)
EITHER = pytest.mark.parametrize("conditioned", [False, True], ids=["plain", "conditioned"])

ENCODER = torchvision_state(random_convs((4, 6, 8, 10, 12)))
STYLE, OTHER = picture(1, 3, 40, 56, seed=2).double(), 1 - picture(1, 3, 32, 80, seed=3).double()


@functools.cache
def model_of(method: str, conditioned: bool = False) -> Any:
    torch.manual_seed(0)
    model = METHODS[method](ENCODER, conditioned=conditioned).requires_grad_(False)
    return (with_random_conditioning if conditioned else lively)(model).double()


def soft_right(height: int, width: int) -> Tensor:
    """Opaque on the left, transparent on the right, and soft between."""
    return torch.linspace(3, -2, width).clamp(0, 1).double().expand(1, 1, height, width)


def with_opacity(colors: Tensor, opacity: Tensor) -> Tensor:
    return torch.cat([colors, opacity], 1)


def pair(height: int = 45, width: int = 94) -> tuple[Tensor, Tensor, Tensor]:
    """The same picture with two kinds of colours where nothing is seen, and its opacity."""
    opacity = soft_right(height, width)
    colors = picture(1, 3, height, width, seed=1).double()
    other = torch.where(opacity == 0, 1 - picture(1, 3, height, width, seed=4).double() ** 2, colors)
    assert (colors - other).abs().max() > 0.3
    return with_opacity(colors, opacity), with_opacity(other, opacity), opacity


def same(found: Tensor, expected: Tensor) -> None:
    """Equal but for rounding in float64; see test_arbitrary.py."""
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=2e-5)


# ---------------------------------------------------------------- splitting and selecting


def test_a_picture_without_opacity_is_left_alone() -> None:
    colors = torch.rand(2, 3, 5, 7)
    assert split_opacity(colors)[0] is colors
    assert split_opacity(colors)[1] is None
    assert opacity_at(None, {"relu1_1": colors}) == {"relu1_1": None}
    assert select_opaque({"relu1_1": colors}, {"relu1_1": None})["relu1_1"] is colors


def test_unseen_colours_become_those_around_them() -> None:
    one, other, opacity = pair()
    colors, found = split_opacity(one)
    assert torch.equal(colors, split_opacity(other)[0])
    assert found is not None
    assert torch.equal(found, opacity)
    seen = (opacity == 1).expand_as(colors)
    assert torch.equal(colors[seen], one[:, :3][seen])
    flat = torch.zeros(1, 4, 8, 8)
    flat[..., :3] = torch.tensor([0.2, 0.4, 0.6, 1.0])[:, None, None]
    torch.testing.assert_close(split_opacity(flat)[0], flat[:, :3, :, :1].expand(-1, -1, -1, 8))


def test_faint_colours_are_mixed_with_those_around_them_by_their_opacity() -> None:
    red, blue = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])
    red_picture = torch.cat([red, torch.ones(1)])[None, :, None, None].repeat(1, 1, 8, 8)
    red_picture[0, :, 3, 4] = torch.cat([blue, torch.tensor([0.25])])
    red_picture[0, 3, 0, 0] = 0
    colors, _ = split_opacity(red_picture)
    around = colors[0, :, 2, 4]
    assert torch.equal(around, red)
    assert 0.2 < colors[0, 2, 3, 4] < 0.5  # a quarter of its own blue, and some in the colours around it
    torch.testing.assert_close(colors[0, :, 3, 4].sum(), torch.tensor(1.0))


def test_a_picture_of_which_nothing_is_seen_is_finite() -> None:
    colors, _ = split_opacity(torch.cat([torch.rand(1, 3, 9, 6), torch.zeros(1, 1, 9, 6)], 1))
    assert colors.isfinite().all()


def test_only_opaque_positions_are_selected() -> None:
    maps = {"relu1_1": torch.rand(1, 2, 4, 6), "relu2_1": torch.rand(1, 3, 2, 3)}
    opacity = torch.zeros(1, 1, 4, 6)
    opacity[..., :3] = 1
    shares = opacity_at(opacity, maps)
    assert shares["relu2_1"] is not None
    assert torch.equal(shares["relu2_1"][0, 0], torch.tensor([[1, 0.5, 0]]).expand(2, 3))
    selected = select_opaque(maps, shares)
    assert torch.equal(selected["relu1_1"], maps["relu1_1"][..., :3].flatten(2)[:, :, None])
    assert torch.equal(selected["relu2_1"], maps["relu2_1"][..., :2].flatten(2)[:, :, None])
    # where nothing is half opaque, the most opaque positions are taken
    faint = select_opaque(maps, opacity_at(0.1 * opacity, maps))
    assert torch.equal(faint["relu1_1"], selected["relu1_1"])


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_moments_count_each_position_by_its_opacity(share: float) -> None:
    x, opacity = torch.randn(2, 3, 4, 6).double(), torch.zeros(1, 1, 4, 6).double()
    opacity[..., :3] = 1
    opacity[..., 3:5] = share
    w, count = opacity.expand(2, 3, 4, 6), opacity.sum()
    mean = (w * x).sum((2, 3), keepdim=True) / count
    std = ((w * (x - mean) ** 2).sum((2, 3), keepdim=True) / (count - 1) + 1e-5).sqrt()
    for found, expected in zip(moments(x, opacity), (mean, std)):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(mean_variance_norm(x, opacity), (x - mean) / std)


@pytest.mark.parametrize("share", [0.0, 0.01, 1.0])
def test_moments_of_a_single_visible_position_have_no_large_std(share: float) -> None:
    x, opacity = torch.randn(1, 3, 4, 6).double(), torch.zeros(1, 1, 4, 6).double()
    opacity[..., 1, 2:4] = share / 2  # together no more than one
    _, std = moments(x, opacity)
    assert std.max() < 2 * x.std()


# ---------------------------------------------------------------- the three methods


@EVERY
@EITHER
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_unseen_colours_of_the_photograph_change_nothing(method: str, conditioned: bool, alpha: float) -> None:
    model, (one, other, opacity) = model_of(method, conditioned), pair()
    painted = model.stylize(one, STYLE, alpha)
    assert painted.shape == one.shape
    assert torch.equal(painted[:, 3:], opacity)  # the result keeps it
    assert torch.equal(model.stylize(other, STYLE, alpha), painted)
    assert (model.stylize(one[:, :3], STYLE, alpha) - painted[:, :3])[..., :40].abs().max() > 1e-3  # there they count
    left = torch.cat([torch.ones(1, 45, 47), torch.zeros(1, 45, 47)], 2)
    options = {"mask": torch.cat([left, 1 - left]), "tile": 32}
    found = [model.stylize(content, [STYLE, OTHER], alpha, **options) for content in (one, other)]
    assert torch.equal(*found)


@EVERY
@EITHER
@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_what_is_transparent_counts_in_no_statistic(method: str, conditioned: bool, alpha: float) -> None:
    """Transparent margins of two widths: far from them, the result is the same."""
    model, colors = model_of(method, conditioned), picture(1, 3, 48, 96, seed=1).double()
    seen = with_opacity(colors, torch.ones(1, 1, 48, 96).double())
    narrow, wide = (torch.cat([seen, torch.zeros(1, 4, 48, margin).double()], 3) for margin in (32, 160))
    found = [model.stylize(content, STYLE, alpha)[:, :3, :, :40] for content in (narrow, wide)]
    # what is filled in differs a little, and is seen by the positions at the border
    assert (found[0] - found[1]).abs().max() < 0.01
    filled = [model.stylize(split_opacity(content)[0], STYLE, alpha)[..., :40] for content in (narrow, wide)]
    assert (filled[0] - filled[1]).abs().max() > 0.02


@EVERY
@EITHER
def test_unseen_colours_of_the_painting_change_nothing(method: str, conditioned: bool) -> None:
    model, content = model_of(method, conditioned), picture(1, 3, 48, 64, seed=5).double()
    one, other, _ = pair()
    painted = model.stylize(content, one)
    assert painted.shape == content.shape
    assert torch.equal(model.stylize(content, other), painted)
    assert torch.equal(model.stylize(content, model.encode_style(other)), painted)
    assert (model.stylize(content, one[:, :3]) - painted).abs().max() > 0.01


@EVERY
@EITHER
@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_an_opaque_picture_is_painted_as_one_without_opacity(method: str, conditioned: bool, alpha: float) -> None:
    model, colors = model_of(method, conditioned), picture(1, 3, 45, 62, seed=1).double()
    opaque = with_opacity(colors, torch.ones(1, 1, 45, 62).double())
    same(model.stylize(opaque, STYLE, alpha)[:, :3], model.stylize(colors, STYLE, alpha))
    same(model.stylize(colors, opaque, alpha), model.stylize(colors, colors, alpha))


@EVERY
def test_tiles_of_a_transparent_picture_fit_together(method: str) -> None:
    model, (one, _, _) = model_of(method, conditioned=True), pair(37, 189)
    same(model.stylize(one, STYLE, 0.7, tile=48), model.stylize(one, STYLE, 0.7))


@EVERY
@EITHER
@pytest.mark.parametrize("seen", ["nothing", "a dot"])
def test_pictures_of_which_little_is_seen_are_painted(method: str, conditioned: bool, seen: str) -> None:
    model, content = model_of(method, conditioned), picture(1, 4, 48, 64, seed=1).double()
    content[:, 3] = 0
    if seen == "a dot":
        content[:, 3, 20:23, 30:33] = 1
    for alpha in (0.0, 0.5, 1.0):
        assert model.stylize(content, STYLE, alpha).isfinite().all()
        assert model.stylize(content, content, alpha).isfinite().all()


@EVERY
def test_gradients_reach_what_is_seen_and_nothing_else(method: str) -> None:
    model, (one, _, opacity) = model_of(method), pair(48, 96)
    content = one.requires_grad_()
    model(content, STYLE, 0.5)[:, :3].sum().backward()
    assert content.grad is not None
    assert content.grad.isfinite().all()
    colors = content.grad[:, :3].abs().sum(1, keepdim=True)
    assert (colors[opacity == 0] == 0).all()
    assert (colors[opacity == 1] > 0).float().mean() > 0.9


@EVERY
def test_a_batch_has_no_opacity(method: str) -> None:
    model, (one, _, _) = model_of(method), pair()
    with pytest.raises(ValueError, match=r"content must have the shape .* or \(1, 4, H, W\), not \(2, 4, 45, 94\)"):
        model.stylize(torch.cat([one, one]), STYLE)
