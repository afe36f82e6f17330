"""Pictures from cameras, scanners and museums, and some that were made to do harm; sizes and values at random."""

from __future__ import annotations

import io
import os
import struct
import tempfile
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_image import chunk, encode, one_sentence, png, smooth, write

from nstlib import load_image, match_color, save_image
from nstlib.utils.checks import check_picture

SEEDED = settings(deadline=None, derandomize=True, database=None)
"""The same examples each time: a test that fails today fails tomorrow."""

LEVELS = np.array([[0, 65535, 32768], [257, 4660, 51400]], dtype=np.uint16)


def tiff(
    shape: tuple[int, int, int], bits: int, data: bytes, kind: int = 1, photometric: int = 2, order: str = "<"
) -> bytes:
    """A TIFF written by hand: `(H, W, C)`; kind 1 is whole numbers, 3 is floats."""
    height, width, channels = shape
    at = 8 + 2 + 12 * 11 + 4
    lengths = struct.pack(f"{order}{channels}H", *[bits] * channels)
    kinds = struct.pack(f"{order}{channels}H", *[kind] * channels)
    begin = at + len(lengths) + len(kinds)

    def entry(tag: int, form: int, count: int, value: int) -> bytes:
        short = form == 3 and count == 1
        return struct.pack(
            f"{order}HHI" + ("HH" if short else "I"), tag, form, count, *((value, 0) if short else (value,))
        )

    first = entry(258, 3, channels, at if channels > 2 else bits)
    last = entry(339, 3, channels, at + len(lengths) if channels > 2 else kind)
    entries = [
        *(entry(256, 4, 1, width), entry(257, 4, 1, height), first, entry(259, 3, 1, 1), entry(262, 3, 1, photometric)),
        *(entry(273, 4, 1, begin), entry(277, 3, 1, channels), entry(278, 4, 1, height), entry(279, 4, 1, len(data))),
        *(entry(284, 3, 1, 1), last),
    ]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    return head + struct.pack(f"{order}H", 11) + b"".join(entries) + bytes(4) + lengths + kinds + data


# ------------------------------------------------------------------------------- kinds that Pillow never writes


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
def test_16_bit_tiff_of_either_byte_order(order: str, channels: int, tmp_path: Path) -> None:
    levels = np.repeat(LEVELS[:, :, None], channels, axis=2)
    data = tiff(
        (2, 3, channels), 16, levels.astype(f"{order}u2").tobytes(), photometric=2 if channels == 3 else 1, order=order
    )
    picture = load_image(write(tmp_path / "a.tif", data), size=None)
    assert picture.shape == (1, 3, 2, 3)
    tolerance = 1e-6 if channels == 1 else 1 / 255  # Pillow reads colours of 16 bits as 8
    assert np.abs(picture[0].permute(1, 2, 0).numpy() - levels / 65535).max() <= tolerance


def test_float_tiff(tmp_path: Path) -> None:
    bits = 32
    grey = np.linspace(0, 1, 12).reshape(3, 4)
    path = tmp_path / "a.tif"
    write(path, tiff((3, 4, 1), bits, grey.astype(f"<f{bits // 8}").tobytes(), kind=3, photometric=1))
    assert np.abs(load_image(path, None)[0, 0].numpy() - grey).max() < 1e-6
    for value, words in (
        (np.nan, "NaN or infinity"),
        (np.inf, "NaN or infinity"),
        (200.0, "divide it by 255"),
        (-3.0, "scale it"),
    ):
        bad = grey.copy()
        bad[1, 1] = value
        write(path, tiff((3, 4, 1), bits, bad.astype(f"<f{bits // 8}").tobytes(), kind=3, photometric=1))
        with pytest.raises(ValueError, match=words) as caught:
            load_image(path)
        assert one_sentence(str(caught.value))
        assert "a.tif" in str(caught.value)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("channels", "bits"), [(3, 32), (1, 64), (1, 24)])
