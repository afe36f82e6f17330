"""The decoders: from features back to a picture, mirroring an encoder up to relu4_1.

AdaIN, SANet and AdaAttN change features and then have to turn them into a picture. Their decoder is a VGG in reverse: where
the encoder pools, it upsamples (nearest neighbour); every 3x3 convolution has reflection padding and, except the last, a
ReLU. There is no normalisation, which would remove the very statistics that the features were given.

    relu4_1 -> conv4_1  up  conv3_4 conv3_3 conv3_2 conv3_1  up  conv2_2 conv2_1  up  conv1_2 conv1_1 -> picture

Convolutions are named after the convolutions of the encoder that they undo. `Decoder` is the papers'. It has to guess the
colours and the marks of a painting from features at an eighth of the picture's size, and so it paints an average of what it
has seen. `ConditionedDecoder` receives them as an input: the painting's means and standard deviations z scale and shift each
convolution, as in conditional instance normalisation (Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629),

    y = (1 + a(z)) conv(x) + b(z)                a, b: linear in z, and 0 before training

The moments of paintings vary together. A painting with strong contrast, for example, has large standard deviations in all
layers. Therefore z holds the principal components of the moments, each scaled to variance 1, from which a linear layer
learns much faster than from the moments themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.encoder import PaddedConv, convolve_upsampled
from nstlib.losses import moments
from nstlib.utils.checks import is_exporting

STAGES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""The layers whose channels determine the widths of a decoder, and whose moments condition it."""

SKIPS = {"relu3_1": "conv3_4", "relu2_1": "conv2_2", "relu1_1": "conv1_2"}
"""Layer -> the convolution that follows the upsampling to its size, and can take its features as well."""

DECODER_REACH_PX = 32
"""No pixel depends on features further away than this: 8 + 4 x 4 + 2 x 2 + 2, and a small margin for upsampling."""


