"""The figures of the book, as HTML that a page, JupyterLab and Colab show."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.dom import minidom

import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "book"))

import figures
import slides


def test_a_grid_holds_one_picture_each_with_its_words() -> None:
    shown = figures.pictures(torch.rand(2, 3, 8, 12), torch.rand(5, 7), captions=["one", "<b>two</b>", "a map"])
    page = BeautifulSoup(str(shown.data), "html.parser")
    found = [(img["alt"], img["width"], img["height"]) for img in page.find_all("img")]
    assert found == [("one", "12", "8"), ("two", "12", "8"), ("a map", "7", "5")]
    assert page.find_all("figcaption")[1].b.string == "two"  # type: ignore[union-attr]


def test_a_missing_caption_is_noticed() -> None:
    with pytest.raises(ValueError, match="1 captions for 2 pictures"):
        figures.pictures(torch.rand(2, 3, 8, 8), captions=["one"])


def test_charts_take_the_colours_of_the_page_and_share_no_names() -> None:
    def draw(values: list[float]) -> str:
        figure, ax = figures.axes()
        ax.plot(values, marker="o", label="a curve")
        ax.legend()
        return str(figures.chart(figure, alt="A curve & its legend").data)

    charts = draw([1, 2, 3]), draw([3, 1, 2])
    page = BeautifulSoup("".join(charts), "html.parser")
    names = [tag["id"] for tag in page.find_all(id=True)]
    assert names
    assert len(names) == len(set(names))
    assert all(link[1:] in names for link in re.findall(r'href="(#[^"]+)"', charts[0]))
    assert "var(--nst-curve-1" in charts[0]
    assert "currentColor" in charts[0]
    assert figures.INK not in charts[0]
    assert page.svg
    assert page.svg["aria-label"] == "A curve & its legend"
    assert "a curve" in page.get_text()


@pytest.mark.parametrize("chapter", slides.CHAPTERS, ids=lambda path: path.stem)
def test_figures_of_a_chapter_become_files_for_slides(chapter: Path, tmp_path: Path) -> None:
    files = slides.write(chapter, tmp_path)
    for file in files:
        if file.suffix == ".png":
            assert min(Image.open(file).size) >= 2
        else:
            minidom.parse(str(file))
            assert "var(" not in file.read_text(encoding="utf-8")
    captions = (tmp_path / "captions.md").read_text(encoding="utf-8")
    named = [name for name, _, _ in slides.figures_of(chapter)]
    assert all(any(f"_{name}" in file.name for file in files) for name in named)
    assert all(f"_{name}`: " in captions for name in named)
    assert "{" not in re.sub(r"\$[^$]*\$", "", captions)  # no role of the site is left, outside of formulas
