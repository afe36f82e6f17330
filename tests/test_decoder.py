from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from networks import TextbookAdaAttNDecoder, condition_randomly, picture, relative_error, textbook_decoder
from torch import Tensor

from nstlib.decoder import DECODER_REACH_PX, STAGES, ConditionedDecoder, Decoder, condition, modulate
from nstlib.losses import moments
from nstlib.utils.checkpoints import read_decoder, translate_decoder
from nstlib.weights import Checkpoint

SMALL = (4, 6, 8, 10)
FULL = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512}
STRIDES = {"relu1_1": 1, "relu2_1": 2, "relu3_1": 4, "relu4_1": 8}
NONE, ADAATTN, ALL = (), ("relu3_1",), ("relu3_1", "relu2_1", "relu1_1")
SKIPS = pytest.mark.parametrize("skips", [NONE, ADAATTN, ALL], ids="-".join)


def channels(*widths: int) -> dict[str, int]:
    return dict(zip(FULL, widths or SMALL))


def decoder(*widths: int, skips: Sequence[str] = (), seed: int = 0) -> Decoder:
    torch.manual_seed(seed)
    return Decoder(channels(*widths), skips=skips).requires_grad_(False).double()


def conditioned(*, skips: Sequence[str] = (), blocks: int = 2, seed: int = 0) -> ConditionedDecoder:
    """With random weights everywhere: as if it had been trained."""
    torch.manual_seed(seed)
    made = ConditionedDecoder(channels(), skips=skips, blocks=blocks).requires_grad_(False).double()
    condition_randomly(made)
    return made


