"""A decoder that is told the style, inside the three methods; what holds of every decoder is in test_arbitrary.py."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import condition_randomly, picture, random_convs, torchvision_state, with_random_conditioning
from torch import Tensor

import nstlib as nst
from nstlib.adaattn import AdaAttN
from nstlib.adain import AdaIN
from nstlib.arbitrary import ArbitraryStyle
from nstlib.decoder import ConditionedDecoder, Decoder, condition
from nstlib.losses import moments
from nstlib.sanet import SANet

METHODS: dict[str, type[ArbitraryStyle]] = {"adain": AdaIN, "sanet": SANet, "adaattn": AdaAttN}
EVERY = pytest.mark.parametrize("method", METHODS)
OWN = {
    "adain": {"mean", "std"},
    "sanet": {f"{layer}/{part}" for layer in ("relu4_1", "relu5_1") for part in ("key", "value")},
    "adaattn": {f"{layer}/{part}" for layer in ("relu3_1", "relu4_1", "relu5_1") for part in ("key", "value")},
}
"""What each method keeps of a style by itself."""

ENCODER = torchvision_state(random_convs((4, 6, 8, 10, 12)))
CONTENT, STYLE = picture(1, 3, 48, 64, seed=1).double(), picture(1, 3, 40, 56, seed=2).double()
OTHER = 1 - picture(1, 3, 32, 80, seed=3).double()


@functools.cache
def model_of(method: str) -> Any:
    torch.manual_seed(0)
    return with_random_conditioning(METHODS[method](ENCODER, conditioned=True).requires_grad_(False)).double()


def told(model: Any, *args: Any, **options: Any) -> Tensor:
    """The condition that the decoder gets in a call, before it also paints what it loses of the photograph."""
    found: list[Tensor] = []
    hook = model.decoder.register_forward_pre_hook(lambda module, inputs: found.append(inputs[0]["condition"]))
    model(*args, **options)
    hook.remove()
    return found[0]


def condition_of(model: Any, painting: Tensor) -> Tensor:
    return condition(model.encoder(painting))


@EVERY
def test_an_untrained_one_takes_640_numbers_and_has_skips_and_blocks(method: str) -> None:
    model = METHODS[method](conditioned=True)
    decoder = model.decoder
    assert isinstance(decoder, ConditionedDecoder)
    assert (decoder.skips, len(decoder.blocks)) == (("relu3_1", "relu2_1"), 2)
    assert decoder.components.shape[:2] == (decoder.modulation.in_channels, 640)
    assert not isinstance(METHODS[method]().decoder, ConditionedDecoder)


@EVERY
def test_a_kept_style_has_what_the_decoder_is_told(method: str) -> None:
    model = model_of(method)
    code = model.encode_style(STYLE).code
    skips = {"relu2_1"} if method == "adaattn" else {"relu3_1", "relu2_1"}  # AdaAttN changes relu3_1 itself
    assert code.keys() == OWN[method] | {"condition"} | {f"{skip}/{part}" for skip in skips for part in ("mean", "std")}
    features = model.encoder(STYLE)
    torch.testing.assert_close(code["condition"], condition(features))
    for skip in skips:
        mean, std = moments(features[skip])
        torch.testing.assert_close(code[f"{skip}/mean"], mean)
        torch.testing.assert_close(code[f"{skip}/std"], std)


@EVERY
def test_only_what_is_read_as_a_style_takes_the_memory_of_all_layers(method: str) -> None:
    """relu1_1 of a big photograph is larger than the photograph, and only its moments are needed, below full strength."""
    model, read = model_of(method), []
    kept = model.encode_style(STYLE)
    hook = model.encoder.register_forward_pre_hook(lambda module, inputs: read.append("relu1_1" in inputs[1]))
    for alpha in (1.0, 0.5):
        model(CONTENT, kept, alpha)
    hook.remove()
    assert read == [method == "adaattn", True]  # AdaAttN's keys need it in any case


@EVERY
def test_alpha_moves_the_condition_from_the_photographs_to_the_paintings(method: str) -> None:
    model = model_of(method)
    own, other = condition_of(model, CONTENT), condition_of(model, STYLE)
    assert (own - other).abs().max() > 0.1
    for alpha in (0.0, 0.3, 1.0):
        torch.testing.assert_close(told(model, CONTENT, STYLE, alpha), alpha * other + (1 - alpha) * own)


@EVERY
def test_conditions_of_several_styles_are_blended_by_their_weights(method: str) -> None:
    model = model_of(method)
    one, other, own = (condition_of(model, painting) for painting in (STYLE, OTHER, CONTENT))
    found = told(model, CONTENT, [STYLE, OTHER], style_weights=[1, 3])
    torch.testing.assert_close(found, 0.25 * one + 0.75 * other)
    found = told(model, CONTENT, [STYLE, OTHER], 0.6, style_weights=[3, 1])
    torch.testing.assert_close(found, 0.45 * one + 0.15 * other + 0.4 * own)


@EVERY
def test_masks_make_a_map_of_conditions(method: str) -> None:
    model = model_of(method)
    one, other = (condition_of(model, painting) for painting in (STYLE, OTHER))
    left = torch.zeros(48, 64)
    left[:, :28] = 1  # 3 1/2 positions of 8
    found = told(model, CONTENT, [STYLE, OTHER], mask=torch.stack([left, 1 - left]))
    assert found.shape == (1, one.shape[1], 6, 8)
    torch.testing.assert_close(found[..., :3], one.expand(-1, -1, 6, 3))
    torch.testing.assert_close(found[..., 3:4], (0.5 * one + 0.5 * other).expand(-1, -1, 6, 1))
    torch.testing.assert_close(found[..., 4:], other.expand(-1, -1, 6, 4))


@EVERY
def test_pictures_of_a_batch_have_their_own_conditions(method: str) -> None:
    model, contents = model_of(method), torch.cat([CONTENT, CONTENT.flip(1)])
    own = condition_of(model, contents)
    found = told(model, contents, STYLE, 0.25)  # one style, and each photograph's own
    torch.testing.assert_close(found, 0.25 * condition_of(model, STYLE) + 0.75 * own)


@EVERY
@pytest.mark.parametrize("half", [False, True])
def test_it_comes_back_from_its_file(method: str, half: bool, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = with_random_conditioning(METHODS[method](ENCODER, conditioned=True))
    path = model.save(tmp_path / "told.safetensors", half=half)
    again = METHODS[method].from_checkpoint(path, encoder=ENCODER)
    assert isinstance(again.decoder, ConditionedDecoder)
    assert again.decoder.skips == model.decoder.skips
    if half:
        painted = (one.double().stylize(CONTENT, STYLE) for one in (again, model))
        assert (next(painted) - next(painted)).abs().mean() < 0.02
    else:
        assert torch.equal(again.stylize(CONTENT, STYLE), model.stylize(CONTENT, STYLE))
        state = METHODS[method].from_checkpoint(model.state_dict(), encoder=ENCODER)
        assert torch.equal(state.stylize(CONTENT, STYLE), model.stylize(CONTENT, STYLE))
    plain = METHODS[method](ENCODER).save(tmp_path / "plain.safetensors")
    assert type(METHODS[method].from_checkpoint(plain, encoder=ENCODER).decoder) is Decoder


@EVERY
def test_an_encoder_of_other_widths_is_told(method: str) -> None:
    """Moments of layers that aren't skips count, too."""
    decoder = ConditionedDecoder({"relu1_1": 5, "relu2_1": 6, "relu3_1": 8, "relu4_1": 10}, skips=["relu3_1"])
    with pytest.raises(ValueError, match="the decoder takes 5 channels at relu1_1, and this encoder gives 4"):
        METHODS[method](ENCODER, decoder=decoder)


