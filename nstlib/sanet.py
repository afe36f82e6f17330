"""SANet: every place of the photograph looks for places of the painting that are like it, and takes on their features.

Park, Lee: Arbitrary Style Transfer with Style-Attentional Networks, 2019, https://arxiv.org/abs/1812.02342

AdaIN gives all places the same mean and standard deviation. Here, place i of the content asks all places j of the style, by
what they show and not by how it is painted (mvn takes mean and standard deviation away), and gets a mean of its own:

    F_cs^i = sum_j softmax_j(f(mvn(c))_i . g(mvn(s))_j) h(s)_j          f, g, h: 1x1 convolutions               (eq. 1)
    F_csc  = c + W F_cs                                                                                      (eq. 2)

Two levels, relu4_1 and relu5_1, are joined, and a decoder paints them:

    F = conv3x3(F_csc at relu4_1 + up(F_csc at relu5_1))                                                     (eq. 3, 4)
    L = L_c + 3 L_s + 50 L_identity1 + L_identity2                                                           (eq. 5 to 8)

The identity losses ask that a picture in its own style stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.arbitrary import ArbitraryStyle, Merge, Statistics, Trainer, measure, standardize, total
from nstlib.attention import attend
from nstlib.decoder import Decoder
from nstlib.losses import moments_loss
from nstlib.tiling import Maps

LEVELS = ("relu4_1", "relu5_1")


class StyleAttention(nn.Module):
    """One style-attentional network: (eq. 1) and (eq. 2) at one layer.

    Args:
        channels: C of the layer.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f = nn.Conv2d(channels, channels, 1)
        self.g = nn.Conv2d(channels, channels, 1)
        self.h = nn.Conv2d(channels, channels, 1)
        self.out_conv = nn.Conv2d(channels, channels, 1)

    def keep(self, style: Tensor, statistics: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Keys and values of a style `(B, C, h, w)`."""
        return self.g(standardize(style, statistics)), self.h(style)

    def forward(self, content: Tensor, statistics: tuple[Tensor, Tensor], key: Tensor, value: Tensor) -> Tensor:
        """`(B, C, H, W)` -> `(B, C, H, W)`."""
        query = self.f(standardize(content, statistics))
        # F_csc = c + W F_cs
        return content + self.out_conv(attend(query, key, value))


class SANet(ArbitraryStyle):
    """Any painting's style in one forward pass, by attention to its places.

    Args and methods are those of `nstlib.arbitrary.ArbitraryStyle`.

    Example:
        >>> from nstlib import samples
        >>> model = SANet.pretrained()
        >>> tuple(model.stylize(samples.content("cat", 65), samples.style("swirl", 64)).shape)
        (1, 3, 65, 98)
    """

    method = "sanet"
    layers = LEVELS
    parts = ("transformer", "decoder")

    def _build(self, channels: Mapping[str, int], widths: Mapping[str, int]) -> nn.ModuleDict:
        transformer = Merge(channels["relu4_1"], channels["relu5_1"])
        transformer.sanet4_1 = StyleAttention(channels["relu4_1"])
        transformer.sanet5_1 = StyleAttention(channels["relu5_1"])
        return nn.ModuleDict({"transformer": transformer, "decoder": Decoder(widths)})

    def _keep(self, maps: Maps, statistics: Statistics) -> dict[str, Tensor]:
        code: dict[str, Tensor] = {}
        for layer in LEVELS:
            code[f"{layer}/key"], code[f"{layer}/value"] = self._attention(layer).keep(maps[layer], statistics[layer])
        return code

    def _transfer(self, maps: Maps, statistics: Statistics, code: Mapping[str, Tensor]) -> dict[str, Tensor]:
        levels = [
            self._attention(layer)(maps[layer], statistics[layer], code[f"{layer}/key"], code[f"{layer}/value"])
            for layer in LEVELS
        ]
        return {"relu4_1": self.network["transformer"](*levels)}

    def _attention(self, layer: str) -> StyleAttention:
        attention = getattr(self.network["transformer"], layer.replace("relu", "sanet"))
        assert isinstance(attention, StyleAttention)
        return attention


class SANetObjective(Trainer):
    """The loss of SANet.

    Args:
        model: a `SANet` on an encoder that has all `layers`.
        **weights: of the terms `content` (1), `style` (3), `identity1` (50) and `identity2` (1).

    Example:
        >>> from nstlib import Encoder, samples
        >>> objective = SANetObjective(SANet(Encoder()))
        >>> sorted(objective(samples.content("cat", 64)[..., :64], samples.style("swirl", 64)))
        ['content', 'identity1', 'identity2', 'style']
    """

    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    weights: ClassVar[dict[str, float]] = {"content": 1.0, "style": 3.0, "identity1": 50.0, "identity2": 1.0}

    def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
        """The weighted terms: their sum is to be minimised. Both pictures are `(B, 3, S, S)`."""
        c, s = self.read_pair(content, style)
        assert style is not None
        pictures = [self.network["decoder"](self.model.transfer(*pair)) for pair in ((c, s), (c, c), (s, s))]
        cs, cc, ss = (self.encoder(picture) for picture in pictures)
        terms = {
            # L_c = sum_l |mvn(f(cs)) - mvn(f(c))|^2 at relu4_1 and relu5_1
            "content": total(F.mse_loss(_mvn(cs[layer]), _mvn(c[layer])) for layer in LEVELS),
            # L_s = sum_l |mean - mean|^2 + |std - std|^2
            "style": moments_loss(cs, s, self.layers),
        }
        # L_identity1 = |cc - c|^2 + |ss - s|^2
        terms["identity1"] = F.mse_loss(pictures[1].float(), content) + F.mse_loss(pictures[2].float(), style)
        # L_identity2 = sum_l |f(cc) - f(c)|^2 + |f(ss) - f(s)|^2
        terms["identity2"] = total(
            F.mse_loss(cc[layer].float(), c[layer].float()) + F.mse_loss(ss[layer].float(), s[layer].float())
            for layer in self.layers
        )
        return self.weigh(**terms)


def _mvn(x: Tensor) -> Tensor:
    return standardize(x.float(), measure({"x": x})["x"])
