from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from networks import normalised_state, picture, random_convs, torchvision_state
from torch import Tensor

import nstlib as nst
from nstlib.gatys import Result
from nstlib.utils.opacity import split_opacity

STATE = torchvision_state(random_convs())
SMALL: dict[str, Any] = {"steps": 12, "pyramid": 1}


@pytest.fixture(scope="module")
def content() -> Tensor:
    return nst.samples.content("cat", 64)


@pytest.fixture(scope="module")
def style() -> Tensor:
    return nst.samples.style("wave", 64)


def paint(content: Tensor, style: Any, call: dict[str, Any] | None = None, **options: Any) -> Result:
    return nst.Gatys(**{**SMALL, **options})(content, style, progress=False, **(call or {}))


def test_the_first_losses_are_the_papers(content: Tensor, style: Tensor) -> None:
    """Equations (1), (4), (5) and (7) written out, against the first entry of the history."""
    layers = ("relu1_1", "relu3_1")
    start = torch.rand(content.shape, generator=torch.Generator().manual_seed(1))
    result = paint(
        content,
        style,
        content_layers=("relu2_2",),
        style_layers=layers,
        layer_weights={"relu1_1": 3, "relu3_1": 1},
        content_weight=2,
        style_weight=5,
        tv_weight=7,
        normalize_losses=False,
        init=start,
        steps=1,
    )
    encoder = nst.Encoder(layers=[*layers, "relu2_2"])
    painted = F.interpolate(style, (64, 64), mode="bicubic", antialias=True)
    x, p, a = encoder(start), encoder(content), encoder(painted)
    content_term = 0.5 * (x["relu2_2"] - p["relu2_2"]).square().sum()
    style_term = torch.zeros(())
    for layer, weight in zip(layers, (0.75, 0.25), strict=True):
        f, s = x[layer].flatten(2)[0], a[layer].flatten(2)[0]
        g, target = f @ f.T / f.shape[1], s @ s.T / s.shape[1]
        style_term += weight * (g - target).square().sum() / (4 * len(f) ** 2)
    tv = (start[..., 1:, :] - start[..., :-1, :]).square().mean() + (start[..., 1:] - start[..., :-1]).square().mean()
    first = result.history[0]
    assert first["content"] == pytest.approx(content_term.item(), rel=1e-4)
    assert first["style"] == pytest.approx(style_term.item(), rel=1e-4)
    assert first["tv"] == pytest.approx(tv.item(), rel=1e-4)
    assert first["total"] == pytest.approx((2 * content_term + 5 * style_term + 7 * tv).item(), rel=1e-4)


def test_the_total_is_the_weighted_sum_and_layers_count_alike(content: Tensor, style: Tensor) -> None:
    weights: dict[str, Any] = {"content_weight": 2.0, "style_weight": 5.0, "tv_weight": 300.0}
    result = paint(content, style, init="noise", steps=1, style_layers=("relu1_1", "relu2_1"), **weights)
    found = result.losses
    terms = [2 * found["content"], 5 * found["style"], 300 * found["tv"]]
    assert min(terms) > 0.01 * sum(terms)  # or nobody would notice
    assert found["total"] == pytest.approx(sum(terms), rel=1e-5)
    assert found["style"] == pytest.approx((found["style/relu1_1"] + found["style/relu2_1"]) / 2, rel=1e-5)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_the_norm_of_the_total_variation_can_be_chosen(norm: Any, content: Tensor) -> None:
    result = paint(content, None, encoder=STATE, style_weight=0, content_layers=["relu2_1"], tv_norm=norm, steps=1)
    assert result.history[0]["tv"] == pytest.approx(nst.total_variation(content, norm=norm).item(), rel=1e-5)


