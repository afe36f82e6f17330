"""A real browser on a small site: one page with the studio, and what it runs."""

from __future__ import annotations

import http.server
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
MADE = ROOT / "_build" / "studio" / "site"
"""The runtime, the networks and the pictures, as `make book` makes them."""

PAGE = """<!doctype html>
<html lang="en" data-theme="{theme}">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>studio</title>
<link rel="icon" href="data:,"><link rel="stylesheet" href="../_static/gallery.css">
<script src="../_static/studio/mount.js" defer></script>
</head>
<body><main class="bd-article" style="margin: 1rem">{body}</main></body>
</html>
"""

BODIES = {
    "studio": '<div class="nst-studio"><p>fallback</p></div>',
    "dark": '<div class="nst-studio"><p>fallback</p></div>',
    "widget": '<div class="nst-widget" data-method="johnson" data-style="wave"><p>fallback</p></div>',
    "plain": "<p>a page without a studio</p>",
}


def find_browser() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site in a folder of its host, as on GitHub Pages; pages go into its `book`."""
    root = tmp_path_factory.mktemp("site") / "nstlib"
    shutil.copytree(ROOT / "book" / "_static", root / "_static")
    if (MADE / "manifest.json").exists():
        shutil.copytree(MADE, root / "_static" / "studio", dirs_exist_ok=True)
    (root / "book").mkdir()
    for name, body in BODIES.items():
        write_page(root, name, body, "dark" if name == "dark" else "light")
    return root


def write_page(root: Path, name: str, body: str, theme: str = "light") -> None:
    (root / "book" / f"{name}.html").write_text(PAGE.format(theme=theme, body=body), encoding="utf-8")


@pytest.fixture(scope="session")
def site(site_folder: Path) -> Iterator[str]:
    """The address of a static server that serves the site."""
    with serve(site_folder.parent) as address:
        yield f"{address}nstlib/"


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve the files of a folder, and give its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def add_page(site_folder: Path) -> Callable[[str, str], None]:
    """Write a page of this name and body into the site."""
    return partial(write_page, site_folder)


@pytest.fixture
def made() -> None:
    """Skip where the networks of the studio have not been exported."""
    if not (MADE / "manifest.json").exists():
        pytest.skip("what the studio runs has not been made: make book, or python book/build_studio.py FOLDER")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium of this machine."""
    found = find_browser()
    if found is None:
        missing = "no Chromium on the PATH: apt-get install chromium, or its like"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    pytest.importorskip("playwright", reason='Playwright drives the browser: pip install "nstlib[test]"')
    from playwright.sync_api import sync_playwright

    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    flags += ["--no-sandbox"] if sys.platform == "linux" else []  # which containers don't allow
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(site: str, browser: Any) -> Iterator[Any]:
    """Open a page by its name; in the end, nothing may have gone wrong on it, and no other host been asked."""
    contexts: list[Any] = []
    troubles: list[str] = []

    def note_request(request: Any) -> None:
        if not request.url.startswith((site, "data:", "blob:")):
            troubles.append(f"asked another place: {request.url}")

    def open_it(name: str = "studio", *, width: int = 1300, height: int = 900, **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", note_request)
        page.goto(f"{site}book/{name}.html?engine=wasm")
        if name != "plain":
            page.wait_for_selector(".nst-live")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert not troubles
