"""Pictures in and out: load, save, show, and match colours.

Everywhere in the library a picture is a tensor of shape `(B, 3, H, W)`, RGB, float32, with values in [0, 1].
`load_image` makes one out of anything that looks like a picture, `save_image` writes one to a file.
What an encoder wants (a mean taken off, a standard deviation divided out) is the encoder's own business.
"""

from __future__ import annotations

import difflib
import http.client
import io
import math
import operator
import os
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image, ImageCms, UnidentifiedImageError
from torch import Tensor

from nstlib.checks import check_whole, is_exporting
from nstlib.files import describe_head, expand_home, write_atomically

__all__ = ["check_picture", "load_image", "match_color", "save_image", "show"]

Source = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor

MAX_PIXELS = 178_000_000  # a file that unpacks to more pixels than this is refused before it is decoded
URL_TIMEOUT = 20.0  # seconds of silence after which a download is given up
URL_DEADLINE = 180.0  # seconds that a whole download may take
URL_MAX_BYTES = 100_000_000
USER_AGENT = "nstlib (neural style transfer in Python)"  # some museums' servers turn away nameless clients

RANGE_TOLERANCE = 1e-3  # how far outside [0, 1] rounding may put a value
READABLE = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF", "JPEG2000", "PPM", "ICO", "QOI")
ADVICE = {  # kind of a file -> what to do with it where a picture was expected
    **dict.fromkeys(
        ("a JPEG picture", "a PNG picture", "a GIF picture", "a WebP picture"), "damaged; get a whole copy"
    ),
    "a TIFF picture": "damaged, or of a kind that Pillow cannot read: export it with 8 or 16 bits a channel",
    "a HEIF photo": "export it as JPEG, or call pillow_heif.register_heif_opener() before",
    "an SVG drawing": "export it as PNG",
    "a web page": "use the address of the picture itself",
    "a PDF": "export the page as PNG",
    "a Git LFS pointer": "fetch the picture that it stands for with git lfs pull",
}
WRITABLE = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

_opening = threading.Lock()
_told: set[str] = set()

# EXIF orientation -> (swap rows and columns first?, then flip these dimensions of (B, C, H, W))
ORIENTATION: dict[int, tuple[bool, list[int]]] = {
    2: (False, [3]),
    3: (False, [2, 3]),
    4: (False, [2]),
    5: (True, []),
    6: (True, [3]),
    7: (True, [2, 3]),
    8: (True, [2]),
}


# ---------------------------------------------------------------------------------------------------- load


def load_image(source: Source, size: int | None = 256) -> Tensor:
    """Read a picture from nearly anything.

    Files may be PNG, JPEG, WebP, GIF, TIFF, BMP, AVIF, JPEG 2000, PPM, ICO and QOI, as far as the installed
    Pillow reads them (HEIF too, once `pillow_heif.register_heif_opener()` was called). EXIF orientation is
    applied, transparency is laid on white, grey becomes RGB, 16-bit grey keeps its precision, CMYK and
    embedded colour profiles are converted to sRGB, and of an animation the first frame is taken, with a warning.

    Args:
        source: A path, an `http://` or `https://` address, a PIL image, a numpy array or a tensor.
            Arrays are `(H, W)` or `(H, W, 1 | 3 | 4)`; tensors are `(1 | 3, H, W)` or `(1, 1 | 3, H, W)`.
            Both hold uint8 in 0..255, floats in [0, 1] or booleans; arrays may hold uint16 in 0..65535.
        size: Length of the short side in pixels. The long side follows, rounded. `None` keeps the size.

    Returns:
        The picture, `(1, 3, H, W)`, RGB, float32 in [0, 1], on the CPU. It shares no memory with `source`.

    Raises:
        FileNotFoundError: There is no such file.
        IsADirectoryError: The path is a folder.
        OSError: The file is empty, damaged, cut short or not a picture, or the download failed.
        ValueError: Too many pixels, or a wrong shape, range or size; NaN or infinity.
        TypeError: `source`, its dtype or `size` is of a type that cannot be read as one.

    Example:
        >>> import numpy as np
        >>> sky = np.full((40, 60, 3), (135, 206, 235), dtype=np.uint8)
        >>> load_image(sky, size=20).shape
        torch.Size([1, 3, 20, 30])
        >>> load_image(sky, size=None)[0, :, 0, 0] * 255
        tensor([135., 206., 235.])
    """
    size = _check_size(size)
    box, orientation = None, 1
    if isinstance(source, Tensor):
        pixels = _from_tensor(source)
    elif isinstance(source, np.ndarray):
        pixels = _from_array(source, "the array")
    elif isinstance(source, (str, os.PathLike, Image.Image)):
        image, box, name = _decode(source, size)
        orientation = _orientation(image)
        pixels = _from_pil(image, name)
    else:
        raise TypeError(
            f"load_image reads a path, an http(s) address, a PIL image, a numpy array or a tensor, "
            f"not {type(source).__name__}"
        )
    if size is not None:
        pixels = _resize(pixels, size, box)

    values = np.array(pixels)  # (H, W, 3) uint8 or (H, W, 1 | 3) float32
    picture = torch.from_numpy(values).permute(2, 0, 1)[None].float()  # (1, C, H, W)
    if values.dtype == np.uint8:
        picture = picture / 255
    picture = picture.expand(1, 3, *picture.shape[2:])
    swap, flips = ORIENTATION.get(orientation, (False, []))
    if swap:
        picture = picture.transpose(2, 3)
    return picture.flip(flips).contiguous()


