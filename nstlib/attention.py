"""Attention: every position of a picture looks at every position of a style, without the matrix of all pairs.

Park, Lee: Arbitrary Style Transfer with Style-Attentional Networks (SANet), 2019, https://arxiv.org/abs/1812.02342
Liu et al.: AdaAttN: Revisit Attention Mechanism in Arbitrary Neural Style Transfer, 2021,
https://arxiv.org/abs/2108.03647

With queries q_i of the content's positions, and keys k_j and values v_j of the style's:

    attention            A_ij = exp <q_i, k_j> / sum_j' exp <q_i, k_j'>     each row sums to 1; no 1 / sqrt(D)
    SANet                M_i = sum_j A_ij v_j                               what position i sees of the style
    AdaAttN              S_i = sqrt(sum_j A_ij v_j^2 - M_i^2)               and how much it varies

A has HW x HW numbers: 1 GiB for the 128 x 128 positions of a 1024 px picture at relu4_1, 16 GiB at 2048 px. No row needs
another, so a few rows are computed at a time, used and forgotten, and backward computes them once more (Rabe, Staats 2021,
https://arxiv.org/abs/2112.05682). The result is exact, and the memory grows with the number of positions, not its square.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nstlib.losses import no_autocast
from nstlib.utils.checks import is_exporting

BUDGET = 34 * 2**20
"""Bytes of A computed at a time. Pieces over 32 MiB go back to the system at once; the heap of Linux keeps smaller ones."""


def attend(query: Tensor, key: Tensor, value: Tensor, *, budget: int = BUDGET) -> Tensor:
    """Return what every position of the query sees: the values, weighted by how well their keys match.

    Args:
        query: `(B, D, h, w)`, or any other number of position dimensions, as for key and value.
        key: `(B, D, h', w')`, or a batch of 1 that all queries share.
        value: `(B, E, h', w')`, of as many pictures and positions as the key.
        budget: bytes of the matrix A that are computed at a time, though never less than one row of a picture.

    Returns:
        `(B, E, h, w)`, of the value's dtype; computed in float32 at least, under autocast too.

    Example:
        >>> query, key = torch.tensor([[[9.0, 0.0]]]), torch.tensor([[[9.0, -9.0]]])
        >>> attend(query, key, torch.tensor([[[1.0, 3.0]]]))  # the first sees its match, the second sees both alike
        tensor([[[1., 2.]]])
    """
    pairs = query.shape[1] == key.shape[1] and len(key) in (1, len(query))
    if not pairs or len(key) != len(value) or key.shape[2:] != value.shape[2:]:
        raise ValueError(
            "a key has the query's channels, its batch or a batch of 1, and the value's pictures and positions, got "
            f"query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)}"
        )
    # at least float32: scores are sums without a scale, and half precision would round them by whole units
    dtype = functools.reduce(torch.promote_types, (query.dtype, key.dtype, value.dtype), torch.float32)
    q, k, v = (x.to(dtype).flatten(2) for x in (query, key, value))  # (B, D, N), (B, D, M), (B, E, M)
    if is_exporting():  # a graph holds the whole matrix: its runtime decides how to multiply
        seen = _attend_rows(q, k, v)
    else:
        rows = max(1, budget // (len(q) * k.shape[2] * k.element_size()))
        attend_rows = _attend_rows
        # The backward pass computes A again. Without one, save the second that the first import of the checkpoint takes
        if torch.is_grad_enabled():
            attend_rows = functools.partial(checkpoint, _attend_rows, use_reentrant=False, preserve_rng_state=False)
        seen = torch.cat([attend_rows(part, k, v) for part in q.split(rows, 2)], 2)  # (B, E, N)
    return seen.unflatten(2, query.shape[2:]).to(value.dtype)


def _attend_rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`(B, D, n)`, `(B or 1, D, M)` and `(B or 1, E, M)` -> `(B, E, n)`."""
    with no_autocast(q):
        # S = Q^T K
        scores = q.transpose(1, 2) @ k  # (B, n, M)
        # Sharp attention leaves most weights near 1e-38, where some processors compute a hundred times slower. A weight of
        # eps^2 changes no sum, so none is left smaller
        least = scores.detach().amax(2, keepdim=True) + 2 * math.log(torch.finfo(scores.dtype).eps)
        # M = V A^T,  A = softmax(S)
        return v @ torch.maximum(scores, least).softmax(2).transpose(1, 2)


def attention_moments(query: Tensor, key: Tensor, value: Tensor, *, budget: int = BUDGET) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of what every position of the query sees: AdaAttN's statistics.

    Args are those of `attend`; mean and std are each `(B, E, h, w)`. Where the std is 0 its gradient is 0.

    Example:
        >>> flat = torch.zeros(1, 1, 1)  # sees everything alike
        >>> mean, std = attention_moments(flat, torch.zeros(1, 1, 2), torch.tensor([[[1.0, 5.0]]]))
        >>> mean.item(), std.item()
        (3.0, 2.0)
    """
    v = value.to(torch.promote_types(value.dtype, torch.float32))
    # std(v) = std(v - c) and mean(v) = mean(v - c) + c for any c, so c needs no gradient. With c in the middle of the
    # values, the difference of squares below loses fewer digits
    center = v.detach().flatten(2).mean(2)  # (B or 1, E)
    v = v - center.reshape(*center.shape, *[1] * (v.ndim - 2))
    # M = A V,  S = sqrt(relu(A V^2 - M^2)): one attention for both
    mean, square = attend(query, key, torch.cat([v, v.square()], 1), budget=budget).chunk(2, 1)  # (B, E, h, w)
    # the root of 0 has an infinite slope, and relu lets none of it through
    std = (square - mean.square()).relu().sqrt()
    return (mean + center.reshape(*center.shape, *[1] * (mean.ndim - 2))).to(value.dtype), std.to(value.dtype)
