"""Attention: every position of a picture looks at every position of a style, without the matrix of all pairs.

Park, Lee: Arbitrary Style Transfer with Style-Attentional Networks (SANet), 2019, https://arxiv.org/abs/1812.02342
Liu et al.: AdaAttN: Revisit Attention Mechanism in Arbitrary Neural Style Transfer, 2021,
https://arxiv.org/abs/2108.03647

With queries q_i of the content's positions, and keys k_j and values v_j of the style's:

    attention            A_ij = exp <q_i, k_j> / sum_j' exp <q_i, k_j'>     each row sums to 1; no 1 / sqrt(D)
    SANet                M_i = sum_j A_ij v_j                               what position i sees of the style
    AdaAttN              S_i = sqrt(sum_j A_ij v_j^2 - M_i^2)               and how much it varies

A has HW x HW numbers: 1 GiB for the 128 x 128 positions of a 1024 px picture at relu4_1, 16 GiB at 2048 px. But no
row needs another, so we compute a few at a time, use them and forget them; backward computes them once more (Rabe,
Staats 2021, https://arxiv.org/abs/2112.05682). The result is exact.

PyTorch's `scaled_dot_product_attention` is not used. On a CPU it silently holds the whole matrix where D and E differ,
or where channels aren't last in memory. Padded to equal widths and made contiguous it doesn't, and took 3 to 28 % less
time than ours (`benchmarks/attention.py`): not enough for a second path.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from nstlib.losses import no_autocast
from nstlib.utils.checks import is_exporting

BUDGET = 16 * 2**20
"""Bytes of A held at a time: large enough for fast matrix products, small enough for a processor's cache."""


