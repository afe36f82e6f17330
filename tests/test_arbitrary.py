"""What AdaIN, SANet and AdaAttN share, tested of each."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from networks import lively, normalised_state, picture, random_convs, torchvision_state, with_random_conditioning
from torch import Tensor

import nstlib as nst
from nstlib.adaattn import AdaAttN, AdaAttNObjective
from nstlib.adain import AdaIN, AdaINObjective
from nstlib.arbitrary import ArbitraryStyle
from nstlib.arbitrary_objective import ArbitraryObjective
from nstlib.decoder import ConditionedDecoder, Decoder
from nstlib.losses import color_distance, mean_variance_norm, moments_distance
from nstlib.metrics import style_distance
from nstlib.sanet import SANet, SANetObjective
from nstlib.weights import SHIPPED, load_metadata, save_file, shipped_file

METHODS: dict[str, type[ArbitraryStyle]] = {"adain": AdaIN, "sanet": SANet, "adaattn": AdaAttN}
OBJECTIVES: dict[str, type[ArbitraryObjective]] = {
    "adain": AdaINObjective,
    "sanet": SANetObjective,
    "adaattn": AdaAttNObjective,
}
EVERY = pytest.mark.parametrize("method", METHODS)
EITHER = pytest.mark.parametrize("conditioned", [False, True], ids=["plain", "conditioned"])
"""With the papers' decoder, and with one that is told the style."""


def encoder_state(seed: int = 0, widths: tuple[int, ...] = (4, 6, 8, 10, 12)) -> dict[str, Tensor]:
    return torchvision_state(random_convs(widths, seed))


@functools.cache
def model_of(method: str, layout: str = "torchvision", *, conditioned: bool = False) -> Any:
    """A small network with random weights, in float64. Tests that change a network make their own with `new`."""
    convs = random_convs((4, 6, 8, 10, 10) if layout == "normalised" else (4, 6, 8, 10, 12))
    color = torch.eye(3)[:, :, None, None], torch.zeros(3)
    torch.manual_seed(0)
    state = normalised_state(convs, color) if layout == "normalised" else torchvision_state(convs)
    model = METHODS[method](state, conditioned=conditioned).requires_grad_(False)
    return (with_random_conditioning if conditioned else lively)(model).double()


def new(method: str, *, conditioned: bool = False, seed: int = 1, **options: Any) -> Any:
    torch.manual_seed(seed)
    model = METHODS[method](nst.Encoder(encoder_state(), **options), conditioned=conditioned)
    return (with_random_conditioning if conditioned else lively)(model)


def change(method: str, content: Tensor, style: Tensor, *, conditioned: bool = False) -> dict[str, Tensor]:
    """What the decoder of `model_of` is to paint."""
    model = model_of(method, conditioned=conditioned)
    return OBJECTIVES[method](model).change(model.encoder(content), model.encoder(style))


CONTENT, STYLE = picture(1, 3, 48, 64, seed=1).double(), picture(1, 3, 40, 56, seed=2).double()
OTHER = 1 - picture(1, 3, 33, 70, seed=3).double()
FITTING = 1 - picture(1, 3, 32, 80, seed=3).double()
"""Of sides that need no padding."""


def two_halves(height: int, width: int) -> Tensor:
    """A soft left half and the rest."""
    left = torch.linspace(3, -2, width).clamp(0, 1).expand(height, width)
    return torch.stack([left, 1 - left])


def same(found: Tensor, expected: Tensor) -> None:
    """Assert that the two agree but for rounding in float64.

    Rounding errors of 1e-16 grow to 1e-8 where the standard deviation is zero, since it is the root of a difference, and
    decoders with random weights make 1e-6 of them.
    """
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, expected, rtol=2e-5, atol=2e-5)


def differ(one: Tensor, other: Tensor) -> bool:
    """Clearly, in a picture of contrast: what tests of equality would notice."""
    return bool((one - other).abs().max() > 0.05)


# ---------------------------------------------------------------- sizes and values


@EVERY
@pytest.mark.parametrize(
    ("size", "style_size"), [((1, 1), (40, 30)), ((1, 40), (1, 1)), ((33, 50), (3, 37)), ((37, 18), (50, 1))]
)
def test_every_size_comes_back(method: str, size: tuple[int, int], style_size: tuple[int, int]) -> None:
    model = model_of(method)
    content, style = picture(2, 3, *size), picture(1, 3, *style_size, seed=1)
    raw, painted = model(content, style), model.stylize(content, style)
    assert raw.shape == painted.shape == content.shape
    assert torch.isfinite(raw).all()
    torch.testing.assert_close(raw.clamp(0, 1), painted)  # without gradients, convolutions are merged


@EVERY
def test_sizes_are_filled_up_by_mirroring_and_cropped_back(method: str) -> None:
    model, content = model_of(method), picture(1, 3, 45, 62)
    filled = torch.cat([content, content.flip(2)[:, :, 1:4]], 2)  # row 45 is row 43, ...
    filled = torch.cat([filled, filled.flip(3)[..., 1:3]], 3)
    same(model(content, STYLE), model(filled, STYLE)[..., :45, :62])


@EVERY
@pytest.mark.parametrize("flat", ["content", "style", "both"])
def test_pictures_of_one_colour_are_no_trouble_and_give_finite_gradients(method: str, flat: str) -> None:
    model = new(method, padding="replicate")  # zeros around it would be a second colour
    content = torch.full_like(CONTENT, 0.4) if flat != "style" else CONTENT.clone()
    style = torch.zeros_like(STYLE) if flat != "content" else STYLE.clone()
    content, style = content.requires_grad_(), style.requires_grad_()
    painted = model(content, style, 0.7)
    assert torch.isfinite(painted).all()
    (painted - 0.3).square().sum().backward()
    gradients = {"content": content.grad, "style": style.grad}
    gradients |= {name: p.grad for name, p in model.network.named_parameters()}
    for name, gradient in gradients.items():
        assert gradient is not None, name
        assert torch.isfinite(gradient).all(), name


