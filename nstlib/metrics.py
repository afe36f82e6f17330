"""Metrics: how far is a picture from the content of the photograph, and from the style of the painting?

The losses of Gatys and AdaIN serve as metrics, with one number per picture and with any network. Let F, P and A be the
features of the picture, the photograph and the painting at a layer:

    content     |F - P|^2 / |P|^2                                                        position by position
    gram        |G(F) - G(A)|^2 / |G(A)|^2                                               correlations of channels
    moments     (|mean(F) - mean(A)|^2 + |std(F) - std(A)|^2) / (|mean(A)|^2 + |std(A)|^2)

Each metric is the mean over layers. It is 0 if the features agree and 1 if those of the picture are all zero, and has no
upper bound. The metrics are squared distances, so half the number means 0.7 times the distance.

A metric sees only what its network sees. The network that a method was trained with judges this method too kindly, so use a
second one as well. The style distance ignores where in the picture the style is, and the content distance is lowest for the
photograph itself. To judge style transfer, read both together, and look at the pictures.
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
"""Maps pictures to features by layer: an `Encoder`, or any function like it."""


@torch.no_grad()
def content_distance(
    pictures: Tensor,
    content: Tensor,
    *,
    encoder: str | os.PathLike[str] | Reader = "vgg19_mini",
    layers: Sequence[str] | None = None,
) -> Tensor:
    """Measure how much of the photograph is lost, as seen by a network.

    Args:
        pictures: `(B, 3, H, W)` in [0, 1].
        content: the photographs, `(B, 3, H, W)` of the same size, or a batch of 1.
        encoder: the name of a network, an `Encoder`, or any function from pictures to features by layer.
        layers: the layers to compare. None is the usual ones of a network given by name (relu4_1 of a VGG), and otherwise
            all layers that the encoder returns.

    Returns:
        `(B,)`, at least 0. Two different photographs mostly lie between 1 and 2 apart (50 pairs, 256 px, vgg19_mini).

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
    """Measure how far pictures are from the style of a painting, as seen by a network.

    Args:
        pictures: `(B, 3, H, W)` in [0, 1].
        style: the paintings, `(B, 3, h, w)` of any size, or a batch of 1.
        kind: `"gram"` compares Gram matrices, `"moments"` compares means and standard deviations.
        encoder: as for `content_distance`.
        layers: None is the usual layers of a network given by name (relu1_1 to relu5_1 of a VGG), and otherwise all layers
            that the encoder returns.

    Returns:
        `(B,)`, at least 0. A photograph and a painting mostly lie between 0.7 and 8 apart by Gram matrices, sometimes much
        further, and between 0.25 and 1.1 by moments (50 pairs, 256 px, vgg19_mini).

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
    """Return sum |found - target|^2 / sum |target|^2, `(B,)`."""
    above = torch.stack([(one - other).flatten(1).square().sum(1) for one, other in zip(found, targets)]).sum(0)
    below = torch.stack([other.flatten(1).square().sum(1) for other in targets]).sum(0)
    return above / below.clamp(min=1e-12)


def _mean(distances: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(distances)).mean(0)


def _reader(
    encoder: str | os.PathLike[str] | Reader, kind: str, layers: Sequence[str] | None, device: torch.device
) -> Reader:
    """Return a function from pictures to the features that are compared, in float32."""
    layers = None if layers is None else check_layers("layers", layers)
    if isinstance(encoder, (str, os.PathLike)):
        usual = layers_of(str(encoder), kind)
        # for a VGG, use AdaIN's content layer: that of Gatys is one convolution deeper
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
