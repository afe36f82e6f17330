"""The base class of the objectives that train AdaIN, SANet and AdaAttN."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from nstlib.arbitrary import ArbitraryStyle
from nstlib.decoder import ConditionedDecoder, condition
from nstlib.encoder import as_encoder
from nstlib.losses import moments_distance
from nstlib.objective import Objective
from nstlib.utils.checks import check_number, check_weights
from nstlib.utils.tiling import FeatureMaps


class ArbitraryObjective(Objective):
    """The base class of the three methods' objectives.

    Args:
        model: the method, on an encoder that has the layers of the loss. Its `network` is trained.
        balance: how much pairs that lie far apart count less: each pair's terms are divided by 1 + balance times the
            distance of its pictures' moments. 0 is the papers' plain mean, in which few pairs of loud paintings and quiet
            photographs outweigh all others.
        **weights: of the terms.
    """

    layers: ClassVar[tuple[str, ...]]
    weights: ClassVar[dict[str, float]]
    """Term of the loss -> its weight in the paper."""

    def __init__(self, model: ArbitraryStyle, *, balance: float = 0.0, **weights: float) -> None:
        super().__init__()
        self.encoder = as_encoder(model.encoder, self.layers)
        self.model, self.network = model, model.network
        self.balance = check_number("balance", balance, 0)
        unknown = set(weights) - set(self.weights)
        if unknown:
            raise TypeError(f"{model.method} has no term {unknown.pop()!r}; there are: {', '.join(self.weights)}")
        given = {**self.weights, **weights}
        self.weight = dict(zip(given, check_weights({f"the weight of {term}": one for term, one in given.items()})))

    @abstractmethod
    def pair_terms(self, c: FeatureMaps, s: FeatureMaps, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        """Return the terms of every pair, `(B,)` each, from the features and the pictures `(B, 3, S, S)`.

        Terms of weight 0 may be left out.
        """

    def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
        """Return the weighted terms: their sum is to be minimised. Both pictures are `(B, 3, S, S)`."""
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

    @torch.no_grad()
    def prepare(self, batches: Iterator[tuple[Tensor, Tensor | None]]) -> None:
        """Let a new conditioned decoder learn how the moments of paintings vary."""
        decoder = self.model.decoder
        if isinstance(decoder, ConditionedDecoder) and not decoder.components.any():
            conditions = [condition(self.encoder(style)) for _, style in batches if style is not None]
            decoder.fit(torch.cat(conditions))

    def change(self, c: FeatureMaps, s: FeatureMaps) -> dict[str, Tensor]:
        """Return what the decoder is to paint, from the encoder's features of photographs and paintings."""
        model = self.model
        content, style = ({**features, **model.select_features(features)} for features in (c, s))
        return model.change(content, model.encode_features(style), dict.fromkeys(content))

    def paint(self, c: FeatureMaps, s: FeatureMaps) -> Tensor:
        """Return the picture that the model paints, `(B, 3, S, S)`."""
        return self.model.decoder(self.change(c, s))

    def copy(self, features: FeatureMaps) -> Tensor:
        """Return what the decoder paints of a picture's own features, `(B, 3, S, S)`."""
        return self.model.decoder({**features, "condition": condition(features)})

    def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
        """Return what the model paints now, `(B, 3, S, S)` in [0, 1]."""
        assert style is not None
        return self.model.stylize(content, style)

    def describe(self) -> dict[str, str]:
        """Return what there is to know of weights trained by this objective."""
        return {
            "method": self.model.method,
            "init": self.model.origin,
            "encoder": self.encoder.name,
            "encoder_fingerprint": self.encoder.fingerprint,
            "balance": str(self.balance),
            **{f"weight of {term}": str(weight) for term, weight in self.weight.items()},
        }