def test_small_weights_take_the_same_way(content: Tensor, style: Tensor) -> None:
    """L-BFGS drops steps along which the gradient changes little: whether it does must not depend on the weights' scale."""
    usual = paint(content, style).losses["total"]
    small = paint(content, style, content_weight=1e-8, style_weight=20e-8, tv_weight=1e-8).losses["total"]
    # the way of L-BFGS magnifies rounding errors; had it dropped the steps, the loss would be many times as large
    assert 1e8 * small == pytest.approx(usual, rel=0.5)


def test_relative_losses_are_the_papers_over_their_value_at_zero(content: Tensor, style: Tensor) -> None:
    options: dict[str, Any] = {
        "content_layers": ("relu2_2",),
        "style_layers": ("relu3_1",),
        "init": "noise",
        "steps": 1,
    }
    exact = paint(content, style, normalize_losses=False, **options).history[0]
    relative = paint(content, style, normalize_losses=True, **options).history[0]
    encoder = nst.Encoder(layers=["relu2_2", "relu3_1"])
    features = encoder(content)["relu2_2"]
    gram = nst.gram_matrix(encoder(F.interpolate(style, (64, 64), mode="bicubic", antialias=True))["relu3_1"])
    at_zero = nst.content_loss(torch.zeros_like(features), features), nst.style_loss(torch.zeros_like(gram), gram)
    assert relative["content"] == pytest.approx(exact["content"] / at_zero[0].item(), rel=1e-4)
    assert relative["style"] == pytest.approx(exact["style"] / at_zero[1].item(), rel=1e-4)


@pytest.mark.parametrize(("optimizer", "pyramid"), [("lbfgs", 1), ("lbfgs", 2), ("adam", 2)])
def test_the_loss_falls_and_the_result_is_the_best_found(
    content: Tensor, style: Tensor, optimizer: str, pyramid: int
) -> None:
    result = paint(nst.samples.content("cat", 128), style, optimizer=optimizer, pyramid=pyramid, steps=20)
    assert result.picture.shape == (1, 3, 128, 192)
    assert 0 <= result.picture.min() <= result.picture.max() <= 1
    last = [entry for entry in result.history if entry["size"] == 128]
    assert min(entry["total"] for entry in last) < 0.7 * last[0]["total"]
    assert result.losses["total"] == min(entry["total"] for entry in last)
    assert [entry["step"] for entry in result.history] == list(range(1, 21))
    assert sorted({entry["size"] for entry in result.history}) == ([128] if pyramid == 1 else [64, 128])


def test_a_list_shares_the_steps_among_the_scales(style: Tensor) -> None:
    cat = nst.samples.content("cat", 128)
    sizes = [entry["size"] for entry in paint(cat, style, steps=10, pyramid=[1, 4]).history]
    assert sizes == [64] * 2 + [128] * 8
    # a picture too small for the coarsest scale: the shares of the others count
    sizes = [entry["size"] for entry in paint(cat, style, steps=4, pyramid=[5, 1, 3]).history]
    assert sizes == [64] + [128] * 3
    for wrong in ([], [1, 0], [1, -1], [1, float("inf")], 0, 1.5, "2"):
        with pytest.raises(ValueError, match="pyramid must be"):
            nst.Gatys(pyramid=wrong)  # type: ignore[arg-type]


def test_in_bfloat16_all_but_the_last_steps_have_features_of_half_precision(content: Tensor, style: Tensor) -> None:
    kinds: list[torch.dtype] = []
    gatys = nst.Gatys(precision="bfloat16", steps=20, pyramid=1)
    gatys.encoder.convs["conv5_1"].register_forward_hook(lambda module, x, y: kinds.append(y.dtype))
    result = gatys(content, style, progress=False)
    # the style's Gram matrices come first; the content is not read so deep
    assert kinds == [torch.float32] + [torch.bfloat16] * 18 + [torch.float32] * 2
    assert result.picture.dtype == torch.float32
    # the best is one of the last two, whose losses are exact
    assert result.losses["total"] == min(entry["total"] for entry in result.history[-2:])
    assert result.losses["total"] == pytest.approx(paint(content, style, steps=20).losses["total"], rel=0.5)
    with pytest.raises(ValueError, match="no precision 'half'"):
        nst.Gatys(precision="half")  # type: ignore[arg-type]


