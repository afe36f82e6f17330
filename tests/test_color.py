"""Colour transfer, against its definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_image import RED, as_tensor
from torch import Tensor

from nstlib import match_color

# RGB -> YIQ (NTSC), Wikipedia's rounding to four digits; Y is exact.
YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], dtype=torch.float64)


def gentle(batch: int, height: int, width: int, seed: int) -> Tensor:
    """Correlated colours in the middle of the range, so that nothing is clamped."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.rand(batch, 3, 3, generator=generator, dtype=torch.float64)
    colours = torch.rand(batch, 3, height * width, generator=generator, dtype=torch.float64) - 0.5
    return (0.5 + 0.12 * mix @ colours).view(batch, 3, height, width)


def test_luminance_keeps_y_and_takes_chroma() -> None:
    picture, reference = gentle(2, 9, 7, 0), gentle(2, 9, 7, 1)
    result = match_color(picture, reference)
    assert result.min() > 0  # nothing was clamped, so the equations hold exactly
    assert result.max() < 1
    found, p, r = (torch.einsum("ij,bjhw->bihw", YIQ, x) for x in (result, picture, reference))
    torch.testing.assert_close(found[:, 0], p[:, 0], rtol=0, atol=1e-12)
    torch.testing.assert_close(found[:, 1:], r[:, 1:], rtol=0, atol=1e-4)
    assert not torch.allclose(p[:, 1:], r[:, 1:], atol=1e-2)
    assert torch.equal(match_color(picture, picture), picture)


def test_luminance_is_clamped() -> None:
    result = match_color(torch.ones(1, 3, 2, 2), as_tensor(np.full((2, 2, 3), RED, dtype=np.uint8)))
    assert result.max() == 1
    assert result[0, 1].max() < 1


def statistics(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the colours of one picture, by numpy."""
    colours = picture[0].flatten(1).double().numpy()
    return torch.from_numpy(colours.mean(axis=1)), torch.from_numpy(np.cov(colours, bias=True))


def test_coral_matches_mean_and_covariance() -> None:
    picture, reference = gentle(2, 40, 30, 0).float(), gentle(2, 25, 50, 1).float()
    result = match_color(picture, reference, method="coral")
    assert result.shape == picture.shape
    assert 0 < result.min() < result.max() < 1
    for i in range(2):
        mean, covariance = statistics(result[i : i + 1])
        wanted_mean, wanted_covariance = statistics(reference[i : i + 1])
        torch.testing.assert_close(mean, wanted_mean, rtol=0, atol=1e-6)
        torch.testing.assert_close(covariance, wanted_covariance, rtol=1e-4, atol=1e-7)
        # The one affine map that does so and is a product of symmetric square roots.
        before, after = (x[i].flatten(1).double() for x in (picture, result))
        a = torch.linalg.lstsq((before - before.mean(1, keepdim=True)).T, (after - mean[:, None]).T).solution.T
        root_r, root_p = (scipy_root(statistics(x[i : i + 1])[1]) for x in (reference, picture))
        torch.testing.assert_close(a, root_r @ torch.linalg.inv(root_p), rtol=0, atol=1e-4)


def scipy_root(matrix: Tensor) -> Tensor:
    import scipy.linalg

    return torch.from_numpy(np.real(scipy.linalg.sqrtm(matrix.numpy())))


def test_coral_to_itself_changes_nothing() -> None:
    picture = gentle(1, 20, 20, 3)
    torch.testing.assert_close(match_color(picture, picture, method="coral"), picture, rtol=0, atol=1e-9)


def test_coral_of_grey_and_constant_pictures() -> None:
    reference = gentle(1, 10, 10, 1)
    mean, _ = statistics(reference)
    constant = torch.full((1, 3, 5, 5), 0.7, dtype=torch.float64)
    result = match_color(constant, reference, method="coral")
    torch.testing.assert_close(result, mean.view(1, 3, 1, 1).expand(1, 3, 5, 5), rtol=0, atol=1e-9)
    grey = gentle(1, 10, 10, 2)[:, :1].expand(1, 3, 10, 10)
    result = match_color(grey, reference, method="coral")
    torch.testing.assert_close(statistics(result)[0], mean, rtol=0, atol=1e-9)
    assert torch.linalg.matrix_rank(statistics(result)[1], atol=1e-12) == 1  # no colour out of nothing
    result = match_color(reference, constant, method="coral")
    torch.testing.assert_close(result, torch.full_like(reference, 0.7), rtol=0, atol=1e-7)
    one_pixel = match_color(constant[..., :1, :1], reference, method="coral")
    torch.testing.assert_close(one_pixel.flatten(), mean, rtol=0, atol=1e-9)


def test_coral_does_not_stretch_rounding_noise_into_colour() -> None:
    grey = gentle(1, 40, 40, 2)[:, :1].expand(1, 3, 40, 40)
    speck = (torch.rand(grey.shape, generator=torch.Generator().manual_seed(0)) - 0.5) / 255
    result = match_color(grey + speck, gentle(1, 40, 40, 1), method="coral")
    clean = match_color(grey, gentle(1, 40, 40, 1), method="coral")
    spread = statistics(gentle(1, 40, 40, 1))[1].diagonal().sqrt().max()
    assert (result - clean).std() < spread
    assert torch.isfinite(result).all()


@pytest.mark.parametrize("method", ["luminance", "coral"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_match_color_batches_and_dtypes(method: str, dtype: torch.dtype) -> None:
    pictures, reference = gentle(3, 6, 8, 0).to(dtype), gentle(1, 6, 8, 1)
    before = pictures.clone()
    result = match_color(pictures, reference, method=method)
    assert result.dtype == dtype
    assert result.shape == pictures.shape
    assert torch.equal(pictures, before)
    for i in range(3):
        single = match_color(pictures[i : i + 1], reference, method=method)
        torch.testing.assert_close(result[i : i + 1], single)


def test_match_color_errors() -> None:
    small, large = gentle(1, 4, 4, 0), gentle(1, 8, 8, 0)
    with pytest.raises(ValueError, match=r"\(4, 4\) and reference \(8, 8\) in size; .*use method='coral'"):
        match_color(small, large)
    with pytest.raises(ValueError, match=r"no method 'corral'; did you mean 'coral'\?"):
        match_color(small, small, method="corral")
    with pytest.raises(ValueError, match="reference must hold 1 or 1 pictures, not 2"):
        match_color(small, small.expand(2, 3, 4, 4))
    with pytest.raises(ValueError, match=r"^picture must have the shape"):
        match_color(small[0], small)
    with pytest.raises(ValueError, match=r"^reference holds values from"):
        match_color(small, small * 255)
