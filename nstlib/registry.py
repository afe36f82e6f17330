"""The registry: what `nst.stylize`, `refine` and the command line know about each method.

`nst.stylize(method="mine")` works as soon as `register("mine", Method(...))` has run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Method:
    """The registered properties of a method.

    Attributes:
        model: its class, a module with `stylize(content, styles, **picture_options)`. Content and result are `(B, 3, H, W)`
            in [0, 1], or `(1, 4, H, W)` for a photograph with transparency. If the class has `encode_style`, paintings are
            scaled for the photograph (`style_scale`) and read once for all photographs of the same size.
        open: `open(styles, **model_options)` returns a model with its weights.
        model_options: names of the options of `open`.
        picture_options: names of the options of `model.stylize`.
        objective: the class of its objective, which takes what is trained (for Johnson the network, else the model). None
            if nothing is trained.
        takes_pictures: whether styles are pictures. If not, `open` interprets them.
        open_regions: whether its masks may leave parts of the picture without a style.
        video_options: names of the options for the frames of a video: `steady` blends every result with the last one, see
            `nstlib.steady.hold`; `frame_steps` is for a model whose `stylize` takes `init` and `steps`, and so can start
            from the last result.
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
    """Register a method for `nst.stylize` under this name."""
    METHODS[name] = method
