"""AdaIN: give the features of the photograph the mean and the standard deviation of the painting's features.

Huang, Belongie: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization, 2017,
https://arxiv.org/abs/1703.06868

Gatys and Johnson match correlations of features. The means and standard deviations of the single channels carry much of the
style too, and matching them takes one line. Let x be the photograph's features at relu4_1, and y the painting's:

    AdaIN(x, y) = std(y) (x - mean(x)) / std(x) + mean(y)                                               (eq. 8)

A decoder, trained once on many photographs and paintings, turns the result into a picture:

    t = AdaIN(f(c), f(s)),   T(c, s) = g(t)             f: encoder, g: decoder                            (eq. 9, 10)
    L = |f(g(t)) - t|^2 + lambda sum_l |mean_l(g(t)) - mean_l(s)|^2 + |std_l(g(t)) - std_l(s)|^2             (eq. 11 to 13)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from nstlib.arbitrary import ArbitraryStyle, Code, register_arbitrary
from nstlib.arbitrary_objective import OPAQUE, ArbitraryObjective, Opacity
from nstlib.losses import adain, moments, squared_error
from nstlib.utils.tiling import FeatureMaps

__all__ = ["AdaIN", "AdaINObjective", "adain"]


class AdaIN(ArbitraryStyle):
    """Style transfer from any painting in one forward pass, by the moments of its features.

    Args and methods are those of `nstlib.arbitrary.ArbitraryStyle`.

    Example:
        >>> from nstlib import samples
        >>> model = AdaIN.pretrained()
        >>> tuple(model.stylize(samples.content("cat", 65), samples.style("swirl", 64)).shape)
        (1, 3, 65, 98)
    """

    method = "adain"
    layers = ("relu4_1",)

    def encode_style_features(self, style: FeatureMaps) -> Code:
        return dict(zip(("mean", "std"), moments(style["relu4_1"])))  # (1, C, 1, 1) each

    def transfer(self, content: FeatureMaps, code: Code, opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        # t = AdaIN(f(c), f(s))
        return {"relu4_1": adain(content["relu4_1"], code["mean"], code["std"], opacity.get("relu4_1"))}


class AdaINObjective(ArbitraryObjective):
    """The loss of AdaIN's decoder.

    Takes the arguments of `nstlib.arbitrary_objective.ArbitraryObjective`. The terms are `content` (weight 1) and `style`
    (10), and two that are not in the paper: `identity` (0) compares the photograph, pixel by pixel, with its picture in its
    own style, and `colors` (0) is the `nstlib.losses.color_distance` between result and painting.

    Example:
        >>> from nstlib import samples
        >>> objective = AdaINObjective(AdaIN())
        >>> sorted(objective(samples.content("cat", 64), samples.style("swirl", 64)))
        ['content', 'style']
    """

    layers = style_layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    weights: ClassVar[dict[str, float]] = {"content": 1.0, "style": 10.0, "identity": 0.0, "colors": 0.0}

    def content_target(self, c: FeatureMaps, s: FeatureMaps, opacity: Opacity = OPAQUE) -> dict[str, Tensor]:
        return self.model.transfer(c, self.model.encode_style_features(s), opacity)

    def pair_terms(self, c: FeatureMaps, s: FeatureMaps, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        t = self.change(c, s)
        cs = self.model.decoder(t)
        painted = self.encoder(cs)
        # L_c = |f(g(t)) - t|^2
        terms = {"content": self.content_distance(painted, {"relu4_1": t["relu4_1"]})}
        # L_s = sum_l |mean - mean|^2 + |std - std|^2
        terms["style"] = self.style_distance(painted, s)
        terms |= self.picture_terms(cs, content, style)
        if self.weight["identity"]:
            # |T(c, c) - c|^2
            terms["identity"] = squared_error(self.paint(c, c), content)
        return terms


register_arbitrary(AdaIN, AdaINObjective)