@EVERY
def test_in_double_precision_it_paints_the_same(method: str) -> None:
    model = new(method).double()
    painted = model.stylize(CONTENT, STYLE)  # pictures of another dtype are taken along
    assert painted.dtype == torch.float64
    # attention by random weights is sharp, which multiplies the rounding errors of float32
    assert (painted - new(method).stylize(CONTENT, STYLE)).abs().mean() < 1e-3


@EVERY
def test_inputs_are_left_alone_and_results_may_take_part_in_a_training(method: str) -> None:
    content, style = CONTENT.clone(), STYLE.clone()
    painted = model_of(method).stylize(content, style)
    assert torch.equal(content, CONTENT)
    assert torch.equal(style, STYLE)
    assert not painted.requires_grad
    assert not painted.is_inference()


# ---------------------------------------------------------------- tiles


@EVERY
@EITHER
@pytest.mark.parametrize(
    ("layout", "size", "tile"), [("torchvision", (39, 293), 47), ("normalised", (251, 21), 32)], ids=["wide", "high"]
)
def test_tiles_fit_together_without_a_seam(
    method: str, conditioned: bool, layout: str, size: tuple[int, int], tile: int
) -> None:
    model = model_of(method, layout, conditioned=conditioned)
    content, options = picture(1, 3, *size, seed=4), {"mask": two_halves(*size), "alpha": 0.8}
    whole = model.stylize(content, [STYLE, OTHER], **options)
    assert whole.std() > 0.05
    tiled = model.stylize(content, [STYLE, OTHER], tile=tile, **options)
    assert tiled.shape == content.shape
    same(tiled, whole)
    batch = torch.cat([content, content.flip(3)])
    same(model.stylize(batch, STYLE, tile=tile), model.stylize(batch, STYLE))


