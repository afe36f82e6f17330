"""One call for every method: `stylize(content, style, method=...)`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from nstlib.encoder import check_option
from nstlib.gatys import Gatys
from nstlib.image import load_image, match_color

Picture = str | os.PathLike[str] | Tensor | Any
"""Whatever `load_image` takes: a path, a URL, a PIL picture, an array or a tensor."""


class Method(Protocol):
    """What every method offers here."""

    def to(self, device: torch.device) -> Any: ...

    def stylize(self, content: Tensor, style: Any, **options: Any) -> Tensor: ...


METHODS: dict[str, Callable[..., Method]] = {"gatys": Gatys}
"""Name -> what makes the method."""

CALL_OPTIONS = ("mask", "style_weights", "callback", "progress")
"""Options that belong to one picture; all others make the method."""


def stylize(
    content: Picture,
    style: Picture | Sequence[Picture],
    *,
    method: str = "gatys",
    size: int | None = None,
    keep_color: Literal["luminance", "coral"] | None = None,
    device: str | torch.device | None = None,
    **options: Any,
) -> Tensor:
    """Paint a photograph in the style of a painting.

    Args:
        content: the photograph: a path, URL, PIL picture, array or tensor.
        style: the painting, or a list of paintings.
        method: `"gatys"`.
        size: short side of the result in pixels; None is the content's own size.
        keep_color: keep the content's colours: `"luminance"` takes only the brightness of the result, `"coral"` first gives
            the style the mean and covariance of the content's colours.
        device: where to compute; None takes a GPU if there is one.
        **options: those of the method, such as `style_weight=5` or `mask=...`.

    Returns:
        `(1, 3, H, W)`, RGB, float32 in [0, 1], of the content's shape, on the CPU.

    Raises:
        ValueError: an unknown method or option value, or pictures that don't fit.
        TypeError: an option that the method doesn't have.

    Example:
        >>> from nstlib import samples
        >>> picture = stylize(samples.content("cat", 64), samples.style("wave", 64), steps=2, progress=False)
        >>> tuple(picture.shape)
        (1, 3, 64, 96)
    """
    check_option("method", method, tuple(METHODS))
    if keep_color is not None:
        check_option("keep_color", keep_color, ("luminance", "coral"))
    chosen = pick_device() if device is None else torch.device(device)
    photograph = load_image(content, size=size)
    styles: Sequence[Any] = style if isinstance(style, (list, tuple)) else [style]
    paintings = [load_image(one, size=None) for one in styles]
    if keep_color == "coral":
        paintings = [match_color(painting, photograph, method="coral") for painting in paintings]
    call = {name: options.pop(name) for name in CALL_OPTIONS if name in options}
    model = METHODS[method](**options).to(chosen)
    result = model.stylize(photograph, paintings, **call).float().cpu()
    return match_color(result, photograph, method="luminance") if keep_color == "luminance" else result


def pick_device() -> torch.device:
    """CUDA if there is one, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
