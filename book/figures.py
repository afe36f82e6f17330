"""The figures and tables of the chapters.

    import figures

    figures.pictures(photograph, result, captions=["the photograph", "the result"])

shows pictures side by side, each of which is a picture of its own: a phone shows two in a row, and a click enlarges one.
Charts are drawn by matplotlib and shown as SVG in the colours of the page, light or dark:

    fig, ax = figures.axes()
    ax.plot(losses)
    figures.chart(fig, alt="The loss falls steeply and then flattens out.")

Everything here returns something to display, so it stands at the end of a cell. It looks the same in JupyterLab, on Colab
and on the built page.
"""

from __future__ import annotations

import base64
import hashlib
import html
import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import nstlib as nst
from cycler import cycler
from IPython.display import HTML, Markdown
from matplotlib.figure import Figure
from torch import Tensor

PALETTE = ("#c2542d", "#3a86a8", "#8a9a2b", "#a0569a", "#d09a1e", "#6f7f8f")
"""Colours of the curves, in their order. They can be told apart on white, on nearly black and by colour-blind readers."""

INK, FAINT = "#7b7b7c", "#7b7b7d"
"""Two greys that can be read on any ground; `chart` puts the page's own colours in their place."""

STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.5,
    "axes.facecolor": "none",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=PALETTE),
    "figure.facecolor": "none",
    "font.size": 10,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "nst",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

GAP = "0.7rem"
LEAST_WIDTH = "145px"
"""Of a picture: two of them fit on a phone."""


def pictures(
    *shown: Tensor,
    captions: Sequence[str] | None = None,
    alts: Sequence[str] | None = None,
    columns: int | None = None,
    range: tuple[float, float] | None = None,
) -> HTML:
    """Show pictures in a grid that fits the page.

    Args:
        *shown: pictures `(B, 3, H, W)` in [0, 1], or grey maps `(B, 1, H, W)`, `(1, H, W)` or `(H, W)`. The pixels of small
            maps stay squares.
        captions: one below each picture; it may contain HTML.
        alts: what each picture shows, in words. By default its caption.
        columns: how many stand in a row where the page is wide enough. By default at most three.
        range: what is black and what is white in a map. By default its own least and largest value.

    Raises:
        ValueError: there are not as many captions or descriptions as pictures.

    Example:
        >>> import torch
        >>> grid = pictures(torch.zeros(2, 3, 8, 8), captions=["one", "another"])
        >>> str(grid.data).count("<figure")
        2
    """
    singles = [one for some in shown for one in _split(some)]
    for name, words in (("captions", captions), ("alts", alts)):
        if words is not None and len(words) != len(singles):
            raise ValueError(f"{len(words)} {name} for {len(singles)} pictures")
    columns = columns or min(3, len(singles))
    names = (
        alts
        or [re.sub(r"<[^>]*>", "", word) for word in captions or []]
        or [""] * len(singles)
    )
    cells = []
    for n, picture in enumerate(singles):
        height, width = picture.shape[2:]
        small = picture.shape[1] == 1 and width <= 128
        look = "width:100%;height:auto;margin:0" + (
            ";image-rendering:pixelated" if small else ""
        )
        source = address(_to_color(picture, range), lossless=small)
        image = f'<img src="{source}" alt="{html.escape(names[n])}" width="{width}" height="{height}" style="{look}">'
        caption = f"<figcaption>{captions[n]}</figcaption>" if captions else ""
        cells.append(f'<figure style="margin:0;min-width:0">{image}{caption}</figure>')
    wide = f"calc((100% - {columns - 1} * {GAP}) / {columns} - 1px)"
    grid = f"display:grid;gap:{GAP};grid-template-columns:repeat(auto-fill,minmax(max({LEAST_WIDTH},{wide}),1fr))"
    return HTML(f'<div class="nst-grid" style="{grid}">{"".join(cells)}</div>')