@EVERY
@EITHER
def test_tiles_that_see_too_little_would_be_noticed(
    method: str, conditioned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, content = model_of(method, conditioned=conditioned), picture(1, 3, 39, 293, seed=4)
    whole = model.stylize(content, STYLE)
    same(model.stylize(content, STYLE, tile=48), whole)
    with monkeypatch.context() as patch:
        patch.setattr(model.decoder, "reach", 32 if conditioned else 8)  # of residual blocks, 32 is too little
        assert (model.stylize(content, STYLE, tile=48) - whole).abs().max() > 1e-4
    monkeypatch.setattr(nst.Encoder, "reach", lambda self, layers: model.stride)
    assert (model.stylize(content, STYLE, tile=48) - whole).abs().max() > 1e-4


@EVERY
def test_the_encoder_sees_no_further_than_its_reach(method: str) -> None:
    """Of an encoder that lets everything through: all weights positive, and means instead of maxima."""
    state = {key: value.abs() + 0.01 for key, value in encoder_state().items()}
    encoder, layers, side = nst.Encoder(state, pooling="average").double(), METHODS[method].layers, 16 * 17
    reach = encoder.reach(layers)
    pixels = torch.rand(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    for layer, one in encoder(pixels, layers).items():
        stride = encoder.stride[layer]
        cell = 128 // stride
        (gradient,) = torch.autograd.grad(one[0, :, cell, cell].sum(), pixels, retain_graph=True)
        rows = gradient[0].abs().sum((0, 2)).nonzero()
        assert 128 - reach <= rows.min()
        assert rows.max() < 128 + stride + reach
    # the last map is the deepest: the reach is no larger than it must be
    assert 128 - rows.min() == reach


def windows_of(model: Any) -> list[tuple[int, ...]]:
    """Sizes of the pictures that the encoder reads from now on."""
    sizes: list[tuple[int, ...]] = []
    model.encoder.register_forward_hook(lambda module, inputs, output: sizes.append(tuple(inputs[0].shape[2:])))
    return sizes


@EVERY
@EITHER
def test_big_paintings_are_read_in_tiles(method: str, conditioned: bool) -> None:
    model, painting = new(method, conditioned=conditioned).double(), picture(1, 3, 16, 16 * 16, seed=3)
    whole, sizes = model.encode_style(painting), windows_of(model)
    tiled = model.encode_style(painting, tile=32)
    assert len(sizes) == 8
    assert max(sizes) < (32, 256)
    for name, one in whole.code.items():
        same(tiled.code[name], one)  # the statistics are those of the whole painting
    sizes.clear()
    model.encode_style(painting[..., 1:], tile=32)  # sides that no tile fits
    assert len(sizes) == 1
    with pytest.raises(ValueError, match="tile must be a whole number of at least"):
        model.encode_style(painting, tile=0)


@EVERY
def test_only_big_pictures_are_painted_in_tiles(method: str) -> None:
    model = new(method)
    kept, sizes = model.encode_style(STYLE), windows_of(model)
    model.stylize(CONTENT, kept, tile=56)  # 48 x 64 < 56^2
    assert sizes == [(48, 64)]
    sizes.clear()
    model.stylize(CONTENT, kept, tile=55)
    assert len(sizes) == 2
    for wrong in (0, 7, 32.0, -64):
        with pytest.raises(ValueError, match=rf"tile must be a whole number of at least \d+, got {wrong}"):
            model.stylize(CONTENT, STYLE, tile=wrong)


# ---------------------------------------------------------------- strength


@EVERY
def test_alpha_0_is_the_content_in_its_own_style_whatever_the_style(method: str) -> None:
    model = model_of(method)
    expected = model.decoder(change(method, CONTENT, CONTENT))
    same(model(CONTENT, STYLE, 0), expected)
    same(model(CONTENT, CONTENT), expected)
    assert torch.equal(model(CONTENT, STYLE, alpha=0.0), model(CONTENT, [OTHER, STYLE], alpha=0.0))
    assert differ(model(CONTENT, STYLE), expected)


@EVERY
@pytest.mark.parametrize("options", [{}, {"tile": 32}, {"mask": two_halves(45, 94)}], ids=["whole", "tiles", "mask"])
def test_alpha_0_of_a_conditioned_decoder_is_the_content(method: str, options: dict[str, Any]) -> None:
    model = model_of(method, conditioned=True)
    content = picture(1, 3, 45, 94, seed=3).double()
    assert (model.stylize(content, content) - content).abs().max() > 0.1  # the decoder alone loses much
    found = model.stylize(content, [STYLE, OTHER], 0, **options)
    torch.testing.assert_close(found, content, rtol=0, atol=1e-12)


@EVERY
@EITHER
def test_alpha_goes_from_the_contents_own_style_to_the_other(method: str, conditioned: bool) -> None:
    model = model_of(method, conditioned=conditioned)
    own, other = (change(method, CONTENT, style, conditioned=conditioned) for style in (CONTENT, STYLE))
    assert ("condition" in own) == conditioned
    for alpha in (0.3, 1.0):
        mixed = {layer: alpha * other[layer] + (1 - alpha) * own[layer] for layer in own}
        lost = (1 - alpha) * (CONTENT - model.decoder(own)) if conditioned else 0
        same(model(CONTENT, STYLE, alpha), model.decoder(mixed) + lost)


@EVERY
def test_alpha_may_be_a_tensor_with_a_gradient(method: str) -> None:
    model, alpha = model_of(method), torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    painted = model(CONTENT, STYLE, alpha)
    assert torch.equal(painted, model(CONTENT, STYLE, 0.6))
    own, other = (change(method, CONTENT, style) for style in (CONTENT, STYLE))
    expected = model.decoder({layer: alpha * other[layer] + (1 - alpha) * own[layer] for layer in own})
    gradients = [torch.autograd.grad(one.sum(), alpha)[0] for one in (painted, expected)]
    assert gradients[0].abs() > 1
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)


@EVERY
@pytest.mark.parametrize("alpha", [-0.01, 1.01, float("nan"), float("inf")])
def test_alpha_lies_between_0_and_1(method: str, alpha: float) -> None:
    for paint in (model_of(method), model_of(method).stylize):
        with pytest.raises(ValueError, match=r"alpha must lie in \[0, 1\], got"):
            paint(CONTENT, STYLE, alpha)


# ---------------------------------------------------------------- several styles


@EVERY
@EITHER
def test_a_style_of_all_the_weight_is_alone(method: str, conditioned: bool) -> None:
    model = model_of(method, conditioned=conditioned)
    first, second = model(CONTENT, STYLE), model(CONTENT, OTHER)
    assert differ(first, second)
    same(model(CONTENT, [STYLE, OTHER], style_weights=[1, 0]), first)
    same(model(CONTENT, [STYLE, OTHER], style_weights=[0, 7]), second)
    same(model(CONTENT, (STYLE,)), first)
    same(model(CONTENT, [STYLE, STYLE, STYLE]), first)


@EVERY
@EITHER
def test_styles_are_blended_as_features_by_their_shares(method: str, conditioned: bool) -> None:
    """What a conditioned decoder is told is blended by them, too."""
    model = model_of(method, conditioned=conditioned)
    changed = [change(method, CONTENT, style, conditioned=conditioned) for style in (STYLE, FITTING)]
    for weights, shares in ((None, (0.5, 0.5)), ([3, 1], (0.75, 0.25)), (torch.tensor([0.2, 0.6]), (0.25, 0.75))):
        mixed = {layer: shares[0] * changed[0][layer] + shares[1] * changed[1][layer] for layer in changed[0]}
        found = model(CONTENT, [STYLE, FITTING], style_weights=weights)
        same(found, model.decoder(mixed))


@EVERY
@EITHER
def test_a_mask_gives_each_region_its_style(method: str, conditioned: bool) -> None:
    """With a conditioned decoder, scale and shift become maps."""
    model, content = model_of(method, conditioned=conditioned), picture(1, 3, 37, 254, seed=5)
    alone = [model(content, style) for style in (STYLE, OTHER)]
    left = torch.zeros(37, 254)
    left[:, :128] = 1
    painted = model(content, [STYLE, OTHER], mask=torch.stack([left, 1 - left]))
    # AdaIN's is exact from the decoder's reach on; the convolution that joins two levels sees a position of 16 px further
    reach = model.decoder.reach + (0 if method == "adain" else 16)
    same(painted[..., : 128 - reach], alone[0][..., : 128 - reach])
    same(painted[..., 128 + reach :], alone[1][..., 128 + reach :])
    assert differ(painted[..., : 128 - reach], alone[1][..., : 128 - reach])
    swapped = model(content, [OTHER, STYLE], mask=torch.stack([1 - left, left]).bool())
    same(swapped, painted)


@EVERY
@EITHER
def test_masks_of_ones_and_of_constants_are_weights(method: str, conditioned: bool) -> None:
    model, content = model_of(method, conditioned=conditioned), picture(1, 3, 37, 51, seed=5)
    ones = torch.ones(1, 37, 51)
    same(model(content, STYLE, mask=ones), model(content, STYLE))
    both = torch.cat([0.25 * ones, 0.75 * ones])
    expected = model(content, [STYLE, OTHER], style_weights=[1, 3])
    same(model(content, [STYLE, OTHER], mask=both), expected)


@EVERY
def test_masks_that_dont_fit_are_told(method: str) -> None:
    model, styles = model_of(method), [STYLE, OTHER]
    ones = torch.ones(2, 48, 64)
    fits = r"mask must be \(K, H, W\) = \(2, 48, 64\), one region per style, got \("
    total = "masks must be at least 0 and have the sum 1 at every pixel, found a least value of"
    hole = 0.5 * ones
    hole[:, 7, 9] = 0.4
    for mask, words in (
        (ones[:1], fits),
        (ones[None], fits),
        (0.5 * ones[..., 1:], fits),
        (0.5 * torch.ones(2, 6, 8), fits),
        (ones, f"{total} 1 and sums from 2 to 2; clamp .* and divide them by their sum"),
        (hole, f"{total} 0.4 and sums from 0.8 to 1;"),
        (torch.stack([2 * ones[0], -ones[0]]), total),
        (0.5 * ones * float("nan"), total),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            model.stylize(CONTENT, styles, mask=mask)
        assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"mask and style_weights .* give one of them"):
        model.stylize(CONTENT, styles, mask=0.5 * ones, style_weights=[1, 1])


@EVERY
@pytest.mark.parametrize("weights", [[1], [1, 1, 1], [], [0, 0], [2, -1], [float("nan"), 1], [float("inf"), 1]])
@pytest.mark.parametrize("kind", [list, torch.tensor])
def test_weights_that_dont_fit_are_told(method: str, weights: list[float], kind: Any) -> None:
    words = "2 styles need 2 style_weights of at least 0, not all of them 0, got"
    with pytest.raises(ValueError, match=words) as caught:
        model_of(method).stylize(CONTENT, [STYLE, OTHER], style_weights=kind(weights))
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- batches, and styles that are kept


@EVERY
@EITHER
def test_pictures_of_a_batch_dont_know_each_other(method: str, conditioned: bool) -> None:
    model = model_of(method, conditioned=conditioned)
    contents, styles = torch.cat([CONTENT, 1 - CONTENT]), torch.cat([STYLE, STYLE.flip(1)])
    for batch in (styles, STYLE):
        painted = model(contents, batch, 0.6)
        for i in range(2):
            alone = model(contents[i : i + 1], batch[i : i + 1] if len(batch) > 1 else batch, 0.6)
            same(painted[i : i + 1], alone)
    assert differ(model(contents, styles)[1], model(contents, STYLE)[1])


@EVERY
@EITHER
def test_batches_may_have_several_styles_and_masks(method: str, conditioned: bool) -> None:
    model, mask = model_of(method, conditioned=conditioned), two_halves(48, 64)
    contents, styles = torch.cat([CONTENT, 1 - CONTENT]), torch.cat([STYLE, STYLE.flip(1)])
    painted = model(contents, [styles, OTHER], mask=mask)
    for i in range(2):
        alone = model(contents[i : i + 1], [styles[i : i + 1], OTHER], mask=mask)
        same(painted[i : i + 1], alone)


@EVERY
def test_batches_that_dont_fit_are_told(method: str) -> None:
    model = model_of(method)
    for contents, styles in ((2, 3), (1, 2), (3, 2)):
        words = f"{contents} contents? needs? 1 style or {contents}, got a batch of {styles}"
        if contents == 1:
            words = "1 content needs 1 style, got a batch of 2"
        batch = STYLE.expand(styles, -1, -1, -1)
        for given in (batch, [STYLE, batch], model.encode_style(batch)):
            with pytest.raises(ValueError, match=words):
                model.stylize(CONTENT.expand(contents, -1, -1, -1), given)
    with pytest.raises(ValueError, match="no style: give at least one picture"):
        model.stylize(CONTENT, [])


@EVERY
def test_one_style_on_many_pictures_is_encoded_once(method: str) -> None:
    model, read = new(method), []
    model.encoder.register_forward_hook(lambda module, inputs, output: read.append(inputs[0].shape))
    kept = model.encode_style(STYLE)
    contents = [picture(1, 3, 16 + i, 32, seed=i) for i in range(20)]
    painted = [model.stylize(content, kept, 0.9) for content in contents]
    assert len(read) == 1 + 20
    read.clear()
    assert torch.equal(painted[3], model.stylize(contents[3], STYLE, 0.9))
    assert len(read) == 2


@EVERY
@EITHER
def test_a_kept_style_is_the_picture(method: str, conditioned: bool) -> None:
    model = model_of(method, conditioned=conditioned)
    kept = model.encode_style(STYLE)
    assert kept.method == method
    assert torch.equal(model.stylize(CONTENT, kept), model.stylize(CONTENT, STYLE))
    mixed = model.stylize(CONTENT, [OTHER, kept], style_weights=[1, 2], tile=32)
    same(mixed, model.stylize(CONTENT, [OTHER, STYLE], style_weights=[1, 2], tile=32))


@EVERY
def test_a_kept_style_has_no_gradients_and_serves_again_and_again(method: str) -> None:
    model = new(method)
    kept = model.encode_style(STYLE)
    assert not any(tensor.requires_grad for tensor in kept.code.values())
    for _ in range(2):
        model(CONTENT, kept).sum().backward()


@EVERY
def test_a_style_of_another_method_is_refused(method: str) -> None:
    for other in METHODS.keys() - {method}:
        kept = model_of(other).encode_style(STYLE)
        with pytest.raises(ValueError, match=f"encoded by '{other}', which '{method}' can't read"):
            model_of(method).stylize(CONTENT, [STYLE, kept])


@EVERY
def test_pictures_that_are_none_are_told(method: str) -> None:
    model = model_of(method)
    for paint in (model, model.stylize):
        with pytest.raises(ValueError, match=r"content must have the shape .* or \(1, 4, H, W\), not \(3, 48, 64\)"):
            paint(CONTENT[0], STYLE)
        with pytest.raises(ValueError, match=r"style must have the shape .* or \(1, 4, H, W\), not \(3, 40, 56\)"):
            paint(CONTENT, STYLE[0])
        with pytest.raises(TypeError, match="style must be a tensor"):
            paint(CONTENT, "wave")
        with pytest.raises(TypeError, match=r"content must hold floats in \[0, 1\], not torch\.uint8"):
            paint((255 * CONTENT).byte(), STYLE)
        with pytest.raises(ValueError, match="content"):
            paint(CONTENT[:0], STYLE)
    with pytest.raises(ValueError, match="style"):
        model.encode_style(255 * STYLE)


# ---------------------------------------------------------------- encoders and files


@EVERY
def test_an_encoder_that_lacks_a_layer_is_told(method: str) -> None:
    with pytest.raises(ValueError, match=r"the encoder gives \['relu1_1'\], and lacks \['relu"):
        METHODS[method](nst.Encoder(encoder_state(), ["relu1_1"]))
    shallow = {key: value for key, value in encoder_state().items() if int(key.split(".")[1]) < 19}
    with pytest.raises(ValueError, match=r"this network has no layer 'relu[45]_1'"):
        METHODS[method](shallow)


@EVERY
def test_encoders_with_more_layers_paint_the_same(method: str) -> None:
    layers = ["relu1_1", "conv1_2", "relu2_1", "relu3_1", "conv4_1", "relu4_1", "relu5_1"]
    model, other = new(method).double(), METHODS[method](nst.Encoder(encoder_state(), layers)).double()
    other.network.load_state_dict(model.network.state_dict())
    same(other.stylize(CONTENT, STYLE), model.stylize(CONTENT, STYLE))


def saved(method: str, path: Path, **about: str) -> tuple[Any, Path]:
    model = new(method)
    about = {**OBJECTIVES[method](with_all_layers(model)).describe(), "steps": "12", **about}
    return model, save_file(path, model.network.state_dict(), about)


def with_all_layers(model: Any) -> Any:
    """On an encoder that has the layers of the loss, too."""
    model.encoder = nst.Encoder(encoder_state())
    return model


@EVERY
def test_our_own_files_come_back_with_what_they_say(method: str, tmp_path: Path) -> None:
    model, path = saved(method, tmp_path / "own.safetensors")
    again = METHODS[method].from_checkpoint(path, encoder=encoder_state())
    assert again.metadata["method"] == method
    assert again.metadata["encoder_fingerprint"] == model.encoder.fingerprint
    assert again.metadata["steps"] == "12"
    assert not again.training
    assert (again.stylize(CONTENT, STYLE) - model.stylize(CONTENT, STYLE)).abs().max() < 0.02  # half precision on disk
    names = {name for name, p in again.named_parameters() if p.requires_grad}
    assert names == {f"network.{name}" for name, _ in model.network.named_parameters()}


@EVERY
def test_a_narrow_decoder_is_read_from_its_file(method: str, tmp_path: Path) -> None:
    state = encoder_state()
    channels = nst.Encoder(state).channels
    torch.manual_seed(0)
    decoder = Decoder({**channels, "relu1_1": 3, "relu2_1": 5}, skips=METHODS[method].skips)
    narrow = METHODS[method](state, decoder=decoder)
    path = narrow.save(tmp_path / "own.safetensors")
    again = METHODS[method].from_checkpoint(path, encoder=state)
    same(again.double().stylize(CONTENT, STYLE), narrow.double().stylize(CONTENT, STYLE))


@EVERY
def test_weights_for_another_encoder_are_told(method: str, tmp_path: Path) -> None:
    model, path = saved(method, tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match=rf"own\.safetensors was trained on .* {model.encoder.fingerprint}, and this"):
        METHODS[method].from_checkpoint(path, encoder=encoder_state(seed=1))
    for encoder in ("vgg19_mini", encoder_state(widths=(4, 6, 8, 9, 12))):
        with pytest.raises(ValueError, match=r"the decoder takes 10 channels at relu4_1, .* take the encoder that"):
            METHODS[method].from_checkpoint(path, encoder=encoder)


@EVERY
def test_other_files_are_told_by_name(method: str, tmp_path: Path) -> None:
    model, path = saved(method, tmp_path / "own.safetensors")
    cls = METHODS[method]

    def refused(error: type[Exception], words: str, path: Path) -> None:
        with pytest.raises(error, match=words) as caught:
            cls.from_checkpoint(path, encoder=encoder_state())
        assert "\n" not in str(caught.value)

    for other in METHODS.keys() - {method}:
        refused(
            ValueError,
            f"holds weights of the method '{other}', and those of '{method}'",
            saved(other, tmp_path / "other.safetensors")[1],
        )
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-50])
    refused(OSError, r"cut\.safetensors is no whole safetensors file", tmp_path / "cut.safetensors")
    refused(FileNotFoundError, "nowhere", tmp_path / "nowhere.safetensors")
    torch.save(model.network.state_dict(), tmp_path / "own.pth")
    (tmp_path / "half.pth").write_bytes((tmp_path / "own.pth").read_bytes()[:4000])
    refused(OSError, r"half\.pth can't be read", tmp_path / "half.pth")
    refused(ValueError, "has keys like", save_file(tmp_path / "vgg.safetensors", encoder_state(), {}))

    tensors, about = dict(model.network.state_dict()), {"method": method}
    bias = tensors.pop("decoder.convs.conv3_2.bias")
    part = save_file(tmp_path / "part.safetensors", tensors, about)
    refused(ValueError, r"part\.safetensors .*lacks \['convs\.conv3_2\.bias'\]", part)
    more = save_file(tmp_path / "more.safetensors", {**tensors, "decoder.convs.conv3_2.bias": bias, "x": bias}, about)
    refused(ValueError, r"has besides \['x'\]", more)
    nothing = save_file(tmp_path / "nothing.safetensors", {"x": bias}, about)
    refused(ValueError, r"nothing\.safetensors (is no decoder|holds no whole network)", nothing)


