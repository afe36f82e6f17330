"""The figures that answer, in a real browser, over data that is computed here as a chapter's cell would compute it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import explore
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import nstlib as nst
from nstlib.losses import mean_variance_norm

Open = Callable[..., Any]
Add = Callable[[str, str], None]


@pytest.fixture
def show(open_page: Open, add_page: Add) -> Callable[..., Any]:
    """Open a page with one figure of this kind."""

    def show_figure(kind: str, **data: Any) -> Any:
        shown = explore.figure(kind, nst.samples.content("cat", 64), alt="the static figure", **data)
        add_page(kind, str(shown.data))
        return open_page(kind)

    return show_figure


def words(page: Any) -> str:
    return str(page.text_content(".nst-figure .nst-status"))


def point(page: Any, label: str, x: float, y: float) -> None:
    """Move the mouse over the element of that label, to a share of its width and height."""
    box = page.locator(f"[aria-label^='{label}']").bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])


def test_a_place_shows_what_each_layer_sees(show: Callable[..., Any]) -> None:
    picture = nst.samples.content("cat", 128)
    encoder = nst.Encoder(layers=["relu1_1", "relu2_1", "relu3_1"])
    layers = [
        {"name": name, "sees": sees, "maps": F.adaptive_avg_pool2d(maps, (16, 24))[0]}
        for sees, (name, maps) in zip((3, 10, 24), encoder(picture).items())
    ]
    page = show("receptive", picture=picture, size=list(picture.shape[2:]), layers=layers)
    assert page.is_hidden("img[alt='the static figure']")
    point(page, "The photograph", 0.27, 0.6)
    place = layers[2]["maps"][:, int(0.6 * 16), int(0.27 * 24)]
    assert f"relu3_1 channel {place.argmax()}" in words(page)
    before = words(page)
    page.focus("[aria-label^='The photograph']")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert words(page) != before


def test_a_cell_of_the_gram_matrix_is_a_mean_of_products(show: Callable[..., Any]) -> None:
    painting = nst.samples.style("swirl", 64)
    maps = nst.Encoder(layers=["relu2_1"])(painting)["relu2_1"]
    gram = nst.gram_matrix(maps)[0]
    page = show("gram", picture=painting, gram=gram, maps=maps[0])
    channels = len(gram)
    point(page, "The Gram matrix", (5 + 0.5) / channels, (3 + 0.5) / channels)
    found = re.search(r"Channels 3 and 5: the mean of their product is ([\d.e+-]+)", words(page))
    assert found
    assert float(found[1]) == pytest.approx(gram[3, 5].item(), rel=0.1, abs=0.02)  # a byte has 256 levels
    assert page.text_content(".nst-panels") == "the paintingmap 3map 5their product"
    page.focus("[aria-label^='The Gram matrix']")
    page.keyboard.press("ArrowDown")
    assert words(page).startswith("Channels 4 and 5:")


def test_a_slider_shuffles_tiles_and_shows_the_distances(show: Callable[..., Any]) -> None:
    distances = {"relu1_1": 0.25, "relu5_1": 1.5}
    whole = {"tile": 64, "picture": torch.zeros(1, 3, 8, 8), "distances": dict.fromkeys(distances, 0.0)}
    page = show("gram", shuffles=[whole, {"tile": 8, "picture": torch.ones(1, 3, 8, 8), "distances": distances}])
    assert page.text_content(".nst-shuffle output") == "8 px"  # it begins with a painting that is taken apart
    page.focus(".nst-shuffle input")
    page.keyboard.press("Home")
    first = page.get_attribute(".nst-shuffle img", "src")
    assert page.text_content(".nst-distances") == "relu1_10.000relu5_10.000"
    page.keyboard.press("End")
    assert page.text_content(".nst-shuffle output") == "8 px"
    assert page.get_attribute(".nst-shuffle img", "src") != first
    assert page.text_content(".nst-distances") == "relu1_10.250relu5_11.500"
    widths = [bar.evaluate("bar => bar.style.getPropertyValue('--share')") for bar in page.locator(".nst-bar").all()]
    assert widths == ["0.25", "1"]


def test_steps_are_scrubbed(show: Callable[..., Any]) -> None:
    frames = [{"step": 10 * k, "loss": 0.5**k, "picture": torch.full((1, 3, 8, 8), k / 4)} for k in range(5)]
    page = show("steps", frames=frames)
    assert words(page) == "Step 0: the loss is 1.00."
    assert page.locator(".nst-curve text").all_text_contents() == [
        *("loss", "step"),
        *("0", "10", "20", "30", "40"),
        *("0.1", "0.2", "0.5", "1"),
    ]
    first = page.get_attribute("img[alt='The picture after 0 steps']", "src")
    page.focus(".nst-figure input")
    page.keyboard.press("End")
    assert words(page) == "Step 40: the loss is 0.0625."
    assert page.get_attribute("img[alt='The picture after 40 steps']", "src") != first


def scores(content: Tensor, style: Tensor) -> Tensor:
    """How much each place of one is like each of the other, `(N, M)`."""
    q, k = (F.normalize(mean_variance_norm(one).flatten(2)[0], dim=0) for one in (content, style))
    return 20 * q.mT @ k


def test_a_place_lights_up_where_the_network_looks(show: Callable[..., Any]) -> None:
    encoder, pictures = nst.Encoder(layers=["relu4_1"]), (nst.samples.content("cat", 96), nst.samples.style("wave", 96))
    maps = [encoder(one)["relu4_1"] for one in pictures]
    all_scores = explore.attention_scores(scores(*maps))
    grids = [list(one.shape[2:]) for one in maps]
    page = show(
        "attention", photograph=pictures[0], painting=pictures[1], scores=all_scores, grid=grids[0], style_grid=grids[1]
    )
    rows, columns = grids[0]
    point(page, "The photograph", 2.5 / columns, 3.5 / rows)
    largest = all_scores.softmax(1)[3 * columns + 2].max().item()
    found = re.search(r"looks at (\d+) of (\d+) positions .* has (\d+) % of its attention", words(page))
    assert found
    assert int(found[2]) == all_scores.shape[1]
    assert float(found[3]) == pytest.approx(100 * largest, rel=0.1, abs=1)
    page.focus(".nst-figure input[type=range]")
    page.keyboard.press("End")
    hot = re.search(r"looks at (\d+) of", words(page))
    assert hot
    assert int(hot[1]) > int(found[1])  # the hotter, the more positions it looks at


def test_each_point_of_the_plane_is_its_picture(show: Callable[..., Any]) -> None:
    points = [
        {"name": name, "content": 0.1 * k, "style": 1 / k, "picture": torch.full((1, 3, 8, 8), k / 4), "note": f"{k} s"}
        for k, name in enumerate(("Gatys", "Johnson", "AdaIN"), 1)
    ]
    page = show("plane", points=points)
    page.focus("[aria-label^='AdaIN']")
    assert words(page) == "AdaIN: content error 0.300, style error 0.333, 3 s."
    page.hover("[aria-label^='Johnson']")
    assert words(page).startswith("Johnson:")
    assert page.get_attribute("[aria-label^='Johnson']", "aria-pressed") == "true"


def test_the_names_of_close_points_of_the_plane_lie_apart(show: Callable[..., Any]) -> None:
    places = {
        "SANet": (0.47, 0.27),
        "AdaAttN": (0.5, 0.26),
        "AdaIN": (0.505, 0.27),
        "Gatys": (0.55, 0.03),
        "far": (0.37, 0.19),
    }
    picture = torch.full((1, 3, 8, 8), 0.5)
    page = show(
        "plane",
        points=[
            {"name": name, "content": c, "style": s, "picture": picture, "note": ""} for name, (c, s) in places.items()
        ],
    )
    page.wait_for_timeout(200)
    boxes = [one.bounding_box() for one in page.locator(".nst-point span").all()]
    for n, one in enumerate(boxes):
        for other in boxes[n + 1 :]:
            across = one["x"] < other["x"] + other["width"] and other["x"] < one["x"] + one["width"]
            down = one["y"] < other["y"] + other["height"] and other["y"] < one["y"] + one["height"]
            assert not (across and down)


def test_a_figure_without_its_data_stays_as_it_is(open_page: Open, add_page: Add) -> None:
    add_page(
        "still",
        '<div class="nst-explore" data-figure="gram"><img src="data:," alt="still"></div><p class="nst-live">.</p>',
    )
    page = open_page("still")
    page.wait_for_timeout(300)
    assert page.locator(".nst-figure").count() == 0
