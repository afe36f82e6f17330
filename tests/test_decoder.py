from __future__ import annotations

import pytest
import torch
from networks import TextbookAdaAttNDecoder, picture, relative_error, textbook_decoder
from torch import Tensor

from nstlib.checkpoints import translate_decoder
from nstlib.decoder import DECODER_REACH_PX, Decoder

SMALL = (4, 6, 8, 10)
FULL = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512}


def channels(*widths: int) -> dict[str, int]:
    return dict(zip(FULL, widths))


def decoder(*widths: int, skip: bool = False, seed: int = 0) -> Decoder:
    torch.manual_seed(seed)
    return Decoder(channels(*(widths or SMALL)), skip=skip).requires_grad_(False)


def features(skip: bool = False, height: int = 3, width: int = 5) -> dict[str, Tensor]:
    both = {"relu4_1": picture(2, 10, height, width, seed=1), "relu3_1": picture(2, 8, 2 * height, 2 * width, seed=2)}
    return both if skip else {"relu4_1": both["relu4_1"]}


@pytest.mark.parametrize(("skip", "parameters"), [(False, 3_505_219), (True, 4_095_043)])
def test_at_full_width_it_is_the_published_decoder(skip: bool, parameters: int) -> None:
    assert sum(p.numel() for p in Decoder(FULL, skip=skip).parameters()) == parameters


@pytest.mark.parametrize("skip", [False, True])
def test_published_weights_paint_as_in_the_textbook(skip: bool) -> None:
    torch.manual_seed(0)
    x = {name: one.double() for name, one in features(skip).items()}
    if skip:
        adaattn = TextbookAdaAttNDecoder(SMALL).double()
        state, expected = adaattn.state_dict(), adaattn(x["relu4_1"], x["relu3_1"])
    else:
        adain = textbook_decoder(SMALL).double()
        state, expected = adain.state_dict(), adain(x["relu4_1"])
    ours = decoder(seed=1, skip=skip).double()
    # order in the file means nothing: 11 comes before 5 in many
    shuffled = {key: state[key] for key in sorted(state, reverse=True)}
    translated = translate_decoder(shuffled, "decoder.pth")
    ours.load_state_dict(translated)
    assert ours.widths == SMALL
    assert relative_error(ours(x), expected) < 1e-10
    assert translate_decoder(translated, "ours").keys() == translated.keys()


def test_untrained_it_paints_grey_pictures_with_some_contrast() -> None:
    painted = decoder(16, 24, 32, 48)({"relu4_1": torch.randn(4, 48, 8, 8).relu()})
    assert painted.mean() == pytest.approx(0.5, abs=0.15)
    assert 0.01 < painted.std() < 0.5


@pytest.mark.parametrize("skip", [False, True])
def test_no_pixel_sees_further_than_the_radius(skip: bool) -> None:
    paint = decoder(skip=skip)
    with torch.no_grad():
        for value in paint.parameters():
            value.abs_()  # no ReLU is ever shut
    far = 0
    for place in (64, 67, 71):  # the first, a middle and the last pixel of the cell at 8
        x = {name: torch.rand_like(one).requires_grad_() for name, one in features(skip, 17, 17).items()}
        paint(x)[0, :, place, place].sum().backward()
        for layer, stride in (("relu4_1", 8), ("relu3_1", 4)) if skip else (("relu4_1", 8),):
            gradient = x[layer].grad
            assert gradient is not None
            seen = gradient[0].abs().sum((0, 1)).nonzero()[:, 0]
            first, last = int(seen.min()) * stride, (int(seen.max()) + 1) * stride
            # tiles begin and end at multiples of 8: what lies beyond is cut off DECODER_REACH_PX before 64 and behind 72
            assert first >= 64 - DECODER_REACH_PX
            assert last <= 72 + DECODER_REACH_PX
            far = max(far, 64 - first, last - 72)
    assert far > DECODER_REACH_PX - 8  # a smaller radius would be too small


@pytest.mark.parametrize("skip", [False, True])
def test_a_trained_decoder_starts_another_of_its_kind(skip: bool) -> None:
    old, new = decoder(skip=skip), decoder(skip=skip, seed=1)
    assert not torch.allclose(new(features(skip)), old(features(skip)))
    new.init_from(old)
    assert torch.equal(new(features(skip)), old(features(skip)))


def test_a_skip_counts_nothing_at_first_and_can_learn() -> None:
    old, new = decoder(), decoder(skip=True, seed=1).requires_grad_(True)
    new.init_from(old)
    painted = new(features(True))
    torch.testing.assert_close(painted, old(features()))
    painted.square().sum().backward()
    conv = new.convs["conv3_4"]
    assert isinstance(conv.weight, Tensor)
    assert conv.weight.grad is not None
    assert conv.weight.grad[:, 8:].abs().sum() > 0


def test_a_decoder_of_another_kind_starts_nothing() -> None:
    with pytest.raises(ValueError, match=r"widths \(4, 6, 8, 10\) can't start one of widths \(4, 6, 8, 12\)"):
        decoder(4, 6, 8, 12).init_from(decoder())
    with pytest.raises(ValueError, match=r"with a skip .* can't start one without"):
        decoder().init_from(decoder(skip=True))


@pytest.mark.parametrize("skip", [False, True])
def test_a_failed_start_changes_nothing(skip: bool) -> None:
    new = decoder(5, 6, 8, 10, skip=skip)  # only the last layers differ
    before = {key: value.clone() for key, value in new.state_dict().items()}
    with pytest.raises(ValueError, match="widths"):
        new.init_from(decoder())
    assert all(torch.equal(value, before[key]) for key, value in new.state_dict().items())


def test_missing_channels_are_named() -> None:
    with pytest.raises(ValueError, match=r"lack \['relu3_1', 'relu4_1'\]"):
        Decoder({"relu1_1": 4, "relu2_1": 4})


def broken(**changes: Tensor | None) -> dict[str, Tensor]:
    torch.manual_seed(0)
    state: dict[str, Tensor | None] = {**textbook_decoder(SMALL).state_dict(), **changes}
    return {key: value for key, value in state.items() if value is not None}


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"head": torch.zeros(1)},
        broken(**{"28.weight": None, "28.bias": None}),
        broken(**{"28.bias": None}),
        broken(**{"31.weight": torch.zeros(3, 3, 3, 3)}),
        broken(**{"5.weight": torch.zeros(8, 8, 1, 1)}),
        {f"sanet4_1.{name}.weight": torch.zeros(8, 8, 1, 1) for name in "fgh"},
    ],
)
def test_what_is_no_decoder_is_told(state: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"^x\.pth is no decoder of AdaIN's kind") as caught:
        translate_decoder(state, "x.pth")
    assert "keys like [" in str(caught.value)
    assert "\n" not in str(caught.value)