def test_a_tiff_that_pillow_cannot_read_is_told(order: str, channels: int, bits: int, tmp_path: Path) -> None:
    data = tiff(
        (2, 3, channels), bits, bytes(6 * channels * bits // 8), kind=3, photometric=min(channels, 2), order=order
    )
    with pytest.raises(OSError, match=r"is not a picture that can be read: it begins with b'(II|MM)") as caught:
        load_image(write(tmp_path / "a.tif", data))
    assert one_sentence(str(caught.value))


@pytest.mark.parametrize(("bits", "levels"), [(1, [0, 1]), (2, [0, 1, 2, 3]), (4, [0, 5, 10, 15])])
def test_grey_png_of_few_bits(bits: int, levels: list[int], tmp_path: Path) -> None:
    row = int("".join(f"{level:0{bits}b}" for level in levels).ljust(16, "0"), 2).to_bytes(2, "big")
    row = row[: -(-bits * len(levels) // 8)]
    data = png(len(levels), 1, bits, 0, b"\0" + row)
    found = load_image(write(tmp_path / "a.png", data), None)[0, 0, 0].numpy()
    assert found == pytest.approx(np.array(levels) / (2**bits - 1), abs=1e-6)


@pytest.mark.parametrize("colour", [4, 6])
def test_16_bit_png_with_transparency(colour: int, tmp_path: Path) -> None:
    channels = {4: 2, 6: 4}[colour]
    half = np.full((2, 2, channels), 32768, np.dtype(">u2"))
    half[0, 0, -1], half[1, 1, -1] = 0, 65535
    rows = b"".join(b"\0" + row.tobytes() for row in half)
    found = load_image(write(tmp_path / "a.png", png(2, 2, 16, colour, rows)), None)
    assert found[0, :, 0, 0].tolist() == [1, 1, 1]  # nothing there: white
    assert found[0, :, 1, 1].numpy() == pytest.approx(0.5, abs=0.005)
    assert found[0, :, 0, 1].numpy() == pytest.approx(0.75, abs=0.005)


def test_the_first_page_of_a_tiff_is_read_without_a_word(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (8, 6), colour) for colour in ("red", "lime", "blue")]
    data = encode(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    with Image.open(io.BytesIO(data)) as image:
        assert getattr(image, "n_frames", 1) == 3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load_image(write(tmp_path / "a", data), None)[0, :, 3, 4].tolist() == [1, 0, 0]


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_of_every_kind_turned_every_way(mode: str, progressive: bool, orientation: int, tmp_path: Path) -> None:
    array = smooth(40, 24)
    upright = Image.fromarray(array)
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = [None, None, 0, 3, 1, 5, 2, 6, 4][
        orientation
    ]  # what the camera stored, such that turning it back is upright
    stored = upright if turned is None else upright.transpose(Image.Transpose(turned))
    # CMYK of Pillow: what is stored is converted without a profile, black is 0
    options = {"quality": 98, "subsampling": 0, "progressive": progressive, "exif": exif}
    path = write(tmp_path / "a.jpg", encode(stored.convert(mode), "JPEG", **options))
    expected = np.asarray(upright.convert(mode).convert("RGB")) / 255
    found = load_image(path, None)[0].permute(1, 2, 0).numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 0.06


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1)])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_thin_pictures(width: int, height: int, form: str, tmp_path: Path) -> None:
    path = write(tmp_path / "thin", encode(Image.new("L", (width, height), 128), form))
    picture = load_image(path, None)
    assert picture.shape == (1, 3, height, width)
    assert (picture - 128 / 255).abs().max() < 0.02
    assert load_image(path, 2).shape == (1, 3, 2 * height, 2 * width)
    if width != height:
        with pytest.raises(ValueError, match=r"with size=256 the picture would have .* more than the limit") as caught:
            load_image(path, 256)
        assert one_sentence(str(caught.value))


# ---------------------------------------------------------------------------------------------- made to do harm


def jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(encode(Image.new("RGB", (8, 8)), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def gif_of(width: int, height: int) -> bytes:
    data = bytearray(encode(Image.new("P", (8, 8)), "GIF"))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def gif_frame_of(width: int, height: int) -> bytes:
    """A small screen, and a frame that goes far beyond it."""
    data = bytearray(encode(Image.new("P", (8, 8)), "GIF"))
    at = data.index(b",", 13) + 5
    data[at : at + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def bmp_of(width: int, height: int) -> bytes:
    data = bytearray(encode(Image.new("RGB", (8, 8)), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def ico_of(width: int, height: int) -> bytes:
    """It says 16 x 16, and holds a PNG of another mind."""
    inside = png(width, height, 8, 2, b"")
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inside), 22) + inside


BOMBS: dict[str, bytes] = {
    "PNG": png(30_000, 30_000, 8, 2, b""),
    "PNG of 2^31": png(2**31 - 1, 2**31 - 1, 8, 2, b""),
    "JPEG": jpeg_of(30_000, 30_000),
    "GIF": gif_of(30_000, 30_000),
    "a frame of a GIF": gif_frame_of(60_000, 60_000),
    "BMP": bmp_of(30_000, 30_000),
    "TIFF": tiff((30_000, 30_000, 3), 8, bytes(8)),
    "TIFF of floats": tiff((30_000, 30_000, 1), 32, bytes(8), kind=3, photometric=1),
    "PPM": b"P6 30000 30000 255\n" + bytes(64),
    "an icon": ico_of(30_000, 30_000),
    "just over the limit": png(178_957, 1000, 8, 2, b""),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_before_their_pixels_are_there(kind: str, tmp_path: Path) -> None:
    import tracemalloc

    path = write(tmp_path / "bomb", BOMBS[kind])
    tracemalloc.start()
    with pytest.raises((ValueError, OSError), match=r"pixels") as caught:
        load_image(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert one_sentence(str(caught.value))
    assert str(path) in str(caught.value)
    assert peak < 20e6
    if kind not in ("an icon", "a frame of a GIF"):  # whose header tells nothing
        assert "raise PIL.Image.MAX_IMAGE_PIXELS" in str(caught.value)


TEXTS: dict[str, bytes] = {
    "a profile that unpacks to 300 MB": chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(300_000_000), 9)),
    "a text that unpacks to 300 MB": chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(300_000_000), 9)),
    "a profile of nonsense": chunk(b"iCCP", b"x\0\0" + zlib.compress(b"nonsense")),
    "transparency of nonsense": chunk(b"tRNS", b"\1"),
    "a palette where there is none": chunk(b"PLTE", bytes(7)),
    "an animation of no frame": chunk(b"acTL", struct.pack(">II", 0, 0)),
    "a chunk of no length": chunk(b"pHYs", b""),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_what_else_a_png_may_carry_does_no_harm(kind: str, tmp_path: Path) -> None:
    rows = b"".join(b"\0" + bytes([50, 100, 150] * 4) for _ in range(3))
    path = write(tmp_path / "a.png", png(4, 3, 8, 2, rows, TEXTS[kind]))
    found, said = None, ""
    try:
        found = load_image(path, None)
    except (OSError, ValueError) as error:  # and no other
        said = str(error)
    if found is None:
        assert one_sentence(said)
        assert "a.png" in said
    else:
        assert found.shape == (1, 3, 3, 4)
        assert (found[0, :, 1, 1] * 255 - torch.tensor([50.0, 100, 150])).abs().max() < 1.5


SEEDS: dict[str, bytes] = {
    form: encode(Image.fromarray(smooth(23, 17)).convert("P" if form == "GIF" else "RGB"), form)
    for form in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "ICO", "QOI")
    if form in Image.SAVE or Image.init() is None
}


@settings(SEEDED, max_examples=150)
@given(
    form=st.sampled_from(sorted(SEEDS)),
    changes=st.lists(st.tuples(st.floats(0, 0.9999), st.integers(0, 255)), max_size=6),
    cut=st.one_of(st.just(1.0), st.floats(0, 1)),
    size=st.sampled_from([None, 1, 16]),
)
def test_flipped_and_missing_bytes_give_a_picture_or_one_sentence(
    form: str, changes: list[tuple[float, int]], cut: float, size: int | None
) -> None:
    data = bytearray(SEEDS[form])
    for place, change in changes:
        data[int(place**3 * len(data))] ^= change  # most of them in the header
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder, "a"), bytes(data[: int(cut * len(data))]))
        found, said = None, ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found = load_image(path, size)
        except (OSError, ValueError) as error:  # and no other
            said = str(error)
    if found is None:
        assert one_sentence(said), said
        assert str(path) in said or "with size" in said
    else:
        check_picture(found)
        assert found.dtype == torch.float32


