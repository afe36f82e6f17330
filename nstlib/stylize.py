"""One call for every method: `stylize(content, style, method=...)`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from nstlib.registry import METHODS, Method
from nstlib.steady import CUT, FRAME_STEPS, STEADY, Before, follow, hold
from nstlib.utils.checks import check_int, check_names, check_number, check_option, choose_device
from nstlib.utils.color import match_color
from nstlib.utils.image import load_image
from nstlib.utils.masks import read_masks
from nstlib.utils.opacity import drop_full_opacity
from nstlib.utils.scale import scaled_size

Picture = str | os.PathLike[str] | Tensor | Any
"""Anything that `load_image` takes: a path, a URL, a PIL image, an array or a tensor."""

SIZES_KEPT = 2
"""Every painting is kept, scaled and encoded, at this many sizes: for upright photographs and for wide ones."""


def stylize(
    content: Picture,
    style: Picture | Sequence[Picture],
    *,
    method: str = "gatys",
    size: int | None = None,
    keep_color: Literal["luminance", "coral"] | None = None,
    keep_alpha: bool = True,
    device: str | torch.device | None = None,
    **options: Any,
) -> Tensor:
    """Paint a photograph in the style of a painting.

    Args:
        content: the photograph: a path, URL, open binary file, PIL image, array or tensor.
        style: the painting, of the same kinds, or a list of paintings. For Johnson, the name of a shipped style or a file
            with trained weights.
        method: `"gatys"`, `"johnson"`, `"adain"`, `"sanet"` or `"adaattn"`.
        size: short side of the result in pixels. None is the size of the content.
        keep_color: keep the colours of the content. `"luminance"` takes only the brightness of the result; `"coral"` first
            gives the style the mean and the covariance of the content's colours.
        keep_alpha: keep transparency: the result gets the opacity of the photograph as a fourth channel, and transparent
            parts of photographs and paintings are left out of all statistics. False lays such pictures on white.
        device: the device to compute on. None takes a GPU if there is one.
        **options: options of the method, such as `style_weight=5` or `steps=100` for Gatys. Several methods take these:

            - `style_scale` (all but Johnson): size of the painting's short side relative to the photograph's, 1 by default.
              A larger painting has broader strokes. A painting is never enlarged: if it has too few pixels, it is used at
              its own size, with a warning.
            - `style_weights` (all but Johnson): one number per painting, its weight. None is equal weights.
            - `mask` (all but Johnson): the region of each painting. Either a tensor `(K, H, W)` for K paintings, as the
              method's class takes it, or files, which are scaled to the photograph: one grey picture per painting, or
              one map of colours; see `nstlib.utils.masks.read_masks`. Parts that no grey mask covers stay a photograph.
            - `alpha` (all but Gatys): strength in [0, 1], where 0 is the photograph (or, with weights that have the papers'
              plain decoder, the photograph painted in its own style). AdaIN, SANet and AdaAttN blend the features of
              painting and photograph; Johnson blends its result with the photograph, pixel by pixel.
            - `refine` (all but Gatys): number of steps of L-BFGS on the pixels that follow. 5 to 20 bring the result much
              closer to the painting.
            - `weights` (AdaIN, SANet, AdaAttN): a file of trained weights instead of those in the package.

    Returns:
        `(1, 3, H, W)`, float32 in [0, 1], on the CPU; or `(1, 4, H, W)` with opacity if the photograph has transparency.

    Raises:
        ValueError: an unknown method, style or option value, or pictures that don't fit.
        OSError: a picture, a mask or a file of weights is missing, damaged or can't be downloaded.
        TypeError: an option that the method doesn't have, or a picture of a type that `load_image` doesn't read.
        MemoryError: the picture needs more memory than is available; the message names a size that would fit, if any.

    Example:
        >>> from nstlib import samples
        >>> picture = stylize(samples.content("cat", 64), samples.style("wave", 64), steps=2, progress=False)
        >>> tuple(picture.shape)
        (1, 3, 64, 96)
    """
    for name in ("steady", "frame_steps"):
        if name in options:
            raise TypeError(f"{name} is for the frames of a video, and stylize paints one picture: leave it out")
    paint = make_stylizer(
        style, method=method, size=size, keep_color=keep_color, keep_alpha=keep_alpha, device=device, **options
    )
    return paint(content)


def make_stylizer(
    style: Picture | Sequence[Picture],
    *,
    method: str = "gatys",
    size: int | None = None,
    keep_color: Literal["luminance", "coral"] | None = None,
    keep_alpha: bool = True,
    device: str | torch.device | None = None,
    **options: Any,
) -> Callable[..., Tensor]:
    """Return a function from photograph to result: `stylize` for many photographs, with a model that is created once.

    The function also paints the frames of videos for `nstlib.video.paint_video`: `paint(frame, before)`, where `before` is
    a `nstlib.steady.Before` with the last frame and its result, or None for the first frame. One of these options then
    reduces flicker:

    - `steady` (all but Gatys): how much of the last result is kept, in [0, 1], where both frames show the same; 0.8 by
      default. 0 paints every frame on its own. See `nstlib.steady.hold`.
    - `frame_steps` (Gatys): number of steps for every frame but the first, starting from the last result; 20 by default.
      After a cut, all `steps` are taken again.

    All other arguments and errors are those of `stylize`.

    Example:
        >>> from nstlib import samples
        >>> paint = make_stylizer("wave", method="johnson", steady=0.5)
        >>> frames = [samples.content("cat", 64), samples.content("cat", 64).flip(3)]
        >>> first = paint(frames[0])
        >>> second = paint(frames[1], Before(frames[0], first))
        >>> tuple(second.shape)
        (1, 3, 64, 96)
    """
    check_option("method", method, tuple(METHODS))
    if keep_color is not None:
        check_option("keep_color", keep_color, ("luminance", "coral"))
    chosen = choose_device(device)
    known = METHODS[method]
    check_names(method, options, (*known.model_options, *known.picture_options, *known.video_options))
    steady = check_number("steady", options.pop("steady", STEADY if "steady" in known.video_options else 0), 0, 1)
    frame_steps = check_int("frame_steps", options.pop("frame_steps", FRAME_STEPS), 1)
    call = {name: options.pop(name) for name in known.picture_options if name in options}
    masks = call.pop("mask", None)
    styles: list[Any] = list(style) if isinstance(style, (list, tuple)) else [style]
    if not known.takes_pictures and keep_color == "coral":
        raise ValueError(f"keep_color='coral' changes the style picture, and {method} has none: take 'luminance'")
    encode = keep_color != "coral" and not call.get("refine")
    model, read_paintings = _open(known, styles, options, chosen, keep_alpha, encode=encode)

    def paint(content: Picture, before: Before | None = None) -> Tensor:
        photograph = _load(content, size, keep_alpha)
        if before is not None:
            before = Before(_load(before.frame, size, keep_alpha), before.result)
        if photograph.shape[1] == 4 and photograph[:, 3].max() == 0:
            return photograph  # all of it is transparent
        given = read_paintings(photograph)
        if keep_color == "coral":
            given = [match_color(painting, photograph, method="coral") for painting in given]
        regions, covered = _fit_masks(masks, known.open_regions, len(styles), photograph)
        begin = _begin(photograph, before, frame_steps) if "frame_steps" in known.video_options else {}
        result = model.stylize(photograph, given if known.takes_pictures else None, **call, **regions, **begin)
        result = result.float().cpu()
        if keep_color == "luminance":
            result = match_color(result, photograph, method="luminance")
        result = result if covered is None else photograph.lerp(result, covered)
        return hold(result, photograph, before, steady)

    return paint


def _begin(photograph: Tensor, before: Before | None, steps: int) -> dict[str, Any]:
    """Return the options that make a frame start from the last result, unless it shows something else."""
    if before is None or before.result.shape[2:] != photograph.shape[2:]:
        return {}
    moved, trust = follow(before, photograph)
    if trust.mean() < CUT:
        return {}
    # Where something new has appeared, keep the strokes and change only the picture beneath them. A patch of photograph
    # would hardly be painted in so few steps, because the style loss of the picture as a whole is already low
    return {"init": (moved.result + (1 - trust) * (photograph[:, :3] - moved.frame)).clamp(0, 1), "steps": steps}


def _open(
    known: Method, styles: list[Any], options: dict[str, Any], device: torch.device, keep_alpha: bool, *, encode: bool
) -> tuple[Any, Callable[[Tensor], list[Any]]]:
    """Return the model, and a function from a photograph to the paintings, scaled for the photograph and encoded."""
    paintings = [_load(one, None, keep_alpha, reduce=True) for one in styles] if known.takes_pictures else []
    if not hasattr(known.model, "encode_style"):  # the method takes no paintings, or scales them itself
        return known.open(styles, **options).to(device), lambda photograph: paintings
    style_scale = check_number("style_scale", options.pop("style_scale", 1.0), 0, 100, above=True)
    model = known.open(styles, **options).to(device) if options else _open_default(known, device)

    @lru_cache(maxsize=SIZES_KEPT * len(paintings))
    def read(number: int, side: int) -> Any:
        painting = paintings[number]
        if side != min(painting.shape[2:]):
            painting = load_image(painting, size=side, alpha=True)
        return model.encode_style(painting) if encode else painting

    def read_all(photograph: Tensor) -> list[Any]:
        content = photograph.shape[2:]
        sides = [min(scaled_size(painting.shape[2:], content, style_scale)) for painting in paintings]
        return [read(number, side) for number, side in enumerate(sides)]

    return model, read_all


@lru_cache(maxsize=2)
def _open_default(known: Method, device: torch.device) -> Any:
    """Return a model with its default weights, and keep it for the next call."""
    with torch.inference_mode(False):  # the next call may need gradients
        return known.open([]).to(device)


def _load(source: Picture, size: int | None, keep_alpha: bool, *, reduce: bool = False) -> Tensor:
    """Read a picture, with its opacity if any part of it is transparent."""
    return drop_full_opacity(load_image(source, size=size, alpha=keep_alpha, reduce=reduce))


def _fit_masks(
    masks: Any, open_regions: bool, styles: int, photograph: Tensor
) -> tuple[dict[str, Tensor], Tensor | None]:
    """Return masks as an option for the method and, if they are files, the share of every pixel that they cover."""
    if masks is None:
        return {}, None
    if isinstance(masks, (str, os.PathLike)):
        masks = [masks]
    if not isinstance(masks, (list, tuple)):
        return {"mask": masks}, None
    regions = read_masks(masks, styles, (photograph.shape[2], photograph.shape[3]))  # (K, H, W)
    if open_regions:
        return {"mask": regions}, None
    total = regions.sum(0)
    # all other methods paint every pixel, with weights that sum to 1
    return {"mask": torch.where(total > 0, regions / total, 1 / styles)}, total.clamp(max=1)
