"""Makes the pages light, so that they open quickly on a slow line.

- Pictures that a notebook holds as text become files, and every picture but the first of
  a page is loaded when the reader comes near it. Their sizes are written down, so that
  the text does not jump. Charts are drawn to a hundredth of a point.
- The icons of the theme are drawn by `icons.css`. The program and the fonts that would
  draw any of two thousand icons are left out. So are the style sheets of sphinx-design
  where a page uses none of it, and those rules of the theme whose classes no page has.
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
GEOMETRY = re.compile(r'\s(?:d|points|transform|[xyr]|c[xy]|[xy][12])="[^"]*"')
DECIMALS = re.compile(r"(\d\.\d\d)\d+")
SOURCE = re.compile(r'\bsrc="([^"]*)"')
ICON_PROGRAM = re.compile(r"<script[^>]*fontawesome[^>]*></script>\s*")
ICON_RULE = re.compile(r"[^{}]*(?:\.fa[bsr]?\b|--fa-|Font Awesome)[^{}]*\{[^{}]*\}")
ICON_FONT = re.compile(r"@font-face\s*\{[^{}]*Font\s?Awesome[^{}]*\}")
RULE = re.compile(r"([^{};]+)\{([^{}]*)\}")
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
NEGATION = re.compile(r":not\([^()]*\)")
COMMA = re.compile(r",(?![^()]*\))")
WORD = re.compile(r"[\w-]+")
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
        return GEOMETRY.sub(lambda part: DECIMALS.sub(r"\1", part[0]), match[0])

    context["body"] = CHART.sub(shorten, IMAGE.sub(complete, DATA.sub(store, body)))
    if "sd-" not in body:
        for files in ("css_files", "script_files"):
            context[files] = [
                file
                for file in context.get(files, ())
                if not any(
                    name in str(getattr(file, "filename", file)) for name in UNUSED
                )
            ]


def drop_unused(app: Sphinx, exception: Exception | None) -> None:
    if exception is not None or app.builder.format != "html":
        return
    static, said = Path(app.outdir) / "_static", set()
    for page in Path(app.outdir).rglob("*.html"):
        text = ICON_PROGRAM.sub("", page.read_text(encoding="utf-8"))
        page.write_text(text, encoding="utf-8")
        said.update(WORD.findall(text))
    for path in [*static.rglob("fontawesome*"), *static.rglob("*.map")]:
        if path.is_file():
            path.unlink()
    for program in static.rglob("*.js"):
        said.update(WORD.findall(program.read_text(encoding="utf-8")))

    def keep(rule: re.Match[str]) -> str:
        # a selector counts only if all of its classes stand in a page or in a program
        used = [
            one
            for one in COMMA.split(rule[1])
            if all(name in said for name in CLASS.findall(NEGATION.sub("", one)))
        ]
        return f"{','.join(used)}{{{rule[2]}}}" if used else ""

    sheet = static / "styles" / "pydata-sphinx-theme.css"
    text = ICON_FONT.sub("", sheet.read_text(encoding="utf-8"))
    sheet.write_text(RULE.sub(keep, ICON_RULE.sub("", text)), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", lighten, priority=950)
    app.connect("build-finished", drop_unused)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
