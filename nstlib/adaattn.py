"""AdaAttN: every place of the photograph takes on the mean and the standard deviation of the places it looks at.

Liu, Lin, He, Li, Wang, Li, Sun, Li, Ding: AdaAttN: Revisit Attention Mechanism in Arbitrary Neural Style Transfer, 2021,
https://arxiv.org/abs/2108.03647

AdaIN has one mean and one standard deviation for all places; SANet has a mean for each. Here every place has both, from the
same attention A over the places of the style:

    A = softmax(f(key(c))^T g(key(s)))                 f, g: 1x1 convolutions                                   (eq. 3)
    M = A h(s),    S = sqrt(A h(s)^2 - M^2)             h: 1x1 convolution                                      (eq. 4, 5)
    AdaAttN(c, s) = S mvn(c) + M                                                                             (eq. 6)

The key of a level is all that the encoder saw up to it, each layer normalised:

    key(x) = mvn(x_1) + ... + mvn(x_l)                  joined along the channels, at the size of x_l            (eq. 2)

It is applied at relu3_1, relu4_1 and relu5_1, and a decoder paints the three. The loss compares moments, and features with
AdaAttN without f, g, h (the local loss):

    L = 10 sum_l |mean - mean|^2 + |std - std|^2  +  3 sum_l |f_l(cs) - AdaAttN*_l(c, s)|^2                    (eq. 8 to 10)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.arbitrary import ArbitraryStyle, Merge, Statistics, Trainer, measure, standardize, start_neutral, total
from nstlib.attention import mean_and_std
from nstlib.decoder import Decoder
from nstlib.losses import moments_loss
from nstlib.tiling import Maps

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
LEVELS = ("relu3_1", "relu4_1", "relu5_1")


class AttentionNorm(nn.Module):
    """One AdaAttN module: (eq. 3) to (eq. 6) at one level.

    Args:
        channels: C of the level.
        key_channels: channels of its key: all layers up to it together.
    """

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.f = nn.Conv2d(key_channels, key_channels, 1)
        self.g = nn.Conv2d(key_channels, key_channels, 1)
        self.h = nn.Conv2d(channels, channels, 1)
        # without parameters, to begin with: what a decoder of AdaIN can paint already
        for conv in (self.f, self.g, self.h):
            start_neutral(conv)

    def forward(self, content: Tensor, content_key: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Standardised content `(B, C, H, W)` and its key -> `(B, C, H, W)`."""
        # M = A V, S = sqrt(A V^2 - M^2)
        mean, std = mean_and_std(self.f(content_key), key, value)
        # S mvn(c) + M
        return std * content + mean


