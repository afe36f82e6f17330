"""Losses: the papers' formulas as plain functions of features.

Features are `(B, C, H, W)`: C feature maps over H x W positions. Let F be the `C x HW` matrix of one picture's features:

    Gram matrix          G = F F^T / HW                                     Gatys et al. 2015, eq. (3), per position
    content loss         1/2 sum (F - P)^2                                  eq. (1)
    style loss           1/(4 C^2) sum (G - A)^2                            eq. (4)
    moments              mean and standard deviation over positions         Huang & Belongie 2017, eq. (5), (6)
    moments loss         |mean - mean|^2 + |std - std|^2                    eq. (13)
    total variation      differences of neighbouring pixels                 Mahendran & Vedaldi 2015, eq. (4)

All of them are differentiable, take batches, and compute in float32 or higher precision. A loss is a non-negative scalar,
averaged over the batch. Tensors of the wrong shape raise a `ValueError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from nstlib.utils.checks import check_option


def gram_matrix(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute Gram matrices, which record the features that occur together: G_ij = mean over positions of F_i F_j.

    The paper sums over positions. Taking the mean instead makes pictures of different sizes comparable. Multiply the result
    by `H * W` to get the paper's Gram matrix, or divide it by C to get Johnson's.

    Args:
        features: `(B, C, H, W)`.
        mask: `(B or 1, 1, H, W)` in [0, 1], the weight of each position (a guided Gram matrix, Gatys et al. 2017).

    Returns:
        `(B, C, C)`, symmetric.

    Example:
        >>> gram_matrix(torch.ones(1, 2, 4, 4))
        tensor([[[1., 1.],
                 [1., 1.]]])
    """
    _check(features)
    with no_autocast(features):
        if mask is None:
            # G = F F^T / HW
            gram: Tensor = _Gram.apply(features)
            return gram / features.shape[2:].numel()
        if mask.shape[1:] != (1, *features.shape[2:]) or len(mask) not in (1, len(features)):
            raise ValueError(f"features {tuple(features.shape)} need a mask (B or 1, 1, H, W), got {tuple(mask.shape)}")
        f = _at_least_float32(features).flatten(2)  # (B, C, HW)
        m = mask.to(f.dtype).flatten(2)  # (B, 1, HW)
        # G = F diag(m) F^T / sum m
        return (f * m) @ f.mT / m.sum(2, keepdim=True).clamp(min=1e-8)


class _Gram(torch.autograd.Function):
    """F F^T, `(B, C, H, W)` -> `(B, C, C)`, with a gradient in the memory layout of the features.

    Adding gradients of two different layouts would take as long as the product itself. This gradient also takes a single
    matrix product, where the product rule would take two.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        f = _at_least_float32(features).flatten(2)  # (B, C, HW)
        return f @ f.mT

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        # a gradient in bfloat16 is rounded in the end anyway, so the product is computed in bfloat16
        kind = features.dtype
        if kind == torch.float16:  # its range may be too small for the gradient
            features = features.float()
        # dF = (dG + dG^T) F
        twice = (gradient + gradient.mT).to(features.dtype)
        if features.is_contiguous(memory_format=torch.channels_last):
            f = features.movedim(1, -1)  # (B, H, W, C)
            return (f.flatten(1, 2) @ twice).unflatten(1, f.shape[1:3]).movedim(-1, 1).to(kind)
        return (twice @ features.flatten(2)).unflatten(2, features.shape[2:]).to(kind)


def moments(features: Tensor, opacity: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Compute the mean and the standard deviation of every channel over all positions.

    Args:
        features: `(B, C, H, W)`.
        opacity: `(B or 1, 1, H, W)` in [0, 1], the weight of each position. None weights all positions equally.

    Returns:
        mean and std, each `(B, C, 1, 1)`. std = sqrt(var + 1e-5), where var is unbiased (and 0 for a single position).

    Example:
        >>> mean, std = moments(torch.tensor([[[[1.0, 3.0]]]]))
        >>> round(mean.item(), 3), round(std.item(), 3)
        (2.0, 1.414)
    """
    _check(features)
    # Matrix products are several times as fast as torch.var_mean for tensors in channels-last format
    f = _at_least_float32(features).movedim(1, -1).flatten(1, 2)  # (B, HW, C)
    w = f.new_ones(1, 1, f.shape[1]) if opacity is None else opacity.to(f.dtype).flatten(2)  # (B or 1, 1, HW)
    with no_autocast(features):
        count = w.sum(2, keepdim=True)
        mean = w @ f / count.clamp(min=1e-8)  # (B, 1, C)
        # var = sum (f - mean)^2 / (HW - 1)
        var = w @ (f - mean).square() / (count - 1).clamp(min=1)
    return mean.movedim(2, 1)[..., None], (var + 1e-5).sqrt().movedim(2, 1)[..., None]


