"""Sample paintings made of strokes: oil, woodblock, dots, ink and engraving.

Each painting is a function from a size in pixels to a picture `(size, size, 3)`, float32 in [0, 1]. `PAINTINGS` lists
them by name. They are drawn from numbers alone, so they carry no licence but that of this package.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from PIL import Image
from scipy.interpolate import CubicSpline

from paintings.canvas import (
    Array,
    Canvas,
    Painting,
    blur,
    curl,
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
    ribbons,
    sample,
    smoothstep,
    streamlines,
    supersampled,
    weave,
)

# ------------------------------------------------------------------------------------------------------ swirl


def _oil(
    canvas: Canvas,
    lines: Array,
    widths: Array,
    colours: Array,
    rng: np.random.Generator,
    *,
    bristles: int = 5,
    streak: float = 0.10,
) -> None:
    """Paint oil strokes: every stroke is a bundle of bristle marks that differ in lightness and thickness."""
    n, p = lines.shape[:2]
    across = np.linspace(-1, 1, bristles)
    offsets = (widths[:, None] * across * 0.5 * (1 - 1 / bristles)).ravel()
    # Bristles start and end raggedly: each takes a slightly shifted stretch of the line.
    slide = rng.uniform(-0.5, 0.5, (n, bristles, 1, 1)).astype(np.float32)
    step = np.gradient(lines, axis=1)[:, None]
    bundle = (lines[:, None] + slide * step).reshape(n * bristles, p, 2)
    outlines = ribbons(bundle, np.repeat(widths * 1.35 / bristles, bristles), taper=0.55, offset=offsets)
    light = 1 + streak * rng.normal(0, 1, (n, bristles))
    inks = (colours[:, None] * light[..., None] + 0.02 * rng.normal(0, 1, (n, bristles, 3))).reshape(-1, 3)
    # A loaded brush leaves ridges at the edges of its track.
    ridge = 0.42 + 0.33 * np.abs(across) ** 2 + 0.15 * rng.normal(0, 1, (n, bristles))
    canvas.fill(outlines, inks, ridge.ravel())


def _scatter(rng: np.random.Generator, count: int) -> Array:
    """Evenly spread points in [-0.02, 1.02]^2: the cells of a grid, each point jittered, in random order."""
    side = int(np.ceil(np.sqrt(count)))
    cells = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2)
    points = (cells + rng.uniform(0, 1, cells.shape)) / side
    return (rng.permutation(points) * 1.04 - 0.02).astype(np.float32)


@supersampled
def swirl(n: int) -> Array:
    """A night sky in thick oil: long directional strokes that follow whirls of air, lit from the side (impasto)."""
    rng = np.random.default_rng(1889)
    m = 384
    x, y = grid(m)
    # Whirls: centre x, centre y, radius, turn.
    whirls = [(0.40, 0.33, 0.21, 1.0), (0.655, 0.43, 0.13, -1.0), (0.06, 0.44, 0.10, -1.0)]
    stars = [
        (0.835, 0.155, 0.115),
        (0.205, 0.135, 0.055),
        (0.335, 0.065, 0.036),
        (0.52, 0.09, 0.05),
        (0.66, 0.22, 0.038),
        (0.172, 0.315, 0.040),
        (0.925, 0.37, 0.055),
        (0.62, 0.055, 0.03),
        (0.40, 0.585, 0.036),
    ]
    potential = 0.42 * (y - 0.10 * np.sin(5.5 * x + 0.6)) + 0.035 * fractal(m, 3.2, 11, octaves=3)
    tone = 0.33 + 0.17 * fractal(m, (2.5, 7), 12, octaves=3)
    spin = np.zeros((m, m), np.float32)
    for cx, cy, radius, turn in whirls:
        dx, dy = x - cx, y - cy
        r = np.sqrt(dx * dx + dy * dy) / radius
        near = np.exp(-r * r)
        potential += turn * 1.5 * radius * near
        spin += turn * 0.30 * near
        arms = np.cos(2.0 * (np.arctan2(dy, dx) * turn - 5.2 * r**0.8))
        tone += (0.33 * arms + 0.10) * np.exp(-((r / 1.25) ** 4))
    tone += 0.20 * np.exp(-(((y - 0.60 + 0.05 * np.sin(6 * x)) / 0.06) ** 2))
    glow = np.zeros((m, m), np.float32)
    for cx, cy, radius in stars:
        r = np.sqrt((x - cx) ** 2 + (y - cy) ** 2) / radius
        ring = 0.5 + 0.5 * np.cos(2 * np.pi * r * 1.15)
        glow = np.maximum(
            glow,
            np.exp(-0.85 * r * r) * (0.62 + 0.38 * ring) + 0.22 * np.exp(-0.25 * r * r) + 0.4 * (r < 0.36),
        )
    # The first and largest is the moon, a crescent.
    cx, cy, radius = stars[0]
    disc = (x - cx) ** 2 + (y - cy) ** 2 < (0.78 * radius) ** 2
    bite = (x - cx + 0.34 * radius) ** 2 + (y - cy + 0.16 * radius) ** 2 < (0.68 * radius) ** 2
    glow[disc] = np.where(bite, 0.34, 1.05)[disc]
    u, v = curl(potential)
    angle = np.arctan2(v, u) + spin
    u, v = np.cos(angle), np.sin(angle)
    for i, (cx, cy, radius) in enumerate(stars):
        # Around a star the air runs in circles.
        r = np.sqrt((x - cx) ** 2 + (y - cy) ** 2) + 1e-6
        near, turn = smoothstep(1.9, 1.1, r / radius), (-1) ** i
        u, v = mix(u, -turn * (y - cy) / r, near), mix(v, turn * (x - cx) / r, near)
    flow = u.astype(np.float32), v.astype(np.float32)

    night = palette("#0a1233", "#122361", "#1c3f96", "#2f66b6", "#5a97c6", "#a5cbd0", "#e8ecd0")
    flame = palette("#2f66b6", "#6fa3a8", "#c9cf86", "#efc53f", "#f3a521", "#fff0a8")
    canvas = Canvas(n, palette("#16295f"), 0.2)
    for count, length, width in [(800, 0.12, 0.030), (2000, 0.080, 0.017), (1900, 0.050, 0.0095)]:
        at = _scatter(rng, count)
        at = at[at[:, 1] < 0.76]
        k = len(at)
        lines = streamlines(*flow, at, length * rng.uniform(0.6, 1.25, k), steps=8)
        t = sample(tone, at[:, 0], at[:, 1]) + 0.085 * rng.normal(0, 1, k)
        g = sample(glow, at[:, 0], at[:, 1]) + 0.07 * rng.normal(0, 1, k)
        colours = mix(ramp(t, night), ramp(np.clip(g, 0, 1), flame), smoothstep(0.06, 0.50, g)[:, None])
        _oil(canvas, lines, (width * rng.uniform(0.7, 1.2, k)).astype(np.float32), colours, rng)

    _hills(canvas, rng)
    _cypress(canvas, rng)
    height = canvas.thickness()
    height = 0.65 * blur(height, 0.0008) + 0.35 * blur(height, 0.003)
    lit = relief(canvas.colour(), height + 0.010 * weave(n, 5), strength=1.15, gloss=0.16)
    return lit


def _hills(canvas: Canvas, rng: np.random.Generator) -> None:
    """Rolling hills and fields, back to front, with a few lit houses between them."""
    x = np.linspace(-0.05, 1.05, 120).astype(np.float32)
    slopes = [
        (
            0.625 - 0.060 * np.sin(3.6 * x + 0.3) - 0.030 * np.sin(9 * x + 2),
            ("#0f1f52", "#234a8f", "#5f8fb8"),
        ),
        (0.715 - 0.045 * np.sin(4.4 * x + 2.4) - 0.018 * np.sin(11 * x), ("#10264a", "#1f5068", "#5d9a8c")),
        (
            0.805 - 0.040 * np.sin(5.2 * x + 4.4) - 0.012 * np.sin(13 * x + 1),
            ("#14301f", "#3c6a3a", "#a9a648"),
        ),
        (
            0.900 - 0.035 * np.sin(4.1 * x + 0.2) - 0.010 * np.sin(12 * x + 3),
            ("#0e1f1c", "#26492f", "#7d8b38"),
        ),
    ]
    for i, (crest, colours) in enumerate(slopes):
        edge = np.stack([x, crest], -1)
        body = np.concatenate([edge, [[1.05, 1.05], [-0.05, 1.05]]]).astype(np.float32)
        inks = palette(*colours)
        canvas.fill([body], inks[0], 0.25)
        count = 1100
        px = rng.uniform(-0.03, 1.03, count)
        depth = rng.uniform(0, 1, count) ** 1.4 * 0.17
        order = np.argsort(depth)
        px, depth = px[order], depth[order]
        # Strokes run along the crest and flatten out further down.
        s = np.linspace(-0.5, 0.5, 9)
        lx = px[:, None] + 0.075 * rng.uniform(0.5, 1.2, (count, 1)) * s
        flat = np.exp(-depth / 0.12)[:, None]
        base = np.interp(lx, x, crest)
        ly = base * flat + (1 - flat) * np.interp(px, x, crest)[:, None] + depth[:, None] + 0.006
        wave = 0.006 * np.sin(38 * lx + 60 * depth[:, None] + i)
        lines = np.stack([lx, ly + wave], -1).astype(np.float32)
        t = 0.50 * np.exp(-depth / 0.035) + 0.34 * np.sin(55 * depth + 5 * px + i) ** 2 + 0.13 * rng.normal(0, 1, count)
        _oil(canvas, lines, rng.uniform(0.006, 0.012, count).astype(np.float32), ramp(t, inks), rng, bristles=4)
        if i == 2:
            _village(canvas, rng, x, crest)


def _village(canvas: Canvas, rng: np.random.Generator, x: Array, crest: Array) -> None:
    """Small houses with lit windows, and a church with a spire."""
    walls = palette("#31507c", "#4a6a86", "#27406e", "#6c8088")
    roofs = palette("#1a2348", "#5b3a3a", "#7a4b34", "#22305a")
    for i, px in enumerate(np.linspace(0.30, 0.80, 12)):
        cx = px + rng.uniform(-0.012, 0.012)
        w, h = rng.uniform(0.018, 0.028), rng.uniform(0.018, 0.026)
        top = float(np.interp(cx, x, crest)) + rng.uniform(-0.012, 0.02)
        box = np.array([[cx - w, top], [cx + w, top], [cx + w, top + h], [cx - w, top + h]])
        roof = np.array(
            [
                [cx - w * 1.15, top],
                [cx - w * 0.5, top - h * 0.8],
                [cx + w * 0.6, top - h * 0.8],
                [cx + w * 1.15, top],
            ]
        )
        if i == 5:
            tower = np.array([[cx - 0.009, top], [cx, top - 0.12], [cx + 0.009, top]])
            canvas.fill([tower], palette("#1b2a58"), 0.6)
        canvas.fill([box, roof], np.stack([walls[i % 4], roofs[(i * 3) % 4]]), np.array([0.5, 0.7]))
        across = np.linspace(-0.85, 0.85, 7)
        up = top + h * np.linspace(0.05, 0.95, 5)
        wall = np.stack([np.broadcast_to(cx + w * across[:, None], (7, 5)), np.broadcast_to(up, (7, 5))], -1)
        tile = np.stack(
            [cx + w * (across[:, None] * np.linspace(0.62, 1.12, 5)), np.broadcast_to(up - h * 0.85, (7, 5))],
            -1,
        )
        inks = np.repeat(np.stack([walls[i % 4], roofs[(i * 3) % 4]]), 7, axis=0) * rng.uniform(0.7, 1.12, (14, 1))
        _oil(canvas, np.concatenate([wall, tile]), np.full(14, 0.3 * w), inks, rng, bristles=3)
        lit = np.array(
            [
                [cx - 0.005, top + 0.006],
                [cx + 0.004, top + 0.006],
                [cx + 0.004, top + 0.015],
                [cx - 0.005, top + 0.015],
            ]
        )
        canvas.fill([lit], palette("#ffd75e"), 0.8)


def _cypress(canvas: Canvas, rng: np.random.Generator) -> None:
    """A dark flame-shaped tree in the foreground: upward strokes that bend towards its tip."""
    inks = palette("#060d14", "#10211d", "#1f3a26", "#4a5a2a", "#7d6a34")
    for tip_x, tip_y, foot, wide, count in [
        (0.118, 0.10, 0.135, 0.066, 650),
        (0.205, 0.42, 0.20, 0.042, 330),
    ]:
        h = rng.uniform(0.0, 1.0, count) ** 0.75  # 0 at the tip, 1 at the foot
        order = np.argsort(-h)
        h = h[order]
        side = rng.uniform(-1, 1, count)
        s = np.linspace(-0.5, 0.5, 9)
        at = h[:, None] - 0.13 * rng.uniform(0.5, 1.1, (count, 1)) * s
        spread = wide * np.sqrt(np.clip(at, 0, 1)) * (1 + 0.22 * np.sin(17 * at + 2))
        ly = tip_y + (1.06 - tip_y) * at
        lx = tip_x + (foot - tip_x) * at + side[:, None] * spread + 0.008 * np.sin(26 * at + 3 * side[:, None])
        lines = np.stack([lx, ly], -1).astype(np.float32)
        t = 0.30 + 0.25 * side + 0.17 * rng.normal(0, 1, count)
        _oil(canvas, lines, rng.uniform(0.008, 0.015, count).astype(np.float32), ramp(t, inks), rng, bristles=4)


# -------------------------------------------------------------------------------------------------- engraving


def _hatch(phase: Array, darkness: Array) -> Array:
    """Parallel lines, one where `phase` passes a half; `darkness` in [0, 1] is the share of the paper they cover."""
    across = 1 - 2 * np.abs(phase - np.floor(phase) - 0.5)
    dy, dx = np.gradient(phase)
    pixel = 2 * np.sqrt(dx * dx + dy * dy) + 1e-4
    return np.asarray(np.clip((across - (1 - darkness)) / pixel + 0.5, 0, 1) * smoothstep(0.0, 0.08, darkness))


def _ridged(n: int, frequency: float, seed: int, octaves: int) -> Array:
    """Mountain noise in [0, 1]: sharp crests where the noise of an octave passes zero, rougher near the crests."""
    total, weight = np.zeros((n, n), np.float32), np.ones((n, n), np.float32)
    for i in range(octaves):
        crest = (1 - np.abs(noise(n, frequency * 2**i, seed + i)) * 1.6).clip(0, 1) ** 2
        total += 0.55**i * weight * crest
        weight = np.clip(crest * 1.3, 0, 1)
    return total / np.float32(1.9)


def _valley(n: int) -> Array:
    """A mountain valley with a lake, seen in perspective.

    Returns:
        Array `(n, n, 5)`: 1 on land and lake and 0 in the sky, distance, height above the lake, x slope, z slope.
    """
    m, steps = 640, 320
    u, w = grid(m)  # u: left to right, w: near to far
    path = 0.55 * np.sin(5.0 * w + 0.4) - 0.1
    off = np.abs(10 * (u - 0.5) - path) / (0.55 + 1.6 * w)
    height = (_ridged(m, 6.5, 61, 6) * (0.75 + 2.6 * w) + 0.10) * smoothstep(0.25, 1.5, off)
    height = height + 2.6 * smoothstep(0.72, 0.92, w) * (_ridged(m, 5, 77, 6) + 0.1)
    height = height + 0.045 * fractal(m, 24, 65) * smoothstep(0.2, 0.6, off) - 0.05
    dz, dx = np.gradient(height * (m / 10))

    near, far, horizon, eye, focus = 0.9, 10.0, 0.50, 0.62, 0.78
    z = near * (far / near) ** np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    rows = ((np.arange(n) + 0.5) / n).astype(np.float32)
    # Perspective: screen row = horizon + focus * (eye - height) / z, for every column and distance.
    ground = np.maximum(sample(height, 0.5 + (rows - 0.5) * z / focus / 10, np.broadcast_to(z / far, (steps, n))), 0)
    up = horizon + focus * (eye - ground) / z  # (steps, n)
    skyline = np.minimum.accumulate(up, axis=0)[::-1]
    hit = np.stack([steps - np.searchsorted(skyline[:, c], rows, side="right") for c in range(n)], axis=1)
    land = hit < steps
    hit = np.minimum(hit, steps - 1)
    # Where between two steps the surface passes the pixel.
    before = np.maximum(hit - 1, 0)
    up_here, up_before = np.take_along_axis(up, hit, 0), np.take_along_axis(up, before, 0)
    part = np.clip((up_before - rows[:, None]) / np.maximum(up_before - up_here, 1e-6), 0, 1)
    distance = (near * (far / near) ** ((before + part) / (steps - 1))).astype(np.float32)
    surface = sample(np.stack([height, dx, dz], -1), 0.5 + (rows - 0.5) * distance / focus / 10, distance / far)
    return np.concatenate([np.stack([land, distance], -1), surface], -1).astype(np.float32)


@supersampled
def engraving(n: int) -> Array:
    """A steel engraving of an alpine lake: tone made only of lines that swell, thin out and cross, sepia on cream."""
    x, y = grid(n)
    scene = [
        np.asarray(Image.fromarray(part).resize((n, n))) for part in _valley(min(n, 640)).transpose(2, 0, 1).copy()
    ]
    land, depth, height, dx, dz = scene
    land = land > 0.5
    water = land & (height < 0.004)

    # Mountains: light from the upper left, haze with distance, dark hollows.
    light = (-0.75 * dx - 0.35 * dz + 0.55) / np.sqrt(1 + dx * dx + dz * dz)
    haze = np.exp(-depth / 9)
    tone = np.clip(0.58 - 0.62 * light, 0, 1) * (0.35 + 0.75 * haze)
    # Meadows in front: patches of grass, darker towards the viewer.
    patch = fractal(n, (5, 14), 36, octaves=4)
    tone = tone + smoothstep(0.66, 1.0, y) * np.clip(0.32 + 0.55 * patch, 0, 0.8)
    # Sky: heaps of cloud, bright towards the light and dark below, and rays from a low sun.
    sx, sy = 0.40, 0.335
    r = np.sqrt((x - sx) ** 2 + (y - sy) ** 2)
    heap = fractal(n, (2.6, 4.2), 34, octaves=6, gain=0.52) + 0.9 * smoothstep(0.30, 0.0, y) - 0.35
    heap = heap - 1.1 * np.exp(-((r / 0.20) ** 2))
    shift = n // 45
    edge = heap - np.pad(heap, ((0, shift), (shift, 0)), mode="edge")[shift:, :n]
    rays = 0.5 + 0.5 * np.cos(30 * np.arctan2(y - sy, x - sx) + 1.5 * noise(n, 3, 33))
    open_sky = 0.16 + 0.25 * rays * smoothstep(0.06, 0.16, r) + 0.35 * smoothstep(0.10, 0.55, r)
    heaped = 0.34 + 0.85 * edge + 0.35 * heap
    cloudy = smoothstep(0.0, 0.06, heap)
    sky = mix(open_sky - 0.5 * np.exp(-((r / 0.07) ** 2)), heaped, cloudy)
    tone = np.where(land, tone, np.clip(sky, 0, 0.85))
    # Water: a broken mirror image.
    shore = 0.56
    ripple = noise(n, (14, 90), 41)
    mirror = sample(np.where(water, 0.3, tone).astype(np.float32), x + 0.012 * ripple, 2 * shore - y + 0.01 * ripple)
    lake = np.clip(0.12 + 0.62 * mirror + 0.20 * ripple + 0.45 * smoothstep(0.6, 1.0, y), 0, 1)
    tone = np.where(water, lake, tone).astype(np.float32)

    hand = 0.22 * noise(n, 26, 51) + 0.35 * noise(n, 7, 52)
    swell = 0.10 * noise(n, 60, 53)
    lines = 104.0
    slope = np.clip(blur(dx, 0.004), -2, 2)
    fall = lines * (0.80 * x + 0.60 * y) + hand
    rise = lines * (0.72 * x - 0.69 * y) + hand
    level = lines * y + hand
    bulge = lines * (y + np.where(cloudy > 0.5, 0.050 * blur(heap, 0.012), 0)) + 0.4 * hand
    lit = slope < 0.1
    first = np.where(land, np.where(water, level, np.where(lit, rise, fall)), bulge)
    second = np.where(land & ~water, np.where(lit, fall, rise), lines * 0.9 * (0.50 * x + 0.86 * y) + hand)
    third = lines * (0.15 * x + 0.98 * y) + hand
    t = np.clip(tone + swell * (0.4 + tone), 0, 1)
    ink = 1 - (1 - _hatch(first, 0.12 * (t > 0.06) + 0.62 * t)) * (1 - _hatch(second, 0.95 * (t - 0.42))) * (
        1 - _hatch(third, 0.9 * (t - 0.68))
    )
    sheet = palette("#f1e4c4")[0] * (1 + 0.035 * paper(n, 55))[..., None]
    picture = mix(sheet, palette("#2a1a12")[0], ink * (0.93 + 0.05 * noise(n, 200, 56)))
    return _foreground(Canvas(n, picture), np.random.default_rng(7))


def _foreground(canvas: Canvas, rng: np.random.Generator) -> Array:
    """Grass, firs and a boat, cut into the plate in front of the scene."""
    cream, ink = palette("#f1e4c4", "#2a1a12")
    # Grass: tufts of blades that fan out from their roots.
    count = 1300
    root = np.stack([rng.uniform(-0.02, 0.36, count), rng.uniform(0.0, 1.0, count)], -1)
    root[:, 1] = 0.83 + 0.20 * root[:, 1] + 0.10 * root[:, 0]
    root = root[np.argsort(root[:, 1])]
    s = np.linspace(0, 1, 5)
    lean = rng.normal(0, 0.5, (count, 1))
    long = rng.uniform(0.012, 0.034, (count, 1))
    blade = np.stack([root[:, :1] + long * lean * s**1.6, root[:, 1:] - long * s * (1 - 0.2 * s)], -1)
    pairs = np.stack(
        [
            ribbons(blade + np.array([0.003, 0]), 0.005 - 0.005 * s[None], taper=0),
            ribbons(blade, 0.0036 - 0.003 * s[None], taper=0),
        ],
        1,
    )
    pairs = pairs[rng.uniform(0, 1, count) < 0.75]
    canvas.fill(pairs.reshape(-1, *pairs.shape[2:]), np.tile(np.stack([cream, ink]), (len(pairs), 1)))
    for cx, foot, tall in [
        (0.035, 0.84, 0.44),
        (0.93, 0.88, 0.54),
        (0.135, 0.93, 0.55),
        (0.995, 1.0, 0.51),
        (0.245, 1.05, 0.47),
    ]:
        _fir(canvas, rng, cx, foot, tall)
    at, k = np.array([0.615, 0.668]), 0.075
    hull = np.array([[-0.50, -0.10], [0.55, -0.13], [0.38, 0.08], [-0.34, 0.08]])
    sail = np.array([[0.03, -0.14], [0.06, -1.30], [0.55, -0.26]])
    jib = np.array([[-0.03, -0.14], [0.02, -1.15], [-0.42, -0.20]])
    glint = np.array([[-0.42, 0.10], [0.50, 0.10], [0.25, 0.75], [0.10, 0.60], [0.05, 0.95], [-0.15, 0.50]])
    canvas.fill([at + k * 1.10 * sail + [0, 0.004], at + k * 1.12 * jib + [0, 0.004], at + k * glint], ink)
    canvas.fill([at + k * sail, at + k * jib], cream)
    canvas.fill([at + k * hull], ink)
    shade = np.linspace(0.15, 0.85, 6)[:, None]
    lines = np.stack(
        [at + k * (sail[0] + (sail[2] - sail[0]) * shade), at + k * (sail[1] + (sail[2] - sail[1]) * shade)],
        1,
    )
    canvas.fill(ribbons(lines, 0.0022, taper=0.0), ink)
    return canvas.colour()


def _fir(canvas: Canvas, rng: np.random.Generator, cx: float, foot: float, tall: float) -> None:
    """A fir tree in short lines: drooping twigs, light on the left, nearly black on the right and inside."""
    paper_, ink = palette("#f1e4c4", "#2a1a12")
    count = int(1500 * tall)
    at = np.sort(rng.uniform(0.0, 1.0, count) ** 0.8)
    tiers = 0.55 + 0.45 * (at * 9 % 1)
    spread = 0.19 * tall * (0.06 + at) * tiers
    side = rng.uniform(-1, 1, count)
    s = np.linspace(0, 1, 5)
    reach = 0.030 * tall / 0.5 * rng.uniform(0.6, 1.3, (count, 1)) * s
    lx = cx + (side * spread)[:, None] + np.sign(side)[:, None] * reach
    ly = foot - tall + tall * at[:, None] + (np.abs(side) * spread * 0.55)[:, None] + 0.9 * reach - 0.35 * reach * s
    lines = np.stack([lx, ly], -1).astype(np.float32)
    dark = rng.uniform(-1, 1, count) + 0.60 * side > -0.28
    trunk = np.array(
        [
            [cx - 0.004, foot - tall],
            [cx + 0.004, foot - tall],
            [cx + 0.009, foot + 0.02],
            [cx - 0.009, foot + 0.02],
        ]
    )
    canvas.fill([trunk], ink)
    canvas.fill(ribbons(lines, 0.012, taper=0.6), paper_ * 0.97)
    pairs = np.stack([ribbons(lines + np.array([0, 0.0035]), 0.0075, taper=0.9), ribbons(lines, 0.0040, taper=0.9)], 1)
    inks = np.stack([np.broadcast_to(ink, (count, 3)), np.where(dark[:, None], ink, paper_)], 1)
    canvas.fill(pairs.reshape(-1, *pairs.shape[2:]), inks.reshape(-1, 3))


# -------------------------------------------------------------------------------------------------------- ink


def _brush(
    canvas: Canvas,
    lines: Array,
    widths: Array,
    density: Array,
    rng: np.random.Generator,
    *,
    bristles: int = 9,
    dry: float = 0.3,
    rim: float = 0.0,
) -> None:
    """Ink strokes written into the thickness of the canvas. A dry brush opens up into streaks towards its end.

    Args:
        canvas: where to paint.
        lines: `(N, P, 2)`.
        widths: `(N, P)`, the width of the stroke along its way.
        density: `(N,)`, how black the ink is, 0 to 1.
        rng: source of the differences between the bristles.
        bristles: marks a stroke is made of.
        dry: 0 for a wet brush that leaves a closed stroke, 1 for a dry one.
        rim: how much darker the edges of the stroke are than its middle.
    """
    n, p = lines.shape[:2]
    across = np.linspace(-1, 1, bristles)
    along = np.gradient(lines, axis=1)
    normal = np.stack([-along[..., 1], along[..., 0]], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    shift = (0.5 * (1 - 1 / bristles) * widths)[:, None, :] * across[:, None]
    bundle = lines[:, None] + normal[:, None] * shift[..., None]
    load = rng.uniform(0, 1, (n, bristles, 1)) * 1.5 + 0.25 - dry * np.linspace(0, 1.5, p)
    width = 1.45 * widths[:, None] / bristles * np.clip(load * 3, 0, 1)
    ink = density[:, None] * (1 - rim + rim * np.abs(across) ** 1.5 + 0.12 * rng.normal(0, 1, (n, bristles)))
    outlines = ribbons(bundle.reshape(n * bristles, p, 2), width.reshape(n * bristles, p), taper=0.0)
    canvas.fill(outlines, 0.0, np.clip(ink, 0.05, 1).ravel())


def _bamboo(
    canvas: Canvas, rng: np.random.Generator, foot: float, top: float, bend: float, width: float, ink: float
) -> None:
    """A stalk of bamboo: segments with a gap at every node, thin twigs, and hanging clusters of leaves."""
    knots = np.cumsum(np.concatenate([[0.0], 0.075 + 0.05 * np.sin(np.linspace(0.4, 2.8, 12))]))
    knots = (1.08 - knots)[knots < 1.2 - top]
    s = np.linspace(0, 1, 9)
    ly = knots[:-1, None] + (knots[1:, None] - knots[:-1, None]) * (0.035 + 0.93 * s)
    lx = foot + bend * (1 - ly) ** 2 + 0.0025 * np.sin(9 * ly)
    flare = width * (0.86 + 0.20 * np.abs(2 * s - 1) ** 4) * (0.55 + 0.45 * ly)
    count = len(ly)
    _brush(
        canvas,
        np.stack([lx, ly], -1).astype(np.float32),
        flare,
        np.full(count, ink),
        rng,
        bristles=13,
        dry=0.45,
        rim=0.45,
    )
    # A dark hook on every node.
    t = np.linspace(-0.62, 0.62, 7)
    nx = lx[1:, :1] + width * t
    ny = ly[1:, :1] + 0.008 + 0.006 * np.cos(4 * t) - 0.01
    _brush(
        canvas,
        np.stack([nx, np.broadcast_to(ny, nx.shape)], -1).astype(np.float32),
        np.broadcast_to(0.0055 * (1 - 0.6 * np.abs(t)), nx.shape),
        np.full(len(nx), min(1.0, ink * 1.5)),
        rng,
        bristles=3,
        dry=0.0,
    )
    for node in range(1, count):
        for _ in range(int(rng.integers(1, 3))):
            start = np.array([lx[node, 0], ly[node, 0] + 0.005])
            way = rng.choice([-1.0, 1.0], p=[0.35, 0.65])
            reach = rng.uniform(0.06, 0.20)
            u = np.linspace(0, 1, 9)
            twig = start + np.stack([way * reach * u, -reach * rng.uniform(0.5, 1.5) * (0.75 * u - 0.55 * u * u)], -1)
            _brush(
                canvas,
                twig[None].astype(np.float32),
                np.full((1, 9), 0.0038),
                np.array([ink]),
                rng,
                bristles=2,
                dry=0.2,
            )
            for root in (5, 8):
                _leaves(canvas, rng, twig[root], way, ink)


def _leaves(canvas: Canvas, rng: np.random.Generator, at: Array, way: float, ink: float) -> None:
    """A cluster of three to five leaves: blades that swell early and end in a point."""
    count = int(rng.integers(2, 6))
    heading = np.pi / 2 - way * (0.75 + np.linspace(-0.95, 0.95, count) + rng.normal(0, 0.2, count))
    length = rng.uniform(0.06, 0.14, count)
    s = np.linspace(0, 1, 9)
    turn = heading[:, None] + way * rng.uniform(0.0, 0.5, (count, 1)) * s
    lx = at[0] + length[:, None] * s * np.cos(turn)
    ly = at[1] + length[:, None] * s * np.sin(turn)
    blade = 0.0150 * rng.uniform(0.7, 1.15, (count, 1)) * np.sin(np.pi * s**0.62) + 0.0008
    dark = ink * rng.uniform(0.45, 1.3, count)
    _brush(
        canvas,
        np.stack([lx, ly], -1).astype(np.float32),
        blade,
        np.clip(dark, 0, 1),
        rng,
        bristles=7,
        dry=0.35,
    )


@supersampled
def ink(n: int) -> Array:
    """An ink wash on rice paper: wet layers of mist and peaks, dry-brush bamboo in front, a pale sun and a red seal."""
    x, y = grid(n)
    rng = np.random.default_rng(1279)
    wet = fractal(n, 5, 81, octaves=5, gain=0.55)
    grain = paper(n, 82, fibres=420)
    warp_x, warp_y = 0.012 * fractal(n, 12, 83, octaves=4), 0.010 * fractal(n, 14, 84, octaves=4)
    wx, wy = x + warp_x, y + warp_y

    density = 0.05 + 0.05 * wet
    moss = Canvas(n, 0.0, 0.0)
    cool = np.zeros((n, n), np.float32)
    axis = np.linspace(0, 1, 2048)
    # Far to near: base line, height of the peaks, width, darkness, length of the wash, seed.
    for base, tall, wide, dark, fade, seed in [
        (0.50, 0.28, 0.060, 0.30, 0.13, 3),
        (0.58, 0.36, 0.052, 0.52, 0.15, 14),
        (0.67, 0.30, 0.062, 0.85, 0.13, 28),
        (0.80, 0.17, 0.085, 1.25, 0.10, 36),
    ]:
        peaks = np.random.default_rng(seed)
        ridge = np.zeros_like(axis)
        for c in peaks.uniform(-0.05, 1.05, 8):
            w = wide * peaks.uniform(0.6, 1.5)
            ridge = np.maximum(ridge, tall * peaks.uniform(0.35, 1.0) * np.exp(-(np.abs((axis - c) / w) ** 2.3)))
        top = np.interp(wx, axis, base - ridge).astype(np.float32)
        below = wy - top
        inside = smoothstep(-0.0012, 0.0012, below)
        slope = np.interp(wx, axis, np.gradient(ridge, axis)).clip(-6, 6) * np.clip(below, 0, 0.2) * 0.12
        wash = np.exp(-np.clip(below, 0, 1) / (fade * (1 + 0.5 * wet)))
        rim = np.exp(-np.clip(below, 0, 1) / 0.006) * smoothstep(-0.35, 0.5, noise(n, 30, seed + 50))
        # Hanging strokes of a half-dry brush model the rock.
        streak = smoothstep(
            0.05,
            0.40,
            sample(noise(n, (62, 9), seed + 60) + 0.8 * noise(n, (130, 26), seed + 61), wx + 0.6 * slope, wy),
        )
        rock = streak * np.exp(-np.clip(below, 0, 1) / (0.75 * fade)) * smoothstep(0.0, 0.02, below)
        layer = dark * (0.62 * wash * (1 + 0.45 * wet) + 0.75 * rim + 1.25 * rock)
        # Nearer mountains hide those behind them, except in the mist at their feet.
        density = mix(density, layer + 0.05, inside * (0.25 + 0.75 * wash))
        cool = mix(cool, 0.55 * dark, inside * wash * 0.6)
        # Dots of the brush tip for shrubs along the ridge, in groups.
        group = peaks.uniform(0, 1, 26).repeat(7) + 0.012 * peaks.normal(0, 1, 182)
        tip = np.interp(group, axis, base - ridge) + 0.020 * np.abs(peaks.normal(0, 1, 182)) + 0.002
        size = peaks.uniform(0.003, 0.009, 182)
        dabs = ellipses(np.stack([group, tip], -1), size, 0.5 * size, peaks.normal(0, 0.3, 182), corners=8)
        moss.fill(dabs, 0.0, dark * peaks.uniform(0.3, 0.8, 182))

    strokes = Canvas(n, 0.0, 0.0)
    for foot, top_, bend, width, black in [(0.10, -0.1, 0.16, 0.017, 0.32), (0.27, 0.10, -0.10, 0.014, 0.36)]:
        _bamboo(strokes, rng, foot, top_, bend, width, black)
    pale = blur(strokes.thickness(), 0.0016)
    strokes = Canvas(n, 0.0, 0.0)
    _bamboo(strokes, rng, 0.155, -0.06, 0.03, 0.026, 0.80)
    _bamboo(strokes, rng, 0.035, -0.06, 0.10, 0.021, 0.88)
    _boat(strokes, rng)
    black_ = blur(strokes.thickness(), 0.0005)
    density = density + blur(moss.thickness(), 0.0007) * (1 + 0.4 * wet)
    density = density + 0.9 * pale * (1 + 0.5 * wet) + 2.6 * black_ * (1 + 0.25 * wet)
    density = density * (1 + 0.16 * grain) + 0.02 * grain

    sheet = palette("#f0e4c8")[0] * (1 + 0.035 * grain + 0.03 * wet)[..., None]
    r = np.sqrt((wx - 0.76) ** 2 + (wy - 0.17) ** 2)
    sun = smoothstep(0.078, 0.070, r) * (0.75 + 0.25 * wet)
    sheet = mix(sheet, sheet * palette("#e8694a")[0], sun)
    # Ink absorbs a little more red than blue; the far washes hold some indigo, the feet of the hills some ochre.
    absorb = mix(palette("#f0f0f0")[0], palette("#ffd9a0")[0], np.clip(cool, 0, 1))
    picture = sheet * np.exp(-np.clip(density, 0, 4)[..., None] * absorb)
    warm = 0.30 * np.exp(-(((y - 0.66 - 0.1 * wet) / 0.10) ** 2)) * smoothstep(-0.3, 0.6, wet)
    picture = picture * (1 - warm[..., None] * (1 - palette("#e0a860")[0]))
    return _seal(picture, 0.885, 0.875, 0.038, grain)


def _boat(canvas: Canvas, rng: np.random.Generator) -> None:
    """A small boat with a bent figure and a pole, ripples, and a flight of geese."""
    s = np.linspace(-1, 1, 11)
    hull = np.stack([0.66 + 0.075 * s, 0.905 - 0.016 * s**4 + 0.004 * s], -1)
    _brush(
        canvas,
        hull[None].astype(np.float32),
        (0.011 * (1.05 - np.abs(s) ** 3))[None],
        np.array([0.85]),
        rng,
        dry=0.15,
    )
    back = np.stack([0.668 + 0.010 * s, 0.876 + 0.018 * s], -1)
    _brush(canvas, back[None].astype(np.float32), (0.014 * (1.2 + s) / 2)[None], np.array([0.8]), rng, dry=0.1)
    hat = np.stack([0.657 + 0.017 * s, 0.857 + 0.006 * np.abs(s)], -1)
    _brush(
        canvas,
        hat[None].astype(np.float32),
        (0.007 * (1.05 - np.abs(s)))[None],
        np.array([0.95]),
        rng,
        bristles=3,
        dry=0.0,
    )
    pole = np.stack([0.715 + 0.045 * s, 0.875 - 0.05 * s], -1)
    _brush(
        canvas,
        pole[None].astype(np.float32),
        np.full((1, 11), 0.003),
        np.array([0.8]),
        rng,
        bristles=2,
        dry=0.1,
    )
    count = 26
    cx, cy = rng.uniform(0.45, 0.97, count), rng.uniform(0.915, 0.985, count)
    lines = np.stack([cx[:, None] + rng.uniform(0.02, 0.06, (count, 1)) * s, cy[:, None] + 0.002 * np.sin(4 * s)], -1)
    _brush(
        canvas,
        lines.astype(np.float32),
        np.full((count, 11), 0.0032),
        rng.uniform(0.1, 0.3, count),
        rng,
        bristles=3,
        dry=0.5,
    )
    for i in range(7):
        bx, by, w = 0.50 + 0.030 * i + 0.008 * (i % 2), 0.115 + 0.022 * abs(i - 2.4), 0.011 + 0.002 * (i % 3)
        wings = np.stack([bx + w * s, by - 0.55 * w * np.abs(np.sin(2.2 * s)) + 0.002 * s], -1)
        _brush(
            canvas,
            wings[None].astype(np.float32),
            (0.0042 * (1.1 - np.abs(s)))[None],
            np.array([0.75]),
            rng,
            bristles=2,
            dry=0.0,
        )


def _seal(picture: Array, cx: float, cy: float, half: float, grain: Array) -> Array:
    """Print a square red seal with white lines that look carved."""
    n = picture.shape[0]
    square = np.array([[-1, -1], [0.95, -1.02], [1, 0.97], [-0.97, 1]]) * half + [cx, cy]
    # The bars by their corners: left, top, right, bottom, in units of half the side.
    bars = np.array([
        (-0.75, -0.75, -0.08, -0.60), (-0.50, -0.75, -0.36, -0.05), (-0.75, -0.35, -0.08, -0.22),
        (-0.75, -0.05, -0.08, 0.09), (-0.75, 0.30, -0.60, 0.78), (-0.75, 0.30, -0.08, 0.43),
        (-0.22, 0.30, -0.08, 0.78), (-0.50, 0.58, -0.34, 0.78), (0.12, -0.75, 0.27, 0.10),
        (0.12, -0.75, 0.78, -0.62), (0.64, -0.75, 0.78, 0.10), (0.12, -0.34, 0.78, -0.20),
        (0.12, 0.30, 0.78, 0.43), (0.38, 0.10, 0.52, 0.80), (0.12, 0.62, 0.78, 0.75),
    ])  # fmt: skip
    carved = bars[:, [[0, 1], [2, 1], [2, 3], [0, 3]]] * half + [cx, cy]
    worn = smoothstep(-0.75, -0.35, noise(n, 70, 91) + 0.4 * grain)
    red = (mask(n, [square], soft=0.0006) - mask(n, carved, soft=0.0006)).clip(0, 1) * worn
    return mix(picture, palette("#b3201c")[0], 0.92 * red)


# ------------------------------------------------------------------------------------------------------- dots


def _polygon(*corners: tuple[float, float]) -> Array:
    return np.array(corners, np.float32)


def _harbour(m: int) -> tuple[Array, Array]:
    """The subject of the dots: boats at sunset below a pine, with a town across the bay.

    Returns:
        The colours `(m, m, 3)`, and the direction of the dabs in radians `(m, m)`.
    """
    x, y = grid(m)
    shore, sun_x, sun_y = 0.47, 0.60, 0.30
    r = np.sqrt((x - sun_x) ** 2 + (y - sun_y) ** 2)
    bank = fractal(m, (2.2, 6), 121, octaves=4)
    sky = ramp(y / shore + 0.10 * bank, palette("#3f6fc4", "#79a5dc", "#b9bfe6", "#f2b8c0", "#fbc58a", "#fde08a"))
    sky = mix(sky, palette("#f7a7a0")[0], 0.65 * smoothstep(0.15, 0.7, bank) * smoothstep(0.5, 0.15, y))
    sky = mix(sky, palette("#fff2a0")[0], np.exp(-((r / 0.15) ** 2)))
    sky = mix(sky, palette("#fffbe0")[0], smoothstep(0.048, 0.042, r))

    # Sea: the sky upside down, deeper and broken by waves; a path of light under the sun.
    wave = noise(m, (9, 55), 122) + 0.6 * noise(m, (22, 80), 123)
    depth = (y - shore) / (1 - shore)
    sea = sample(sky, x + 0.02 * wave, shore - 0.75 * (y - shore) + 0.02 * wave)
    sea = mix(sea, ramp(depth + 0.20 * wave, palette("#7fb0c9", "#3f86b8", "#1f5f9e", "#1a3f86", "#15306b")), 0.62)
    path = np.exp(-(((x - sun_x) / (0.035 + 0.10 * np.clip(depth, 0, 1))) ** 2)) * smoothstep(
        -0.15, 0.5, wave + 0.25 * (1 - depth)
    )
    sea = mix(sea, palette("#ffd873")[0], 0.9 * path)
    picture = np.where((y < shore)[..., None], sky, sea).astype(np.float32)

    canvas = Canvas(m, picture)
    ax = np.linspace(-0.02, 1.02, 80)
    for crest, colour in [
        (0.395 - 0.045 * np.sin(4.2 * ax + 0.2) - 0.012 * np.sin(17 * ax), "#8f86c4"),
        (0.425 - 0.045 * np.sin(5.0 * ax + 2.6) - 0.008 * np.sin(23 * ax), "#4f5ba6"),
    ]:
        canvas.fill([np.concatenate([np.stack([ax, crest], -1), [[1.02, shore], [-0.02, shore]]])], palette(colour))
    # The town on the right, below a wooded slope.
    wood = np.stack([ax, np.minimum(0.485, 0.475 - 0.13 * smoothstep(0.60, 0.80, ax) - 0.012 * np.sin(40 * ax))], -1)
    canvas.fill([np.concatenate([wood, [[1.02, 0.49], [-0.02, 0.49]]])], palette("#2f4f7a"))
    rng = np.random.default_rng(124)
    walls, roofs = (
        palette("#fbd9b0", "#f2a98a", "#dd8a80", "#fff1d8"),
        palette("#c8502f", "#a83f3a", "#d9703a"),
    )
    for i, cx in enumerate(np.linspace(0.69, 1.0, 9)):
        w, h = 0.019, rng.uniform(0.035, 0.065)
        foot = shore + 0.004
        canvas.fill(
            [
                _polygon((cx - w, foot), (cx - w, foot - h), (cx + w, foot - h), (cx + w, foot)),
                _polygon((cx - w * 1.1, foot - h), (cx, foot - h - 0.024), (cx + w * 1.1, foot - h)),
            ],
            np.stack([walls[i % 4], roofs[i % 3]]),
        )
    canvas.fill(
        [
            _polygon((0.80, shore), (0.80, 0.355), (0.836, 0.355), (0.836, shore)),
            _polygon((0.793, 0.355), (0.818, 0.285), (0.843, 0.355)),
        ],
        palette("#ffdba0", "#b5343a"),
    )
    # Boats: hull, mast and two sails, each with its reflection.
    for cx, foot, size, sail, jib, hull in [
        (0.46, 0.500, 0.30, "#fbe9c8", "#f5d3a0", "#8f3b3b"),
        (0.60, 0.490, 0.20, "#e88a4a", "#f3a95a", "#3a3f7a"),
        (0.885, 0.525, 0.40, "#d8345a", "#f07a90", "#2f6f73"),
        (0.385, 0.640, 1.00, "#e4572e", "#f08a3c", "#26386f"),
        (0.755, 0.730, 0.86, "#f6c64a", "#fbe08a", "#7c2f4a"),
    ]:
        k = 0.40 * size
        shapes = [
            _polygon((0.02, -0.06), (0.02, -0.95), (0.16, -0.55), (0.36, -0.10)),
            _polygon((-0.02, -0.08), (-0.01, -0.86), (-0.32, -0.10)),
            _polygon((-0.40, -0.045), (0.42, -0.065), (0.33, 0.05), (-0.30, 0.05)),
            _polygon((-0.008, -0.05), (-0.004, -1.0), (0.010, -1.0), (0.014, -0.05)),
        ]
        inks = palette(sail, jib, hull, "#4a2f2a")
        at = np.array([cx, foot])
        wobble = [np.array([1, -0.72]) * sh + [0.03 * np.sin(9 * i), 0.10] for i, sh in enumerate(shapes)]
        canvas.fill([at + k * sh for sh in wobble], mix(inks, palette("#1f4f8f")[0], np.float32(0.45)))
        canvas.fill([at + k * sh for sh in shapes], inks)
    picture = canvas.colour()
    folds = 0.10 * np.sin(60 * (x + 0.25 * y)) * (y > 0.2)
    picture = picture * (1 + 0.25 * folds[..., None])

    # Foreground: a sunlit quay with violet shadows, and a leaning pine that hangs over the picture.
    quay = y > 0.90 - 0.10 * smoothstep(0.45, 0.0, x) - 0.03 * np.sin(5 * x) + 0.012 * noise(m, 20, 125)
    ground = mix(palette("#f1b878")[0], palette("#f6d9a0")[0], smoothstep(-0.4, 0.4, noise(m, (6, 20), 126)))
    shade = smoothstep(0.0, 0.25, fractal(m, (5, 12), 127, octaves=3) + 0.35 * smoothstep(0.5, 0.0, x))
    picture = np.where(quay[..., None], mix(ground, palette("#7a5aa6")[0], shade), picture)
    t = np.linspace(0, 1, 30)
    trunk = np.stack([0.055 + 0.07 * t + 0.03 * np.sin(5 * t), 0.93 - 0.78 * t], -1)[None]
    limb = np.stack([0.10 + 0.33 * t, 0.44 - 0.27 * t + 0.05 * np.sin(5 * t)], -1)[None]
    canvas = Canvas(m, picture)
    canvas.fill(
        ribbons(np.concatenate([trunk, limb]), np.stack([0.060 - 0.030 * t, 0.030 - 0.018 * t]), taper=0.0),
        palette("#5a2f4f"),
    )
    canvas.fill(ribbons(trunk + np.array([0.008, 0.0]), 0.020 - 0.008 * t[None], taper=0.0), palette("#d0703f"))
    picture = canvas.colour()
    crown = np.full((m, m), -1.0, np.float32)
    for cx, cy, w, h in [
        (0.04, 0.06, 0.20, 0.10),
        (0.22, 0.04, 0.17, 0.075),
        (0.37, 0.07, 0.12, 0.05),
        (0.44, 0.145, 0.10, 0.038),
        (0.02, 0.22, 0.12, 0.06),
        (0.20, 0.17, 0.12, 0.045),
        (0.05, 0.36, 0.09, 0.032),
    ]:
        crown = np.maximum(crown, 1 - np.sqrt(((x - cx) / w) ** 2 + ((y - cy) / h) ** 2))
    leaf = smoothstep(-0.02, 0.06, crown + 0.32 * fractal(m, 15, 128, octaves=4, gain=0.65))
    lit = np.clip(5 * blur(crown - np.pad(crown, ((12, 0), (0, 0)), mode="edge")[:m], 0.004), -0.3, 0.45)
    glow = 0.30 + 0.34 * fractal(m, (14, 24), 129, octaves=3) + 0.75 * lit
    picture = mix(picture, ramp(glow, palette("#16305c", "#1f5c50", "#4f8f3f", "#a9b83f", "#f0c94a")), leaf)

    # Dabs run along the waves on the water and in wide rings around the sun in the sky.
    ring = np.arctan2(y - sun_y, x - sun_x) + np.pi / 2
    angle = np.where(y < shore, ring, 0.25 * wave) + 0.9 * leaf * noise(m, 12, 130)
    return picture.astype(np.float32), angle.astype(np.float32)


@supersampled
def dots(n: int) -> Array:
    """A harbour in the manner of the pointillists: dabs of pure colour that only the eye mixes."""
    picture, angle = _harbour(512)
    rng = np.random.default_rng(1886)
    pigments = palette(
        "#fff6d8", "#fde27a", "#fbbf2d", "#f58a1f", "#e4501f", "#c8202f", "#e8668a", "#f7b3bd", "#8f2f86", "#5a2f8f",
        "#b59ad6", "#1f2f8a", "#2f5fc4", "#6fa3e4", "#bcd6f2", "#147a8a", "#3fb0a8", "#146b45", "#4fa23f", "#b5cf4a",
        "#e9eecb", "#161a4a", "#6b2230", "#c98a4f",
    )  # fmt: skip
    canvas = Canvas(n, palette("#e8d9b8"), 0.1)
    for count, size, spread in [(9000, 0.0155, 0.05), (17000, 0.0112, 0.085), (9000, 0.0080, 0.10)]:
        at = _scatter(rng, count)
        k = len(at)
        local = sample(picture, at[:, 0], at[:, 1])
        # More colour than the subject has, then a random push towards one pigment or another: pure dabs that
        # average to the right colour.
        grey = local.mean(-1, keepdims=True)
        wish = grey + 1.30 * (local - grey) + spread * 1.7 * rng.normal(0, 1, (k, 3))
        nearest = np.argmin((pigments**2).sum(-1) - 2 * wish @ pigments.T, axis=1)
        inks = mix(pigments[nearest], local, np.float32(0.12)) * (1 + 0.04 * rng.normal(0, 1, (k, 1)))
        length = size * rng.uniform(0.85, 1.25, k)
        turn = sample(angle, at[:, 0], at[:, 1]) + 0.25 * rng.normal(0, 1, k)
        shapes = ellipses(at, length, length * rng.uniform(0.62, 0.85, k), turn, corners=8)
        canvas.fill(shapes, inks, 0.35 + 0.5 * rng.uniform(0, 1, k))
    height = blur(canvas.thickness(), 0.0009)
    return relief(canvas.colour(), height + 0.02 * weave(n, 131), strength=0.55, gloss=0.04)


# ------------------------------------------------------------------------------------------------------- wave

_SEA = palette("#10203f", "#1b3a6b", "#33659a", "#7fa9bf", "#c3d3cd", "#f4ecd6")


def _curve(*points: tuple[float, float], count: int = 60) -> Array:
    """A smooth curve through some points, `(count, 2)`, evenly spaced by the distance between the points."""
    p = np.array(points)
    way = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(p, axis=0), axis=1))])
    return np.asarray(CubicSpline(way, p)(np.linspace(0, way[-1], count)), np.float32)


def _foam(canvas: Canvas, rng: np.random.Generator, roots: Array, heading: Array, size: Array, curl_to: float) -> None:
    """Foam with claws: lobes along a crest, and fingers that curl over and carry smaller fingers.

    Args:
        canvas: where to draw.
        rng: source of the differences between the fingers.
        roots: `(N, 2)` points along the crest.
        heading: `(N,)` directions the fingers leave in, radians clockwise from the right.
        size: `(N,)` lengths of the fingers.
        curl_to: how far a finger turns, in radians, clockwise if positive.
    """
    s = np.linspace(0, 1, 9)

    def fingers(at: Array, towards: Array, length: Array) -> Array:
        turn = towards[:, None] + curl_to * rng.uniform(0.7, 1.3, (len(at), 1)) * s**1.3
        step = length[:, None, None] / 8 * np.stack([np.cos(turn), np.sin(turn)], -1)
        return np.asarray(at[:, None] + np.cumsum(step, axis=1) - step[:, :1], np.float32)

    main = fingers(roots, heading + rng.normal(0, 0.22, len(roots)), size * rng.uniform(0.6, 1.25, len(roots)))
    lines, widths = [main], [0.24 * size]
    for joint, side in [(2, 0.9), (3, -0.8), (5, 0.8), (6, -0.7)]:
        along = main[:, joint] - main[:, joint - 1]
        towards = np.arctan2(along[:, 1], along[:, 0]) + side * np.sign(curl_to)
        lines.append(fingers(main[:, joint], towards, 0.5 * size * rng.uniform(0.5, 1.2, len(roots))))
        widths.append(0.15 * size)
    every, wide = np.concatenate(lines), np.concatenate(widths)[:, None] * (1 - 0.92 * s**1.2)
    lobes = roots[:, None] + 0.20 * size[:, None, None] * rng.uniform(-1, 1, (len(roots), 3, 2))
    lobes, round_ = (
        lobes.reshape(-1, 2).astype(np.float32),
        np.repeat(0.42 * size, 3) * rng.uniform(0.45, 1.1, 3 * len(size)),
    )
    line = 0.0040
    canvas.fill(ribbons(every, wide + line, taper=0.0), _SEA[0])
    canvas.fill(ellipses(lobes, round_ + line, round_ + line, 0.0, corners=14), _SEA[0])
    canvas.fill(ellipses(lobes, round_, round_, 0.0, corners=14), _SEA[5])
    canvas.fill(ribbons(every, wide, taper=0.0), _SEA[5])
    # A pale blue shadow inside the foam.
    canvas.fill(ribbons(main[:, :7] + np.array([0, 0.0015]), 0.30 * wide[: len(main), :7], taper=0.3), _SEA[3])
    canvas.fill(
        ellipses(lobes[::2] + np.array([0, 0.003]), round_[::2] * 0.34, round_[::2] * 0.16, 0.3, corners=8),
        _SEA[4],
    )


def _bands(canvas: Canvas, low: Array, high: Array, stops: Array, inks: Array) -> None:
    """Fill the stripes between two curves, and draw a thin dark line between neighbouring stripes."""
    edges = [mix(low, high, np.float32(k)) for k in stops]
    canvas.fill([np.concatenate([a, b[::-1]]) for a, b in pairwise(edges)], inks)
    canvas.fill(ribbons(np.stack(edges), 0.0022, taper=0.4), _SEA[0])


def _breaker(canvas: Canvas, rng: np.random.Generator, x0: float, y0: float, width: float, height: float) -> None:
    """A breaking wave that leans to the right (to the left if `width` is negative), rooted at (x0, y0)."""
    back = _curve(
        (-0.75, -0.25),
        (-0.30, 0.02),
        (0.08, 0.30),
        (0.36, 0.66),
        (0.58, 0.91),
        (0.82, 1.0),
        (1.02, 0.93),
        (1.10, 0.77),
    )
    front = _curve(
        (1.95, -0.25),
        (1.38, -0.03),
        (1.00, 0.12),
        (0.76, 0.34),
        (0.69, 0.57),
        (0.76, 0.76),
        (0.92, 0.84),
        (1.10, 0.77),
    )
    scale, origin = np.array([width, -height], np.float32), np.array([x0, y0], np.float32)
    back, front = origin + scale * back, origin + scale * front
    stops = np.cumsum([0, 9, 1.5, 3, 1.2, 7, 2, 5, 1, 2, 3, 5, 2, 1.2, 3, 4, 3, 1, 3, 4, 2, 1, 3, 2.5, 3, 1, 2.5])
    stops = stops / stops[-1]
    shades = [0, 3, 1, 2, 0, 4, 1, 3, 0, 5, 1, 3, 1, 5, 2, 0, 5, 1, 3, 0, 5, 2, 5, 1, 4, 1]
    _bands(canvas, back, front, stops, _SEA[shades])
    canvas.fill(ribbons(np.stack([back, front]), 0.0045, taper=0.3), _SEA[0])
    way = np.sign(width)
    size = 0.115 * height
    # Drifts of foam slide down the back; the crest and the lip throw claws.
    spine = np.concatenate([back[30:], front[::-1][:13]])
    count = max(10, int(30 * height**0.5))
    pick = np.linspace(0, len(spine) - 1, count).round().astype(int)
    along = np.gradient(spine, axis=0)[pick]
    heading = np.arctan2(along[:, 1], along[:, 0]) - 1.0 * way
    rise = np.linspace(0.40, 1.0, count)
    rise[-4:] *= 0.7
    inner = mix(back[26:58:2], front[26:58:2], np.float32(0.11))
    slide = np.gradient(inner, axis=0)
    _foam(
        canvas,
        rng,
        inner,
        np.arctan2(-slide[:, 1], -slide[:, 0]) - 0.4 * way,
        np.linspace(0.45, 0.9, len(inner)) * size,
        -0.9 * way,
    )
    _foam(canvas, rng, spine[pick], heading, size * rise * 1.5, 1.35 * way)
    # Spray.
    drops = spine[rng.integers(0, len(spine), 70)] + rng.normal(0, 1, (70, 2)) * [0.10 * width, 0.11 * height]
    drops = drops - [-0.05 * width, 0.05 * height]
    radius = 0.0065 * rng.uniform(0.3, 1.0, 70) ** 1.5
    canvas.fill(ellipses(drops.astype(np.float32), radius + 0.002, radius + 0.002, 0.0, corners=8), _SEA[1])
    canvas.fill(ellipses(drops.astype(np.float32), radius, radius, 0.0, corners=8), _SEA[5])


def _swell(
    canvas: Canvas,
    rng: np.random.Generator,
    level: float,
    high: float,
    beats: float,
    turn: float,
    claws: float,
) -> None:
    """A rolling swell right across the picture, striped along its slope, with claws of foam on its crests."""
    x = np.linspace(-0.05, 1.05, 140)
    phase = 2 * np.pi * beats * x + turn
    # A trochoid: round troughs and sharp crests, leaning a little.
    lift = high * (0.5 + 0.5 * np.sin(phase + 0.45 * np.cos(phase))) ** 1.6
    crest = np.stack([x, level - lift], -1).astype(np.float32)
    foot = np.stack([x + 0.25 * high * np.cos(phase), np.full_like(x, level + 0.9 * high + 0.16)], -1).astype(
        np.float32
    )
    foot[:, 1] += 0.35 * high * np.sin(phase + 1.2).astype(np.float32)
    stops = np.concatenate([[0], np.cumsum([0.05, 0.05, 0.07, 0.05, 0.10, 0.045, 0.13, 0.04, 0.16, 0.04, 0.27])])
    _bands(canvas, crest, foot, stops, _SEA[[3, 1, 5, 2, 0, 3, 1, 4, 0, 3, 0]])
    canvas.fill(ribbons(crest[None], 0.0045, taper=0.0), _SEA[0])
    if claws:
        up = np.flatnonzero(lift > 0.42 * high)[::3]
        size = claws * (lift[up] / high) * rng.uniform(0.7, 1.1, len(up))
        slope = np.gradient(crest, axis=0)[up]
        _foam(canvas, rng, crest[up], np.arctan2(slope[:, 1], slope[:, 0]) - 0.6, size, 1.5)


@supersampled
def wave(n: int) -> Array:
    """A woodblock print of a breaking sea: flat Prussian blues with outlines, claws of foam, a graded (bokashi) sky."""
    y = grid(n)[1]
    rng = np.random.default_rng(1831)
    sky = ramp(
        y / 0.62 + 0.02 * noise(n, 3, 201),
        palette("#31557f", "#8fa9ad", "#d9cda6", "#ecdcb2", "#eec998", "#e6a67c"),
        [0, 0.16, 0.34, 0.60, 0.84, 1.0],
    )
    canvas = Canvas(n, sky)
    # A far mountain with snow, and bars of stylised cloud.
    s = np.linspace(-1, 1, 81)
    rise = np.clip(1.055 - np.sqrt(np.clip(np.abs(s) - 0.045, 0, 1)) * 1.08, 0, 1) - 0.05 * np.exp(-((s / 0.03) ** 2))
    hill = np.stack([0.665 + 0.40 * s, 0.665 - 0.29 * rise], -1)
    canvas.fill([hill], palette("#4a6c90"))
    cap = hill[np.abs(s) < 0.145]
    teeth = np.stack(
        [
            np.linspace(cap[-1, 0], cap[0, 0], 15),
            cap[0, 1] + 0.030 * (np.arange(15) % 2) * np.tile([1, 1.5, 0.8], 5) - 0.004,
        ],
        -1,
    )
    canvas.fill([np.concatenate([cap, teeth])], _SEA[5])
    canvas.fill(ribbons(hill[None].astype(np.float32), 0.0028, taper=0.2), _SEA[0])
    for cx, cy, w in [
        (0.86, 0.175, 0.30),
        (0.70, 0.205, 0.22),
        (0.95, 0.235, 0.16),
        (0.62, 0.475, 0.16),
        (0.90, 0.505, 0.22),
    ]:
        bar = np.stack([np.linspace(cx - w, cx + w, 12), np.full(12, cy)], -1)[None].astype(np.float32)
        canvas.fill(ribbons(bar, 0.026, taper=0.75), palette("#f0e4c4"))
    _swell(canvas, rng, 0.640, 0.040, 3.1, 0.5, 0.022)
    _swell(canvas, rng, 0.700, 0.070, 2.2, 2.6, 0.034)
    _breaker(canvas, rng, 1.12, 0.83, -0.34, 0.36)
    _swell(canvas, rng, 0.780, 0.075, 1.7, 0.2, 0.042)
    _breaker(canvas, rng, -0.06, 0.93, 0.52, 0.80)
    _swell(canvas, rng, 0.930, 0.110, 1.25, 3.9, 0.055)
    _swell(canvas, rng, 1.020, 0.070, 2.1, 1.2, 0.046)

    # Printing: grain of the block, uneven pressure, paper fibres.
    block = noise(n, (6, 150), 203) + 0.6 * noise(n, (14, 300), 204)
    rub = fractal(n, 7, 205, octaves=5, gain=0.6)
    print_ = canvas.colour()
    blue = (1 - print_.mean(-1)) * (0.055 * block + 0.075 * rub)
    bare = palette("#efe3c6")[0]
    picture = mix(print_, bare, np.clip(0.05 + blue + 0.05 * np.clip(noise(n, 260, 206), 0, 1), 0, 1))
    return np.asarray(picture * (1 + 0.030 * paper(n, 207, fibres=260))[..., None], np.float32)


PAINTINGS: dict[str, Painting] = {
    "swirl": swirl,
    "wave": wave,
    "dots": dots,
    "ink": ink,
    "engraving": engraving,
}