@EVERY
def test_damage_to_what_is_shipped_is_told(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHIPPED, method, "0" * 64)
    with pytest.raises(OSError, match=f"the weights '{method}' inside the package are damaged"):
        METHODS[method].pretrained()


@EVERY
def test_shipped_networks_paint_in_the_style_of_any_painting(method: str) -> None:
    model = METHODS[method].pretrained()
    encoder = nst.Encoder()
    for content_name, style_name in (("astronaut", "wave"), ("coffee", "swirl"), ("cat", "geometry")):
        content, style = nst.samples.content(content_name, 128), nst.samples.style(style_name, 128)
        painted = model.stylize(content, style)
        far, near = (style_distance(one, style, kind="moments", encoder=encoder) for one in (content, painted))
        assert near < 0.7 * far, (content_name, style_name)
        # the photograph is there still: its features have the same pattern, with another mean and standard deviation
        other = nst.samples.content("rocket", 128)[..., : content.shape[2], : content.shape[3]]
        assert other.shape == content.shape
        patterns = [mean_variance_norm(encoder(one)["relu4_1"]) for one in (painted, content, other)]
        lost, unrelated = ((patterns[0] - pattern).square().mean() for pattern in patterns[1:])
        assert lost < 0.75 * unrelated


def test_shipped_networks_are_small_and_say_what_they_are() -> None:
    files = [shipped_file(method) for method in METHODS]
    assert sum(file.stat().st_size for file in files) < 16e6
    for method, file in zip(METHODS, files, strict=True):
        about = load_metadata(file)
        assert about["method"] == method
        assert {"data", "style data", "steps", "losses", "init", "encoder_fingerprint"} <= set(about)


