"""Backbones: the networks that can serve as encoders, the names of their layers, and those that suit style transfer.

A VGG is a chain of convolutions, which `nstlib.encoder` runs itself. Other networks have branches. They are taken from
torchvision unchanged, and `torchvision.models.feature_extraction` finds the nodes at which features can be read. This module
gives familiar names to the most useful ones: `relu2` of AlexNet is the node `features.4`. All other node names work too.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from nstlib.utils.checks import suggest
from nstlib.weights import (
    TORCHVISION,
    Network,
    Source,
    compare_keys,
    download,
    fingerprint,
    load_network,
    parse_network,
    read_checkpoint,
)

LEAST = 64
"""A short side in pixels that is enough for the usual layers of every network in this module."""


@dataclass(frozen=True)
class Backbone:
    """The layers of a network.

    Attributes:
        content: its usual content layers.
        style: its usual style layers, shallow to deep.
        nodes: name of a layer -> its node in torchvision's network. Empty for a VGG, whose layers are named by a rule.
    """

    content: tuple[str, ...]
    style: tuple[str, ...]
    nodes: Mapping[str, str] = field(default_factory=dict)


def _numbered(names: str) -> dict[str, str]:
    """Number the names in 'conv1 relu1 ...' as the modules of an nn.Sequential."""
    return {name: f"features.{number}" for number, name in enumerate(names.split())}


def _same(names: str) -> dict[str, str]:
    return {name: name for name in names.split()}


_VGG = Backbone(("relu4_2",), ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"))
_RESNET = Backbone(
    ("layer3",),
    ("relu1", "layer1", "layer2", "layer3", "layer4"),
    {"relu1": "relu", **_same("layer1 layer2 layer3 layer4")},
)

BACKBONES: dict[str, Backbone] = {
    "vgg19_mini": _VGG,
    **dict.fromkeys(TORCHVISION, _VGG),
    "alexnet": Backbone(
        ("relu4",),
        ("relu1", "relu2", "relu3", "relu4", "relu5"),
        _numbered("conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5"),
    ),
    "squeezenet1_0": Backbone(
        ("fire6",),
        ("relu1", "fire3", "fire5", "fire7", "fire9"),
        _numbered("conv1 relu1 pool1 fire2 fire3 fire4 pool4 fire5 fire6 fire7 fire8 pool8 fire9"),
    ),
    "squeezenet1_1": Backbone(
        ("fire6",),
        ("relu1", "fire3", "fire5", "fire7", "fire9"),
        _numbered("conv1 relu1 pool1 fire2 fire3 pool3 fire4 fire5 pool5 fire6 fire7 fire8 fire9"),
    ),
    "resnet18": _RESNET,
    "resnet50": _RESNET,
    "googlenet": Backbone(
        ("inception4b",),
        ("conv1", "conv3", "inception3b", "inception4c", "inception5a"),
        _same(
            "conv1 conv2 conv3 inception3a inception3b inception4a inception4b inception4c inception4d inception4e "
            "inception5a inception5b"
        ),
    ),
    "inception_v3": Backbone(
        ("Mixed_6a",),
        ("Conv2d_1a_3x3", "Conv2d_2b_3x3", "Mixed_5b", "Mixed_6a", "Mixed_6e"),
        _same(
            "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3 Mixed_5b Mixed_5c Mixed_5d Mixed_6a "
            "Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c"
        ),
    ),
    "efficientnet_b0": Backbone(
        ("stage5",),
        ("stem", "stage2", "stage3", "stage5", "stage7"),
        _numbered("stem stage1 stage2 stage3 stage4 stage5 stage6 stage7"),
    ),
    "convnext_tiny": Backbone(
        ("stage3",),
        ("stem", "stage1", "stage2", "stage3", "stage4"),
        {"stem": "features.0", **{f"stage{number}": f"features.{2 * number - 1}" for number in range(1, 5)}},
    ),
}
"""Name -> layers. Networks with nodes come from torchvision, with its weights and ImageNet's normalisation of pictures."""


def layers_of(name: str, kind: str) -> tuple[str, ...]:
    """Return the usual `"content"` or `"style"` layers of a network. A file or a state dict is taken for a VGG."""
    backbone = BACKBONES.get(name, _VGG)
    return backbone.content if kind == "content" else backbone.style


def load_layer_sequence(name: Source, weights: Source | None, seed: int) -> Network:
    """Return the convolutions of a VGG, with its own weights, random ones, or those of a file or a state dict."""
    if weights is None:
        return load_network(name)
    if weights != "random":
        return load_network(weights)
    if not isinstance(name, str) or name not in BACKBONES:
        raise ValueError(f"random weights need the name of a network, one of {', '.join(BACKBONES)}")
    like = load_network(name) if name == "vgg19_mini" else parse_network(_build(name).state_dict(), name)
    random = torch.Generator().manual_seed(seed)
    convs = {}
    for conv, (weight, bias) in like.convs.items():
        # He et al. 2015: a variance of 2 / inputs preserves the magnitude of activations from layer to layer
        deviation = (2 / weight[0].numel()) ** 0.5
        drawn = deviation * torch.randn(weight.shape, generator=random, dtype=torch.float32)
        convs[conv] = drawn, torch.zeros(bias.shape, dtype=torch.float32)
    return replace(like, convs=convs)


