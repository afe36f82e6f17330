"""Makes the built site independent of the network.

- Scripts from an outside host are dropped: require.js and the widget manager, which
  serve widgets that a static page cannot run. A script that two extensions both add is
  kept once.
- thebe, which runs cells on an outside server, is taken out: jupyter-book loads it even
  where it is switched off.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx


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
    app.connect("html-page-context", keep_local_scripts, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
