"""The perceptual loss, which Gatys minimises over the pixels of a picture, and Johnson over the weights of a network.

    L(x) = content_weight L_content + style_weight L_style + tv_weight TV           (Gatys et al. 2015, eq. 7; TV is ours)

    L_content = mean_l |F_l - P_l|^2 / |P_l|^2              F, P: features of x and of the content, by an encoder
    L_style   = sum_l w_l |G_l - A_l|^2 / |A_l|^2           G, A: Gram matrices of x and of the style

The papers don't divide by the loss of features that are zero. We do, because a weight then has the same effect for every
network, layer and size. `normalize_losses=False` gives the papers' scale, 1/2 sum (F - P)^2 and 1 / (4 C^2) sum (G - A)^2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.encoder import Encoder
from nstlib.losses import gram_matrix, normalize_weights, sum_content, sum_style, total_variation
from nstlib.utils.checks import check_number, check_option
from nstlib.utils.opacity import opacity_at


@dataclass
class StyleTargets:
    """The targets of the style loss.

    Attributes:
        grams: layer -> Gram matrices `(K, C, C)` of K regions, or of a single one for the whole picture.
        mask: `(K, 1, H, W)`, the pixels of each region. None is the whole picture.
        shares: `(K,)`, the weight of each region.
    """

    grams: dict[str, Tensor]
    mask: Tensor | None = None
    shares: Tensor | None = None


class PerceptualLoss(nn.Module):
    """Content loss, style loss and total variation of pictures, as seen by a frozen encoder.

    Args:
        encoder: an `Encoder` that has all layers named here.
        layer_weights: style layer -> its weight. None weights all of them equally, with sum 1.
        content_layers, style_layers, content_weight, style_weight, tv_weight, tv_norm, normalize_losses: as for
            `nstlib.Gatys`.

    Example:
        >>> from nstlib import samples
        >>> photo, painting = samples.content("cat", 64)[..., :64], samples.style("swirl", 64)
        >>> loss = PerceptualLoss(Encoder(layers=["relu2_1"]), content_layers=["relu2_1"], style_layers=["relu2_1"])
        >>> terms = loss(painting, loss.read_content(photo), loss.read_styles([painting]))
        >>> bool(terms["content"] > 0.1), round(terms["style"].item(), 6)
        (True, 0.0)
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        content_layers: Sequence[str],
        style_layers: Sequence[str],
        content_weight: float = 1.0,
        style_weight: float = 20.0,
        tv_weight: float = 1.0,
        layer_weights: Mapping[str, float] | None = None,
        tv_norm: Literal["l1", "l2"] = "l2",
        normalize_losses: bool = True,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.content_layers, self.style_layers = tuple(content_layers), tuple(style_layers)
        weights = {"content": content_weight, "style": style_weight, "tv": tv_weight}
        self.weights = {name: check_number(f"{name}_weight", weight, 0) for name, weight in weights.items()}
        check_option("tv_norm", tv_norm, ("l1", "l2"))
        self.layer_weights = dict(layer_weights or dict.fromkeys(style_layers, 1 / max(1, len(style_layers))))
        self.tv_norm, self.normalize_losses = tv_norm, normalize_losses

    @torch.no_grad()
    def read_content(self, content: Tensor) -> dict[str, Tensor]:
        """Return the content's features, layer -> `(B, C, h, w)`."""
        features = self.encoder(content, self.content_layers) if self.content_layers else {}
        return {layer: features[layer] for layer in self.content_layers}  # a user's encoder may have more layers

    @torch.no_grad()
    def read_styles(
        self, styles: Sequence[Tensor], *, shares: Tensor | None = None, mask: Tensor | None = None
    ) -> StyleTargets:
        """Return the Gram matrices of K paintings.

        Args:
            styles: K paintings of any sizes: `(1, 3, h, w)`, or `(1, 4, h, w)`, both parts of `split_opacity` joined.
            shares: `(K,)`, the weight of each painting. None is equal weights.
            mask: `(K, 1, H, W)`, where each painting applies. None mixes all of them everywhere, and `(1, 1, H, W)` mixes
                them within one region.
        """
        read = [self._read_grams(style) for style in styles] if self.style_layers else []
        grams = {layer: torch.cat([one[layer] for one in read]) for layer in self.style_layers if read}  # (K, C, C)
        shares = normalize_weights(None, len(styles)) if shares is None else shares
        if mask is None or len(mask) < len(styles):
            # sum_k v_k |G - A_k|^2 and |G - sum_k v_k A_k|^2 differ by a constant
            grams = {layer: torch.einsum("k,kij->ij", shares.to(gram), gram)[None] for layer, gram in grams.items()}
            shares = torch.ones_like(shares[:1])
        return StyleTargets(grams, mask, shares)

    def _read_grams(self, style: Tensor) -> dict[str, Tensor]:
        features = self.encoder(style[:, :3], self.style_layers)
        seen = opacity_at(style[:, 3:] if style.shape[1] == 4 else None, features)
        return {layer: gram_matrix(one, seen[layer]) for layer, one in features.items()}

    def forward(self, picture: Tensor, contents: Mapping[str, Tensor], styles: StyleTargets) -> dict[str, Tensor]:
        """Return the terms of the loss, scalars, unweighted: `content`, `style`, `tv` and `style/<layer>`.

        Pictures are `(B, 3, H, W)`, `contents` is what `read_content` returned, and `styles` what `read_styles` returned.
        """
        features = self.encoder(picture)
        terms = {"content": picture.new_zeros(()), "style": picture.new_zeros(())}
        layers: dict[str, Tensor] = {}
        if contents:
            terms["content"], _ = sum_content(features, contents, normalize_losses=self.normalize_losses)
        if styles.grams:
            masks = None
            if styles.mask is not None:  # (K, 1, h, w)
                sizes = {layer: features[layer].shape[2:] for layer in styles.grams}
                masks = {layer: F.interpolate(styles.mask, size, mode="area") for layer, size in sizes.items()}
            terms["style"], layers = sum_style(
                features,
                styles.grams,
                self.layer_weights,
                normalize_losses=self.normalize_losses,
                masks=masks,
                shares=styles.shares,
            )
        terms["tv"] = total_variation(picture, norm=self.tv_norm)
        return terms | {f"style/{layer}": loss.detach() for layer, loss in layers.items()}

    def weigh(self, terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return `content`, `style` and `tv`, multiplied by their weights. Their sum is L(x)."""
        return {name: weight * terms[name] for name, weight in self.weights.items()}