class AdaAttN(ArbitraryStyle):
    """Any painting's style in one forward pass, by mean and standard deviation of the places attended to.

    Args and methods are those of `nstlib.arbitrary.ArbitraryStyle`.

    Example:
        >>> from nstlib import samples
        >>> model = AdaAttN.pretrained()
        >>> tuple(model.stylize(samples.content("cat", 65), samples.style("swirl", 64)).shape)
        (1, 3, 65, 98)
    """

    method = "adaattn"
    layers = LAYERS
    parts = ("adaattn_3", "transformer", "decoder")

    def _build(self, channels: Mapping[str, int], widths: Mapping[str, int]) -> nn.ModuleDict:
        modules = {
            level: AttentionNorm(channels[level], sum(channels[layer] for layer in up_to(level))) for level in LEVELS
        }
        transformer = Merge(channels["relu4_1"], channels["relu5_1"])
        transformer.attn_adain_4_1, transformer.attn_adain_5_1 = modules["relu4_1"], modules["relu5_1"]
        decoder = Decoder(widths, skip=True)
        return nn.ModuleDict({"adaattn_3": modules["relu3_1"], "transformer": transformer, "decoder": decoder})

    def _read(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """For every level, all layers up to it, at its size."""
        return {name: one for level in LEVELS for name, one in resized(features, level).items()}

    def _keep(self, maps: Maps, statistics: Statistics) -> dict[str, Tensor]:
        code: dict[str, Tensor] = {}
        for level in LEVELS:
            module = self._module(level)
            code[f"{level}/key"] = module.g(_key(maps, statistics, level))
            code[f"{level}/value"] = module.h(maps[f"{level}/{level}"])
        return code

    def _transfer(self, maps: Maps, statistics: Statistics, code: Mapping[str, Tensor]) -> dict[str, Tensor]:
        changed: dict[str, Tensor] = {}
        for level in LEVELS:
            name = f"{level}/{level}"
            content = standardize(maps[name], statistics[name])
            key = _key(maps, statistics, level)
            changed[level] = self._module(level)(content, key, code[f"{level}/key"], code[f"{level}/value"])
        merged = self.network["transformer"](changed["relu4_1"], changed["relu5_1"])
        return {"relu4_1": merged, "relu3_1": changed["relu3_1"]}

    def _module(self, level: str) -> AttentionNorm:
        if level == "relu3_1":
            module = self.network["adaattn_3"]
        else:
            module = getattr(self.network["transformer"], level.replace("relu", "attn_adain_"))
        assert isinstance(module, AttentionNorm)
        return module


class AdaAttNObjective(Trainer):
    """The loss of AdaAttN.

    Args:
        model: an `AdaAttN` on an encoder that has all `layers`.
        **weights: of the terms `global` (10), `local` (3) and `identity` (0), which is ours: the decoder paints the
            content's own features, and is compared pixel by pixel.

    Example:
        >>> from nstlib import samples
        >>> objective = AdaAttNObjective(AdaAttN())
        >>> sorted(objective(samples.content("cat", 64)[..., :64], samples.style("swirl", 64)))
        ['global', 'local']
    """

    layers = LAYERS
    compared = LAYERS[1:]
    weights: ClassVar[dict[str, float]] = {"global": 10.0, "local": 3.0, "identity": 0.0}

    def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
        """The weighted terms: their sum is to be minimised. Both pictures are `(B, 3, S, S)`."""
        c, s = self.read_pair(content, style)
        terms: dict[str, Tensor] = {}
        if self.weight["global"] or self.weight["local"]:
            painted = self.encoder(self.network["decoder"](self.model.transfer(c, s)))
            terms["global"] = moments_loss(painted, s, self.compared)
        if self.weight["local"]:
            # |f_l(cs) - AdaAttN*_l(c, s)|^2
            local = [F.mse_loss(painted[layer].float(), plain_adaattn(c, s, layer)) for layer in self.compared]
            terms["local"] = total(local)
        if self.weight["identity"]:
            terms["identity"] = self.copy(c, content)
        return self.weigh(**terms)


@torch.no_grad()
def plain_adaattn(content: Mapping[str, Tensor], style: Mapping[str, Tensor], layer: str) -> Tensor:
    """AdaAttN without parameters: f, g and h are the identity.

    Args:
        content: features by layer, `(B, C, H, W)`; all of `relu1_1` ... up to `layer`.
        style: features by layer, `(B or 1, C, h, w)`.
        layer: whose features are normalised.

    Returns:
        `(B, C, H, W)`, float32.
    """
    keys = []
    for features in (content, style):
        maps = resized({name: one.float() for name, one in features.items()}, layer)
        keys.append(_key(maps, measure(maps), layer))
    mean, std = mean_and_std(keys[0], keys[1], style[layer].float())
    x = content[layer].float()
    return std * standardize(x, measure({"x": x})["x"]) + mean


def up_to(level: str) -> tuple[str, ...]:
    """The layers that make the key of a level."""
    return LAYERS[: LAYERS.index(level) + 1]


def resized(features: Mapping[str, Tensor], level: str) -> dict[str, Tensor]:
    """The layers up to a level, at its size (nearest neighbour): 'relu4_1/relu2_1' is relu2_1 at the size of relu4_1."""
    size = features[level].shape[2:]
    return {f"{level}/{layer}": F.interpolate(features[layer], size) for layer in up_to(level)}


def _key(maps: Maps, statistics: Statistics, level: str) -> Tensor:
    names = [f"{level}/{layer}" for layer in up_to(level)]
    # key = mvn(x_1) + ... + mvn(x_l), joined along the channels
    return torch.cat([standardize(maps[name], statistics[name]) for name in names], 1)
