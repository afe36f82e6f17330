"""SANet alone; what it shares with AdaIN and AdaAttN is in test_arbitrary.py."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import (
    WIDTHS,
    picture,
    random_convs,
    relative_error,
    textbook_attention,
    textbook_decoder,
    textbook_encoder,
    textbook_features,
    textbook_mvn,
    torchvision_state,
)
from torch import Tensor, nn

import nstlib as nst
from nstlib.attention import attention_moments
from nstlib.sanet import SANet, SANetObjective, StyleAttention

SMALL = (4, 6, 8, 10, 10)
LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


class TextbookAttention(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f, self.g, self.h, self.out_conv = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        attention = textbook_attention(self.f(textbook_mvn(content)), self.g(textbook_mvn(style)))
        value = self.h(style).flatten(2)
        seen = torch.bmm(value, attention.permute(0, 2, 1)).view(content.shape)
        out: Tensor = self.out_conv(seen) + content
        return out


class TextbookTransform(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.sanet4_1, self.sanet5_1 = TextbookAttention(channels), TextbookAttention(channels)
        self.merge_conv = nn.Conv2d(channels, channels, 3)

    def forward(self, c4: Tensor, c5: Tensor, s4: Tensor, s5: Tensor) -> Tensor:
        up = nn.Upsample(scale_factor=2, mode="nearest")(self.sanet5_1(c5, s5))
        merged: Tensor = self.merge_conv(nn.ReflectionPad2d(1)(self.sanet4_1(c4, s4) + up))
        return merged


class Published:
    """The three networks with random weights, and what they paint."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        torch.manual_seed(0)
        self.parts: dict[str, Any] = {
            "encoder": textbook_encoder(widths),
            "transformer": TextbookTransform(widths[3]).requires_grad_(False),
            "decoder": textbook_decoder(widths),
        }
        self.states = {part: network.state_dict() for part, network in self.parts.items()}

    def paint(self, content: Tensor, style: Tensor) -> Tensor:
        c, s = (textbook_features(self.parts["encoder"], one) for one in (content, style))
        painted: Tensor = self.parts["decoder"](self.parts["transformer"](c[3], c[4], s[3], s[4]))
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
    levels = [f"sanet{level}_1.{name}" for level in (4, 5) for name in ("f", "g", "h", "out_conv")]
    shapes = {key: tuple(value.shape) for key, value in full.states["transformer"].items()}
    expected: dict[str, tuple[int, ...]] = {f"{name}.weight": (512, 512, 1, 1) for name in levels}
    expected |= {"merge_conv.weight": (512, 512, 3, 3), **{f"{name}.bias": (512,) for name in (*levels, "merge_conv")}}
    assert shapes == expected
    model = SANet.from_checkpoint(**full.states)
    assert sum(p.numel() for p in model.network["transformer"].parameters()) == 4_461_056
    assert sum(p.numel() for p in model.network["decoder"].parameters()) == 3_505_219
    content, style = picture(1, 3, 32, 48, seed=1), picture(1, 3, 43, 37, seed=2)
    found = model(content, style).detach()
    content, style = content.double(), style.double()
    exact = full.double().paint(content, style)
    assert relative_error(found.double(), exact) < 1e-4
    assert relative_error(model.double()(content, style).detach(), exact) < 1e-10


@pytest.mark.parametrize("form", ["module.", "files"])
def test_published_weights_come_in_several_forms(form: str, tmp_path: Path) -> None:
    content, style = picture(2, 3, 48, 64, seed=1).double(), picture(2, 3, 43, 37, seed=2).double()
    parts: dict[str, Any] = {}
    for part, state in small().states.items():
        if form == "module.":
            parts[part] = {f"module.{key}": one for key, one in state.items()}
        else:
            parts[part] = tmp_path / f"{part}.pth"
            torch.save(state, parts[part])
    model = SANet.from_checkpoint(**parts).double()
    assert relative_error(model(content, style).detach(), small().paint(content, style)) < 1e-10


def test_other_checkpoints_are_told() -> None:
    states = small().states
    swapped = {"decoder": states["transformer"], "transformer": states["decoder"], "encoder": states["encoder"]}
    with pytest.raises(ValueError, match=r"decoder \(state dict\) is no decoder"):
        SANet.from_checkpoint(**swapped)
    with pytest.raises(ValueError, match=r"no network of SANet: it lacks \['transformer.*has besides \['transformer"):
        SANet.from_checkpoint(**{**states, "transformer": states["decoder"]})
    adaattn = {f"attn_adain_4_1.{name}.weight": torch.zeros(30, 30, 1, 1) for name in "fgh"}
    with pytest.raises(ValueError, match=r"no network of SANet: .* besides \['transformer.attn_adain_4_1"):
        SANet.from_checkpoint(**{**states, "transformer": adaattn})
    narrow = TextbookTransform(9).state_dict()
    with pytest.raises(ValueError, match=r"is \(9, 9, .*, and the network of SANet needs \(10, 10, "):
        SANet.from_checkpoint(**{**states, "transformer": narrow})
    with pytest.raises(ValueError, match="the decoder takes 10 channels at relu4_1, and this encoder gives 160"):
        SANet.from_checkpoint(**{**states, "encoder": "vgg19_mini"})


