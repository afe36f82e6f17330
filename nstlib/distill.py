"""Pruning a VGG by least squares, and the network that is distilled from it: how `vgg19_mini` was made.

1. **Prune** (`prune`). Layer by layer, choose the channels of the teacher that best span all of them linearly. Then solve a
   least-squares problem from the student's own input patches to the teacher's pre-activations of these channels.
2. **Distil** (`Student`). All layers are trained together, so that the teacher's features can be computed from theirs by
   linear maps. `tools/distiller` in the repository does this.
3. **Scale** (`scale`). A ReLU network computes the same function if a channel is divided by s and the weights that read it
   are multiplied by s. Therefore every channel is scaled to a mean activation of 1 over natural pictures, as Gatys did with
   VGG19.

Convolutions use replication padding. In VGG19's relu3_4, the features of the outermost 8 pixels are then three times closer
to those of a picture that continues beyond its border than with zeros, and even closer in shallower layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.encoder import Encoder
from nstlib.weights import fold, imagenet_color

LAYERS = tuple(f"{block}_{n}" for block, depth in enumerate((2, 2, 4, 4, 1), 1) for n in range(1, depth + 1))
"""The convolutions of the student, conv1_1 to conv5_1."""
WIDTHS = (16, 16, 48, 48, 96, 64, 64, 80, 160, 128, 128, 128, 128)
"""Their channels. The layers that methods read are wide, and most of the layers in between are narrower."""
PADDING: Literal["replicate"] = "replicate"

Convs = dict[str, tuple[Tensor, Tensor]]


def select_channels(features: Tensor, count: int) -> Tensor:
    """Choose greedily the `count` channels of features `(N, C)` that best span all of them linearly. Return their indices.

    Features are standardised first, because a choice by raw energy loses the colours. Each round takes the channel that
    explains most of the remaining variance of all channels, and subtracts what it explains.
    """
    x = features.double()
    x = (x - x.mean(0)) / x.std(0).clamp(min=1e-6)
    covariance = x.T @ x / len(x)  # (C, C), of what has not been explained yet
    chosen: list[int] = []
    for _ in range(count):
        variance = covariance.diagonal()
        # channel j explains sum_i cov_ij^2 / var_j of the others
        gain = covariance.square().sum(0) / variance.clamp(min=1e-9)
        gain[variance < 1e-6] = -1
        gain[chosen] = -2  # even a channel that is never active is better than one that was chosen before
        best = int(gain.argmax())
        chosen.append(best)
        column = covariance[:, best].clone()
        covariance = covariance - torch.outer(column, column) / column[best].clamp(min=1e-9)
    return torch.tensor(sorted(chosen))


def least_squares(x: Tensor, y: Tensor, ridge: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Fit weight `(K, D)` and bias `(K,)` to `y = x W^T + b` by least squares, for x `(N, D)` and y `(N, K)`."""
    x, y = x.double(), y.double()
    mean_x, mean_y = x.mean(0), y.mean(0)
    covariance = (x - mean_x).T @ (x - mean_x)
    covariance += ridge * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
    weight = torch.linalg.solve(covariance, (x - mean_x).T @ (y - mean_y)).T
    return weight.float(), (mean_y - weight @ mean_x).float()


@torch.inference_mode()
def prune(teacher: Convs, widths: Sequence[int], pictures: Tensor, *, positions: int = 200, seed: int = 0) -> Convs:
    """Prune a VGG to `widths` channels per layer, without gradients.

    Args:
        teacher: name -> (weight, bias), for any number of layers from conv1_1 on.
        pictures: `(B, 3, H, W)`, the pictures from which features are sampled.
        positions: number of samples per picture and layer.
    """
    random = torch.Generator().manual_seed(seed)
    convs = [name for name in teacher if name.removeprefix("conv") in LAYERS]
    full = Encoder(flatten({name: teacher[name] for name in convs}), convs, padding=PADDING)
    places: dict[str, list[Tensor]] = {name: [] for name in convs}
    samples: dict[str, list[Tensor]] = {name: [] for name in convs}
    for picture in pictures.split(1):
        for name, feature in full(picture).items():
            place = torch.randint(feature[0, 0].numel(), (positions,), generator=random)
            places[name].append(place)
            samples[name].append(_read([feature], [place]))

    student: Convs = {}
    inputs = [F.conv2d(picture, *imagenet_color()) for picture in pictures.split(1)]
    previous = "conv1"
    for name in convs:
        if name.split("_")[0] != previous:
            inputs, previous = [F.max_pool2d(x, 2) for x in inputs], name.split("_")[0]
        target = torch.cat(samples[name])  # (N, C) pre-activations
        chosen = select_channels(target.relu(), widths[LAYERS.index(name.removeprefix("conv"))])
        padded = [F.pad(x, (1, 1, 1, 1), mode=PADDING) for x in inputs]
        patches = _read((F.unfold(x, 3) for x in padded), places[name])  # (N, 9 C_in)
        weight, bias = least_squares(patches, target[:, chosen])
        student[name] = (weight.view(len(chosen), -1, 3, 3), bias)
        inputs = [F.conv2d(x, *student[name]).relu() for x in padded]
        error = linear_error(_read(inputs, places[name]), target.relu())
        print(f"prune {name}: {target.shape[1]} -> {len(chosen)} channels, linear error {error:.3f}", flush=True)
    return student


