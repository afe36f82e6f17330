"""Sample pictures that need no download: photographs to paint, and paintings whose style to use.

The photographs are part of scikit-image's package. The paintings are stored beside this file, and the programs that painted
them are in the repository's `tools/paintings`. All are tensors `(1, 3, H, W)`, RGB, float32 in [0, 1].
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from PIL import Image
from torch import Tensor

from nstlib.utils.checks import check_int, check_option
from nstlib.utils.image import load_image

__all__ = ["content", "content_names", "style", "style_names"]

# Name -> file in skimage/data. These are part of the wheel; many others would be downloaded.
_PHOTOGRAPHS = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "galaxies": "hubble_deep_field.jpg",
    "camera": "camera.png",
}
_PAINTINGS = (
    *("swirl", "wave", "dots", "ink", "engraving"),
    *("glass", "geometry", "cubist", "marble", "mosaic", "poster"),
)

SIDE = 1024
"""The side of the stored paintings in pixels."""


def content(name: str, size: int | None = 256) -> Tensor:
    """Return a photograph `(1, 3, H, W)` from scikit-image's package.

    - `"astronaut"`: Eileen Collins, NASA Great Images database. No known copyright restrictions, public domain.
    - `"cat"`: Chelsea the cat, by Stefan van der Walt. CC0.
    - `"coffee"`: a cup of coffee, by Rachel Michetti, courtesy of Pikolo Espresso Bar. CC0.
    - `"rocket"`: Falcon 9 lifts off with DSCOVR, by SpaceX. Public domain.
    - `"galaxies"`: Hubble eXtreme Deep Field, by NASA (HubbleSite). May be freely used, public domain.
    - `"camera"`: a man at a camera, in grey, by Lav Varshney. CC0.

    Args:
        name: One of `content_names()`.
        size: Length of the short side in pixels. `None` keeps the size of the file.

    Raises:
        ValueError: No photograph has this name, or the size is not a positive whole number.

    Example:
        >>> content("cat", size=64).shape
        torch.Size([1, 3, 64, 96])
    """
    check_option("sample photograph", name, content_names())
    file = files("skimage").joinpath("data", _PHOTOGRAPHS[name])
    with file.open("rb") as stream, Image.open(stream) as image:
        return load_image(np.asarray(image), size=size)


def content_names() -> tuple[str, ...]:
    """Return the names of the photographs.

    Example:
        >>> content_names()
        ('astronaut', 'cat', 'coffee', 'rocket', 'galaxies', 'camera')
    """
    return tuple(_PHOTOGRAPHS)


def style(name: str, size: int | None = 256) -> Tensor:
    """Return a painting `(1, 3, size, size)` that comes with this package.

    Made of strokes:

    - `"swirl"`: a night sky in thick oil, whose strokes follow whirls of air.
    - `"wave"`: a woodblock print of a breaking sea in Prussian blue.
    - `"dots"`: a harbour in dabs of pure colour (pointillism).
    - `"ink"`: an ink wash of mountains in the mist, with bamboo.
    - `"engraving"`: a mountain lake in swelling and crossing lines.

    Made of areas:

    - `"glass"`: stained glass, jewel colours between dark leads.
    - `"geometry"`: a geometric abstraction of circles, wedges and rays.
    - `"cubist"`: a still life broken into shaded facets.
    - `"marble"`: marbled paper, ink combed into feathers.
    - `"mosaic"`: little stones in rows, gold and lapis.
    - `"poster"`: an art nouveau poster, flat colours in whiplash contours.

    Args:
        name: One of `style_names()`.
        size: Side of the square picture in pixels, 1 to 1024. `None` is 1024, the size of the file.

    Raises:
        ValueError: No painting has this name, or the size is out of range.

    Example:
        >>> style("wave", size=64).shape
        torch.Size([1, 3, 64, 64])
    """
    check_option("sample painting", name, style_names())
    file = files("nstlib.samples").joinpath(f"{name}.webp")
    size = None if size is None else check_int("size", size, 1, SIDE)
    with file.open("rb") as stream, Image.open(stream) as image:
        return load_image(image, size=size)


def style_names() -> tuple[str, ...]:
    """Return the names of the paintings.

    Example:
        >>> "swirl" in style_names()
        True
    """
    return _PAINTINGS