def mean_variance_norm(features: Tensor, opacity: Tensor | None = None) -> Tensor:
    """Normalise features to mean 0 and standard deviation 1 in every channel: the papers' mvn.

    Args:
        features: `(B, C, H, W)`, as is the result.
        opacity: as for `moments`.

    Example:
        >>> mean_variance_norm(torch.tensor([[[[1.0, 3.0]]]])).round(decimals=3)
        tensor([[[[-0.7070,  0.7070]]]])
    """
    mean, std = moments(features, opacity)
    # mvn(x) = (x - mean(x)) / std(x)
    return ((features - mean) / std).to(features.dtype)


def adain(content: Tensor, mean: Tensor, std: Tensor, opacity: Tensor | None = None) -> Tensor:
    """Adaptive instance normalisation: give the content's features the moments of a style (Huang & Belongie, eq. 8).

    Args:
        content: `(B, C, H, W)`, as is the result.
        mean, std: `(B or 1, C, 1, 1)`, the `moments` of the style's features.
        opacity: of the content, as for `moments`.

    Example:
        >>> mean, std = moments(adain(torch.rand(1, 2, 8, 8), *moments(3 + 2 * torch.randn(1, 2, 50, 50))))
        >>> bool(((mean - 3).abs() < 0.3).all() and ((std - 2).abs() < 0.3).all())
        True
    """
    # AdaIN(x, y) = std(y) (x - mean(x)) / std(x) + mean(y)
    return (std * mean_variance_norm(content, opacity) + mean).to(content.dtype)