def axes(
    rows: int = 1,
    columns: int = 1,
    *,
    size: tuple[float, float] | None = None,
    **options: Any,
) -> Any:
    """Return a matplotlib figure and its axes, in the style of the book.

    Args:
        rows, columns: how many axes there are.
        size: width and height in inches; a text column is about 7.4 inches wide.
        **options: for `matplotlib.pyplot.subplots`.
    """
    plt.rcParams.update(STYLE)
    return plt.subplots(
        rows,
        columns,
        figsize=size or (7.4, 3.4 * rows),
        layout="constrained",
        **options,
    )


def chart(figure: Figure, *, alt: str) -> HTML:
    """Show a matplotlib figure as SVG in the colours of the page.

    Args:
        figure: from `axes`. It is closed.
        alt: what it shows, in words.

    Example:
        >>> figure, ax = axes()
        >>> line = ax.plot([3, 2, 1])
        >>> "currentColor" in chart(figure, alt="a line that falls").data
        True
    """
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    plt.close(figure)
    svg = file.getvalue()
    svg = re.sub(
        r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL
    )
    # names are needed only where something refers to them, and a page holds several charts
    mark = hashlib.sha256(svg.encode()).hexdigest()[:6]
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', svg))
    svg = re.sub(
        r' id="([^"]+)"', lambda m: f' id="{mark}{m[1]}"' if m[1] in used else "", svg
    )
    svg = re.sub(r'(url\(|href=")#', rf"\1#{mark}", svg)
    svg = svg.replace(INK, "currentColor").replace(
        f"stroke: {FAINT}", "stroke: currentColor; stroke-opacity: 0.15"
    )
    for n, color in enumerate(PALETTE):
        svg = svg.replace(color, f"var(--nst-curve-{n + 1}, {color})")
    svg = re.sub(
        r"font-family: [^;\"]*", "font-family: var(--nst-label, sans-serif)", svg
    )
    svg = svg.replace("*{", ".nst-chart *{")  # else it would hold for the whole page
    width, height = (72 * length for length in figure.get_size_inches())
    look = f"width:100%;max-width:{width * 4 / 3:.0f}px;height:auto;overflow:visible"
    head = f'<svg class="nst-chart" role="img" aria-label="{html.escape(alt)}" style="{look}"'
    head += f' viewBox="0 0 {width:g} {height:g}" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    svg = head + svg[svg.index(">") + 1 :]
    return HTML(re.sub(r"\s*\n\s*", " ", svg))


def table(
    caption: str,
    head: Sequence[object],
    rows: Sequence[Sequence[object]],
    *,
    text: int = 1,
) -> Markdown:
    """Show a table with its caption: the first columns are text, as many as `text` says, and the others are numbers."""
    sides = [":---"] * text + ["---:"] * (len(head) - text)
    lines = [head, sides, *rows]
    written = ["| " + " | ".join(map(str, line)) + " |" for line in lines]
    return Markdown("\n".join([f"**{caption}**", "", *written]))


def address(picture: Tensor, *, quality: int = 85, lossless: bool = False) -> str:
    """Return a picture `(1, 3, H, W)` as a data address."""
    file = io.BytesIO()
    nst.to_pil(picture).save(file, "WEBP", quality=quality, method=6, lossless=lossless)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def _split(pictures: Tensor) -> list[Tensor]:
    """Return pictures one by one, each `(1, 1 | 3, H, W)`."""
    return list(pictures.detach().float().cpu()[(None,) * (4 - pictures.ndim)].split(1))


def _to_color(picture: Tensor, limits: tuple[float, float] | None) -> Tensor:
    """Return a picture as it is, and a map in shades of grey."""
    if picture.shape[1] == 3:
        return picture.clamp(0, 1)
    low, high = limits or (picture.min().item(), picture.max().item())
    return ((picture - low) / max(high - low, 1e-12)).clamp(0, 1).expand(-1, 3, -1, -1)
