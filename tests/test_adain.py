"""AdaIN alone; what it shares with SANet and AdaAttN is in test_arbitrary.py."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import (
    WIDTHS,
    picture,
    random_convs,
    relative_error,
    textbook_decoder,
    textbook_encoder,
    textbook_features,
    textbook_mvn,
    torchvision_state,
)
from torch import Tensor, nn

import nstlib as nst
from nstlib.adain import AdaIN, AdaINObjective, adain
from nstlib.losses import moments

SMALL = (4, 6, 8, 10, 10)

ENCODER = (0, 2, 5, 9, 12, 16, 19, 22, 25, 29, 32, 35, 38, 42)
"""Numbers of the convolutions in `vgg_normalised.pth` up to conv5_1."""

DECODER = {
    **{1: (512, 256), 5: (256, 256), 8: (256, 256), 11: (256, 256), 14: (256, 128)},
    **{18: (128, 128), 21: (128, 64), 25: (64, 64), 28: (64, 3)},
}
"""Those of `decoder.pth`: number -> channels in and out."""


def textbook_adain(content: Tensor, style: Tensor) -> Tensor:
    flat = style.flatten(2)
    mean, std = flat.mean(2)[..., None, None], (flat.var(2) + 1e-5).sqrt()[..., None, None]
    return textbook_mvn(content) * std + mean


def textbook(encoder: nn.Sequential, decoder: nn.Sequential, content: Tensor, style: Tensor, alpha: float) -> Tensor:
    c, s = (textbook_features(encoder, one)[3] for one in (content, style))
    painted: Tensor = decoder(alpha * textbook_adain(c, s) + (1 - alpha) * c)
    return painted


def published(widths: tuple[int, ...]) -> tuple[nn.Sequential, nn.Sequential]:
    torch.manual_seed(0)
    return textbook_encoder(widths), textbook_decoder(widths)


def test_the_textbook_has_the_published_keys() -> None:
    encoder, decoder = published(WIDTHS)
    assert set(encoder.state_dict()) == {f"{number}.{part}" for number in ENCODER for part in ("weight", "bias")}
    shapes = {key: tuple(value.shape) for key, value in decoder.state_dict().items()}
    expected = {f"{number}.weight": (outputs, inputs, 3, 3) for number, (inputs, outputs) in DECODER.items()}
    assert shapes == {**expected, **{f"{number}.bias": (outputs,) for number, (_, outputs) in DECODER.items()}}


def test_published_weights_paint_what_they_painted() -> None:
    encoder, decoder = published(WIDTHS)
    model = AdaIN.from_checkpoint(decoder=decoder.state_dict(), encoder=encoder.state_dict())
    assert sum(p.numel() for p in model.network.parameters()) == 3_505_219
    content, style = picture(1, 3, 32, 48, seed=1).double(), picture(1, 3, 43, 37, seed=2).double()
    for alpha in (1.0, 0.6):
        single = model.float()(content.float(), style.float(), alpha).detach()
        expected = textbook(encoder.double(), decoder.double(), content, style, alpha)
        assert relative_error(model.double()(content, style, alpha).detach(), expected) < 1e-10
        assert relative_error(single.double(), expected) < 1e-4


@pytest.mark.parametrize("form", ["module.", "files"])
def test_published_weights_come_in_several_forms(form: str, tmp_path: Path) -> None:
    encoder, decoder = published(SMALL)
    content, style = picture(2, 3, 32, 48, seed=1).double(), picture(2, 3, 43, 37, seed=2).double()
    states = {"encoder": encoder.state_dict(), "decoder": decoder.state_dict()}
    if form == "module.":
        states = {part: {f"module.{key}": one for key, one in state.items()} for part, state in states.items()}
        model = AdaIN.from_checkpoint(**states)
    else:
        for part, state in states.items():
            torch.save(state, tmp_path / f"{part}.pth")
        model = AdaIN.from_checkpoint(encoder=tmp_path / "encoder.pth", decoder=str(tmp_path / "decoder.pth"))
    expected = textbook(encoder.double(), decoder.double(), content, style, 1)
    assert relative_error(model.double()(content, style).detach(), expected) < 1e-10


def test_an_encoder_of_other_widths_is_told() -> None:
    _, decoder = published(SMALL)
    words = "the decoder takes 10 channels at relu4_1, and this encoder gives {}: take the encoder that it was trained"
    for wrong, channels in (("vgg19_mini", 160), (textbook_encoder((4, 6, 8, 9, 10)).state_dict(), 9)):
        with pytest.raises(ValueError, match=words.format(channels)):
            AdaIN.from_checkpoint(decoder=decoder.state_dict(), encoder=wrong)


def test_other_checkpoints_are_told(tmp_path: Path) -> None:
    encoder, _ = published(SMALL)
    for state in (encoder.state_dict(), {"sanet4_1.f.weight": torch.zeros(10, 10, 1, 1)}, {}):
        with pytest.raises(ValueError, match=r"decoder \(state dict\) is no decoder of AdaIN's kind"):
            AdaIN.from_checkpoint(decoder=state, encoder=encoder.state_dict())
    with pytest.raises(FileNotFoundError, match="nowhere"):
        AdaIN.from_checkpoint(decoder=tmp_path / "nowhere.pth", encoder=encoder.state_dict())
    (tmp_path / "bad.pth").write_bytes(b"PK")
    with pytest.raises(OSError, match=r"bad\.pth can't be read"):
        AdaIN.from_checkpoint(decoder=tmp_path / "bad.pth", encoder=encoder.state_dict())


def test_features_take_on_the_moments_of_the_style() -> None:
    content, style = torch.randn(2, 5, 6, 7).double(), 3 + 2 * torch.randn(2, 5, 9, 4).double()
    found = adain(content, *moments(style))
    torch.testing.assert_close(found, textbook_adain(content, style))
    for mine, wanted in zip(moments(found), moments(style)):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-4)  # up to the 1e-5 under the root
    first = moments(style[:1])
    torch.testing.assert_close(adain(content, *first)[1:], adain(content[1:], *first))
    torch.testing.assert_close(adain(content, *moments(content)), content)


def test_a_constant_channel_becomes_the_mean_and_a_constant_style_flat() -> None:
    content, style = torch.randn(1, 2, 6, 7).double(), torch.randn(1, 2, 9, 4).double()
    content[:, 0], style[:, 1] = 7.0, -2.0
    found = adain(content, *moments(style))
    torch.testing.assert_close(found[:, 0], style[:, 0].mean().expand(1, 6, 7))
    assert (found[:, 1] + 2).abs().max() < 0.02  # the smallest std is sqrt(1e-5)


def test_alpha_0_decodes_the_contents_own_features() -> None:
    encoder, decoder = published(SMALL)
    model = AdaIN.from_checkpoint(decoder=decoder.state_dict(), encoder=encoder.state_dict()).double()
    content = picture(1, 3, 32, 48).double()
    expected = decoder.double()(textbook_features(encoder.double(), content)[3])
    assert relative_error(model(content, 1 - content, 0).detach(), expected) < 1e-10


def test_a_kept_style_is_its_moments() -> None:
    model = AdaIN(torchvision_state(random_convs(SMALL)))
    kept = model.encode_style(picture(3, 3, 32, 48))
    assert {name: tuple(one.shape) for name, one in kept.code.items()} == dict.fromkeys(("mean", "std"), (3, 10, 1, 1))


def test_positions_that_nobody_sees_count_nothing() -> None:
    content, opacity = torch.randn(1, 5, 6, 7).double(), torch.ones(1, 1, 6, 7).double()
    mean, std = moments(3 + 2 * torch.randn(1, 5, 9, 4).double())
    opacity[..., 4:] = 0
    expected = adain(content[..., :4], mean, std)
    content[..., 4:] = 1e6
    torch.testing.assert_close(adain(content, mean, std, opacity)[..., :4], expected)


def test_the_loss_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    encoder = nst.Encoder(torchvision_state(random_convs(SMALL))).double()
    objective = AdaINObjective(AdaIN(encoder), identity=7)
    content, style = picture(2, 3, 40, 48, seed=1).double(), picture(2, 3, 48, 40, seed=2).double()
    terms = objective(content, style)

    c, s = encoder(content), encoder(style)
    t = textbook_adain(c["relu4_1"], s["relu4_1"])
    painted = encoder(objective.model.decoder({"relu4_1": t}))
    square = 0.0
    for layer in ("relu1_1", "relu2_1", "relu3_1", "relu4_1"):
        a, b = painted[layer].flatten(2), s[layer].flatten(2)
        square += (a.mean(2) - b.mean(2)).square().mean().item()
        square += ((a.var(2) + 1e-5).sqrt() - (b.var(2) + 1e-5).sqrt()).square().mean().item()
    assert terms["content"].item() == pytest.approx((painted["relu4_1"] - t).square().mean().item(), rel=1e-10)
    assert terms["style"].item() == pytest.approx(10 * square, rel=1e-10)
    itself = objective.model(content, content)
    assert terms["identity"].item() == pytest.approx(7 * (itself - content).square().mean().item(), rel=1e-10)


def test_the_loss_falls() -> None:
    torch.manual_seed(0)
    objective = AdaINObjective(AdaIN(torchvision_state(random_convs(SMALL))))
    losses = []
    for _ in range(5):
        loss = torch.stack(list(objective(picture(1, 3, 32, 32), picture(1, 3, 32, 32, seed=1)).values())).sum()
        weights = list(objective.network.parameters())
        with torch.no_grad():
            for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
                weight.sub_(3e-3 * gradient.sign())
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