def _check_size(size: int | None) -> int | None:
    if size is None:
        return None
    if isinstance(size, bool):
        raise TypeError(f"size is the short side in pixels, a whole number or None, not {size}")
    try:
        size = operator.index(size)
    except TypeError:
        raise TypeError(
            f"size is the short side in pixels, a whole number or None, not {size!r} ({type(size).__name__})"
        ) from None
    if size < 1:
        raise ValueError(f"size is the short side in pixels and must be at least 1, not {size}")
    return size


def _check_pixels(width: int, height: int, what: str) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"{what} {width} x {height} pixels, more than the limit of {MAX_PIXELS:,}; make it smaller, or "
            f"if you trust it raise nstlib.image.MAX_PIXELS (and PIL.Image.MAX_IMAGE_PIXELS)"
        )


# A file or a PIL image -> decoded pixels.


def _decode(
    source: str | os.PathLike[str] | Image.Image, size: int | None
) -> tuple[Image.Image, tuple[float, float, float, float] | None, str]:
    """Decoded image, the box (left, top, right, bottom) of it that is the picture, its name in messages."""
    if isinstance(source, Image.Image):
        name = "the PIL image"
        _check_pixels(*source.size, f"{name} has")
        if 0 in source.size:
            raise ValueError(f"{name} is {source.width} x {source.height} pixels: there is nothing in it")
        _load_pixels(source, name)
        return source, None, name

    text = os.fspath(source)
    if not isinstance(text, str):
        raise TypeError(f"a path is text, not {type(text).__name__}; use os.fsdecode")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):  # two letters at least, so C:/ is a path
        name = f"{text!r}"
        file: BinaryIO = io.BytesIO(_fetch(text))
    else:
        path = expand_home(text)
        name = f"'{path}'"
        try:
            _check_path(path)
            file = path.open("rb")
        except PermissionError as error:
            raise PermissionError(
                f"{name} is there, or may be, and you have no permission to read it; ask its owner, or copy it"
            ) from error

    with file:
        image = _open(file, name)
        _check_pixels(*image.size, f"{name} has")
        if name not in _told and _moves(image):
            _told.add(name)  # once is enough of a file that a training draws a thousand times
            warnings.warn(f"{name} is an animation: its first frame is read", stacklevel=4)
        box = None
        if size is not None:
            # A large JPEG can be decoded at 1/2, 1/4 or 1/8 of its size. Twice the size asked for is kept,
            # so the antialiasing is still ours.
            drafted = image.draft(None, (2 * size, 2 * size))
            box = drafted[1] if drafted else None
        _load_pixels(image, name)
    return image, box, name


