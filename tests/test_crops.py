from __future__ import annotations

from pathlib import Path

import pytest
import torch

import nstlib as nst
from nstlib.crops import MARGIN, Crops, list_pictures


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i, name in enumerate(nst.samples.content_names()[:4] * 2):
        picture = nst.samples.content(name, 40 + 9 * i)
        nst.save_image(picture if i % 2 else picture.transpose(2, 3), folder / f"{i}.png")
    return folder


def test_samples_are_a_function_of_seed_and_position(photos: Path) -> None:
    contents, styles = list_pictures(photos), list_pictures([photos, photos])
    assert len(styles) == 2 * len(contents) == 16
    crops, later = Crops(contents, styles, 32, 5, 0, 40), Crops(contents, styles, 32, 5, 20, 20)
    for i in (19, 3, 0):
        assert torch.equal(crops[20 + i].content, later[i].content)
        style, again = crops[20 + i].style, later[i].style
        assert style is not None
        assert again is not None
        assert torch.equal(style, again)
        assert crops[i].content.shape == (3, 32, 32)
    other = Crops(contents, styles, 32, 6, 0, 40)
    assert not all(torch.equal(crops[i].content, other[i].content) for i in range(8))
    assert not torch.equal(crops[0].content, crops[8].content)  # the second time through is another order


def test_every_picture_comes_once_each_time_through_and_half_are_mirrored(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 0.5, 36).expand(1, 3, 36, 36)
    for i in range(5):
        nst.save_image(ramp + 0.1 * i, tmp_path / f"{i}.png")
    files = list_pictures(tmp_path)
    crops = Crops(files, [], 32, 0, 0, 100)
    assert round(32 * MARGIN) == 36
    found, mirrored = [], 0
    for i in range(100):
        content = crops[i].content
        found.append(round((content.mean().item() - 0.25) / 0.1))
        mirrored += int(content[0, 0, 0] > content[0, 0, -1])
    assert all(sorted(found[i : i + 5]) == [0, 1, 2, 3, 4] for i in range(0, 100, 5))
    assert found[:5] != found[5:10] or found[5:10] != found[10:15]
    assert 30 < mirrored < 70