def features(height: int = 3, width: int = 5, batch: int = 2) -> dict[str, Tensor]:
    """Features of all layers, and a condition."""
    maps = {
        layer: picture(batch, number, 8 // STRIDES[layer] * height, 8 // STRIDES[layer] * width, seed=number).double()
        for layer, number in channels().items()
    }
    return {**maps, "condition": picture(batch, 2 * sum(SMALL), 1, 1, seed=1).double()}


# ---------------------------------------------------------------- the papers' decoder


@pytest.mark.parametrize(("skips", "parameters"), [(NONE, 3_505_219), (ADAATTN, 4_095_043)])
def test_at_full_width_it_is_the_published_decoder(skips: Sequence[str], parameters: int) -> None:
    assert sum(p.numel() for p in Decoder(FULL, skips=skips).parameters()) == parameters


@pytest.mark.parametrize("skips", [NONE, ADAATTN])
def test_published_weights_paint_as_in_the_textbook(skips: Sequence[str]) -> None:
    torch.manual_seed(0)
    x = features()
    if skips:
        adaattn = TextbookAdaAttNDecoder(SMALL).double()
        state, expected = adaattn.state_dict(), adaattn(x["relu4_1"], x["relu3_1"])
    else:
        adain = textbook_decoder(SMALL).double()
        state, expected = adain.state_dict(), adain(x["relu4_1"])
    # order in the file means nothing: 11 comes before 5 in many
    shuffled = {key: state[key] for key in sorted(state, reverse=True)}
    translated = translate_decoder(shuffled, "decoder.pth")
    ours = decoder(seed=1, skips=skips)
    ours.load_state_dict(translated)
    assert relative_error(ours(x), expected) < 1e-10
    assert translate_decoder(translated, "ours").keys() == translated.keys()
    found = read_decoder(Checkpoint({f"decoder.{key}": one for key, one in translated.items()}, {}, "x"))
    assert (type(found), found.skips, found.channels) == (Decoder, skips, channels())
    assert relative_error(found.double()(x), expected) < 1e-10


def test_untrained_it_paints_grey_pictures_with_some_contrast() -> None:
    painted = decoder(16, 24, 32, 48)({"relu4_1": torch.randn(4, 48, 8, 8).relu().double()})
    assert painted.mean() == pytest.approx(0.5, abs=0.15)
    assert 0.01 < painted.std() < 0.5


def test_unknown_skips_are_named() -> None:
    with pytest.raises(ValueError, match=r"skips come from \['relu3_1', 'relu2_1', 'relu1_1'\], got \['relu4_1'\]"):
        Decoder(channels(), skips=["relu4_1"])


@pytest.mark.parametrize("blocks", [None, 0, 1, 2])
@SKIPS
def test_no_pixel_sees_further_than_the_reach(skips: Sequence[str], blocks: int | None) -> None:
    paint = decoder(skips=skips) if blocks is None else conditioned(skips=skips, blocks=blocks)
    for value in paint.parameters():
        value.abs_()  # no ReLU is ever shut
    if isinstance(paint, ConditionedDecoder):
        paint.components.abs_()
    assert paint.reach == DECODER_REACH_PX + 16 * (blocks or 0)
    far = 0
    for place in (72, 75, 79):  # the first, a middle and the last pixel of the cell at 9
        x = {name: one.requires_grad_() for name, one in features(19, 19, 1).items()}
        x["condition"] = x["condition"] + 9  # scales and shifts above 0
        paint(x)[0, :, place, 76].sum().backward()
        for layer in ("relu4_1", *skips):
            gradient, stride = x[layer].grad, STRIDES[layer]
            assert gradient is not None
            seen = gradient[0].abs().sum((0, 2)).nonzero()[:, 0]
            first, last = int(seen.min()) * stride, (int(seen.max()) + 1) * stride
            # tiles begin and end at multiples of 8: what lies beyond is cut off before 72 and behind 80
            assert first >= 72 - paint.reach
            assert last <= 80 + paint.reach
            far = max(far, 72 - first, last - 80)
    assert far > paint.reach - 8  # a smaller reach would be too small


# ---------------------------------------------------------------- one that is told the style


def textbook_conditioned(net: ConditionedDecoder, x: dict[str, Tensor], skips: Sequence[str]) -> Tensor:
    """y = (1 + a(z)) conv(x) + b(z), convolution by convolution."""
    state = net.state_dict()
    z = ((x["condition"] - state["center"]) / state["spread"]).clamp(-3, 3).flatten(1)
    z = 0.1 * (z @ state["components"].flatten(1).T).clamp(-3, 3)
    told = z @ state["modulation.weight"][:, :, 0, 0].T + state["modulation.bias"]
    names = [*(f"convs.{name}" for name in net.convs), *(f"blocks.{i}.conv1" for i in range(len(net.blocks)))]
    scales, shifts, place = {}, {}, 0
    for name in names:
        count = len(state[f"{name}.bias"])
        scales[name], shifts[name] = told[:, place : place + count], told[:, place + count : place + 2 * count]
        place += 2 * count
    assert place == told.shape[1]

    def conv(name: str, y: Tensor, *, plain: bool = False) -> Tensor:
        y = F.conv2d(F.pad(y, (1, 1, 1, 1), mode="reflect"), state[f"{name}.weight"], state[f"{name}.bias"])
        return y if plain else (1 + scales[name][..., None, None]) * y + shifts[name][..., None, None]

    y = x["relu4_1"]
    for i in range(len(net.blocks)):
        y = y + conv(f"blocks.{i}.conv2", F.relu(conv(f"blocks.{i}.conv1", F.relu(y))), plain=True)
    joins = {"conv3_4": "relu3_1", "conv2_2": "relu2_1", "conv1_2": "relu1_1"}
    for name in net.convs:
        if name in joins:
            y = F.interpolate(y, scale_factor=2)
        if joins.get(name) in skips:
            y = torch.cat([y, x[joins[name]]], 1)
        y = conv(f"convs.{name}", y)
        y = y if name == "conv1_1" else F.relu(y)
    return y


@pytest.mark.parametrize("blocks", [0, 2])
@SKIPS
def test_it_is_the_formula(skips: Sequence[str], blocks: int) -> None:
    net, x = conditioned(skips=skips, blocks=blocks), features()
    expected = textbook_conditioned(net, x, skips)
    assert relative_error(net(x), expected) < 1e-10
    with torch.no_grad():  # enlarging and convolving are merged
        assert relative_error(net(x), expected) < 1e-10
    other = {**x, "condition": x["condition"].flip(0)}
    assert relative_error(net(other), expected) > 0.05  # the condition counts


def test_a_condition_is_the_moments_of_four_layers() -> None:
    x = features()
    mean, std = zip(*(moments(x[layer]) for layer in STAGES))
    expected = torch.cat([mean[0], std[0], mean[1], std[1], mean[2], std[2], mean[3], std[3]], 1)
    assert torch.equal(condition(x), expected)
    full = {layer: torch.rand(1, width, 2, 2) for layer, width in zip(STAGES, (16, 48, 96, 160))}
    assert condition(full).shape == (1, 640, 1, 1)


@SKIPS
def test_it_starts_exactly_as_the_network_that_it_grows_from(skips: Sequence[str]) -> None:
    torch.manual_seed(1)
    old, new = decoder(), ConditionedDecoder(channels(), skips=skips, blocks=2).double()
    new.init_from(old)
    new.components.normal_()
    x = features()
    torch.testing.assert_close(new(x), old(x))
    new(x).square().sum().backward()
    # all that is new can learn
    grown = [new.modulation.weight, *(block.conv2.weight for block in new.blocks)]  # type: ignore[union-attr]
    for weight in grown:
        assert isinstance(weight, Tensor)
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0


def test_conditioning_at_zero_is_the_plain_decoder() -> None:
    net, x = conditioned(blocks=0), features()
    net.modulation.bias.zero_()  # type: ignore[union-attr]
    plain = decoder(seed=1)
    plain.load_state_dict({key: one for key, one in net.state_dict().items() if key.startswith("convs.")})
    middle = {**x, "condition": net.center.expand(2, -1, -1, -1)}
    torch.testing.assert_close(net(middle), plain(x))
    assert relative_error(net(x), plain(x)) > 0.05


def test_z_holds_the_directions_in_which_paintings_vary_most() -> None:
    random = torch.Generator().manual_seed(0)
    size = 2 * sum(channels().values())
    causes = torch.randn(400, 4, generator=random, dtype=torch.float64)  # four things that paintings differ in
    conditions = 5 + causes @ torch.randn(4, size, generator=random, dtype=torch.float64)
    net = ConditionedDecoder(channels(), components=4).double()
    net.fit(conditions[..., None, None])
    x = ((conditions - net.center.flatten()) / net.spread.flatten()).clamp(-3, 3)
    z = x @ net.components.flatten(1).T  # (400, 4)
    torch.testing.assert_close(z.T @ z / 400, torch.eye(4, dtype=torch.float64), rtol=0.02, atol=0.02)
    # the causes can be read out of z
    residual = causes - z @ torch.linalg.lstsq(z, causes).solution
    assert residual.square().mean() < 0.05 * causes.square().mean()
    with pytest.raises(ValueError, match="4 components need more than 4 paintings, got 3"):
        net.fit(conditions[:3, :, None, None])


def test_no_painting_leads_further_than_three_spreads() -> None:
    net, x = conditioned(), features()
    found = [net({**x, "condition": (net.center + share * net.spread)[None]}) for share in (2, 4, 30)]
    assert torch.equal(found[1], found[2])
    assert not torch.allclose(found[0], found[1])


def test_scales_and_shifts_pass_smoothly_from_one_place_to_another() -> None:
    part = torch.tensor([[[[0.0, 1.0]], [[2.0, 4.0]]]])  # a scale and a shift, at two places
    found = modulate(torch.full((1, 1, 2, 4), 3.0), part)
    scale, shift = torch.tensor([0, 0.25, 0.75, 1]), torch.tensor([2, 2.5, 3.5, 4])
    torch.testing.assert_close(found, (3 * (1 + scale) + shift).expand(1, 1, 2, 4))


def test_a_map_of_conditions_gives_each_place_its_own() -> None:
    net, x = conditioned(blocks=1), features(4, 24, 1)
    one = x["condition"]
    other = 1 - one
    everywhere = one.expand(-1, -1, 4, 24)
    torch.testing.assert_close(net({**x, "condition": everywhere}), net(x))
    halves = torch.cat([everywhere[..., :12], other.expand(-1, -1, 4, 12)], 3)
    painted = net({**x, "condition": halves})
    left, right = 96 - net.reach, 96 + net.reach
    torch.testing.assert_close(painted[..., :left], net(x)[..., :left])
    torch.testing.assert_close(painted[..., right:], net({**x, "condition": other})[..., right:])
    assert not torch.allclose(painted[..., :96], net(x)[..., :96])


# ---------------------------------------------------------------- one grows from another


@SKIPS
def test_a_trained_decoder_starts_another_of_its_kind(skips: Sequence[str]) -> None:
    x = features()
    for make in (decoder, conditioned):
        old, new = make(skips=skips), make(skips=skips, seed=1)
        assert not torch.allclose(new(x), old(x))
        new.init_from(old)
        assert torch.equal(new(x), old(x))


def test_a_skip_counts_nothing_at_first_and_can_learn() -> None:
    old, new = decoder(), decoder(skips=ALL, seed=1).requires_grad_(True)
    new.init_from(old)
    painted = new(features())
    torch.testing.assert_close(painted, old(features()))
    painted.square().sum().backward()
    for name, width in (("conv3_4", 8), ("conv2_2", 6), ("conv1_2", 4)):
        conv = new.convs[name]
        assert isinstance(conv.weight, Tensor)
        assert conv.weight.grad is not None
        assert conv.weight.grad[:, width:].abs().sum() > 0


def test_a_conditioned_decoder_grows_by_blocks_and_skips() -> None:
    old = conditioned(blocks=1)
    new = ConditionedDecoder(channels(), skips=ALL, blocks=3).double()
    new.init_from(old)
    torch.testing.assert_close(new(features()), old(features()))


def test_a_decoder_of_another_kind_starts_nothing() -> None:
    cases: list[tuple[Decoder, Decoder, str]] = [
        (decoder(4, 6, 8, 12), decoder(), r"'relu4_1': 10\}, not .*'relu4_1': 12\}: take the encoder"),
        (decoder(5, 6, 8, 10), decoder(), "channels"),
        (decoder(), decoder(skips=ADAATTN), r"it has 'convs\.conv3_4\.weight', which this decoder lacks"),
        (decoder(skips=ADAATTN), decoder(skips=ALL), "can't start from"),
        (decoder(), conditioned(blocks=0), r"it has .*; take conditioned=True, or --decoder conditioned$"),
        (conditioned(blocks=1), conditioned(blocks=2), "can't start from"),
    ]
    for new, old, words in cases:
        before = {key: value.clone() for key, value in new.state_dict().items()}
        with pytest.raises(ValueError, match=words):
            new.init_from(old)
        assert all(torch.equal(value, before[key]) for key, value in new.state_dict().items())


# ---------------------------------------------------------------- files


@SKIPS
@pytest.mark.parametrize("blocks", [None, 0, 2])
def test_its_kind_is_told_by_its_keys(skips: Sequence[str], blocks: int | None) -> None:
    made = decoder(skips=skips) if blocks is None else conditioned(skips=skips, blocks=blocks)
    found = read_decoder(Checkpoint({f"decoder.{key}": one for key, one in made.state_dict().items()}, {}, "x"))
    assert (type(found), found.skips, found.reach) == (type(made), made.skips, made.reach)
    assert relative_error(found.double()(features()), made(features())) < 1e-6  # the weights became float32


def test_part_of_a_decoder_is_told() -> None:
    state = {f"decoder.{key}": one for key, one in conditioned().state_dict().items()}
    for lost, words in (
        ("decoder.modulation.bias", r"x holds no decoder: it lacks \['modulation.bias'\]"),
        ("decoder.blocks.1.conv2.weight", r"x holds no decoder: it lacks \['blocks.1.conv2.weight'\]"),
        ("decoder.convs.conv1_2.bias", r"x holds no decoder: it lacks \['convs.conv1_2.bias'\]"),
        ("decoder.convs.conv4_1.weight", "x holds no decoder of ours"),
    ):
        with pytest.raises(ValueError, match=words):
            read_decoder(Checkpoint({key: one for key, one in state.items() if key != lost}, {}, "x"))


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