def _read(maps: Iterable[Tensor], places: Sequence[Tensor]) -> Tensor:
    """Return the values of maps `(1, C, ...)` at the positions given for each of them, `(N, C)`."""
    return torch.cat([one.flatten(2)[0][:, place].T for one, place in zip(maps, places)])


def linear_error(x: Tensor, y: Tensor) -> float:
    """Return the share of y that no linear map of x explains: sum of squared residuals / sum of squares."""
    weight, bias = least_squares(x, y)
    return float((y - x @ weight.T - bias).square().sum() / y.square().sum())


def flatten(convs: Convs) -> dict[str, Tensor]:
    """Turn name -> (weight, bias) into the flat state dict of a whole network, including its colour map."""
    named = {"color": imagenet_color(), **convs}
    return {f"{name}.{part}": value for name, pair in named.items() for part, value in zip(("weight", "bias"), pair)}


class Student(nn.Module):
    """The network during training: like the encoder, with batch normalisation in the layers that were not pruned."""

    def __init__(self, pruned: Convs, widths: Sequence[int]) -> None:
        super().__init__()
        self.color = imagenet_color()
        self.convs: dict[str, nn.Conv2d] = {}
        self.norms: dict[str, nn.BatchNorm2d] = {}
        channels = 3
        for layer, width in zip(LAYERS, widths, strict=True):
            conv = nn.Conv2d(channels, width, 3, padding=1, padding_mode=PADDING)
            if f"conv{layer}" in pruned:
                weight, bias = pruned[f"conv{layer}"]
                conv.weight, conv.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
            else:
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
                self.norms[layer] = nn.BatchNorm2d(width)
            self.convs[layer] = conv
            channels = width
        # the dicts above are typed, but only modules in a ModuleList or an attribute are trained and saved
        self.conv_modules, self.norm_modules = nn.ModuleList(self.convs.values()), nn.ModuleList(self.norms.values())
        self.to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        x = F.conv2d(pictures, *self.color).contiguous(memory_format=torch.channels_last)
        features, block = {}, "1"
        for layer in LAYERS:
            if layer[0] != block:
                x, block = F.max_pool2d(x, 2), layer[0]
            x = self.convs[layer](x)
            if layer in self.norms:
                x = self.norms[layer](x)
            features[f"relu{layer}"] = x = F.relu(x)
        return features

    @torch.no_grad()
    def export(self) -> Convs:
        """Return the convolutions, with batch normalisations folded into them."""
        convs: Convs = {}
        for layer, conv in self.convs.items():
            assert conv.bias is not None
            weight, bias = conv.weight.detach().clone(), conv.bias.detach().clone()
            if layer in self.norms:
                weight, bias = fold(self.norms[layer].state_dict(prefix="norm."), (weight, bias), "norm")
            convs[f"conv{layer}"] = (weight.contiguous(), bias)
        return convs


def color_blocks(pictures: Tensor) -> Tensor:
    """Return means over 8 x 8 blocks in YIQ, each channel divided by its standard deviation in natural pictures."""
    # Y, I, Q of RGB
    yiq = pictures.new_tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    spread = pictures.new_tensor([0.25, 0.10, 0.045])
    return F.avg_pool2d(F.conv2d(pictures, (yiq / spread[:, None])[:, :, None, None]), 8)


RARE = 3.0
"""The largest ratio between the root mean square of a channel and its mean; see `scale`."""


@torch.inference_mode()
def scale(convs: Convs, pictures: Tensor) -> Convs:
    """Scale every channel to a mean activation of 1 over `pictures`. The network computes the same up to these factors.

    A channel that is rarely active has a small mean and large peaks. Scaled to a mean of 1, it would dominate a Gram matrix,
    so it is scaled to a root mean square of 3 instead.
    """
    encoder = Encoder(flatten(convs), [name.replace("conv", "relu") for name in convs], padding=PADDING)
    means = {layer: torch.zeros(channels) for layer, channels in encoder.channels.items()}
    squares = {layer: torch.zeros(channels) for layer, channels in encoder.channels.items()}
    for picture in pictures.split(1):
        for layer, feature in encoder(picture).items():
            means[layer] += feature.mean((0, 2, 3)) / len(pictures)
            squares[layer] += feature.square().mean((0, 2, 3)) / len(pictures)
    scaled: Convs = {}
    before = torch.ones(3)
    for name, (weight, bias) in convs.items():
        layer = name.replace("conv", "relu")
        after = torch.maximum(means[layer], squares[layer].sqrt() / RARE).clamp(min=1e-4)
        scaled[name] = (weight * before[None, :, None, None] / after[:, None, None, None], bias / after)
        before = after
    return scaled
