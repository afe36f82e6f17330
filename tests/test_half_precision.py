"""Every trained method paints in half precision what it paints in single precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import nstlib as nst

BOUND = {torch.float16: 0.004, torch.bfloat16: 0.05}
"""Mean absolute difference that is let through: several times what three kinds of processors show."""

METHODS = {"adain": nst.AdaIN, "sanet": nst.SANet, "adaattn": nst.AdaAttN}


def make(method: str) -> tuple[Any, tuple[Tensor, ...]]:
    if method == "johnson":
        return nst.Johnson.pretrained("glass"), ()
    return METHODS[method].pretrained(), (nst.samples.style("swirl", 64),)


@pytest.mark.parametrize("dtype", BOUND, ids=str)
@pytest.mark.parametrize(("method", "size"), [("johnson", 64), ("johnson", 400), *((name, 64) for name in METHODS)])
def test_half_precision_changes_little(method: str, size: int, dtype: torch.dtype) -> None:
    model, styles = make(method)
    content = nst.samples.content("astronaut", size)
    expected = model.stylize(content, *styles)
    with torch.autocast("cpu", dtype):
        autocast = model.stylize(content, *styles)
    converted = model.to(dtype).stylize(content, *styles)
    for picture in (autocast, converted):
        assert (picture.float() - expected).abs().mean() < BOUND[dtype]


def test_l2_pooling_does_not_overflow_in_float16() -> None:
    encoder = nst.Encoder(layers=["relu3_1"], pooling="l2")
    picture = nst.samples.content("cat", 64)
    expected = encoder(picture)["relu3_1"]
    encoder = encoder.half()
    encoder.color_weight *= 40  # features well above 256, whose squares float16 cannot hold
    assert encoder(picture)["relu3_1"].isfinite().all()
    assert expected.isfinite().all()
