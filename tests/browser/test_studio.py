"""The studio in a real browser: it paints what Python paints, says what is wrong, and works without a mouse."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import nstlib as nst

pytestmark = pytest.mark.usefixtures("made")

PICTURES = Path(__file__).resolve().parents[2] / "_build/studio/site/pictures"

TIMEOUT = 60_000
"""ms, for machines that are busy."""


def wait_for(page: Any, words: str) -> None:
    """Wait until the status line matches."""
    script = "words => new RegExp(words).test(document.querySelector('.nst-status').textContent)"
    page.wait_for_function(script, arg=words, timeout=TIMEOUT)


def start(page: Any, size: str = "") -> None:
    page.click(".nst-start")
    wait_for(page, size or r"\d ms")


def canvas(page: Any) -> Tensor:
    """What is painted, `(1, 3, H, W)`."""
    data = page.evaluate("() => document.querySelector('.nst-after').toDataURL()")
    return nst.load_image(io.BytesIO(base64.b64decode(data.partition(",")[2])), size=None)


def sample(name: str) -> Tensor:
    return nst.load_image(PICTURES / f"{name}.webp", size=None)


def set_strength(page: Any, percent: int) -> None:
    script = "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }"
    page.eval_on_selector(".nst-strength input", script, percent)


def test_it_paints_what_python_paints(open_page: Any) -> None:
    page = open_page()
    page.click("[aria-label='an astronaut']")  # which begins, too: 512 x 512, as the painting is, so nothing is scaled
    wait_for(page, "^512 . 512 px in .* ms, AdaIN")
    model, pair = nst.AdaIN.pretrained(), (sample("astronaut"), sample("swirl"))
    difference = (canvas(page) - model.stylize(*pair)).abs()
    assert difference.max() < 2 / 255
    assert difference.mean() < 0.5 / 255
    painted = []
    for percent in (50, 0):
        set_strength(page, percent)
        page.wait_for_timeout(100)
        wait_for(page, r"^(?!512)\d")  # small, while it moves
        wait_for(page, "^512 . 512")
        painted.append(canvas(page))
        assert (painted[-1] - model.stylize(*pair, percent / 100)).abs().max() < 2 / 255
    assert (painted[0] - painted[1]).abs().mean() > 0.02


def test_two_paintings_are_blended_by_a_point_that_is_dragged(open_page: Any) -> None:
    page = open_page()
    start(page)
    page.click("[aria-label='mosaic']")
    page.wait_for_selector(".nst-pad[data-count='2']", timeout=TIMEOUT)
    knob = page.locator(".nst-pad-knob")
    assert knob.get_attribute("aria-valuetext") == "50% swirling oil, 50% mosaic"
    wait_for(page, "^451 . 300")
    middle = canvas(page)
    box = page.locator(".nst-pad").bounding_box()
    page.mouse.click(box["x"] + box["width"] - 1, box["y"] + 1)
    assert re.search(r"(99|100)% mosaic", knob.get_attribute("aria-valuetext") or "")
    knob.press("ArrowLeft")
    assert re.search(r"9[45]% mosaic", knob.get_attribute("aria-valuetext") or "")
    wait_for(page, r"^(?!451)\d")
    wait_for(page, "^451 . 300")
    assert (canvas(page) - middle).abs().mean() > 0.01


@pytest.mark.parametrize(("method", "words"), [("johnson", "Johnson"), ("sanet", "SANet"), ("adaattn", "AdaAttN")])
def test_the_other_methods_paint(method: str, words: str, open_page: Any) -> None:
    page = open_page()
    page.check(f"input[value={method}]", force=True)
    wait_for(page, f"px in .* ms, {words} in WebAssembly")
    painted = canvas(page)
    assert painted.std() > 0.05
    photo = nst.load_image(sample("cat"), size=min(painted.shape[2:]))
    assert (painted - photo[..., : painted.shape[2], : painted.shape[3]]).abs().mean() > 0.03


def test_ones_own_pictures_and_files_that_are_none(open_page: Any, tmp_path: Path) -> None:
    page = open_page()
    start(page)
    photo = nst.save_image(nst.samples.content("rocket", 90), tmp_path / "mine.png")
    page.set_input_files("input[aria-label='Your own photograph']", photo)
    wait_for(page, r"^\d+ . 90 px")
    before = canvas(page)
    for name, data, words in (
        ("notes.txt", b"Dear diary", '"notes.txt" can\'t be opened: it is no picture'),
        ("broken.png", b"\x89PNG\r\n", '"broken.png" can\'t be opened: it is damaged'),
    ):
        kind = "text/plain" if name.endswith("txt") else "image/png"
        page.set_input_files(
            "input[aria-label='Your own photograph']", {"name": name, "mimeType": kind, "buffer": data}
        )
        page.wait_for_function("words => document.querySelector('.nst-error').textContent.startsWith(words)", arg=words)
    assert torch.equal(canvas(page), before)
    huge = io.BytesIO()
    Image.new("1", (8000, 7500)).save(huge, "PNG")
    page.set_input_files(
        "input[aria-label='Your own photograph']",
        {"name": "huge.png", "mimeType": "image/png", "buffer": huge.getvalue()},
    )
    page.wait_for_function(
        "() => document.querySelector('.nst-error').textContent.includes('has 60 megapixels')", timeout=TIMEOUT
    )


def test_a_painting_is_saved_as_png(open_page: Any) -> None:
    page = open_page()
    start(page, "^451 . 300")
    with page.expect_download() as waited:
        page.click("text=Save as PNG")
    saved = np.asarray(Image.open(waited.value.path()).convert("RGB"))
    assert waited.value.suggested_filename == "painted.png"
    assert np.array_equal(saved, (canvas(page)[0].permute(1, 2, 0) * 255).round().byte().numpy())


def test_the_keyboard_is_enough(open_page: Any) -> None:
    page = open_page()
    page.focus(".nst-start")
    page.keyboard.press("Enter")
    wait_for(page, r"\d ms")
    page.focus(".nst-cut")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.get_attribute(".nst-cut", "aria-valuetext") == "3% photograph"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("() => document.activeElement.className + ' ' + document.activeElement.type"))
    assert {"nst-button button", "nst-thumb button", "nst-hidden file"} <= seen
    assert {" radio", " range", " select-one"} <= seen


def test_every_control_has_a_name(open_page: Any) -> None:
    page = open_page()
    script = """() => [...document.querySelectorAll('.nst-live :is(button, input, select)')].filter((one) =>
      !(one.ariaLabel || one.textContent.trim() || one.closest('label')?.textContent.trim())).map((one) => one.outerHTML)"""
    assert page.evaluate(script) == []


def test_nothing_is_loaded_before_it_is_asked_for(open_page: Any) -> None:
    page = open_page("plain")
    assert (
        page.evaluate("() => performance.getEntriesByType('resource').filter((one) => /studio/.test(one.name)).length")
        == 1
    )
    page = open_page()
    page.wait_for_timeout(500)
    names = page.evaluate("() => performance.getEntriesByType('resource').map((one) => one.name)")
    assert not [name for name in names if re.search(r"runtime|networks", name)]


@pytest.mark.parametrize(("name", "width"), [("studio", 420), ("dark", 1300)])
def test_a_phone_and_the_dark(name: str, width: int, open_page: Any) -> None:
    page = open_page(name, width=width, has_touch=width < 500)
    overflow = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    (page.tap if width < 500 else page.click)(".nst-start")
    wait_for(page, r"\d ms")
    ink, wall = page.evaluate(
        """() => [getComputedStyle(document.querySelector('.nst-button')).color,
        getComputedStyle(document.documentElement).getPropertyValue('--nst-wall')]"""
    )
    bright = sum(map(int, re.findall(r"\d+", ink)[:3])) > 3 * 128
    assert bright == (name == "dark"), (ink, wall)


def test_the_camera_is_painted_live(open_page: Any) -> None:
    page = open_page(permissions=["camera"])
    page.check("input[value=johnson]", force=True)
    wait_for(page, "Johnson")
    page.click("text=Camera")
    wait_for(page, r"^\d+\.\d pictures a second")
    page.click("text=Take this picture")
    wait_for(page, r"^\d+ . \d+ px in")
    assert page.is_hidden(".nst-error")


def test_a_camera_that_is_not_allowed_is_told(open_page: Any) -> None:
    page = open_page()
    script = (
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
    )
    page.evaluate(script)
    page.click("text=Camera")
    page.wait_for_function(
        "() => document.querySelector('.nst-error').textContent.startsWith('The camera was not allowed')"
    )
    assert page.is_visible(".nst-start")


def test_the_page_is_never_held_up(open_page: Any) -> None:
    page = open_page()
    page.evaluate(
        """() => { window.held = []; new PerformanceObserver((list) => window.held.push(...list.getEntries().map(
        (one) => Math.round(one.duration)))).observe({ type: 'longtask' }); }"""
    )
    start(page, "^451 . 300")
    set_strength(page, 60)
    wait_for(page, r"^(?!451)\d")
    wait_for(page, "^451 . 300")
    found = re.search(r"in (\d+) ms", page.text_content(".nst-status"))
    assert found
    # on an idle machine nothing takes 50 ms; a busy one holds up everything alike
    assert max(page.evaluate("() => window.held"), default=0) < max(50, int(found[1]) / 2)


def test_a_widget_of_one_method(open_page: Any) -> None:
    page = open_page("widget")
    assert page.locator(".nst-pills").count() == 0
    start(page, "^451 . 300 px in .* ms, Johnson")
    page.click("[aria-label='stained glass']:visible")
    wait_for(page, r"^(?!451)\d")
    wait_for(page, "^451 . 300")
    expected = nst.Johnson.pretrained("glass").stylize(sample("cat"))
    assert (canvas(page) - expected).abs().mean() < 0.5 / 255