# ---------------------------------------------------------------- training


def objective_of(method: str, conditioned: bool = False, /, **weights: float) -> Any:
    torch.manual_seed(1)
    return OBJECTIVES[method](METHODS[method](nst.Encoder(encoder_state()), conditioned=conditioned), **weights)


def usual_weights(method: str) -> dict[str, float]:
    return {name: weight for name, weight in OBJECTIVES[method].weights.items() if weight}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    for module in ("matplotlib.pyplot", "torch._dynamo"):  # which the loop imports: no test waits for them
        importlib.import_module(module)
    folders = [tmp_path_factory.mktemp(name) for name in ("photos", "paintings")]
    for i in range(2):
        nst.save_image(picture(1, 3, 40, 52, seed=i), folders[0] / f"{i}.png")
        nst.save_image(1 - picture(1, 3, 45, 37, seed=10 + i), folders[1] / f"{i}.png")
    return folders


@EVERY
def test_the_loop_trains_all_of_the_network_and_nothing_else(method: str, folders: list[Path], tmp_path: Path) -> None:
    objective = objective_of(method)
    before = {key: value.clone() for key, value in objective.state_dict().items()}
    result = nst.train(
        objective, *folders, steps=2, out_dir=tmp_path, batch_size=2, size=32, device="cpu", progress=False
    )
    assert result.finished
    assert set(result.history[0]) == {"step", "learning_rate", "total", *usual_weights(method)}
    for key, value in objective.state_dict().items():
        assert torch.equal(value, before[key]) == (".encoder." in f".{key}"), key
    model = METHODS[method].from_checkpoint(result.weights, encoder=encoder_state())
    assert (model.stylize(CONTENT, STYLE) - objective.model.stylize(CONTENT, STYLE)).abs().max() < 0.01


