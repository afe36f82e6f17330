"""Give one picture the colours of another."""

from __future__ import annotations

import torch
from torch import Tensor

from nstlib.utils.checks import check_option, check_picture


def match_color(picture: Tensor, reference: Tensor, *, method: str = "luminance") -> Tensor:
    """Give `picture` the colours of `reference`.

    There are two ways to keep a photograph's colours in style transfer (Gatys et al. 2016, arXiv:1606.05897). Afterwards,
    `match_color(result, content)` restores the colours and keeps the brush strokes, which differ in brightness. Beforehand,
    `match_color(style, content, method="coral")` repaints the painting in the photograph's colours.

    Args:
        picture: `(B, 3, H, W)` in [0, 1], or `(1, 4, H, W)` with opacity.
        reference: `(B, 3, H, W)`, `(1, 3, H, W)` or `(1, 4, H, W)` in [0, 1]. For `"luminance"`, of the size of `picture`.
        method: `"luminance"` keeps the luminance of each pixel and takes the chroma of the same pixel of `reference`.
            `"coral"` applies one affine map to all colours, so that their mean and covariance become those of `reference`.
            Pixels are weighted by their opacity.

    Returns:
        A tensor with the shape, dtype and device of `picture`. Colours are clamped to [0, 1], and the opacity is unchanged.

    Raises:
        ValueError: an unknown method, or pictures of the wrong shape or range.
        TypeError: a picture is not a tensor of floats.

    Example:
        >>> grey, red = torch.full((1, 3, 2, 2), 0.25), torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1)
        >>> match_color(grey, red.expand(1, 3, 2, 2), method="coral")[0, :, 0, 0]
        tensor([0.9000, 0.1000, 0.1000])
    """
    methods = {"luminance": _match_luminance, "coral": _match_coral}
    check_option("method", method, tuple(methods))
    check_picture(picture, "picture", opacity=True)
    check_picture(reference, "reference", opacity=True)
    if reference.shape[0] not in (1, picture.shape[0]):
        raise ValueError(f"reference must hold 1 or {picture.shape[0]} pictures, not {reference.shape[0]}")
    matched = methods[method](picture, reference.to(picture)).clamp(0, 1)
    return torch.cat([matched, picture[:, 3:]], 1)


def _match_luminance(picture: Tensor, reference: Tensor) -> Tensor:
    if picture.shape[2:] != reference.shape[2:]:
        raise ValueError(
            f"method 'luminance' works pixel by pixel, but picture is {tuple(picture.shape[2:])} and "
            f"reference {tuple(reference.shape[2:])} in size; resize one, or use method='coral'"
        )
    # In YIQ, RGB = Y (1, 1, 1) + M (I, Q), where Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). With Y from the picture p
    # and (I, Q) from the reference r:  out = Y_p (1, 1, 1) + M (I_r, Q_r) = r + (Y_p - Y_r) (1, 1, 1)
    p, r = picture[:, :3], reference[:, :3]
    weights = picture.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return r + (weights * (p - r)).sum(dim=1, keepdim=True)


def _match_coral(picture: Tensor, reference: Tensor) -> Tensor:
    mean_p, covariance_p = _moments(picture)
    mean_r, covariance_r = _moments(reference)
    # A = C_r^(1/2) C_p^(-1/2)
    transform = _power(covariance_r, 0.5) @ _power(covariance_p, -0.5)  # (B, 3, 3)
    p = picture[:, :3].flatten(2).cpu().double()  # (B, 3, N)
    # out = A (p - mean_p) + mean_r
    return (transform @ (p - mean_p) + mean_r).to(picture).view_as(picture[:, :3])


def _moments(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean `(B, 3, 1)` and covariance `(B, 3, 3)` of the colours, weighted by opacity if there is any."""
    # On the CPU in float64, because nearly grey pictures have small eigenvalues, and MPS doesn't support float64.
    flat = picture.flatten(2).cpu().double()  # (B, 3 | 4, N)
    x = flat[:, :3]
    w = flat[:, 3:] if flat.shape[1] == 4 else torch.ones_like(flat[:, :1])  # (B, 1, N)
    w = w / w.sum(dim=2, keepdim=True).clamp(min=1e-12)
    mean = (w * x).sum(dim=2, keepdim=True)
    # C = sum_n w_n (x_n - mean) (x_n - mean)^T
    return mean, (w * (x - mean)) @ (x - mean).transpose(1, 2)


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """Return the symmetric power C^a = U diag(w^a) U^T of `(B, 3, 3)`."""
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    if exponent < 0:
        # a variance below that of rounding to 8 bits, (1/255)^2 / 12, is noise
        eigenvalues = eigenvalues.clamp(min=1 / (12 * 255**2))
    eigenvalues = eigenvalues.clamp(min=0)  # rounding can leave -1e-18
    return (vectors * eigenvalues.pow(exponent)[:, None, :]) @ vectors.transpose(1, 2)