def test_levels_of_different_widths_are_made_equal() -> None:
    """In VGG19 they are, in the embedded encoder they are not."""
    for widths, shape in (((4, 6, 8, 10, 12), (10, 12, 1, 1)), (SMALL, None)):
        state = SANet(torchvision_state(random_convs(widths))).network.state_dict()
        found = state.get("transformer.widen.weight")
        assert (None if found is None else tuple(found.shape)) == shape


def attention() -> tuple[StyleAttention, Tensor, Tensor]:
    """Return a level with random weights, features of a content and features of a style, in float64."""
    torch.manual_seed(0)
    module = StyleAttention(6).requires_grad_(False).double()
    return module, torch.randn(2, 6, 5, 4).double(), 1 + 2 * torch.randn(2, 6, 3, 7).double()


def test_one_level_is_that_of_the_paper() -> None:
    module, content, style = attention()
    found = module(content, *module.encode(style))
    other = TextbookAttention(6).double()
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(found, other(content, style).detach())


def test_without_its_last_convolution_it_adds_the_mean_alone() -> None:
    """The mean of AdaAttN, for the same queries, keys and values."""
    module, content, style = attention()
    module.out_conv.weight.copy_(torch.eye(6, dtype=torch.float64)[:, :, None, None])
    module.out_conv.bias.zero_()  # type: ignore[union-attr]
    key, value = module.encode(style)
    mean, std = attention_moments(module.f(textbook_mvn(content)), key, value)
    torch.testing.assert_close(module(content, key, value) - content, mean)
    assert std.min() > 0.01  # there is more to the style than the mean


def test_flat_attention_adds_the_same_everywhere() -> None:
    module, content, style = attention()
    module.f.weight.zero_()
    module.f.bias.zero_()  # type: ignore[union-attr]
    added = module(content, *module.encode(style)) - content
    expected = module.out_conv(module.h(style).mean((2, 3), keepdim=True)).expand_as(content)
    torch.testing.assert_close(added, expected)


def test_a_kept_style_is_keys_and_values_of_both_levels() -> None:
    kept = SANet(torchvision_state(random_convs(SMALL))).encode_style(picture(3, 3, 32, 48))
    shapes = {"relu4_1": (3, 10, 4, 6), "relu5_1": (3, 10, 2, 3)}
    expected = {f"{layer}/{part}": shape for layer, shape in shapes.items() for part in ("key", "value")}
    assert {name: tuple(one.shape) for name, one in kept.code.items()} == expected


def test_the_loss_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    encoder = nst.Encoder(torchvision_state(random_convs(SMALL))).double()
    objective = SANetObjective(SANet(encoder))
    with torch.no_grad():
        for name, value in objective.network.named_parameters():
            if name.endswith(("h.weight", "out_conv.weight", "conv1_1.weight")):
                value.mul_(5)  # so that it matters which style is looked at
    content, style = picture(2, 3, 48, 64, seed=1).double(), 1 - picture(2, 3, 48, 64, seed=2).double() ** 2
    terms = objective(content, style)

    c, s = encoder(content), encoder(style)

    def square(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).square().mean()

    transform = TextbookTransform(10).double()
    transform.load_state_dict(objective.model.network["transformer"].state_dict())

    def paint(one: dict[str, Tensor], other: dict[str, Tensor]) -> Tensor:
        merged = transform(one["relu4_1"], one["relu5_1"], other["relu4_1"], other["relu5_1"])
        painted: Tensor = objective.model.decoder({"relu4_1": merged})
        return painted

    cs, cc, ss = paint(c, s), paint(c, c), paint(s, s)
    assert (ss - paint(s, c)).abs().max() > 0.05
    assert (cc - cs).abs().max() > 0.05
    f_cs, f_cc, f_ss = encoder(cs), encoder(cc), encoder(ss)
    expected = {
        "content": sum(square(textbook_mvn(f_cs[layer]), textbook_mvn(c[layer])) for layer in LAYERS[3:]),
        "style": 3
        * sum(
            square(f_cs[layer].mean((2, 3)), s[layer].mean((2, 3)))
            + square((f_cs[layer].var((2, 3)) + 1e-5).sqrt(), (s[layer].var((2, 3)) + 1e-5).sqrt())
            for layer in LAYERS
        ),
        "identity1": 50 * (square(cc, content) + square(ss, style)),
        "identity2": sum(square(f_cc[layer], c[layer]) + square(f_ss[layer], s[layer]) for layer in LAYERS),
    }
    assert terms.keys() == expected.keys()
    for name, wanted in expected.items():
        assert terms[name].item() == pytest.approx(torch.as_tensor(wanted).item(), rel=1e-10), name