@EVERY
@EITHER
def test_a_training_goes_on_with_weights_of_its_method(method: str, conditioned: bool, tmp_path: Path) -> None:
    _, path = saved(method, tmp_path / "own.safetensors")
    model = METHODS[method](encoder_state(), conditioned=conditioned)
    model.init_from(path)
    assert model.origin == f"weights of {method} after 12 steps"
    assert OBJECTIVES[method](with_all_layers(model)).describe()["init"] == model.origin
    # a decoder that is told the style begins as the plain one
    begun = METHODS[method].from_checkpoint(path, encoder=encoder_state())
    same(model.double().stylize(CONTENT, STYLE), begun.double().stylize(CONTENT, STYLE))


@EVERY
def test_weights_without_a_name_are_recognised_by_their_keys(method: str) -> None:
    old, model = new(method), new(method, seed=2)
    model.init_from(old.state_dict())
    assert model.origin.startswith("weights of the state dict")
    assert torch.equal(model.stylize(CONTENT, STYLE), old.stylize(CONTENT, STYLE))


@EVERY
@pytest.mark.parametrize("other", METHODS)
def test_a_training_begins_with_the_decoder_of_another_method(method: str, other: str, tmp_path: Path) -> None:
    if other == method:
        return
    old, path = saved(other, tmp_path / "other.safetensors")
    model = new(method)
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    if other == "adaattn":
        with pytest.raises(ValueError, match=r"can't start from the trained one: it has 'convs\.conv3_4\.weight'"):
            model.init_from(path)
        return
    model.init_from(str(path))
    assert model.origin == f"decoder of {other} after 12 steps"
    x = {
        layer: picture(1, channels, *size)
        for layer, channels, size in (("relu4_1", 10, (4, 5)), ("relu3_1", 8, (8, 10)))
    }
    assert (model.decoder(x) - old.decoder(x)).abs().max() < 0.01  # half precision on disk
    for key, value in model.network.state_dict().items():
        assert key.startswith("decoder.") or torch.equal(value, before[key]), key


