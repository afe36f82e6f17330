"""AdaAttN alone; what it shares with AdaIN and SANet is in test_arbitrary.py."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import (
    WIDTHS,
    TextbookAdaAttNDecoder,
    picture,
    random_convs,
    relative_error,
    textbook_adaattn,
    textbook_decoder,
    textbook_encoder,
    textbook_features,
    textbook_key,
    textbook_mvn,
    torchvision_state,
)
from torch import Tensor, nn

import nstlib as nst
from nstlib.adaattn import (
    LAYERS,
    AdaAttN,
    AdaAttNObjective,
    AttentionNorm,
    adaattn,
    attention_key,
    parameter_free_adaattn,
    resize_to,
    up_to,
)
from nstlib.losses import adain, moments

SMALL = (4, 6, 8, 10, 10)


class TextbookModule(nn.Module):
    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.f, self.g = (nn.Conv2d(key_channels, key_channels, 1) for _ in range(2))
        self.h = nn.Conv2d(channels, channels, 1)

    def forward(self, content: Tensor, style: Tensor, content_key: Tensor, style_key: Tensor) -> Tensor:
        return textbook_adaattn(content, self.f(content_key), self.g(style_key), self.h(style))


class TextbookTransformer(nn.Module):
    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.attn_adain_4_1 = TextbookModule(widths[3], sum(widths[:4]))
        self.attn_adain_5_1 = TextbookModule(widths[4], sum(widths))
        self.merge_conv = nn.Conv2d(widths[3], widths[3], 3)

    def forward(self, c: list[Tensor], s: list[Tensor]) -> Tensor:
        fourth = self.attn_adain_4_1(c[3], s[3], textbook_key(c, 3), textbook_key(s, 3))
        fifth = self.attn_adain_5_1(c[4], s[4], textbook_key(c, 4), textbook_key(s, 4))
        up = nn.Upsample(scale_factor=2, mode="nearest")(fifth)
        merged: Tensor = self.merge_conv(nn.ReflectionPad2d(1)(fourth + up))
        return merged


class Published:
    """The four networks with random weights, and what they paint."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        self.parts: dict[str, Any] = {
            "encoder": textbook_encoder(widths),
            "adaattn_3": TextbookModule(widths[2], sum(widths[:3])).requires_grad_(False),
            "transformer": TextbookTransformer(widths).requires_grad_(False),
            "decoder": TextbookAdaAttNDecoder(widths),
        }
        self.states = {part: network.state_dict() for part, network in self.parts.items()}

    def paint(self, content: Tensor, style: Tensor) -> Tensor:
        c, s = (textbook_features(self.parts["encoder"], one) for one in (content, style))
        third = self.parts["adaattn_3"](c[2], s[2], textbook_key(c, 2), textbook_key(s, 2))
        painted: Tensor = self.parts["decoder"](self.parts["transformer"](c, s), third)
        return painted

    def double(self) -> Published:
        for network in self.parts.values():
            network.double()
        return self


@functools.cache
def small() -> Published:
    """Its states are in single precision, what it paints in double: then no rounding is in the way."""
    return Published(SMALL).double()


