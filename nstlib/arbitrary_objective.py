"""The base class of the objectives for AdaIN, SANet and AdaAttN."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nstlib.arbitrary import ArbitraryStyle, blend
from nstlib.decoder import ConditionedDecoder, condition
from nstlib.encoder import as_encoder
from nstlib.losses import color_distance, moments_distance, squared_error
from nstlib.objective import Objective
from nstlib.pixels import refine
from nstlib.utils.checks import check_names, check_number
from nstlib.utils.opacity import opacity_at, select_opaque, split_opacity
from nstlib.utils.tiling import FeatureMaps

Opacity = Mapping[str, Tensor | None]
"""Layer -> the weight of each position of its map, `(1, 1, h, w)` in [0, 1], or None if all weights are equal."""

OPAQUE: Opacity = {}


class ArbitraryObjective(Objective):
    """The base class of the three methods' objectives.

    Args:
        model: the model to train, whose encoder has the layers of the loss. Its `network` is what is trained.
        balance: how strongly distant pairs are weighted down. The terms of each pair are divided by 1 + balance times the
            distance between the moments of its pictures. 0 is the papers' plain mean, in which a few pairs of vivid
            paintings and plain photographs outweigh all others.
        **weights: weights of the terms by name, which replace those in `weights`.
    """

    layers: ClassVar[tuple[str, ...]]
    """The layers that the loss reads."""
    style_layers: ClassVar[tuple[str, ...]]
    """The layers whose moments are compared with the painting's."""
    weights: ClassVar[dict[str, float]]
    """Term of the loss -> its weight in the paper. The first two are the content and the style term."""

    def __init__(self, model: ArbitraryStyle, *, balance: float = 0.0, **weights: float) -> None:
        super().__init__()
        self.encoder = as_encoder(model.encoder, self.layers)
        self.model, self.network = model, model.network
        self.balance = check_number("balance", balance, 0)
        check_names(f"the loss of {model.method}", weights, tuple(self.weights))
        given = {**self.weights, **weights}
        self.weight = {term: check_number(f"the weight of {term}", weight, 0) for term, weight in given.items()}

    @abstractmethod
    def pair_terms(self, c: FeatureMaps, s: FeatureMaps, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        """Return the terms of every pair, `(B,)` each, given the features and the pictures `(B, 3, S, S)`.

        Terms of weight 0 may be omitted.
        """

    @abstractmethod
    def content_target(self, c: FeatureMaps, s: FeatureMaps, opacity: Opacity = OPAQUE) -> dict[str, Tensor]:
        """Return the content target of every position, layer -> `(B, C, h, w)`, given the encoder's features."""

    def picture_terms(self, pictures: Tensor, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        """Return the terms that depend on the pixels of the results, `(B,)` each. Subclasses can add their own."""
        return {"colors": color_distance(pictures, style)} if self.weight["colors"] else {}

    def content_maps(self, features: FeatureMaps) -> dict[str, Tensor]:
        """Return the features of a result in the form in which they are compared with the target. By default, unchanged."""
        return dict(features)

    def content_distance(self, painted: FeatureMaps, target: FeatureMaps) -> Tensor:
        """Return the distance between results and their target, `(B,)`: squared differences, summed over layers."""
        maps = self.content_maps(painted)
        return torch.stack([squared_error(maps[layer], wanted) for layer, wanted in target.items()]).sum(0)

    def style_distance(self, painted: FeatureMaps, s: FeatureMaps, opacity: Opacity = OPAQUE) -> Tensor:
        """Return the distance between the moments of results and paintings, `(B,)`."""
        return moments_distance(painted, s, self.style_layers, opacity)

    def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
        """Return the weighted terms for photographs and paintings, `(B, 3, S, S)`. Their sum is what is minimised."""
        if style is None:
            raise ValueError(f"{self.model.method} sees a new painting at every step: name a folder of styles")
        if any(side % self.model.stride for side in (*content.shape[2:], *style.shape[2:])):
            raise ValueError(
                f"{self.model.method} is trained on pictures whose sides are a multiple of {self.model.stride}, got "
                f"{tuple(content.shape[2:])} and {tuple(style.shape[2:])}"
            )
        with torch.no_grad():
            c, s = self.encoder(content), self.encoder(style)
            share = 1 / (1 + self.balance * moments_distance(c, s, self.layers)) if self.balance else 1.0  # (B,)
        terms = self.pair_terms(c, s, content, style)
        return {name: self.weight[name] * (share * term).mean() for name, term in terms.items() if self.weight[name]}

    def refine(
        self, picture: Tensor, content: Tensor, styles: Sequence[Tensor], shares: Tensor, *, steps: int
    ) -> Tensor:
        """Lower the loss of a result by steps of L-BFGS on its pixels.

        Args:
            picture: `(1, 3, H, W)`, the picture that the network painted.
            content: the photograph, `(1, 3, H, W)`, or `(1, 4, H, W)` with opacity.
            styles: K paintings, `(1, 3 or 4, h, w)`.
            shares: the weight of each painting, `(K, 1, 1, 1)`, or `(K, 1, H, W)` for every pixel. If they sum to less than
                1, the photograph itself takes the remaining weight.
            steps: number of steps.

        Returns:
            `(1, 3, H, W)` in [0, 1].
        """
        with torch.no_grad():
            c, opacity = self._read(content)
            read = [select_opaque(*self._read(style)) for style in styles]
            rest = 1 - shares.sum(0, keepdim=True)
            if (rest > 1e-6).any():
                read, shares = [*read, select_opaque(c, opacity)], torch.cat([shares, rest])
            target = blend([self.content_target(c, s, opacity) for s in read], shares)
            regions = [self._region(share, c, opacity) for share in shares.split(1)]
        content_weight, style_weight = list(self.weight.values())[:2]

        def loss(x: Tensor) -> Tensor:
            painted = self.encoder(x, self.layers)
            # L = content_weight L_c + style_weight sum_k w_k L_s(x, s_k)
            style = [self.style_distance(painted, s, region) for s, region in zip(read, regions)]
            weighted = shares.mean((1, 2, 3)) * torch.cat(style)
            return content_weight * self.content_distance(painted, target) + style_weight * weighted.sum()

        return refine(picture, loss, steps=steps).clamp(0, 1)

    def _read(self, picture: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
        """Return the features of a picture at the layers of the loss, and the opacity of their positions."""
        colors, opacity = split_opacity(picture.to(self.encoder.color_bias))
        features = self.encoder(colors, self.layers)
        return features, opacity_at(opacity, features)

    def _region(self, share: Tensor, maps: FeatureMaps, opacity: Opacity) -> Opacity:
        """Return the weight of every position for a painting with this share of the pixels, `(1, 1, H, W)`."""
        if share.shape[2:] == (1, 1):
            return opacity
        region: dict[str, Tensor | None] = {}
        for layer, part in opacity_at(share, maps).items():
            seen = opacity[layer]
            region[layer] = part if part is None or seen is None else part * seen
        return region

    @torch.no_grad()
    def prepare(self, batches: Iterator[tuple[Tensor, Tensor | None]]) -> None:
        """Fit the principal components of a new conditioned decoder to the moments of paintings."""
        decoder = self.model.decoder
        if isinstance(decoder, ConditionedDecoder) and not decoder.components.any():
            conditions = [condition(self.encoder(style)) for _, style in batches if style is not None]
            decoder.fit(torch.cat(conditions))

    def change(self, c: FeatureMaps, s: FeatureMaps) -> dict[str, Tensor]:
        """Return the inputs of the decoder, given the encoder's features of photographs and paintings."""
        model = self.model
        content, style = ({**features, **model.select_features(features)} for features in (c, s))
        return model.change(content, model.encode_features(style), dict.fromkeys(content))

    def paint(self, c: FeatureMaps, s: FeatureMaps) -> Tensor:
        """Return the picture that the model paints, `(B, 3, S, S)`."""
        return self.model.decoder(self.change(c, s))

    def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
        assert style is not None
        return self.model.stylize(content, style)

    def describe(self) -> dict[str, str]:
        return {
            "method": self.model.method,
            "init": self.model.origin,
            "encoder": self.encoder.name,
            "encoder_fingerprint": self.encoder.fingerprint,
            "balance": str(self.balance),
            **{f"weight of {term}": str(weight) for term, weight in self.weight.items()},
        }
