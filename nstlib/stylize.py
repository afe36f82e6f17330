"""One call for every method: `stylize(content, style, method=...)`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from nstlib.adaattn import AdaAttN
from nstlib.adain import AdaIN
from nstlib.arbitrary import ArbitraryStyle
from nstlib.checks import check_names, check_option, choose_device
from nstlib.gatys import Gatys
from nstlib.image import load_image, match_color
from nstlib.johnson import Johnson
from nstlib.sanet import SANet
from nstlib.weights import SUFFIXES

Picture = str | os.PathLike[str] | Tensor | Any
"""Whatever `load_image` takes: a path, a URL, a PIL picture, an array or a tensor."""


METHODS: dict[str, type[Any]] = {
    "gatys": Gatys,
    "johnson": Johnson,
    "adain": AdaIN,
    "sanet": SANet,
    "adaattn": AdaAttN,
}
"""Name -> the class of the method: a module with `stylize(content, style, **options)`."""

_ARBITRARY = (("weights", "encoder", "style_size"), ("alpha", "style_weights", "mask", "tile", "progress"))

OPTIONS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "gatys": (tuple(inspect.signature(Gatys).parameters), ("mask", "style_weights", "callback", "progress")),
    "johnson": ((), ("progress",)),
    **dict.fromkeys(("adain", "sanet", "adaattn"), _ARBITRARY),
}
"""Method -> the options that make its model, and those of a picture."""


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
        style: the painting, or a list of paintings. For Johnson, the name of a shipped style or a file of trained weights.
        method: `"gatys"`, `"johnson"`, `"adain"`, `"sanet"` or `"adaattn"`.
        size: short side of the result in pixels; None is the content's own size.
        keep_color: keep the content's colours: `"luminance"` takes only the brightness of the result, `"coral"` first gives
            the style the mean and covariance of the content's colours.
        device: where to compute; None takes a GPU if there is one.
        **options: those of the method, such as `style_weight=5`, `alpha=0.5` or `mask=...`. The last three methods also take
            `weights`, a file of trained ones, and `style_size`, the short side that paintings are scaled to (512; None
            leaves them as they are).

    Returns:
        `(1, 3, H, W)`, RGB, float32 in [0, 1], of the content's shape, on the CPU.

    Raises:
        ValueError: an unknown method, style or option value, or pictures that don't fit.
        TypeError: an option that the method doesn't have.
        MemoryError: more memory is needed than there is; a size or an option that fits is named.

    Example:
        >>> from nstlib import samples
        >>> picture = stylize(samples.content("cat", 64), samples.style("wave", 64), steps=2, progress=False)
        >>> tuple(picture.shape)
        (1, 3, 64, 96)
    """
    return painter(style, method=method, size=size, keep_color=keep_color, device=device, **options)(content)


def painter(
    style: Picture | Sequence[Picture],
    *,
    method: str = "gatys",
    size: int | None = None,
    keep_color: Literal["luminance", "coral"] | None = None,
    device: str | torch.device | None = None,
    **options: Any,
) -> Callable[[Picture], Tensor]:
    """`stylize` for many photographs: a function from photograph to result, with the model made once.

    Args and errors are those of `stylize`.
    """
    check_option("method", method, tuple(METHODS))
    if keep_color is not None:
        check_option("keep_color", keep_color, ("luminance", "coral"))
    chosen = choose_device(device)
    of_model, of_picture = OPTIONS[method]
    check_names(method, options, (*of_model, *of_picture))
    call = {name: options.pop(name) for name in of_picture if name in options}
    styles: list[Any] = list(style) if isinstance(style, (list, tuple)) else [style]
    paintings: list[Any] | None = None
    model: Any
    if method == "johnson":
        model = _open_johnson(styles, keep_color).to(chosen)
    elif method == "gatys":
        paintings = [load_image(one, size=None) for one in styles]
        model = Gatys(**options).to(chosen)
    else:
        style_size = options.pop("style_size", 512)
        paintings = [load_image(one, size=style_size) for one in styles]
        model = _open_arbitrary(METHODS[method], **options).to(chosen)
        if keep_color != "coral":
            paintings = [model.encode_style(painting) for painting in paintings]  # once, for all photographs

    def paint(content: Picture) -> Tensor:
        photograph = load_image(content, size=size)
        matched = paintings
        if paintings is not None and keep_color == "coral":
            matched = [match_color(painting, photograph, method="coral") for painting in paintings]
        result = model.stylize(photograph, matched, **call).float().cpu()
        return match_color(result, photograph, method="luminance") if keep_color == "luminance" else result

    return paint


def _open_arbitrary(kind: type[ArbitraryStyle], *, weights: Any = None, encoder: Any = "vgg19_mini") -> ArbitraryStyle:
    return kind.from_checkpoint(kind.method if weights is None else weights, encoder=encoder)


def _open_johnson(styles: list[Any], keep_color: str | None) -> Johnson:
    """The network of a style: shipped, by name, or trained by the user, by file."""
    shipped = ", ".join(Johnson.styles()) or "none yet"
    if keep_color == "coral":
        raise ValueError("keep_color='coral' changes the style picture, and johnson has none: take 'luminance'")
    if len(styles) != 1:
        raise ValueError(f"johnson paints in one style at a time, got {len(styles)}; shipped styles: {shipped}")
    (style,) = styles
    if isinstance(style, (str, os.PathLike)) and Path(style).suffix.lower() in SUFFIXES:
        return Johnson.from_checkpoint(style)
    if not isinstance(style, str) or (style not in Johnson.styles() and Path(style).suffix):
        what = repr(os.fspath(style)) if isinstance(style, (str, os.PathLike)) else f"a {type(style).__name__}"
        raise ValueError(
            f"a Johnson network is trained for one style, so style is the name of a shipped one ({shipped}) or a "
            f"weights file, not a picture: got {what}"
        )
    return Johnson.pretrained(style)
