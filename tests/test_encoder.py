from __future__ import annotations

import time
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from networks import normalised_state, random_convs, torchvision_state
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

import nstlib as nst
from nstlib.encoder import PaddedConv
from nstlib.weights import IMAGENET_MEAN, IMAGENET_STD

ALL = [
    "conv1_1",
    "relu1_1",
    "conv1_2",
    "relu1_2",
    "pool1",
    "conv2_2",
    "relu3_4",
    "pool3",
    "conv4_2",
    "relu5_1",
    "pool5",
]


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(3))


def exact(*arguments: Any, **options: Any) -> nst.Encoder:
    """Return an encoder in float64, where the same arithmetic gives the same numbers on any processor."""
    return nst.Encoder(*arguments, **options).double()


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """Assert that two features agree in float64; the encoder rounds its constants to float32 when it is made."""
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def by_hand(convs: list[tuple[str, Tensor, Tensor]], x: Tensor, pad: Any, pool: Any) -> dict[str, Tensor]:
    """Return the features of the textbook chain, one line a layer, in float64."""
    features, block, x = {}, "1", x.double()
    for name, weight, bias in convs:
        if name[4] != block:
            x = pool(x)
            features[f"pool{block}"], block = x, name[4]
        x = F.conv2d(pad(x), weight.double(), bias.double())
        features[name] = x
        x = F.relu(x)
        features[name.replace("conv", "relu")] = x
    features[f"pool{block}"] = pool(x)
    return features


def test_torchvision_layout_gives_the_textbook_features(pictures: Tensor) -> None:
    convs = random_convs()
    encoder, pictures = exact(torchvision_state(convs), ALL), pictures.double()
    mean, std = torch.tensor(IMAGENET_MEAN)[:, None, None], torch.tensor(IMAGENET_STD)[:, None, None]
    expected = by_hand(convs, (pictures - mean) / std, lambda x: F.pad(x, (1, 1, 1, 1)), lambda x: F.max_pool2d(x, 2))
    found = encoder(pictures)
    assert list(found) == ALL  # every conv as it was before its ReLU: nothing was overwritten in place
    for layer in ALL:
        same(found[layer], expected[layer])
        assert encoder.channels[layer] == expected[layer].shape[1]
        assert encoder.stride[layer] == 64 // expected[layer].shape[2]


def test_normalised_layout_has_its_own_colours_padding_and_pooling() -> None:
    pictures = torch.rand(1, 3, 75, 67, generator=torch.Generator().manual_seed(5)).double()
    convs = random_convs()
    random = torch.Generator().manual_seed(4)
    color = torch.randn(3, 3, 1, 1, generator=random), torch.randn(3, generator=random)
    encoder = exact(normalised_state(convs, color), ALL)
    expected = by_hand(
        convs,
        F.conv2d(pictures, color[0].double(), color[1].double()),
        lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
        lambda x: F.max_pool2d(x, 2, ceil_mode=True),
    )
    for layer, feature in encoder(pictures).items():
        same(feature, expected[layer])


def test_real_vgg19_layout_is_read_by_name() -> None:
    network = make_layers(cfgs["E"])  # the `features` of torchvision.models.vgg19
    # indices of torchvision's nn.Sequential, from its own printout
    indices = {"conv1_1": 0, "relu2_1": 6, "conv3_4": 16, "relu4_2": 22, "relu5_1": 29}
    x = torch.rand(1, 3, 32, 32)
    mean, std = torch.tensor(IMAGENET_MEAN)[:, None, None], torch.tensor(IMAGENET_STD)[:, None, None]
    encoder = nst.Encoder(network.state_dict(), list(indices))
    found = encoder(x)
    for layer, index in indices.items():
        module = network[: index + 1].eval()
        for step in module:
            if isinstance(step, nn.ReLU):
                step.inplace = False
        with torch.no_grad():
            torch.testing.assert_close(found[layer], module((x - mean) / std), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("padding", ["zeros", "reflect", "replicate"])
@pytest.mark.parametrize("pooling", ["max", "average", "l2"])
def test_pooling_and_padding(pictures: Tensor, pooling: Any, padding: Any) -> None:
    convs = random_convs()
    encoder = exact(torchvision_state(convs), ["relu2_1"], pooling=pooling, padding=padding)
    mean, std = torch.tensor(IMAGENET_MEAN)[:, None, None], torch.tensor(IMAGENET_STD)[:, None, None]
    pictures = pictures.double()
    pools = {
        "max": lambda x: F.max_pool2d(x, 2),
        "average": lambda x: 2 * F.avg_pool2d(x, 2),
        "l2": lambda x: 0.78 * F.lp_pool2d(x, 2, 2),
    }
    modes = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}
    expected = by_hand(
        convs, (pictures - mean) / std, lambda x: F.pad(x, (1, 1, 1, 1), mode=modes[padding]), pools[pooling]
    )
    # the square root of L2 pooling has 1e-8 added under it
    same(encoder(pictures)["relu2_1"], expected["relu2_1"], 1e-3 if pooling == "l2" else 1e-5)


def test_l2_pooling_has_a_finite_gradient_where_all_is_zero() -> None:
    encoder = nst.Encoder(torchvision_state(random_convs()), ["pool1"], pooling="l2")
    for bias in encoder.convs.parameters():
        bias.zero_()
    pictures = torch.rand(1, 3, 8, 8, requires_grad=True)
    encoder(pictures)["pool1"].sum().backward()
    assert pictures.grad is not None
    assert torch.isfinite(pictures.grad).all()