def content_loss(features: Tensor, target: Tensor, *, reduction: Literal["sum", "mean"] = "sum") -> Tensor:
    """Compare the features of a picture with those of the content, position by position.

    Args:
        features: `(B, C, H, W)`, of the picture.
        target: features of the content, of the same shape or with a batch size of 1.
        reduction: `"sum"` is the paper's. `"mean"` does not depend on the size of the picture.

    Example:
        >>> content_loss(torch.zeros(1, 2, 3, 3), torch.ones(1, 2, 3, 3)).item()
        9.0
    """
    _check(features)
    if features.shape[1:] != target.shape[1:] or len(target) not in (1, len(features)):
        raise ValueError(f"features {tuple(features.shape)} and target {tuple(target.shape)} differ in shape")
    check_option("reduction", reduction, ("sum", "mean"))
    # L = 1/2 sum (F - P)^2
    loss = 0.5 * (_at_least_float32(features) - _at_least_float32(target)).square().mean(0)
    return loss.sum() if reduction == "sum" else loss.mean()


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Compare the Gram matrices of a picture and a style: E of one layer.

    Args:
        gram: `(B, C, C)`, of the picture, from `gram_matrix`.
        target: that of the style, of the same shape or with a batch size of 1.

    Example:
        >>> style_loss(torch.zeros(1, 4, 4), 2 * torch.ones(1, 4, 4)).item()
        1.0
    """
    if gram.ndim != 3 or gram.shape[1] != gram.shape[2] or target.shape not in (gram.shape, (1, *gram.shape[1:])):
        raise ValueError(
            f"style_loss takes two Gram matrices (B, C, C), got {tuple(gram.shape)} and {tuple(target.shape)}; "
            "call gram_matrix on features first"
        )
    # E = 1 / (4 C^2) sum (G - A)^2, with G and A per position (the paper's 1 / M^2)
    return (gram - target).square().mean() / 4


def total_variation(picture: Tensor, *, norm: Literal["l1", "l2"] = "l2") -> Tensor:
    """Measure how much neighbouring pixels differ, which is little in a smooth picture.

    Args:
        picture: `(B, C, H, W)`.
        norm: `"l2"` squares the differences. `"l1"` takes their absolute values, which keeps edges sharper.

    Returns:
        The mean of the vertical differences plus that of the horizontal ones, whatever the size of the picture.

    Example:
        >>> total_variation(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])).item()
        1.0
    """
    _check(picture)
    check_option("norm", norm, ("l1", "l2"))
    x = _at_least_float32(picture)
    total = x.new_zeros(())
    for difference in (x[..., 1:, :] - x[..., :-1, :], x[..., :, 1:] - x[..., :, :-1]):
        if difference.numel():
            # mean (x_{i+1} - x_i)^2, or of |x_{i+1} - x_i|
            total = total + (difference.square() if norm == "l2" else difference.abs()).mean()
    return total


def raster(picture: Tensor, period: int = 4) -> Tensor:
    """Measure the strength of a pattern that repeats every few pixels, as networks with upsampling layers tend to leave it.

    Args:
        picture: `(B, C, H, W)`, at least one period wide and high.
        period: length of the pattern in pixels, along both axes.

    Returns:
        The mean square of the pattern in windows of 8 periods, which overlap by half.

    Example:
        >>> columns = torch.tensor([0.0, 1.0]).repeat(16).expand(1, 1, 32, 32)
        >>> raster(columns).item(), raster(torch.rand(1, 1, 32, 32)).item() < 0.01
        (0.25, True)
    """
    _check(picture)
    height, width = (side // period * period for side in picture.shape[2:])
    # gather the pixels of every phase in a channel of its own
    phases = F.pixel_unshuffle(_at_least_float32(picture)[..., :height, :width], period)  # (B, C P^2, H / P, W / P)
    phases = phases.unflatten(1, (-1, period**2)).flatten(0, 1)  # (B C, P^2, H / P, W / P)
    means = F.avg_pool2d(phases, (min(8, phases.shape[2]), min(8, phases.shape[3])), 4)
    # mean over phases of (mean of the phase - mean of all)^2
    return (means - means.mean(1, keepdim=True)).square().mean()


def sum_content(
    features: Mapping[str, Tensor], targets: Mapping[str, Tensor], *, normalize_losses: bool = True
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the content loss over several layers: its mean, and the loss of every layer.

    Args:
        features: layer -> `(B, C, H, W)`, of the picture. Layers without a target are ignored.
        targets: layer -> features of the content, of the same shape.
        normalize_losses: divide the loss of each layer by its value for features of zero. False is the paper's sum.

    Example:
        >>> total, _ = sum_content({"relu4_2": torch.zeros(1, 2, 3, 3)}, {"relu4_2": torch.ones(1, 2, 3, 3)})
        >>> total.item()
        1.0
    """
    layers: dict[str, Tensor] = {}
    for layer, target in targets.items():
        loss = content_loss(features[layer], target, reduction="mean" if normalize_losses else "sum")
        if normalize_losses:
            # |F - P|^2 / |P|^2
            loss = loss / content_loss(torch.zeros_like(target), target, reduction="mean").clamp(min=1e-12)
        layers[layer] = loss
    return torch.stack(list(layers.values())).mean(), layers