@pytest.mark.filterwarnings("ignore")
@EVERY
def test_a_traced_graph_paints_any_size(method: str) -> None:
    model = model_of(method)
    graph = torch.jit.trace(model, (CONTENT, STYLE), check_trace=False)
    other = picture(1, 3, 50, 83, seed=5).double()
    painted = graph(other, STYLE)
    assert painted.shape == other.shape
    assert (painted - model(other, STYLE)).abs().max() < 1e-4
    assert (painted - model(other, OTHER)).abs().max() > 0.05


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_changes_little(method: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = METHODS[method](conditioned=True).requires_grad_(False)
    model.init_from(method)  # of random weights, attention is sharp, and rounding would decide where it looks
    content, styles = nst.samples.content("cat", 48), [nst.samples.style(name, 48) for name in ("swirl", "wave")]
    before = model.stylize(content, styles[0])
    with torch.no_grad():
        condition_randomly(model.decoder, condition(model.encoder(styles[0])).repeat(2, 1, 1, 1) + 1, size=0.003)
    expected = model.stylize(content, styles, 0.8)
    assert (expected - before).abs().mean() > 0.02
    with torch.autocast("cpu", dtype):
        autocast = model.stylize(content, styles, 0.8)
    converted = model.to(dtype).stylize(content, styles, 0.8)
    for found in (autocast, converted):
        assert (found.float() - expected).abs().mean() < {torch.float16: 0.006, torch.bfloat16: 0.06}[dtype]


def test_no_painting_leads_far_from_those_of_the_training() -> None:
    decoder = ConditionedDecoder({"relu1_1": 4, "relu2_1": 6, "relu3_1": 8, "relu4_1": 10}, components=1)
    decoder.components.fill_(1.0)  # z is the sum of 56 moments, each of them standardised
    with torch.no_grad():
        decoder.modulation.weight.fill_(1.0)
    features = {"relu4_1": torch.rand(1, 10, 4, 6, generator=torch.Generator().manual_seed(0))}
    usual, loud, quiet = (
        decoder({**features, "condition": torch.full((1, 56, 1, 1), value)}) for value in (3 / 56, 3.0, 1 / 56)
    )
    torch.testing.assert_close(loud, usual)
    assert not torch.allclose(quiet, usual)
