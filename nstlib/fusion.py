"""Parts that SANet and AdaAttN share: the fusion of two levels, and a convolution initialised as the identity."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.encoder import PaddedConv


def init_identity_(conv: nn.Conv2d) -> None:
    """Initialise a convolution as the identity."""
    nn.init.dirac_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]


class FeatureFusion(nn.Module):
    """Fuse features at relu4_1 and relu5_1: conv3x3(x + up(y)).

    Args:
        channels: channels of relu4_1.
        deep_channels: channels of relu5_1. VGG19 has as many; for other encoders, a 1x1 convolution makes them equal.
    """

    def __init__(self, channels: int, deep_channels: int) -> None:
        super().__init__()
        if channels != deep_channels:
            self.widen = nn.Conv2d(deep_channels, channels, 1)
            for parameter in self.widen.parameters():
                nn.init.zeros_(parameter)  # before training, relu4_1 counts alone
        self.merge_conv = PaddedConv(channels, channels, 3, padding=1, padding_mode="reflect")
        init_identity_(self.merge_conv)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """`(B, C, h, w)` and `(B, C', h / 2, w / 2)` -> `(B, C, h, w)`."""
        if hasattr(self, "widen"):
            y = self.widen(y)
        y = F.interpolate(y, x.shape[2:])
        return self.merge_conv(x + y)