@EVERY
def test_a_conditioned_decoder_begins_with_that_of_another_method(method: str) -> None:
    old, model = new("adain", conditioned=True), METHODS[method](encoder_state(), conditioned=True)
    model.init_from(old.state_dict())
    for key, value in old.decoder.state_dict().items():
        assert torch.equal(model.decoder.state_dict()[key], value), key


@EVERY
def test_a_training_begins_with_what_is_shipped(method: str) -> None:
    model = METHODS[method](conditioned=True)
    model.init_from(method)
    content, style = nst.samples.content("cat", 48), nst.samples.style("swirl", 48)
    shipped = METHODS[method].pretrained()
    assert model.origin.startswith(f"weights of {method} after ")
    assert isinstance(model.decoder, ConditionedDecoder)
    if not isinstance(shipped.decoder, ConditionedDecoder):
        same(model.double().stylize(content, style), shipped.double().stylize(content, style))


@EVERY
def test_what_cannot_start_a_training_is_told(method: str, tmp_path: Path) -> None:
    model = new(method)
    _, path = saved(method, tmp_path / "own.safetensors")

    def refused(error: type[Exception], words: str, source: Path | str, model: Any = model) -> None:
        before = {key: value.clone() for key, value in model.network.state_dict().items()}
        with pytest.raises(error, match=words) as caught:
            model.init_from(source)
        assert "\n" not in str(caught.value)
        assert model.origin == "random weights"
        assert all(torch.equal(value, before[key]) for key, value in model.network.state_dict().items())

    refused(FileNotFoundError, "nowhere", "nowhere.safetensors")
    johnson = save_file(tmp_path / "j.safetensors", {"conv1.weight": torch.zeros(1)}, {"method": "johnson"})
    refused(ValueError, r"j\.safetensors .*decoder", johnson)
    refused(ValueError, "vgg19_mini.* decoder", "vgg19_mini")
    broken = dict(model.network.state_dict())
    del broken["decoder.convs.conv2_2.bias"]
    for about in ({"method": method}, {"method": "else"}):
        part = save_file(tmp_path / "part.safetensors", broken, about)
        refused(ValueError, r"part\.safetensors .*lacks \['(decoder\.)?convs\.conv2_2\.bias'\]", part)
    wider = METHODS[method](encoder_state(widths=(4, 6, 8, 11, 12)))
    refused(ValueError, "own.safetensors.*encoder|widths", path, wider)
    stranger = METHODS[method](encoder_state(seed=1))
    refused(ValueError, "was trained on the encoder", path, stranger)


@EVERY
@EITHER
def test_only_the_network_gets_gradients(method: str, conditioned: bool) -> None:
    objective = objective_of(method, conditioned).train()
    terms = objective(picture(2, 3, 32, 48), picture(2, 3, 32, 48, seed=1))
    assert all(term.ndim == 0 and term.dtype == torch.float32 for term in terms.values())
    torch.stack(list(terms.values())).sum().backward()
    assert not objective.encoder.training
    for name, p in objective.named_parameters():
        assert (p.grad is not None) == name.startswith(("network.", "model.network.")), name
        assert p.grad is None or torch.isfinite(p.grad).all(), name


@EVERY
@pytest.mark.parametrize("flat", ["content", "style", "both"])
def test_pictures_of_one_colour_train_without_nan(method: str, flat: str) -> None:
    objective = objective_of(method)
    content, style = picture(2, 3, 32, 32), picture(2, 3, 32, 32, seed=1)
    content[0] = 0.5 if flat != "style" else content[0]
    style[0] = 0.0 if flat != "content" else style[0]
    terms = objective(content, style)
    torch.stack(list(terms.values())).sum().backward()
    assert all(torch.isfinite(term) for term in terms.values())
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in objective.network.parameters())


@EVERY
def test_terms_are_weighted_and_those_of_no_weight_left_out(method: str) -> None:
    content, style = picture(1, 3, 32, 32), picture(1, 3, 32, 32, seed=1)
    usual = objective_of(method)(content, style)
    weights = usual_weights(method)
    assert usual.keys() == weights.keys()
    for name, weight in weights.items():
        changed = objective_of(method, **{name: 3 * weight})(content, style)
        for other, term in changed.items():
            torch.testing.assert_close(term, (3 if other == name else 1) * usual[other], msg=f"{name}, {other}")
        assert objective_of(method, **{name: 0})(content, style).keys() == weights.keys() - {name}
        assert objective_of(method, **{name: 0.5}).describe()[f"weight of {name}"] == "0.5"
    terms = ", ".join(OBJECTIVES[method].weights)
    with pytest.raises(TypeError, match=rf"the loss of {method} has no option 'tv' \(there are: {terms}\)"):
        objective_of(method, tv=1)
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=f"the weight of {name} must be a number of at least 0, got"):
            objective_of(method, **{name: wrong})


