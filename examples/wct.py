"""A sixth method in fifty lines: whitening and colouring (WCT).

Li, Fang, Yang, Wang, Lu, Yang: Universal Style Transfer via Feature Transforms, 2017, https://arxiv.org/abs/1705.08086

AdaIN matches the mean and the standard deviation of every channel. WCT matches the mean and the whole covariance, and
paints with the decoder of AdaIN.

    python examples/wct.py                                   sample pictures
    python examples/wct.py photo.jpg painting.jpg out.png    your own
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import torch
from torch import Tensor

import nstlib as nst
from nstlib.arbitrary import ArbitraryStyle, Code, register_arbitrary
from nstlib.utils.tiling import FeatureMaps


def power(matrix: Tensor, exponent: float) -> Tensor:
    """Return a power of a covariance `(B, C, C)`, without the directions in which hardly anything varies."""
    values, vectors = torch.linalg.eigh(matrix)
    kept = torch.where(values > 1e-4 * values[:, -1:], values.clamp(min=1e-12) ** exponent, 0.0)
    return vectors * kept[:, None] @ vectors.mT


class WCT(ArbitraryStyle):
    """Any painting's style in one forward pass, by the covariance of its features."""

    method = "wct"
    layers = ("relu4_1",)

    @classmethod
    def open(cls, *, weights: str = "adain", encoder: str = "vgg19_mini") -> WCT:  # type: ignore[override]
        """Return a model that paints with the decoder of another method's weights."""
        model = cls(encoder, conditioned=True)
        model.init_from(weights)
        return model

    def encode_style_features(self, style: FeatureMaps) -> Code:
        mean, _ = nst.moments(style["relu4_1"])
        return {"mean": mean, "root": power(nst.gram_matrix(style["relu4_1"] - mean), 0.5)}  # (B, C, 1, 1), (B, C, C)

    def transfer(self, content: FeatureMaps, code: Code, opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        mean, _ = nst.moments(content["relu4_1"], opacity["relu4_1"])
        x = content["relu4_1"] - mean  # (B, C, H, W)
        # t = C_s^(1/2) C_c^(-1/2) (x - mean(x)) + mean(y)
        colored = code["root"] @ power(nst.gram_matrix(x, opacity["relu4_1"]), -0.5) @ x.flatten(2)
        return {"relu4_1": colored.view_as(x) + code["mean"]}


register_arbitrary(WCT)

if __name__ == "__main__":
    content, style, out = sys.argv[1:] or (nst.samples.content("cat", 256), nst.samples.style("swirl", 256), "wct.png")
    print(nst.save_image(nst.stylize(content, style, method="wct"), out))
