"""What `show` draws, and where."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from test_image import corners

from nstlib import show


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Collects the figures that were showing when plt.show() was called."""
    figures: list[Any] = []
    plt.close("all")
    monkeypatch.setattr(plt, "show", lambda: figures.extend(plt.figure(n) for n in plt.get_fignums()))
    yield figures
    plt.close("all")


def test_show_draws_every_picture_undistorted(shown: list[Any]) -> None:
    batch, wide, grey = torch.rand(2, 3, 40, 30), torch.rand(3, 10, 40), torch.rand(1, 20, 20)
    assert show(batch, wide, grey, titles=["a", "b", "c", "d"], columns=3, height=2.0) is None  # type: ignore[func-returns-value]
    (figure,) = shown
    assert len(figure.axes) == 4
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", "d"]
    width, height = figure.get_size_inches()
    for axes, ratio in zip(figure.axes, [30 / 40, 30 / 40, 4, 1], strict=True):
        box = axes.get_position()
        assert box.height * height == pytest.approx(2.0)
        assert box.width * width == pytest.approx(2.0 * ratio)
        assert not axes.axison
        assert box.x0 >= -1e-9
        assert box.x1 <= 1 + 1e-9
        assert box.y0 >= -1e-9
    rows = [round(axes.get_position().y0, 6) for axes in figure.axes]
    assert rows[0] == rows[1] == rows[2] > rows[3]
    assert figure.axes[0].get_position().x1 <= figure.axes[1].get_position().x0
    assert figure.get_facecolor()[3] == 0  # transparent: the page shows through


def test_show_draws_the_right_pixels(shown: list[Any]) -> None:
    picture = torch.tensor([1.5, 0.5, -0.5]).view(3, 1, 1).expand(3, 4, 4)
    inside, outside = torch.full((4, 4), 0.3), torch.linspace(-2, 6, 16).view(1, 1, 4, 4)
    show(picture, inside, outside, corners())
    images = [axes.images[0] for axes in shown[0].axes]
    assert np.allclose(images[0].get_array()[0, 0], [1.0, 0.5, 0.0])
    assert images[1].get_clim() == (0, 1)
    assert images[2].get_clim() == (-2, 6)
    assert images[1].get_cmap().name == "gray"
    assert np.allclose(images[3].get_array(), corners() / 255)


def test_show_draws_transparency(shown: list[Any]) -> None:
    picture = torch.tensor([1.5, 0.5, 0.0, 0.2]).view(1, 4, 1, 1).expand(1, 4, 4, 4)
    show(picture, picture[0])
    for axes in shown[0].axes:
        assert np.allclose(axes.images[0].get_array()[0, 0], [1.0, 0.5, 0.0, 0.2])


@pytest.mark.parametrize(("count", "across"), [(1, 1), (3, 3), (4, 4), (5, 3), (8, 4), (9, 3)])
def test_show_fills_rows_evenly(count: int, across: int, shown: list[Any]) -> None:
    show(torch.rand(count, 3, 4, 4))
    assert len({round(axes.get_position().x0, 6) for axes in shown[0].axes}) == across


def test_show_errors(shown: list[Any]) -> None:
    picture = torch.rand(2, 3, 4, 4)
    with pytest.raises(ValueError, match="1 titles for 2 pictures"):
        show(picture, titles=["one"])
    with pytest.raises(ValueError, match="at least one picture"):
        show()
    with pytest.raises(ValueError, match=r"not \(1, 5, 4, 4\)"):
        show(torch.rand(1, 5, 4, 4))
    with pytest.raises(ValueError, match=r"not \(1, 8, 8, 3\); .* use permute\(0, 3, 1, 2\)"):
        show(torch.rand(1, 8, 8, 3))
    with pytest.raises(ValueError, match="columns must be a whole number of at least 1"):
        show(picture, columns=0)
    with pytest.raises(ValueError, match="height must be a number above 0"):
        show(picture, height=0)
    assert shown == []
    show(picture[0], titles="one title")
    assert shown[0].axes[0].get_title() == "one title"