def test_losses_of_half_precision_are_not_compared_with_the_last_ones(content: Tensor) -> None:
    """From the content, with nothing but its loss, every step of Adam makes it worse."""
    options: dict[str, Any] = {"style_weight": 0.0, "tv_weight": 0.0, "optimizer": "adam", "steps": 20}
    result = paint(content, None, precision="bfloat16", **options)
    last = [entry["total"] for entry in result.history if entry["bits"] == 32]
    assert len(last) == 2
    assert result.losses["total"] == min(last) > result.history[0]["total"]


@pytest.mark.parametrize("preconditioner", [0.0, 0.4, 1.0])
def test_the_first_step_of_lbfgs_goes_down_the_gradient_in_coordinates_of_frequencies(preconditioner: float) -> None:
    """x = first + irfft(w rfft(z)) with w = (f / 0.1)^-p, where no waves at all count as one in the picture."""
    content, style = picture(1, 3, 24, 20).double(), picture(1, 3, 20, 20, seed=1).double()
    first = torch.full_like(content, 0.5)
    gatys = nst.Gatys(STATE, init=first, steps=2, pyramid=1, preconditioner=preconditioner).double()
    moved = gatys(content, style, progress=False).picture - first  # the second step has the lower loss

    x = first.clone().requires_grad_()
    loss = gatys.loss
    terms = loss.weigh(loss(x, loss.read_content(content), loss.read_styles([F.interpolate(style, (20, 20))])))
    (gradient,) = torch.autograd.grad(torch.stack([*terms.values()]).sum() * x.numel(), x)
    fy, fx = torch.fft.fftfreq(24).double()[:, None], torch.fft.rfftfreq(20).double()[None]
    w = ((fy.square() + fx.square()).sqrt().clamp(min=1 / 24) / 0.1) ** -preconditioner
    along = torch.fft.irfft2(w * torch.fft.rfft2(gradient), s=(24, 20))
    # PyTorch's first step: along the negative gradient, with a sum of absolute values of 1
    expected = torch.fft.irfft2(w * torch.fft.rfft2(-along / along.abs().sum()), s=(24, 20))
    assert moved.abs().max() > 1e-4
    assert (moved - expected).abs().max() < 1e-6 * expected.abs().max()


