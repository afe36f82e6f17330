"""Validate user input: options, numbers, devices, pictures and masks.

Every error message says what was asked, what was found, and what would work.
"""

from __future__ import annotations

import difflib
import math
import numbers
import operator
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor

RANGE_TOLERANCE = 1e-3
"""How far outside [0, 1] the values of a picture may lie because of rounding."""


def suggest(asked: str, known: Sequence[str]) -> str:
    """Return the end of an error message, which suggests the most similar known name and lists all of them."""
    near = difflib.get_close_matches(asked, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (there are: {', '.join(known)})"


def check_option(option: str, value: str, known: Sequence[str]) -> None:
    """Validate that a word is one of the known ones."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"no {option} {value!r}{suggest(str(value), known)}")


def check_layers(option: str, layers: Iterable[str]) -> tuple[str, ...]:
    """Validate a list of layer names, as opposed to a single name, and return it as a tuple."""
    names = tuple(layers) if isinstance(layers, Iterable) and not isinstance(layers, str) else (None,)
    if not all(isinstance(name, str) for name in names):
        raise ValueError(f"{option} must be a list of layer names such as ['relu4_1'], got {layers!r}")
    return cast(tuple[str, ...], names)


def check_number(
    option: str, number: float | Tensor, least: float, most: float = sys.float_info.max, *, above: bool = False
) -> float:
    """Validate that a number lies in [least, most], or in (least, most] with `above`, and return it as a float."""
    if getattr(number, "ndim", None) == 0 and hasattr(number, "item"):
        number = number.item()  # of a tensor or an array without dimensions
    fits = isinstance(number, numbers.Real) and not isinstance(number, bool) and least <= number <= most
    if fits and not (above and number == least):
        return float(number)
    wanted = f"be a number {'above' if above else 'of at least'} {least:g}"
    if most < sys.float_info.max:
        wanted = f"lie in {'(' if above else '['}{least:g}, {most:g}]"
    raise ValueError(f"{option} must {wanted}, got {number!r}")


def check_int(option: str, number: int, least: int, most: int = 2**63 - 1) -> int:
    """Validate that a whole number lies in [least, most], and return it as an int."""
    try:
        whole = operator.index(number)
    except TypeError:
        whole = least - 1
    if isinstance(number, bool) or not least <= whole <= most:
        wanted = f"of at least {least}" if most == 2**63 - 1 else f"from {least} to {most}"
        raise ValueError(f"{option} must be a whole number {wanted}, got {number!r}")
    return whole


def choose_device(device: str | torch.device | None) -> torch.device:
    """Return the device of that name. None is CUDA if available, else Apple's MPS, else the CPU."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    mps = torch.backends.mps.is_available()
    if device is None:
        return torch.device("cuda" if cards else "mps" if mps else "cpu")
    try:
        chosen = torch.device(device)
        if chosen.type != "cuda":  # a tensor on CUDA would initialise the GPU for every process
            torch.empty(0, device=chosen)
        elif (chosen.index or 0) >= cards:
            raise ValueError
    except Exception:  # every kind of device raises its own error if it is missing
        there = ["cpu", *(f"cuda:{number}" for number in range(cards)), *(["mps"] if mps else [])]
        raise ValueError(f"no device {str(device)!r} here (there are: {', '.join(there)})") from None
    return chosen


def check_names(what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Validate that all options have known names."""
    for name in given:
        if name not in known:
            raise TypeError(f"{what} has no option {name!r}{suggest(name, known)}")


def is_exporting() -> bool:
    """Return whether PyTorch is recording a graph (export, compile or trace), in which sizes and values are unknown."""
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def check_picture(
    picture: Tensor, name: str = "picture", *, single: bool = False, opacity: bool = False, any_values: bool = False
) -> Tensor:
    """Validate that a tensor is a batch of pictures, and return it unchanged.

    Args:
        picture: The tensor, which should be `(B, 3, H, W)`, floating point, in [0, 1] with a tolerance of 0.001.
        name: Its name in error messages.
        single: Accept only a batch of one.
        opacity: Also accept `(1, 4, H, W)`, whose fourth channel is the opacity.
        any_values: Also accept numbers outside [0, 1], where an optimiser may step.

    Raises:
        TypeError: It is not a tensor, or not of a floating point dtype.
        ValueError: Its shape or range is wrong, or it holds NaN or infinity.

    Example:
        >>> check_picture(torch.zeros(3, 8, 8), "content")
        Traceback (most recent call last):
        ...
        ValueError: content must have the shape (B, 3, H, W), not (3, 8, 8); add the batch with content[None]
    """
    if not isinstance(picture, Tensor):
        raise TypeError(f"{name} must be a tensor (B, 3, H, W), not {type(picture).__name__}; load_image makes one")
    shape = tuple(picture.shape)
    if len(shape) != 4 or not (shape[1] == 3 or (opacity and shape[:2] == (1, 4))) or 0 in shape:
        no_batch = len(shape) == 3 and shape[0] == 3
        hint = f"; add the batch with {name}[None]" if no_batch else channels_last_hint(shape)
        wanted = "(B, 3, H, W) or (1, 4, H, W)" if opacity else "(B, 3, H, W)"
        raise ValueError(f"{name} must have the shape {wanted}, not {shape}{hint}")
    if not picture.is_floating_point():
        raise TypeError(f"{name} must hold floats in [0, 1], not {picture.dtype}; use {name} / 255 for uint8")
    if single and len(picture) != 1:
        raise ValueError(f"{name} must be one picture (1, 3, H, W), not a batch of {len(picture)}")
    if not (any_values or is_exporting()):  # a graph would record the values of the example
        check_range(name, *torch.stack(torch.aminmax(picture.detach())).tolist())
    return picture


def check_range(name: str, low: float, high: float) -> None:
    """Validate that the lowest and the highest value of a picture lie in [0, 1], apart from rounding."""
    if not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):  # NaN is neither
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"{name} holds NaN or infinity; a picture holds numbers in [0, 1]")
        hint = "divide it by 255" if low >= 0 and 1.5 < high <= 255 else "scale it or clamp it"
        raise ValueError(f"{name} holds values from {low:.4g} to {high:.4g} and must be in [0, 1]; {hint}")


def channels_last_hint(shape: Sequence[int]) -> str:
    """Return the end of an error message about a shape, which says so if its channels seem to come last."""
    order = {3: "(2, 0, 1)", 4: "(0, 3, 1, 2)"}.get(len(shape))
    seems = order is not None and shape[-1] in (1, 3, 4)
    return f"; its channels seem to come last, so use permute{order}" if seems else ""


def check_mask(mask: Tensor, styles: int, content: Tensor, *, complete: bool = False) -> None:
    """Validate a mask `(K, H, W)`, which says where each of K styles applies in the content `(B, 3, H, W)`.

    With `complete`, the values of every pixel must be at least 0 and sum to 1.
    """
    if not isinstance(mask, Tensor):
        raise TypeError(f"mask must be a tensor (K, H, W), not {type(mask).__name__}; torch.as_tensor(mask) makes one")
    wanted = (styles, *content.shape[2:])
    if mask.shape != wanted:
        raise ValueError(f"mask must be (K, H, W) = {wanted}, one region per style, got {tuple(mask.shape)}")
    if complete:
        sums = mask.double().sum(0)
        if not bool(sums.isfinite().all()) or mask.min() < 0 or (sums - 1).abs().max() > 1e-3:
            raise ValueError(
                f"masks must be at least 0 and have the sum 1 at every pixel, found a least value of {mask.min():.3g} and "
                f"sums from {sums.min():.3g} to {sums.max():.3g}; clamp them to at least 0, and divide them by their sum"
            )