def test_published_weights_paint_what_they_painted() -> None:
    full = Published(WIDTHS)
    shapes = {
        f"{part}.{key}": tuple(value.shape)
        for part in ("adaattn_3", "transformer", "decoder")
        for key, value in full.states[part].items()
    }
    convs = {
        **{f"adaattn_3.{name}": (448, 448, 1) for name in "fg"},
        "adaattn_3.h": (256, 256, 1),
        **{f"transformer.attn_adain_4_1.{name}": (960, 960, 1) for name in "fg"},
        "transformer.attn_adain_4_1.h": (512, 512, 1),
        **{f"transformer.attn_adain_5_1.{name}": (1472, 1472, 1) for name in "fg"},
        "transformer.attn_adain_5_1.h": (512, 512, 1),
        "transformer.merge_conv": (512, 512, 3),
        "decoder.decoder_layer_1.1": (256, 512, 3),
        "decoder.decoder_layer_2.1": (256, 512, 3),
        **{f"decoder.decoder_layer_2.{number}": (256, 256, 3) for number in (4, 7)},
        "decoder.decoder_layer_2.10": (128, 256, 3),
        "decoder.decoder_layer_2.14": (128, 128, 3),
        "decoder.decoder_layer_2.17": (64, 128, 3),
        "decoder.decoder_layer_2.21": (64, 64, 3),
        "decoder.decoder_layer_2.24": (3, 64, 3),
    }
    expected: dict[str, tuple[int, ...]] = {f"{key}.weight": (a, b, side, side) for key, (a, b, side) in convs.items()}
    assert shapes == expected | {f"{key}.bias": size[:1] for key, size in convs.items()}
    model = AdaAttN.from_checkpoint(**full.states)
    for part, parameters in (("adaattn_3", 468_096), ("transformer", 9_066_752), ("decoder", 4_095_043)):
        assert sum(p.numel() for p in model.network[part].parameters()) == parameters, part
    content, style = picture(1, 3, 32, 48, seed=1), picture(1, 3, 43, 37, seed=2)
    found = model(content, style).detach()
    content, style = content.double(), style.double()
    exact = full.double().paint(content, style)
    assert relative_error(model.double()(content, style).detach(), exact) < 1e-10
    # In single precision, sharp attention and the root of a difference of squares cost digits: the textbook itself is off
    # by 1e-5 to 2.4e-5, and ours by 5e-6.
    assert (found - exact).norm() < 1e-4 * exact.norm()


@pytest.mark.parametrize("form", ["module.", "files"])
def test_published_weights_come_in_several_forms(form: str, tmp_path: Path) -> None:
    content, style = picture(2, 3, 48, 64, seed=1).double(), picture(2, 3, 43, 37, seed=2).double()
    parts: dict[str, Any] = {}
    for part, state in small().states.items():
        if form == "module.":
            parts[part] = {f"module.{key}": one for key, one in state.items()}
        else:
            parts[part] = tmp_path / f"latest_net_{part}.pth"
            torch.save(state, parts[part])
    model = AdaAttN.from_checkpoint(**parts).double()
    assert relative_error(model(content, style).detach(), small().paint(content, style)) < 1e-10


def test_other_checkpoints_are_told() -> None:
    states = small().states
    torch.manual_seed(0)
    adain = textbook_decoder(SMALL).state_dict()
    with pytest.raises(
        ValueError, match="this decoder takes no features of relu3_1: it was trained for another method"
    ):
        AdaAttN.from_checkpoint(**{**states, "decoder": adain})
    with pytest.raises(ValueError, match=r"no network of AdaAttN: it lacks \['transformer.*has besides \['transformer"):
        AdaAttN.from_checkpoint(**{**states, "transformer": states["adaattn_3"]})
    with pytest.raises(ValueError, match=r"the decoder takes 10 channels at relu4_1, and this encoder gives 160"):
        AdaAttN.from_checkpoint(**{**states, "encoder": "vgg19_mini"})
    other = textbook_encoder((4, 6, 9, 10, 10)).state_dict()
    with pytest.raises(ValueError, match=r"the decoder takes 8 channels at relu3_1, and this encoder gives 9"):
        AdaAttN.from_checkpoint(**{**states, "encoder": other})


def module() -> AttentionNorm:
    """Return a level with random weights, in float64."""
    torch.manual_seed(0)
    return AttentionNorm(5, 9).requires_grad_(False).double()