def sum_style(
    features: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    weights: Mapping[str, float],
    *,
    normalize_losses: bool = True,
    masks: Mapping[str, Tensor] | None = None,
    shares: Sequence[float] | Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compute the style loss over several layers, sum_l w_l E_l (eq. 5), and E of every layer.

    Args:
        features: layer -> `(B, C, H, W)`, of the picture. Layers without a target are ignored.
        targets: layer -> Gram matrix of one style, `(1, C, C)`, or of K styles, `(K, C, C)`.
        weights: layer -> w.
        normalize_losses: divide the loss of each layer by its value for features of zero. False is the paper's scale.
        masks: layer -> `(K, 1, H, W)`, where each of the K styles applies.
        shares: the weights of the K regions. Required with masks.

    Example:
        >>> features = {"relu1_1": torch.zeros(1, 2, 3, 3)}
        >>> total, _ = sum_style(features, {"relu1_1": torch.ones(1, 2, 2)}, {"relu1_1": 1.0})
        >>> total.item()
        1.0
    """
    layers: dict[str, Tensor] = {}
    for layer, target in targets.items():
        loss = target.new_zeros(())
        regions = [None] if masks is None else list(masks[layer])
        for region, share, gram in zip(regions, [1.0] if shares is None or masks is None else shares, target):
            guided = gram_matrix(features[layer], None if region is None else region[None])
            one = style_loss(guided, gram[None])
            if normalize_losses:
                # |G - A|^2 / |A|^2
                one = one / style_loss(torch.zeros_like(gram[None]), gram[None]).clamp(min=1e-12)
            loss = loss + share * one
        layers[layer] = loss
    return torch.stack([weights[layer] * loss for layer, loss in layers.items()]).sum(), layers


def normalize_weights(weights: Sequence[float] | None, styles: int) -> Tensor:
    """Scale the weights of K styles so that they sum to 1, `(K,)`. None gives equal weights.

    Example:
        >>> normalize_weights([1, 3], 2)
        tensor([0.2500, 0.7500])
    """
    if weights is None:
        return torch.full((styles,), 1 / max(styles, 1), device="cpu")
    try:
        shares = torch.tensor([float(weight) for weight in weights], device="cpu")
    except (TypeError, ValueError):
        raise TypeError(f"style_weights must be a list of {styles} numbers, one per style, got {weights!r}") from None
    if len(shares) != styles or (styles and (not 0 < shares.sum() < float("inf") or shares.min() < 0)):
        raise ValueError(
            f"{styles} styles need {styles} style_weights of at least 0, not all of them 0, got {shares.tolist()}"
        )
    return shares / shares.sum()


def moments_distance(
    features: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    layers: Sequence[str],
    opacity: Mapping[str, Tensor | None] | None = None,
) -> Tensor:
    """Compare the means and standard deviations of pictures and styles: `(B,)`, summed over layers.

    Args:
        features: layer -> `(B, C, H, W)`, of the pictures.
        targets: layer -> `(B or 1, C, h, w)`, of the styles, of any size.
        layers: the layers to compare.
        opacity: layer -> opacity of the pictures, as for `moments`.
    """
    total = []
    for layer in layers:
        # |mean(F) - mean(A)|^2 + |std(F) - std(A)|^2
        for found, wanted in zip(moments(features[layer], (opacity or {}).get(layer)), moments(targets[layer])):
            total.append((found - wanted).square().mean((1, 2, 3)))
    return torch.stack(total).sum(0)


def moments_loss(features: Mapping[str, Tensor], targets: Mapping[str, Tensor], layers: Sequence[str]) -> Tensor:
    """Return the mean of `moments_distance` over the batch.

    Example:
        >>> ones = {"relu1_1": torch.ones(1, 2, 3, 3)}
        >>> moments_loss({"relu1_1": 3 * torch.ones(1, 2, 3, 3)}, ones, ["relu1_1"]).item()
        4.0
    """
    return moments_distance(features, targets, layers).mean()


def color_distance(pictures: Tensor, style: Tensor) -> Tensor:
    """Compare the colours of pictures and paintings, regardless of their positions: a sliced Wasserstein distance.

    Along a line through the colour cube, the cheapest way to turn one set of values into another is to pair them in sorted
    order (Rabin et al. 2011). Therefore both pictures are averaged to 32 x 32 pixels, projected onto 32 fixed random lines,
    sorted, and compared.

    Args:
        pictures: `(B, 3, H, W)`.
        style: `(B or 1, 3, h, w)`, of any size.

    Returns:
        `(B,)`, the squared difference, averaged over lines and pixels.

    Example:
        >>> red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
        >>> color_distance(red.flip(3), red)
        tensor([0.])
    """
    lines = F.normalize(torch.randn(3, 32, generator=torch.Generator("cpu").manual_seed(1), device="cpu"), dim=0)
    with no_autocast(pictures):
        x, y = (
            (F.adaptive_avg_pool2d(colors, 32).flatten(2).mT @ lines.to(colors)).sort(1).values  # (B, 1024, 32)
            for colors in (_at_least_float32(pictures), _at_least_float32(style))
        )
    # mean_lines mean_i (x_(i) - y_(i))^2
    return (x - y).square().mean((1, 2))


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Return the mean squared difference of every picture, `(B, C, H, W)` -> `(B,)`, in float32 or higher precision."""
    return (_at_least_float32(x) - _at_least_float32(y)).square().flatten(1).mean(1)


def no_autocast(x: Tensor) -> AbstractContextManager[None]:
    """Disable autocast, which computes products in half precision and pads in full precision."""
    return torch.autocast(x.device.type, enabled=False)


def _check(features: Tensor) -> None:
    if features.ndim != 4:
        raise ValueError(f"expected a tensor (B, C, H, W), got shape {tuple(features.shape)}")


def _at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
