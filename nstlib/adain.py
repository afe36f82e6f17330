"""AdaIN: the features of the photograph take on the mean and the standard deviation of the painting's.

Huang, Belongie: Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization, 2017,
https://arxiv.org/abs/1703.06868

Gatys and Johnson match correlations of features. The means and standard deviations of single channels carry much of the
style too, and to match them takes one line: with x the photograph's features at relu4_1 and y the painting's,

    AdaIN(x, y) = std(y) (x - mean(x)) / std(x) + mean(y)                                               (eq. 8)

A decoder, trained once on many photographs and paintings, paints the result:

    t = AdaIN(f(c), f(s)),   T(c, s) = g(t)             f: encoder, g: decoder                            (eq. 9, 10)
    L = |f(g(t)) - t|^2 + lambda sum_l |mean_l(g(t)) - mean_l(s)|^2 + |std_l(g(t)) - std_l(s)|^2             (eq. 11 to 13)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.arbitrary import ArbitraryStyle, Statistics, Trainer, standardize
from nstlib.decoder import Decoder
from nstlib.losses import moments, moments_loss
from nstlib.tiling import Maps


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Features of the content with the moments of the style.

    Args:
        content: `(B, C, H, W)`.
        style: `(B or 1, C, h, w)`, of any size.

    Returns:
        `(B, C, H, W)`.

    Example:
        >>> import torch
        >>> mean, std = moments(adain(torch.rand(1, 2, 8, 8), 3 + 2 * torch.randn(1, 2, 50, 50)))
        >>> bool(((mean - 3).abs() < 0.3).all() and ((std - 2).abs() < 0.3).all())
        True
    """
    mean, std = moments(style)
    # AdaIN(x, y) = std(y) (x - mean(x)) / std(x) + mean(y)
    return std * standardize(content, moments(content)) + mean


class AdaIN(ArbitraryStyle):
    """Any painting's style in one forward pass, by the moments of its features.

    Args and methods are those of `nstlib.arbitrary.ArbitraryStyle`.

    Example:
        >>> from nstlib import samples
        >>> model = AdaIN.pretrained()
        >>> tuple(model.stylize(samples.content("cat", 65), samples.style("swirl", 64)).shape)
        (1, 3, 65, 98)
    """

    method = "adain"
    layers = ("relu4_1",)

    def _build(self, channels: Mapping[str, int], widths: Mapping[str, int]) -> nn.ModuleDict:
        return nn.ModuleDict({"decoder": Decoder(widths)})

    def _keep(self, maps: Maps, statistics: Statistics) -> dict[str, Tensor]:
        mean, std = statistics["relu4_1"]
        return {"mean": mean, "std": std}  # (1, C, 1, 1)

    def _transfer(self, maps: Maps, statistics: Statistics, code: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # t = std(s) mvn(c) + mean(s)
        return {"relu4_1": code["std"] * standardize(maps["relu4_1"], statistics["relu4_1"]) + code["mean"]}


class AdaINObjective(Trainer):
    """The loss of AdaIN's decoder.

    Args:
        model: an `AdaIN` on an encoder that has all `layers`.
        **weights: of the terms `content` (1), `style` (10) and `identity` (0), which is ours: the decoder paints the
            content's own features, and is compared pixel by pixel.

    Example:
        >>> from nstlib import samples
        >>> objective = AdaINObjective(AdaIN())
        >>> sorted(objective(samples.content("cat", 64), samples.style("swirl", 64)))
        ['content', 'style']
    """

    layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    weights: ClassVar[dict[str, float]] = {"content": 1.0, "style": 10.0, "identity": 0.0}

    def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
        """The weighted terms: their sum is to be minimised. Both pictures are `(B, 3, S, S)`."""
        c, s = self.read_pair(content, style)
        decoder = self.network["decoder"]
        terms: dict[str, Tensor] = {}
        if self.weight["content"] or self.weight["style"]:
            t = adain(c["relu4_1"], s["relu4_1"])
            painted = self.encoder(decoder({"relu4_1": t}))
            # L_c = |f(g(t)) - t|^2
            terms["content"] = F.mse_loss(painted["relu4_1"].float(), t.float())
            # L_s = sum_l |mean - mean|^2 + |std - std|^2
            terms["style"] = moments_loss(painted, s, self.layers)
        if self.weight["identity"]:
            terms["identity"] = self.copy(c, content)
        return self.weigh(**terms)
