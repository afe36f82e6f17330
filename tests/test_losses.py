"""The losses against the papers' formulas written as loops, in float64."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from nstlib.losses import (
    adain,
    color_distance,
    content_loss,
    gram_matrix,
    mean_variance_norm,
    moments,
    moments_distance,
    moments_loss,
    normalize_weights,
    raster,
    squared_error,
    style_loss,
    sum_content,
    sum_style,
    total_variation,
)


def same(found: Any, expected: Any, message: str | None = None) -> None:
    """Equal but for rounding in float64."""
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12, msg=message)


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_gram(f: Tensor, mask: Tensor | None = None) -> Tensor:
    """G_ij = sum_k m_k F_ik F_jk / sum_k m_k, one number at a time."""
    batch, channels, height, width = f.shape
    gram = torch.zeros(batch, channels, channels, dtype=torch.float64)
    for b, i, j in itertools.product(range(batch), range(channels), range(channels)):
        total, count = 0.0, 0.0
        for y, x in itertools.product(range(height), range(width)):
            m = 1.0 if mask is None else mask[b, 0, y, x].item()
            total += m * f[b, i, y, x].item() * f[b, j, y, x].item()
            count += m
        gram[b, i, j] = total / count
    return gram


# ----------------------------------------------------------------------------------------------------- Gram


def test_gram_matrix_is_the_formula() -> None:
    f = features(2, 3, 4, 5)
    same(gram_matrix(f), naive_gram(f))
    assert gram_matrix(f).dtype == torch.float64


def test_gram_matrix_with_a_mask_is_the_formula() -> None:
    f, mask = features(2, 3, 4, 5), features(2, 1, 4, 5, seed=1).abs().clamp(max=1)
    same(gram_matrix(f, mask), naive_gram(f, mask))
    one = mask[:1]
    same(gram_matrix(f, one), naive_gram(f, one.expand(2, 1, 4, 5)))
    same(gram_matrix(f, torch.ones(1, 1, 4, 5)), gram_matrix(f))
    same(gram_matrix(f, 0.3 * mask), gram_matrix(f, mask))


def test_a_mask_hides_what_it_covers() -> None:
    f, mask = features(1, 3, 4, 6), torch.zeros(1, 1, 4, 6)
    mask[..., :2] = 1
    expected = gram_matrix(f[..., :2])
    f[..., 2:] = 1e6
    same(gram_matrix(f, mask), expected)
    assert torch.equal(gram_matrix(f, torch.zeros_like(mask)), torch.zeros(1, 3, 3, dtype=torch.float64))


def test_gram_matrix_forgets_where() -> None:
    f = features(1, 4, 6, 5)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    shuffled = f.flatten(2)[..., order].view(1, 4, 5, 6)
    assert not torch.equal(shuffled.flatten(), f.flatten())
    same(gram_matrix(shuffled), gram_matrix(f))
    same(gram_matrix(f.flip(3)), gram_matrix(f))
    same(gram_matrix(f.repeat(1, 1, 2, 3)), gram_matrix(f))  # nor how large


def test_gram_matrix_is_symmetric_and_positive() -> None:
    gram = gram_matrix(features(2, 6, 2, 2))
    same(gram, gram.mT)
    assert torch.linalg.eigvalsh(gram).min() > -1e-12
    assert torch.linalg.matrix_rank(gram).tolist() == [4, 4]  # no more than there are positions


def test_gram_matrix_is_quadratic_and_follows_the_channels() -> None:
    f, mixing = features(1, 3, 4, 4), features(3, 3, seed=2)
    same(gram_matrix(3 * f), 9 * gram_matrix(f))
    mixed = torch.einsum("ij,bjhw->bihw", mixing, f)
    same(gram_matrix(mixed), mixing @ gram_matrix(f) @ mixing.T)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow(dtype: torch.dtype) -> None:
    f = (200 + 50 * features(1, 4, 64, 64)).to(dtype)  # the sum over positions is 1.7e8; float16 ends at 65504
    exact = f.double()
    assert gram_matrix(f).dtype == torch.float32
    torch.testing.assert_close(gram_matrix(f).double(), gram_matrix(exact), rtol=1e-4, atol=0)
    mask = torch.ones(1, 1, 64, 64, dtype=dtype)
    torch.testing.assert_close(gram_matrix(f, mask).double(), gram_matrix(exact), rtol=1e-4, atol=0)
    for found, expected in zip(moments(f), moments(exact), strict=True):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=0)
    loss, expected = content_loss(f, -f), content_loss(exact, -exact)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-4, atol=0)
    for norm in ("l1", "l2"):
        found, expected = (total_variation(x, norm=norm) for x in (f, exact))
        torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=0)


def test_autocast_does_not_lower_the_precision() -> None:
    f = features(1, 8, 16, 16).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        gram, masked = gram_matrix(f), gram_matrix(f, torch.ones(1, 1, 16, 16))
    assert gram.dtype == masked.dtype == torch.float32
    torch.testing.assert_close(gram.double(), gram_matrix(f.double()), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(masked.double(), gram_matrix(f.double()), rtol=1e-4, atol=1e-5)


def test_large_activations_in_float32() -> None:
    f = 1e5 * features(1, 4, 32, 32).float()
    torch.testing.assert_close(gram_matrix(f).double(), gram_matrix(f.double()), rtol=1e-3, atol=1e5)
    assert torch.isfinite(style_loss(gram_matrix(f), gram_matrix(-2 * f)))


# -------------------------------------------------------------------------------------------------- moments


def test_moments_are_the_formula() -> None:
    f = features(2, 3, 4, 5)
    mean, std = moments(f)
    assert mean.shape == std.shape == (2, 3, 1, 1)
    for b, c in itertools.product(range(2), range(3)):
        values = [f[b, c, y, x].item() for y, x in itertools.product(range(4), range(5))]
        mu = sum(values) / 20
        variance = sum((value - mu) ** 2 for value in values) / 19
        assert mean[b, c].item() == pytest.approx(mu, rel=1e-12, abs=1e-12)
        assert std[b, c].item() == pytest.approx(math.sqrt(variance + 1e-5), rel=1e-12)


def test_moments_with_opacity_are_the_formula() -> None:
    f, opacity = features(2, 3, 4, 5), features(2, 1, 4, 5, seed=1).abs().clamp(max=1)
    mean, std = moments(f, opacity)
    for b, c in itertools.product(range(2), range(3)):
        values, weights = f[b, c].flatten().tolist(), opacity[b, 0].flatten().tolist()
        total = sum(weights)
        mu = sum(w * value for w, value in zip(weights, values, strict=True)) / total
        squares = sum(w * (value - mu) ** 2 for w, value in zip(weights, values, strict=True))
        variance = squares / (total - 1)
        assert mean[b, c].item() == pytest.approx(mu, rel=1e-12, abs=1e-12)
        assert std[b, c].item() == pytest.approx(math.sqrt(variance + 1e-5), rel=1e-12)


def test_moments_count_what_is_seen_alone() -> None:
    f, opacity = features(2, 3, 4, 6), torch.zeros(1, 1, 4, 6, dtype=torch.float64)
    opacity[..., :2] = 1
    seen = moments(f[..., :2])
    f[..., 2:] = 1e6
    for found, expected in zip(moments(f, opacity), seen, strict=True):
        same(found, expected)
    same(moments(f, 0.01 * opacity)[0], seen[0])  # however little it is
    for found, expected in zip(moments(f, torch.ones_like(opacity)), moments(f), strict=True):
        same(found, expected)
    assert all(moment.isfinite().all() for moment in moments(f, torch.zeros_like(opacity)))


def test_normalised_features_have_no_moments_of_their_own() -> None:
    f = features(2, 3, 4, 5)
    mean, std = moments(f)
    same(mean_variance_norm(f), (f - mean) / std)
    opacity = features(2, 1, 4, 5, seed=1).abs().clamp(max=1)
    mean, std = moments(f, opacity)
    same(mean_variance_norm(f, opacity), (f - mean) / std)
    half = mean_variance_norm(f.half())
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.double(), mean_variance_norm(f), rtol=0, atol=0.01)


def test_adain_gives_the_moments_of_the_style() -> None:
    """Huang & Belongie, eq. (8)."""
    f, style, opacity = features(2, 3, 8, 8), 2 + 3 * features(1, 3, 5, 6, seed=1), torch.ones(1, 1, 8, 8).double()
    mean, std = moments(style)
    own_mean, own_std = moments(f)
    painted = adain(f, mean, std)
    same(painted, std * (f - own_mean) / own_std + mean)
    same(moments(painted)[0], mean.expand(2, 3, 1, 1))
    torch.testing.assert_close(moments(painted)[1], std.expand(2, 3, 1, 1), rtol=1e-4, atol=0)
    opacity[..., 3:] = 0
    same(adain(f, mean, std, opacity)[..., :3], adain(f[..., :3], mean, std))


def test_moments_forget_where_and_follow_scale_and_shift() -> None:
    f = 10 * features(1, 3, 8, 8)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    for found, expected in zip(moments(f.flatten(2)[..., order].view(1, 3, 4, 16)), moments(f), strict=True):
        same(found, expected)
    (mean, std), (mean_after, std_after) = moments(f), moments(-3 * f + 5)
    same(mean_after, -3 * mean + 5)
    torch.testing.assert_close(std_after, 3 * std, rtol=1e-6, atol=0)  # up to the 1e-5 under the root
    normalised = (f - mean) / std
    same(normalised.mean((2, 3)), torch.zeros(1, 3, dtype=torch.float64))


def test_the_moments_loss_is_the_formula() -> None:
    layers = ["relu1_1", "relu2_1"]
    f, a = ({layer: torch.randn(2, 3, 5, 5, dtype=torch.float64) for layer in layers} for _ in range(2))
    wanted = 0.0
    for layer in layers:
        for x, y in zip(f[layer].flatten(2), a[layer].flatten(2), strict=True):
            mean, std = x.mean(1) - y.mean(1), (x.var(1) + 1e-5).sqrt() - (y.var(1) + 1e-5).sqrt()
            wanted += (mean.square().mean() + std.square().mean()).item() / 2
    assert moments_loss(f, a, layers).item() == pytest.approx(wanted, rel=1e-12)
    each = [
        moments_loss({key: x[i][None] for key, x in f.items()}, {key: y[i][None] for key, y in a.items()}, layers)
        for i in range(2)
    ]
    same(moments_distance(f, a, layers), torch.stack(each))
    one = {key: value[:1] for key, value in a.items()}  # a style that all share
    same(moments_distance(f, one, layers)[0], moments_distance(f, a, layers)[0])


def test_the_squared_error_is_the_mean_of_every_picture() -> None:
    f, p = features(2, 3, 4, 5), features(2, 3, 4, 5, seed=1)
    same(squared_error(f, p), torch.stack([(f[i] - p[i]).square().mean() for i in (0, 1)]))
    assert squared_error(1000 * f.half(), -1000 * f.half()).dtype == torch.float32


def test_the_distance_of_colours_forgets_where_they_are() -> None:
    x, y = features(2, 3, 32, 32), features(2, 3, 32, 32, seed=1)
    distance = color_distance(x, y)
    assert distance.min() > 0
    shuffled = x.flatten(2)[..., torch.randperm(1024, generator=torch.Generator().manual_seed(2))].view_as(x)
    same(color_distance(shuffled, y), distance)
    same(color_distance(shuffled, x), torch.zeros(2, dtype=torch.float64))
    same(color_distance(x.repeat_interleave(2, 2), y), distance)  # sizes may differ
    same(color_distance(3 * x, 3 * y), 9 * distance)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(color_distance(x.float(), y.float()), distance.float())
    with torch.device("meta"):  # whatever the default device is
        assert color_distance(x, y).device == x.device


def test_the_distance_of_colours_is_that_of_the_cheapest_transport() -> None:
    # A quarter of the pixels has to change by d, and a random line sees a third of |d|^2 on average
    x = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    y, z = x.clone(), x.clone()
    y[:, 0, :8], z[:, 0, 24:] = 0.6, 1.0
    assert color_distance(x, y).item() == pytest.approx(0.36 / 4 / 3, rel=0.3)
    same(color_distance(z, y) / color_distance(x, y), torch.tensor([(0.4 / 0.6) ** 2], dtype=torch.float64))


def test_weights_of_styles_have_the_sum_1() -> None:
    same(normalize_weights([1, 3], 2), torch.tensor([0.25, 0.75]))
    same(normalize_weights(None, 4), torch.full((4,), 0.25))
    for wrong in ([1], [1, -1], [0, 0], [1, math.inf], [1, math.nan]):
        with pytest.raises(ValueError, match="2 styles need 2 style_weights of at least 0, not all of them 0"):
            normalize_weights(wrong, 2)
    with pytest.raises(TypeError, match="style_weights must be a list of 2 numbers, one per style, got 'ab'"):
        normalize_weights("ab", 2)  # type: ignore[arg-type]


def test_moments_of_flat_features_have_a_gradient() -> None:
    flat = torch.full((1, 2, 3, 3), 7.0, requires_grad=True)
    one = torch.full((1, 2, 1, 1), 7.0, requires_grad=True)
    for f in (flat, one):
        mean, std = moments(f)
        assert torch.equal(mean, torch.full((1, 2, 1, 1), 7.0))
        torch.testing.assert_close(std, torch.full((1, 2, 1, 1), math.sqrt(1e-5)))
        (gradient,) = torch.autograd.grad((mean + std).sum(), f)
        assert torch.isfinite(gradient).all()


# --------------------------------------------------------------------------------------------- content, style


def test_content_loss_is_the_formula() -> None:
    f, p = features(1, 3, 4, 5), features(1, 3, 4, 5, seed=1)
    terms = [(a - b) ** 2 for a, b in zip(f.flatten().tolist(), p.flatten().tolist(), strict=True)]
    assert content_loss(f, p).item() == pytest.approx(sum(terms) / 2, rel=1e-12)
    assert content_loss(f, p, reduction="mean").item() == pytest.approx(sum(terms) / 2 / len(terms), rel=1e-12)
    assert content_loss(f, p).shape == ()
    assert content_loss(f, f) == 0


def test_gradient_of_the_content_loss() -> None:
    f, p = features(1, 3, 4, 5).requires_grad_(), features(1, 3, 4, 5, seed=1)
    (gradient,) = torch.autograd.grad(content_loss(f, p), f)
    same(gradient, (f - p).detach())  # Gatys et al. 2015, eq. (2), before the ReLU


def naive_style_loss(gram: Tensor, target: Tensor) -> float:
    channels = gram.shape[1]
    pairs = itertools.product(range(channels), range(channels))
    return sum((gram[0, i, j] - target[0, i, j]).item() ** 2 for i, j in pairs) / (4 * channels**2)


def test_style_loss_is_the_formula() -> None:
    a, b = gram_matrix(features(1, 4, 5, 6)), gram_matrix(features(1, 4, 5, 6, seed=1))
    assert style_loss(a, b).item() == pytest.approx(naive_style_loss(a, b), rel=1e-12)
    assert style_loss(a, b).shape == ()
    assert style_loss(a, a) == 0
    # The paper's: sums over the M = 30 positions instead of means, and 1 / (4 N^2 M^2).
    paper = naive_style_loss(30 * a, 30 * b) / 30**2
    assert style_loss(a, b).item() == pytest.approx(paper, rel=1e-12)


def test_losses_of_a_batch_are_means_over_its_pictures() -> None:
    f, p = features(3, 2, 4, 4), features(3, 2, 4, 4, seed=1)
    singles: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "content": content_loss,
        "content mean": lambda x, y: content_loss(x, y, reduction="mean"),
        "style": lambda x, y: style_loss(gram_matrix(x), gram_matrix(y)),
        "l2": lambda x, _: total_variation(x),
        "l1": lambda x, _: total_variation(x, norm="l1"),
    }
    for name, loss in singles.items():
        each = torch.stack([loss(f[i : i + 1], p[i : i + 1]) for i in range(3)])
        same(loss(f, p), each.mean(), name)
        shared = torch.stack([loss(f[i : i + 1], p[:1]) for i in range(3)])  # one target for all
        same(loss(f, p[:1]), shared.mean(), name)


# ------------------------------------------------------------------------------------------- total variation


@pytest.mark.parametrize(("norm", "power"), [("l1", 1), ("l2", 2)])
def test_total_variation_is_the_formula(norm: Any, power: int) -> None:
    x = features(1, 3, 4, 6)
    down, across = [], []
    for c, i, j in itertools.product(range(3), range(4), range(6)):
        if i + 1 < 4:
            down.append(abs(x[0, c, i + 1, j] - x[0, c, i, j]).item() ** power)
        if j + 1 < 6:
            across.append(abs(x[0, c, i, j + 1] - x[0, c, i, j]).item() ** power)
    expected = sum(down) / len(down) + sum(across) / len(across)
    assert total_variation(x, norm=norm).item() == pytest.approx(expected, rel=1e-12)
    same(total_variation(x + 3, norm=norm), total_variation(x, norm=norm))
    same(total_variation(-2 * x, norm=norm), 2**power * total_variation(x, norm=norm))
    same(total_variation(x.mT, norm=norm), total_variation(x, norm=norm))


def test_raster_is_the_mean_square_of_what_repeats() -> None:
    wave = torch.tensor([1, 2, -1, -2], dtype=torch.float64)
    pattern = (wave[:, None] * wave).expand(1, 2, 4, 4)
    repeated = pattern.repeat(1, 1, 16, 24)
    same(raster(repeated), pattern.square().mean())
    smooth = torch.linspace(0, 1, 96, dtype=torch.float64).expand(1, 2, 64, 96)
    same(raster(repeated + 5), raster(repeated))
    assert raster(smooth) < 1e-3 * raster(repeated)  # it climbs by little within a period
    # twice as high, it repeats every eight rows, and rows at a distance of four cancel
    same(raster(pattern.repeat_interleave(2, 2).repeat(1, 1, 8, 24)), torch.tensor(0.0, dtype=torch.float64))
    assert raster(repeated[..., :5, :6]).isfinite()


def test_total_variation_is_squared_by_default_and_zero_for_flat_pictures() -> None:
    x = features(1, 3, 4, 6)
    assert total_variation(x) == total_variation(x, norm="l2") != total_variation(x, norm="l1")
    assert total_variation(torch.full((2, 3, 5, 5), 0.4)) == 0
    assert total_variation(torch.ones(1, 3, 1, 1)) == 0
    assert total_variation(torch.tensor([[[[0.0, 3.0]]]])) == 9  # one row: only across


# --------------------------------------------------------------------------------------- gradients and errors


DIFFERENTIABLE: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "gram": lambda f, p: gram_matrix(f),
    "gram, mask": lambda f, p: gram_matrix(f, p[:, :1].abs()),
    "moments": lambda f, p: moments(f),
    "moments, opacity": lambda f, p: moments(f, p[:, :1].abs()),
    "mvn": lambda f, p: mean_variance_norm(f),
    "adain": lambda f, p: adain(f, *moments(p)),
    "colors": color_distance,
    "content": content_loss,
    "content, mean": lambda f, p: content_loss(f, p, reduction="mean"),
    "style": lambda f, p: style_loss(gram_matrix(f), gram_matrix(p)),
    "total variation, l2": lambda f, p: total_variation(f),
    "total variation, l1": lambda f, p: total_variation(f, norm="l1"),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(name: str) -> None:
    f, p = features(2, 3, 3, 4).requires_grad_(), features(2, 3, 3, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(DIFFERENTIABLE[name], (f, p))


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_memory_layout_does_not_matter(name: str) -> None:
    f, p = features(2, 3, 3, 4), features(2, 3, 3, 4, seed=1)
    last = torch.channels_last
    found = DIFFERENTIABLE[name](f.to(memory_format=last), p.to(memory_format=last))
    same(found, DIFFERENTIABLE[name](f, p))


ERRORS: dict[str, tuple[Callable[[], Any], str]] = {
    "gram of one picture": (lambda: gram_matrix(torch.zeros(3, 4, 4)), r"\(B, C, H, W\).*\(3, 4, 4\)"),
    "moments of a vector": (lambda: moments(torch.zeros(3)), r"\(B, C, H, W\).*\(3,\)"),
    "total variation of one picture": (lambda: total_variation(torch.zeros(3, 4, 4)), r"\(3, 4, 4\)"),
    "content of one picture": (
        lambda: content_loss(torch.zeros(3, 4, 4), torch.zeros(3, 4, 4)),
        r"\(3, 4, 4\)",
    ),
    "mask of another size": (
        lambda: gram_matrix(torch.zeros(1, 3, 4, 4), torch.zeros(1, 1, 8, 8)),
        r"\(1, 3, 4, 4\) need a mask \(B or 1, 1, H, W\), got \(1, 1, 8, 8\)",
    ),
    "masks of other pictures": (
        lambda: gram_matrix(torch.zeros(1, 3, 4, 4), torch.zeros(3, 1, 4, 4)),
        r"\(1, 3, 4, 4\) need a mask \(B or 1, 1, H, W\), got \(3, 1, 4, 4\)",
    ),
    "Gram matrices of other pictures": (
        lambda: style_loss(torch.zeros(1, 3, 3), torch.zeros(3, 3, 3)),
        r"takes two Gram matrices \(B, C, C\), got \(1, 3, 3\) and \(3, 3, 3\)",
    ),
    "mask with channels": (
        lambda: gram_matrix(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)),
        r"got \(1, 3, 4, 4\)",
    ),
    "mask without a batch": (
        lambda: gram_matrix(torch.zeros(1, 3, 4, 4), torch.zeros(4, 4)),
        r"got \(4, 4\)",
    ),
    "content of another size": (
        lambda: content_loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 8, 8)),
        r"\(1, 3, 4, 4\).*\(1, 3, 8, 8\).*differ",
    ),
    "content, unknown reduction": (
        lambda: content_loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), reduction="none"),  # type: ignore[arg-type]
        r"no reduction 'none' \(there are: sum, mean\)",
    ),
    "style of features": (
        lambda: style_loss(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)),
        r"\(B, C, C\), got \(1, 3, 4, 4\).*gram_matrix",
    ),
    "style of other channels": (
        lambda: style_loss(torch.zeros(1, 3, 3), torch.zeros(1, 4, 4)),
        r"got \(1, 3, 3\) and \(1, 4, 4\)",
    ),
    "style, not square": (lambda: style_loss(torch.zeros(1, 3, 9), torch.zeros(1, 3, 9)), r"\(1, 3, 9\)"),
    "total variation, unknown norm": (
        lambda: total_variation(torch.zeros(1, 3, 4, 4), norm="l3"),  # type: ignore[arg-type]
        r"no norm 'l3' \(there are: l1, l2\)",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("level", [0.03, 0.1, 1.0, 30.0])
def test_relative_losses_are_1_for_features_of_zero_whatever_the_level(level: float) -> None:
    random = torch.Generator().manual_seed(0)
    targets = {layer: level * torch.rand(1, 3, 5, 7, generator=random) for layer in ("relu1_1", "relu2_1")}
    zeros = {layer: torch.zeros_like(target) for layer, target in targets.items()}
    total, layers = sum_content(zeros, targets)
    assert total.item() == pytest.approx(1)  # the mean over layers
    assert [loss.item() for loss in layers.values()] == pytest.approx([1, 1])
    grams = {layer: gram_matrix(target) for layer, target in targets.items()}
    total, layers = sum_style(zeros, grams, {"relu1_1": 0.5, "relu2_1": 3.0})
    assert total.item() == pytest.approx(3.5, rel=1e-3)
    assert [loss.item() for loss in layers.values()] == pytest.approx([1, 1], rel=1e-3)


def test_without_relative_the_sums_are_the_papers() -> None:
    random = torch.Generator().manual_seed(0)
    features, targets = ({"relu1_1": torch.rand(1, 3, 5, 7, generator=random)} for _ in range(2))
    total, _ = sum_content(features, targets, normalize_losses=False)
    assert total.item() == pytest.approx(content_loss(features["relu1_1"], targets["relu1_1"]).item())
    grams = {"relu1_1": gram_matrix(targets["relu1_1"])}
    total, _ = sum_style(features, grams, {"relu1_1": 2.0}, normalize_losses=False)
    assert total.item() == pytest.approx(2 * style_loss(gram_matrix(features["relu1_1"]), grams["relu1_1"]).item())


def test_regions_count_by_their_shares() -> None:
    random = torch.Generator().manual_seed(0)
    features = {"relu1_1": torch.rand(1, 3, 4, 4, generator=random)}
    grams = {"relu1_1": gram_matrix(torch.rand(2, 3, 4, 4, generator=random))}
    masks = torch.zeros(2, 1, 4, 4)
    masks[0, :, :1], masks[1, :, 1:] = 1, 1
    total, _ = sum_style(
        features, grams, {"relu1_1": 1.0}, normalize_losses=False, masks={"relu1_1": masks}, shares=[0.2, 0.7]
    )
    one, other = (
        style_loss(gram_matrix(features["relu1_1"], masks[k][None]), grams["relu1_1"][k][None]).item() for k in (0, 1)
    )
    assert total.item() == pytest.approx(0.2 * one + 0.7 * other)