class Graph(nn.Module):
    """A network of torchvision, cut after the deepest layer that is returned.

    Takes the arguments of `nstlib.encoder.Encoder`. Batch normalisations of random networks are fitted to noise.

    Attributes:
        layers: the layers returned, shallowest first.
        channels: layer -> its number of channels.
        stride: layer -> pixels of the picture per position, as a power of 2.
        least: a short side in pixels that is enough for all of these layers: 64, 80 or 96.
        fingerprint: 16 hexadecimal digits that identify the weights.
    """

    def __init__(
        self, name: str, layers: Sequence[str] | None, *, weights: Source | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

        backbone = BACKBONES[name]
        with torch.random.fork_rng(devices=[]):
            torch.random.manual_seed(seed)
            network = _build(name, "cpu" if weights == "random" else "meta").eval()
            if weights == "random":
                _measure_norms(network)
        for module in network.modules():
            if hasattr(module, "inplace"):
                setattr(module, "inplace", False)  # noqa: B010  it would overwrite features that are returned

        found = get_graph_node_names(network, suppress_diff_warning=True)[1]
        nodes = {}
        for layer in layers or dict.fromkeys((*backbone.style, *backbone.content)):
            node = backbone.nodes.get(layer, layer)
            inside = [one for one in found if one == node or one.startswith(f"{node}.")]
            if not inside:
                raise ValueError(f"{name} has no layer {layer!r}{suggest(layer, tuple(backbone.nodes))}")
            nodes[layer] = inside[-1]
        self.layers = tuple(sorted(nodes, key=lambda layer: found.index(nodes[layer])))
        wanted = {nodes[layer]: layer for layer in self.layers}
        if len(wanted) < len(nodes):
            raise ValueError(f"two of the layers {list(self.layers)} of {name} are one and the same")
        if weights != "random":
            state = download(name) if weights is None else read_checkpoint(weights).tensors
            differs = compare_keys(state, network.state_dict())
            if differs:
                raise ValueError(f"these are no weights of {name}: the state dict {differs}")
            network.load_state_dict(state, assign=True)
        self.network = create_feature_extractor(network, wanted, suppress_diff_warning=True)
        graph = self.network.eval_graph
        for node in graph.nodes:  # these must not overwrite anything either
            if node.target is operator.iadd:
                node.target = operator.add
            if "inplace" in node.kwargs:
                node.kwargs = {**node.kwargs, "inplace": False}
        self.network.graph = graph
        self.fingerprint = fingerprint({key: (value,) for key, value in self.network.state_dict().items()})
        with torch.no_grad():
            trial = self.network(torch.zeros(1, 3, 256, 256))
            # Inception's last modules need more than all other networks
            self.least = next(side for side in (LEAST, 80, 96) if side == 96 or self._reads(side))
        self.channels = {layer: one.shape[1] for layer, one in trial.items()}
        self.stride = {layer: 2 ** round(math.log2(256 / one.shape[2])) for layer, one in trial.items()}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Return layer -> `(B, C, h, w)` for normalised pictures `(B, 3, H, W)`."""
        return self.network(x)

    def _reads(self, side: int) -> bool:
        try:
            self.network(torch.zeros(1, 3, side, side))
        except RuntimeError:
            return False
        return True


def _build(name: str, device: str = "meta") -> nn.Module:
    """Return a network without its weights. On "meta", no random numbers are drawn for weights that are replaced anyway."""
    from torchvision.models import get_model

    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": True, "init_weights": False}
    with torch.device(device):
        network: nn.Module = get_model(name, weights=None, **options)
    if hasattr(network, "transform_input"):
        setattr(network, "transform_input", True)  # noqa: B010  these two expect another normalisation than the others
    return network


@torch.no_grad()
def _measure_norms(network: nn.Module) -> None:
    """Set the batch normalisations of a random network to the mean and variance of their inputs, as training would do.

    With mean 0 and variance 1, GoogLeNet's features would shrink to 1e-11 of the picture's size, and Inception's would grow
    to 1e6.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    # noise with structure at all scales, as in photographs
    grains = [torch.randn(4, 3, 2**k, 2**k) for k in range(1, 8)]
    noise = torch.stack([nn.functional.interpolate(grain, (128, 128), mode="bilinear") for grain in grains])
    for norm in norms:
        norm.train()
        norm.momentum = None  # plain means, not running ones
        norm.reset_running_stats()
    network(noise.sum(0) / len(grains) ** 0.5)  # (4, 3, 128, 128), variance about 1
    network.eval()
