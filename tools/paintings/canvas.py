"""Tools shared by the painted samples: noise, flow fields, palettes, strokes, paper and light.

Every tool works in unit coordinates: x runs from 0 (left) to 1 (right), y from 0 (top) to 1 (bottom). A painting
made with them is therefore the same painting at every size. Fields are `(n, n)` float32 arrays and pictures
`(n, n, 3)` float32 arrays in [0, 1], for a canvas of n by n pixels. Random numbers come from seeded generators
only, so the same call always gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Array = NDArray[np.floating[Any]]  # float32 where a tool returns it, any float where it takes it
Painting = Callable[[int], Array]

SMALLEST_CANVAS = 640
LARGEST_CANVAS = 3072


def supersampled(paint: Painting) -> Painting:
    """Let a painting paint on a canvas about twice the size asked for, and shrink the result.

    The canvas never falls below 640 pixels, so that a thumbnail keeps the look of the large picture.

    Args:
        paint: function from a canvas size in pixels to a picture `(n, n, 3)`.

    Returns:
        A function from the size asked for to a picture `(size, size, 3)`, float32 in [0, 1].
    """

    @wraps(paint)
    def painted(size: int) -> Array:
        n = max(min(max(2 * size, SMALLEST_CANVAS), LARGEST_CANVAS), size)
        return resize(paint(n), size)

    return painted


def resize(picture: Array, size: int) -> Array:
    """Resize a square picture `(n, n, 3)` to `(size, size, 3)` by area averaging, clipped to [0, 1]."""
    if picture.shape[0] != size:
        channels = [Image.fromarray(np.ascontiguousarray(picture[..., c])) for c in range(3)]
        picture = np.stack([np.asarray(c.resize((size, size), Image.Resampling.BOX)) for c in channels], axis=-1)
    return np.clip(picture, 0, 1).astype(np.float32)


# ----------------------------------------------------------------------------------------------------- fields


def grid(n: int) -> tuple[Array, Array]:
    """Unit coordinates of the pixel centres.

    Returns:
        (x, y), two arrays of shape `(n, n)`.
    """
    centres = ((np.arange(n) + 0.5) / n).astype(np.float32)
    x, y = np.meshgrid(centres, centres)
    return x, y


def noise(n: int, frequency: float | tuple[float, float], seed: int) -> Array:
    """Smooth value noise: a lattice of random numbers, joined by cubic interpolation.

    Args:
        n: canvas size in pixels.
        frequency: lattice cells across the canvas, one number or (along x, along y), which gives
            streaks if the two differ.
        seed: the same seed gives the same noise at every canvas size.

    Returns:
        Array `(n, n)`, mean about 0, nearly all of it within [-1, 1].
    """
    fx, fy = (frequency, frequency) if isinstance(frequency, (int, float)) else frequency
    rng = np.random.default_rng(seed)
    lattice = rng.uniform(-1, 1, (int(np.ceil(fy)) + 4, int(np.ceil(fx)) + 4)).astype(np.float32)
    # A margin of two cells keeps the cubic filter off the edge of the lattice.
    inside = (2.0, 2.0, 2.0 + fx, 2.0 + fy)
    return np.asarray(Image.fromarray(lattice).resize((n, n), Image.Resampling.BICUBIC, inside))


def fractal(n: int, frequency: float | tuple[float, float], seed: int, *, octaves: int = 4, gain: float = 0.5) -> Array:
    """Fractal noise: octaves of `noise`, each twice as fine and `gain` times as high as the one before.

    Args:
        n: canvas size in pixels.
        frequency: lattice cells across the canvas of the first octave, one number or (along x, along y).
        seed: seed of the first octave.
        octaves: number of octaves.
        gain: ratio of the heights of neighbouring octaves, between 0 (smooth) and 1 (rough).

    Returns:
        Array `(n, n)`, mean about 0, nearly all of it within [-1, 1].
    """
    fx, fy = (frequency, frequency) if isinstance(frequency, (int, float)) else frequency
    total = np.zeros((n, n), np.float32)
    heights = gain ** np.arange(octaves)
    for i, height in enumerate(heights):
        total += np.float32(height) * noise(n, (fx * 2**i, fy * 2**i), seed + 1013 * i)
    return total / np.float32(np.sqrt(np.sum(heights**2)) * 1.2)


def sample(field: Array, x: ArrayLike, y: ArrayLike) -> Array:
    """Read a field `(n, n)` or a picture `(n, n, C)` at unit coordinates, bilinearly.

    Points outside the canvas get the value at its edge.

    Args:
        field: the array to read.
        x: unit coordinates, any shape S.
        y: unit coordinates, shape S.

    Returns:
        Array of shape S, or S + (C,).
    """
    height, width = field.shape[:2]
    px = np.clip(np.asarray(x, np.float32) * width - 0.5, 0, width - 1.001)
    py = np.clip(np.asarray(y, np.float32) * height - 0.5, 0, height - 1.001)
    ix, iy = px.astype(np.intp), py.astype(np.intp)
    tx, ty = px - ix, py - iy
    if field.ndim == 3:
        tx, ty = tx[..., None], ty[..., None]
    flat, at = field.reshape(height * width, *field.shape[2:]), iy * width + ix
    top = flat.take(at, 0) * (1 - tx) + flat.take(at + 1, 0) * tx
    bottom = flat.take(at + width, 0) * (1 - tx) + flat.take(at + width + 1, 0) * tx
    return np.asarray(top * (1 - ty) + bottom * ty, np.float32)


def blur(field: Array, radius: float) -> Array:
    """Gaussian blur of a field or a picture; `radius` is the standard deviation in unit coordinates."""
    sigma = radius * field.shape[0]
    return np.asarray(ndimage.gaussian_filter(field, (sigma, sigma) + (0,) * (field.ndim - 2), mode="nearest"))


def smoothstep(low: float, high: float, value: ArrayLike) -> Array:
    """S-shaped step: 0 where value <= low, 1 where value >= high (or falling, if low > high)."""
    t = np.clip((np.asarray(value, np.float32) - low) / (high - low), 0, 1)
    # 3t^2 - 2t^3
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def mix(a: ArrayLike, b: ArrayLike, t: ArrayLike) -> Array:
    """Blend a into b: a where t = 0, b where t = 1. If a or b holds colours, t needs no colour axis."""
    a, b, t = np.asarray(a, np.float32), np.asarray(b, np.float32), np.asarray(t, np.float32)
    if t.shape and t.shape[-1] not in (1, 3) and 3 in (*a.shape[-1:], *b.shape[-1:]):
        t = t[..., None]
    return np.asarray(a + (b - a) * t, np.float32)


# ----------------------------------------------------------------------------------------------------- colour


def palette(*colours: str) -> Array:
    """Colours written as "#rrggbb", as an array `(K, 3)` in [0, 1].

    Example:
        >>> palette("#ff0000", "#0000ff").tolist()
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    return np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colours], np.float32)


