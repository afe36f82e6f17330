"""What a user gave, checked: options, numbers and devices. Pictures and masks are checked in `nstlib.image`.

Every refusal says what was asked, what was found, and what would work.
"""

from __future__ import annotations

import difflib
import math
import numbers
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch

MOST = 1e30
"""The largest number that is taken for a weight: its products still fit into float32."""


def nearest(asked: str, known: Sequence[str]) -> str:
    """The end of a sentence: which of the known names may have been meant, and all of them."""
    near = difflib.get_close_matches(asked, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (there are: {', '.join(known)})"


def check_option(option: str, value: str, known: Sequence[str]) -> None:
    """That a word is one of those that there are."""
    if not isinstance(value, str) or value not in known:
        shown = repr(value) if isinstance(value, str | float | int | None) else f"of the type {type(value).__name__}"
        raise ValueError(f"no {option} {shown}{nearest(str(value), known)}")


def check_layers(option: str, layers: Iterable[str]) -> tuple[str, ...]:
    """Names of layers; not one name, whose letters are names too."""
    names = tuple(layers) if isinstance(layers, Iterable) and not isinstance(layers, str) else (None,)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{option} must be a list of layer names such as ['relu4_1'], got {layers!r}")
    return cast(tuple[str, ...], names)


def check_number(option: str, number: float, least: float, most: float = MOST, *, above: bool = False) -> float:
    """A number that lies between two others, as a float; `above` leaves out the least itself."""
    if getattr(number, "ndim", None) == 0 and hasattr(number, "item"):
        number = number.item()  # of a tensor or an array without dimensions
    fits = isinstance(number, numbers.Real) and not isinstance(number, bool) and least <= number <= most
    if fits and not (above and number == least):
        return float(number)
    if most < MOST:
        wanted = f"lie in {'(' if above else '['}{least:g}, {most:g}]"
    elif isinstance(number, numbers.Real) and most < number < math.inf:
        wanted = f"be a number of at most {most:g}"
    else:
        wanted = f"be a number {'above' if above else 'of at least'} {least:g}"
    raise ValueError(f"{option} must {wanted}, got {number!r}")


def check_weights(weights: Mapping[str, float]) -> list[float]:
    """Weights of terms, given by what to call them in an error message."""
    return [check_number(name, weight, 0) for name, weight in weights.items()]


def check_whole(option: str, number: int, least: int, most: int = 2**63 - 1) -> int:
    """A whole number that is not too small, as an int."""
    try:
        whole = operator.index(number)
    except TypeError:
        whole = least - 1
    if isinstance(number, bool) or not least <= whole <= most:
        wanted = f"of at least {least}" if most == 2**63 - 1 else f"from {least} to {most}"
        raise ValueError(f"{option} must be a whole number {wanted}, got {number!r}")
    return whole


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device of that name; None is CUDA if there is one, else Apple's MPS, else the CPU."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if device is None:
        return torch.device("cuda" if cards else "mps" if mps else "cpu")
    try:
        chosen = torch.device(device)
        if chosen.type == "cuda":
            found = (chosen.index or 0) < cards  # asked without a tensor: one process of many would wake all cards
        else:
            torch.empty(0, device=chosen)
            found = chosen.type != "meta"  # which holds no numbers
    except Exception:  # every kind of device has its own way to be missing
        found = False
    if not found:
        there = ["cpu", *(f"cuda:{number}" for number in range(cards)), *(["mps"] if mps else [])]
        raise ValueError(f"no device {str(device)!r} here (there are: {', '.join(there)})")
    return chosen


def check_names(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """That every option has a name that is known."""
    for name in given:
        if name not in known:
            raise TypeError(f"{what} has no option {name!r}{nearest(name, known)}")


def is_exporting() -> bool:
    """Tell whether PyTorch records what is computed (export, compile or trace): then sizes and values are not known."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
