"""Metrics: how far is a picture from the photograph's content, and from the painting's style?

The losses of Gatys and AdaIN as measures, one number per picture, under any network. With F, P, A the features of the
picture, the photograph and the painting at a layer:

    content     |F - P|^2 / |P|^2                                                        place by place
    gram        |G(F) - G(A)|^2 / |G(A)|^2                                               correlations of channels
    moments     (|mean(F) - mean(A)|^2 + |std(F) - std(A)|^2) / (|mean(A)|^2 + |std(A)|^2)

each the mean over layers. All are 0 for features that agree and 1 for features of zero; there is no upper bound. They are
squares: half the number is 0.7 times the distance.

They see what their network sees. A method that was trained with a network is judged too kindly by the same network, so ask a
second one. Style distance does not see where in the picture the style is, and content distance is least for the photograph
itself. To judge style transfer, read both together, and look at the pictures.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from nstlib.backbones import layers_of
from nstlib.encoder import Encoder
from nstlib.losses import gram_matrix, moments
from nstlib.utils.checks import check_layers, check_option, check_picture

__all__ = ["content_distance", "style_distance"]

Reader = Callable[[Tensor], Mapping[str, Tensor]]
"""Pictures -> layer -> features: an `Encoder`, or anything of its kind."""


@torch.no_grad()
def content_distance(
    pictures: Tensor,
    content: Tensor,
    *,
    encoder: str | os.PathLike[str] | Reader = "vgg19_mini",
    layers: Sequence[str] | None = None,
) -> Tensor:
    """How much of the photograph is lost, under a network.

    Args:
        pictures: `(B, 3, H, W)` in [0, 1].
        content: the photographs, of the same size; `(B, 3, H, W)`, or a batch of 1.
        encoder: a network by name, or an `Encoder`, or any function from pictures to features by layer.
        layers: which layers to compare. None is those usual for a network by name (relu4_1 of a VGG), else all that the
            encoder gives.

    Returns:
        `(B,)`, at least 0. Of a photograph against another, mostly between 1 and 2 (50 pairs, 256 px, vgg19_mini).

    Example:
        >>> from nstlib import samples
        >>> photo = samples.content("cat", 64)
        >>> content_distance(photo, photo)
        tensor([0.])
    """
    check_picture(pictures, "pictures")
    check_picture(content, "content")
    if pictures.shape[1:] != content.shape[1:] or len(content) not in (1, len(pictures)):
        raise ValueError(
            f"content must have the size of the pictures, {tuple(pictures.shape)}, and as many of them or one, got "
            f"{tuple(content.shape)}"
        )
    read = _reader(encoder, "content", layers, pictures.device)
    found, wanted = read(pictures), read(content)
    # |F - P|^2 / |P|^2
    return _mean(_relative([found[layer]], [target]) for layer, target in wanted.items())


@torch.no_grad()
def style_distance(
    pictures: Tensor,
    style: Tensor,
    *,
    kind: Literal["gram", "moments"] = "gram",
    encoder: str | os.PathLike[str] | Reader = "vgg19_mini",
    layers: Sequence[str] | None = None,
) -> Tensor:
    """How far pictures are from the style of a painting, under a network.

    Args:
        pictures: `(B, 3, H, W)` in [0, 1].
        style: the paintings, of any size; `(B, 3, h, w)`, or a batch of 1.
        kind: `"gram"` compares Gram matrices, `"moments"` means and standard deviations.
        encoder: as for `content_distance`.
        layers: None is those usual for a network by name (relu1_1 to relu5_1 of a VGG), else all that the encoder gives.

    Returns:
        `(B,)`, at least 0. Of a photograph against a painting, mostly between 0.7 and 8 by Gram matrices, though it can be
        far more, and between 0.25 and 1.1 by moments (50 pairs, 256 px, vgg19_mini).

    Example:
        >>> from nstlib import samples
        >>> painting = samples.style("swirl", 64)
        >>> style_distance(painting, painting)
        tensor([0.])
        >>> bool(style_distance(samples.content("cat", 64), painting) > 0.1)
        True
    """
    check_option("kind", kind, ("gram", "moments"))
    check_picture(pictures, "pictures")
    check_picture(style, "style")
    if len(style) not in (1, len(pictures)):
        raise ValueError(f"{len(pictures)} pictures need as many styles or one, got {len(style)}")
    read = _reader(encoder, "style", layers, pictures.device)
    found, wanted = read(pictures), read(style)
    describe = moments if kind == "moments" else lambda features: [gram_matrix(features)]
    # |G - A|^2 / |A|^2, or (|mean - mean|^2 + |std - std|^2) / (|mean|^2 + |std|^2)
    return _mean(_relative(describe(found[layer]), describe(target)) for layer, target in wanted.items())


def _relative(found: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """sum |found - target|^2 / sum |target|^2, `(B,)`."""
    above = torch.stack([(one - other).flatten(1).square().sum(1) for one, other in zip(found, targets)]).sum(0)
    below = torch.stack([other.flatten(1).square().sum(1) for other in targets]).sum(0)
    return above / below.clamp(min=1e-12)


def _mean(distances: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(distances)).mean(0)


def _reader(
    encoder: str | os.PathLike[str] | Reader, kind: str, layers: Sequence[str] | None, device: torch.device
) -> Reader:
    """Pictures -> the features that are to be compared, float32."""
    layers = None if layers is None else check_layers("layers", layers)
    if isinstance(encoder, (str, os.PathLike)):
        usual = layers_of(str(encoder), kind)
        # of a VGG, AdaIN's content layer: that of Gatys is one convolution deeper
        read: Reader = Encoder(encoder, layers or (("relu4_1",) if usual == ("relu4_2",) else usual)).to(device)
    else:
        read = encoder

    def features(pictures: Tensor) -> dict[str, Tensor]:
        found = read(pictures)
        missing = [layer for layer in layers or () if layer not in found]
        if missing:
            raise ValueError(f"the encoder gives {list(found)}, and lacks {missing}")
        return {layer: found[layer].float() for layer in layers or found}

    return features
