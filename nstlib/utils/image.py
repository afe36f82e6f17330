"""Load pictures from nearly anything, convert them, and save them.

Everywhere in the library a picture is a tensor of shape `(B, 3, H, W)`, RGB, float32, with values in [0, 1]; where
transparency is kept, a fourth channel holds the opacity.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from torch import Tensor

from nstlib.utils.checks import RANGE_TOLERANCE, channels_last_hint, check_int, check_range
from nstlib.utils.files import expand_home, open_source, write_atomically

Pixels = Image.Image | np.ndarray
"""An image of mode RGB or RGBA, or floats `(H, W, 1 | 3 | 4)` in [0, 1] for more than 8 bits of precision."""

Source = str | os.PathLike[str] | IO[bytes] | Image.Image | np.ndarray | Tensor

READABLE = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM", "ICO", "QOI")
WRITABLE = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF"}

_told: set[str] = set()


def load_image(source: Source, size: int | None = 256, *, alpha: bool = False, reduce: bool = False) -> Tensor:
    """Read a picture from nearly anything.

    Files may be PNG, JPEG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000, PPM, ICO or QOI, and HEIF after
    `pillow_heif.register_heif_opener()`. EXIF orientation is applied, grey becomes RGB, 16-bit grey keeps its precision, and
    CMYK and embedded colour profiles are converted to sRGB. The first frame of an animation is read, with a warning.

    Some of Pillow's modes have no defined range. Mode `"I"` is read as 0..255 if no value is greater, and otherwise as
    0..65535; `"I;16"` as 0..65535; `"F"` as [0, 1], or as 0..255 if Pillow converted a picture to it.

    Args:
        source: A path, an `http://` or `https://` address, an open binary file, a PIL image, a numpy array or a
            tensor. Arrays are `(H, W)` or `(H, W, C)`, tensors `(H, W)`, `(C, H, W)` or `(1, C, H, W)`, with 1, 3 or
            4 channels. Both hold uint8 in 0..255, uint16 in 0..65535, floats in [0, 1] or booleans.
        size: Length of the short side in pixels. `None` keeps the size. With a size, a JPEG may have four times as many
            pixels as other files, because it is decoded at a reduced size.
        alpha: Keep transparency: a picture with an alpha channel or a transparent colour gets a fourth channel with its
            opacity, and its colours are not premultiplied. Otherwise such a picture is laid on white.
        reduce: Without a size, read a JPEG with more pixels than the limit at half its size, instead of refusing it.

    Returns:
        The picture, `(1, 3, H, W)` or `(1, 4, H, W)`, RGB, float32 in [0, 1], on the CPU, as a new tensor.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: The file is damaged, incomplete or not a picture, or the download failed.
        ValueError: A wrong shape, range or size, NaN, infinity, or more than twice `PIL.Image.MAX_IMAGE_PIXELS`.
        TypeError: `source` or its dtype is none of the above.

    Example:
        >>> import numpy as np
        >>> sky = np.full((40, 60, 3), (135, 206, 235), dtype=np.uint8)
        >>> load_image(sky, size=20).shape
        torch.Size([1, 3, 20, 30])
        >>> load_image(sky, size=None)[0, :, 0, 0] * 255
        tensor([135., 206., 235.])
    """
    if size is not None:
        size = check_int("size, the short side in pixels,", size, 1)
    if isinstance(source, Tensor):
        one = _one_picture(source[None] if source.ndim == 2 else source, (1, 3, 4), "the tensor")
        pixels = _from_array(one.permute(1, 2, 0).numpy(), "the tensor")
    elif isinstance(source, np.ndarray):
        pixels = _from_array(source, "the array")
    elif isinstance(source, Image.Image):
        pixels = _from_pil(source, "the PIL image")
    elif isinstance(source, (str, os.PathLike)):
        file, name = open_source(source)
        with file:
            pixels = _decode(file, name, size, reduce)
    elif hasattr(source, "read") and not isinstance(source, io.TextIOBase):
        pixels = _decode(io.BytesIO(source.read()), "the open file", size, reduce)
    else:
        raise TypeError(
            "load_image reads a path, an http(s) address, a file that is open in binary mode, a PIL image, a numpy array or "
            f"a tensor, not {type(source).__name__}"
        )
    if not alpha:
        pixels = _lay_on_white(pixels)
    if size is not None:
        pixels = _resize(pixels, size)
    values = np.array(pixels)  # (H, W, 1 | 3 | 4)
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    picture = torch.from_numpy(values).permute(2, 0, 1)[None].float().contiguous()  # (1, 3 | 4, H, W)
    return picture / 255 if values.dtype == np.uint8 else picture


def to_numpy(picture: Tensor) -> np.ndarray:
    """Return a picture as an array of bytes, `(H, W, 3)` or `(H, W, 4)`, RGB, uint8 in 0..255.

    Args:
        picture: `(1, 3, H, W)` or `(3, H, W)`, or with opacity as a fourth channel; floating point. Values outside
            [0, 1] are clamped.

    Raises:
        ValueError: A wrong shape, NaN or infinity.
        TypeError: `picture` is not a tensor of floats.

    Example:
        >>> to_numpy(torch.full((1, 3, 2, 2), 0.2))[0, 0]
        array([51, 51, 51], dtype=uint8)
    """
    if not isinstance(picture, Tensor) or not picture.is_floating_point():
        found = picture.dtype if isinstance(picture, Tensor) else type(picture).__name__
        raise TypeError(
            f"picture must be a tensor (1, 3, H, W) of floats in [0, 1], not {found}; use picture / 255 for uint8"
        )
    one = _one_picture(picture, (3, 4), "picture")
    if not bool(torch.isfinite(one).all()):
        raise ValueError("picture holds NaN or infinity; a picture holds numbers in [0, 1]")
    return (one.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def to_pil(picture: Tensor) -> Image.Image:
    """Return a picture `(1, 3 | 4, H, W)` as a PIL image of mode RGB or RGBA; arguments and errors as `to_numpy`.

    Example:
        >>> to_pil(torch.rand(1, 4, 32, 48)).mode
        'RGBA'
    """
    return Image.fromarray(to_numpy(picture))


def save_image(picture: Tensor, path: str | os.PathLike[str], *, quality: int = 95) -> Path:
    """Write a picture to a PNG, JPEG, WebP or TIFF file.

    The file is written whole or not at all: if anything fails, the old file stays as it was. Missing folders are made.

    Args:
        picture: `(1, 3, H, W)` or `(3, H, W)`, or with opacity as a fourth channel; floating point. Values outside
            [0, 1] are clamped. JPEG has no transparency: there, the picture is laid on white, with a warning.
        path: Where to. The suffix chooses the format: `.png`, `.jpg`, `.jpeg`, `.webp`, `.tif` or `.tiff`.
        quality: 1 to 100, for JPEG and WebP. PNG and TIFF lose nothing beyond the rounding to 8 bits.

    Raises:
        ValueError: Unknown suffix, wrong shape, a quality out of range, NaN or infinity.
        TypeError: `picture` is not a tensor of floats.
        OSError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> path = save_image(torch.rand(1, 3, 32, 48), f"{folder.name}/noise.png")
        >>> load_image(path, size=None).shape
        torch.Size([1, 3, 32, 48])
        >>> folder.cleanup()
    """
    path, form = check_target(path)
    quality = check_int("quality", quality, 1, 100)
    image = to_pil(picture)
    if form == "JPEG" and image.mode == "RGBA":
        warnings.warn(f"JPEG has no transparency, so the picture in '{path}' lies on white", stacklevel=2)
        image = _lay_on_white(image)
    # subsampling=0: full colour resolution, since painted colours have sharp edges
    jpeg = {"quality": quality, "subsampling": 0, "optimize": True}
    options = {"JPEG": jpeg, "WEBP": {"quality": quality}}.get(form, {})
    encoded = io.BytesIO()
    image.save(encoded, form, **options)
    return write_atomically(path, encoded.getvalue())


def check_target(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """Validate the path of a picture before it is painted. Return the path and Pillow's name of the format."""
    path = expand_home(path)
    form = WRITABLE.get(path.suffix.lower())
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, and one picture is to be written; add a file name")
    if form is None:
        found = f"{path.suffix!r}" if path.suffix else "no suffix"
        raise ValueError(f"save_image writes {', '.join(WRITABLE)}, and '{path}' has {found}")
    return path, form