def inputs() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Content, its key, style, its key."""
    random = torch.Generator().manual_seed(0)
    shapes = (2, 5, 6, 4), (2, 9, 6, 4), (2, 5, 3, 7), (2, 9, 3, 7)
    content, content_key, style, key = (torch.randn(shape, generator=random).double() for shape in shapes)
    return content, content_key, 3 + 2 * style, key


def test_one_level_is_that_of_the_paper() -> None:
    norm, (content, content_key, style, key) = module(), inputs()
    other = TextbookModule(5, 9).double()
    other.load_state_dict(norm.state_dict())
    found = adaattn(content, norm.f(content_key), norm.g(key), norm.h(style))
    torch.testing.assert_close(found, other(content, style, content_key, key).detach())


def test_flat_attention_is_adain_but_for_the_unbiased_std() -> None:
    norm, (content, content_key, style, key) = module(), inputs()
    norm.f.weight.zero_()
    norm.f.bias.zero_()  # type: ignore[union-attr]
    value = norm.h(style)
    found = adaattn(content, norm.f(content_key), norm.g(key), value)
    flat = value.flatten(2)
    mean, std = flat.mean(2)[..., None, None], flat.std(2, correction=0)[..., None, None]
    torch.testing.assert_close(found, std * textbook_mvn(content) + mean)
    # of AdaIN itself, the std is that of n - 1
    positions = flat.shape[2]
    shrunk = (adain(content, *moments(value)) - mean) * ((positions - 1) / positions) ** 0.5 + mean
    torch.testing.assert_close(found, shrunk, rtol=0, atol=1e-4)  # up to the 1e-5 under the root


def test_sharp_attention_copies_the_style_and_has_no_std() -> None:
    """Every position sees one of the style's: its feature is the mean, and nothing varies."""
    content, _, style, _ = inputs()
    key = 100 * torch.eye(21, dtype=torch.float64).reshape(1, 21, 3, 7).expand(2, -1, -1, -1)[:, :9]
    places = torch.arange(24).reshape(6, 4) % 9
    query = nn.functional.one_hot(places, 9).permute(2, 0, 1)[None].expand(2, -1, -1, -1).double()
    found = adaattn(content, query, key, style)
    torch.testing.assert_close(found, style.flatten(2)[:, :, places], rtol=0, atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS[1:])
@pytest.mark.parametrize("styles", [1, 2])
def test_without_parameters_it_is_the_explicit_form(layer: str, styles: int) -> None:
    encoder = nst.Encoder(torchvision_state(random_convs(SMALL))).double()
    content, style = picture(2, 3, 48, 64, seed=1), picture(styles, 3, 43, 37, seed=2)
    c, s = encoder(content), encoder(style)
    level = LAYERS.index(layer)
    lists = [list(features.values()) for features in (c, s)]
    keys = [textbook_key(features, level) for features in lists]
    value = lists[1][level].expand(2, -1, -1, -1)
    expected = textbook_adaattn(lists[0][level], keys[0], keys[1].expand(2, -1, -1, -1), value)
    found = parameter_free_adaattn(c, s, layer)
    # where nothing varies, the root of a difference of squares is the root of what rounding leaves
    assert relative_error(found, expected) < 1e-6
    half_c, half_s = ({name: one.half() for name, one in features.items()} for features in (c, s))
    assert parameter_free_adaattn(half_c, half_s, layer).dtype == torch.float32
    shuffled = dict(reversed(list(c.items())))  # the order of the key is that of the layers
    assert torch.equal(parameter_free_adaattn(shuffled, s, layer), found)


def test_a_key_is_all_layers_up_to_its_own_at_its_size() -> None:
    assert up_to("relu3_1") == ("relu1_1", "relu2_1", "relu3_1")
    features = {layer: torch.rand(1, 2, 2 ** (5 - i), 3 * 2 ** (5 - i)) for i, layer in enumerate(LAYERS)}
    small = resize_to(features, "relu4_1")
    assert list(small) == [f"relu4_1/{layer}" for layer in LAYERS[:4]]
    assert all(one.shape == (1, 2, 4, 12) for one in small.values())
    assert torch.equal(
        small["relu4_1/relu1_1"], features["relu1_1"][..., ::8, ::8]
    )  # nearest: the upper left of each cell
    key = attention_key(small, "relu4_1").double()
    torch.testing.assert_close(key, textbook_key([one.double() for one in features.values()], 3), rtol=1e-4, atol=1e-4)