def _check_path(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, and load_image reads one picture; name a file in it")
    if path.is_file():
        return
    if path.is_symlink():
        raise FileNotFoundError(f"'{path}' is a link to '{path.readlink()}', and there is no such file")
    if path.exists():
        raise OSError(f"'{path}' is a device or a pipe, and load_image reads ordinary files")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no file '{path}', and no folder '{path.parent}'")
    names = sorted(entry.name for entry in path.parent.iterdir())
    lowered = {name.lower(): name for name in names}
    near = [lowered[name] for name in difflib.get_close_matches(path.name.lower(), lowered, n=3)]
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "no name there is close to it"
    raise FileNotFoundError(f"there is no file '{path.name}' in the folder '{path.parent.resolve()}'; {hint}")


def _open(file: BinaryIO, name: str) -> Image.Image:
    head = file.read(512)
    file.seek(0)
    if not head:
        raise OSError(f"{name} is empty (0 bytes), not a picture")
    Image.init()
    try:
        # Filters belong to the whole program: of two threads, one would put back what the other had set.
        with _opening, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's early warnings; MAX_PIXELS and the errors below decide
            return Image.open(file, formats=[form for form in READABLE if form in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{name} has more pixels than Pillow allows ({_reason(error)}); make it smaller, or if "
            f"you trust it raise PIL.Image.MAX_IMAGE_PIXELS and nstlib.image.MAX_PIXELS"
        ) from error
    except UnidentifiedImageError as error:
        raise OSError(
            f"{name} is not a picture that can be read: {describe_head(head, ADVICE)}; PNG, JPEG, WebP, TIFF and GIF work"
        ) from error
    except Exception as error:  # a damaged header can raise nearly anything
        raise OSError(f"{name} cannot be read, its header is damaged or cut short: {_reason(error)}") from error


def _moves(image: Image.Image) -> bool:
    """Whether it is an animation. Pages of a TIFF, and the small copies that cameras add, are not."""
    try:
        return image.format in ("GIF", "PNG", "WEBP", "AVIF") and bool(getattr(image, "is_animated", False))
    except Exception:  # the second frame of a GIF is looked for, and may be damaged; what is wanted is the first
        return False


def _load_pixels(image: Image.Image, name: str) -> None:
    try:
        image.load()
    except Exception as error:  # as above
        raise OSError(
            f"{name} cannot be decoded, it is damaged or cut short: {_reason(error)}; get a whole copy of it"
        ) from error


def _reason(error: object) -> str:
    """What another library's error says, to be quoted within a sentence."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":  # turned by Pillow while decoding
        return 1
    try:
        return image.getexif().get(0x0112, 1)
    except Exception:  # damaged metadata says nothing about the pixels
        return 1


# An http(s) address -> bytes.


def _fetch(url: str) -> bytes:
    if not re.match(r"https?://[^/?#]", url, re.IGNORECASE):
        raise ValueError(f"load_image opens http:// and https:// addresses, not {url!r}; give a file by its path")
    # Spaces and accents become %20, %C3%A9 ...; what is already an address stays as it is.
    address = urllib.parse.quote(url.partition("#")[0], safe="%/:=&~+!$,;'@()*[]?")
    # Only what is needed: no ftp: and no file:, not even after a redirection.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    opener.addheaders = [("User-Agent", USER_AGENT), ("Accept", "image/*,*/*;q=0.5")]

    def download() -> tuple[bytes, int | None]:
        with opener.open(address, timeout=URL_TIMEOUT) as response:
            return _receive(response)

    try:
        data, whole = _in_time(download)
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(
            f"{url!r} cannot be loaded: the server answered {error.code} ({_reason(error.reason)})"
        ) from error
    except urllib.error.URLError as error:
        kind = TimeoutError if isinstance(error.reason, TimeoutError) else OSError
        raise kind(f"{url!r} cannot be loaded: {_reason(error.reason)}; check the address and the network") from error
    except TimeoutError as error:
        raise TimeoutError(
            f"{url!r} cannot be loaded: nothing came for {URL_TIMEOUT:g} s or not all in {URL_DEADLINE:g} s; "
            f"try later or raise nstlib.image.URL_DEADLINE"
        ) from error
    except (http.client.HTTPException, ConnectionError, ValueError) as error:
        raise OSError(f"{url!r} cannot be loaded: {_reason(error)}; check it") from error
    if max(len(data), whole or 0) > URL_MAX_BYTES:
        raise ValueError(
            f"{url!r} holds more than the limit of {URL_MAX_BYTES / 1e6:g} MB; "
            f"find a smaller copy or raise nstlib.image.URL_MAX_BYTES"
        )
    if len(data) < (whole or 0):
        raise OSError(f"{url!r} broke off after {len(data):,} of {whole:,} bytes; try again")
    return data


def _in_time(download: Callable[[], tuple[bytes, int | None]]) -> tuple[bytes, int | None]:
    """What `download` gives, or TimeoutError: a server that sends its headers byte by byte outlasts any other limit."""
    answer: list[tuple[bytes, int | None] | Exception] = []

    def work() -> None:
        try:
            answer.append(download())
        except Exception as error:  # raised below, where the caller is
            answer.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(URL_DEADLINE)
    if not answer:
        raise TimeoutError
    if isinstance(answer[0], Exception):
        raise answer[0]
    return answer[0]


def _receive(response: http.client.HTTPResponse) -> tuple[bytes, int | None]:
    """The body, stopped once it is over the size limit, and the length that the server promised."""
    whole = response.length
    data = bytearray()
    deadline = time.monotonic() + URL_DEADLINE
    while max(len(data), whole or 0) <= URL_MAX_BYTES:
        block = response.read1(1 << 16)  # what has come by now, so a trickle cannot hold us past the deadline
        if not block:
            break
        data += block
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(data), whole


# Decoded pixels, arrays, tensors -> an 8-bit RGB image, or a float32 array (H, W, 1 | 3) where there is more
# precision than 8 bits.

Pixels = Image.Image | np.ndarray


def _from_pil(image: Image.Image, name: str) -> Pixels:
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        # 16 bits, but TIFF also stores 10 or 12 bits as "I;16", unscaled: tag 258 is BitsPerSample.
        bits = 16 if image.mode == "I" else getattr(image, "tag_v2", {}).get(258, (16,))[0]
        peak = 2**bits - 1
        if levels.min() < 0 or levels.max() > peak:
            raise ValueError(
                f"{name} holds levels from {levels.min()} to {levels.max()}, and 0 to {peak} can be read; "
                f"scale them to [0, 1] and pass the array"
            )
        grey = levels.astype(np.float32) / peak
        if "transparency" in image.info:  # this one level stands for "nothing here"
            grey[levels == image.info["transparency"]] = 1
        return _from_array(grey, name)
    if image.mode == "F":
        return _from_array(np.asarray(image), name)
    return _flatten(image, name)


def _flatten(image: Image.Image, name: str) -> Image.Image:
    """8-bit image of any mode -> mode RGB in sRGB, on white."""
    profile = image.info.get("icc_profile")
    alpha = None
    try:
        if image.mode in ("LA", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            alpha = image.getchannel("A")
            image = image.convert("RGB")
        elif image.mode in ("1", "P"):
            image = image.convert("RGB")
        if profile:
            image = _to_srgb(image, profile)
        image = image.convert("RGB")
    except ValueError as error:
        raise ValueError(f"{name} has the colour mode {image.mode} and cannot be made RGB: {_reason(error)}") from error
    if alpha is None:
        return image
    # out = alpha * image + (1 - alpha) * white
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=alpha)
    return white


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):  # a broken profile, or one for another kind of picture
        return image
    return image if converted is None else converted


def _from_tensor(tensor: Tensor) -> Pixels:
    shape = tuple(tensor.shape)
    if tensor.ndim == 4 and shape[0] == 1:
        tensor = tensor[0]
    if tensor.ndim != 3 or tensor.shape[0] not in (1, 3):
        hint = ""
        if tensor.ndim == 4 and shape[0] > 1:
            hint = f"; it is a batch of {shape[0]}, so take one: picture[:1]"
        elif tensor.ndim == 3 and shape[2] in (1, 3, 4):
            hint = "; its channels seem to come last, so use tensor.permute(2, 0, 1)"
        elif tensor.ndim == 2:
            hint = "; for a grey picture use tensor[None]"
        raise ValueError(f"load_image reads tensors of shape (3, H, W) or (1, 3, H, W), not {shape}{hint}")
    tensor = tensor.detach().cpu().permute(1, 2, 0)  # (H, W, C)
    if tensor.is_floating_point():
        tensor = tensor.float()
    elif tensor.dtype not in (torch.uint8, torch.bool):
        raise TypeError(
            f"load_image reads tensors of uint8 in 0..255 or floats in [0, 1], not {tensor.dtype}; "
            f"use tensor.to(torch.uint8) or tensor / 255"
        )
    return _from_array(tensor.numpy(), "the tensor")


def _from_array(array: np.ndarray, name: str) -> Pixels:
    array = np.asarray(array)  # of a masked array all numbers, NaN behind the mask too
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or 0 in array.shape:
        hint = ""
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = "; its channels seem to come first, so use array.transpose(1, 2, 0)"
        raise ValueError(f"{name} must have the shape (H, W) or (H, W, 1 | 3 | 4), not {array.shape}{hint}")
    _check_pixels(array.shape[1], array.shape[0], f"{name} has")

    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.dtype == np.uint8:
        array = array[:, :, 0] if array.shape[2] == 1 else array
        return _flatten(Image.fromarray(np.ascontiguousarray(array)), name)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array = array.astype(np.float32) / 65535
    elif array.dtype.kind == "f":
        # In the array's own precision: what float32 cannot hold is out of range anyway.
        low, high = float(array.min()), float(array.max())
        _check_range(low, high, name)
        array = np.clip(array, 0, 1).astype(np.float32)
    else:
        raise TypeError(
            f"{name} must hold uint8 in 0..255, uint16 in 0..65535, floats in [0, 1] or booleans, "
            f"not {array.dtype}; use array.astype(np.uint8) or array / 255"
        )
    if array.shape[2] == 4:
        # out = alpha * colour + (1 - alpha) * white
        alpha = array[:, :, 3:]
        array = alpha * array[:, :, :3] + (1 - alpha)
    return array


def _check_range(low: float, high: float, name: str) -> None:
    if math.isnan(low) or math.isinf(low) or math.isinf(high):
        raise ValueError(f"{name} holds NaN or infinity; a picture holds numbers in [0, 1]")
    if low < -RANGE_TOLERANCE or high > 1 + RANGE_TOLERANCE:
        hint = "divide it by 255" if low >= 0 and 1.5 < high <= 255 else "scale it or clamp it"
        raise ValueError(f"{name} holds values from {low:.4g} to {high:.4g} and must be in [0, 1]; {hint}")


def _resize(pixels: Pixels, size: int, box: tuple[float, float, float, float] | None) -> Pixels:
    """Lanczos resampling, widened when shrinking so that nothing aliases."""
    if box is not None:
        width, height = box[2], box[3]
    elif isinstance(pixels, Image.Image):
        width, height = pixels.size
    else:
        height, width = pixels.shape[:2]
    # The short side is `size`; the long side is rounded half up.
    long = math.floor(size * max(width, height) / min(width, height) + 0.5)
    target = (size, long) if width <= height else (long, size)
    _check_pixels(*target, f"with size={size} the picture would have")
    if isinstance(pixels, Image.Image):
        return pixels.resize(target, Image.Resampling.LANCZOS, box=box)
    # Pillow resamples one float channel at a time. Lanczos overshoots at edges, hence the clip.
    channels = [Image.fromarray(np.ascontiguousarray(pixels[:, :, c])) for c in range(pixels.shape[2])]
    resized = [np.asarray(channel.resize(target, Image.Resampling.LANCZOS)) for channel in channels]
    return np.clip(np.stack(resized, axis=2), 0, 1)


# --------------------------------------------------------------------------------------------------- check


def check_mask(mask: Tensor, styles: int, content: Tensor) -> None:
    """Check that a mask says for every style where in the content it applies.

    Args:
        mask: What should be `(K, H, W)`.
        styles: K.
        content: `(B, 3, H, W)`.

    Raises:
        ValueError: Its shape is another.
        TypeError: It is no tensor.
    """
    if not isinstance(mask, Tensor):
        raise TypeError(f"mask must be a tensor (K, H, W), not {type(mask).__name__}; torch.as_tensor(mask) makes one")
    if mask.ndim != 3 or len(mask) != styles or mask.shape[1:] != content.shape[2:]:
        raise ValueError(
            f"mask must be (K, H, W) = ({styles}, {content.shape[2]}, {content.shape[3]}), one region per style, "
            f"got {tuple(mask.shape)}"
        )


def check_picture(picture: Tensor, name: str = "picture", *, single: bool = False) -> Tensor:
    """Check that a tensor is a batch of pictures, and hand it back unchanged.

    Args:
        picture: What should be `(B, 3, H, W)`, floating point, in [0, 1] (0.001 beyond is let through).
        name: What to call it in the error message.
        single: Only a batch of one is good.

    Returns:
        `picture` itself.

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
    if picture.ndim != 4 or shape[1] != 3 or 0 in shape:
        hint = ""
        if picture.ndim == 3 and shape[0] == 3:
            hint = f"; add the batch with {name}[None]"
        elif picture.ndim == 4 and shape[1] == 1:
            hint = f"; make grey RGB with {name}.expand(-1, 3, -1, -1)"
        elif picture.ndim in (3, 4) and shape[-1] == 3:
            hint = "; its channels come last, and load_image reads arrays of that kind"
        raise ValueError(f"{name} must have the shape (B, 3, H, W), not {shape}{hint}")
    if not picture.is_floating_point():
        raise TypeError(f"{name} must hold floats in [0, 1], not {picture.dtype}; use {name} / 255 for uint8")
    if single and len(picture) != 1:
        raise ValueError(f"{name} must be one picture (1, 3, H, W), not a batch of {len(picture)}; take {name}[:1]")
    if not is_exporting():  # a graph would keep the values it was recorded with
        low, high = torch.stack(torch.aminmax(picture.detach())).tolist()
        _check_range(low, high, name)
    return picture


# ---------------------------------------------------------------------------------------------------- save


def save_image(picture: Tensor, path: str | os.PathLike[str], *, quality: int = 95) -> Path:
    """Write a picture to a PNG, JPEG or WebP file.

    The file is written beside its place and then moved there, so there is always the old file or the new one,
    whole. If anything fails, the old file stays as it was. Missing folders are made.

    Args:
        picture: `(1, 3, H, W)` or `(3, H, W)`, floating point. Values outside [0, 1] are clamped.
        path: Where to. The suffix chooses the format: `.png`, `.jpg`, `.jpeg` or `.webp`.
        quality: 1 to 100, for JPEG and WebP. PNG loses nothing beyond the rounding to 8 bits.

    Returns:
        The path.

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
    quality = check_whole("quality", quality, 1, 100)
    image = Image.fromarray(_to_bytes(picture))

    encoded = io.BytesIO()
    try:
        if form == "JPEG":  # subsampling=0: full colour resolution, since painted colours have sharp edges
            image.save(encoded, form, quality=quality, subsampling=0, optimize=True)
        else:
            image.save(encoded, form, quality=quality)
    except (OSError, ValueError) as error:
        where = f"{image.width} x {image.height} pixels"
        raise OSError(f"'{path}' cannot be written: {form} fails at {where} ({_reason(error)})") from error

    return write_atomically(path, encoded.getvalue())


def check_target(path: str | os.PathLike[str]) -> tuple[Path, str]:
    """Check that a picture can have this path, before it is painted; the path, and Pillow's name of the format."""
    path = expand_home(path)
    form = WRITABLE.get(path.suffix.lower())
    if path.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, and one picture is to be written; add a file name")
    if form is None:
        found = f"{path.suffix!r}" if path.suffix else "no suffix"
        raise ValueError(f"save_image writes {', '.join(WRITABLE)}, and '{path}' has {found}")
    return path, form


def _to_bytes(picture: Tensor) -> np.ndarray:
    """(1, 3, H, W) or (3, H, W) floats -> (H, W, 3) uint8."""
    if not isinstance(picture, Tensor):
        raise TypeError(f"save_image writes a tensor of shape (1, 3, H, W), not {type(picture).__name__}")
    shape = tuple(picture.shape)
    if picture.ndim == 4 and shape[0] == 1:
        picture = picture[0]
    if picture.ndim != 3 or picture.shape[0] != 3 or 0 in shape:
        hint = "; save the pictures of a batch one by one" if picture.ndim == 4 and shape[0] > 1 else ""
        raise ValueError(f"save_image writes pictures of shape (1, 3, H, W) or (3, H, W), not {shape}{hint}")
    if not picture.is_floating_point():
        raise TypeError(f"save_image writes floats in [0, 1], not {picture.dtype}; use picture / 255")
    picture = picture.detach().float().cpu()
    if not bool(torch.isfinite(picture).all()):
        raise ValueError("the picture holds NaN or infinity and was not saved")
    # v = round(255 * clamp(x, 0, 1))
    return (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


# ---------------------------------------------------------------------------------------------------- show


def show(
    *pictures: Source, titles: Sequence[str] | None = None, columns: int | None = None, height: float = 3.0
) -> None:
    """Draw pictures side by side in a notebook.

    The figure's background is transparent, so no white card glares on a dark page, and the titles are of a
    grey that reads equally well on white and on nearly black (contrast 4.2 to 1 on both).

    Args:
        pictures: Tensors `(B, 3, H, W)` or `(3, H, W)`, with batches drawn picture by picture, and grey maps
            `(B, 1, H, W)`, `(1, H, W)` or `(H, W)`; or anything else that `load_image` reads. Colours are
            clamped to [0, 1]. A grey map with values outside [0, 1] is stretched to its own range.
        titles: One for every picture drawn.
        columns: Pictures in a row. By default at most four, in rows of even length.
        height: Height of a picture in inches.

    Raises:
        ValueError: Nothing to draw, a wrong shape, or another number of titles than pictures.

    Example:
        >>> import matplotlib
        >>> matplotlib.use("Agg")  # no window, for this example
        >>> import warnings; warnings.simplefilter("ignore")
        >>> show(torch.rand(2, 3, 32, 48), torch.rand(1, 32, 32), titles=["one", "two", "a map"])
    """
    import matplotlib.pyplot as plt

    frames = [frame for picture in pictures for frame in _frames(picture)]
    if not frames:
        raise ValueError("show needs at least one picture")
    if titles is not None:
        titles = [titles] if isinstance(titles, str) else ["" if title is None else str(title) for title in titles]
    if titles is not None and len(titles) != len(frames):
        raise ValueError(f"show got {len(titles)} titles for {len(frames)} pictures; give one for each")
    if height <= 0:
        raise ValueError(f"height is in inches and must be above 0, not {height}")
    if columns is None:
        columns = math.ceil(len(frames) / math.ceil(len(frames) / 4))
    elif columns < 1:
        raise ValueError(f"columns must be at least 1, not {columns}")
    columns = min(columns, len(frames))
    rows = math.ceil(len(frames) / columns)

    # All lengths in inches. A column is as wide as its widest picture.
    gap = 0.08
    head = 0.1 + 0.2 * max(title.count("\n") + 1 for title in titles) if titles else 0.0
    widths = [height * frame.shape[1] / frame.shape[0] for frame in frames]
    column_widths = [max(widths[c::columns]) for c in range(columns)]
    total = (sum(column_widths) + gap * (columns - 1), rows * (height + head) + gap * (rows - 1))
    figure = plt.figure(figsize=total, facecolor="none")
    for i, frame in enumerate(frames):
        row, column = divmod(i, columns)
        left = sum(column_widths[:column]) + gap * column + (column_widths[column] - widths[i]) / 2
        bottom = total[1] - (row + 1) * (height + head) - gap * row
        axes = figure.add_axes((left / total[0], bottom / total[1], widths[i] / total[0], height / total[1]))
        axes.set_axis_off()
        if frame.shape[2] == 3:
            axes.imshow(frame)
        else:
            low, high = frame.min(), frame.max()
            low, high = (0, 1) if low >= 0 and high <= 1 else (low, high)
            axes.imshow(frame[:, :, 0], cmap="gray", vmin=low, vmax=high)
        if titles is not None:
            axes.set_title(titles[i], color="#7b7b7b", fontsize=11, pad=5)
    plt.show()


def _frames(picture: Source) -> list[np.ndarray]:
    """A picture, a batch or a grey map -> arrays (H, W, 3) in [0, 1] or (H, W, 1)."""
    if not isinstance(picture, Tensor):
        picture = load_image(picture, size=None)
    shape = tuple(picture.shape)
    if picture.ndim == 2:
        picture = picture[None]
    if picture.ndim == 3:
        picture = picture[None]
    if picture.ndim != 4 or picture.shape[1] not in (1, 3) or 0 in shape:
        raise ValueError(f"show draws (B, 3, H, W), (3, H, W), (B, 1, H, W), (1, H, W), (H, W), not {shape}")
    if picture.dtype == torch.uint8:
        picture = picture / 255
    picture = picture.detach().float().cpu()
    if picture.shape[1] == 3:
        picture = picture.clamp(0, 1)
    return list(picture.permute(0, 2, 3, 1).numpy())


# -------------------------------------------------------------------------------------------------- colour


def match_color(picture: Tensor, reference: Tensor, *, method: str = "luminance") -> Tensor:
    """Give `picture` the colours of `reference`.

    Two ways to keep a photograph's colours in style transfer (Gatys et al. 2016, arXiv:1606.05897). After
    stylizing, `match_color(result, content)` keeps the brush strokes, which are light and dark, and puts the
    photograph's colours back. Before, `match_color(style, content, method="coral")` repaints the style
    picture in the photograph's colours.

    Args:
        picture: `(B, 3, H, W)` in [0, 1].
        reference: `(B, 3, H, W)` or `(1, 3, H, W)` in [0, 1]; for `"luminance"` of the size of `picture`.
        method: `"luminance"` keeps each pixel's luminance and takes the chroma of the same pixel of
            `reference`. `"coral"` maps all colours by one affine map, so that their mean and covariance
            become those of `reference`.

    Returns:
        `(B, 3, H, W)`, clamped to [0, 1], dtype and device of `picture`.

    Raises:
        ValueError: Unknown method, or pictures of the wrong shape or range.
        TypeError: A picture is not a tensor of floats.

    Example:
        >>> grey, red = torch.full((1, 3, 2, 2), 0.25), torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1)
        >>> match_color(grey, red.expand(1, 3, 2, 2), method="coral")[0, :, 0, 0]
        tensor([0.9000, 0.1000, 0.1000])
    """
    methods = {"luminance": _match_luminance, "coral": _match_coral}
    if method not in methods:
        near = difflib.get_close_matches(str(method), methods, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"match_color has the methods 'luminance' and 'coral', not {method!r}{hint}")
    check_picture(picture, "picture")
    check_picture(reference, "reference")
    if reference.shape[0] not in (1, picture.shape[0]):
        raise ValueError(f"reference must hold 1 or {picture.shape[0]} pictures, not {reference.shape[0]}")
    return methods[method](picture, reference.to(picture)).clamp(0, 1)


def _match_luminance(picture: Tensor, reference: Tensor) -> Tensor:
    if picture.shape[2:] != reference.shape[2:]:
        raise ValueError(
            f"method 'luminance' goes pixel by pixel, but picture is {tuple(picture.shape[2:])} and "
            f"reference {tuple(reference.shape[2:])} in size; resize one, or use method='coral'"
        )
    # In YIQ, RGB = Y (1, 1, 1) + M (I, Q), where Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601). Taking Y
    # from the picture p and (I, Q) from the reference r is therefore
    #   out = Y_p (1, 1, 1) + M (I_r, Q_r) = r + (Y_p - Y_r) (1, 1, 1)
    weights = picture.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return reference + (weights * (picture - reference)).sum(dim=1, keepdim=True)


def _match_coral(picture: Tensor, reference: Tensor) -> Tensor:
    # On the CPU in float64: eigenvalues of nearly grey pictures are small, and MPS knows no float64.
    p, r = (x.flatten(2).cpu().double() for x in (picture, reference))  # (B, 3, N)
    mean_p, mean_r = p.mean(dim=2, keepdim=True), r.mean(dim=2, keepdim=True)  # (B, 3, 1)
    # A = C_r^(1/2) C_p^(-1/2)
    transform = _power(_covariance(r - mean_r), 0.5) @ _power(_covariance(p - mean_p), -0.5)  # (B, 3, 3)
    # out = A (p - mean_p) + mean_r
    return (transform @ (p - mean_p) + mean_r).to(picture).view_as(picture)


def _covariance(centred: Tensor) -> Tensor:
    # C = X X^T / N
    return centred @ centred.transpose(1, 2) / centred.shape[2]  # (B, 3, 3)


def _power(covariance: Tensor, exponent: float) -> Tensor:
    """Symmetric power C^a = U diag(w^a) U^T of `(B, 3, 3)`."""
    eigenvalues, vectors = torch.linalg.eigh(covariance)
    if exponent < 0:
        # Variance below that of rounding to 8 bits, (1/255)^2 / 12, is noise: it is not stretched as if it
        # were colour, and a picture of one colour gives no NaN.
        eigenvalues = eigenvalues.clamp(min=1 / (12 * 255**2))
    eigenvalues = eigenvalues.clamp(min=0)  # rounding can leave -1e-18
    return (vectors * eigenvalues.pow(exponent)[:, None, :]) @ vectors.transpose(1, 2)