def attend(query: Tensor, key: Tensor, value: Tensor, *, budget: int = BUDGET) -> Tensor:
    """What every position of the query sees: the values, weighted by how well their keys match.

    Several styles are joined by concatenating their positions: keys `(B, D, N)` and values `(B, E, N)`.

    Args:
        query: `(B, D, h, w)`, or any other number of position dimensions, as for key and value.
        key: `(B, D, h', w')`, or a batch of 1 that all queries share.
        value: `(B, E, h', w')`, of as many pictures and positions as the key.
        budget: bytes of the matrix A that are held at a time, though never less than one row; in backward, twice that.

    Returns:
        `(B, E, h, w)`, of the value's dtype; computed in float32 at least, under autocast too. It has first gradients
        only.

    Raises:
        ValueError: shapes that don't fit, nothing to attend to, or a budget below 1.

    Example:
        >>> query, key = torch.tensor([[[9.0, 0.0]]]), torch.tensor([[[9.0, -9.0]]])
        >>> attend(query, key, torch.tensor([[[1.0, 3.0]]]))  # the first sees its match, the second sees both alike
        tensor([[[1., 2.]]])
    """
    _check(query, key, value)
    if budget < 1:
        raise ValueError(f"budget is a number of bytes, at least 1, got {budget!r}")
    # at least float32: scores are sums without a scale, and half precision would round them by whole units
    dtype = functools.reduce(torch.promote_types, (query.dtype, key.dtype, value.dtype), torch.float32)
    if is_exporting():  # a graph holds the whole matrix: its runtime decides how to multiply
        # O = V softmax(Q^T K)^T
        matrix = (query.to(dtype).flatten(2).mT @ key.to(dtype).flatten(2)).softmax(2)  # (B, N, M)
        return (value.to(dtype).flatten(2) @ matrix.mT).unflatten(2, query.shape[2:]).to(value.dtype)
    q, k, v = (x.to(dtype).flatten(2).unbind() for x in (query, key, value))  # B times (D, N), (D, M), (E, M)
    shared = len(q) // len(k)
    rows = max(1, budget // (k[0].shape[1] * k[0].element_size()))
    pictures = [_Attention.apply(*one, rows) for one in zip(q, k * shared, v * shared)]
    return torch.stack(pictures).reshape(len(q), -1, *query.shape[2:]).to(value.dtype)


def attention_moments(query: Tensor, key: Tensor, value: Tensor, *, budget: int = BUDGET) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of what every position of the query sees: AdaAttN's statistics.

    Args:
        query, key, value, budget: as for `attend`.

    Returns:
        mean and std, each `(B, E, h, w)`, of the value's dtype. Where the std is 0 its gradient is 0.

    Raises:
        ValueError: as `attend`.

    Example:
        >>> flat = torch.zeros(1, 1, 1)  # sees everything alike
        >>> mean, std = attention_moments(flat, torch.zeros(1, 1, 2), torch.tensor([[[1.0, 5.0]]]))
        >>> mean.item(), std.item()
        (3.0, 2.0)
    """
    _check(query, key, value)
    v = value.to(torch.promote_types(value.dtype, torch.float32))
    # std(v) = std(v - c) and mean(v) = mean(v - c) + c for any c, so c needs no gradient. With c in the middle of the
    # values, the difference of squares below loses fewer digits
    center = v.detach().flatten(2).mean(2).reshape(*v.shape[:2], *[1] * (query.ndim - 2))  # (B or 1, E, 1, 1)
    v = v - center.reshape(*v.shape[:2], *[1] * (v.ndim - 2))
    # M = A V,  S = sqrt(relu(A V^2 - M^2)): one attention for both
    mean, square = attend(query, key, torch.cat([v, v.square()], 1), budget=budget).chunk(2, 1)  # (B, E, h, w)
    # the root of 0 has an infinite slope, and relu lets none of it through; in older PyTorch, clamp(min=0) did
    std = (square - mean.square()).relu().sqrt()
    return (mean + center).to(value.dtype), std.to(value.dtype)


class _Attention(torch.autograd.Function):
    """O = V A^T of one picture, with q `(D, N)`, k `(D, M)`, v `(E, M)` -> `(E, N)`; `rows` rows of A at a time."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, rows: int) -> Tensor:
        out = q.new_empty(len(v), q.shape[1])
        top, total = q.new_empty(2, q.shape[1], 1)  # of every row: its largest score, and the sum of its weights
        memory = _reserve(q, k, rows)
        with no_autocast(q):
            for part, scores in _parts(q, memory):
                # S = Q^T K
                torch.mm(q[:, part].mT, k, out=scores)  # (n, M)
                top[part] = scores.amax(1, keepdim=True)
                # P = exp(S - max S) cannot overflow, and A = P / sum P
                weights = _weights(scores, top[part])
                total[part] = weights.sum(1, keepdim=True)
                out[:, part] = v @ weights.mT / total[part].mT
        ctx.save_for_backward(q, k, v, out, top, total)
        ctx.rows = rows
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        q, k, v, out, top, total = ctx.saved_tensors
        dq, dk, dv = (torch.zeros_like(x) if need else None for x, need in zip((q, k, v), ctx.needs_input_grad))
        memory, more = _reserve(q, k, ctx.rows), _reserve(q, k, ctx.rows)
        with no_autocast(q):
            # G = dO / sum P, once for all: with it P can stand for A
            g = gradient / total.mT  # (E, N)
            # sum_j G_i . v_j A_ij = G_i . O_i
            mean = (g * out).sum(0)[:, None]  # (N, 1)
            for part, weights in _parts(q, memory):
                # P once more
                weights = _weights(torch.mm(q[:, part].mT, k, out=weights), top[part])  # (n, M)
                if dv is not None:
                    # dV = G P
                    dv.addmm_(g[:, part], weights)
                if dq is None and dk is None:
                    continue
                # dS_ij = P_ij (G_i . v_j - G_i . O_i)
                scores = torch.mm(g[:, part].mT, v, out=more[: len(weights)]).sub_(mean[part]).mul_(weights)  # (n, M)
                # dQ = K dS^T,  dK = Q dS
                if dq is not None:
                    dq[:, part] = k @ scores.mT
                if dk is not None:
                    dk.addmm_(q[:, part], scores)
        return dq, dk, dv, None


def _weights(scores: Tensor, top: Tensor) -> Tensor:
    """exp(scores - top), in place, with 0 for what rounding would lose anyway.

    Sharp attention leaves most weights at 1e-38 and below, where a processor computes a hundred times slower.
    """
    least = 2 * math.log(torch.finfo(scores.dtype).eps)  # exp of it is eps^2: even N of them don't change a sum
    return F.threshold(scores.sub_(top), least, -math.inf, inplace=True).exp_()


def _reserve(q: Tensor, k: Tensor, rows: int) -> Tensor:
    """Memory for that many rows, used again for all: what is allocated anew in a loop lies beside what it replaces."""
    return q.new_empty(min(rows, q.shape[1]), k.shape[1])


def _parts(q: Tensor, memory: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """All queries in turn, as many at a time as the memory has rows, with the rows for them."""
    end = 1 if q.is_meta else q.shape[1]  # where nothing is computed (nstlib.utils.memory), one part stands for all
    for start in range(0, end, len(memory)):
        stop = min(start + len(memory), q.shape[1])
        yield slice(start, stop), memory[: stop - start]


def _check(query: Tensor, key: Tensor, value: Tensor) -> None:
    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)} and value {tuple(value.shape)}"
    for x in (query, key, value):
        if x.ndim < 3 or not x.numel():
            raise ValueError(f"attention needs tensors (B, C, H, W) or (B, C, N), none of them empty, got {shapes}")
    if query.shape[1] != key.shape[1]:
        raise ValueError(f"query and key need as many channels as each other, got {shapes}")
    if len(key) != len(value) or key.shape[2:] != value.shape[2:]:
        raise ValueError(f"key and value need the same pictures and positions, got {shapes}")
    if len(key) not in (1, len(query)):
        raise ValueError(f"key and value need as many pictures as the query, or one for all of them, got {shapes}")
