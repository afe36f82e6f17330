"""AdaAttN: give every position of the photograph the mean and standard deviation of the positions it attends to.

Liu, Lin, He, Li, Wang, Li, Sun, Li, Ding: AdaAttN: Revisit Attention Mechanism in Arbitrary Neural Style Transfer, 2021,
https://arxiv.org/abs/2108.03647

AdaIN has one mean and one standard deviation for all positions, and SANet has a mean for each. Here every position gets
both, computed with the same attention A over the positions of the style:

    A = softmax(f(key(c))^T g(key(s)))                 f, g: 1x1 convolutions                                   (eq. 3)
    M = A h(s),    S = sqrt(A h(s)^2 - M^2)             h: 1x1 convolution                                      (eq. 4, 5)
    AdaAttN(c, s) = S mvn(c) + M                                                                             (eq. 6)

The key of a level consists of all layers up to that level, each of them normalised:

    key(x) = mvn(x_1) + ... + mvn(x_l)                  joined along the channels, at the size of x_l            (eq. 2)

This is done at relu3_1, relu4_1 and relu5_1, and a decoder turns the three results into a picture. The global loss compares
moments. The local loss compares features with the result AdaAttN* of the same equations without f, g and h:

    L = 10 sum_l |mean - mean|^2 + |std - std|^2  +  3 sum_l |f_l(cs) - AdaAttN*_l(c, s)|^2                    (eq. 8 to 10)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.arbitrary import ArbitraryStyle, Code, register_arbitrary
from nstlib.arbitrary_objective import OPAQUE, ArbitraryObjective, Opacity
from nstlib.attention import attention_moments
from nstlib.fusion import FeatureFusion, init_identity_
from nstlib.losses import mean_variance_norm, squared_error
from nstlib.utils.tiling import FeatureMaps

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
LEVELS = ("relu3_1", "relu4_1", "relu5_1")


def adaattn(content: Tensor, query: Tensor, key: Tensor, value: Tensor, opacity: Tensor | None = None) -> Tensor:
    """Adaptive attention normalisation: (eq. 3) to (eq. 6).

    Args:
        content: `(B, C, H, W)`, as is the result.
        query: `(B, D, H, W)`, the content's key after f.
        key: `(B or 1, D, h, w)`, the style's key after g.
        value: `(B or 1, C, h, w)`, the style's features after h.
        opacity: of the content, as for `nstlib.losses.moments`.
    """
    # A = softmax(f(key(c))^T g(key(s))),  M = A V,  S = sqrt(A V^2 - M^2)
    mean, std = attention_moments(query, key, value)
    # AdaAttN(c, s) = S mvn(c) + M
    return (std * mean_variance_norm(content, opacity) + mean).to(content.dtype)


class AttentionNorm(nn.Module):
    """The parameters of one AdaAttN module: f, g and h at a level of C channels, whose key has `key_channels` channels."""

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.f = nn.Conv2d(key_channels, key_channels, 1)
        self.g = nn.Conv2d(key_channels, key_channels, 1)
        self.h = nn.Conv2d(channels, channels, 1)
        # they start as the identity, so that their features resemble those that AdaIN's decoder can paint
        for conv in (self.f, self.g, self.h):
            init_identity_(conv)


class AdaAttN(ArbitraryStyle):
    """Style transfer from any painting in one forward pass, by the moments of the positions attended to.

    Args and methods are those of `nstlib.arbitrary.ArbitraryStyle`.

    Example:
        >>> from nstlib import samples
        >>> model = AdaAttN.pretrained()
        >>> tuple(model.stylize(samples.content("cat", 65), samples.style("swirl", 64)).shape)
        (1, 3, 65, 98)
    """

    method = "adaattn"
    layers = LAYERS
    skips = ("relu3_1",)
    parts = ("adaattn_3", "transformer", "decoder")

    def build(self, channels: Mapping[str, int]) -> dict[str, nn.Module]:
        modules = {
            level: AttentionNorm(channels[level], sum(channels[layer] for layer in up_to(level))) for level in LEVELS
        }
        transformer = FeatureFusion(channels["relu4_1"], channels["relu5_1"])
        transformer.attn_adain_4_1, transformer.attn_adain_5_1 = modules["relu4_1"], modules["relu5_1"]
        return {"adaattn_3": modules["relu3_1"], "transformer": transformer}

    def select_features(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return all layers up to each level, at its size: `relu4_1/relu2_1` is relu2_1 at the size of relu4_1."""
        return {name: one for level in LEVELS for name, one in resize_to(features, level).items()}

    def encode_style_features(self, style: FeatureMaps) -> Code:
        code: Code = {}
        for level in LEVELS:
            module = self._module(level)
            code[f"{level}/key"] = module.g(attention_key(style, level))
            code[f"{level}/value"] = module.h(style[f"{level}/{level}"])
        return code

    def transfer(self, content: FeatureMaps, code: Code, opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        changed: dict[str, Tensor] = {}
        for level in LEVELS:
            name = f"{level}/{level}"
            query = self._module(level).f(attention_key(content, level, opacity[name]))
            changed[level] = adaattn(content[name], query, code[f"{level}/key"], code[f"{level}/value"], opacity[name])
        merged = self.network["transformer"](changed["relu4_1"], changed["relu5_1"])
        return {"relu4_1": merged, "relu3_1": changed["relu3_1"]}

    def _module(self, level: str) -> AttentionNorm:
        transformer = self.network["transformer"]
        modules = self.network["adaattn_3"], transformer.attn_adain_4_1, transformer.attn_adain_5_1
        return cast(AttentionNorm, modules[LEVELS.index(level)])


class AdaAttNObjective(ArbitraryObjective):
    """The loss of AdaAttN.

    Takes the arguments of `nstlib.arbitrary_objective.ArbitraryObjective`. The terms are `local` (weight 3) and `global`
    (10), and two that are not in the paper: `identity` (0) and `colors` (0), as in `nstlib.AdaINObjective`.

    Example:
        >>> from nstlib import samples
        >>> objective = AdaAttNObjective(AdaAttN())
        >>> sorted(objective(samples.content("cat", 64)[..., :64], samples.style("swirl", 64)))
        ['global', 'local']
    """

    layers = LAYERS
    style_layers = LAYERS[1:]
    content_layers: ClassVar[tuple[str, ...]] = LAYERS[1:]
    """The layers of the local loss."""
    weights: ClassVar[dict[str, float]] = {"local": 3.0, "global": 10.0, "identity": 0.0, "colors": 0.0}

    def content_target(self, c: FeatureMaps, s: FeatureMaps, opacity: Opacity = OPAQUE) -> dict[str, Tensor]:
        return {layer: parameter_free_adaattn(c, s, layer, opacity.get(layer)) for layer in self.content_layers}

    def pair_terms(self, c: FeatureMaps, s: FeatureMaps, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        cs = self.paint(c, s)
        painted = self.encoder(cs)
        # L_gs = sum_l |mean - mean|^2 + |std - std|^2
        terms = {"global": self.style_distance(painted, s), **self.picture_terms(cs, content, style)}
        if self.weight["local"]:
            # L_lf = sum_l |f_l(cs) - AdaAttN*_l(c, s)|^2
            terms["local"] = self.content_distance(painted, self.content_target(c, s))
        if self.weight["identity"]:
            # |T(c, c) - c|^2
            terms["identity"] = squared_error(self.paint(c, c), content)
        return terms


@torch.no_grad()
def parameter_free_adaattn(
    content: Mapping[str, Tensor], style: Mapping[str, Tensor], layer: str, opacity: Tensor | None = None
) -> Tensor:
    """AdaAttN without parameters: f, g and h are the identity.

    Args:
        content: layer -> features `(B, C, H, W)`, for all layers from `relu1_1` up to `layer`.
        style: layer -> features `(B or 1, C, h, w)`.
        layer: the layer to change.
        opacity: of the content, as for `nstlib.losses.moments`.

    Returns:
        `(B, C, H, W)`, in float32 or higher precision: the content's features at the layer, in the style.
    """
    content, style = (
        {name: one.to(torch.promote_types(one.dtype, torch.float32)) for name, one in maps.items()}
        for maps in (content, style)
    )
    query = attention_key(resize_to(content, layer), layer, opacity)
    key = attention_key(resize_to(style, layer), layer)
    return adaattn(content[layer], query, key, style[layer], opacity)


def up_to(level: str) -> tuple[str, ...]:
    """Return the layers that form the key of a level."""
    return LAYERS[: LAYERS.index(level) + 1]


def resize_to(features: Mapping[str, Tensor], level: str) -> dict[str, Tensor]:
    """Return the layers up to a level, scaled to its size (nearest neighbour), as `level/layer`."""
    size = features[level].shape[2:]
    return {f"{level}/{layer}": F.interpolate(features[layer], size) for layer in up_to(level)}


def attention_key(maps: FeatureMaps, level: str, opacity: Tensor | None = None) -> Tensor:
    """Return the key of a level, `(B, D, h, w)`: the layers that `resize_to` returned, normalised and concatenated."""
    # key = mvn(x_1) + ... + mvn(x_l), joined along the channels
    return torch.cat([mean_variance_norm(maps[f"{level}/{layer}"], opacity) for layer in up_to(level)], 1)


register_arbitrary(AdaAttN, AdaAttNObjective)
