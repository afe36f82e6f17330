"""Attention against its explicit form, which holds the matrix of all pairs."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from nstlib.attention import attend, attention_moments
from nstlib.losses import moments

ROW = 8 * 20
"""Bytes of one row of the matrix, in float64, for the 20 positions of `maps`."""


def explicit(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q^T K) V in one piece, in the dtype that it is given."""
    q, k, v = (x.flatten(2).expand(len(query), -1, -1) for x in (query, key, value))
    weights = torch.softmax(torch.einsum("bdn,bdm->bnm", q, k), 2)
    out = torch.einsum("bnm,bem->ben", weights, v)
    return out.reshape(*out.shape[:2], *query.shape[2:])


def explicit_mean_and_std(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """M and S as sums over positions of A (v - M)^2: no difference of squares."""
    q, k, v = (x.flatten(2) for x in (query, key, value))
    weights = torch.softmax(torch.einsum("bdn,bdm->bnm", q, k), 2)
    mean = torch.einsum("bnm,bem->ben", weights, v)
    square = torch.einsum("bnm,benm->ben", weights, (v[:, :, None] - mean[..., None]).square())
    return mean.reshape(*mean.shape[:2], *query.shape[2:]), square.sqrt().reshape(*mean.shape[:2], *query.shape[2:])


def maps(batch: int = 2, styles: int = 2, dtype: torch.dtype = torch.float64, seed: int = 0) -> list[Tensor]:
    """Query (B, 3, 3, 5), key (B or 1, 3, 4, 5), value (B or 1, 2, 4, 5)."""
    random = torch.Generator().manual_seed(seed)
    shapes = (batch, 3, 3, 5), (styles, 3, 4, 5), (styles, 2, 4, 5)
    return [torch.randn(shape, generator=random, dtype=torch.float64).to(dtype) for shape in shapes]


def gradients(result: Tensor, inputs: list[Tensor]) -> tuple[Tensor, ...]:
    """Of a sum that weighs every number of the result differently."""
    weights = torch.linspace(-1, 2, result.numel(), dtype=result.dtype).reshape(result.shape)
    return torch.autograd.grad((result * weights).sum(), inputs)


# ------------------------------------------------------------------------------------------ the same result


@pytest.mark.parametrize("rows", [1, 4, 15, 1000])  # 4 doesn't divide the 15 queries
@pytest.mark.parametrize("styles", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_attention_and_its_gradients_are_those_of_the_explicit_form(
    rows: int, styles: int, dtype: torch.dtype, tolerance: float
) -> None:
    inputs = [x.requires_grad_() for x in maps(3, styles, dtype)]
    found, expected = attend(*inputs, budget=rows * ROW * dtype.itemsize // 8), explicit(*inputs)
    assert found.shape == (3, 2, 3, 5)
    assert found.dtype == dtype
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)
    pairs = zip(gradients(found, inputs), gradients(expected, inputs), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("styles", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_attention_without_gradients_is_the_explicit_form(styles: int, dtype: torch.dtype, tolerance: float) -> None:
    for sharpness in (1, 300):  # with 300, most of exp(score - largest score) lies below the smallest normal number
        query, key, value = maps(3, styles, dtype)
        for values in (value, value[:, :1], torch.cat([value, value.square(), -value], 1)):  # E below and above D
            found = attend(sharpness * query, key, values)
            assert found.dtype == dtype
            bound = sharpness * tolerance
            torch.testing.assert_close(found, explicit(sharpness * query, key, values), rtol=bound, atol=bound)
    many = torch.linspace(-3, 3, 3 * 3 * 70 * 70, dtype=dtype).reshape(
        3, 3, 70, 70
    )  # more queries than one call answers
    torch.testing.assert_close(attend(many, key, value), explicit(many, key, value), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sharp_attention_is_the_formula(dtype: torch.dtype) -> None:
    """Most of exp(score - largest score) lies below the smallest normal number here."""
    query, key, value = maps(1, 1, dtype)
    inputs = [(30 * query).requires_grad_(), (10 * key).requires_grad_(), value.requires_grad_()]
    found, expected = attend(*inputs), explicit(*inputs)
    tolerance = 1e5 * torch.finfo(dtype).eps  # scores are in the hundreds, and so are their rounding errors
    pairs = zip(gradients(found, inputs), gradients(expected, inputs), strict=True)
    for one, other in ((found, expected), *pairs):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
def test_gradients_of_only_some_inputs(wanted: tuple[int, ...]) -> None:
    inputs = maps(2, 1)
    some = [inputs[index].requires_grad_() for index in wanted]
    pairs = zip(gradients(attend(*inputs, budget=4 * ROW), some), gradients(explicit(*inputs), some), strict=True)
    for found, expected in pairs:
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("styles", [1, 2])
def test_gradcheck(styles: int) -> None:
    inputs = [x.requires_grad_() for x in maps(2, styles)]
    assert torch.autograd.gradcheck(lambda *x: attend(*x, budget=4 * ROW), inputs, fast_mode=True)
    assert torch.autograd.gradcheck(lambda *x: attention_moments(*x, budget=4 * ROW), inputs, fast_mode=True)


def test_second_gradients() -> None:
    inputs = [x.requires_grad_() for x in maps(1, 1)]
    assert torch.autograd.gradgradcheck(lambda *x: attend(*x, budget=4 * ROW), inputs, fast_mode=True)


def test_mean_and_std_are_the_formula() -> None:
    inputs = [x.requires_grad_() for x in maps()]
    for index in range(2):
        found, expected = attention_moments(*inputs)[index], explicit_mean_and_std(*inputs)[index]
        assert found.shape == (2, 2, 3, 5)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
        pairs = zip(gradients(found, inputs), gradients(expected, inputs), strict=True)
        for found_gradient, expected_gradient in pairs:
            torch.testing.assert_close(found_gradient, expected_gradient, rtol=1e-12, atol=1e-12)


def test_positions_of_several_styles_can_be_joined() -> None:
    query, key, value = maps(2, 1)
    other_key, other_value = maps(2, 1, seed=1)[1:]
    joined = [torch.cat([x.flatten(2), y.flatten(2)], 2) for x, y in ((key, other_key), (value, other_value))]
    torch.testing.assert_close(attend(query, *joined), explicit(query, *joined), rtol=1e-12, atol=1e-12)
    assert torch.equal(attend(query.flatten(2), *joined), attend(query, *joined).flatten(2))
    far = torch.cat([key.flatten(2), torch.full((1, 3, 20), -1e6)], 2)  # a style whose keys nothing matches
    torch.testing.assert_close(attend(query.abs(), far, joined[1]), attend(query.abs(), key, value))
    for one, two in zip(attention_moments(query, *joined), attention_moments(query.flatten(2), *joined), strict=True):
        assert torch.equal(one.flatten(2), two)


def test_memory_layout_does_not_matter() -> None:
    inputs = maps()
    last = [x.to(memory_format=torch.channels_last) for x in inputs]
    torch.testing.assert_close(attend(*last), attend(*inputs), rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------------------------------------ precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    query, key, value = (30 * x for x in maps(2, 1))  # scores of thousands, which bfloat16 rounds by up to 16
    inputs = [x.to(dtype).requires_grad_() for x in (query, key, value)]
    exact = [x.detach().double() for x in inputs]
    found = attend(*inputs)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), explicit(*exact), rtol=torch.finfo(dtype).eps, atol=1e-3)
    for mine in gradients(found, inputs):
        assert mine.dtype == dtype
        assert torch.isfinite(mine).all()
    large = [300 * torch.ones(1, 2, 2, dtype=dtype) for _ in range(3)]  # 300^2 is more than float16 can hold
    mean, std = attention_moments(*large)
    assert mean.dtype == std.dtype == dtype
    assert torch.equal(mean, large[2])
    assert not std.any()


def test_autocast_does_not_lower_the_precision() -> None:
    inputs = [(3 * x).requires_grad_() for x in maps(dtype=torch.float32)]
    for call in (attend, lambda *x: torch.cat(attention_moments(*x), 1)):
        expected = call(*inputs)
        expected_gradients = gradients(expected, inputs)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = call(*inputs)
        found_gradients = gradients(found, inputs)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
        for one, two in zip(found_gradients, expected_gradients, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


def test_large_scores_do_not_overflow() -> None:
    query, key, value = (x.requires_grad_() for x in maps(dtype=torch.float32))
    for sign in (1, -1):
        big = 1e4 * (query.abs() + 1) * sign
        found = attend(big, key.abs() + 1, value)  # every score is of this sign, and more than 1e4
        best = torch.einsum("bdn,bdm->bnm", big.flatten(2), key.abs().flatten(2)).argmax(2)[:, None]
        expected = value.flatten(2).gather(2, best.expand(-1, 2, -1)).reshape(found.shape)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        assert all(torch.isfinite(x).all() for x in gradients(found, [query, key, value]))


def test_centring_keeps_the_digits_of_values_far_from_zero() -> None:
    query, key, value = maps()
    value = 1000 + value
    _, exact = explicit_mean_and_std(query, key, value)
    mean, std = attention_moments(query.float(), key.float(), value.float())
    torch.testing.assert_close(std.double(), exact, rtol=1e-3, atol=0)
    # without centring: squares of a million have 0.06 between neighbouring float32
    plain = (attend(query.float(), key.float(), value.float().square()) - mean.square()).relu().sqrt()
    assert ((plain.double() - exact).abs() / exact).max() > 0.05


# --------------------------------------------------------------------------------------------------- limits


def test_flat_attention_sees_the_mean_and_std_of_the_style() -> None:
    query, key, value = maps()
    mean, std = attention_moments(torch.zeros_like(query), key, value)
    style_mean, style_std = moments(value)  # AdaIN's, with the unbiased variance + 1e-5
    torch.testing.assert_close(mean, style_mean.expand_as(mean), rtol=1e-12, atol=1e-12)
    biased = ((style_std.square() - 1e-5) * 19 / 20).sqrt()
    torch.testing.assert_close(std, biased.expand_as(std), rtol=1e-12, atol=1e-12)


def test_sharp_attention_picks_the_best_match() -> None:
    value = maps()[2]
    key = 100 * torch.eye(20, dtype=torch.float64).reshape(1, 20, 4, 5).expand(2, -1, -1, -1)
    mean, std = attention_moments(key.flip(3), key, value)
    torch.testing.assert_close(mean, value.flip(3), rtol=1e-12, atol=1e-12)
    assert std.max() < 1e-6  # sqrt of the rounding


@pytest.mark.parametrize("shape", [(1, 2, 1, 1), (1, 2, 3, 4)])
def test_constant_values_have_no_std_and_no_gradient_of_it(shape: tuple[int, ...]) -> None:
    query, key = (x.requires_grad_() for x in (torch.randn(1, 3, 2, 2), torch.randn(1, 3, *shape[2:])))
    value = torch.full(shape, 7.0, requires_grad=True)
    mean, std = attention_moments(query, key, value)
    assert torch.equal(std, torch.zeros(1, 2, 2, 2))
    torch.testing.assert_close(mean, torch.full((1, 2, 2, 2), 7.0))
    for gradient in torch.autograd.grad(std.sum(), (query, key, value)):
        assert torch.equal(gradient, torch.zeros_like(gradient))


# --------------------------------------------------------------------------------------------------- memory

MEASURE = """
import torch
from pathlib import Path
from nstlib.attention import attend

torch.set_num_threads(1)

def peak():
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

def growth(form, side, gradient):
    inputs = [torch.rand(1, 4, side, side, requires_grad=gradient) for _ in range(3)]
    before = peak()
    out = form(*inputs)
    if gradient:
        out.sum().backward()
    return peak() - before

def explicit(query, key, value):
    return value.flatten(2) @ torch.softmax(query.flatten(2).mT @ key.flatten(2), 2).mT

growth(attend, 8, True)  # what PyTorch itself takes at its first call
print(growth(attend, 96, False), growth(attend, 96, True), growth(explicit, 78, False))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of a process from /proc")
def test_the_matrix_is_never_held() -> None:
    # in a process of its own, because a peak never falls
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, timeout=300)
    inference, training, meter = (int(word) / 2**20 for word in done.stdout.split())
    matrix = 4 * (96 * 96) ** 2 / 2**20
    assert matrix == 324  # MiB
    assert inference < matrix / 3  # two pieces; explicitly it would be two matrices
    assert inference + training < 4 * matrix / 3  # explicitly it would be four
    assert meter > 2 * 144 - (inference + training)  # the meter sees two matrices of 144 MiB, above the peak before


# --------------------------------------------------------------------------------------------------- errors


Shape = tuple[int, ...]

ERRORS: dict[str, tuple[tuple[Shape, Shape, Shape], str]] = {
    "channels": (
        ((1, 3, 4, 4), (1, 2, 4, 4), (1, 3, 4, 4)),
        r"the query's channels, .*got query \(1, 3, 4, 4\), key \(1, 2, 4, 4\) and value \(1, 3, 4, 4\)",
    ),
    "positions": (((1, 3, 4, 4), (1, 3, 2, 4), (1, 3, 4, 2)), "the value's batch size and positions"),
    "layouts": (((1, 3, 4, 4), (1, 3, 4, 4), (1, 3, 16)), "the value's batch size and positions"),
    "pictures of the style": (((2, 3, 4, 4), (2, 3, 4, 4), (1, 3, 4, 4)), "the value's batch size and positions"),
    "batches": (((4, 3, 4, 4), (2, 3, 4, 4), (2, 3, 4, 4)), "its batch size or 1"),
    "one query": (((1, 3, 4, 4), (2, 3, 4, 4), (2, 3, 4, 4)), "its batch size or 1"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    shapes, message = ERRORS[name]
    with pytest.raises(ValueError, match=message):
        attend(*map(torch.zeros, shapes))
