"""Attention: every position of a picture attends to every position of a style, without storing the matrix of all pairs.

Park, Lee: Arbitrary Style Transfer with Style-Attentional Networks (SANet), 2019, https://arxiv.org/abs/1812.02342
Liu et al.: AdaAttN: Revisit Attention Mechanism in Arbitrary Neural Style Transfer, 2021,
https://arxiv.org/abs/2108.03647

Let q_i be the queries of the content's positions, and k_j and v_j the keys and values of the style's positions:

    attention            A_ij = exp <q_i, k_j> / sum_j' exp <q_i, k_j'>     each row sums to 1; no 1 / sqrt(D)
    SANet                M_i = sum_j A_ij v_j                               the mean of what position i attends to
    AdaAttN              S_i = sqrt(sum_j A_ij v_j^2 - M_i^2)               and its standard deviation

A has HW x HW elements: 1 GiB for the 128 x 128 positions of a 1024 px picture at relu4_1, and 16 GiB at 2048 px. As the rows
are independent, they are computed and discarded a few at a time, and the backward pass computes them again (Rabe, Staats
2021, https://arxiv.org/abs/2112.05682). The result is exact, and the memory grows linearly with the number of positions. On
a CPU, a pass without gradients uses PyTorch's fused kernel, which does the same in less time (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from nstlib.losses import no_autocast
from nstlib.utils.checks import is_exporting

BUDGET = 34 * 2**20
"""Bytes of A computed at a time. Blocks above 32 MiB are returned to the system at once; glibc keeps smaller ones."""

QUERIES = 4096
"""Queries that the fused kernel answers at a time."""


def attend(query: Tensor, key: Tensor, value: Tensor, *, budget: int = BUDGET) -> Tensor:
    """Return the mean of the values for every query, weighted by how well the query matches their keys.

    Args:
        query: `(B, D, h, w)`. Like key and value, it may have any other number of position dimensions.
        key: `(B, D, h', w')`, or a batch of 1 that all queries share.
        value: `(B, E, h', w')`, with the batch size and the positions of the key.
        budget: bytes of the matrix A that are computed at a time, though never less than one row of a picture. The fused
            kernel, which computes what needs no gradients on a CPU, chooses its own blocks.

    Returns:
        `(B, E, h, w)`, in the dtype of the value; computed in float32 or higher precision, even under autocast.

    Example:
        >>> query, key = torch.tensor([[[9.0, 0.0]]]), torch.tensor([[[9.0, -9.0]]])
        >>> attend(query, key, torch.tensor([[[1.0, 3.0]]]))  # the first finds its match, the second attends to both
        tensor([[[1., 2.]]])
    """
    pairs = query.shape[1] == key.shape[1] and len(key) in (1, len(query))
    if not pairs or len(key) != len(value) or key.shape[2:] != value.shape[2:]:
        raise ValueError(
            "a key must have the query's channels, its batch size or 1, and the value's batch size and positions, got "
            f"query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)}"
        )
    # at least float32: the scores are unscaled sums, which half precision would round by whole units
    dtype = functools.reduce(torch.promote_types, (query.dtype, key.dtype, value.dtype), torch.float32)
    q, k, v = (x.to(dtype).flatten(2) for x in (query, key, value))  # (B, D, N), (B, D, M), (B, E, M)
    gradients = torch.is_grad_enabled() and any(x.requires_grad for x in (q, k, v))
    if is_exporting():  # a graph holds the whole matrix, and its runtime decides how to multiply
        seen = _attend_rows(q, k, v)
    elif q.device.type == "cpu" and not gradients:
        seen = _attend_fused(q, k, v)
    else:
        rows = max(1, budget // (len(q) * k.shape[2] * k.element_size()))
        attend_rows = _attend_rows
        if gradients:  # the backward pass computes A again
            attend_rows = functools.partial(checkpoint, _attend_rows, use_reentrant=False, preserve_rng_state=False)
        seen = torch.cat([attend_rows(part, k, v) for part in q.split(rows, 2)], 2)  # (B, E, N)
    return seen.unflatten(2, query.shape[2:]).to(value.dtype)


def _attend_rows(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`(B, D, n)`, `(B or 1, D, M)` and `(B or 1, E, M)` -> `(B, E, n)`."""
    with no_autocast(q):
        # S = Q^T K
        scores = q.transpose(1, 2) @ k  # (B, n, M)
        # Sharp attention leaves most weights near 1e-38, where some processors compute a hundred times slower. Weights are
        # therefore kept above eps^2, which changes no sum
        least = scores.detach().amax(2, keepdim=True) + 2 * math.log(torch.finfo(scores.dtype).eps)
        # M = V A^T,  A = softmax(S)
        return v @ torch.maximum(scores, least).softmax(2).transpose(1, 2)


def _attend_fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same by PyTorch's fused kernel, which needs vectors of one length, contiguous in memory."""
    length, batch = max(q.shape[1], v.shape[1]), len(q)

    def as_vectors(x: Tensor) -> Tensor:  # (B, 1, N, max(D, E))
        return F.pad(x.mT, (0, length - x.shape[1])).expand(batch, -1, -1)[:, None].contiguous()

    keys, values = as_vectors(k), as_vectors(v)
    with no_autocast(q):
        # M = V A^T,  A = softmax(Q^T K)
        parts = [F.scaled_dot_product_attention(as_vectors(p), keys, values, scale=1.0) for p in q.split(QUERIES, 2)]
    return torch.cat([part[:, 0, :, : v.shape[1]].mT for part in parts], 2)


def attention_moments(query: Tensor, key: Tensor, value: Tensor, *, budget: int = BUDGET) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of the values that every query attends to: AdaAttN's statistics.

    Takes the arguments of `attend`. Mean and standard deviation are each `(B, E, h, w)`. Where the standard deviation is 0,
    so is its gradient.

    Example:
        >>> flat = torch.zeros(1, 1, 1)  # attends equally to everything
        >>> mean, std = attention_moments(flat, torch.zeros(1, 1, 2), torch.tensor([[[1.0, 5.0]]]))
        >>> mean.item(), std.item()
        (3.0, 2.0)
    """
    v = value.to(torch.promote_types(value.dtype, torch.float32))
    # std(v) = std(v - c) and mean(v) = mean(v - c) + c for any c, so c needs no gradient. If c is the mean of the values,
    # the difference of squares below loses fewer digits
    center = v.detach().flatten(2).mean(2)  # (B or 1, E)
    v = v - center.reshape(*center.shape, *[1] * (v.ndim - 2))
    # M = A V,  S = sqrt(relu(A V^2 - M^2)): one attention for both
    mean, square = attend(query, key, torch.cat([v, v.square()], 1), budget=budget).chunk(2, 1)  # (B, E, h, w)
    # the square root has an infinite slope at 0, and relu stops its gradient
    std = (square - mean.square()).relu().sqrt()
    return (mean + center.reshape(*center.shape, *[1] * (mean.ndim - 2))).to(value.dtype), std.to(value.dtype)
