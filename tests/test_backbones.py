"""Networks of torchvision as encoders, against torchvision's own."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import picture
from torch import Tensor, nn
from torchvision.models import get_model

import nstlib as nst
from nstlib.backbones import BACKBONES, _build
from nstlib.weights import imagenet_color, parse_network, save_file

BRANCHING = [name for name, backbone in BACKBONES.items() if backbone.nodes]
PIXELS = picture(1, 3, 80, 112, seed=1)


@functools.cache
def encoder(name: str, *layers: str) -> nst.Encoder:
    return nst.Encoder(name, list(layers) or None, weights="random", seed=3)


def normalised(pictures: Tensor) -> Tensor:
    return nn.functional.conv2d(pictures, *imagenet_color())


@pytest.mark.parametrize("name", BRANCHING)
def test_every_name_stands_for_a_place_in_the_network(name: str) -> None:
    from torchvision.models.feature_extraction import get_graph_node_names

    found = get_graph_node_names(_build(name).eval(), suppress_diff_warning=True)[1]
    backbone = BACKBONES[name]
    for layer, node in backbone.nodes.items():
        assert any(one == node or one.startswith(f"{node}.") for one in found), (layer, node)
    assert {*backbone.content, *backbone.style} <= {*backbone.nodes}


def torchvisions(name: str, seed: int = 3) -> nn.Module:
    """Return torchvision's own network with random weights, and normalisations that matter."""
    options: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):  # PyTorch's own start values take seconds to draw
        network: nn.Module = get_model(name, weights=None, **options).eval()
    if name.startswith("vgg"):
        setattr(network, "classifier", nn.Identity())  # noqa: B010  most of its weights, which no encoder reads
    network.to_empty(device="cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for value in network.state_dict().values():
            if value.ndim > 1:
                nn.init.kaiming_normal_(value)
            elif value.is_floating_point():
                value.uniform_(0.5, 1.5)
            else:
                value.zero_()  # how many batches a normalisation has seen
    if hasattr(network, "transform_input"):
        setattr(network, "transform_input", True)  # noqa: B010  as torchvision does with its weights
    return network


def hooked(network: nn.Module, places: dict[str, str], x: Tensor) -> dict[str, Tensor]:
    """What modules give, in the order in which they do. A copy, since the next module may write in place."""
    noted: dict[str, Tensor] = {}

    def note(layer: str, module: nn.Module, given: Any, out: Tensor) -> None:
        noted[layer] = out.clone()

    for layer, place in places.items():
        network.get_submodule(place).register_forward_hook(functools.partial(note, layer))
    with torch.no_grad():
        network(x)
    return noted


@functools.cache
def encoder_of_all(name: str) -> nst.Encoder:
    """Every named layer of a network with the weights of `torchvisions`."""
    return nst.Encoder(name, list(BACKBONES[name].nodes), weights=torchvisions(name).state_dict())


@pytest.mark.parametrize("name", BRANCHING)
def test_features_are_those_of_torchvision(name: str) -> None:
    """Every named layer at once, against hooks on a network of the same weights, whose activations write in place."""
    places = dict(BACKBONES[name].nodes)
    theirs, ours = torchvisions(name), encoder_of_all(name)
    found, expected = ours(PIXELS), hooked(theirs, places, normalised(PIXELS))
    narrow, wide = ours(picture(1, 3, 80, 96)), ours(picture(1, 3, 80, 96 + 256))
    assert list(found) == list(ours.layers) == list(expected)
    for layer, feature in found.items():
        scale = float(expected[layer].abs().max())
        assert scale > 0
        torch.testing.assert_close(feature / scale, expected[layer] / scale, rtol=1e-4, atol=1e-4)
        assert ours.channels[layer] == feature.shape[1]
        assert abs(wide[layer].shape[3] - narrow[layer].shape[3] - 256 / ours.stride[layer]) <= 1


@pytest.mark.parametrize("name", ["vgg16_bn", "vgg19_bn"])
def test_features_are_those_of_torchvision_with_folded_normalisations(name: str) -> None:
    theirs = torchvisions(name)
    # features.2 is the first ReLU; after every pool a block begins with convolution, normalisation, ReLU
    modules = list(theirs.get_submodule("features").children())
    pools = [index for index, module in enumerate(modules) if isinstance(module, nn.MaxPool2d)]
    starts = [0, *(index + 1 for index in pools[:-1])]
    places = {f"relu{block}_1": f"features.{start + 2}" for block, start in enumerate(starts, 1)}
    deepest = "relu5_4" if name == "vgg19_bn" else "relu5_3"
    places[deepest] = f"features.{pools[-1] - 1}"
    ours = nst.Encoder(theirs.state_dict(), list(places))
    found, expected = ours(PIXELS), hooked(theirs, places, normalised(PIXELS))
    assert list(found) == list(expected)
    for layer, feature in found.items():
        scale = float(expected[layer].abs().max())
        assert scale > 0
        torch.testing.assert_close(feature / scale, expected[layer] / scale, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "inception_v3", "efficientnet_b0"])