class Decoder(nn.Module):
    """Features -> picture.

    Args:
        channels: channels of the encoder's layers `relu1_1`, `relu2_1`, `relu3_1` and `relu4_1`, such as `Encoder.channels`.
            With VGG19's 64, 128, 256 and 512, this is the published decoder with 3,505,219 parameters.
        skips: layers, such as `relu3_1`, whose features are additional inputs, as in AdaAttN (4,095,043 parameters).

    Attributes:
        reads: the encoder's layers whose features or moments it takes.
        reach: the largest distance between a pixel and the features that it depends on, in pixels.

    Example:
        >>> decoder = Decoder({"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512})
        >>> sum(parameter.numel() for parameter in decoder.parameters())
        3505219
        >>> tuple(decoder({"relu4_1": torch.rand(1, 512, 4, 6)}).shape)
        (1, 3, 32, 48)
    """

    def __init__(self, channels: Mapping[str, int], *, skips: Sequence[str] = ()) -> None:
        super().__init__()
        if not set(skips) <= set(SKIPS):
            raise ValueError(f"skips come from {list(SKIPS)}, got {list(skips)}")
        c1, c2, c3, c4 = (channels[layer] for layer in STAGES)
        self.skips = tuple(layer for layer in SKIPS if layer in skips)
        sizes = {"conv4_1": (c4, c3)}
        sizes |= {"conv3_4": (c3, c3), "conv3_3": (c3, c3), "conv3_2": (c3, c3), "conv3_1": (c3, c2)}
        sizes |= {"conv2_2": (c2, c2), "conv2_1": (c2, c1), "conv1_2": (c1, c1), "conv1_1": (c1, 3)}
        for layer in self.skips:
            inputs, outputs = sizes[SKIPS[layer]]
            sizes[SKIPS[layer]] = (inputs + channels[layer], outputs)
        convs = {name: _conv(*size) for name, size in sizes.items()}
        with torch.no_grad():  # before training, the picture is nearly grey
            convs["conv1_1"].weight.mul_(0.1)
            nn.init.constant_(convs["conv1_1"].bias, 0.5)  # type: ignore[arg-type]
        self.convs = nn.ModuleDict(convs)
        self.widths = [conv.out_channels for conv in convs.values()]
        self.channels = {layer: channels[layer] for layer in STAGES}
        self.reads: tuple[str, ...] = ("relu4_1", *self.skips)
        self.reach = DECODER_REACH_PX

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Paint.

        Args:
            features: `relu4_1` -> `(B, C, h, w)`, at least 2 x 2 positions; with skips also their layers.

        Returns:
            `(B, 3, 8h, 8w)`, meant for [0, 1], not clamped.
        """
        return self._paint(features["relu4_1"], features, {})

    def _paint(self, x: Tensor, features: Mapping[str, Tensor], told: Mapping[str, Tensor]) -> Tensor:
        """Turn a map `(B, C, h, w)` and the features of the skips into a picture; `told` modulates the convolutions."""
        for name, conv in self.convs.items():
            joined = [features[layer].to(x.dtype) for layer in self.skips if SKIPS[layer] == name]
            x = _enlarge(x, conv, joined) if name in SKIPS.values() else conv(x)
            x = modulate(x, told[name]) if name in told else x
            x = x if name == "conv1_1" else F.relu(x)
        return x

    @torch.no_grad()
    def init_from(self, other: Decoder) -> None:
        """Copy the weights of a trained decoder. Parts that it lacks (skips, blocks, conditioning) have no effect at first.

        Raises:
            ValueError: it has other widths, or it has skips, blocks or conditioning that this decoder lacks.
        """
        own, there = self.state_dict(), other.state_dict()
        lost = [key for key in there if key not in own or any(a > b for a, b in zip(there[key].shape, own[key].shape))]
        if other.channels != self.channels or lost:
            hint = "; take conditioned=True, or --decoder conditioned" if "center" in lost else ""
            why = f"it has {lost[0]!r}, which this decoder lacks or has smaller{hint}" if lost else ""
            if other.channels != self.channels:
                why = (
                    f"its channels are {other.channels}, not {self.channels}: take the encoder that it was trained with"
                )
            raise ValueError(f"a decoder can't start from the trained one: {why}")
        for key, value in there.items():
            own[key].zero_()
            own[key][tuple(map(slice, value.shape))].copy_(value)


class ConditionedDecoder(Decoder):
    """Features and the painting's moments -> picture.

    Args:
        channels, skips: as for `Decoder`.
        blocks: number of residual blocks on relu4_1, before the first convolution. They add capacity where a convolution
            costs least.
        components: number of components of z.

    Before `fit`, z is 0, and it paints as a `Decoder` does.

    Example:
        >>> decoder = ConditionedDecoder({"relu1_1": 4, "relu2_1": 6, "relu3_1": 8, "relu4_1": 10}, blocks=1)
        >>> features = {"relu4_1": torch.rand(1, 10, 4, 6), "condition": torch.rand(1, 56, 1, 1)}
        >>> tuple(decoder(features).shape)
        (1, 3, 32, 48)
    """

    center: Tensor
    spread: Tensor
    components: Tensor
    outputs: list[int]

    def __init__(
        self, channels: Mapping[str, int], *, skips: Sequence[str] = (), blocks: int = 0, components: int = 64
    ) -> None:
        super().__init__(channels, skips=skips)
        size, c4 = 2 * sum(channels[layer] for layer in STAGES), channels["relu4_1"]
        self.blocks = nn.ModuleList(ConditionedBlock(c4) for _ in range(blocks))
        self.register_buffer("center", torch.zeros(size, 1, 1))
        self.register_buffer("spread", torch.ones(size, 1, 1))
        self.register_buffer("components", torch.zeros(components, size, 1, 1))
        self.outputs = self.widths + [c4] * blocks
        # One linear layer for all convolutions. It is a 1x1 convolution, so that z may vary with the position
        self.modulation = nn.Conv2d(components, 2 * sum(self.outputs), 1)
        for parameter in self.modulation.parameters():
            nn.init.zeros_(parameter)
        self.reads = STAGES
        self.reach = DECODER_REACH_PX + 16 * blocks  # two convolutions at relu4_1 each

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Paint.

        Args:
            features: as for `Decoder`, and `condition` -> `(B, D, 1, 1)`, what the function `condition` returns for the
                painting, or `(B, D, h, w)` for several paintings in one picture.
        """
        # z is clipped, so that no painting lies far outside the training range. With the factor 0.1, the linear layer learns
        # at a tenth of the rate, because one step of it changes all scales of a convolution
        deviation = ((features["condition"] - self.center) / self.spread).clamp(-3, 3)  # (B, D, 1 or h, 1 or w)
        z = 0.1 * F.conv2d(deviation, self.components).clamp(-3, 3)  # (B, components, 1 or h, 1 or w)
        told = self.modulation(z.to(self.modulation.weight.dtype)).split([2 * n for n in self.outputs], 1)
        x = features["relu4_1"]  # (B, C, h, w)
        for block, part in zip(self.blocks, told[len(self.convs) :]):
            x = block(x, part)
        return self._paint(x, features, dict(zip(self.convs, told)))

    @torch.no_grad()
    def fit(self, conditions: Tensor) -> None:
        """Compute the principal components from the `condition` of N paintings, `(N, D, 1, 1)`, with N > components."""
        count, moments = len(self.components), conditions.flatten(1)  # (N, D)
        if len(moments) <= count:
            raise ValueError(f"{count} components need more than {count} paintings, got {len(moments)}")
        self.center.copy_(moments.mean(0)[:, None, None])
        self.spread.copy_(moments.std(0)[:, None, None] + 1e-3)
        x = ((moments - moments.mean(0)) / self.spread.flatten()).clamp(-3, 3)
        # x = U S V^T: the rows of V^T are the directions, and S / sqrt(N) the standard deviations along them
        _, lengths, directions = torch.linalg.svd(x - x.mean(0), full_matrices=False)
        scale = lengths[:count, None] / len(moments) ** 0.5
        self.components.copy_((directions[:count] / scale.clamp(min=1e-6))[..., None, None])


