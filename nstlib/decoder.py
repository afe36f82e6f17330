"""The decoders: from features back to a picture, the mirror of an encoder up to relu4_1.

AdaIN, SANet and AdaAttN change features and then have to paint them. Their decoder is VGG read backwards: where the encoder
pools, it upsamples (nearest neighbour); every 3x3 convolution has reflection padding and a ReLU, except the last. There is
no normalisation: it would take away the very statistics that the features were given.

    relu4_1 -> conv4_1  up  conv3_4 conv3_3 conv3_2 conv3_1  up  conv2_2 conv2_1  up  conv1_2 conv1_1 -> picture

Convolutions are named after those of the encoder that they undo. `Decoder` is the papers'. It has to guess the colours and
the marks of a painting from features at an eighth of the picture's size, and so it paints an average of what it has seen.
`ConditionedDecoder` is told them: the painting's means and standard deviations z decide how each convolution is scaled and
shifted, as in conditional instance normalisation (Dumoulin et al. 2017, https://arxiv.org/abs/1610.07629),

    y = (1 + a(z)) conv(x) + b(z)                a, b: linear in z, and 0 before training

The moments of paintings vary together: one with strong contrast has large deviations in all layers. So z holds the
directions in which they vary most, each scaled to variance 1 (principal components). A linear layer learns from these much
faster than from the moments themselves.
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
"""The layers whose channels decide the widths of a decoder, and whose moments condition one."""

SKIPS = {"relu3_1": "conv3_4", "relu2_1": "conv2_2", "relu1_1": "conv1_2"}
"""Layer -> the convolution that enlarges the map to its size, and can take its features as well."""

DECODER_REACH_PX = 32
"""No pixel depends on features further away than this: 8 + 4 x 4 + 2 x 2 + 2, and a little for upsampling."""


class Decoder(nn.Module):
    """Features -> picture.

    Args:
        channels: channels of the encoder's layers `relu1_1`, `relu2_1`, `relu3_1` and `relu4_1`: `Encoder.channels` will do.
            With VGG19's 64, 128, 256 and 512, it is the published decoder of 3,505,219 parameters.
        skips: layers, such as `relu3_1`, whose features join on the way up, as in AdaAttN (4,095,043 parameters).

    Attributes:
        reads: the encoder's layers that it depends on, by their features or by their moments.
        reach: how far it sees, in pixels.

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
        with torch.no_grad():  # grey, to begin with
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
        """Return the picture of a map `(B, C, h, w)`, joined by features of the skips; `told` modulates convolutions."""
        for name, conv in self.convs.items():
            joined = [features[layer].to(x.dtype) for layer in self.skips if SKIPS[layer] == name]
            x = _enlarge(x, conv, joined) if name in SKIPS.values() else conv(x)
            x = modulate(x, told[name]) if name in told else x
            x = x if name == "conv1_1" else F.relu(x)
        return x

    @torch.no_grad()
    def init_from(self, other: Decoder) -> None:
        """Take the weights of a trained decoder. What it doesn't have (skips, blocks, conditioning) counts nothing at first.

        Raises:
            ValueError: a decoder of other widths, or one with skips, blocks or conditioning for one without.
        """
        own, there = self.state_dict(), other.state_dict()
        lost = [key for key in there if key not in own or any(a > b for a, b in zip(there[key].shape, own[key].shape))]
        if other.channels != self.channels or lost:
            what = f"channels {other.channels}" if other.channels != self.channels else f"weights {lost[0]!r}"
            hint = ": take conditioned=True, or --decoder conditioned" if "center" in lost else ""
            raise ValueError(f"a decoder with {what} can't start one of {self.channels} that lacks them{hint}")
        for key, value in there.items():
            own[key].zero_()
            own[key][tuple(map(slice, value.shape))].copy_(value)


