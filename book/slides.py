"""Writes every figure of the chapters into one folder, for slides: python book/slides.py FOLDER

    FOLDER/05_adain/01_fig-adain-hook_1.png     a single picture of a figure, for each of its pictures
    FOLDER/05_adain/02_fig-adain-pipeline.svg   a chart or a diagram, dark on transparent
    FOLDER/05_adain/captions.md                 what the figures show, in their order

The figures are those that the notebooks hold, so nothing is computed.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from pathlib import Path

from PIL import Image

CHAPTERS = sorted(Path(__file__).parent.glob("[0-9]*.ipynb"))
PICTURE = re.compile(r'<img src="data:image/\w+;base64,([^"]+)"')
CHART = re.compile(r"<svg class=\"nst-chart.*?</svg>", re.DOTALL)
VARIABLE = re.compile(r"var\(--[\w-]+, ?([^()]+)\)")
NUMBER = re.compile(r"\{numref\}`(?:[^`<]*<)?([^`<>]*)>?`")
LINK = re.compile(r"\{\w+\}`([^`<]*?) ?(?:<[^>]*>)?`")
INK = "#262626"


def write(chapter: Path, folder: Path) -> list[Path]:
    """Write the figures of one chapter into a folder, with `captions.md`.

    Returns:
        The files of the figures, in their order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files, captions = [], [f"# Figures of {chapter.stem}\n"]
    for name, caption, page in figures_of(chapter):
        stem = f"{len(captions):02d}_{name}"
        words = LINK.sub(r"\1", NUMBER.sub(r"`\1`", caption))
        captions.append(f"{len(captions)}. `{stem}`: {words}\n")
        pictures, charts = PICTURE.findall(page), CHART.findall(page)
        for n, picture in enumerate(pictures, 1):
            files.append(folder / f"{stem}{f'_{n}' if len(pictures) > 1 else ''}.png")
            Image.open(io.BytesIO(base64.b64decode(picture))).save(files[-1])
        for n, chart in enumerate(charts, 1):
            files.append(folder / f"{stem}{f'_{n}' if len(charts) > 1 else ''}.svg")
            files[-1].write_text(alone(chart), encoding="utf-8")
    (folder / "captions.md").write_text("\n".join(captions), encoding="utf-8")
    return files


def figures_of(chapter: Path) -> list[tuple[str, str, str]]:
    """Return name, caption and HTML of the numbered figures of a notebook."""
    found = []
    for cell in json.loads(chapter.read_text(encoding="utf-8"))["cells"]:
        figure = cell["metadata"].get("mystnb", {}).get("figure")
        if figure:
            pages = [
                output.get("data", {}).get("text/html", "")
                for output in cell["outputs"]
            ]
            found.append(
                (
                    figure["name"],
                    figure["caption"],
                    "".join("".join(page) for page in pages),
                )
            )
    return found


def alone(chart: str) -> str:
    """Return the SVG of a page as a file of its own, which knows no colours and fonts of a page."""
    return VARIABLE.sub(r"\1", chart).replace("<svg ", f'<svg color="{INK}" ', 1)


if __name__ == "__main__":
    for chapter in CHAPTERS:
        print(
            f"{chapter.stem}: {len(write(chapter, Path(sys.argv[1]) / chapter.stem))} files"
        )
