"""Makes the built site independent of the network.

- MathJax comes from the files of the package `sphinx-mathjax-offline`, cut down to
  what a page can load.
- Scripts from an outside host are dropped: require.js and the widget manager, which
  serve widgets that a static page cannot run. A script that two extensions both add is
  kept once.
- thebe, which runs cells on an outside server, is taken out: jupyter-book loads it even
  where it is switched off.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.fileutil import copy_asset

MATHJAX = ("tex-chtml.js", "output/chtml/fonts", "input/tex/extensions")


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        spec = importlib.util.find_spec("sphinx-mathjax-offline")
        if spec is None or not spec.submodule_search_locations:
            raise ExtensionError("sphinx-mathjax-offline is not installed")
        source = Path(spec.submodule_search_locations[0]) / "static" / "mathjax"
        target = Path(app.outdir) / "_static" / "mathjax"
        for part in MATHJAX:
            folder = (
                (target / part).parent if (source / part).is_file() else target / part
            )
            folder.mkdir(parents=True, exist_ok=True)
            copy_asset(str(source / part), str(folder))


def keep_local_scripts(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    kept: list[Any] = []
    seen: set[tuple[str, str]] = set()
    for script in context.get("script_files", ()):
        name = str(getattr(script, "filename", script) or "")
        body = str(getattr(script, "attributes", {}).get("body") or "")
        if not urlsplit(name).netloc and (name, body) not in seen:
            seen.add((name, body))
            kept.append(script)
    context["script_files"] = kept


def remove_thebe(app: Sphinx) -> None:
    for listeners in app.events.listeners.values():
        listeners[:] = [
            each for each in listeners if each.handler.__module__ != "sphinx_thebe"
        ]
    app.registry.css_files[:] = [
        file for file in app.registry.css_files if file[0] != "sphinx-thebe.css"
    ]


def setup(app: Sphinx) -> dict[str, bool]:
    remove_thebe(app)
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("build-finished", copy_mathjax)
    app.connect("html-page-context", keep_local_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