def _decode(file: IO[bytes], name: str, size: int | None, reduce: bool) -> Pixels:
    head = file.read(24)
    file.seek(0)
    Image.init()
    jpeg = head.startswith(b"\xff\xd8\xff")
    try:  # Image.open refuses a JPEG by its full size, even if it will be decoded at an eighth of it
        formats = [form for form in READABLE if form in Image.OPEN]
        image = JpegImageFile(file) if jpeg else Image.open(file, formats=formats)
        animated = image.format in ("GIF", "PNG", "WEBP", "AVIF") and getattr(image, "is_animated", False)
    except Image.DecompressionBombError as error:
        raise ValueError(f"{name} is too large: {error} You may raise PIL.Image.MAX_IMAGE_PIXELS") from error
    except UnidentifiedImageError as error:
        raise OSError(
            f"{name} is not a picture that can be read: it begins with {head!r}; PNG, JPEG, WebP, TIFF and GIF work, and "
            "HEIF photos after pillow_heif.register_heif_opener()"
        ) from error
    except Exception as error:  # a damaged file can raise nearly anything
        raise _damaged(name, error) from error
    if animated and name not in _told:
        _told.add(name)  # warn once about a file that a training reads a thousand times
        warnings.warn(f"{name} is an animation: its first frame is read", stacklevel=3)

    width, height = image.size
    target = box = None
    if jpeg and size is not None:
        # At 1/2, 1/4 or 1/8, but not below twice the size asked for, so that the antialiasing is ours.
        drafted = image.draft(None, (2 * size, 2 * size))
        target, box = _target(width, height, size), drafted and drafted[1]
    elif jpeg and reduce and width * height > _limit():
        image.draft(None, (width // 2, height // 2))
    # A progressive JPEG takes memory for all its pixels, hence the limit of four times as many.
    _check_pixels(max(math.prod(image.size), width * height // 4), f"{name} has {width} x {height}")
    return _from_pil(image, name, target, box)


def _from_pil(
    image: Image.Image,
    name: str,
    target: tuple[int, int] | None = None,
    box: tuple[float, float, float, float] | None = None,
) -> Pixels:
    """Decode an image, scale its `box` to the target size, and turn it upright."""
    try:
        image.load()
        if target is not None:
            image = image.resize(target, Image.Resampling.LANCZOS, box=box)
        with suppress(Exception):  # damaged metadata says nothing about the pixels
            if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                image = image.copy()  # the caller's image stays unchanged
                ImageOps.exif_transpose(image, in_place=True)
        if not image.mode.startswith(("I", "F")):
            return _to_srgb(image)
    except Exception as error:
        raise _damaged(name, error) from error
    return _from_array(_from_levels(image), name)


def _damaged(name: str, error: Exception) -> OSError:
    return OSError(f"{name} cannot be decoded, it is damaged or cut short ({error}); get a whole copy of it")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert an 8-bit image of any mode to RGB, or to RGBA if it has transparency."""
    mode = "RGBA" if image.has_transparency_data else "RGB"
    if mode == "RGBA" or image.mode in ("1", "P"):  # profiles apply to colours, not to palettes
        image = image.convert(mode)
    with suppress(ImageCms.PyCMSError, OSError):  # no profile, a broken one, or one for another kind of picture
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info.get("icc_profile", b"")))
        if "sRGB" not in ImageCms.getProfileDescription(profile):
            srgb = ImageCms.createProfile("sRGB")
            image = ImageCms.profileToProfile(image, profile, srgb, outputMode=mode) or image
    return image.convert(mode)


def _from_levels(image: Image.Image) -> np.ndarray:
    """Convert the modes I, I;16 and F to floats (H, W), or (H, W, 4) if one of the levels is transparent."""
    levels = np.asarray(image)
    if image.mode == "F":
        peak = 255 if image.format is None and levels.max() > 1 + RANGE_TOLERANCE else 1
    elif image.mode == "I":  # 16 bits in PNG and PPM files
        peak = 255 if levels.max() <= 255 and image.format not in ("PNG", "PPM") else 65535
    else:  # a TIFF with 10 or 12 bits is not scaled to 16; tag 258 is BitsPerSample
        peak = 2 ** getattr(image, "tag_v2", {}).get(258, (16,))[0] - 1
    grey = levels.astype(np.float32) / peak
    if "transparency" not in image.info:
        return grey
    return np.dstack([grey, grey, grey, levels != image.info["transparency"]])


def _one_picture(tensor: Tensor, channels: tuple[int, ...], name: str) -> Tensor:
    """Return (C, H, W) for (C, H, W) or (1, C, H, W), on the CPU, with floats as float32."""
    shape = tuple(tensor.shape)
    one = tensor[0] if tensor.ndim == 4 and shape[0] == 1 else tensor
    if one.ndim != 3 or one.shape[0] not in channels or 0 in shape:
        hint = channels_last_hint(shape)
        counts = " | ".join(map(str, channels))
        raise ValueError(f"{name} must have the shape (C, H, W) or (1, C, H, W) with C = {counts}, not {shape}{hint}")
    one = one.detach().cpu()
    return one.float() if one.is_floating_point() else one


def _from_array(array: np.ndarray, name: str) -> Pixels:
    array = np.asarray(array)  # removes the mask of a masked array
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        raise ValueError(f"{name} must have the shape (H, W) or (H, W, 1 | 3 | 4), not {array.shape}")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.dtype == np.uint8:
        return _to_srgb(Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array)))
    if array.dtype.type is np.uint16:
        array = array.astype(np.float32) / 65535
    elif array.dtype.kind == "f":
        check_range(name, float(array.min()), float(array.max()))
        array = np.clip(array, 0, 1).astype(np.float32)
    else:
        raise TypeError(
            f"{name} must hold uint8, uint16, floats in [0, 1] or booleans, not {array.dtype}; divide it by 255"
        )
    return array


def _lay_on_white(pixels: Any) -> Any:
    """Blend a picture with white by its opacity, if it has one: out = opacity * colour + (1 - opacity) * white."""
    if isinstance(pixels, Image.Image):
        white = Image.new("RGBA", pixels.size, "white")
        return pixels if pixels.mode == "RGB" else Image.alpha_composite(white, pixels).convert("RGB")
    colours, opacity = pixels[:, :, :3], pixels[:, :, 3:]
    return opacity * colours + (1 - opacity) if opacity.size else pixels


def _resize(pixels: Pixels, size: int) -> Pixels:
    """Resample with Lanczos and antialiasing. Colours are weighted by their opacity."""
    if isinstance(pixels, Image.Image) and pixels.mode == "RGB":
        return pixels.resize(_target(*pixels.size, size), Image.Resampling.LANCZOS)
    array = np.asarray(pixels)  # (H, W, 1 | 3 | 4)
    target = _target(array.shape[1], array.shape[0], size)

    def resample(channel: np.ndarray) -> np.ndarray:  # Pillow takes one channel of floats at a time
        image = Image.fromarray(np.ascontiguousarray(channel, dtype=np.float32))
        return np.asarray(image.resize(target, Image.Resampling.LANCZOS))

    top = np.float32(255 if array.dtype == np.uint8 else 1)
    opacity = array[:, :, 3] / top if array.shape[2] == 4 else np.float32(1)
    resized = np.dstack([resample(array[:, :, c] / top * opacity) for c in range(array.shape[2])[:3]])
    if isinstance(opacity, np.ndarray):
        shrunk = resample(opacity)[:, :, None]
        resized = np.dstack([resized / np.maximum(shrunk, 1e-6), shrunk])
    return resized.clip(0, 1)  # Lanczos overshoots at edges


def _target(width: int, height: int, short: int) -> tuple[int, int]:
    """Return the size (width, height) with this short side. The long side is rounded half up."""
    long = math.floor(short * max(width, height) / min(width, height) + 0.5)
    target = (short, long) if width <= height else (long, short)
    _check_pixels(short * long, f"with size={short} the picture would have {target[0]} x {target[1]}")
    return target


def _check_pixels(pixels: int, what: str) -> None:
    """Refuse pictures with more pixels than Pillow allows, so that no small file fills the memory."""
    if pixels > _limit():
        remedy = "give a smaller size, or raise PIL.Image.MAX_IMAGE_PIXELS"
        raise ValueError(f"{what} pixels, more than the limit of {_limit():,}: {remedy}")


def _limit() -> float:
    return 2 * (Image.MAX_IMAGE_PIXELS or math.inf)
