"""Makes the pages light, so that they open quickly on a slow line.

- Pictures that a notebook holds as text become files, and every picture but the first of
  a page is loaded when the reader comes near it. Their sizes are written down, so that
  the text does not jump. Charts are drawn to a hundredth of a point.
- The icons of the theme are drawn by `icons.css`. The program and the fonts that would
  draw any of two thousand icons are left out, and so are the style sheets of
  sphinx-design where a page uses none of it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from PIL import Image
from sphinx.application import Sphinx

DATA = re.compile(r"data:image/(webp|png|jpeg|gif);base64,([A-Za-z0-9+/=]+)")
IMAGE = re.compile(r"<img\b[^>]*>")
CHART = re.compile(r'<svg class="nst-chart".*?</svg>', re.DOTALL)
DRAWN = re.compile(r"<(?!svg)[^>]*>")
DECIMALS = re.compile(r"(\d\.\d\d)\d+")
SOURCE = re.compile(r'\bsrc="([^"]*)"')
ICON_PROGRAM = re.compile(r"<script[^>]*fontawesome[^>]*></script>\s*")
ICON_RULE = re.compile(r"[^{}]*(?:\.fa[bsr]?\b|--fa-|Font Awesome)[^{}]*\{[^{}]*\}")
ICON_FONT = re.compile(r"@font-face\s*\{[^{}]*Font\s?Awesome[^{}]*\}")
UNUSED = ("sphinx-design", "design-tabs")


def lighten(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    body = context.get("body")
    if not isinstance(body, str):
        return
    folder = Path(app.outdir) / "_images"
    folder.mkdir(exist_ok=True)
    sources = {
        name: Path(app.srcdir) / path
        for path, name in getattr(app.builder, "images", {}).items()
    }
    up = "../" * page.count("/")

    def store(match: re.Match[str]) -> str:
        content = base64.b64decode(match[2])
        path = folder / f"{hashlib.sha256(content).hexdigest()[:16]}.{match[1]}"
        path.write_bytes(content)
        sources[path.name] = path
        return f"{up}_images/{path.name}"

    count = 0

    def complete(match: re.Match[str]) -> str:
        nonlocal count
        count += 1
        tag, found = match[0], SOURCE.search(match[0])
        path = sources.get(found[1].rpartition("/")[2]) if found else None
        extra = ' loading="lazy"' if count > 1 and "loading=" not in tag else ""
        if (
            path
            and path.suffix != ".svg"
            and "height=" not in tag
            and "style=" not in tag
        ):
            with Image.open(path) as picture:
                extra += f' width="{picture.width}" height="{picture.height}"'
        return f"{tag.rstrip('/> ')}{extra}>"

    def shorten(match: re.Match[str]) -> str:
        return DECIMALS.sub(r"\1", match[0])

    def redraw(
        match: re.Match[str],
    ) -> str:  # what is written in a chart stays as it is
        return DRAWN.sub(shorten, match[0])

    context["body"] = CHART.sub(redraw, IMAGE.sub(complete, DATA.sub(store, body)))
    if "sd-" not in body:
        for files in ("css_files", "script_files"):
            context[files] = [
                file
                for file in context.get(files, ())
                if not any(
                    name in str(getattr(file, "filename", file)) for name in UNUSED
                )
            ]


def drop_icons(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(ICON_PROGRAM.sub("", text), encoding="utf-8")
    static = Path(app.outdir) / "_static"
    for path in [*static.rglob("fontawesome*"), *static.rglob("*.map")]:
        if path.is_file():
            path.unlink()
    sheet = static / "styles" / "pydata-sphinx-theme.css"
    text = ICON_FONT.sub("", sheet.read_text(encoding="utf-8"))
    sheet.write_text(ICON_RULE.sub("", text), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", lighten, priority=950)
    app.connect("build-finished", drop_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