class ConditionedDecoder(Decoder):
    """Features and the painting's moments -> picture.

    Args:
        channels, skips: as for `Decoder`.
        blocks: residual blocks on relu4_1, before the first convolution: they let the network draw what the features only
            hint at, where a convolution costs least.
        components: how many numbers z has.

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
        # One linear layer for all convolutions, as a 1x1 convolution, so that z may differ from position to position
        self.modulation = nn.Conv2d(components, 2 * sum(self.outputs), 1)
        for parameter in self.modulation.parameters():
            nn.init.zeros_(parameter)
        self.reads = STAGES
        self.reach = DECODER_REACH_PX + 16 * blocks  # two convolutions at relu4_1 each

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Paint.

        Args:
            features: as for `Decoder`, and `condition` -> `(B, D, 1, 1)`, what `condition` gives of the painting, or
                `(B, D, h, w)` for several paintings in one picture.
        """
        # z, clipped so that no painting leads far from what was trained. A tenth, so that the linear layer learns at a tenth
        # of the rate: one step changes all scales of a convolution
        deviation = ((features["condition"] - self.center) / self.spread).clamp(-3, 3)  # (B, D, 1 or h, 1 or w)
        z = 0.1 * F.conv2d(deviation, self.components).clamp(-3, 3)  # (B, components, 1 or h, 1 or w)
        told = self.modulation(z.to(self.modulation.weight.dtype)).split([2 * n for n in self.outputs], 1)
        x = features["relu4_1"]  # (B, C, h, w)
        for block, part in zip(self.blocks, told[len(self.convs) :]):
            x = block(x, part)
        return self._paint(x, features, dict(zip(self.convs, told)))

    @torch.no_grad()
    def fit(self, conditions: Tensor) -> None:
        """Learn how moments vary, from `condition` of N paintings, `(N, D, 1, 1)`, with N above the number of components."""
        count, moments = len(self.components), conditions.flatten(1)  # (N, D)
        if len(moments) <= count:
            raise ValueError(f"{count} components need more than {count} paintings, got {len(moments)}")
        self.center.copy_(moments.mean(0)[:, None, None])
        self.spread.copy_(moments.std(0)[:, None, None] + 1e-3)
        x = ((moments - moments.mean(0)) / self.spread.flatten()).clamp(-3, 3)
        # x = U S V^T: the rows of V^T are the directions, and S / sqrt(N) the deviations along them
        _, lengths, directions = torch.linalg.svd(x - x.mean(0), full_matrices=False)
        scale = lengths[:count, None] / len(moments) ** 0.5
        self.components.copy_((directions[:count] / scale.clamp(min=1e-6))[..., None, None])


class ConditionedBlock(nn.Module):
    """x + conv(relu((1 + a) conv(relu(x)) + b)): a residual block that is told the style."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv(channels, channels), _conv(channels, channels)
        nn.init.zeros_(self.conv2.weight)  # before training it passes on what comes in

    def forward(self, x: Tensor, part: Tensor) -> Tensor:
        """`(B, C, h, w)` and its scales and shifts `(B, 2C, 1 or h, 1 or w)` -> `(B, C, h, w)`."""
        return x + self.conv2(F.relu(modulate(self.conv1(F.relu(x)), part)))


def _enlarge(x: Tensor, conv: Any, joined: Sequence[Tensor]) -> Tensor:
    """Upsample a map twice (nearest neighbour), join it by features of that size, and convolve both."""
    # trainings and exported graphs keep the plain form, and PyTorch 2.4 can't pad halves on a CPU
    if torch.is_grad_enabled() or is_exporting() or x.dtype in (torch.float16, torch.bfloat16):
        return conv(torch.cat([F.interpolate(x, scale_factor=2), *joined], 1))
    # conv([up(x), f]) = conv_x(up(x)) + conv_f(f), and conv_x can read the small map
    own, *others = conv.weight.split([one.shape[1] for one in (x, *joined)], 1)
    parts = [F.conv2d(F.pad(one, (1, 1, 1, 1), mode="reflect"), weight) for one, weight in zip(joined, others)]
    return sum(parts, convolve_upsampled(x, own, conv.bias))


def modulate(x: Tensor, part: Tensor) -> Tensor:
    """Scale and shift a map `(B, C, H, W)` by `(B, 2C, 1, 1)`, or by `(B, 2C, h, w)` that is upsampled."""
    if part.shape[2:] != (1, 1):
        part = F.interpolate(part, x.shape[2:], mode="bilinear")
    scale, shift = part.to(x.dtype).chunk(2, 1)
    # y = (1 + a(z)) conv(x) + b(z)
    return torch.addcmul(x, x, scale).add_(shift)


def condition(style: Mapping[str, Tensor]) -> Tensor:
    """Return what a conditioned decoder is told of a painting: the means and standard deviations of its features.

    Args:
        style: features `(B, C, h, w)` of `STAGES`.

    Returns:
        `(B, D, 1, 1)`: 640 numbers with `vgg19_mini`.
    """
    return torch.cat([part for layer in STAGES for part in moments(style[layer])], 1)


def _conv(inputs: int, outputs: int) -> PaddedConv:
    conv = PaddedConv(inputs, outputs, 3, padding=1, padding_mode="reflect")
    # He et al. 2015: a ReLU halves the energy, so weights of variance 2 / inputs keep it from layer to layer
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv
