"""Pictures in and out, over real files that the tests write themselves."""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, ImageFile
from torch import Tensor

from nstlib import load_image, save_image, to_numpy, to_pil
from nstlib.utils.checks import check_picture

# Four corners that no rotation or reflection maps to each other, on 12 x 8 pixels (wide).
RED, GREEN, BLUE, YELLOW = (230, 20, 20), (20, 200, 40), (30, 40, 220), (240, 220, 30)


def corners(width: int = 12, height: int = 8) -> np.ndarray:
    """(H, W, 3) uint8: red, green / blue, yellow quarters."""
    array = np.empty((height, width, 3), dtype=np.uint8)
    array[: height // 2, : width // 2], array[: height // 2, width // 2 :] = RED, GREEN
    array[height // 2 :, : width // 2], array[height // 2 :, width // 2 :] = BLUE, YELLOW
    return array


def noise(width: int = 61, height: int = 47, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def smooth(width: int = 64, height: int = 48, scale: float = 1) -> np.ndarray:
    """(H, W, 3) uint8, gentle waves of three colours, which JPEG keeps well."""
    y, x = np.mgrid[:height, :width] / scale
    waves = [np.sin(x / 9 + c) * np.cos(y / 7 - c) for c in range(3)]
    return np.round(127.5 + 100 * np.stack(waves, axis=2)).astype(np.uint8)


def as_tensor(array: np.ndarray) -> Tensor:
    """The definition of a picture: (1, 3, H, W) float32, v / 255."""
    return torch.from_numpy(array.copy()).permute(2, 0, 1)[None].float() / 255


def levels(picture: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [0, 1] -> (H, W, 3) in 0..255, unrounded."""
    return (picture[0].permute(1, 2, 0) * 255).numpy()


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG written by hand, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def one_sentence(message: str) -> bool:
    return "\n" not in message and 20 < len(message) < 500


# ------------------------------------------------------------------------------------------ kinds of files


def test_the_result_is_a_picture(tmp_path: Path) -> None:
    array = noise()
    picture = load_image(write(tmp_path / "a.png", encode(Image.fromarray(array), "PNG")), size=None)
    assert picture.shape == (1, 3, 47, 61)
    assert picture.dtype == torch.float32
    assert picture.device.type == "cpu"
    assert picture.is_contiguous()
    assert torch.equal(picture, as_tensor(array))


LOSSLESS: dict[str, tuple[str, Callable[[Image.Image], Image.Image], dict[str, Any]]] = {
    "png": ("PNG", lambda image: image, {}),
    "png palette": ("PNG", lambda image: image.quantize(4), {}),
    "png 2 bits": ("PNG", lambda image: image.quantize(4), {"bits": 2}),
    "bmp": ("BMP", lambda image: image, {}),
    "bmp palette": ("BMP", lambda image: image.quantize(4), {}),
    "gif": ("GIF", lambda image: image.quantize(4), {}),
    "webp": ("WEBP", lambda image: image, {"lossless": True}),
    "tiff": ("TIFF", lambda image: image, {}),
    "tiff deflate": ("TIFF", lambda image: image, {"compression": "tiff_deflate"}),
    "tiff lzw": ("TIFF", lambda image: image, {"compression": "tiff_lzw"}),
    "ppm": ("PPM", lambda image: image, {}),
    "ico": ("ICO", lambda image: image, {"sizes": [(12, 8)]}),
}


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_files_are_exact(kind: str, tmp_path: Path) -> None:
    form, change, options = LOSSLESS[kind]
    path = write(tmp_path / "picture.bin", encode(change(Image.fromarray(corners())), form, **options))
    assert torch.equal(load_image(path, size=None), as_tensor(corners()))


LOSSY: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    "jpeg progressive": ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
    "jpeg 4:2:0": ("JPEG", {"quality": 95, "subsampling": 2}),
    "webp": ("WEBP", {"quality": 95}),
    "jpeg 2000": ("JPEG2000", {}),
}


@pytest.mark.parametrize("kind", LOSSY)
def test_lossy_files_are_close(kind: str, tmp_path: Path) -> None:
    form, options = LOSSY[kind]
    path = write(tmp_path / "picture", encode(Image.fromarray(smooth()), form, **options))
    assert np.abs(levels(load_image(path, size=None)) - smooth()).mean() < 2.5


def test_grey_and_bits(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)
    grey = torch.from_numpy(ramp).float().div(255).expand(1, 3, 8, 8)
    assert torch.equal(load_image(write(tmp_path / "g.png", encode(Image.fromarray(ramp), "PNG")), None), grey)
    jpeg = load_image(write(tmp_path / "g.jpg", encode(Image.fromarray(ramp), "JPEG", quality=98)), None)
    assert (jpeg - grey).abs().max() < 4 / 255
    bits = ramp > 99
    picture = load_image(write(tmp_path / "b.png", encode(Image.fromarray(bits), "PNG")), None)
    assert torch.equal(picture, torch.from_numpy(bits).float().expand(1, 3, 8, 8))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_precision(form: str, tmp_path: Path) -> None:
    values = np.array([[0, 1, 255, 256, 12345, 32768, 65534, 65535]], dtype=np.uint16)
    picture = load_image(write(tmp_path / "deep", encode(Image.fromarray(values), form)), None)
    expected = torch.from_numpy(values.astype(np.float64) / 65535).float()
    torch.testing.assert_close(picture[0, 0], expected, rtol=0, atol=1e-7)
    assert torch.equal(picture[:, 0], picture[:, 2])


def test_16_bit_grey_png_with_a_transparent_level(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">3H", 1000, 2000, 3000)
    path = write(tmp_path / "t.png", png(3, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 2000))))
    found = load_image(path, None)[0, 1, 0] * 65535
    torch.testing.assert_close(found, torch.tensor([1000.0, 65535.0, 3000.0]), rtol=0, atol=0.01)


def test_16_bit_colour_png(tmp_path: Path) -> None:
    rows = b"\0" + struct.pack(">6H", 65535, 0, 0, 0, 32768, 65535)
    found = levels(load_image(write(tmp_path / "rgb16.png", png(2, 1, 16, 2, rows)), None))
    assert np.abs(found - [[[255, 0, 0], [0, 128, 255]]]).max() <= 1


def test_12_bit_grey_tiff(tmp_path: Path) -> None:
    packed = bytes([0x00, 0x07, 0xFF, 0xFF, 0xF0, 0x00])  # 0, 2047, 4095, 0: two values in three bytes
    tags = [(256, 4, 4), (257, 4, 1), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    tags += [(278, 4, 1), (279, 4, len(packed))]
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    data = b"II*\0" + struct.pack("<I", 8 + len(packed)) + packed + directory + struct.pack("<I", 0)
    found = load_image(write(tmp_path / "deep.tif", data), None)[0, 0, 0]
    torch.testing.assert_close(found, torch.tensor([0.0, 2047 / 4095, 1.0, 0.0]))


def test_float_tiff(tmp_path: Path) -> None:
    values = np.array([[0.0, 0.25, 1 / 3, 1.0]], dtype=np.float32)
    path = write(tmp_path / "f.tif", encode(Image.fromarray(values), "TIFF"))
    assert torch.equal(load_image(path, None)[0, 2], torch.from_numpy(values))
    path = write(tmp_path / "f.tif", encode(Image.fromarray(values * 200), "TIFF"))
    with pytest.raises(ValueError, match=r"f\.tif' holds values from 0 to 200 .* divide it by 255"):
        load_image(path)


def test_32_bit_integers(tmp_path: Path) -> None:
    values = np.array([[0, 4660, 65535]], dtype=np.int32)
    path = write(tmp_path / "i.tif", encode(Image.fromarray(values), "TIFF"))
    torch.testing.assert_close(load_image(path, None)[0, 0] * 65535, torch.tensor([[0.0, 4660.0, 65535.0]]))
    path = write(tmp_path / "i.tif", encode(Image.fromarray(values * 2), "TIFF"))
    with pytest.raises(ValueError, match=r"i\.tif' holds values from 0 to 2 and must be in"):
        load_image(path)


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((1, 3, 4), dtype=np.uint8)
    rgba[0] = [(200, 100, 0, 255), (200, 100, 0, 51), (200, 100, 0, 0)]
    expected = np.array([[(200, 100, 0), (244, 224, 204), (255, 255, 255)]])  # 0.2 colour + 0.8 * 255
    for form in ("PNG", "TIFF"):
        path = write(tmp_path / "rgba", encode(Image.fromarray(rgba), form))
        assert np.abs(levels(load_image(path, None)) - expected).max() < 0.01
    # The same numbers as floats: no rounding on the way.
    exact = load_image(rgba.astype(np.float64) / 255, None)
    torch.testing.assert_close(exact, as_tensor(expected.astype(np.uint8)), rtol=0, atol=1e-6)

    la = np.array([[(100, 255), (100, 51), (100, 0)]], dtype=np.uint8)
    path = write(tmp_path / "la.png", encode(Image.merge("LA", [Image.fromarray(la[..., i]) for i in (0, 1)]), "PNG"))
    assert np.abs(levels(load_image(path, None))[0] - np.array([[100], [224], [255]])).max() < 0.01


TRANSPARENT: dict[str, Image.Image] = {
    "RGBA": Image.fromarray(np.array([[(200, 100, 0, 255), (200, 100, 0, 51)]], dtype=np.uint8)),
    "LA": Image.merge("LA", [Image.new("L", (2, 1), 100), Image.fromarray(np.array([[255, 51]], dtype=np.uint8))]),
}


@pytest.mark.parametrize("mode", TRANSPARENT)
@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_transparency_is_kept_when_asked_for(mode: str, form: str, tmp_path: Path) -> None:
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    path = write(tmp_path / "a", encode(TRANSPARENT[mode], form, **options))
    picture = load_image(path, None, alpha=True)
    assert picture.shape == (1, 4, 1, 2)
    colour = (200, 100, 0) if mode == "RGBA" else (100, 100, 100)
    assert np.array_equal(levels(picture).round()[0], [(*colour, 255), (*colour, 51)])
    assert load_image(path, None).shape == (1, 3, 1, 2)
    assert load_image(np.asarray(TRANSPARENT["RGBA"]), None, alpha=True).shape == (1, 4, 1, 2)
    assert torch.equal(load_image(picture, None, alpha=True), picture)  # a tensor with opacity is a source too
    assert torch.equal(load_image(picture, None), load_image(path, None))


def test_pictures_without_transparency_have_no_opacity(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", encode(Image.fromarray(corners()), "PNG"))
    for source in (path, corners(), corners() / 255, as_tensor(corners())):
        assert torch.equal(load_image(source, None, alpha=True), as_tensor(corners()))


def test_a_transparent_colour_is_opacity(tmp_path: Path) -> None:
    path = write(tmp_path / "c.png", encode(Image.fromarray(corners()), "PNG", transparency=BLUE))
    picture = levels(load_image(path, None, alpha=True)).round()
    assert picture[0, 0].tolist() == [*RED, 255]
    assert picture[-1, 0, 3] == 0
    rows = b"\0" + struct.pack(">3H", 1000, 2000, 3000)
    path = write(tmp_path / "deep.png", png(3, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 2000))))
    assert load_image(path, None, alpha=True)[0, 3].tolist() == [[1, 0, 1]]


@pytest.mark.parametrize("size", [8, 100])
@pytest.mark.parametrize("kind", ["bytes", "floats"])
def test_colours_of_invisible_pixels_do_not_bleed_in(kind: str, size: int) -> None:
    rgba = np.zeros((32, 32, 4), dtype=np.uint8)
    rgba[:, :15], rgba[:, 15:] = (*RED, 255), (*GREEN, 0)
    picture = load_image(rgba if kind == "bytes" else rgba / 255, size, alpha=True)
    colours, opacity = levels(picture)[..., :3], levels(picture)[..., 3]
    assert ((opacity > 40) & (opacity < 215)).any()  # the edge is soft
    assert np.abs(colours[opacity > 40] - RED).max() < 6
    white = levels(load_image(rgba if kind == "bytes" else rgba / 255, size))
    assert (white[..., 2] >= white[..., 1] - 6).all()  # between red and white there is no green


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_palette_with_transparency(form: str, tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], dtype=np.uint8), mode=None)
    image = image.convert("P")
    image.putpalette([*RED, *GREEN, *BLUE])
    path = write(tmp_path / "p", encode(image, form, transparency=1))
    assert np.array_equal(levels(load_image(path, None)).round()[0], [RED, (255, 255, 255), BLUE])


def test_palette_with_half_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], dtype=np.uint8)).convert("P")
    image.putpalette([200, 100, 0, 200, 100, 0])
    path = write(tmp_path / "p.png", encode(image, "PNG", transparency=bytes([255, 51])))
    assert np.array_equal(levels(load_image(path, None)).round()[0], [(200, 100, 0), (244, 224, 204)])


def test_rgb_and_grey_png_with_a_transparent_colour(tmp_path: Path) -> None:
    path = write(tmp_path / "c.png", encode(Image.fromarray(corners()), "PNG", transparency=BLUE))
    picture = levels(load_image(path, None)).round()
    assert np.array_equal(picture[-1, 0], (255, 255, 255))
    assert np.array_equal(picture[0, 0], RED)
    grey = Image.fromarray(np.array([[10, 20]], dtype=np.uint8))
    picture = levels(load_image(write(tmp_path / "g.png", encode(grey, "PNG", transparency=10)), None)).round()
    assert np.array_equal(picture[0], [(255, 255, 255), (20, 20, 20)])


def test_cmyk_jpeg(tmp_path: Path) -> None:
    # Pillow writes CMYK JPEGs inverted, as Adobe does.
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))  # cyan ink only
    data = encode(image, "JPEG", quality=98)
    assert b"Adobe" in data
    path = write(tmp_path / "c.jpg", data)
    assert np.abs(levels(load_image(path, None)) - (0, 255, 255)).max() <= 2
    path = write(tmp_path / "c.tif", encode(image, "TIFF"))
    assert np.array_equal(levels(load_image(path, None))[3, 3], (0, 255, 255))


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (10, 6), colour) for colour in (RED, GREEN, BLUE)]
    for form in ("GIF", "WEBP", "PNG"):
        options = {"lossless": True} if form == "WEBP" else {}
        data = encode(frames[0], form, save_all=True, append_images=frames[1:], duration=50, **options)
        path = write(tmp_path / f"{form} moving", data)
        assert Image.open(path).n_frames == 3  # type: ignore[attr-defined]
        with pytest.warns(UserWarning, match="moving' is an animation: its first frame is read"):
            load_image(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture = load_image(path, None)
        assert np.array_equal(levels(picture).round()[0, 0], RED), form


def test_one_pixel(tmp_path: Path) -> None:
    path = write(tmp_path / "dot.png", encode(Image.new("RGB", (1, 1), GREEN), "PNG"))
    assert np.array_equal(levels(load_image(path, None)).round(), [[GREEN]])
    picture = load_image(path, 5)
    assert picture.shape == (1, 3, 5, 5)
    assert np.array_equal(levels(picture).round()[4, 4], GREEN)


# Where the pixel in the top left corner of the stored picture belongs when shown (EXIF 2.32, tag 274).
ORIENTATIONS = {
    1: [RED, GREEN, BLUE, YELLOW],
    2: [GREEN, RED, YELLOW, BLUE],
    3: [YELLOW, BLUE, GREEN, RED],
    4: [BLUE, YELLOW, RED, GREEN],
    5: [RED, BLUE, GREEN, YELLOW],
    6: [BLUE, RED, YELLOW, GREEN],
    7: [YELLOW, GREEN, BLUE, RED],
    8: [GREEN, YELLOW, RED, BLUE],
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("size", [None, 16])
def test_exif_orientation(orientation: int, form: str, size: int | None, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    # Pillow's writers ignore the options of other formats.
    options = {"lossless": True, "quality": 98, "subsampling": 0} if form in ("WEBP", "JPEG") else {}
    data = encode(Image.fromarray(corners(96, 64)), form, exif=exif, **options)
    picture = levels(load_image(write(tmp_path / "turned", data), size))
    short, long = (64, 96) if size is None else (16, 24)
    assert picture.shape == ((short, long, 3) if orientation < 5 else (long, short, 3))
    # two pixels in from the corners, where resampling does not ring
    found = [picture[y, x] for y in (2, -3) for x in (2, -3)]
    assert np.abs(np.array(found) - ORIENTATIONS[orientation]).max() < 12


def test_damaged_or_senseless_exif_does_not_matter(tmp_path: Path) -> None:
    image = Image.fromarray(corners())
    senseless = Image.Exif()
    senseless[0x0112] = 99
    for exif in (b"Exif\0\0garbage, not a TIFF header", b"Exif\0\0II*\0\xff\xff\xff\xff", senseless):
        path = write(tmp_path / "e.jpg", encode(image, "JPEG", exif=exif, quality=98, subsampling=0))
        assert np.abs(levels(load_image(path, None))[0, 0] - RED).max() < 12


def swapped_profile() -> bytes:
    """sRGB with the red and the green primary's tags exchanged: an obvious, checkable profile."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", data[128:132])[0]
    places = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, green = places[b"rXYZ"], places[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data).replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))


def test_colour_profiles(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (250, 10, 10))
    path = write(tmp_path / "p.png", encode(image, "PNG", icc_profile=swapped_profile()))
    assert np.abs(levels(load_image(path, None))[0, 0] - (10, 250, 10)).max() <= 2
    # A palette and transparency go with it.
    path = write(tmp_path / "p.png", encode(image.quantize(2), "PNG", icc_profile=swapped_profile()))
    assert np.abs(levels(load_image(path, None))[0, 0] - (10, 250, 10)).max() <= 2
    image.putalpha(0)
    path = write(tmp_path / "p.png", encode(image, "PNG", icc_profile=swapped_profile()))
    assert np.array_equal(levels(load_image(path, None))[0, 0], (255, 255, 255))


def test_srgb_and_unusable_profiles_change_nothing(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # not for an RGB picture
    for profile in (srgb, lab, b"broken"):
        path = write(tmp_path / "p.png", encode(Image.fromarray(noise()), "PNG", icc_profile=profile))
        assert torch.equal(load_image(path, None), as_tensor(noise()))


def test_paths_of_every_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a picture, é.png", encode(Image.fromarray(corners()), "PNG"))
    link = tmp_path / "link.png"
    link.symlink_to(path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for source in (path, str(path), link, "link.png", "~/link.png"):
        assert torch.equal(load_image(source, None), as_tensor(corners())), source


# -------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("width", "height", "size", "shape"),
    [
        (64, 48, 48, (48, 64)),
        (64, 48, 24, (24, 32)),
        (48, 64, 24, (32, 24)),
        (50, 50, 7, (7, 7)),
        (101, 100, 50, (50, 51)),  # 50.5 rounds up
        (3, 1000, 1, (333, 1)),
        (20, 10, 100, (100, 200)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "uint8", "float"])
def test_size_is_the_short_side(
    width: int, height: int, size: int, shape: tuple[int, int], kind: str, tmp_path: Path
) -> None:
    array = smooth(width, height)
    sources: dict[str, Any] = {"uint8": array, "float": array / 255}
    source = sources.get(kind)
    if source is None:
        source = write(tmp_path / "s", encode(Image.fromarray(array), kind))
    assert load_image(source, size).shape == (1, 3, *shape)


@pytest.mark.parametrize(("scale", "size"), [(4, 40), (1, 200)])
def test_large_jpeg_is_decoded_small_and_looks_the_same(scale: float, size: int, tmp_path: Path) -> None:
    array = smooth(1003, 751, scale)
    path = write(tmp_path / "large.jpg", encode(Image.fromarray(array), "JPEG", quality=95, subsampling=0))
    picture, reference = load_image(path, size), load_image(array, size)
    assert picture.shape == reference.shape == (1, 3, size, round(size * 1003 / 751))
    assert (picture - reference).abs().mean() < 0.8 / 255
    with Image.open(path) as image:  # what makes it cheap: Pillow was asked for 1/8
        image.draft(None, (80, 80))
        assert image.size == (126, 94)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_beyond_the_limit_is_decoded_at_reduced_size(
    progressive: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)  # 20,000 pixels are refused, as are 178,956,970 else
    array = smooth(240, 180)
    path = write(tmp_path / "large.jpg", encode(Image.fromarray(array), "JPEG", progressive=progressive))
    found = load_image(path, 40)
    assert found.shape == (1, 3, 40, 53)
    assert (found - load_image(array, 40)).abs().mean() < 3 / 255
    with pytest.raises(
        ValueError, match=r"has 240 x 180 pixels, more than the limit of 20,000: give a smaller size"
    ) as e:
        load_image(path, None)
    assert one_sentence(str(e.value))
    half = load_image(path, None, reduce=True)
    assert half.shape == (1, 3, 120, 90) or half.shape == (1, 3, 90, 120)
    assert (half - load_image(array, min(half.shape[2:]))).abs().mean() < 3 / 255
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5_000)
    with pytest.raises(ValueError, match="has 240 x 180 pixels, more than the limit of 10,000"):
        load_image(path, 45)  # of which 120 x 90 would be decoded
    with pytest.raises(ValueError, match="has 240 x 180 pixels, more than the limit of 10,000"):
        load_image(path, 10)  # 30 x 23, but it is more than four times the limit
    with pytest.raises(ValueError, match="limit of 10,000: give a smaller size, or"):
        load_image(path, None, reduce=True)


def test_shrinking_antialiases_and_enlarging_stays_in_range() -> None:
    lines = np.zeros((256, 256, 3), dtype=np.uint8)
    lines[:, ::2] = 255
    for source in (lines, lines / 255):
        small = load_image(source, 32)
        assert (small[..., 4:-4] - 0.5).abs().max() < 0.02  # taking every eighth pixel would give 0 or 1
    edge = np.zeros((8, 8))
    edge[:, 4:] = 1
    large = load_image(edge, 64)  # Lanczos overshoots at an edge
    assert large.min() == 0
    assert large.max() == 1


def test_floats_and_bytes_are_resampled_alike() -> None:
    assert (load_image(smooth(), 20) - load_image(smooth() / 255, 20)).abs().max() < 1.5 / 255


@pytest.mark.parametrize("size", [0, -5, 12.0, "256", True])
def test_impossible_sizes(size: Any) -> None:
    with pytest.raises(ValueError, match="size, the short side in pixels, must be a whole number") as caught:
        load_image(smooth(), size)
    assert str(size) in str(caught.value)


def test_numpy_integers_are_sizes() -> None:
    assert load_image(smooth(), np.int64(12)).shape == (1, 3, 12, 16)  # type: ignore[arg-type]


def test_a_thin_picture_does_not_become_huge() -> None:
    with pytest.raises(ValueError, match=r"with size=256 the picture would have 2560000 x 256 pixels, more than"):
        load_image(np.zeros((1, 10_000), dtype=np.uint8))


# ------------------------------------------------------------------------------ PIL images, arrays, tensors


def test_pil_images(tmp_path: Path) -> None:
    image = Image.fromarray(corners())
    assert torch.equal(load_image(image, None), as_tensor(corners()))
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(io.BytesIO(encode(image, "PNG", exif=exif))) as opened:
        turned = levels(load_image(opened, None))
        assert opened.size == (12, 8)  # the caller's image stays as it was
    assert np.array_equal(turned[0, 0].round(), BLUE)
    with Image.open(io.BytesIO(encode(Image.fromarray(smooth(800, 600)), "JPEG"))) as opened:
        assert load_image(opened, 20).shape == (1, 3, 20, 27)
        assert opened.size == (800, 600)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_pil_modes(mode: str) -> None:
    image = Image.new("RGB", (6, 4), "white").convert("L" if mode == "PA" else "RGB").convert(mode)
    assert load_image(image, None).min() >= 254 / 255, mode


@pytest.mark.parametrize("peak", [255, 65535])
def test_pil_mode_i_is_read_by_its_range(peak: int) -> None:
    image = Image.fromarray(np.array([[0, 51 * peak // 255, peak]], dtype=np.int32))
    assert image.mode == "I"
    expected = torch.tensor([[0.0, 0.2, 1.0]]).expand(1, 3, 1, 3)
    torch.testing.assert_close(load_image(image, None), expected)


def test_pil_mode_i16_holds_16_bits_however_dark() -> None:
    image = Image.fromarray(np.array([[0, 100, 255]], dtype=np.uint16))
    assert image.mode == "I;16"
    torch.testing.assert_close(load_image(image, None)[0, 0], torch.tensor([[0.0, 100 / 65535, 255 / 65535]]))


def test_pil_mode_f_is_read_by_its_range() -> None:
    grey = np.array([[0, 51, 255]], dtype=np.uint8)
    expected = torch.tensor([[0.0, 0.2, 1.0]]).expand(1, 3, 1, 3)
    torch.testing.assert_close(load_image(Image.fromarray(grey).convert("F"), None), expected)
    torch.testing.assert_close(load_image(Image.fromarray((grey / 255).astype(np.float32)), None), expected)


def test_open_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", encode(Image.fromarray(corners()), "PNG"))
    with path.open("rb") as file:
        assert torch.equal(load_image(file, None), as_tensor(corners()))
    assert torch.equal(load_image(io.BytesIO(path.read_bytes()), None), as_tensor(corners()))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "a.png")
        with archive.open("a.png") as member:
            assert torch.equal(load_image(member, None), as_tensor(corners()))
    with path.open() as text, pytest.raises(TypeError, match=r"open in binary mode, .* not TextIOWrapper"):
        load_image(text)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="the open file is not a picture that can be read: it begins with b'Dear"):
        load_image(io.BytesIO(b"Dear diary,"))


GREYS = np.array([[0, 51, 255]], dtype=np.uint8)
ARRAYS: dict[str, np.ndarray] = {
    "uint8": GREYS,
    "uint8, last axis 1": GREYS[:, :, None],
    "uint8, last axis 3": np.repeat(GREYS[:, :, None], 3, axis=2),
    "uint8, last axis 4": np.dstack([GREYS, GREYS, GREYS, np.full_like(GREYS, 255)]),
    "uint16": GREYS.astype(np.uint16) * 257,
    "uint16, big endian": (GREYS.astype(np.uint16) * 257).astype(">u2"),
    "float16": (GREYS / 255).astype(np.float16),
    "float32": (GREYS / 255).astype(np.float32),
    "float64": GREYS / 255,
    "reversed": GREYS[:, ::-1][:, ::-1],
    "fortran": np.asfortranarray(GREYS / 255),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays(kind: str) -> None:
    picture = load_image(ARRAYS[kind], None)
    expected = torch.tensor([[0.0, 0.2, 1.0]]).expand(1, 3, 1, 3)
    torch.testing.assert_close(picture, expected, rtol=0, atol=1e-4 if kind == "float16" else 1e-6)


def test_boolean_arrays() -> None:
    picture = load_image(np.array([[True, False]]), None)
    assert torch.equal(picture, torch.tensor([[1.0, 0.0]]).expand(1, 3, 1, 2))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(3, 2, 4), (1, 3, 2, 4), (1, 2, 4), (1, 1, 2, 4), (2, 4)])
def test_tensors(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    values = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0))
    tensor = values.to(dtype) if dtype == torch.uint8 else (values / 255).to(dtype)
    picture = load_image(tensor, None)
    assert picture.dtype == torch.float32
    expected = (values / 255).reshape(-1, 2, 4).expand(3, 2, 4)[None]
    tolerance = {torch.bfloat16: 2e-3, torch.float16: 3e-4}.get(dtype, 1e-6)
    torch.testing.assert_close(picture, expected, rtol=0, atol=tolerance)


def test_the_source_is_neither_changed_nor_shared() -> None:
    array, tensor = (
        np.full((4, 4, 3), 0.5, dtype=np.float32),
        torch.full((1, 3, 4, 4), 0.5, requires_grad=True),
    )
    for source in (array, tensor):
        picture = load_image(source, None)
        assert not picture.requires_grad
        picture.zero_()
    assert (array == 0.5).all()
    assert (tensor == 0.5).all()


BAD_SOURCES: dict[str, tuple[Any, type[Exception], str]] = {
    "batch": (torch.zeros(4, 3, 8, 8), ValueError, r"not \(4, 3, 8, 8\)"),
    "channels last": (torch.zeros(8, 8, 3), ValueError, r"use permute\(2, 0, 1\)"),
    "batch, channels last": (torch.zeros(1, 8, 9, 3), ValueError, r"use permute\(0, 3, 1, 2\)"),
    "two channels": (torch.zeros(2, 8, 8), ValueError, r"not \(2, 8, 8\)"),
    "no pixels": (torch.zeros(3, 0, 8), ValueError, r"not \(3, 0, 8\)"),
    "integers": (torch.zeros(3, 8, 8, dtype=torch.int64), TypeError, r"not int64; divide it by 255"),
    "0 to 255": (torch.full((3, 8, 8), 200.0), ValueError, "from 200 to 200 .*divide it by 255"),
    "negative": (torch.full((3, 8, 8), -0.1), ValueError, "from -0.1 to -0.1 .*scale it or clamp it"),
    "NaN": (torch.tensor([0.5, float("nan")]).expand(3, 1, 2), ValueError, "NaN or infinity"),
    "infinity": (torch.tensor([0.5, float("inf")]).expand(3, 1, 2), ValueError, "NaN or infinity"),
    "array, batch": (np.zeros((1, 8, 9, 3)), ValueError, r"not \(1, 8, 9, 3\)"),
    "array, channels first": (np.zeros((3, 8, 9)), ValueError, r"\(H, W, 1 \| 3 \| 4\), not \(3, 8, 9\)"),
    "array, two channels": (np.zeros((8, 9, 2)), ValueError, r"not \(8, 9, 2\)"),
    "array, no pixels": (np.zeros((0, 9)), ValueError, r"not \(0, 9, 1\)"),
    "array, integers": (np.zeros((8, 9), dtype=np.int64), TypeError, "not int64; divide it"),
    "array, text": (np.array([["a"]]), TypeError, "<U1"),
    "array, NaN": (np.array([[0.5, np.nan]]), ValueError, "the array holds NaN or infinity"),
    "array, minus infinity": (np.array([[0.5, -np.inf]]), ValueError, "NaN or infinity"),
    "array, 0 to 255": (np.full((8, 8), 90.0), ValueError, "divide it by 255"),
    "list": ([[0, 1], [1, 0]], TypeError, "a numpy array or a tensor, not list"),
    "None": (None, TypeError, "not NoneType"),
    "bytes": (b"photo.jpg", TypeError, "not bytes"),
    "text file": (io.StringIO("photo.jpg"), TypeError, "a file that is open in binary mode, .* not StringIO"),
    "empty file": (io.BytesIO(), OSError, "the open file is not a picture .* begins with b''"),
}


@pytest.mark.parametrize("kind", BAD_SOURCES)
def test_bad_sources(kind: str) -> None:
    source, error, message = BAD_SOURCES[kind]
    with pytest.raises(error, match=message) as caught:
        load_image(source)
    assert one_sentence(str(caught.value))


def test_rounding_just_outside_the_range_is_clamped() -> None:
    picture = load_image(np.array([[-5e-4, 1.0005]]), None)
    assert picture.min() == 0
    assert picture.max() == 1


# ---------------------------------------------------------------------------------------------- bad files


def test_missing_files_suggest_the_nearest_names(tmp_path: Path) -> None:
    for name in ("Portrait.JPG", "portrait2.jpg", "unrelated.txt"):
        write(tmp_path / name, b"x")
    with pytest.raises(FileNotFoundError) as caught:
        load_image(tmp_path / "portrait.jpg")
    message = str(caught.value)
    assert one_sentence(message)
    assert "no file '" in message
    assert "'Portrait.JPG'" in message
    assert "'portrait2.jpg'" in message
    assert "unrelated" not in message
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*zzzzzzzz'$"):
        load_image(tmp_path / "zzzzzzzz")
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*nowhere/portrait\.jpg'$"):
        load_image(tmp_path / "nowhere" / "portrait.jpg")
    with pytest.raises(IsADirectoryError, match=f"Is a directory: '{re.escape(str(tmp_path))}'"):
        load_image(tmp_path)


NOT_PICTURES = {
    "empty": (b"", "it begins with b''"),
    "text": (b"Dear diary,\nno picture today.\n", "it begins with b'Dear diary,"),
    "page": (b"<!DOCTYPE html><html><body>404</body></html>", "it begins with b'<!DOCTYPE html>"),
    "heif": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64), "HEIF photos after pillow_heif"),
    "bytes": (bytes(range(128, 228)), r"it begins with b'\\x80\\x81\\x82"),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "it begins with b'%!PS"),
}