def test_random_features_neither_die_out_nor_explode(name: str) -> None:
    """As torchvision makes them, GoogLeNet's end at 1e-11 and Inception's at 1e6: no normalisation has seen a picture."""
    ours = encoder(name)
    sizes = {layer: float(feature.square().mean().sqrt()) for layer, feature in ours(PIXELS).items()}
    assert min(sizes.values()) > 0.05, sizes
    assert max(sizes.values()) < 30, sizes


@pytest.mark.parametrize("name", BRANCHING)
def test_small_pictures_are_read_or_refused(name: str) -> None:
    """The least size works, whatever the layers; below it there is one clear sentence."""
    ours = encoder_of_all(name)
    assert ours.graph is not None
    least = ours.graph.least
    assert least == (80 if name == "inception_v3" else 64)
    with torch.no_grad():
        assert all(feature.numel() for feature in ours(picture(1, 3, least, least + 16)).values())
        refusal = rf"{name} needs pictures of at least {least} x {least} px, got {least - 1} x 96"
        with pytest.raises(ValueError, match=refusal):
            ours(picture(1, 3, least - 1, 96))
    assert encoder("inception_v3").graph.least == 64  # type: ignore[union-attr]  # to its usual layers


def test_nothing_is_written_over() -> None:
    found = encoder("squeezenet1_1", "conv1", "relu1")(PIXELS)
    assert found["conv1"].min() < 0
    assert torch.equal(found["conv1"].relu(), found["relu1"])
    found = encoder("resnet18", "layer1.0.bn2", "layer1.0.add", "layer1.0")(PIXELS)  # torchvision's own names
    assert not torch.equal(found["layer1.0.bn2"], found["layer1.0.add"])
    assert torch.equal(found["layer1.0.add"].relu(), found["layer1.0"])


def test_what_isnt_asked_for_is_not_run() -> None:
    shallow, deep = encoder("resnet18", "layer1"), encoder("resnet18", "layer1", "layer4")
    assert sum(p.numel() for p in shallow.parameters()) < 0.05 * sum(p.numel() for p in deep.parameters())
    assert not any(p.requires_grad for p in deep.parameters())
    assert not deep.train().training
    assert list(deep(PIXELS, ["layer1"])) == ["layer1"]
    torch.testing.assert_close(deep(PIXELS)["layer1"], shallow(PIXELS)["layer1"])


@pytest.mark.parametrize("name", ["squeezenet1_1", "vgg19_mini"])
def test_random_weights_are_a_function_of_the_seed(name: str) -> None:
    before = torch.get_rng_state()
    one, same, other = (nst.Encoder(name, weights="random", seed=seed).fingerprint for seed in (1, 1, 2))
    assert one == same != other
    assert torch.equal(before, torch.get_rng_state())
    own = nst.Encoder("vgg19_mini")
    random = nst.Encoder("vgg19_mini", weights="random")
    assert random.channels == own.channels
    assert random.padding == own.padding
    sizes = [feature.square().mean() for feature in random(PIXELS).values()]
    assert max(sizes) < 30 * min(sizes)  # they neither die out nor explode