def test_the_same_seed_gives_the_same_picture_and_leaves_the_global_state_alone(content: Tensor, style: Tensor) -> None:
    state = torch.random.get_rng_state()
    first, second, other = (paint(content, style, init="noise", seed=seed).picture for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_inputs_are_left_as_they_were(content: Tensor, style: Tensor) -> None:
    before = content.clone(), style.clone()
    paint(content, style)
    assert torch.equal(content, before[0])
    assert torch.equal(style, before[1])


@pytest.mark.parametrize("init", ["content", "noise", "style", "picture"])
def test_a_run_begins_with_what_init_names(content: Tensor, style: Tensor, init: str) -> None:
    given = picture(1, 3, 64, 96)
    found = paint(content, style, init=given if init == "picture" else init, steps=1).picture
    if init == "noise":
        assert found.mean().item() == pytest.approx(0.5, abs=0.05)
        assert found.std().item() == pytest.approx(12**-0.5, abs=0.05)  # of numbers between 0 and 1, all alike
    else:
        scaled = F.interpolate(style, (64, 96), mode="bicubic", antialias=True).clamp(0, 1)
        expected = {"content": content, "style": scaled, "picture": given}[init]
        assert torch.equal(found, expected)


def test_every_content_of_a_batch_may_have_a_start_of_its_own(style: Tensor) -> None:
    content, init = picture(2, 3, 32, 40), picture(2, 3, 32, 40, seed=1)
    assert torch.equal(paint(content, style, encoder=STATE, init=init, steps=1).picture, init)
    assert torch.equal(paint(content, style, encoder=STATE, init=init[:1], steps=1).picture, init[[0, 0]])


@pytest.fixture
def on_no_device() -> Iterator[None]:
    """As under `torch.set_default_device("cuda")`, on every machine: what forgets to say where it is holds no numbers."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def test_the_default_device_of_pytorch_doesnt_matter(request: pytest.FixtureRequest) -> None:
    content, style = picture(1, 3, 40, 32), picture(1, 3, 32, 32, seed=1)

    def painted() -> list[Tensor]:
        options: dict[str, Any] = {"pyramid": 1, "steps": 2, "init": "noise"}
        mixed = {"style_weights": [1, 2]}
        return [
            paint(content, style, encoder=STATE, **options).picture,
            paint(content, [style, style.flip(3)], mixed, encoder=STATE, optimizer="adam", **options).picture,
            nst.Encoder(weights="random", layers=["relu1_1"])(content)["relu1_1"],
        ]

    expected = painted()
    request.getfixturevalue("on_no_device")
    for one, other in zip(painted(), expected, strict=True):
        assert torch.equal(one, other)


def test_several_styles_share_by_weight(content: Tensor, style: Tensor) -> None:
    other = nst.samples.style("mosaic", 96)
    alone = paint(content, style).picture
    both = paint(content, [style, other], {"style_weights": [1.0, 0.0]}).picture
    assert (both - alone).abs().mean() < 0.001
    mixed = paint(content, [style, other], {"style_weights": [1.0, 1.0]}).picture
    assert (mixed - alone).abs().mean() > 0.01
    torch.testing.assert_close(paint(content, [style, other]).picture, mixed)


def test_a_mask_puts_each_style_in_its_region(content: Tensor) -> None:
    red, blue = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    red[:, 0], blue[:, 2] = 0.9, 0.9
    mask = torch.zeros(2, 64, 96)
    mask[0, :, :48], mask[1, :, 48:] = 1, 1
    result = paint(
        content, [red, blue], {"mask": mask}, steps=40, style_weight=1000, style_layers=("relu1_1", "relu2_1")
    )
    left, right = (half.mean((0, 2, 3)) for half in (result.picture[..., :40], result.picture[..., 56:]))
    assert left[0] > left[2] + 0.2
    assert right[2] > right[0] + 0.2


def test_without_style_it_reconstructs_and_without_content_it_makes_texture(content: Tensor, style: Tensor) -> None:
    inverted = paint(content, None, style_weight=0, content_layers=("relu2_1",), init="noise", steps=40)
    assert F.mse_loss(inverted.picture, content) < 0.02
    texture = paint(content, style, content_layers=(), init="noise", steps=40)
    assert texture.losses["content"] == 0
    assert texture.losses["style"] < 0.1 * texture.history[0]["style"]


def test_noise_leaves_no_grain_at_the_finer_scales() -> None:
    style = nst.samples.style("glass", 128)
    options: dict[str, Any] = {"content_layers": (), "init": "noise", "steps": 30}
    roughness = [
        nst.total_variation(paint(style, style, pyramid=pyramid, **options).picture).item() for pyramid in (1, 2)
    ]
    assert roughness[1] < 0.8 * roughness[0]


def test_iterate_and_callback_see_the_way(content: Tensor, style: Tensor) -> None:
    seen: list[int] = []
    gatys = nst.Gatys(**SMALL)
    results = [
        (len(result.history), result.picture.clone())
        for result in gatys.iterate(content, style, every=5, callback=lambda result: seen.append(len(result.history)))
    ]
    assert [steps for steps, _ in results] == [5, 10, 12]
    assert seen == list(range(1, 13))
    assert not torch.equal(results[0][1], results[1][1])


def test_an_interrupt_gives_back_the_best_so_far(content: Tensor, style: Tensor) -> None:
    def stop(result: Result) -> None:
        if len(result.history) == 7:
            raise KeyboardInterrupt

    big = nst.samples.content("cat", 128)
    result = nst.Gatys(steps=20, pyramid=2)(big, style, callback=stop, progress=False)
    assert len(result.history) == 7
    assert result.picture.shape == big.shape  # although it was stopped at the coarse scale
    assert (result.picture - big).abs().mean() > 0.01
    # enlarged with the photograph's fine detail, which a blown-up 64 px picture wouldn't have
    blurred = F.interpolate(F.interpolate(big, (64, 96), mode="bicubic", antialias=True), (128, 192), mode="bicubic")
    detail = big - blurred
    kept = (detail * (result.picture - F.avg_pool2d(result.picture, 5, 1, 2))).mean() / detail.square().mean()
    assert kept > 0.5


def test_a_loss_that_is_not_finite_ends_with_the_best_before_it(content: Tensor, style: Tensor) -> None:
    gatys = nst.Gatys(optimizer="adam", learning_rate=1e30, pyramid=1, steps=40)
    with pytest.warns(UserWarning, match=r"no longer finite at step \d+: kept the best"):
        result = gatys(content, style, progress=False)
    torch.testing.assert_close(result.picture, content)


def test_a_leap_too_far_is_taken_back() -> None:
    """Here L-BFGS without a line search wants to move pixels by thousands at its second step."""
    red = torch.zeros(1, 3, 64, 64)
    red[:, 0] = 0.9
    result = paint(
        nst.samples.content("cat", 64), red, style_weight=1000, style_layers=("relu1_1", "relu2_1"), steps=40
    )
    totals = [entry["total"] for entry in result.history]
    assert max(totals) < 100 * totals[0]
    assert min(totals) < 0.2 * totals[0]


@pytest.mark.parametrize("options", [{}, {"init": "noise", "optimizer": "adam"}], ids=["lbfgs", "adam"])
def test_a_batch_gives_for_every_picture_exactly_what_it_gives_alone(options: dict[str, Any]) -> None:
    """Also where sizes are odd. One L-BFGS for all of them would couple what they have in common."""
    batch, style = torch.cat([picture(2, 3, 66, 75), torch.ones(1, 3, 66, 75)]), picture(1, 3, 50, 41, seed=1)
    settings: dict[str, Any] = {"encoder": STATE, "pyramid": [1, 1], "steps": 12, "style_scale": 0.5, **options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nstlib.gatys.LEAST_SIDE", 32)
        together = paint(batch, style, **settings)
        alone = [paint(one, style, **settings) for one in batch.split(1)]
    assert torch.equal(together.picture, torch.cat([result.picture for result in alone]))
    assert [entry["size"] for entry in together.history] == [33] * 6 + [66] * 6
    for number, entry in enumerate(together.history):
        for term in ("total", "content", "style", "tv"):
            assert entry[term] == pytest.approx(sum(result.history[number][term] for result in alone) / 3)
    assert together.losses.keys() == alone[0].losses.keys()
    for term, loss in together.losses.items():
        assert loss == pytest.approx(sum(result.losses[term] for result in alone) / 3)


def test_one_picture_of_a_batch_may_fail_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, style = torch.cat([picture(1, 3, 64, 64), torch.ones(1, 3, 64, 64)]), picture(1, 3, 64, 64, seed=1)
    gatys = nst.Gatys(STATE, pyramid=2, steps=8)
    monkeypatch.setattr("nstlib.gatys.LEAST_SIDE", 32)
    expected = gatys(batch[:1], style, progress=False)
    forward = gatys.loss.forward

    def fail(x: Tensor, *targets: Any) -> dict[str, Tensor]:
        return {name: term * (math.inf if x.mean() > 0.8 else 1) for name, term in forward(x, *targets).items()}

    monkeypatch.setattr(gatys.loss, "forward", fail)
    with pytest.warns(UserWarning, match=r"no longer finite at step (1|6): kept the best"):
        result = gatys(batch, style, progress=False)
    assert torch.equal(result.picture[:1], expected.picture)
    torch.testing.assert_close(result.picture[1:], batch[1:])
    assert [entry["total"] for entry in result.history] == [entry["total"] for entry in expected.history]
    assert result.losses == expected.losses


# ---------------------------------------------------------------- transparency


def cut_out(height: int, width: int, hidden: float) -> Tensor:
    """A picture, `(1, 4, H, W)`, whose right half is transparent and has the colour `hidden`, with an edge of half."""
    opacity = torch.ones(1, 1, height, width)
    opacity[..., width // 2 :] = 0
    opacity[..., width // 2] = 0.5
    colors = torch.where(opacity == 0, hidden, picture(1, 3, height, width))
    return torch.cat([colors, opacity], 1)


@pytest.mark.parametrize("init", ["content", "noise"])
def test_colours_under_transparent_pixels_make_no_difference(init: str) -> None:
    style = cut_out(40, 40, 0.3)
    options: dict[str, Any] = {"encoder": STATE, "init": init, "pyramid": 2, "steps": 6}
    black, white = (paint(cut_out(64, 72, hidden), style, **options).picture for hidden in (0.0, 1.0))
    assert black.shape == (1, 4, 64, 72)
    assert torch.equal(black, white)
    assert torch.equal(black[:, 3:], cut_out(64, 72, 0.0)[:, 3:])
    other = paint(cut_out(64, 72, 0.0), cut_out(40, 40, 0.9), **options).picture
    assert torch.equal(black, other)
    on_the_way = [result.picture for result in nst.Gatys(**options).iterate(cut_out(64, 72, 0.0), style, every=2)]
    assert all(one.shape[1] == 4 for one in on_the_way)


def test_what_is_transparent_counts_in_no_statistic() -> None:
    """Gram matrices of the visible positions alone, for content and style, written out in float64."""
    content, style = cut_out(32, 32, 0.2).double(), cut_out(32, 32, 0.9).double()
    first = picture(1, 3, 32, 32, seed=3).double()
    gatys = nst.Gatys(STATE, style_layers=["relu2_1"], content_weight=0, normalize_losses=False, init=first, steps=1)
    found = gatys.double()(content, style, progress=False).history[0]["style"]
    encoder = nst.Encoder(STATE, ["relu2_1"]).double()
    opacity = F.avg_pool2d(content[:, 3:], 2).flatten()
    grams = []
    for colors in (first, split_opacity(style)[0]):
        f = encoder(colors)["relu2_1"][0].flatten(1)
        grams.append((f * opacity) @ f.T / opacity.sum())
    assert found == pytest.approx((grams[0] - grams[1]).square().mean().item() / 4, rel=1e-9)


@pytest.mark.parametrize("styles", [1, 2])
def test_an_opaque_picture_is_painted_as_one_without_opacity(styles: int) -> None:
    content, opaque = picture(1, 3, 32, 40).double(), torch.ones(1, 1, 32, 40)
    given = [picture(1, 3, 32, 32, seed=seed).double() for seed in range(1, styles + 1)]
    gatys = nst.Gatys(STATE, steps=4).double()
    expected = gatys(content, given, progress=False)
    found = gatys(torch.cat([content, opaque], 1), given, progress=False)
    torch.testing.assert_close(found.picture[:, :3], expected.picture, rtol=0, atol=1e-6)
    assert found.losses["total"] == pytest.approx(expected.losses["total"], rel=1e-6)


@pytest.mark.parametrize("encoder", ["resnet18", "vgg_normalised"])
def test_masks_fit_networks_that_round_sizes_up(encoder: str) -> None:
    color = torch.eye(3)[:, :, None, None], torch.zeros(3)
    state: Any = normalised_state(random_convs(), color) if encoder == "vgg_normalised" else encoder
    model = nst.Encoder(state, weights="random" if encoder == "resnet18" else None)
    gatys = nst.Gatys(model, content_layers=(), style_layers=model.layers, steps=1)
    assert gatys(cut_out(65, 71, 0.0), picture(1, 3, 65, 65), progress=False).picture.shape == (1, 4, 65, 71)


def test_constant_pictures_give_no_nan() -> None:
    for value in (0.0, 0.5, 1.0):
        grey = torch.full((1, 3, 32, 32), value)
        result = paint(grey, grey, init="noise")
        assert torch.isfinite(result.picture).all()


def test_an_encoder_can_be_shared(content: Tensor, style: Tensor) -> None:
    encoder = nst.Encoder(layers=["relu1_1", "relu2_2", "relu3_1"])
    options: dict[str, Any] = {"content_layers": ("relu2_2",), "style_layers": ("relu1_1", "relu3_1")}
    torch.testing.assert_close(
        paint(content, style, encoder=encoder, **options).picture, paint(content, style, **options).picture
    )
    with pytest.raises(ValueError, match=r"lacks \['relu4_2'"):
        nst.Gatys(encoder)


def test_lbfgs_remembers_no_more_than_history_size(content: Tensor, style: Tensor) -> None:
    """Three steps are enough for the first four: the fifth is the first that would look back at a fourth."""
    few, many = (
        [entry["total"] for entry in paint(content, style, history_size=size, steps=6).history] for size in (3, 20)
    )
    assert few[:5] == many[:5]
    assert few[5] != many[5]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": "sgd"}, "no optimizer 'sgd'.*lbfgs, adam"),
        ({"init": "nois"}, "no init 'nois'; did you mean 'noise'"),
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"steps": 1.5}, "steps must be a whole number"),
        ({"style_weight": -1}, "style_weight must be a number of at least 0"),
        ({"tv_weight": float("nan")}, "tv_weight must be a number"),
        ({"style_weight": 0, "content_weight": 0}, "nothing to optimise"),
        ({"layer_weights": {"relu9_1": 1}}, r"layer_weights names \['relu9_1'\]"),
        ({"layer_weights": {"relu1_1": 0}}, "sum above 0"),
        ({"layer_weights": {"relu1_1": math.inf}}, "finite sum above 0"),
        ({"layer_weights": {"relu1_1": math.nan}}, "finite sum above 0"),
        ({"style_scale": 0}, r"style_scale must lie in \(0, 100\], got 0"),
        ({"preconditioner": 2}, r"preconditioner must lie in \[0, 1\]"),
        ({"style_layers": ("relu1_9",)}, "no layer 'relu1_9'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        nst.Gatys(**options)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"style": None}, "need a style picture"),
        ({"mask": torch.ones(2, 64, 96)}, r"mask must be \(K, H, W\) = \(1, 64, 96\).*got \(2, 64, 96\)"),
        ({"mask": torch.full((1, 64, 96), 2.0)}, r"must lie in \[0, 1\]"),
        ({"mask": torch.zeros(1, 64, 96)}, "zero everywhere"),
        ({"style_weights": [1, 2]}, "1 styles need 1 style_weights"),
        ({"content": torch.full((1, 3, 64, 96), float("nan"))}, "content"),
        ({"style": 255 * torch.ones(1, 3, 64, 64)}, "style"),
        ({"content": torch.rand(1, 3, 8, 8)}, "at least 16 x 16 px, got 8 x 8"),
    ],
)
def test_wrong_pictures_are_named(content: Tensor, style: Tensor, call: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words), warnings.catch_warnings():
        nst.Gatys(**SMALL)(**{"content": content, "style": style, "progress": False, **call})


def test_a_start_of_another_size_is_named(content: Tensor, style: Tensor) -> None:
    for init in (torch.rand(1, 3, 8, 8), torch.rand(2, 3, 64, 96)):
        with pytest.raises(
            ValueError, match=r"init is \(\d, 3, \d+, \d+\), and must be one picture as large as content"
        ):
            paint(content, style, init=init)
    with pytest.raises(ValueError, match="init='style' needs a style picture"):
        paint(content, None, init="style", style_weight=0)
