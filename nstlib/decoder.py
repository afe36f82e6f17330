"""The decoder: from features back to a picture, the mirror of an encoder up to relu4_1.

AdaIN, SANet and AdaAttN change features and then have to paint them. Their decoder is VGG read backwards: where the encoder
pools, it enlarges (nearest neighbour); every 3x3 convolution has reflection padding and a ReLU, except the last. There is no
normalisation: it would take away the very statistics that the features were given.

    relu4_1 -> conv4_1  up  conv3_4 conv3_3 conv3_2 conv3_1  up  conv2_2 conv2_1  up  conv1_2 conv1_1 -> picture

Convolutions are named after those of the encoder that they undo.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.encoder import PaddedConv

STAGES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""The layers whose channels decide the widths of a decoder."""

UP = ("conv4_1", "conv3_1", "conv2_1")
"""After these, the map is enlarged."""

RADIUS = 32
"""No pixel depends on features further away than this, in pixels: 8 + 4 x 4 + 2 x 2 + 2, and a little for enlarging."""


class Decoder(nn.Module):
    """Features -> picture.

    Args:
        channels: channels of the encoder's layers `relu1_1`, `relu2_1`, `relu3_1` and `relu4_1`: `Encoder.channels` will do.
            With VGG19's 64, 128, 256 and 512, it is the published decoder of 3,505,219 parameters.
        skip: join features at relu3_1 after the first enlargement, as AdaAttN does (4,095,043 parameters).

    Raises:
        ValueError: a layer's channels are missing.

    Example:
        >>> decoder = Decoder({"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512})
        >>> sum(parameter.numel() for parameter in decoder.parameters())
        3505219
        >>> tuple(decoder({"relu4_1": torch.rand(1, 512, 4, 6)}).shape)
        (1, 3, 32, 48)
    """

    def __init__(self, channels: Mapping[str, int], *, skip: bool = False) -> None:
        super().__init__()
        missing = [layer for layer in STAGES if layer not in channels]
        if missing:
            raise ValueError(f"a decoder mirrors the layers {list(STAGES)}, and the encoder's channels lack {missing}")
        c1, c2, c3, c4 = (channels[layer] for layer in STAGES)
        self.skip = skip
        sizes = {
            "conv4_1": (c4, c3),
            "conv3_4": (2 * c3 if skip else c3, c3),
            "conv3_3": (c3, c3),
            "conv3_2": (c3, c3),
            "conv3_1": (c3, c2),
            "conv2_2": (c2, c2),
            "conv2_1": (c2, c1),
            "conv1_2": (c1, c1),
            "conv1_1": (c1, 3),
        }
        self.convs = nn.ModuleDict(
            {name: PaddedConv(*size, 3, padding=1, padding_mode="reflect") for name, size in sizes.items()}
        )
        for name, conv in self._layers():
            # He et al. 2015: a ReLU halves the energy, so weights of variance 2 / inputs keep it from layer to layer
            nn.init.kaiming_normal_(conv.weight, nonlinearity="linear" if name == "conv1_1" else "relu")
            nn.init.constant_(_bias(conv), 0.5 if name == "conv1_1" else 0.0)  # grey, to begin with
        with torch.no_grad():
            conv.weight.mul_(0.1)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Paint.

        Args:
            features: `relu4_1` -> `(B, C, h, w)`, at least 2 x 2 positions; with `skip` also `relu3_1` -> `(B, C, 2h, 2w)`.

        Returns:
            `(B, 3, 8h, 8w)`, meant for [0, 1], not clamped.
        """
        x = features["relu4_1"]  # (B, C, h, w)
        for name, conv in self.convs.items():
            if name == "conv3_4" and self.skip:
                x = torch.cat([x, features["relu3_1"]], 1)  # (B, 2C, 2h, 2w)
            x = conv(x)
            if name != "conv1_1":
                x = F.relu(x)
            if name in UP:
                x = F.interpolate(x, scale_factor=2)
        return x

    @torch.no_grad()
    def start_from(self, other: Decoder) -> None:
        """Take the weights of a trained decoder of the same widths. What it doesn't know, a skip, counts nothing at first.

        Raises:
            ValueError: a decoder of other widths, or one with a skip for one without.
        """
        if other.widths != self.widths:
            raise ValueError(
                f"a decoder of widths {other.widths} can't start one of widths {self.widths}: they must be equal"
            )
        if other.skip and not self.skip:
            raise ValueError("a decoder with a skip (AdaAttN's) can't start one without: it relies on relu3_1")
        layers = dict(other._layers())
        for name, conv in self._layers():
            there = layers[name]
            _bias(conv).copy_(_bias(there))
            if conv.in_channels != there.in_channels:
                conv.weight.zero_()
            conv.weight[:, : there.in_channels].copy_(there.weight)

    @property
    def reads(self) -> tuple[str, ...]:
        """The layers whose features it takes."""
        return ("relu4_1", "relu3_1") if self.skip else ("relu4_1",)

    def _layers(self) -> Iterator[tuple[str, nn.Conv2d]]:
        for name, conv in self.convs.items():
            assert isinstance(conv, nn.Conv2d)
            yield name, conv

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels at relu1_1, relu2_1, relu3_1 and relu4_1."""
        convs = dict(self._layers())
        return tuple(convs[name].in_channels for name in ("conv1_1", "conv2_1", "conv3_1", "conv4_1"))


def _bias(conv: nn.Conv2d) -> Tensor:
    assert conv.bias is not None
    return conv.bias