# ------------------------------------------------------------------------------------------------ permissions


@contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything: be somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_what_must_not_be_read_is_told(open_folder: Path) -> None:
    secret = write(open_folder / "secret.png", encode(Image.new("RGB", (4, 4)), "PNG"))
    secret.chmod(0)
    locked = open_folder / "locked"
    locked.mkdir()
    write(locked / "a.png", secret.read_bytes() if os.geteuid() == 0 else b"")
    locked.chmod(0)
    try:
        with nobody():
            for path in (secret, locked / "a.png"):
                with pytest.raises(PermissionError, match=f"'{path}' cannot be read: Permission denied"):
                    load_image(path)
    finally:
        locked.chmod(0o700)


def test_where_must_not_be_written_is_told(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir()
    old = save_image(torch.zeros(1, 3, 4, 4), closed / "old.png")
    before = old.read_bytes()
    closed.chmod(0o555)
    try:
        with nobody():
            for path in (old, closed / "new.png", closed / "deeper" / "new.png"):
                with pytest.raises(
                    PermissionError, match="cannot be written: Permission denied; what was there"
                ) as caught:
                    save_image(torch.ones(1, 3, 4, 4), path)
                assert str(caught.value).startswith(f"'{path}'")
        assert old.read_bytes() == before
        assert [path.name for path in closed.iterdir()] == ["old.png"]
    finally:
        closed.chmod(0o700)


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "nul\0.png", "", "~nobody-here/a.png"])
def test_names_that_cant_be_are_errors_of_the_ordinary_kind(name: str) -> None:
    with pytest.raises((OSError, ValueError, RuntimeError)):
        load_image(name)


# ------------------------------------------------------------------------------------------------ at random

sides = st.integers(1, 40)
kinds = st.sampled_from(["uint8", "uint16", "float16", "float32", "float64", "bool"])
fills = st.sampled_from(["random", "zeros", "ones", "one pixel"])


