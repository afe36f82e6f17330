"""Paintings made of areas: panes, planes, facets, bands of ink and little stones.

Each painting is a function from a size in pixels to a picture `(size, size, 3)`, float32 in [0, 1], and is the same
painting at every size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.interpolate import PchipInterpolator
from scipy.spatial import Voronoi, cKDTree
from skimage.feature import peak_local_max
from skimage.measure import find_contours

from paintings.canvas import (
    Array,
    Canvas,
    Painting,
    blur,
    ellipses,
    fractal,
    grid,
    mask,
    mix,
    noise,
    palette,
    paper,
    ramp,
    relief,
    resize,
    ribbons,
    sample,
    smoothstep,
    supersampled,
    weave,
)

Labels = NDArray[np.int32]


# ---------------------------------------------------------------------------------------------------- areas, borders


def _areas(
    n: int, outlines: Sequence[Array] | Array, numbers: Sequence[int] | NDArray[np.int64], base: int = 0
) -> Labels:
    """Number every pixel by the last outline that covers it, `base` where there is none. Shape `(n, n)`."""
    image = Image.new("I", (n, n), base)
    draw = ImageDraw.Draw(image)
    for outline, number in zip(outlines, numbers, strict=True):
        draw.polygon((np.asarray(outline) * n - 0.5).ravel().tolist(), fill=int(number))
    return np.asarray(image, np.int32)


def _cells(points: Array) -> list[Array]:
    """Voronoi cells of points `(N, 2)`, as outlines; a ring of far points closes the outer cells."""
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    far = 0.5 + 6 * np.stack([np.cos(turn), np.sin(turn)], -1)
    diagram = Voronoi(np.concatenate([points, far]))
    return [diagram.vertices[diagram.regions[diagram.point_region[i]]].astype(np.float32) for i in range(len(points))]


def _to_border(labels: Labels) -> Array:
    """Distance of every pixel to the nearest border between two areas, in unit coordinates."""
    inner = np.ones(labels.shape, bool)
    inner[:, 1:] &= labels[:, 1:] == labels[:, :-1]
    inner[1:] &= labels[1:] == labels[:-1]
    distance = ndimage.distance_transform_edt(inner).astype(np.float32)
    return ndimage.gaussian_filter(distance, 1.3) / np.float32(labels.shape[0])  # smooths the stairs of the pixels


def _warped(labels: Labels, dx: Array, dy: Array) -> Labels:
    """Shift every pixel of a map of areas by (dx, dy) in unit coordinates: straight borders become hand-drawn ones."""
    n = labels.shape[0]
    row, column = np.mgrid[:n, :n]
    row = np.clip(row + np.rint(dy * n).astype(np.intp), 0, n - 1)
    column = np.clip(column + np.rint(dx * n).astype(np.intp), 0, n - 1)
    return labels[row, column]


def _mirrored(field: Array, u: ArrayLike, v: ArrayLike) -> Array:
    """Read a field as if it covered the whole plane, every other copy mirrored, so that no seam shows."""
    a, b = (1 - np.abs(np.mod(np.asarray(t, np.float32), 2) - 1) for t in (u, v))
    return sample(field, a, b)


def _glow(picture: Array, radius: float) -> Array:
    """A wide blur of a picture `(n, n, 3)`, made on a quarter of its size."""
    n = picture.shape[0]
    soft = blur(resize(picture, n // 4), radius)
    channels = [Image.fromarray(soft[..., c]).resize((n, n), Image.Resampling.BICUBIC) for c in range(3)]
    return np.stack([np.asarray(c) for c in channels], -1)


def _disc(x: float, y: float, radius: float, corners: int = 96) -> Array:
    return ellipses(np.array([[x, y]], np.float32), 2 * radius, 2 * radius, 0.0, corners=corners)[0]


def _bar(start: ArrayLike, end: ArrayLike, width: float, taper: float = 1.0) -> Array:
    """A straight line `width` wide at its start and `taper` times as wide at its end."""
    return ribbons(np.array([[start, end]], np.float32), [[width, width * taper]], taper=0)[0]


def _petals(x: float, y: float, count: int, rings: Sequence[tuple[float, float, float]], turn: float) -> list[Array]:
    """Sectors of a ring around (x, y): `rings` lists (fraction of the sector, inner radius, outer radius) across it."""
    across, inner, outer = np.array(rings).T
    shapes = []
    for i in range(count):
        angle = turn + 2 * np.pi * (i + across) / count
        out = np.stack([x + outer * np.cos(angle), y + outer * np.sin(angle)], -1)
        back = np.stack([x + inner * np.cos(angle), y + inner * np.sin(angle)], -1)[::-1]
        shapes.append(np.concatenate([out, back]).astype(np.float32))
    return shapes


# ------------------------------------------------------------------------------------------------------ stained glass


@supersampled
def glass(n: int) -> Array:
    """Stained glass: jewel-coloured panes that glow between dark leads, thick around figures and thin within them."""
    rng = np.random.default_rng(11)
    x, y = grid(n)
    sun = (0.6, 0.36)

    # The sky is cut into stones that circle the sun, the land into beds that lie flat.
    radii = 0.30 + 0.07 * np.arange(11)
    sky = [
        np.add(sun, (r * np.cos(a), r * np.sin(a)))
        for i, r in enumerate(radii)
        for a in 2 * np.pi * (np.arange(14 + 3 * i) + rng.uniform(-0.3, 0.3, 14 + 3 * i)) / (14 + 3 * i) + 0.4 * i
    ]
    land = np.stack(np.meshgrid(np.arange(-0.05, 1.1, 0.115), np.arange(0.55, 1.1, 0.062)), -1)
    land[1::2, :, 0] += 0.057
    land = (land + rng.uniform(-0.022, 0.022, land.shape)).reshape(-1, 2)
    sky_cells, land_cells = _cells(np.array(sky)), _cells(land)
    cells_up = _areas(n, sky_cells, range(len(sky_cells)))
    cells_down = _areas(n, land_cells, range(len(land_cells)))

    # Figures, from the back to the front: 0 sky, 1-3 hills, 4 river, 5 cypresses.
    at = np.linspace(-0.02, 1.02, 80)
    hills = [
        0.60 + 0.035 * np.sin(7.5 * at + 0.5) + 0.03 * np.sin(15 * at),
        0.69 + 0.05 * np.sin(5.5 * at + 3.4),
        0.80 + 0.055 * np.sin(5.0 * at + 0.6),
    ]
    outlines = [np.stack([np.r_[at, 1.02, -0.02], np.r_[h, 1.1, 1.1]], -1) for h in hills]
    down = np.linspace(0, 1, 60)
    bed = 0.50 + 0.16 * np.sin(1.2 + 6.2 * down**0.8) * (0.35 + down)
    width = 0.012 + 0.12 * down**1.5
    depth = 0.63 + 0.4 * down
    outlines.append(np.stack([np.r_[bed - width, (bed + width)[::-1]], np.r_[depth, depth[::-1]]], -1))
    for foot, base, height, half in ((0.165, 0.86, 0.66, 0.062), (0.30, 0.80, 0.36, 0.042)):
        up = np.linspace(0, 1, 40)
        bulge = half * np.sin(np.pi * up**0.62) ** 0.8 * (1 + 0.12 * np.sin(21 * up))
        lean = foot + 0.018 * np.sin(4 * up)
        outlines.append(
            np.stack(
                [
                    np.r_[lean - bulge, (lean + bulge)[::-1]],
                    np.r_[base - height * up, (base - height * up)[::-1]],
                ],
                -1,
            )
        )
    figure = _areas(n, outlines, [1, 2, 3, 4, 5, 5])
    cell = np.where((figure == 0), cells_up, cells_down)
    # The river is cut across its flow, the cypresses into flames.
    cell = np.where(
        figure == 4, np.floor(np.clip(y - 0.6, 0, 1) ** 0.7 * 22 + 0.5 * np.sin(9 * x)).astype(np.int32), cell
    )
    flame = np.floor((y + 0.25 * np.abs(x - np.where(x < 0.235, 0.172, 0.306))) / 0.058) * 2 + (
        x > np.where(x < 0.235, 0.172, 0.306)
    )
    cell = np.where(figure == 5, flame.astype(np.int32) + 200 * (x < 0.235), cell)
    labels = (figure * 1000 + cell).astype(np.int32)

    # The sun: rays, two rings of petals and a heart; then the frame.
    rose: list[Array] = []
    rose += _petals(*sun, 16, [(0, 0.18, 0.20), (0.5, 0.18, 0.30), (1, 0.18, 0.20)], 0.0)
    rose += _petals(
        *sun,
        16,
        [(0, 0.12, 0.200), (0.25, 0.12, 0.215), (0.5, 0.12, 0.220), (0.75, 0.12, 0.215), (1, 0.12, 0.200)],
        np.pi / 16,
    )
    rose += _petals(
        *sun,
        8,
        [(0, 0.05, 0.105), (0.2, 0.05, 0.135), (0.5, 0.05, 0.150), (0.8, 0.05, 0.135), (1, 0.05, 0.105)],
        0.1,
    )
    rose += [_disc(*sun, 0.060), _disc(*sun, 0.032)]
    numbers = np.r_[6000 + np.arange(16), 6100 + np.arange(16), 6200 + np.arange(8), 6300, 6301]
    rose_labels = _areas(n, [_disc(*sun, 0.185), *rose], np.r_[6100, numbers], -1)
    labels = np.where(rose_labels >= 0, rose_labels, labels)
    labels = _warped(
        labels,
        0.010 * noise(n, 5, 3) + 0.002 * noise(n, 16, 4),
        0.010 * noise(n, 5, 5) + 0.002 * noise(n, 16, 6),
    )
    edge = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    side = np.where(np.minimum(y, 1 - y) < np.minimum(x, 1 - x), x, y)
    corner = np.maximum(np.minimum(x, 1 - x), np.minimum(y, 1 - y)) < 0.062
    step = np.floor((side - 0.062) / 0.073).astype(np.int32)
    quarter = (y < x).astype(np.int32) * 2 + (y < 1 - x)
    border = np.where(corner, 7900 + quarter * 4 + (x < 0.5) * 2 + (y < 0.5), 7000 + quarter * 20 + step)
    labels = np.where(edge < 0.062, border, labels)

    # Colours, pane by pane.
    unique, inverse = np.unique(labels, return_inverse=True)
    pane = inverse.reshape(n, n)
    count = len(unique)
    size = np.bincount(pane.ravel(), minlength=count)
    middle = np.stack([np.bincount(pane.ravel(), t.ravel(), count) / size for t in (x, y)], -1)
    kind, number = unique // 1000, unique % 1000
    away = np.hypot(*(middle - sun).T)
    shuffle = rng.uniform(0, 1, (1400, 3))[(unique * 7) % 1400]
    pick = shuffle[:, 0]
    skies = palette("#e8407a", "#a030c0", "#4a3fe0", "#1a62e8", "#0f3fd0", "#0a55c8", "#0b2aa0", "#0a1f78")
    greens = palette("#0b6b3a", "#2fae3f", "#9ad12c", "#0f8f6a", "#e3d327")
    colour = ramp((away - 0.27) / 0.36 + 0.30 * (pick - 0.5), skies)
    tables = {
        1: palette("#5b2aa0", "#7a35c0", "#3c3fc4", "#a13aa8"),
        2: greens[[0, 3, 1, 3]],
        3: greens[[1, 2, 4, 1, 3]],
        4: palette("#27d3e6", "#8df0ee", "#149ad8", "#d9fff4", "#1fb7c9"),
        5: palette("#064a35", "#0a6a43", "#0d8054", "#053a3a"),
    }
    for key, table in tables.items():
        mine = kind == key
        colour[mine] = table[(pick[mine] * len(table)).astype(int)]
    fire = palette("#ffd21f", "#ff9d0a", "#d8123a", "#f4451c", "#ffc21a", "#ff7a12", "#fff3b0", "#e01048")
    ring = number // 100
    mine = kind == 6
    colour[mine] = fire[np.minimum(2 * ring + (number % 100) % 2, 7)][mine]
    frame = palette("#c4102e", "#1230b4", "#f2b01e", "#1230b4")
    mine = kind == 7
    colour[mine] = np.where((number >= 900)[:, None], palette("#12a06a"), frame[(number % 20) % 4])[mine]
    colour *= (0.82 + 0.4 * shuffle[:, 1:2]).astype(np.float32)
    stained = colour[pane]

    # Within the pane: streaks of the blown glass, a hammered surface, seeds (air bubbles), a slope of thickness.
    angle = (2 * np.pi * shuffle[:, 2]).astype(np.float32)
    c, s = np.cos(angle)[pane], np.sin(angle)[pane]
    u, v = c * x + s * y, c * y - s * x
    streak = _mirrored(fractal(512, (5, 22), 21, octaves=4, gain=0.6), u + 0.05 * noise(n, 9, 22) + 3 * c, v)
    hammer = noise(n, 95, 23)
    ripple = 1 - np.abs(fractal(n, 17, 24, octaves=3, gain=0.7))
    slope = (u - (c * middle[pane, 0] + s * middle[pane, 1])).astype(np.float32) / 0.08
    glow = np.exp(-((x - sun[0]) ** 2 + (y - sun[1]) ** 2) / 0.16)
    light = (
        0.60
        + 0.40 * streak
        + 0.16 * slope.clip(-1, 1)
        + 0.32 * glow
        + 0.15 * hammer
        + 0.17 * smoothstep(0.6, 1, ripple) ** 2
    )
    bubbles = smoothstep(0.72, 0.95, noise(n, 150, 25))
    light = light + 0.35 * bubbles * smoothstep(-0.2, 0.6, noise(n, 12, 26))

    lead = _to_border(labels)
    strong = _to_border(
        np.where((labels // 1000 == 7), 70, np.where(labels // 1000 == 6, 60, labels // 1000)).astype(np.int32)
    )
    light *= 0.45 + 0.55 * smoothstep(0.002, 0.02, lead)  # old putty darkens the rim of a pane
    # Thick glass lets its own colour through: colour ** (thickness), brightest in the middle.
    lit = (
        np.clip(stained, 0.004, 1) ** (1.5 - 0.55 * np.clip(light, 0, 1.4))[..., None]
        * np.clip(light, 0, None)[..., None]
        * 1.15
    )
    lit += np.clip(light - 1.02, 0, 1)[..., None] * np.float32(0.5)

    # The lead: a round bar, lit from the upper left, dull and pitted.
    uneven = 1 + 0.25 * noise(n, 22, 27)
    thin, thick = 0.0040 * uneven, 0.0078 * uneven
    depth_in = np.maximum(1 - lead / thin, 1 - strong / thick)
    bar = smoothstep(0, 0.25, depth_in)
    round_bar = np.sqrt(np.clip(1 - (1 - depth_in.clip(0, 1)) ** 2, 0, 1))
    gy, gx = np.gradient(round_bar * n / 130)
    shine = np.clip(gx + gy, -1, 1)
    metal = (
        palette("#15161c")[0] * (1 + 0.5 * noise(n, 120, 28))[..., None]
        + np.clip(shine, 0, 1)[..., None] * palette("#5d6478")[0] * 0.8
    )
    picture = mix(lit, metal, bar)
    # Halation: strong light spills over the lead.
    spill = _glow(np.clip(lit * (1 - bar[..., None]), 0, 1), 0.012)
    return np.asarray(picture + spill * spill * 0.35, np.float32)


# ------------------------------------------------------------------------------------------------------- geometry


class _Sheet:
    """A primed board for washes: transparent colour that gathers at the rim of a shape and settles in the grain."""

    def __init__(self, n: int, ground: Array, grain: Array) -> None:
        self.n = n
        self.picture = ground
        self.grain = grain
        self.x, self.y = grid(n)
        # A line drawn by hand is never quite straight.
        self.x = self.x + np.float32(0.0012) * noise(n, 9, 901)
        self.y = self.y + np.float32(0.0012) * noise(n, 9, 902)

    def _lay(
        self,
        part: tuple[slice, slice],
        distance: Array,
        colour: str,
        *,
        opacity: float,
        body: float,
        rim: float,
        fade: tuple[float, float] | None,
    ) -> None:
        """Lay colour where `distance` (unit coordinates, on the part of the sheet) is negative."""
        cover = np.clip(0.5 - distance * (self.n / 1.6), 0, 1)
        if fade is not None:
            # Sprayed on: dense on one side, thinning out to single specks on the other.
            x, y = self.x[part], self.y[part]
            t = (x - x.min()) / np.ptp(x) * np.cos(fade[0]) + (y - y.min()) / np.ptp(y) * np.sin(fade[0])
            t = (t - t.min()) / np.ptp(t)
            cover = cover * smoothstep(-0.35, 0.35, fade[1] + 0.75 * (1 - 1.6 * t) + 0.55 * self.grain[part])
        gathered = np.exp(-np.abs(distance) / np.float32(0.0035))
        density = cover * np.clip(opacity * (1 + 0.16 * self.grain[part] + rim * gathered), 0, 1)
        ink = palette(colour)[0]
        under = self.picture[part]
        # A glaze multiplies what lies below, body colour replaces it.
        glaze = under * (1 - density[..., None] * (1 - ink))
        self.picture[part] = mix(glaze, mix(under, ink * (1 + 0.10 * self.grain[part])[..., None], density), body)

    def _box(self, low: ArrayLike, high: ArrayLike, margin: float) -> tuple[slice, slice]:
        x0, y0 = np.clip(np.floor((np.asarray(low) - margin) * self.n), 0, self.n - 1).astype(int)
        x1, y1 = np.clip(np.ceil((np.asarray(high) + margin) * self.n), 1, self.n).astype(int)
        return slice(y0, max(y1, y0 + 1)), slice(x0, max(x1, x0 + 1))

    def circle(
        self,
        centre: tuple[float, float],
        radius: float,
        colour: str,
        *,
        line: float = 0.0,
        opacity: float = 0.85,
        body: float = 0.0,
        rim: float = 0.25,
        fade: tuple[float, float] | None = None,
        sector: tuple[float, float] | None = None,
    ) -> None:
        """A disc, a ring of width `line`, or the sector of either between two angles in radians."""
        part = self._box(np.subtract(centre, radius), np.add(centre, radius), line + 0.006)
        dx, dy = self.x[part] - centre[0], self.y[part] - centre[1]
        distance = np.sqrt(dx * dx + dy * dy) - radius
        if line:
            distance = np.abs(distance) - line / 2
        if sector is not None:
            turn = np.arctan2(dy, dx) - sum(sector) / 2
            turn = np.abs((turn + np.pi) % (2 * np.pi) - np.pi) - (sector[1] - sector[0]) / 2
            distance = np.maximum(distance, turn * radius)
        self._lay(part, distance.astype(np.float32), colour, opacity=opacity, body=body, rim=rim, fade=fade)

    def halo(self, centre: tuple[float, float], inner: float, outer: float, colour: str, opacity: float = 0.9) -> None:
        """A glow around a disc, sprayed."""
        part = self._box(np.subtract(centre, outer), np.add(centre, outer), 0.0)
        distance = np.hypot(self.x[part] - centre[0], self.y[part] - centre[1])
        t = smoothstep(outer, inner, distance + 0.12 * (outer - inner) * self.grain[part])
        self.picture[part] = mix(self.picture[part], palette(colour)[0], opacity * t * t)

    def polygon(
        self,
        corners: Sequence[tuple[float, float]] | Array,
        colour: str,
        *,
        opacity: float = 0.85,
        body: float = 0.0,
        rim: float = 0.25,
        fade: tuple[float, float] | None = None,
    ) -> None:
        """A closed shape with straight sides."""
        points = np.asarray(corners, np.float32)
        part = self._box(points.min(0), points.max(0), 0.006)
        x, y = self.x[part], self.y[part]
        nearest = np.full(x.shape, 9, np.float32)
        inside = np.zeros(x.shape, bool)
        for (ax, ay), (bx, by) in zip(points.tolist(), np.roll(points, -1, 0).tolist(), strict=True):
            ex, ey = bx - ax, by - ay
            if ex == ey == 0:  # the point of a wedge
                continue
            t = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
            nearest = np.minimum(nearest, (x - ax - t * ex) ** 2 + (y - ay - t * ey) ** 2)
            if ay != by:
                inside ^= ((ay > y) != (by > y)) & (x < ax + ex * (y - ay) / ey)
        distance = np.where(inside, -1, 1).astype(np.float32) * np.sqrt(nearest)
        self._lay(part, distance, colour, opacity=opacity, body=body, rim=rim, fade=fade)

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        widths: tuple[float, float] = (0.003, 0.003),
        colour: str = "#15131a",
        opacity: float = 0.95,
    ) -> None:
        """A straight line, its width changing from one end to the other."""
        self.polygon(_bar(start, end, widths[0], widths[1] / widths[0]), colour, opacity=opacity, body=0.8, rim=0)

    def curve(self, points: Array, width: float, colour: str = "#15131a") -> None:
        """A drawn curve through points `(P, 2)`, thin at both ends."""
        self.polygon(ribbons(points[None], width)[0], colour, body=0.9, rim=0)

    def checks(
        self,
        corners: Sequence[tuple[float, float]],
        columns: int,
        rows: int,
        colours: Sequence[str],
        *,
        body: float = 0.5,
    ) -> None:
        """A chequered quadrilateral, cells in perspective; "" leaves a cell bare."""
        a, b, c, d = np.asarray(corners, np.float32)

        def at(u: float, v: float) -> Array:
            return (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v

        for i in range(columns):
            for j in range(rows):
                colour = colours[(i + j + (i * j) // 3) % len(colours)]
                if colour:
                    cell = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1)]
                    self.polygon(np.array([at(u / columns, v / rows) for u, v in cell]), colour, body=body)


@supersampled
def geometry(n: int) -> Array:
    """Geometric abstraction of the 1920s: haloed circles, wedges, rays and chequers, glazed over a primed board."""
    x, y = grid(n)
    grain = 0.55 * noise(n, 210, 41) + 0.45 * noise(n, 420, 42) + 0.5 * fractal(n, 14, 43, octaves=4, gain=0.6)
    cloud = fractal(n, 2.5, 44, octaves=4)
    ground = ramp(0.5 + 0.55 * (x - y) + 0.45 * cloud, palette("#b9772f", "#deb066", "#efdba6", "#eac49c", "#c97f6c"))
    ground = mix(
        ground,
        palette("#5f9296")[0],
        0.85 * smoothstep(0.15, 1.25, 1.1 * y - 0.5 * x + 0.35 + 0.35 * cloud) ** 2,
    )
    ground = ground * (1 + 0.045 * grain)[..., None]
    sheet = _Sheet(n, ground.astype(np.float32), grain)

    # The great circle, black in a burning halo.
    sheet.halo((0.27, 0.27), 0.13, 0.275, "#e2572f", 0.95)
    sheet.halo((0.27, 0.27), 0.13, 0.20, "#f7c9a0", 0.8)
    sheet.circle((0.27, 0.27), 0.165, "#17121f", body=0.96, opacity=0.98, rim=0)
    sheet.circle((0.25, 0.25), 0.098, "#5b2b8f", body=0.95, fade=(0.8, 0.55))
    sheet.circle((0.31, 0.31), 0.052, "#b3202c", body=0.9)
    sheet.circle((0.232, 0.215), 0.021, "#f0c23c", body=1)
    sheet.circle((0.27, 0.27), 0.205, "#17121f", line=0.003, body=0.8)

    # Wedges.
    sheet.polygon([(0.03, 0.99), (0.30, 0.97), (0.645, 0.13)], "#3f7fae", opacity=0.8, fade=(-0.9, 0.35))
    sheet.polygon([(0.97, 0.03), (0.60, 0.20), (0.44, 0.93)], "#f0b21c", opacity=0.85, fade=(1.9, 0.3))
    sheet.polygon([(1.0, 0.78), (0.985, 0.93), (0.37, 0.52)], "#b3202c", opacity=0.85, fade=(3.4, 0.45))
    sheet.polygon([(0.06, 0.48), (0.10, 0.60), (0.60, 0.40)], "#1f6b5b", opacity=0.8, fade=(0.2, 0.5))

    # Overlapping discs.
    sheet.circle((0.735, 0.365), 0.135, "#d8452b", opacity=0.86, fade=(0.6, 0.75))
    sheet.circle((0.845, 0.475), 0.110, "#2447a3", opacity=0.86, fade=(2.2, 0.7))
    sheet.circle((0.700, 0.505), 0.090, "#f3c02f", opacity=0.85)
    sheet.circle((0.700, 0.505), 0.034, "#17121f", body=0.95)
    sheet.circle((0.790, 0.330), 0.046, "#1d7f86", opacity=0.9)
    sheet.circle((0.735, 0.365), 0.152, "#17121f", line=0.0025, body=0.8)
    sheet.circle((0.30, 0.745), 0.125, "#1d7f86", opacity=0.8, fade=(4.2, 0.6))
    sheet.circle((0.395, 0.695), 0.082, "#c2336b", opacity=0.8)
    sheet.circle((0.275, 0.790), 0.052, "#f0a01c", opacity=0.9)
    sheet.circle((0.30, 0.745), 0.065, "#17121f", line=0.003, body=0.8)
    sheet.circle((0.30, 0.745), 0.092, "#f4ead2", line=0.004, body=1)

    # Half circles in a row, and targets.
    for i, colour in enumerate(("#b3202c", "#2447a3", "#17121f", "#e08a1e", "#1f6b5b")):
        sheet.circle((0.50 + 0.076 * i, 0.865 - 0.012 * i), 0.036, colour, sector=(-np.pi - 0.16, -0.16), body=0.5)
        sheet.circle(
            (0.50 + 0.076 * i, 0.865 - 0.012 * i),
            0.048,
            "#17121f",
            line=0.0022,
            sector=(-np.pi, 0.3),
            body=0.9,
        )
    for centre, radius, inks in (
        ((0.115, 0.735), 0.046, ("#f3c02f", "#17121f", "#b3202c")),
        ((0.555, 0.115), 0.040, ("#2447a3", "#f4ead2", "#d8452b")),
        ((0.905, 0.215), 0.052, ("#17121f", "#8a2f6b", "#f3c02f")),
        ((0.895, 0.690), 0.036, ("#e9d9a8", "#17121f", "#1d7f86")),
    ):
        sheet.halo(centre, radius, 1.7 * radius, "#f6e6bd", 0.8)
        for share, ink in zip((1.0, 0.68, 0.36), inks, strict=True):
            sheet.circle(centre, radius * share, ink, body=0.92)

    # Chequers and bars.
    sheet.checks(
        [(0.555, 0.60), (0.725, 0.655), (0.70, 0.785), (0.52, 0.755)],
        7,
        5,
        ("#17121f", "#f4ead2", "#b3202c", "", "#2447a3", "#f3c02f", "#1d7f86"),
    )
    sheet.checks(
        [(0.06, 0.055), (0.17, 0.03), (0.155, 0.115), (0.045, 0.135)],
        5,
        4,
        ("#17121f", "#f4ead2", "#d8452b", ""),
    )
    sheet.checks([(0.78, 0.90), (0.965, 0.955), (0.955, 0.985), (0.77, 0.945)], 9, 2, ("#17121f", "#f4ead2"), body=0.9)
    sheet.checks(
        [(0.415, 0.335), (0.50, 0.30), (0.515, 0.40), (0.435, 0.43)],
        4,
        5,
        ("#f4ead2", "#f0b21c", "#17121f", "#1d7f86", ""),
        body=0.8,
    )
    sheet.checks([(0.93, 0.30), (0.975, 0.30), (0.985, 0.60), (0.955, 0.60)], 2, 14, ("#17121f", "#f4ead2", "#b3202c"))

    # A lattice, pennants, and a scatter of small bodies.
    for i in range(7):
        sheet.line((0.405 + 0.016 * i, 0.045 + 0.006 * i), (0.375 + 0.016 * i, 0.165 + 0.006 * i), (0.0022, 0.0022))
        sheet.line((0.400 - 0.004 * i, 0.052 + 0.018 * i), (0.512 - 0.004 * i, 0.088 + 0.018 * i), (0.0022, 0.0022))
    for i, colour in enumerate(("#b3202c", "#2447a3", "#f0b21c", "#17121f", "#1d7f86", "#d8452b")):
        left, top = 0.055 + 0.048 * i, 0.895 - 0.006 * i * (i % 2)
        sheet.polygon([(left, top), (left + 0.040, top + 0.012), (left + 0.008, top + 0.060)], colour, body=0.6)
    sheet.polygon([(0.61, 0.955), (0.69, 0.915), (0.70, 0.985)], "#1f6b5b", fade=(0.5, 0.6))
    sheet.polygon([(0.665, 0.975), (0.735, 0.905), (0.745, 0.965)], "#8a2f6b", opacity=0.8)
    sheet.polygon([(0.04, 0.17), (0.085, 0.155), (0.078, 0.30)], "#2447a3", fade=(1.2, 0.6))
    sheet.polygon([(0.915, 0.055), (0.965, 0.075), (0.935, 0.135)], "#1d7f86", opacity=0.85)
    spots = ("#17121f", "#b3202c", "#2447a3", "#f0b21c", "#8a2f6b", "#1f6b5b", "#d8452b")
    rng = np.random.default_rng(46)
    for i, (px, py) in enumerate(rng.uniform(0.04, 0.96, (46, 2)).tolist()):
        sheet.circle((px, py), float(rng.uniform(0.004, 0.013)), spots[i % 7], body=0.85, line=0.003 * (i % 4 == 0))

    # Rays, staves and arcs.
    for i in range(7):
        sheet.line((0.02 + 0.008 * i, 0.66 - 0.012 * i), (0.985, 0.115 - 0.017 * i), (0.0035 - 0.0003 * i, 0.0012))
    sheet.line((0.385, 0.985), (0.69, 0.025), (0.012, 0.003))
    sheet.line((0.03, 0.345), (0.955, 0.825), (0.0025, 0.010))
    sheet.line((0.50, 0.975), (0.985, 0.60), (0.002, 0.006), "#b3202c")
    for i in range(5):
        sheet.line((0.045 + 0.022 * i, 0.845 + 0.006 * i), (0.105 + 0.022 * i, 0.975), (0.004, 0.002))
    for i in range(9):
        sheet.line(
            (0.635 + 0.022 * i, 0.055 + 0.002 * i * (i % 3)),
            (0.638 + 0.022 * i, 0.085 + 0.012 * (i % 4)),
            (0.005, 0.002),
        )
    for i in range(5):
        sheet.circle(
            (0.475, 0.545),
            0.055 + 0.021 * i,
            "#17121f",
            line=0.0042 - 0.0006 * i,
            sector=(1.9 - 0.05 * i, 3.6 + 0.1 * i),
            body=0.9,
        )
        sheet.circle((0.10, 0.44), 0.020 + 0.012 * i, "#8a2f6b", line=0.004, sector=(-2.4, 0.2), body=0.7)
    t = np.linspace(0, 1, 70)
    sheet.curve(np.stack([0.04 + 0.36 * t, 0.60 + 0.05 * t + 0.021 * np.sin(21 * t) * (1.15 - t)], -1), 0.010)
    sheet.curve(np.stack([0.76 + 0.2 * t, 0.80 + 0.03 * np.sin(11 * t) - 0.05 * t], -1), 0.008, "#2447a3")
    sheet.line((0.80, 0.60), (0.875, 0.865), (0.010, 0.004))
    sheet.line((0.875, 0.865), (0.955, 0.66), (0.004, 0.009))

    board = 1 + 0.030 * grain + 0.030 * weave(n, 45, threads=150)
    return np.asarray(sheet.picture * board[..., None], np.float32)


# ---------------------------------------------------------------------------------------------------------- cubism


def _split(polygon: Array, point: Array, angle: float) -> tuple[Array, Array]:
    """Cut a convex polygon `(P, 2)` in two along the line through `point` at `angle`."""
    side = (polygon - point) @ np.array([-np.sin(angle), np.cos(angle)])
    halves: tuple[list[Array], list[Array]] = ([], [])
    for a, b, p, q in zip(polygon, np.roll(polygon, -1, 0), side, np.roll(side, -1), strict=True):
        halves[int(p > 0)].append(a)
        if (p > 0) != (q > 0):
            crossing = a + (b - a) * p / (p - q)
            halves[0].append(crossing)
            halves[1].append(crossing)
    return np.array(halves[0]), np.array(halves[1])


def _area(polygon: Array) -> float:
    x, y = polygon.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _facets(count: int, angles: NDArray[np.float64], seed: int, pull: float) -> list[Array]:
    """Cut the square into `count` convex facets along a few leading directions; `pull` makes the middle ones small."""
    rng = np.random.default_rng(seed)
    facets = [np.array([[-0.05, -0.05], [1.05, -0.05], [1.05, 1.05], [-0.05, 1.05]])]
    while len(facets) < count:
        weight = [_area(f) * np.exp(-pull * np.sum((f.mean(0) - 0.5) ** 2)) for f in facets]
        facet = facets.pop(int(np.argmax(weight)))
        spread = np.ptp(facet, 0)
        # Of three directions take the one that cuts across the long side, so that few splinters arise.
        options = angles[rng.permutation(len(angles))[:3]] + rng.normal(0, 0.07, 3)
        across = np.abs(np.sin(options) if spread[0] > spread[1] else np.cos(options))
        angle = options[int(np.argmax(across))]
        facets += _split(facet, facet.mean(0) + rng.uniform(-0.16, 0.16, 2) * spread, float(angle))
    return facets


def _turned(u: ArrayLike, v: ArrayLike, foot: tuple[float, float], angle: float) -> Array:
    """Points (u along an axis, v to its right) that starts at `foot` and points at `angle`."""
    c, s = np.cos(angle), np.sin(angle)
    u, v = np.asarray(u), np.asarray(v)
    return np.stack([foot[0] + c * u - s * v, foot[1] + s * u + c * v], -1).astype(np.float32)


def _still_life(n: int) -> Array:
    """A guitar, a bottle, a bowl of fruit, a glass and a sheet of music on a table: what `cubist` breaks up."""
    x, y = grid(n)
    wall = ramp(0.5 + 0.5 * np.sin(7 * x + 2 * y), palette("#4a5a68", "#6d7f8a", "#3a3f48"))
    canvas = Canvas(n, wall)
    ink, cream = palette("#17130f", "#efe3c2")

    def both(outline: Array, colour: str, grow: float = 0.004) -> None:
        middle = outline.mean(0)
        canvas.fill([middle + (outline - middle) * (1 + 2 * grow / np.ptp(outline, 0).max() * 2)], ink)
        canvas.fill([outline], palette(colour)[0])

    # Wall panels, a curtain, the table and its cloth.
    canvas.fill([np.array([[0, 0], [0.24, 0], [0.3, 0.7], [0, 0.8]])], palette("#5b3a22")[0])
    for i in range(7):
        canvas.fill(
            [_bar((0.02 + 0.036 * i, 0), (0.03 + 0.04 * i, 0.75), 0.013)],
            palette("#8a5a2e", "#33211a")[i % 2],
        )
    canvas.fill([np.array([[0.72, 0], [1, 0], [1, 0.6], [0.78, 0.6]])], palette("#8d9aa0")[0])
    both(_disc(0.5, 0.86, 0.56) * [1, 0.62] + [0, 0.30], "#b9812f")
    for i in range(14):
        canvas.fill([_bar((0.0, 0.60 + 0.03 * i), (1.0, 0.615 + 0.032 * i), 0.0035)], palette("#7d4f1e")[0])
    both(np.array([[0.50, 0.70], [1.0, 0.66], [1.0, 1.0], [0.60, 1.0]]), "#ded6bd")
    for i in range(6):
        for j in range(4):
            corner = np.array([0.55 + 0.08 * i + 0.015 * j, 0.715 + 0.075 * j - 0.006 * i])
            if (i + j) % 2:
                canvas.fill(
                    [corner + np.array([[0, 0], [0.08, -0.006], [0.095, 0.07], [0.015, 0.075]])],
                    palette("#38608a")[0],
                )

    # The sheet of music.
    sheet = np.array([[0.05, 0.60], [0.29, 0.50], [0.37, 0.80], [0.11, 0.90]])
    both(sheet, "#efe3c2")
    across, down = sheet[1] - sheet[0], sheet[3] - sheet[0]
    for i in range(15):
        start = sheet[0] + 0.06 * across + down * (0.10 + 0.26 * (i // 5) + 0.034 * (i % 5))
        canvas.fill([_bar(start, start + 0.86 * across, 0.0022)], ink)
    for i in range(12):
        head = sheet[0] + across * (0.14 + 0.19 * (i % 4)) + down * (0.13 + 0.26 * (i // 4) + 0.03 * (i * 7 % 4))
        canvas.fill(
            [
                _disc(head[0], head[1], 0.0085, 14),
                _bar(np.add(head, (0.007, 0)), np.add(head, (0.007, -0.05)), 0.003),
            ],
            ink,
        )

    # The bottle.
    up = np.linspace(0, 1, 60)
    half = 0.078 - 0.052 * smoothstep(0.52, 0.70, up) + 0.008 * smoothstep(0.95, 0.96, up)
    both(
        np.concatenate(
            [
                _turned(0.56 * up, half, (0.76, 0.74), -np.pi / 2),
                _turned(0.56 * up, -half, (0.76, 0.74), -np.pi / 2)[::-1],
            ]
        ),
        "#1f4a46",
    )
    canvas.fill([_turned(0.56 * up, -0.3 * half, (0.76, 0.74), -np.pi / 2)[8:]], palette("#7fb09a")[0])
    canvas.fill(
        [
            np.concatenate(
                [
                    _turned(0.52 * up, 0.75 * half, (0.76, 0.72), -np.pi / 2),
                    _turned(0.52 * up, 0.5 * half, (0.76, 0.72), -np.pi / 2)[::-1],
                ]
            )
        ],
        palette("#79a99a")[0],
    )
    both(np.array([[0.69, 0.52], [0.83, 0.52], [0.83, 0.65], [0.69, 0.65]]), "#c9472b", 0.003)
    canvas.fill(
        [
            _bar((0.70, 0.545), (0.82, 0.545), 0.012),
            _bar((0.70, 0.60), (0.82, 0.60), 0.03),
            _bar((0.70, 0.635), (0.79, 0.635), 0.006),
        ],
        cream,
    )

    # The guitar: body, rosette, bridge, neck, frets, strings, head.
    foot, angle = (0.20, 0.86), -1.02
    body = PchipInterpolator(
        [0, 0.02, 0.08, 0.24, 0.42, 0.56, 0.76, 0.92, 0.985, 1],
        [0, 0.07, 0.135, 0.178, 0.142, 0.108, 0.128, 0.108, 0.05, 0.03],
    )
    s = np.linspace(0, 1, 90)
    both(
        np.concatenate([_turned(0.46 * s, body(s), foot, angle), _turned(0.46 * s, -body(s), foot, angle)[::-1]]),
        "#d9962f",
        0.006,
    )
    inner = 0.8 * body(s)
    canvas.fill(
        [
            np.concatenate(
                [
                    _turned(0.02 + 0.42 * s, inner, foot, angle),
                    _turned(0.02 + 0.42 * s, 0 * s + 0.012, foot, angle)[::-1],
                ]
            )
        ],
        palette("#a65e20")[0],
    )
    for i in range(9):
        grain = inner * (0.15 + 0.09 * i) + 0.004 * np.sin(14 * s + i)
        canvas.fill(
            [
                np.concatenate(
                    [
                        _turned(0.02 + 0.42 * s, grain, foot, angle),
                        _turned(0.02 + 0.42 * s, grain - 0.0025, foot, angle)[::-1],
                    ]
                )
            ],
            palette("#6e3a14")[0],
        )
    hole = _turned(0.275, 0, foot, angle)
    for radius, colour in ((0.066, "#17130f"), (0.060, "#efe3c2"), (0.054, "#a23c20"), (0.047, "#17130f")):
        canvas.fill([_disc(float(hole[0]), float(hole[1]), radius)], palette(colour)[0])
    both(_turned([0.27, 0.80, 0.80, 0.27], [-0.026, -0.021, 0.021, 0.026], foot, angle), "#2b1c16")
    for i in range(14):
        u = 0.44 + 0.36 * (1 - 0.9**i) / (1 - 0.9**13)
        canvas.fill(
            [_turned([u, u + 0.004, u + 0.004, u], [-0.025, -0.025, 0.025, 0.025], foot, angle)],
            palette("#cfc4a2")[0],
        )
    both(_turned([0.80, 0.93, 0.94, 0.80], [-0.026, -0.042, 0.042, 0.026], foot, angle), "#7d3a1c")
    for i in range(6):
        peg = _turned(0.825 + 0.038 * (i % 3), 0.055 * (1 - 2 * (i // 3)), foot, angle)
        canvas.fill([_disc(float(peg[0]), float(peg[1]), 0.012, 20)], cream)
    both(_turned([0.085, 0.115, 0.115, 0.085], [-0.075, -0.075, 0.075, 0.075], foot, angle), "#2b1c16", 0.001)
    for v in np.linspace(-0.019, 0.019, 6):
        canvas.fill(
            [_turned([0.10, 0.86, 0.86, 0.10], [v - 0.0011, v - 0.0009, v + 0.0009, v + 0.0011], foot, angle)],
            cream,
        )

    # The bowl of fruit and the glass.
    for fx, fy, radius, colour in (
        (0.60, 0.735, 0.052, "#c9472b"),
        (0.685, 0.725, 0.056, "#d8a02a"),
        (0.645, 0.690, 0.045, "#7d8f3a"),
        (0.735, 0.742, 0.044, "#5b2f4e"),
    ):
        both(_disc(fx, fy, radius), colour)
        canvas.fill([_disc(fx - 0.3 * radius, fy - 0.3 * radius, 0.42 * radius)], mix(palette(colour)[0], cream, 0.5))
    rim = np.linspace(0, np.pi, 40)
    both(np.stack([0.665 + 0.145 * np.cos(rim), 0.765 + 0.105 * np.sin(rim) ** 0.7], -1), "#e9e2cf")
    canvas.fill(
        [_bar((0.54, 0.795), (0.79, 0.795), 0.012), _bar((0.565, 0.825), (0.765, 0.825), 0.006)],
        palette("#38608a")[0],
    )
    both(np.array([[0.40, 0.66], [0.50, 0.66], [0.475, 0.88], [0.425, 0.88]]), "#a9bcc0")
    canvas.fill([np.array([[0.412, 0.74], [0.488, 0.74], [0.472, 0.87], [0.428, 0.87]])], palette("#a23c20")[0])
    canvas.fill([_bar((0.415, 0.67), (0.43, 0.87), 0.008)], cream)
    return canvas.colour()


@supersampled
def cubist(n: int) -> Array:
    """Cubism: a still life broken into shaded, hatched facets that each see it from another side."""
    x, y = grid(n)
    rng = np.random.default_rng(57)
    leading = np.deg2rad([83, 97, 38, -34, 58, 8, -62])
    facets = _facets(118, leading, 52, 3.4)
    planes = _facets(13, leading, 57, 0.5)

    count = len(facets)
    label, plane = _areas(n, facets, range(count)), _areas(n, planes, range(len(planes)))
    middle = np.array([f.mean(0) for f in facets], np.float32)
    reach = np.array([np.sqrt(_area(f)) for f in facets], np.float32)
    dx, dy = x - middle[label, 0], y - middle[label, 1]

    # Every facet shows the still life shifted, turned and stretched.
    turn, shift = rng.normal(0, 0.13, count), rng.normal(0, 0.022, (count, 2))
    zoom = rng.uniform(0.82, 1.06, count)
    c, s = ((zoom * f(turn)).astype(np.float32)[label] for f in (np.cos, np.sin))
    at = (middle + shift).astype(np.float32)
    colour = sample(_still_life(n), at[label, 0] + c * dx - s * dy, at[label, 1] + s * dx + c * dy)

    # Its own tint, and a shade that falls off from one edge to the other.
    tints = palette(
        "#c58a35",
        "#7a4a22",
        "#6f8793",
        "#efe0b8",
        "#3b2a20",
        "#9aa7a6",
        "#b5542c",
        "#56623f",
        "#e3b766",
        "#2f4658",
    )
    tint = tints[rng.integers(0, len(tints), count)]
    strength = rng.uniform(0.08, 0.60, count).astype(np.float32)
    colour = mix(colour, tint[label], strength[label])
    lean = rng.choice(leading, count) + rng.choice([-1, 1], count) * np.pi / 2
    fall = (np.cos(lean).astype(np.float32)[label] * dx + np.sin(lean).astype(np.float32)[label] * dy) / reach[label]
    shade = 1.0 + 0.80 * np.clip(fall, -0.72, 0.72)
    broad = np.array([p.mean(0) for p in planes], np.float32)
    tilt = rng.uniform(0, 2 * np.pi, len(planes)).astype(np.float32)
    over = (np.cos(tilt)[plane] * (x - broad[plane, 0]) + np.sin(tilt)[plane] * (y - broad[plane, 1])) / 0.25
    shade = shade * (1 + 0.26 * np.clip(over, -1, 1))

    # Short parallel dabs in staggered rows, with the marks of the bristles.
    heading = rng.choice(leading, count) + rng.normal(0, 0.15, count)
    c, s = (f(heading).astype(np.float32)[label] for f in (np.cos, np.sin))
    u, v = c * dx + s * dy, c * dy - s * dx
    coarse = rng.uniform(0.7, 1.5, count).astype(np.float32)[label]
    v = v / (0.0125 * coarse) + 0.45 * noise(n, 30, 58)
    row = np.floor(v)
    chance = rng.uniform(-1, 1, 8192).astype(np.float32)
    order = row.astype(np.int32) * 131 + label * 977
    u = u / (0.042 * coarse) + 3 * chance[order % 8192]
    dab = chance[(order + np.floor(u).astype(np.int32) * 53) % 8192]
    edge = np.minimum(v - row, 1 - (v - row)) * np.minimum(1, 4.5 * np.minimum(u - np.floor(u), 1 - (u - np.floor(u))))
    bristle = _mirrored(noise(768, (14, 230), 59), 0.11 * u + 0.3 * dab, 0.022 * v)
    colour = colour * (shade * (1 + 0.16 * dab + 0.09 * bristle))[..., None]
    warm = palette("#e8b15a", "#5f7f95")
    colour = mix(colour, mix(warm[1], warm[0], 0.5 + 0.5 * np.sign(dab)), 0.16 * np.abs(dab))

    # Edges: now a dark contour, now a light one, now open ("passage").
    border = _to_border(label)
    pressure = smoothstep(-0.55, 0.35, fractal(n, 7, 60, octaves=2))
    contour = pressure * smoothstep(0.0030, 0.0008, border + 0.0008 * noise(n, 200, 61))
    gleam = (1 - pressure) * smoothstep(0.006, 0.002, border) * smoothstep(-0.2, 0.3, fall)
    under = smoothstep(0.022, 0.0, border) * smoothstep(0.25, -0.25, fall)
    colour = mix(colour * (1 - 0.52 * under)[..., None], palette("#f3e6c3")[0], 0.6 * gleam)
    colour = mix(colour, palette("#17130f")[0], 0.88 * contour)
    height = 0.35 * np.sqrt(np.clip(edge, 0, 1)) + 0.14 * bristle + 0.16 * dab
    return relief(colour, 0.16 * height, strength=0.9, gloss=0.12)


# ---------------------------------------------------------------------------------------------------------- marbling


def _comb(
    x: Array,
    y: Array,
    angle: float,
    spacing: float,
    pull: float,
    sharpness: float,
    *,
    offset: float = 0.0,
    sway: float = 0.0,
) -> tuple[Array, Array]:
    """Where the ink at (x, y) floated before a comb was drawn through the bath.

    Args:
        x: unit coordinates.
        y: unit coordinates.
        angle: direction the comb moves in, radians.
        spacing: distance between its teeth.
        pull: how far ink on a tooth's track is dragged along.
        sharpness: how fast the drag dies away from the track, in 1 / spacing.
        offset: where the first tooth is, in spacings.
        sway: how far the comb swings from side to side on its way (a bouquet comb).
    """
    c, s = float(np.cos(angle)), float(np.sin(angle))
    along, across = c * x + s * y, c * y - s * x
    if sway:
        across = across + sway * np.sin(along * (2 * np.pi / (3.4 * spacing)))
    tooth = np.abs(np.mod(across / spacing + offset, 1) - 0.5) * 2  # 1 on the track, 0 half way to the next
    # Drag dies away exponentially from the track, as in a viscous bath.
    drag = pull * np.exp(-sharpness * (1 - tooth))
    return x - c * drag, y - s * drag


def _drop(x: Array, y: Array, centre: tuple[float, float], radius: float) -> tuple[Array, Array, Array]:
    """Where the ink at (x, y) floated before a drop fell and pushed it away; also (r / radius)^2 around the drop."""
    dx, dy = x - centre[0], y - centre[1]
    square = np.maximum(dx * dx + dy * dy, 1e-9) / (radius * radius)
    # r_before = sqrt(r^2 - radius^2)
    back = np.sqrt(np.maximum(1 - 1 / square, 0))
    return centre[0] + dx * back, centre[1] + dy * back, square


def _whirl(x: Array, y: Array, centre: tuple[float, float], radius: float, turn: float) -> tuple[Array, Array]:
    """Undo a swirl of the stylus around a point."""
    dx, dy = x - centre[0], y - centre[1]
    angle = turn * np.exp(-(dx * dx + dy * dy) / (radius * radius))
    c, s = np.cos(angle), np.sin(angle)
    return centre[0] + c * dx - s * dy, centre[1] + s * dx + c * dy


@supersampled
def marble(n: int) -> Array:
    """Marbled paper: bands of floating ink combed into feathers and bouquets, crossed by hair-fine veins."""
    x, y = grid(n)
    rng = np.random.default_rng(77)
    px = x + 0.010 * noise(n, 4, 71) + 0.002 * noise(n, 22, 73)
    py = y + 0.010 * noise(n, 4, 72) + 0.002 * noise(n, 22, 74)

    # Everything done to the bath is undone in turn, last gesture first: stylus, bouquet comb, fine comb, rake.
    for centre, radius, turn in (
        ((0.27, 0.30), 0.17, 2.5),
        ((0.72, 0.68), 0.19, 2.4),
        ((0.83, 0.16), 0.10, -2.6),
    ):
        px, py = _whirl(px, py, centre, radius, turn)
    px, py = _comb(px, py, np.pi / 2, 0.167, 0.075, 3.0, sway=0.045)
    px, py = _comb(px, py, -np.pi / 2, 0.167, 0.075, 3.0, offset=0.5, sway=-0.045)
    px, py = _comb(px, py, np.pi / 2, 0.042, 0.045, 2.2, offset=0.2)
    px, py = _comb(px, py, 0.0, 0.21, 0.17, 2.6)
    px, py = _comb(px, py, np.pi, 0.21, 0.17, 2.6, offset=0.5)

    # Drops of ink, thrown on in many rounds. The last one lies on top, so it is undone and looked up first.
    inks = palette(
        "#10224f",
        "#b5162b",
        "#f2e3bd",
        "#0f6f78",
        "#e2a021",
        "#15131c",
        "#d9572b",
        "#2c56a8",
        "#f7efd9",
        "#6d1440",
    )
    bare = np.ones(x.shape, bool)
    tint = np.zeros(x.shape, np.int32)
    depth = np.zeros(x.shape, np.float32)
    for _ in range(40):
        centre = (float(rng.uniform(-0.1, 1.1)), float(rng.uniform(-0.1, 1.1)))
        radius = float(rng.uniform(0.055, 0.135))
        px, py, square = _drop(px, py, centre, radius)
        fresh = bare & (square < 1)
        rings = 3.2 * square[fresh] ** 0.7
        tint[fresh] = int(rng.integers(0, len(inks))) + 3 * rings.astype(np.int32)
        depth[fresh] = rings % 1
        bare &= ~fresh
    # Where no drop fell floats the first layer, in bands.
    bands = 17 * py[bare] + 1.1 * np.sin(9 * px[bare])
    tint[bare] = np.array([0, 2, 7, 1, 4, 3, 5, 8, 6])[np.floor(bands).astype(np.int32) % 9]
    depth[bare] = bands % 1
    colour = inks[tint % len(inks)]

    # Ink gathers at the rim of a band, and a hair of clear bath stays between two of them.
    gathered = np.abs(2 * depth - 1) ** 3
    speck = noise(n, 330, 75)
    colour = colour * (1.05 - 0.17 * gathered + 0.05 * speck + 0.08 * fractal(n, 12, 76, octaves=4))[..., None]
    colour = mix(colour, palette("#f3e2b4")[0], 0.75 * smoothstep(0.93, 0.99, depth))
    colour = mix(colour, palette("#0c0d16")[0], 0.6 * smoothstep(0.05, 0.01, depth))
    # Pinholes where gall or dust touched the ink, and the tooth of the sheet.
    holes = smoothstep(0.60, 0.80, noise(n, 190, 78)) * smoothstep(-0.1, 0.7, noise(n, 7, 79))
    colour = mix(colour, palette("#f3e2b4")[0], 0.5 * holes)
    return np.asarray(colour * (1 + 0.045 * paper(n, 80))[..., None], np.float32)


# ------------------------------------------------------------------------------------------------------------ mosaic


def _peacock(n: int) -> tuple[Labels, NDArray[np.int32]]:
    """The cartoon for `mosaic`: a number for every area, and for every area its kind.

    Kinds: 0 gold, 1 border, 2 lapis corners, 3 arch, 4 fan, 5 eyes of the feathers, 6 meadow, 7 star, 8 body, 9 wing,
    10 cheek, 11 beak, legs and crest, 12 jewels of the crest, 13 eye.
    """
    shapes: list[Array] = []
    kinds: list[int] = [1]

    def add(outline: Array, kind: int) -> None:
        shapes.append(outline.astype(np.float32))
        kinds.append(kind)

    add(np.array([[0.06, 0.06], [0.94, 0.06], [0.94, 0.94], [0.06, 0.94]]), 2)
    for cx, cy, r in (
        (0.145, 0.145, 0.052),
        (0.855, 0.145, 0.052),
        (0.27, 0.095, 0.022),
        (0.73, 0.095, 0.022),
        (0.095, 0.27, 0.022),
        (0.905, 0.27, 0.022),
    ):
        turn = np.arange(16) * np.pi / 8
        add(
            np.stack(
                [
                    cx + r * np.where(np.arange(16) % 2, 0.5, 1) * np.cos(turn),
                    cy + r * np.where(np.arange(16) % 2, 0.5, 1) * np.sin(turn),
                ],
                -1,
            ),
            7,
        )
    bow = np.linspace(-np.pi, 0, 90)
    for r, kind in ((0.44, 3), (0.40, 0)):
        add(
            np.stack(
                [np.r_[0.5 + r * np.cos(bow), 0.5 + r, 0.5 - r], np.r_[0.51 + r * np.sin(bow), 0.94, 0.94]],
                -1,
            ),
            kind,
        )
    along = np.linspace(0.1, 0.9, 60)
    add(np.stack([np.r_[along, 0.9, 0.1], np.r_[0.845 + 0.012 * np.sin(26 * along), 0.94, 0.94]], -1), 6)

    head = (0.462, 0.392)
    # The fan, scalloped by its outer feathers, and the eyes on them.
    foot, first, last = (0.5, 0.70), np.deg2rad(-196), np.deg2rad(16)
    turn = np.linspace(first, last, 240)
    reach = 0.455 - 0.06 * ((turn + np.pi / 2) / 1.85) ** 2
    scallop = reach + 0.014 * np.abs(np.cos((turn - first) / (last - first) * 13 * np.pi))
    add(
        np.stack(
            [
                np.r_[foot[0] + 0.8 * scallop * np.cos(turn), foot[0]],
                np.r_[foot[1] + scallop * np.sin(turn), foot[1] + 0.05],
            ],
            -1,
        ),
        4,
    )
    around = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for feathers, share, size in ((13, 0.88, 0.038), (11, 0.665, 0.034), (9, 0.475, 0.028), (7, 0.32, 0.020)):
        for angle in first + (np.arange(feathers) + 0.5) / feathers * (last - first):
            length = share * (0.455 - 0.06 * ((angle + np.pi / 2) / 1.85) ** 2)
            centre = (foot[0] + 0.8 * length * np.cos(angle), foot[1] + length * np.sin(angle))
            if np.hypot(centre[0] - head[0], centre[1] - head[1]) > 0.125 or centre[1] > head[1] + 0.05:
                add(_turned(1.15 * size * np.cos(around), size * np.sin(around), centre, float(angle)), 5)

    # The bird, with a nimbus.
    add(_disc(head[0], head[1], 0.092), 7)
    up = np.linspace(0, 1, 50)
    spine = np.stack([0.5 + 0.030 * np.sin(3.6 * up) - 0.045 * up**2, 0.855 - 0.44 * up], -1)
    half = PchipInterpolator([0, 0.08, 0.25, 0.42, 0.62, 0.82, 1], [0.03, 0.085, 0.112, 0.092, 0.045, 0.031, 0.030])(up)
    add(np.concatenate([spine - np.c_[half, 0 * half], (spine + np.c_[half, 0 * half])[::-1]]), 8)
    for side in (-1, 1):
        add(
            _turned(
                0.085 * np.cos(np.linspace(0, 2 * np.pi, 40)),
                0.036 * np.sin(np.linspace(0, 2 * np.pi, 40)),
                (0.515 + 0.062 * side, 0.765),
                np.pi / 2 + 0.28 * side,
            ),
            9,
        )
        add(
            np.array(
                [
                    [0.5 + 0.035 * side, 0.85],
                    [0.513 + 0.035 * side, 0.85],
                    [0.516 + 0.035 * side, 0.905],
                    [0.49 + 0.035 * side, 0.905],
                ]
            ),
            11,
        )
    for angle in (-2.05, -1.62, -1.2, -0.8):
        tip = (head[0] + 0.112 * np.cos(angle), head[1] + 0.112 * np.sin(angle))
        add(_bar(head, tip, 0.012), 8)
        add(_disc(tip[0], tip[1], 0.0155, 20), 12)
    add(_disc(*head, 0.047), 8)
    add(np.array([[0.432, 0.368], [0.428, 0.418], [0.362, 0.412]]), 12)
    add(_disc(head[0] + 0.002, head[1] + 0.002, 0.0245), 10)
    add(_disc(head[0] - 0.002, head[1] - 0.002, 0.0085), 13)
    return _areas(n, shapes, np.arange(1, len(shapes) + 1)), np.array(kinds, np.int32)


@lru_cache(maxsize=1)
def _tesserae() -> tuple[Array, NDArray[np.int32], NDArray[np.int32]]:
    """Set the stones of `mosaic` in rows along the outlines of its areas.

    Returns:
        Outlines `(N, 4, 2)`, the kind of area each stone belongs to `(N,)`, and its row, counted from the rim `(N,)`.
    """
    n = 640
    rng = np.random.default_rng(91)
    areas, kinds = _peacock(n)
    inside = _to_border(areas)
    kind = kinds[areas]
    fine = (kind == 5) | (kind >= 8)
    stones: list[Array] = []
    for side, field in ((0.0108, np.where(fine, inside, 0)), (0.0150, np.where(fine, 0, inside))):
        for row in range(60):
            level = (row + 0.52) * side
            if level > field.max():
                break
            for line in find_contours(field, level):
                path = (line[:, ::-1] + 0.5) / n
                steps = np.r_[0, np.cumsum(np.hypot(*np.diff(path, axis=0).T))]
                count = int(steps[-1] / (1.06 * side))
                if count < 1:
                    continue
                at = (np.arange(count) + rng.uniform()) * steps[-1] / count
                centre = np.stack([np.interp(at, steps, path[:, i]) for i in (0, 1)], -1)
                ahead = np.stack(
                    [np.interp(np.minimum(at + 0.4 * side, steps[-1]), steps, path[:, i]) for i in (0, 1)], -1
                )
                behind = np.stack([np.interp(np.maximum(at - 0.4 * side, 0), steps, path[:, i]) for i in (0, 1)], -1)
                angle = np.arctan2(*(ahead - behind).T[::-1])
                stones.append(np.column_stack([centre, angle, np.full(count, side), np.full(count, row)]))
    table = np.concatenate(stones)
    # Where rows run into each other, a stone that has no room is left out.
    room = 0.70 * table[:, 3]
    keep = np.ones(len(table), bool)
    for a, b in sorted(cKDTree(table[:, :2]).query_pairs(float(room.max()))):
        if keep[a] and keep[b] and np.hypot(*(table[a, :2] - table[b, :2])) < max(room[a], room[b]):
            keep[b] = False
    table = table[keep]
    half = table[:, 3:4] * rng.uniform(0.42, 0.50, (len(table), 2))
    c, s = np.cos(table[:, 2:3]), np.sin(table[:, 2:3])
    u = half[:, :1] * np.array([-1, 1, 1, -1]) * rng.uniform(0.84, 1.08, (len(table), 4))
    v = half[:, 1:] * np.array([-1, -1, 1, 1]) * rng.uniform(0.84, 1.08, (len(table), 4))
    outlines = np.stack([table[:, :1] + c * u - s * v, table[:, 1:2] + s * u + c * v], -1).astype(np.float32)
    # Chips for the gaps that are left.
    for _ in range(2):
        free = ndimage.distance_transform_edt(mask(n, outlines) == 0)
        gaps = peak_local_max(free, min_distance=3, threshold_abs=0.0036 * n, exclude_border=False)[:, ::-1]
        side = np.minimum(free[gaps[:, 1], gaps[:, 0]] / n, 0.0065)
        corner = (
            rng.uniform(0, np.pi, (len(gaps), 1)) + np.arange(4) * np.pi / 2 + rng.uniform(-0.25, 0.25, (len(gaps), 4))
        )
        chips = (gaps[:, None] + 0.5) / n + 1.3 * side[:, None, None] * np.stack([np.cos(corner), np.sin(corner)], -1)
        outlines = np.concatenate([outlines, chips.astype(np.float32)])
        row = np.floor(inside[gaps[:, 1], gaps[:, 0]] / np.where(fine[gaps[:, 1], gaps[:, 0]], 0.0108, 0.0150))
        table = np.concatenate([table, np.column_stack([(gaps + 0.5) / n, 0 * side, side, row])])
    pixel = np.clip((table[:, :2] * n).astype(int), 0, n - 1)
    return outlines, kind[pixel[:, 1], pixel[:, 0]].astype(np.int32), table[:, 4].astype(np.int32)


@supersampled
def mosaic(n: int) -> Array:
    """Byzantine mosaic: little stones in rows that follow every outline, gold and lapis, each tilted its own way."""
    outlines, kind, row = _tesserae()
    rng = np.random.default_rng(92)
    count = len(outlines)
    middle = outlines.mean(1)
    mx, my = middle.T
    pick, tone = rng.uniform(0, 1, count), rng.normal(0, 1, count).astype(np.float32)

    gold = palette("#f2c230", "#e0a01c", "#fbdc6a", "#c98512", "#f6cf4a", "#b5701a")
    lapis = palette("#14308c", "#0d2068", "#2450b8", "#1a3fa6", "#0a1850")
    emerald = palette("#0c7a54", "#0f9a6a", "#075a48", "#27b07a", "#0a6f72")
    teal = palette("#0f8f9a", "#18b4b8", "#0a6a86", "#35cfc4")
    red = palette("#b01d1d", "#d2392a", "#8c1218", "#e0603a")
    white = palette("#f4ecd8", "#e2d6bc", "#fff8e6")

    def one_of(colours: Array) -> Array:
        return colours[(pick * len(colours)).astype(int)]

    fan = np.arctan2(my - 0.70, (mx - 0.5) / 0.78)
    spoke = (np.floor((fan + np.deg2rad(196)) / np.deg2rad(212) * 30) % 2).astype(bool)
    ring = np.where(
        my < 0.51,
        np.arctan2(my - 0.51, mx - 0.5),
        (my - 0.51) / 0.42 * np.where(mx < 0.5, -1, 1) - np.pi * (mx < 0.5),
    )
    side = np.where(np.minimum(mx, 1 - mx) < np.minimum(my, 1 - my), my, mx)
    zigzag = np.abs(2 * np.mod(side * 10, 1) - 1) * 3.6 > row

    def rows(first: Array, *others: Array) -> Array:
        """One of the first colours in row 0, of the next in row 1, and so on; the last are for all further rows."""
        found = one_of(first)
        for i, colours in enumerate(others):
            found = np.where((row > i)[:, None], one_of(colours), found)
        return found

    choices = [
        rows(red, gold),
        np.where(zigzag[:, None], rows(white, red), rows(white, gold, lapis)),
        np.where((pick > 0.95)[:, None], one_of(gold), one_of(lapis)),
        rows(white, red),
        rows(emerald[[0, 1, 2]], emerald[[1, 3]]),
        rows(gold[[0, 2, 4]], teal[[1, 3]], lapis[[0, 1, 4]], red[[1, 3]]),
        rows(emerald[[2]], np.concatenate([emerald, emerald, red[[1]], gold[[0]]])),
        rows(gold[[0, 2, 4]], white, gold),
        rows(lapis[[1, 4]], lapis[[0, 2, 3]], teal, lapis[[0, 2]], teal[[1, 3]]),
        rows(gold, red),
        one_of(white),
        one_of(gold[[0, 2, 4]]),
        one_of(red),
        one_of(palette("#120c10")),
    ]
    choices[4] = np.where(spoke[:, None], one_of(np.concatenate([teal[[2]], emerald[[4]], lapis[[1]]])), choices[4])
    choices[3] = np.where(((row > 0) & (np.floor(ring * 12) % 2 == 0))[:, None], one_of(lapis), choices[3])
    colour = np.choose(kind[:, None], choices).astype(np.float32)
    colour = np.clip(colour * (1 + 0.13 * tone[:, None] + 0.05 * rng.normal(0, 1, (count, 3))), 0.02, 1).astype(
        np.float32
    )
    metal = np.isin(kind, (0, 4, 5, 7, 9, 11)) & (colour[:, 2] < 0.55) & (colour[:, 1] > 0.3)

    # Bed of mortar; every stone is pressed in over it and casts the joint around itself.
    order = rng.permutation(count)
    swollen = middle[:, None] + (outlines - middle[:, None]) * 1.22
    both = np.stack([swollen[order], outlines[order]], 1).reshape(-1, 4, 2)
    label = _areas(n, both, np.stack([np.zeros(count, int), order + 1], 1).ravel())
    stone = label > 0
    pieces = np.concatenate([palette("#3a2f2a"), colour])[label]

    # Light: a tilt of its own for every stone, and a bevelled rim.
    x, y = grid(n)
    tilt = np.concatenate([np.zeros((1, 2)), rng.normal(0, 0.33, (count, 2))]).astype(np.float32)
    home = np.concatenate([np.zeros((1, 2), np.float32), middle])
    local = (
        (x - home[label, 0]) * (0.6 + tilt[label, 0]) + (y - home[label, 1]) * (0.8 + tilt[label, 1])
    ) / np.float32(0.0085)
    facing = (tilt[:, 0] * -0.6 + tilt[:, 1] * -0.8).astype(np.float32)
    gloss = np.r_[0, np.where(metal, 1.0, 0.35)].astype(np.float32)
    rough = 0.5 * noise(n, 300, 93) + 0.5 * fractal(n, 60, 94, octaves=3)
    light = 1 + (0.42 * facing)[label] - 0.20 * np.clip(local, -1, 1) + 0.10 * rough
    light = light * (1.10 - 0.45 * ((x - 0.42) ** 2 + (y - 0.36) ** 2))
    glint = smoothstep(0.10, 0.62, facing)[label] * gloss[label] * smoothstep(0.9, -0.7, local + 0.5 * rough)
    picture = pieces * np.where(stone, light, 0.85 + 0.35 * rough)[..., None]
    picture = picture + palette("#fff0c0")[0] * (0.62 * glint * stone)[..., None]
    rim = _to_border(label)
    picture = picture * np.where(stone, 0.62 + 0.38 * smoothstep(0.0002, 0.0024, rim), 1)[..., None]
    return np.asarray(picture + 0.45 * _glow(np.clip(picture - 0.92, 0, 1), 0.004), np.float32)


# ------------------------------------------------------------------------------------------------------------ poster


def _leaf(points: ArrayLike, width: float, *, ruffle: float = 0.0, blunt: float = 1.0) -> tuple[Array, list[Array]]:
    """A petal or a blade along a bent spine.

    Args:
        points: start, control and end point of the spine `(3, 2)`, a quadratic Bezier curve.
        width: full width at the widest place.
        ruffle: depth of the waves in the rim, as a share of the width.
        blunt: below 1 the tip is round, above 1 the foot.

    Returns:
        The outline `(P, 2)`, and thin outlines of its veins.
    """
    a, b, c = np.asarray(points, np.float64)
    t = np.linspace(0, 1, 44)[:, None]
    spine = (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t * t * c
    along = np.gradient(spine, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], -1) / np.linalg.norm(along, axis=1, keepdims=True)
    t = t[:, 0]
    profile = width * np.sin(np.pi * t ** (1 / blunt)).clip(0) ** 0.8
    outline = ribbons(spine[None], (profile * (1 + ruffle * np.sin(31 * t)))[None], taper=0)[0]
    veins = [
        ribbons((spine + across * profile[:, None] * share)[None, 2 : 40 - int(32 * abs(share))], 0.0022)[0]
        for share in (-0.31, -0.16, 0.0, 0.16, 0.31)
    ]
    return outline, veins


def _banded(field: Array, n: int) -> tuple[Labels, Array]:
    """The band between two whole numbers each pixel of a field lies in, and the distance to its border (unit)."""
    dy, dx = np.gradient(field)
    nearest = np.abs(field - np.rint(field))
    return np.floor(field).astype(np.int32), nearest / (np.sqrt(dx * dx + dy * dy) + 1e-6) / np.float32(n)


@supersampled
def poster(n: int) -> Array:
    """Art nouveau poster: flat colour within whiplash contours, irises before a medallion, the grain of a crayon."""
    x, y = grid(n)
    rng = np.random.default_rng(31)
    night = palette("#123c4a", "#1a5a62", "#0d2c3c", "#2a7a78", "#174b5c", "#0f3346")
    dusk = palette("#fbe3a2", "#f9c66b", "#f4a04c", "#ee7b46", "#e2574c", "#c8456a", "#9c3f7f")
    water = palette("#2f8f9a", "#5cb8ae", "#1f6f8a", "#a5d6bd", "#3aa0a8")
    ink = palette("#1a1420")[0]

    # Around the medallion the air runs in curls.
    px, py = x + 0.02 * noise(n, 3, 32), y + 0.02 * noise(n, 3, 33)
    for centre, radius, turn in (
        ((0.10, 0.13), 0.16, 3.4),
        ((0.91, 0.10), 0.15, -3.6),
        ((0.05, 0.60), 0.13, -3.0),
        ((0.96, 0.62), 0.14, 3.2),
        ((0.5, 1.0), 0.2, 2.0),
    ):
        px, py = _whirl(px, py, centre, radius, turn)
    band, line = _banded(np.asarray(11 * py + 5 * px + 1.2 * np.sin(7 * px), np.float32), n)
    colour = night[band % len(night)]
    _, hair = _banded(np.asarray(4 * (11 * py + 5 * px + 1.2 * np.sin(7 * px)), np.float32), n)
    colour = mix(colour, palette("#d9a441")[0], 0.75 * smoothstep(0.0016, 0.0006, hair) * ((band % 3) == 1))

    # The medallion: dusk in rings around the sun, mountains, a scalloped sea.
    cx, cy, reach = 0.5, 0.415, 0.335
    far = np.hypot(x - cx, y - cy).astype(np.float32)
    wx, wy = _whirl(x, y, (0.36, 0.27), 0.10, 2.6)
    wx, wy = _whirl(wx, wy, (0.66, 0.20), 0.07, -2.4)
    rings = np.asarray(np.hypot(wx - 0.55, (wy - 0.44) * 1.25) / 0.052 + 0.5 * np.sin(9 * wx + 4), np.float32)
    ring, ring_line = _banded(rings, n)
    sky = dusk[np.clip(ring - 1, 0, 6)]
    scallop_row = np.floor((y - 0.52) / 0.026)
    sx = x / 0.052 + 0.5 * (scallop_row % 2)
    bow = np.hypot((sx - np.floor(sx) - 0.5) * 2.0, ((y - 0.52) / 0.026 - scallop_row - 1) * 1.0).astype(np.float32)
    curl_row, curl_line = _banded(3.2 * bow, n)
    sea = water[(curl_row + scallop_row.astype(np.int32)) % len(water)]
    inside = far < reach
    colour = np.where(inside[..., None], sky, colour)
    line = np.where(inside, ring_line, line)
    at = np.linspace(0.1, 0.9, 120)
    ridges = [
        0.47 - 0.11 * np.abs(np.sin(6.1 * at + 0.7)) ** 1.5 - 0.012 * np.sin(40 * at),
        0.51 - 0.07 * np.abs(np.sin(7.9 * at + 2.0)) - 0.008 * np.sin(55 * at),
    ]
    for ridge, tones, step in zip(
        ridges,
        (palette("#6a3f86", "#7f4f98", "#56357a"), palette("#2f3f78", "#3d5590", "#263262")),
        (0.030, 0.022),
        strict=True,
    ):
        top = np.interp(x[0], at, ridge).astype(np.float32)[None, :]
        below = np.asarray((y - top) / step + 0.6 * noise(n, 14, 36), np.float32)
        slope, slope_line = _banded(below, n)
        here = inside & (y > top)
        colour = np.where(here[..., None], tones[slope % 3], colour)
        line = np.where(here, np.minimum(slope_line * 1.6, np.abs(y - top)), line)
    wet = inside & (y > 0.52)
    colour = np.where(wet[..., None], sea, colour)
    line = np.where(wet, np.minimum(curl_line, np.abs(y - 0.52)), line)
    # Its rim: beads between two gold bands.
    turn = np.arctan2(y - cy, x - cx) * (56 / (2 * np.pi))
    bead = np.hypot((turn - np.rint(turn)) * (2 * np.pi * 0.365 / 56), far - 0.365).astype(np.float32)
    rim = (far > reach) & (far < 0.395)
    gold, cream = palette("#d9a441", "#f6e7bf")
    colour = np.where(
        rim[..., None],
        np.where((np.abs(far - 0.365) > 0.020)[..., None], gold, palette("#7c2438")[0]),
        colour,
    )
    colour = np.where(
        (bead < 0.0155)[..., None], np.where((bead < 0.007)[..., None], palette("#e2574c")[0], cream), colour
    )
    edge = np.min(np.abs([far - reach, far - 0.395, np.abs(far - 0.365) - 0.020, bead - 0.0155]), axis=0)
    line = np.where((far > reach - 0.004) & (far < 0.399), np.minimum(edge, np.where(rim, 9, line)), line)
    contour = smoothstep(0.0026, 0.0010, line)

    # Irises and their leaves, each petal a plane of its own.
    shapes: list[Array] = []
    inks: list[Array] = []
    feet: list[Array] = []
    drawn: list[int] = []  # the number of the shape, plus 1000 for its veins

    def add(
        points: ArrayLike,
        width: float,
        colour: str,
        *,
        ruffle: float = 0.0,
        blunt: float = 1.0,
        veined: bool = True,
    ) -> None:
        outline, veins = _leaf(points, width, ruffle=ruffle, blunt=blunt)
        inks.append(palette(colour)[0])
        veins = veins if veined else []
        shapes.extend([outline, *veins])
        drawn.extend([len(inks)] + [1000 + len(inks)] * len(veins))
        feet.append(outline[[0, -1]].mean(0))

    greens = ("#3f8f4f", "#2a6f48", "#7fb24a", "#1d5a45", "#a8c452", "#337f5a")
    for i in range(26):
        foot = -0.04 + 1.08 * ((i * 0.618) % 1)
        lean = rng.uniform(-0.22, 0.22)
        high = rng.uniform(0.24, 0.52) * (0.75 + 0.9 * abs(foot - 0.5))
        add(
            [(foot, 1.05), (foot + 0.1 * lean, 1 - 0.7 * high), (foot + lean, 1.0 - high)],
            rng.uniform(0.035, 0.06),
            greens[i % 6],
            blunt=0.8,
        )

    def iris(px: float, py: float, size: float, tilt: float, high: tuple[str, str], low: tuple[str, str]) -> None:
        def place(*points: tuple[float, float]) -> Array:
            u, v = np.array(points).T * size
            return _turned(u, v, (px, py), tilt)

        for control, tip, width, colour in (
            ((-0.95, -0.35), (-0.35, -0.95), 0.52, high[1]),
            ((0.95, -0.35), (0.35, -0.95), 0.52, high[1]),
            ((-0.10, -0.60), (0.03, -1.12), 0.66, high[0]),
        ):
            add(place((0, 0.05), control, tip), width * size, colour, ruffle=0.07, blunt=1.3)
        for control, tip, width, colour in (
            ((-0.80, -0.62), (-1.10, 0.42), 0.50, low[0]),
            ((0.80, -0.62), (1.10, 0.42), 0.50, low[0]),
            ((0.12, 0.35), (-0.06, 1.02), 0.72, low[1]),
        ):
            add(place((0, -0.05), control, tip), width * size, colour, ruffle=0.08, blunt=1.35)
            inner = tuple(np.multiply(0.55, control) + np.multiply(0.08, tip))
            end = tuple(np.multiply(0.50, control) + np.multiply(0.26, tip))
            add(place((0, -0.02), inner, end), 0.15 * size, "#f6b92e", ruffle=0.15, veined=False)

    for root, bend, bloom, size, tilt in (
        ((0.17, 1.05), (0.10, 0.75), (0.235, 0.46), 0.150, -0.16),
        ((0.86, 1.05), (0.93, 0.85), (0.790, 0.595), 0.140, 0.20),
        ((0.45, 1.08), (0.56, 0.95), (0.500, 0.770), 0.130, 0.05),
    ):
        add([root, bend, bloom], 0.020, "#4f9a52", blunt=1.0)
        add(
            [np.add(bloom, (0.0, 0.14)), np.add(bloom, (0.03, 0.08)), np.add(bloom, (0.005, 0.01))],
            0.045,
            "#8fb84c",
        )
        pair = (
            (("#b79ae0", "#8f6cc8"), ("#5b2f9a", "#6f3fb0"))
            if size != 0.140
            else (("#f4b9a8", "#ea8f86"), ("#b8325a", "#cf4a60"))
        )
        iris(*bloom, size, tilt, *pair)
    for i in range(9):
        foot = 0.04 + 0.115 * i
        lean = rng.uniform(-0.16, 0.16)
        add(
            [(foot, 1.06), (foot - 0.3 * lean, 0.93), (foot + lean, rng.uniform(0.78, 0.88))],
            0.055,
            greens[(i * 5 + 2) % 6],
            blunt=0.8,
        )
    numbered = _areas(n, shapes, drawn)
    plant = numbered % 1000
    flat = np.concatenate([np.zeros((1, 3), np.float32), inks])[plant]
    # Crayon: every plane is darker towards its foot, in grains.
    grain = 0.6 * noise(n, 300, 37) + 0.4 * noise(n, 150, 38)
    root_of = np.concatenate([np.zeros((1, 2), np.float32), feet]).astype(np.float32)
    foot_shade = smoothstep(0.14, 0.0, np.hypot(x - root_of[plant, 0], y - root_of[plant, 1]) + 0.035 * grain)
    flat = flat * (1 - 0.42 * foot_shade)[..., None]
    border = _to_border(plant)
    flat = mix(
        flat,
        cream,
        0.35 * smoothstep(0.004, 0.009, border) * smoothstep(0.65, 1.0, grain + 0.2 * noise(n, 20, 39)),
    )
    flat = mix(flat, ink, 0.72 * (numbered >= 1000))
    colour = np.where((plant > 0)[..., None], flat, mix(colour, ink, 0.92 * contour))
    outline = smoothstep(0.0040, 0.0020, border - 0.0012 * noise(n, 18, 40))
    colour = mix(colour, ink, 0.96 * outline)

    # The sheet: paper shows through the grain of the stone, and a margin frames it.
    margin = np.minimum(np.minimum(x, 1 - x), np.minimum(y, 1 - y))
    colour = mix(colour, cream, smoothstep(0.0285, 0.0275, margin))
    colour = mix(colour, ink, smoothstep(0.0032, 0.0022, np.abs(margin - 0.029)))
    colour = mix(colour, palette("#7c2438")[0], smoothstep(0.0020, 0.0012, np.abs(margin - 0.017)))
    colour = mix(colour, palette("#fbf0d2")[0], 0.30 * smoothstep(0.45, 1.0, grain + 0.35 * fractal(n, 9, 34)))
    return np.asarray(colour * (1 + 0.06 * grain + 0.03 * paper(n, 35))[..., None], np.float32)


PAINTINGS: dict[str, Painting] = {
    "glass": glass,
    "geometry": geometry,
    "cubist": cubist,
    "marble": marble,
    "mosaic": mosaic,
    "poster": poster,
}