def ramp(t: ArrayLike, colours: Array, stops: Sequence[float] | None = None) -> Array:
    """Colours along a palette: t = 0 is the first colour, t = 1 the last, linear in between.

    Args:
        t: position, any shape S.
        colours: palette `(K, 3)`.
        stops: rising positions of the K colours; evenly spaced if None.

    Returns:
        Array of shape S + (3,).
    """
    at = np.linspace(0, 1, len(colours)) if stops is None else np.asarray(stops)
    return np.stack([np.interp(np.asarray(t), at, colours[:, c]) for c in range(3)], axis=-1).astype(np.float32)


# ---------------------------------------------------------------------------------------------- flow, strokes


def curl(potential: Array) -> tuple[Array, Array]:
    """Unit vectors along the contour lines of a potential `(n, n)`: a flow that never converges (curl noise).

    Returns:
        (u, v), the x and y parts of the flow, two arrays `(n, n)`.
    """
    dy, dx = np.gradient(potential)
    # (u, v) = (dP/dy, -dP/dx) / |grad P|
    length = np.sqrt(dx * dx + dy * dy) + 1e-12
    return (dy / length).astype(np.float32), (-dx / length).astype(np.float32)


def streamlines(u: Array, v: Array, starts: Array, lengths: ArrayLike, *, steps: int = 8) -> Array:
    """Follow a flow from many points at once.

    Args:
        u: x part of the flow `(n, n)`.
        v: y part of the flow `(n, n)`.
        starts: the middle of every line, unit coordinates `(N, 2)`.
        lengths: length of every line in unit coordinates, one number or `(N,)`.
        steps: steps a line takes, an even number.

    Returns:
        Points of the lines, `(N, steps + 1, 2)`, in unit coordinates.
    """
    stride = np.broadcast_to(np.asarray(lengths, np.float32) / steps, (len(starts),))[:, None]
    half = steps // 2
    points = np.empty((len(starts), 2 * half + 1, 2), np.float32)
    points[:, half] = starts
    for sign in (-1, 1):
        at = np.asarray(starts, np.float32)
        for i in range(1, half + 1):
            step = stride * np.stack([sample(u, at[:, 0], at[:, 1]), sample(v, at[:, 0], at[:, 1])], -1)
            at = (at + sign * step).astype(np.float32)
            points[:, half + sign * i] = at
    return points


