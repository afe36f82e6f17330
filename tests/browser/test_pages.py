"""The pages of the built book in a real browser: they open quickly and without complaint, and fit on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import serve

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "_build" / "html"
PAGES = sorted(path.stem for path in ROOT.glob("book/[0-9a-z]*.*") if path.suffix in (".md", ".ipynb"))

HEAVIEST = 1_500_000
"""Bytes, uncompressed, that a page may load before the reader touches it."""


@pytest.fixture(scope="module")
def book() -> Iterator[str]:
    if not (BUILT / "index.html").exists():
        pytest.skip("the book has not been built: make book")
    with serve(BUILT) as address:
        yield f"{address}book/"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light_and_says_nothing_in_the_console(name: str, book: str, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    said: list[str] = []
    loaded: dict[str, int] = {}
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfinished", lambda request: loaded.update({request.url: request.sizes()["responseBodySize"]}))
    page.goto(f"{book}{name}.html", wait_until="networkidle")
    assert said == []
    assert all(url.startswith(book.removesuffix("book/")) for url in loaded)
    assert 20_000 < sum(loaded.values()) < HEAVIEST, loaded
    page.set_viewport_size({"width": 420, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    page.close()


def test_a_click_or_enter_enlarges_a_picture(book: str, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.goto(f"{book}01_what_a_network_sees.html")
    pictures = page.locator(".nst-enlarges")
    assert pictures.count() > 10
    pictures.first.click()
    large = page.locator("dialog.nst-large")
    large.wait_for(state="visible")
    first = large.locator("img").get_attribute("src")
    page.keyboard.press("ArrowRight")
    assert large.locator("img, svg").first.get_attribute("src") != first
    page.keyboard.press("Escape")
    large.wait_for(state="hidden")
    pictures.nth(2).focus()
    page.keyboard.press("Enter")
    large.wait_for(state="visible")
    large.click()
    large.wait_for(state="hidden")
    page.close()


def test_formulas_are_on_the_page_without_a_script(book: str, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{book}02_gram_matrices.html")
    assert page.locator(".katex").count() > 50
    assert "$" not in page.locator("article").inner_text()
    context.close()
