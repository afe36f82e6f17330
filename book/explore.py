"""Figures that answer, from values that a cell has computed.

    import explore

    explore.figure("steps", still, alt="Loss and picture over 200 steps", frames=frames)

shows a static figure, and beside it, packed, what the module `book/_static/explore/steps.js` needs to replace it by one
that the reader moves. So the page stays true to the chapter's code, and the notebook, which runs no modules, shows the
static figure. What each module takes stands at its top.

Pictures `(1, 3, H, W)` become WebP, other tensors bytes between their least and their largest value.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from IPython.display import HTML
from torch import Tensor

from figures import address

FIGURES = ("attention", "gram", "plane", "receptive", "steps")


def figure(kind: str, still: Tensor, *, alt: str, **data: Any) -> HTML:
    """Return a figure for the end of a cell.

    Args:
        kind: one of `FIGURES`.
        still: the static figure, a picture `(1, 3, H, W)`.
        alt: what it shows, in words.
        **data: what the module of that kind takes: numbers, text, tensors, and lists and dicts of them.

    Raises:
        ValueError: there is no such kind.

    Example:
        >>> frame = {"step": 0, "loss": 1.0, "picture": torch.zeros(1, 3, 4, 4)}
        >>> shown = figure("steps", torch.zeros(1, 3, 4, 4), alt="a black picture", frames=[frame])
        >>> str(shown.data)[:47]
        '<div class="nst-explore" data-figure="steps"><i'
    """
    if kind not in FIGURES:
        raise ValueError(f"no figure {kind!r} (there are: {', '.join(FIGURES)})")
    packed = json.dumps(pack(data), separators=(",", ":")).replace("</", "<\\/")
    image = f'<img src="{address(still)}" alt="{html.escape(alt)}">'
    script = f'<script type="application/json">{packed}</script>'
    return HTML(f'<div class="nst-explore" data-figure="{kind}">{image}{script}</div>')


def pack(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, Tensor):
        if value.ndim == 4 and value.shape[:2] == (1, 3):
            return {"webp": address(value)}
        low, high = value.min().item(), value.max().item()
        scaled = (value.detach().float() - low) / max(high - low, 1e-12) * 255
        data = scaled.round().to(torch.uint8).contiguous().numpy().tobytes()
        text = base64.b64encode(data).decode()
        return {"bytes": text, "shape": list(value.shape), "low": low, "high": high}
    if isinstance(value, Mapping):
        return {name: pack(one) for name, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [pack(one) for one in value]
    return value


def attention_scores(scores: Tensor, least: float = -40.0) -> Tensor:
    """Return scores `(N, M)` less the largest of each row, cut below: a byte then tells them apart, and their softmax is
    the same."""
    return (scores - scores.amax(1, keepdim=True)).clamp(min=least)