@EVERY
@EITHER
def test_terms_are_means_over_pairs(method: str, conditioned: bool) -> None:
    objective = OBJECTIVES[method](model_of(method, conditioned=conditioned))
    contents, styles = (picture(3, 3, 32, 48, seed=seed).double() for seed in (1, 2))
    c, s = objective.encoder(contents), objective.encoder(styles)
    terms = objective.pair_terms(c, s, contents, styles)
    assert all(term.shape == (3,) and term.dtype == torch.float64 for term in terms.values())
    same(objective.paint(c, s), objective.model(contents, styles))
    weighted = objective(contents, styles)
    for name, weight in usual_weights(method).items():
        torch.testing.assert_close(weighted[name], weight * terms[name].mean())
    for i in range(3):  # pairs don't know each other
        part = slice(i, i + 1)
        alone = objective(contents[part], styles[part])
        for name, weight in usual_weights(method).items():
            torch.testing.assert_close(alone[name], weight * terms[name][i], rtol=1e-6, atol=1e-6)


@EVERY
def test_balance_lets_pairs_that_lie_far_apart_count_less(method: str) -> None:
    contents, styles = (picture(3, 3, 32, 48, seed=seed).double() for seed in (1, 2))
    styles[0] = contents[0]
    styles[2] = 1 - styles[2] ** 3
    plain, balanced = (OBJECTIVES[method](model_of(method), balance=balance) for balance in (0, 5))
    c, s = plain.encoder(contents), plain.encoder(styles)
    # share = 1 / (1 + balance |moments - moments|^2)
    share = 1 / (1 + 5 * moments_distance(c, s, plain.layers))
    assert share[0] == 1
    assert share[1:].max() < 0.9
    terms, found = plain.pair_terms(c, s, contents, styles), balanced(contents, styles)
    for name, weight in usual_weights(method).items():
        torch.testing.assert_close(found[name], weight * (share * terms[name]).mean())
    assert balanced.describe()["balance"] == "5.0"
    with pytest.raises(ValueError, match="balance must be a number of at least 0, got -1"):
        OBJECTIVES[method](model_of(method), balance=-1)


@EITHER
@pytest.mark.parametrize("method", ["adain", "adaattn"])
def test_the_identity_term_compares_a_picture_with_what_is_painted_in_its_own_style(
    method: str, conditioned: bool
) -> None:
    model, others = model_of(method, conditioned=conditioned), dict.fromkeys(usual_weights(method), 0)
    objective = OBJECTIVES[method](model, **others, identity=7)
    contents, styles = (picture(2, 3, 32, 48, seed=seed).double() for seed in (1, 2))
    terms = objective(contents, styles)
    assert terms.keys() == {"identity"}
    torch.testing.assert_close(terms["identity"], 7 * (model(contents, contents) - contents).square().mean())


@EVERY
def test_the_colour_term_compares_result_and_painting(method: str) -> None:
    model, others = model_of(method), dict.fromkeys(usual_weights(method), 0)
    content, style = picture(1, 3, 32, 48), picture(1, 3, 32, 48, seed=1)
    terms = OBJECTIVES[method](model, **others, colors=7)(content, style)
    assert terms.keys() == {"colors"}
    torch.testing.assert_close(terms["colors"], 7 * color_distance(model(content, style), style)[0])


@EVERY
def test_an_objective_takes_another_judge_of_its_pictures(method: str) -> None:
    class Judged(OBJECTIVES[method]):  # type: ignore[misc, valid-type]
        weights: ClassVar[dict[str, float]] = {**OBJECTIVES[method].weights, "judge": 2.0}

        def picture_terms(self, pictures: Tensor, content: Tensor, style: Tensor) -> dict[str, Tensor]:
            return {**super().picture_terms(pictures, content, style), "judge": pictures.square().mean((1, 2, 3))}

    model = model_of(method)
    content, style = picture(2, 3, 32, 48), picture(2, 3, 32, 48, seed=1)
    terms = Judged(model, colors=1)(content, style)
    assert terms.keys() == {*usual_weights(method), "colors", "judge"}
    torch.testing.assert_close(terms["judge"], 2 * model(content, style).square().mean().to(terms["judge"]))
    alone = Judged(model, **dict.fromkeys(usual_weights(method), 0))(content, style)
    assert alone.keys() == {"judge"}


@EVERY
def test_an_objective_names_bad_input(method: str) -> None:
    objective = objective_of(method)
    with pytest.raises(ValueError, match=f"{method} sees a new painting at every step: name a folder of styles"):
        objective(picture(1, 3, 32, 32), None)
    with pytest.raises(ValueError, match=rf"multiple of {objective.model.stride}.*36"):
        objective(picture(1, 3, 36, 36), picture(1, 3, 36, 36, seed=1))
    without = METHODS[method](encoder_state())
    without.encoder = nst.Encoder(encoder_state(), ["relu4_1", "relu5_1"])
    with pytest.raises(ValueError, match=r"lacks \['relu1_1', 'relu2_1', 'relu3_1'\]"):
        OBJECTIVES[method](without)


@EVERY
@EITHER
def test_training_in_half_precision_is_nearly_the_same(method: str, conditioned: bool) -> None:
    objective = objective_of(method, conditioned)
    pair = picture(1, 3, 32, 32), picture(1, 3, 32, 32, seed=1)
    exact = objective(*pair)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = objective(*pair)
    torch.stack(list(rounded.values())).sum().backward()
    for name, term in rounded.items():
        assert term.dtype == torch.float32
        assert term.item() == pytest.approx(exact[name].item(), rel=0.3), name


@EVERY
def test_describe_says_what_there_is_to_know(method: str) -> None:
    objective = objective_of(method)
    about = objective.describe()
    assert all(isinstance(value, str) for value in about.values())
    assert (about["method"], about["init"], about["balance"]) == (method, "random weights", "0.0")
    assert about["encoder_fingerprint"] == objective.encoder.fingerprint
