"""The registry: what `nst.stylize`, `nst.train` and the command line know of each method.

`nst.stylize(method="mine")` works as soon as `register("mine", Method(...))` has run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """What is known of a method.

    Attributes:
        model: its class, a module with `stylize(content, styles, **picture_options)`, where content and result are
            `(B, 3, H, W)` in [0, 1], or `(1, 4, H, W)` where a photograph is transparent in parts. If it has `encode_style`,
            paintings are scaled for the photograph (`style_scale`) and read once for all photographs of one size.
        open: `open(styles, **model_options)` returns a model with its weights.
        model_options: names of the options of `open`.
        picture_options: names of the options of `model.stylize`.
        objective: what trains it, called with a model and the weights of the terms; None if nothing is trained.
        takes_pictures: whether styles are pictures; else they are whatever `open` makes of them.
        open_regions: whether its masks may leave parts of the picture without a style.
        video_options: names of the options for the frames of a video: `steady` blends every result with the last one, see
            `nstlib.steady.hold`; `frame_steps` is for a model whose `stylize` can begin with the last result, and takes
            `init` and `steps`.
    """

    model: type[Any]
    open: Callable[..., Any]
    model_options: tuple[str, ...] = ()
    picture_options: tuple[str, ...] = ()
    objective: type[Any] | None = None
    takes_pictures: bool = True
    open_regions: bool = False
    video_options: tuple[str, ...] = ("steady",)


METHODS: dict[str, Method] = {}
"""Name -> method, in the order of the book."""


def register(name: str, method: Method) -> None:
    """Make a method known to `nst.stylize` under this name."""
    METHODS[name] = method