def ribbons(lines: Array, widths: ArrayLike, *, taper: float = 1.0, offset: ArrayLike = 0.0) -> Array:
    """Turn lines into the outlines of brush strokes that swell in the middle and thin out at the ends.

    Args:
        lines: `(N, P, 2)` points in unit coordinates.
        widths: full width in unit coordinates, one number, `(N,)`, or `(N, P)` along every stroke.
        taper: 0 keeps the width up to the ends, 1 gives pointed ends.
        offset: shift sideways in unit coordinates, one number or `(N,)`.

    Returns:
        Closed outlines `(N, 2 * P, 2)`.
    """
    n, p = lines.shape[:2]
    along = np.gradient(lines, axis=1)
    normal = np.stack([-along[..., 1], along[..., 0]], -1)
    normal = normal / (np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9)
    width = np.asarray(widths, np.float32)
    width = np.asarray(np.broadcast_to(width if width.ndim == 2 else width.reshape(-1, 1), (n, p)))
    profile = 1 - taper + taper * np.sqrt(np.clip(1 - np.linspace(-1, 1, p) ** 2, 0, 1))
    half = (0.5 * width * profile)[..., None]
    middle = lines + normal * np.broadcast_to(np.asarray(offset, np.float32).reshape(-1, 1, 1), (n, 1, 1))
    return np.concatenate([middle + half * normal, (middle - half * normal)[:, ::-1]], axis=1).astype(np.float32)


def ellipses(centres: Array, lengths: ArrayLike, widths: ArrayLike, angles: ArrayLike, *, corners: int = 10) -> Array:
    """Outlines of ellipses: dabs of a round brush.

    Args:
        centres: `(N, 2)` in unit coordinates.
        lengths: full length, one number or `(N,)`.
        widths: full width, one number or `(N,)`.
        angles: direction of the length in radians, clockwise from the x axis, one number or `(N,)`.
        corners: corners of the outline.

    Returns:
        Closed outlines `(N, corners, 2)`.
    """
    turn = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    a = 0.5 * np.asarray(lengths, np.float32).reshape(-1, 1) * np.cos(turn)
    b = 0.5 * np.asarray(widths, np.float32).reshape(-1, 1) * np.sin(turn)
    angle = np.asarray(angles, np.float32).reshape(-1, 1)
    c, s = np.cos(angle), np.sin(angle)
    return (centres[:, None] + np.stack([c * a - s * b, s * a + c * b], -1)).astype(np.float32)


class Canvas:
    """A surface to fill shapes on, opaque, in the order they come (later ones cover earlier ones).

    Besides its colour every pixel holds a number in [0, 1] that says how thick the paint is, for `relief`.

    Args:
        n: size in pixels.
        ground: colour of the bare canvas `(3,)`, or a picture `(n, n, 3)` to go on with.
        thickness: thickness of the ground, a number or an array `(n, n)`.
    """

    def __init__(self, n: int, ground: ArrayLike, thickness: ArrayLike = 0.0) -> None:
        self.n = n
        pixels = np.empty((n, n, 4), np.float32)
        pixels[..., :3] = ground
        pixels[..., 3] = thickness
        self.image = Image.fromarray(_bytes(pixels))
        self.draw = ImageDraw.Draw(self.image)

    def fill(self, outlines: Array | Sequence[Array], colours: ArrayLike, thickness: ArrayLike = 0.5) -> None:
        """Fill closed outlines.

        Args:
            outlines: `(N, P, 2)` in unit coordinates, or a list of `(P, 2)` arrays of different lengths.
            colours: one colour `(3,)` for all, or `(N, 3)`.
            thickness: one number for all, or `(N,)`.
        """
        count = len(outlines)
        inks = np.empty((count, 4), np.float32)
        inks[:, :3] = colours
        inks[:, 3] = thickness
        # PIL puts pixel centres on whole numbers, hence the half pixel.
        for outline, ink in zip(outlines, _bytes(inks).tolist(), strict=True):
            self.draw.polygon((outline * self.n - 0.5).ravel().tolist(), fill=tuple(ink))

    def colour(self) -> Array:
        """The picture painted so far, `(n, n, 3)`."""
        return np.asarray(self.image, np.float32)[..., :3] / np.float32(255)

    def thickness(self) -> Array:
        """The thickness of the paint, `(n, n)`."""
        return np.asarray(self.image, np.float32)[..., 3] / np.float32(255)