def test_a_kept_style_is_keys_and_values_of_three_levels() -> None:
    kept = AdaAttN(torchvision_state(random_convs(SMALL))).encode_style(picture(3, 3, 32, 48))
    levels = (("relu3_1", 18, 8, (8, 12)), ("relu4_1", 28, 10, (4, 6)), ("relu5_1", 38, 10, (2, 3)))
    expected = {f"{level}/key": (3, key, *size) for level, key, _, size in levels}
    expected |= {f"{level}/value": (3, value, *size) for level, _, value, size in levels}
    assert {name: tuple(one.shape) for name, one in kept.code.items()} == expected


def test_the_loss_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    encoder = nst.Encoder(torchvision_state(random_convs(SMALL))).double()
    objective = AdaAttNObjective(AdaAttN(encoder))
    content, style = picture(2, 3, 48, 64, seed=1).double(), picture(2, 3, 48, 64, seed=2).double()
    terms = objective(content, style)

    c, s = encoder(content), encoder(style)
    painted = encoder(objective.model(content, style))
    overall, local = 0.0, []
    cs, ss = (list(features.values()) for features in (c, s))
    for level, layer in enumerate(LAYERS[1:], 1):
        a, b = painted[layer].flatten(2), s[layer].flatten(2)
        overall += (a.mean(2) - b.mean(2)).square().mean().item()
        overall += ((a.var(2) + 1e-5).sqrt() - (b.var(2) + 1e-5).sqrt()).square().mean().item()
        target = textbook_adaattn(cs[level], textbook_key(cs, level), textbook_key(ss, level), ss[level])
        local.append((painted[layer] - target).square().mean().item())
    assert terms.keys() == {"global", "local"}
    assert terms["global"].item() == pytest.approx(10 * overall, rel=1e-8)
    assert terms["local"].item() == pytest.approx(3 * sum(local), rel=1e-8)

    class Deep(AdaAttNObjective):
        content_layers = LAYERS[2:]

    assert Deep(objective.model)(content, style)["local"].item() == pytest.approx(3 * sum(local[1:]), rel=1e-8)
    copying = AdaAttNObjective(objective.model, identity=7, **{"global": 0, "local": 0})(content, style)
    itself = objective.model(content, content)
    assert copying.keys() == {"identity"}
    assert copying["identity"].item() == pytest.approx(7 * (itself - content).square().mean().item(), rel=1e-10)


def test_it_begins_as_the_method_without_weights() -> None:
    torch.manual_seed(0)
    encoder = nst.Encoder(torchvision_state(random_convs((4, 6, 8, 10, 12)))).double()
    objective = AdaAttNObjective(AdaAttN(encoder))
    c, s = (encoder(picture(1, 3, 48, 48, seed=seed)) for seed in (1, 2))
    changed = objective.change(c, s)
    for layer in ("relu3_1", "relu4_1"):
        assert relative_error(changed[layer], parameter_free_adaattn(c, s, layer)) < 1e-6


def test_all_its_layers_learn() -> None:
    torch.manual_seed(0)
    objective = AdaAttNObjective(AdaAttN(torchvision_state(random_convs((4, 6, 8, 10, 12)))))
    # to begin with relu5_1 counts nothing, and what lies before it learns from the second step on
    torch.nn.init.normal_(objective.network.get_parameter("transformer.widen.weight"))
    terms = objective(picture(1, 3, 48, 48, seed=1), picture(1, 3, 48, 48, seed=2))
    torch.stack(list(terms.values())).sum().backward()
    for name, p in objective.network.named_parameters():
        if not name.endswith(".g.bias"):  # it adds the same to all scores of a query: no difference
            assert p.grad is not None, name
            assert p.grad.abs().max() > 0, name