def test_frozen_cut_and_always_in_eval_mode(pictures: Tensor) -> None:
    encoder = nst.Encoder(layers=["relu2_1"])
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert list(encoder.convs) == ["conv1_1", "conv1_2", "conv2_1"]
    assert not encoder.train().training
    pictures.requires_grad_()
    encoder(pictures)["relu2_1"].sum().backward()
    assert pictures.grad is not None
    assert pictures.grad.abs().sum() > 0


def test_works_under_autocast_and_in_double(pictures: Tensor) -> None:
    encoder = nst.Encoder(layers=["relu3_1"])
    exact = encoder(pictures)["relu3_1"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = encoder(pictures)["relu3_1"]
    assert half.dtype == torch.bfloat16
    assert (half.float() - exact).norm() < 0.05 * exact.norm()
    double = nst.Encoder(layers=["relu3_1"]).double()(pictures.double())["relu3_1"]
    torch.testing.assert_close(double.float(), exact, rtol=1e-2, atol=1e-3)


def test_accepts_channels_last_and_does_not_change_its_input(pictures: Tensor) -> None:
    encoder, pictures = exact(layers=["relu4_1"]), pictures.double()
    before = pictures.clone()
    expected = encoder(pictures)["relu4_1"]
    torch.testing.assert_close(encoder(pictures.contiguous(memory_format=torch.channels_last))["relu4_1"], expected)
    assert torch.equal(pictures, before)


def test_the_embedded_network_is_small_quick_to_load_and_scaled(pictures: Tensor) -> None:
    from importlib import resources

    file = resources.files("nstlib") / "weights" / "vgg19_mini.safetensors"
    with resources.as_file(file) as path:
        assert path.stat().st_size <= 3_000_000
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        encoder = nst.Encoder(layers=[f"relu{layer}" for layer in ("1_1", "2_1", "3_1", "4_1", "5_1")])
        seconds.append(time.perf_counter() - begun)
    assert min(seconds) < 2  # a tenth of that where nothing else runs
    photographs = torch.cat(
        [nst.samples.content(name, 128)[..., :128, :128] for name in ("cat", "astronaut", "coffee")]
    )
    for layer, feature in encoder(photographs).items():
        # every channel has a mean activation of about 1 over natural pictures
        assert 0.5 < feature.mean() < 2, layer
        assert (feature.amax((0, 2, 3)) > 0).float().mean() > 0.95, f"{layer} has dead channels"


def test_the_same_pictures_give_the_same_features(pictures: Tensor) -> None:
    first, second = (nst.Encoder(layers=["relu4_1"])(pictures)["relu4_1"] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"layers": ["relu4_9"]}, ["relu4_9", "did you mean 'relu4_", "relu1_1, conv1_2"]),
        ({"layers": "relu4_1"}, ["list of layer names"]),
        ({"layers": []}, ["list of layer names"]),
        ({"name": "vgg19_mimi"}, ["vgg19_mimi", "did you mean 'vgg19_mini'"]),
        ({"pooling": "mean"}, ["mean", "max, average, l2"]),
        ({"padding": "reflekt"}, ["did you mean 'reflect'"]),
    ],
)
def test_wrong_options_are_named(arguments: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ValueError, match=r"\S") as caught:
        nst.Encoder(**arguments)
    assert all(word in str(caught.value) for word in words), caught.value


def test_wrong_pictures_are_named() -> None:
    encoder = nst.Encoder(layers=["relu4_1"])
    with pytest.raises(ValueError, match=r"at least 8 x 8 px, got 7 x 40"):
        encoder(torch.rand(1, 3, 7, 40))
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\), not \(1, 1, 64, 64\)"):
        encoder(torch.rand(1, 1, 64, 64))
    with pytest.raises(ValueError, match=r"not \(3, 64, 64\)"):
        encoder(torch.rand(3, 64, 64))
    with pytest.raises(TypeError, match=r"uint8"):
        encoder(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(TypeError, match=r"str"):
        encoder("cat.jpg")
    assert encoder(torch.rand(1, 3, 8, 8))["relu4_1"].shape[2:] == (1, 1)


def test_layers_behind_the_deepest_wanted_are_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = nst.Encoder(layers=["relu1_1", "relu2_1", "relu5_1"])
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    whole = encoder(picture)
    for name, conv in encoder.convs.items():
        if name > "conv2_1":
            monkeypatch.setattr(conv, "forward", None)
    found = encoder(picture, ["relu1_1", "relu2_1"])
    assert list(found) == ["relu1_1", "relu2_1"]
    for layer, feature in found.items():
        assert torch.equal(feature, whole[layer])


@pytest.mark.parametrize("mode", ["replicate", "reflect"])
def test_padding_is_the_same_where_it_is_compiled(
    mode: Literal["replicate", "reflect"], monkeypatch: pytest.MonkeyPatch
) -> None:
    conv, x = PaddedConv(2, 3, 5, padding=2, padding_mode=mode), torch.rand(2, 2, 6, 3)
    expected = F.conv2d(F.pad(x, (2, 2, 2, 2), mode=mode), conv.weight, conv.bias)
    assert torch.equal(conv(x), expected)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert torch.equal(conv(x), expected)


def test_a_layer_that_was_not_asked_for_is_named() -> None:
    encoder = nst.Encoder(layers=["relu1_1"])
    for layers in ("relu4_1", ["relu1_1", "relu4_1"]):
        with pytest.raises(ValueError, match=r"gives \['relu1_1'\], and not \['relu4_1'\]"):
            encoder(torch.rand(1, 3, 32, 32), layers)
