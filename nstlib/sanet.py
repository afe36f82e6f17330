"""SANet: every position of the photograph attends to similar positions of the painting, and takes on their features.

Park, Lee: Arbitrary Style Transfer with Style-Attentional Networks, 2019, https://arxiv.org/abs/1812.02342

AdaIN gives all positions the same mean and standard deviation. Here, position i of the content is compared with all
positions j of the style and gets a mean of its own. The comparison is about what they show, not about how it is painted,
because mvn removes the mean and the standard deviation of every channel:

    F_cs^i = sum_j softmax_j(f(mvn(c))_i . g(mvn(s))_j) h(s)_j          f, g, h: 1x1 convolutions               (eq. 1)
    F_csc  = c + W F_cs                                                                                      (eq. 2)

This is done at two levels, relu4_1 and relu5_1. Their results are fused, and a decoder turns them into a picture:

    F = conv3x3(F_csc at relu4_1 + up(F_csc at relu5_1))                                                     (eq. 3, 4)
    L = L_c + 3 L_s + 50 L_identity1 + L_identity2                                                           (eq. 5 to 8)

The identity losses make sure that a picture in its own style stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from nstlib.arbitrary import ArbitraryStyle, Code, register_arbitrary
from nstlib.arbitrary_objective import OPAQUE, ArbitraryObjective, Opacity
from nstlib.attention import attend
from nstlib.fusion import FeatureFusion
from nstlib.losses import mean_variance_norm, squared_error
from nstlib.utils.tiling import FeatureMaps

LEVELS = ("relu4_1", "relu5_1")


class StyleAttention(nn.Module):
    """A style-attentional network: (eq. 1) and (eq. 2) at one layer of C channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f = nn.Conv2d(channels, channels, 1)
        self.g = nn.Conv2d(channels, channels, 1)
        self.h = nn.Conv2d(channels, channels, 1)
        self.out_conv = nn.Conv2d(channels, channels, 1)

    def encode(self, style: Tensor) -> tuple[Tensor, Tensor]:
        """Return the keys and the values of a style `(B, C, h, w)`."""
        return self.g(mean_variance_norm(style)), self.h(style)

    def forward(self, content: Tensor, key: Tensor, value: Tensor, opacity: Tensor | None = None) -> Tensor:
        """`(B, C, H, W)` -> `(B, C, H, W)`."""
        query = self.f(mean_variance_norm(content, opacity))
        # F_csc = c + W F_cs
        return content + self.out_conv(attend(query, key, value))


class SANet(ArbitraryStyle):
    """Style transfer from any painting in one forward pass, by attention to its positions.

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

    def build(self, channels: Mapping[str, int]) -> dict[str, nn.Module]:
        transformer = FeatureFusion(channels["relu4_1"], channels["relu5_1"])
        transformer.sanet4_1 = StyleAttention(channels["relu4_1"])
        transformer.sanet5_1 = StyleAttention(channels["relu5_1"])
        return {"transformer": transformer}

    def encode_style_features(self, style: FeatureMaps) -> Code:
        code: Code = {}
        for layer in LEVELS:
            code[f"{layer}/key"], code[f"{layer}/value"] = self._attention(layer).encode(style[layer])
        return code

    def transfer(self, content: FeatureMaps, code: Code, opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        levels = [
            self._attention(layer)(content[layer], code[f"{layer}/key"], code[f"{layer}/value"], opacity[layer])
            for layer in LEVELS
        ]
        # F = conv3x3(F_csc at relu4_1 + up(F_csc at relu5_1))
        return {"relu4_1": self.network["transformer"](*levels)}

    def _attention(self, layer: str) -> StyleAttention:
        return cast(StyleAttention, getattr(self.network["transformer"], layer.replace("relu", "sanet")))


class SANetObjective(ArbitraryObjective):
    """The loss of SANet.

    Takes the arguments of `nstlib.arbitrary_objective.ArbitraryObjective`. The terms are `content` (weight 1), `style` (3),
    `identity1` (50) and `identity2` (1), and one that is not in the paper: `colors` (0), as in `nstlib.AdaINObjective`.

    Example:
        >>> from nstlib import Encoder, samples
        >>> objective = SANetObjective(SANet(Encoder()))
        >>> sorted(objective(samples.content("cat", 64)[..., :64], samples.style("swirl", 64)))
        ['content', 'identity1', 'identity2', 'style']
    """

    layers = style_layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    weights: ClassVar = {"content": 1.0, "style": 3.0, "identity1": 50.0, "identity2": 1.0, "colors": 0.0}

    def content_target(self, c: FeatureMaps, s: FeatureMaps, opacity: Opacity = OPAQUE) -> dict[str, Tensor]:
        return {layer: mean_variance_norm(c[layer], opacity.get(layer)) for layer in LEVELS}

    def content_maps(self, features: FeatureMaps) -> dict[str, Tensor]:
        return {layer: mean_variance_norm(features[layer]) for layer in LEVELS}

    def pair_terms(self, c: FeatureMaps, s: FeatureMaps, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        cs, cc, ss = (self.paint(*pair) for pair in ((c, s), (c, c), (s, s)))
        f_cs, f_cc, f_ss = (self.encoder(picture) for picture in (cs, cc, ss))
        # L_identity2 = sum_l |f(cc) - f(c)|^2 + |f(ss) - f(s)|^2
        same = [squared_error(f_cc[layer], c[layer]) + squared_error(f_ss[layer], s[layer]) for layer in self.layers]
        return {
            # L_c = sum_l |mvn(f(cs)) - mvn(f(c))|^2 at relu4_1 and relu5_1
            "content": self.content_distance(f_cs, self.content_target(c, s)),
            # L_s = sum_l |mean - mean|^2 + |std - std|^2
            "style": self.style_distance(f_cs, s),
            # L_identity1 = |cc - c|^2 + |ss - s|^2
            "identity1": squared_error(cc, content) + squared_error(ss, style),
            "identity2": torch.stack(same).sum(0),
            **self.picture_terms(cs, content, style),
        }


register_arbitrary(SANet, SANetObjective)