class ConditionedBlock(nn.Module):
    """A residual block that is conditioned on the style: x + conv(relu((1 + a) conv(relu(x)) + b))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(channels, channels), _conv(channels, channels)
        nn.init.zeros_(self.conv2.weight)  # before training, the block returns its input

    def forward(self, x: Tensor, part: Tensor) -> Tensor:
        """Map `(B, C, h, w)`, with scales and shifts `(B, 2C, 1 or h, 1 or w)`, to `(B, C, h, w)`."""
        return x + self.conv2(F.relu(modulate(self.conv1(F.relu(x)), part)))


def _enlarge(x: Tensor, conv: Any, joined: Sequence[Tensor]) -> Tensor:
    """Upsample a map by 2 (nearest neighbour), concatenate features of the resulting size, and convolve them."""
    # training and export keep the plain form, and PyTorch 2.4 can't pad half-precision tensors on a CPU
    if torch.is_grad_enabled() or is_exporting() or x.dtype in (torch.float16, torch.bfloat16):
        return conv(torch.cat([F.interpolate(x, scale_factor=2), *joined], 1))
    # conv([up(x), f]) = conv_x(up(x)) + conv_f(f), and conv_x can work on the small map
    own, *others = conv.weight.split([one.shape[1] for one in (x, *joined)], 1)
    parts = [F.conv2d(F.pad(one, (1, 1, 1, 1), mode="reflect"), weight) for one, weight in zip(joined, others)]
    return sum(parts, convolve_upsampled(x, own, conv.bias))


def modulate(x: Tensor, part: Tensor) -> Tensor:
    """Scale and shift a map `(B, C, H, W)` by `(B, 2C, 1, 1)`, or by `(B, 2C, h, w)`, which is upsampled."""
    if part.shape[2:] != (1, 1):
        part = F.interpolate(part, x.shape[2:], mode="bilinear")
    scale, shift = part.to(x.dtype).chunk(2, 1)
    # y = (1 + a(z)) conv(x) + b(z)
    return torch.addcmul(x, x, scale).add_(shift)


def condition(style: Mapping[str, Tensor]) -> Tensor:
    """Return the input of a conditioned decoder that describes a painting: the moments of its features.

    Args:
        style: features `(B, C, h, w)` of the layers `STAGES`.

    Returns:
        `(B, D, 1, 1)`, where D is 640 with `vgg19_mini`.
    """
    return torch.cat([part for layer in STAGES for part in moments(style[layer])], 1)


def _conv(inputs: int, outputs: int) -> PaddedConv:
    conv = PaddedConv(inputs, outputs, 3, padding=1, padding_mode="reflect")
    # He et al. 2015: a ReLU halves the energy, and weights of variance 2 / inputs preserve it from layer to layer
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
