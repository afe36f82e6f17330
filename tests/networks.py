"""Small networks with random weights, in the layouts that people have."""

from __future__ import annotations

import torch
from torch import Tensor

DEPTHS = (2, 2, 4, 4, 1)


def random_convs(widths: tuple[int, ...] = (4, 6, 8, 10, 12), seed: int = 0) -> list[tuple[str, Tensor, Tensor]]:
    """(name, weight, bias) of conv1_1 .. conv5_1."""
    random = torch.Generator().manual_seed(seed)
    convs, channels = [], 3
    for block, (width, depth) in enumerate(zip(widths, DEPTHS, strict=True), 1):
        for number in range(1, depth + 1):
            weight = torch.randn(width, channels, 3, 3, generator=random) * (2 / (9 * channels)) ** 0.5
            convs.append((f"conv{block}_{number}", weight, 0.1 * torch.randn(width, generator=random)))
            channels = width
    return convs


def torchvision_state(convs: list[tuple[str, Tensor, Tensor]], prefix: str = "features.") -> dict[str, Tensor]:
    """As `torchvision.models.vgg19().state_dict()`: conv, relu, conv, relu, pool, ..."""
    state: dict[str, Tensor] = {}
    index, block = 0, "1"
    for name, weight, bias in convs:
        if name[4] != block:
            index, block = index + 1, name[4]
        state |= {f"{prefix}{index}.weight": weight, f"{prefix}{index}.bias": bias}
        index += 2
    return state


def normalised_state(convs: list[tuple[str, Tensor, Tensor]], color: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    """As `vgg_normalised.pth`: a 1x1 convolution, then pad, conv, relu, ..., pool."""
    state, index, block = {"0.weight": color[0], "0.bias": color[1]}, 2, "1"
    for name, weight, bias in convs:
        if name[4] != block:
            index, block = index + 1, name[4]
        state |= {f"{index}.weight": weight, f"{index}.bias": bias}
        index += 3
    return state
