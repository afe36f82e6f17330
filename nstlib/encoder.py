"""The encoder: turns pictures into the features of the layers that you name.

A convolutional network that was trained to recognise objects turns a picture into feature maps: edges and colours in its
first layers, textures and parts of objects in later ones. Every method of this library reads pictures with such a network,
whose weights are frozen. Networks of the VGG family (Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556) are chains
of

    conv3x3 -> ReLU,   conv3x3 -> ReLU,   ...,   2x2 pool

and their layers are named by block and number: `conv3_1`, `relu3_1`, `pool3`. Networks with branches come from
`nstlib.backbones`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.backbones import BACKBONES, Graph, layers_of, load_layer_sequence
from nstlib.losses import no_autocast
from nstlib.utils.checks import check_int, check_layers, check_option, check_picture, suggest
from nstlib.utils.files import expand_home
from nstlib.weights import Network, Padding, Source, fingerprint, imagenet_color

Pooling = Literal["max", "average", "l2"]


class AveragePool(nn.AvgPool2d):
    """The mean of 2 x 2 positions, doubled to preserve the magnitude of activations."""

    def forward(self, x: Tensor) -> Tensor:
        return 2.0 * super().forward(x)


class L2Pool(nn.AvgPool2d):
    """The root of the sum of squares of 2 x 2 positions, scaled to preserve the magnitude of activations."""

    def forward(self, x: Tensor) -> Tensor:
        mean = super().forward(x.float().square())  # squares overflow in float16
        # the small constant keeps the gradient finite where all four values are zero
        return (0.78 * (4.0 * mean + 1e-8).sqrt()).to(x.dtype)


POOLS: dict[Pooling, type[nn.Module]] = {"max": nn.MaxPool2d, "average": AveragePool, "l2": L2Pool}


class Encoder(nn.Module):
    """A frozen network, cut after the deepest layer asked for, with its preprocessing inside.

    Args:
        name: `"vgg19_mini"` (part of the package, no download), a network of torchvision with its weights (`"vgg19"`,
            `"vgg16"`, `"vgg19_bn"`, `"vgg16_bn"`, `"alexnet"`, `"squeezenet1_0"`, `"squeezenet1_1"`, `"resnet18"`,
            `"resnet50"`, `"googlenet"`, `"inception_v3"`, `"efficientnet_b0"`, `"convnext_tiny"`), the path of a file with a
            VGG's weights, or a state dict of one (torchvision's layout, or that of `vgg_normalised.pth`).
        layers: the names of the layers to return. A VGG has `convB_N`, `reluB_N` and `poolB`, where `reluB_N` follows the
            batch normalisation if there is one. For other networks, see `nstlib.backbones.BACKBONES`. None is the usual
            style layers of the network (and its content layers, if it isn't a VGG).
        weights: None for the network's own, `"random"`, or a path or state dict in torchvision's layout.
        pooling: `"max"`, `"average"` or `"l2"`. The last two are scaled (by 2 and 0.78) to preserve the magnitude of
            activations. Only for a VGG, as is padding.
        padding: `"zeros"`, `"reflect"` or `"replicate"`. None is the padding that the weights were trained with, which is
            `"replicate"` for `vgg19_mini`.
        seed: seed of random weights.

    Attributes:
        name: the name of a network, a path, or "given" for a state dict.
        layers: the layers returned, shallowest first.
        channels: layer -> its number of channels C.
        stride: layer -> pixels of the picture per position.
        fingerprint: 16 hexadecimal digits that identify the weights.

    Raises:
        ValueError: an unknown network, path (as text), layer, pooling or padding, or weights that don't fit.
        OSError: the weights can't be read, or are neither on this machine nor downloadable.

    Example:
        >>> encoder = Encoder(layers=["relu1_1", "relu4_1"])
        >>> features = encoder(torch.rand(1, 3, 64, 96))
        >>> {layer: tuple(feature.shape[2:]) for layer, feature in features.items()}
        {'relu1_1': (64, 96), 'relu4_1': (8, 12)}
    """

    layers: tuple[str, ...]
    channels: dict[str, int]
    stride: dict[str, int]
    padding: Padding
    color_weight: Tensor
    color_bias: Tensor
    steps: dict[str, nn.Module]
    """Layer -> the module that computes it from the previous layer, in order."""

    def __init__(
        self,
        name: Source = "vgg19_mini",
        layers: Sequence[str] | None = None,
        *,
        weights: Source | None = None,
        pooling: Pooling = "max",
        padding: Padding | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_option("pooling", pooling, get_args(Pooling))
        if padding is not None:
            check_option("padding", padding, get_args(Padding))
        if isinstance(name, str) and name not in BACKBONES and not expand_home(name).exists():
            raise ValueError(f"no network or weights file {name!r}{suggest(name, tuple(BACKBONES))}")
        layers = None if layers is None else check_layers("layers", layers)
        if layers == ():
            raise ValueError("layers must be a list of layer names such as ['relu4_1'], got []")
        seed = check_int("seed", seed, 0)
        self.name = "given" if isinstance(name, Mapping) else os.fspath(name)
        self.pooling: Pooling = pooling
        self.graph: Graph | None = None
        branches = isinstance(name, str) and name in BACKBONES and bool(BACKBONES[name].nodes)
        if branches and (pooling != "max" or padding is not None):
            raise ValueError(f"pooling and padding can be chosen for networks of the VGG family, and {name} is none")
        with torch.device("cpu"):  # where weights and generators are, whatever PyTorch's default device is
            if branches:
                graph = self.graph = Graph(str(name), layers, weights=weights, seed=seed)
                self.layers, self.channels, self.stride = graph.layers, graph.channels, graph.stride
                self.fingerprint, self.least = graph.fingerprint, graph.least
                self.convs, self.steps, color = nn.ModuleDict(), {}, imagenet_color()
            else:
                network = load_layer_sequence(name, weights, seed)
                color = network.color
                self._take_layer_sequence(network, layers or layers_of(self.name, "style"), padding)
        self.register_buffer("color_weight", color[0].clone())
        self.register_buffer("color_bias", color[1].clone())
        self.requires_grad_(False)
        self.to(memory_format=torch.channels_last)
        self.eval()

    def _take_layer_sequence(self, network: Network, layers: Sequence[str], padding: Padding | None) -> None:
        """Build a VGG, convolution by convolution."""
        self.fingerprint = network.fingerprint
        self.padding = padding or network.padding
        if (self.pooling, self.padding) != ("max", network.padding):  # the same weights compute other features
            self.fingerprint = fingerprint({}, f"{network.fingerprint} {self.pooling} {self.padding}")

        # The chain: conv1_1, relu1_1, conv1_2, relu1_2, pool1, conv2_1, ...
        layer_sequence: list[str] = []
        for block, names in itertools.groupby(network.convs, key=lambda name: name.removeprefix("conv").split("_")[0]):
            for name in names:
                layer_sequence += [name, name.replace("conv", "relu")]
            layer_sequence.append(f"pool{block}")
        for layer in layers:
            if layer not in layer_sequence:
                label = "this network" if self.name == "given" else self.name
                raise ValueError(f"{label} has no layer {layer!r}{suggest(layer, layer_sequence)}")
        self.layers = tuple(layer for layer in layer_sequence if layer in layers)
        layer_sequence = layer_sequence[: layer_sequence.index(self.layers[-1]) + 1]
        # every pool takes 2 positions to make 1, and reflection needs 2 positions to have a neighbour
        pools = sum(step.startswith("pool") for step in layer_sequence)
        self.least = 2**pools * (2 if self.padding == "reflect" else 1)
        self.convs = nn.ModuleDict()
        self.steps, self.channels, self.stride = {}, {}, {}
        channels, stride = 3, 1
        for previous, step in zip(("", *layer_sequence), layer_sequence):
            if step.startswith("conv"):
                weight, bias = network.convs[step]
                channels = weight.shape[0]
                kind = nn.Conv2d if self.padding == "zeros" else PaddedConv
                # on "meta", so that no random numbers are drawn for weights that are replaced immediately
                conv = kind(weight.shape[1], channels, 3, padding=1, padding_mode=self.padding, device="meta")
                conv.weight, conv.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
                self.steps[step] = self.convs[step] = conv
            elif step.startswith("relu"):
                # in place to save memory, unless it would overwrite features that may be returned
                self.steps[step] = nn.ReLU(inplace=previous not in self.layers)
            else:
                self.steps[step] = POOLS[self.pooling](2, ceil_mode=network.ceil_mode)
                stride *= 2
            if step in self.layers:
                self.channels[step], self.stride[step] = channels, stride

    def forward(self, pictures: Tensor, layers: Sequence[str] | None = None) -> dict[str, Tensor]:
        """Return features of pictures.

        Args:
            pictures: `(B, 3, H, W)`, RGB in [0, 1]. Values are not clamped, because an optimiser may step outside.
            layers: those of the encoder's layers to return. None is all of them. A VGG stops after the deepest of them.

        Returns:
            layer -> `(B, C, h, w)`. In a VGG, h = H / stride and w = W / stride, rounded down (up in ceil mode). In other
            networks, they may be up to three positions smaller.
        """
        check_picture(pictures, "pictures", any_values=True)
        if min(pictures.shape[2:]) < self.least:
            raise ValueError(
                f"{self.layers[-1]} of {self.name} needs pictures of at least {self.least} x {self.least} px, "
                f"got {pictures.shape[2]} x {pictures.shape[3]}; take a larger picture or a shallower layer"
            )
        wanted = set(self.layers if layers is None else layers)
        if not wanted <= set(self.layers):
            missing = [layers] if isinstance(layers, str) else sorted(wanted - set(self.layers))
            raise ValueError(f"the encoder gives {list(self.layers)}, and not {missing}: name them when you make it")
        # One affine map of the colours replaces the preprocessing of any network: x -> W x + b
        x = pictures.to(self.color_weight.dtype).permute(0, 2, 3, 1)  # (B, H, W, 3): channels last from here on
        x = F.linear(x, self.color_weight[:, :, 0, 0], self.color_bias).permute(0, 3, 1, 2)  # (B, 3, H, W)
        features: dict[str, Tensor] = {} if self.graph is None else self.graph(x)
        for step, module in self.steps.items():  # of a VGG
            x = module(x)
            if step in wanted:
                features[step] = x
                if len(features) == len(wanted):
                    break
        return {layer: features[layer] for layer in self.layers if layer in wanted}

    @property
    def layer_sequence(self) -> tuple[str, ...]:
        """The layers of a VGG that are computed, in order. Empty for networks with branches."""
        return tuple(self.steps)

    @property
    def width(self) -> float:
        """The width of the first layer, relative to that of `vgg19_mini`."""
        return next(iter(self.convs.parameters())).shape[0] / 16 if self.convs else 4.0

    def reach(self, layers: Sequence[str]) -> int:
        """Return the radius of these layers' receptive field in pixels, for windows that are aligned with all pools."""
        reach = deepest = 0
        stride = 1
        for step in self.steps:
            if step.startswith("conv"):
                reach += stride
            elif step.startswith("pool"):
                stride *= 2
            if step in layers:
                deepest = reach
        return deepest

    def train(self, mode: bool = True) -> Encoder:
        """Stay in eval mode, even if a module that holds the encoder is switched to training mode."""
        return super().train(False)

    def extra_repr(self) -> str:
        more = "" if self.graph is not None else f", pooling={self.pooling!r}, padding={self.padding!r}"
        return f"layers={list(self.layers)}{more}"


class PaddedConv(nn.Conv2d):
    """A convolution that pads in the precision of its input, where autocast would pad in float32."""

    def forward(self, x: Tensor) -> Tensor:
        with no_autocast(x):
            # PyTorch 2.4 can't pad float16 on a CPU, and 2.15 compiles a wrong gradient for channels-last tensors
            if (x.dtype == torch.float16 and x.device.type == "cpu") or torch.compiler.is_dynamo_compiling():
                x = self._pad_by_places(x)
            else:
                x = F.pad(x, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _pad_by_places(self, x: Tensor) -> Tensor:
        left, _, top, _ = self._reversed_padding_repeated_twice
        for dim, margin in ((2, top), (3, left)):
            last = x.shape[dim] - 1
            places = torch.arange(-margin, last + margin + 1, device=x.device)
            # replicate: 0 0 1 2 2, reflect: 1 0 1 2 1
            places = places.clamp(0, last) if self.padding_mode == "replicate" else last - (last - places.abs()).abs()
            x = x.index_select(dim, places)
        return x


def convolve_upsampled(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Upsample a map by 2 (nearest neighbour) and convolve it, 3 x 3 with reflection padding, with 4/9 of the products.

    `x` is `(B, C_in, H, W)`, `weight` is `(C_out, C_in, 3, 3)`, and the result is `(B, C_out, 2H, 2W)`.
    """
    # Every pixel of the small map becomes a square of 2 x 2 pixels. The flipped 3x3 kernel spreads each of these over 3 x 3
    # pixels, so the square spreads over 4 x 4: the sum of four kernels, each shifted to another corner
    merged = torch.stack([F.pad(weight.flip(2, 3), (i, 1 - i, j, 1 - j)) for i in (0, 1) for j in (0, 1)]).sum(0)
    # reflection padding after upsampling is replication padding on the small map
    return F.conv_transpose2d(F.pad(x, [1] * 4, mode="replicate"), merged.transpose(0, 1), bias, stride=2, padding=3)


def as_encoder(
    encoder: Source | Encoder, layers: Sequence[str], *, pooling: Pooling = "max", padding: Padding | None = None
) -> Encoder:
    """Return an encoder with these layers: the given one, or a new one for a name, a path or a state dict."""
    if not isinstance(encoder, Encoder):
        return Encoder(encoder, layers, pooling=pooling, padding=padding)
    missing = [layer for layer in layers if layer not in encoder.layers]
    if missing:
        raise ValueError(f"the encoder gives {list(encoder.layers)}, and lacks {missing}: name them in its layers")
    return encoder