@pytest.mark.parametrize("kind", NOT_PICTURES)
def test_files_that_are_not_pictures(kind: str, tmp_path: Path) -> None:
    data, message = NOT_PICTURES[kind]
    path = write(tmp_path / "picture.jpg", data)
    with pytest.raises(OSError, match=message) as caught:
        load_image(path)
    assert one_sentence(str(caught.value))
    assert str(path) in str(caught.value)


TRUNCATED: dict[str, bytes] = {
    "PNG": encode(Image.fromarray(noise()), "PNG"),
    "JPEG": encode(Image.fromarray(noise()), "JPEG"),
    "JPEG progressive": encode(Image.fromarray(noise()), "JPEG", progressive=True),
    "WEBP": encode(Image.fromarray(noise()), "WEBP"),
    "GIF": encode(Image.fromarray(noise()).quantize(64), "GIF"),
    "TIFF": encode(Image.fromarray(noise()), "TIFF"),
    "TIFF deflate": encode(Image.fromarray(noise()), "TIFF", compression="tiff_deflate"),
    "BMP": encode(Image.fromarray(noise()), "BMP"),
    "PPM": encode(Image.fromarray(noise()), "PPM"),
    "JPEG2000": encode(Image.fromarray(noise()), "JPEG2000"),
}


@pytest.mark.parametrize("form", TRUNCATED)
@pytest.mark.parametrize("size", [None, 4])
def test_truncated_files_are_errors(form: str, size: int | None, tmp_path: Path) -> None:
    data = TRUNCATED[form]
    load_image(write(tmp_path / "cut", data), size)  # whole, it is fine
    for tenth in range(1, 10):
        path = write(tmp_path / "cut", data[: len(data) * tenth // 10])
        with pytest.raises(OSError, match=r"cut' (cannot be decoded|is not a picture)") as caught:
            load_image(path, size)
        assert one_sentence(str(caught.value)), str(caught.value)


def test_truncated_pil_image() -> None:
    with (
        Image.open(io.BytesIO(TRUNCATED["JPEG"][:-900])) as image,
        pytest.raises(OSError, match="the PIL image cannot be decoded, it is damaged or cut short"),
    ):
        load_image(image)


# --------------------------------------------------------------------------------------------------- save


def random_picture(height: int = 20, width: int = 30, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def test_png_round_trip_is_exact_to_8_bits(tmp_path: Path) -> None:
    values = torch.arange(256).float().repeat(3).reshape(1, 3, 16, 16) / 255
    path = save_image(values, tmp_path / "all.png")
    assert path == tmp_path / "all.png"
    assert torch.equal(load_image(path, None), values)
    picture = random_picture()
    path = save_image(picture[0], str(tmp_path / "random.PNG"))
    assert (load_image(path, None) - picture).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_values_are_clamped_and_rounded_to_the_nearest(dtype: torch.dtype, tmp_path: Path) -> None:
    values = torch.tensor([-3.0, -0.001, 100.4 / 255, 100.6 / 255, 254.6 / 255, 1.01, 7.0])
    if dtype == torch.bfloat16:
        values = values[[0, 1, 4, 5, 6]]
    picture = values.to(dtype).expand(1, 3, 1, -1).clone().requires_grad_()
    found = levels(load_image(save_image(picture, tmp_path / "a.png"), None)).round()[0, :, 1].tolist()
    assert found == ([0, 0, 255, 255, 255] if dtype == torch.bfloat16 else [0, 0, 100, 101, 255, 255, 255])


@pytest.mark.parametrize(("suffix", "form"), [(".jpg", "JPEG"), (".JPEG", "JPEG"), (".webp", "WEBP"), (".png", "PNG")])
def test_suffix_and_quality(suffix: str, form: str, tmp_path: Path) -> None:
    picture = as_tensor(smooth(128, 96))
    good = save_image(picture, tmp_path / f"good{suffix}")
    poor = save_image(picture, tmp_path / f"poor{suffix}", quality=20)
    with Image.open(good) as image:
        assert image.format == form
    assert (load_image(good, None) - picture).abs().mean() < (2 if form == "WEBP" else 1) / 255
    if form == "PNG":
        assert good.read_bytes() == poor.read_bytes()
    else:
        assert poor.stat().st_size < 0.8 * good.stat().st_size


def test_jpeg_keeps_the_full_resolution_of_colour(tmp_path: Path) -> None:
    stripes = np.empty((32, 32, 3), dtype=np.uint8)
    stripes[:, ::2], stripes[:, 1::2] = (230, 20, 20), (20, 20, 230)
    found = levels(load_image(save_image(as_tensor(stripes), tmp_path / "s.jpg"), None))
    assert np.abs(found - stripes).mean() < 8  # 4:2:0 would mix each red and blue to purple


def test_folders_are_made_and_permissions_are_ordinary(tmp_path: Path) -> None:
    path = save_image(random_picture(), tmp_path / "a" / "b" / "c.png")
    ordinary = write(tmp_path / "ordinary", b"")
    assert path.stat().st_mode == ordinary.stat().st_mode
    assert [entry.name for entry in path.parent.iterdir()] == ["c.png"]
    save_image(random_picture(seed=1), path)  # overwrites
    assert (load_image(path, None) - random_picture(seed=1)).abs().max() < 0.01


def test_saving_through_a_link_keeps_the_link(tmp_path: Path) -> None:
    target = save_image(random_picture(), tmp_path / "target.png")
    link = tmp_path / "link.png"
    link.symlink_to(target)
    assert save_image(random_picture(seed=1), link) == link
    assert link.is_symlink()
    assert (load_image(target, None) - random_picture(seed=1)).abs().max() < 0.01


@pytest.mark.parametrize("moment", ["write", "fsync", "replace", "encode", "interrupt"])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_failure_leaves_the_old_file(
    moment: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_image(random_picture(), tmp_path / f"old{suffix}")
    before = path.read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt if moment == "interrupt" else OSError(28, "No space left on device")

    if moment == "encode":
        monkeypatch.setattr(ImageFile, "_save", fail)
    elif moment == "replace":
        monkeypatch.setattr(Path, "replace", fail)
    elif moment == "write":
        really_open = Path.open

        def open_full(self: Path, *args: Any, **options: Any) -> Any:
            file = really_open(self, *args, **options)
            if "x" in args or "xb" in args:
                file.write(b"the beginning")
                file.close()  # so that the next write fails
            return file

        monkeypatch.setattr(Path, "open", open_full)
    else:
        monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((OSError, ValueError, KeyboardInterrupt)):
        save_image(random_picture(seed=1), path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", [".tif", ".TIFF"])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_round_trip_is_exact_to_8_bits(suffix: str, channels: int, tmp_path: Path) -> None:
    picture = torch.rand(1, channels, 20, 30, generator=torch.Generator().manual_seed(0))
    path = save_image(picture, tmp_path / f"a{suffix}")
    with Image.open(path) as image:
        assert image.format == "TIFF"
    assert (load_image(path, None, alpha=True) - picture).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_opacity_is_saved(suffix: str, tmp_path: Path) -> None:
    picture = torch.ones(1, 4, 16, 16)
    picture[:, 3, :8] = 0.2
    found = load_image(save_image(picture, tmp_path / f"a{suffix}"), None, alpha=True)
    assert (found - picture).abs()[:, :, [0, -1]].max() < 0.01
    assert torch.equal(found, load_image(save_image(picture[0], tmp_path / f"b{suffix}"), None, alpha=True))


def test_jpeg_says_that_it_has_no_transparency(tmp_path: Path) -> None:
    picture = as_tensor(np.full((16, 16, 4), (200, 100, 0, 51), dtype=np.uint8))
    with pytest.warns(
        UserWarning, match=r"JPEG has no transparency, so the picture in '.*a\.jpg' lies on white"
    ) as told:
        path = save_image(picture, tmp_path / "a.jpg")
    assert told[0].filename == __file__
    assert np.abs(levels(load_image(path, None)) - (244, 224, 204)).max() < 3


def test_a_picture_becomes_an_array_and_a_pil_image() -> None:
    array = np.dstack([corners(), np.full((8, 12), 51, np.uint8)])
    for channels, mode in ((3, "RGB"), (4, "RGBA")):
        picture = as_tensor(array[..., :channels])
        for one in (picture, picture[0], picture.double(), picture.requires_grad_()):
            found = to_numpy(one)
            assert found.dtype == np.uint8
            assert np.array_equal(found, array[..., :channels])
        image = to_pil(picture)
        assert (image.mode, image.size) == (mode, (12, 8))
        assert np.array_equal(np.asarray(image), array[..., :channels])
        assert torch.equal(load_image(image, None, alpha=True), picture)
    assert to_numpy(torch.tensor([-1.0, 0.5, 7.0]).view(3, 1, 1)).tolist() == [[[0, 128, 255]]]


def test_bad_saves(tmp_path: Path) -> None:
    picture = random_picture()
    cases: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
        (
            picture,
            "a.gif",
            {},
            ValueError,
            r"writes \.png, \.jpg, \.jpeg, \.webp, \.tif, \.tiff, and 'a\.gif' has '\.gif'",
        ),
        (picture, "a", {}, ValueError, r"'a' has no suffix"),
        (picture, "a.jpg", {"quality": 0}, ValueError, "from 1 to 100, got 0"),
        (picture, "a.jpg", {"quality": 101}, ValueError, "from 1 to 100, got 101"),
        (picture.expand(2, 3, 20, 30), "a.png", {}, ValueError, r"not \(2, 3, 20, 30\)"),
        (picture[0, 0], "a.png", {}, ValueError, r"not \(20, 30\)"),
        (picture[:, :1], "a.png", {}, ValueError, r"not \(1, 1, 20, 30\)"),
        (
            picture.permute(0, 2, 3, 1),
            "a.png",
            {},
            ValueError,
            r"channels seem to come last, so use permute\(0, 3, 1, 2",
        ),
        (picture[..., :0], "a.png", {}, ValueError, r"not \(1, 3, 20, 0\)"),
        ((picture * 255).byte(), "a.png", {}, TypeError, r"not torch\.uint8; use picture / 255"),
        (picture.numpy(), "a.png", {}, TypeError, "not ndarray"),
        (picture * float("nan"), "a.png", {}, ValueError, "NaN or infinity"),
        (picture / 0, "a.png", {}, ValueError, "NaN or infinity"),
    ]
    for source, name, options, error, message in cases:
        with pytest.raises(error, match=message.replace("'a", f"'{re.escape(str(tmp_path))}/a")) as caught:
            save_image(source, tmp_path / name, **options)
        assert one_sentence(str(caught.value))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"folder\.png' is a folder"):
        save_image(picture, tmp_path / "folder.png")
    write(tmp_path / "file", b"x")
    with pytest.raises(NotADirectoryError, match=r"file' is not a folder"):
        save_image(picture, tmp_path / "file" / "a.png")


# -------------------------------------------------------------------------------------------------- check


def test_check_picture_hands_back_the_same_tensor() -> None:
    picture = torch.rand(2, 3, 4, 5, requires_grad=True)
    assert check_picture(picture, "content") is picture
    slightly = torch.tensor([-0.0009, 1.0009]).expand(1, 3, 1, 2)
    assert check_picture(slightly) is slightly
    half = torch.rand(1, 3, 4, 4).half()
    assert check_picture(half) is half


BAD_PICTURES: dict[str, tuple[Any, type[Exception], str]] = {
    "no batch": (torch.zeros(3, 4, 4), ValueError, r"not \(3, 4, 4\); add the batch with style\[None\]"),
    "grey": (torch.zeros(1, 1, 4, 4), ValueError, r"not \(1, 1, 4, 4\)"),
    "last": (torch.zeros(1, 8, 8, 3), ValueError, r"channels seem to come last, so use permute\(0, 3, 1, 2\)"),
    "opacity": (torch.zeros(1, 4, 8, 8), ValueError, r"not \(1, 4, 8, 8\)"),
    "empty": (torch.zeros(0, 3, 4, 4), ValueError, r"not \(0, 3, 4, 4\)"),
    "no width": (torch.zeros(1, 3, 4, 0), ValueError, r"not \(1, 3, 4, 0\)"),
    "bytes": (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), TypeError, r"not torch\.uint8; use style / 255"),
    "array": (np.zeros((1, 3, 4, 4)), TypeError, "not ndarray; load_image makes one"),
    "path": ("photo.jpg", TypeError, "not str"),
    "255": (torch.full((1, 3, 4, 4), 255.0), ValueError, "from 255 to 255 and must be in .*divide it by 255"),
    "normalised": (torch.linspace(-2.1, 2.6, 48).view(1, 3, 4, 4), ValueError, "from -2.1 to 2.6 .*scale it"),
    "above": (torch.full((1, 3, 4, 4), 1.002), ValueError, "from 1.002 to 1.002"),
    "NaN": (torch.full((1, 3, 4, 4), float("nan")), ValueError, "NaN or infinity"),
    "one NaN": (torch.zeros(1, 3, 4, 4).index_fill(3, torch.tensor(2), float("nan")), ValueError, "NaN"),
    "infinity": (torch.full((1, 3, 4, 4), float("-inf")), ValueError, "NaN or infinity"),
}


@pytest.mark.parametrize("kind", BAD_PICTURES)
def test_check_picture_errors(kind: str) -> None:
    picture, error, message = BAD_PICTURES[kind]
    with pytest.raises(error, match=message) as caught:
        check_picture(picture, "style")
    assert str(caught.value).startswith("style ")
    assert one_sentence(str(caught.value))