def array_of(shape: tuple[int, ...], kind: str, fill: str, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = {"zeros": np.zeros(shape), "ones": np.ones(shape)}.get(fill, random.random(shape))
    if fill == "one pixel":
        values = np.zeros(shape)
        values[0, 0] = 1
    scale = {"uint8": 255, "uint16": 65535}.get(kind, 1)
    array: np.ndarray = values > 0.5 if kind == "bool" else (values * scale).astype(kind)
    return array


@settings(SEEDED, max_examples=150)
@given(
    sides,
    sides,
    st.sampled_from([None, 1, 3, 4]),
    kinds,
    fills,
    st.one_of(st.none(), st.integers(1, 30)),
    st.integers(0, 9),
)
def test_any_array_becomes_a_picture(
    height: int, width: int, channels: int | None, kind: str, fill: str, size: int | None, seed: int
) -> None:
    shape = (height, width) if channels is None else (height, width, channels)
    array = array_of(shape, kind, fill, seed)
    before = array.copy()
    picture = load_image(array, size)
    check_picture(picture)
    assert 0 <= picture.min() <= picture.max() <= 1
    assert picture.is_contiguous()
    assert np.array_equal(array, before)
    short = size or min(height, width)
    long = max(height, width) if size is None else int(size * max(height, width) / min(height, width) + 0.5)
    assert sorted(picture.shape[2:]) == [short, long]
    assert picture.shape[2] == picture.shape[3] or (picture.shape[2] < picture.shape[3]) == (height < width)
    if fill == "ones" or (fill == "zeros" and channels == 4):
        assert (picture - 1).abs().max() < 1e-3  # white, or nothing on white


@settings(SEEDED, max_examples=40)
@given(sides, sides, st.sampled_from([".png", ".jpg", ".webp"]), st.integers(0, 9), st.integers(1, 100))
def test_what_is_saved_is_a_picture_of_the_same_size(
    height: int, width: int, suffix: str, seed: int, quality: int
) -> None:
    picture = 3 * torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed)) - 1
    with tempfile.TemporaryDirectory() as folder:
        found = load_image(save_image(picture, Path(folder, f"a{suffix}"), quality=quality), None)
    assert found.shape == picture.shape
    if suffix == ".png":
        assert (found - picture.clamp(0, 1)).abs().max() <= 0.5 / 255 + 1e-6


@settings(SEEDED, max_examples=60)
@given(sides, sides, sides, sides, st.sampled_from(["luminance", "coral"]), fills, fills, st.integers(0, 9))
def test_colours_that_are_matched_are_colours(
    height: int, width: int, other_height: int, other_width: int, method: str, fill: str, other: str, seed: int
) -> None:
    size = (height, width) if method == "luminance" else (other_height, other_width)
    picture = load_image(array_of((height, width, 3), "float32", fill, seed), None)
    reference = load_image(array_of((*size, 3), "float32", other, seed + 1), None)
    found = match_color(picture, reference, method=method)
    check_picture(found)
    assert found.shape == picture.shape
    assert 0 <= found.min() <= found.max() <= 1


@settings(SEEDED, max_examples=40)
@given(
    st.sampled_from([float("nan"), float("inf"), -float("inf")]),
    st.sampled_from(["float16", "float32", "float64"]),
    sides,
    sides,
)
def test_one_value_that_is_no_number_is_refused_everywhere(value: float, kind: str, height: int, width: int) -> None:
    array = np.full((height, width, 3), 0.5, kind)
    array[height // 2, width // 2, 1] = value
    good, bad = torch.full((1, 3, height, width), 0.5), torch.from_numpy(array).permute(2, 0, 1)[None]
    calls: list[Callable[[], Any]] = [
        lambda: load_image(array),
        lambda: load_image(bad),
        lambda: check_picture(bad),
        lambda: match_color(good, bad),
        lambda: match_color(bad, good, method="coral"),
        lambda: save_image(bad, "never.png"),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="NaN or infinity"):
            call()
    assert not Path("never.png").exists()


# -------------------------------------------------------------------------------------------------- threads


def test_threads_read_and_write_the_same_file(tmp_path: Path) -> None:
    """There is always one whole picture or the other."""
    colours = [torch.full((1, 3, 32, 32), level / 255) for level in (10, 90, 170, 250)]
    path = save_image(colours[0], tmp_path / "shared.png")
    found: list[float] = []
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(12):
                save_image(colours[number], path)
                picture = load_image(path, None)
                assert picture.min() == picture.max()
                found.append(round(picture.mean().item() * 255))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(found) == 48
    assert set(found) <= {10, 90, 170, 250}
    assert [entry.name for entry in tmp_path.iterdir()] == ["shared.png"]


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_the_limit_can_be_raised(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a", encode(Image.new("RGB", (30, 20)), form))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 299)
    with pytest.raises(ValueError, match=r"600|30 x 20 pixels, more than the limit of 598.*MAX_IMAGE_PIXELS"):
        load_image(path, None)
    for limit in (600, None):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        assert load_image(path, None).shape == (1, 3, 20, 30)