@pytest.mark.parametrize("form", ["state dict", "file"])
def test_weights_of_ones_own(form: str, tmp_path: Path) -> None:
    theirs = get_model("squeezenet1_0", weights=None)
    state: Any = theirs.state_dict()
    if form == "file":
        state = save_file(tmp_path / "mine.safetensors", state, {}, half=False)
    ours = nst.Encoder("squeezenet1_0", ["relu1"], weights=state)
    with torch.no_grad():
        torch.testing.assert_close(ours(PIXELS)["relu1"], theirs.features[:2](normalised(PIXELS)), rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="these are no weights of alexnet"):
        nst.Encoder("alexnet", weights=theirs.state_dict())


def test_batch_normalisation_is_folded_into_the_convolutions() -> None:
    """`vgg16_bn` in small: the same network, layer by layer."""
    torch.manual_seed(0)
    modules: list[nn.Module] = []
    channels = 3
    for width in (4, 4, "pool", 6, "pool", 8):
        if width == "pool":
            modules.append(nn.MaxPool2d(2))
            continue
        assert isinstance(width, int)
        modules += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    small = nn.Sequential(*modules)
    for module in small.modules():
        if isinstance(module, nn.BatchNorm2d):
            for one in (module.weight, module.bias, module.running_mean, module.running_var):
                assert one is not None
                nn.init.uniform_(one, 0.5, 1.5)
    small.eval()
    state = {f"features.{key}": value for key, value in small.state_dict().items()}
    ours = nst.Encoder(state, ["relu1_2", "relu2_1", "relu3_1"])
    x = normalised(PIXELS)
    with torch.no_grad():
        for layer, end in (("relu1_2", 6), ("relu2_1", 10), ("relu3_1", 14)):
            torch.testing.assert_close(ours(PIXELS)[layer], small[:end](x), rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match=r"lacks 'features\.1\.running_var'"):
        parse_network({key: value for key, value in state.items() if "features.1.running_var" not in key}, "x")


def test_gatys_takes_the_layers_that_are_usual_for_a_network() -> None:
    content, style = picture(1, 3, 96, 96, seed=1), picture(1, 3, 96, 96, seed=2)
    gatys = nst.Gatys(encoder("squeezenet1_1"), steps=3, pyramid=1)
    assert gatys.loss.content_layers == ("fire6",)
    assert gatys.loss.style_layers == ("relu1", "fire3", "fire5", "fire7", "fire9")
    result = gatys(content, style, progress=False)
    assert result.history[-1]["total"] < 0.9 * result.history[0]["total"]
    assert nst.Gatys().loss.content_layers == ("relu4_2",)
    content, style = picture(1, 3, 128, 160, seed=1), picture(1, 3, 100, 90, seed=2)
    result = nst.Gatys(encoder("squeezenet1_1"), steps=4)(content, style, progress=False)  # a pyramid of usual sizes
    assert [entry["size"] for entry in result.history] == [64, 64, 64, 128]


def test_what_there_isnt_is_told() -> None:
    with pytest.raises(ValueError, match="no network or weights file 'resnet5'; did you mean 'resnet50'"):
        nst.Encoder("resnet5")
    with pytest.raises(ValueError, match="squeezenet1_1 has no layer 'fire1'; did you mean"):
        nst.Encoder("squeezenet1_1", ["fire1"], weights="random")
    with pytest.raises(ValueError, match="can be chosen for networks of the VGG family, and resnet18 is none"):
        nst.Encoder("resnet18", pooling="average")
    with pytest.raises(ValueError, match="random weights need the name of a network"):
        nst.Encoder({}, weights="random")
    with pytest.raises(ValueError, match=r"squeezenet1_1 needs pictures of at least 64 x 64 px, got 63 x 96"):
        encoder("squeezenet1_1")(picture(1, 3, 63, 96))
    with pytest.raises(ValueError, match="squeezenet1_1 has no layer 'relu4_1'"):
        nst.AdaIN("squeezenet1_1")
    with pytest.raises(ValueError, match="are one and the same"):
        nst.Encoder("squeezenet1_1", ["relu1", "features.1"], weights="random")
