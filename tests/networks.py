"""Small networks with random weights, in the layouts that people have."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.decoder import condition

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


# ---------------------------------------------------------------- AdaIN's family, as its authors wrote it

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of the published encoder, block by block."""


def textbook_encoder(widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """`vgg_normalised.pth` up to relu5_1, with its keys and random weights."""
    modules: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    channels = 3
    for block, (width, depth) in enumerate(zip(widths, DEPTHS, strict=True)):
        if block:
            modules.append(nn.MaxPool2d(2, 2, 0, ceil_mode=True))
        for _ in range(depth):
            modules += [nn.ReflectionPad2d(1), nn.Conv2d(channels, width, 3), nn.ReLU()]
            channels = width
    return _awake(nn.Sequential(*modules))


def textbook_features(encoder: nn.Sequential, picture: Tensor) -> list[Tensor]:
    """relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1: after modules 3, 10, 17, 30 and 43."""
    features, x = [], picture
    for index, module in enumerate(encoder):
        x = module(x)
        if index in (3, 10, 17, 30, 43):
            features.append(x)
    return features


def textbook_decoder(widths: tuple[int, ...] = WIDTHS) -> nn.Sequential:
    """The decoder of AdaIN and of SANet, with its keys and random weights."""
    w1, w2, w3, w4 = widths[:4]
    return _awake(nn.Sequential(*_conv(w4, w3), _up(), *_after_conv4(w3, w3, w2, w1)))


class TextbookAdaAttNDecoder(nn.Module):
    """The decoder of AdaAttN, with its keys and random weights."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        w1, w2, w3, w4 = widths[:4]
        self.decoder_layer_1 = nn.Sequential(*_conv(w4, w3), _up())
        self.decoder_layer_2 = nn.Sequential(*_after_conv4(2 * w3, w3, w2, w1))
        _awake(nn.Sequential(*self.decoder_layer_1, *self.decoder_layer_2))

    def forward(self, merged: Tensor, third: Tensor) -> Tensor:
        x: Tensor = self.decoder_layer_2(torch.cat((self.decoder_layer_1(merged), third), dim=1))
        return x


def _conv(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.ReflectionPad2d(1), nn.Conv2d(inputs, outputs, 3), nn.ReLU()]


def _up() -> nn.Module:
    return nn.Upsample(scale_factor=2, mode="nearest")


def _after_conv4(inputs: int, w3: int, w2: int, w1: int) -> list[nn.Module]:
    return [
        *(*_conv(inputs, w3), *_conv(w3, w3), *_conv(w3, w3), *_conv(w3, w2), _up()),
        *(*_conv(w2, w2), *_conv(w2, w1), _up()),
        *(*_conv(w1, w1), nn.ReflectionPad2d(1), nn.Conv2d(w1, 3, 3)),
    ]


def _awake(network: nn.Sequential) -> nn.Sequential:
    """Weights that keep signals as large as they are: PyTorch's own would let them fade from layer to layer."""
    for module in network:
        if isinstance(module, nn.Conv2d):
            assert module.bias is not None
            nn.init.normal_(module.weight, 0, (2 / module.weight[0].numel()) ** 0.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return network.requires_grad_(False)


def textbook_mvn(x: Tensor) -> Tensor:
    flat = x.flatten(2)
    mean, std = flat.mean(2)[..., None, None], (flat.var(2) + 1e-5).sqrt()[..., None, None]
    return (x - mean) / std


def textbook_attention(query: Tensor, key: Tensor) -> Tensor:
    """The whole matrix, (B, positions of the content, positions of the style)."""
    return torch.softmax(torch.bmm(query.flatten(2).permute(0, 2, 1), key.flatten(2)), dim=-1)


def textbook_adaattn(content: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Content's feature, and what f, g and h made: as in the reference implementation, with the matrix."""
    attention, v = textbook_attention(query, key), value.flatten(2).permute(0, 2, 1)
    mean = torch.bmm(attention, v)
    std = torch.sqrt(torch.relu(torch.bmm(attention, v**2) - mean**2))
    back = [x.permute(0, 2, 1).reshape(len(x), -1, *content.shape[2:]) for x in (mean, std)]
    return back[1] * textbook_mvn(content) + back[0]


def textbook_key(features: list[Tensor], level: int) -> Tensor:
    """Of level 2 (relu3_1), 3 or 4: all layers up to it, at its size, each normalised."""
    size = features[level].shape[2:]
    return torch.cat([textbook_mvn(F.interpolate(one, size)) for one in features[: level + 1]], dim=1)


# ---------------------------------------------------------------- all three methods, small


def picture(*shape: int, seed: int = 0) -> Tensor:
    """Smooth colours and some noise, in [0, 1]."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(shape[0], shape[1], 3, 4, generator=random)
    noise = torch.rand(shape, generator=random)
    return 0.6 * F.interpolate(coarse, shape[2:], mode="bilinear") + 0.4 * noise


def relative_error(found: Tensor, expected: Tensor) -> float:
    assert found.shape == expected.shape
    return ((found - expected).abs().max() / expected.abs().max()).item()


def lively(model: Any) -> Any:
    """Scale the last convolution so that what is painted has contrast: of grey pictures, all are equal."""
    pair = picture(1, 3, 64, 64, seed=8), picture(1, 3, 64, 64, seed=9)
    conv, random = model.network["decoder"].convs["conv1_1"], torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, value in model.network.state_dict().items():
            if name.endswith("bias"):
                value += 0.1 * torch.randn(value.shape, generator=random)
        conv.weight *= 0.2 / model(*pair).std((0, 2, 3))[:, None, None, None]
        conv.bias += 0.5 - model(*pair).mean((0, 2, 3))
    return model


def condition_randomly(decoder: Any, conditions: Tensor | None = None, *, size: float = 0.1, seed: int = 11) -> None:
    """Give a conditioned decoder random weights where it begins with zeros, as if it had been trained.

    Args:
        decoder: changed in place.
        conditions: `(N, D, 1, 1)` of some pictures, to standardise by; None draws random numbers around 0.5.
        size: of the weights.
        seed: of the weights.
    """
    random = torch.Generator().manual_seed(seed)

    def noise(value: Tensor, size: float) -> Tensor:
        return size * torch.randn(value.shape, generator=random).to(value)

    with torch.no_grad():
        if conditions is None:
            decoder.center.copy_(0.5 + noise(decoder.center, 0.1))
            decoder.spread.copy_(0.2 + noise(decoder.spread, 0.05).abs())
        else:
            decoder.center.copy_(conditions.mean(0))
            decoder.spread.copy_(conditions.std(0) + 0.1)
        decoder.components.copy_(noise(decoder.components, decoder.components.shape[1] ** -0.5))
        for value in decoder.modulation.parameters():
            value += noise(value, size)
        for block in decoder.blocks:
            block.conv2.weight += noise(block.conv2.weight, size)


def with_random_conditioning(model: Any) -> Any:
    """Give the conditioned decoder of a model random weights, and what it paints contrast."""
    conditions = condition(model.encoder(torch.cat([picture(1, 3, 64, 64, seed=seed) for seed in (8, 9, 10)])))
    condition_randomly(model.decoder, conditions)
    return lively(model)