def _bytes(values: Array) -> NDArray[np.uint8]:
    return np.asarray(np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def mask(n: int, outlines: Sequence[Array] | Array, *, soft: float = 0.0) -> Array:
    """Cover of closed outlines: 1 inside, 0 outside, `(n, n)`. `soft` blurs it, in unit coordinates."""
    image = Image.new("L", (n, n), 0)
    draw = ImageDraw.Draw(image)
    for outline in outlines:
        draw.polygon((np.asarray(outline) * n - 0.5).ravel().tolist(), fill=255)
    cover = np.asarray(image, np.float32) / np.float32(255)
    return blur(cover, soft) if soft else cover


# ----------------------------------------------------------------------------------------------- light, paper


def relief(picture: Array, height: Array, *, strength: float = 1.0, gloss: float = 0.0, angle: float = 225.0) -> Array:
    """Light a picture from the side, as if `height` were its surface: lit and shadowed edges of thick paint.

    Args:
        picture: `(n, n, 3)`.
        height: `(n, n)`, in [0, 1]; a height of 1 stands for about 1/60 of the side of the canvas.
        strength: contrast of the light.
        gloss: strength of the white highlights.
        angle: where the light comes from, in degrees clockwise from the right; 225 is the upper left.

    Returns:
        The lit picture `(n, n, 3)`, not clipped.
    """
    n = height.shape[0]
    dy, dx = np.gradient(height * (n / 60))
    to = np.deg2rad(angle)
    # Slope towards the light: positive on the lit side of a ridge.
    slope = -(np.cos(to) * dx + np.sin(to) * dy) * np.float32(strength)
    slope = slope / np.sqrt(1 + slope * slope)
    lit = picture * (1 + 0.55 * slope)[..., None]
    if gloss:
        lit = lit + (gloss * np.clip(slope - 0.25, 0, 1) ** 2)[..., None]
    return np.asarray(lit, np.float32)


def paper(n: int, seed: int, *, fibres: int = 0, grain: float = 1.0) -> Array:
    """The tooth of a sheet of paper: fine grain, soft clouds and, if wanted, single fibres.

    Args:
        n: canvas size in pixels.
        seed: seed of the sheet.
        fibres: number of long fibres, as in rice paper.
        grain: strength of the grain.

    Returns:
        Array `(n, n)` with mean about 0, mostly within [-1, 1]; add a few hundredths of it to a picture.
    """
    surface = grain * (0.6 * noise(n, 240, seed) + 0.4 * noise(n, 110, seed + 1)) + 0.35 * fractal(n, 4, seed + 2)
    if fibres:
        rng = np.random.default_rng(seed + 3)
        flow = curl(fractal(128, 6, seed + 4, octaves=2))
        lines = streamlines(*flow, rng.uniform(0, 1, (fibres, 2)).astype(np.float32), rng.uniform(0.01, 0.09, fibres))
        image = Image.new("L", (n, n), 128)
        draw = ImageDraw.Draw(image)
        shades = rng.integers(40, 230, fibres).tolist()
        for line, shade in zip(ribbons(lines, 0.0009), shades, strict=True):
            draw.polygon((line * n - 0.5).ravel().tolist(), fill=shade)
        surface = surface + (np.asarray(image).astype(np.float32) / 128 - 1)
    return np.asarray(surface, np.float32)


def weave(n: int, seed: int, *, threads: float = 170) -> Array:
    """The weave of linen: crossing threads, a little uneven. Array `(n, n)`, within about [-1, 1]."""
    x, y = grid(n)
    wander = 0.0012 * noise(n, 12, seed)
    turns = np.float32(2 * np.pi * threads)
    warp, weft = np.sin(turns * (x + wander)), np.sin(turns * (y + wander))
    return np.asarray(0.4 * (warp + weft) + 0.3 * warp * weft + 0.25 * noise(n, 90, seed + 1), np.float32)
