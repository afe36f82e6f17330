from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nstlib as nst
from nstlib.training.data import Crops, change_colors, list_folders
from nstlib.training.options import TrainingOptions


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i, name in enumerate(nst.samples.content_names()[:4] * 2):
        picture = nst.samples.content(name, 40 + 9 * i)
        nst.save_image(picture if i % 2 else picture.transpose(2, 3), folder / f"{i}.png")
    return folder


def crops(content: Path | list[Path], style: Path | list[Path] | None = None, first: int = 0, **options: Any) -> Crops:
    chosen = TrainingOptions(**{"steps": 1, "size": 32, **options})
    styles = [] if style is None else list_folders(style)
    return Crops(list_folders(content), styles, chosen, first=first, count=100)


def test_samples_are_a_function_of_seed_and_position(photos: Path) -> None:
    options: dict[str, Any] = {"crop_scale": (0.4, 1), "color_augmentation": 0.5}
    whole = crops(photos, [photos, photos], seed=5, **options)
    later = crops(photos, [photos, photos], seed=5, first=20, **options)
    for i in (19, 3, 0):
        assert torch.equal(whole[20 + i].content, later[i].content)
        style, again = whole[20 + i].style, later[i].style
        assert style is not None
        assert again is not None
        assert torch.equal(style, again)
        assert whole[i].content.shape == (3, 32, 32)
    other = crops(photos, [photos, photos], seed=6, **options)
    assert not all(torch.equal(whole[i].content, other[i].content) for i in range(8))
    assert not torch.equal(whole[0].content, whole[8].content)  # the second time through is another order


def test_every_picture_comes_once_each_time_through_and_half_are_mirrored(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 0.5, 36).expand(1, 3, 36, 36)
    for i in range(5):
        nst.save_image(ramp + 0.1 * i, tmp_path / f"{i}.png")
    data = crops(tmp_path)
    found, mirrored = [], 0
    for i in range(100):
        content = data[i].content
        found.append(round((content.mean().item() - 0.25) / 0.1))
        mirrored += int(content[0, 0, 0] > content[0, 0, -1])
    assert all(sorted(found[i : i + 5]) == [0, 1, 2, 3, 4] for i in range(0, 100, 5))
    assert found[:5] != found[5:10] or found[5:10] != found[10:15]
    assert 30 < mirrored < 70


def test_folders_can_count_alike_however_many_pictures_they_hold(tmp_path: Path) -> None:
    for folder, count, level in (("many", 9, 0.2), ("few", 1, 0.8)):
        for i in range(count):
            nst.save_image(torch.full((1, 3, 36, 36), level), tmp_path / folder / f"{i}.png")
    folders = [tmp_path / "many", tmp_path / "few"]
    for balanced, share in ((True, 0.5), (False, 0.1)):
        data = crops(folders, balance_folders=balanced)
        light = [bool(data[i].content.mean() > 0.5) for i in range(100)]
        assert sum(light) == 100 * share


def test_a_crop_is_as_large_a_part_of_the_picture_as_was_asked(tmp_path: Path) -> None:
    nst.save_image(torch.linspace(0, 1, 256).expand(1, 3, 256, 256), tmp_path / "ramp.png")
    for scale in (0.4, 1.0):
        content = crops(tmp_path, crop_scale=(scale, scale))[0].content
        assert (content.max() - content.min()).item() == pytest.approx(scale, abs=0.05)
    data = crops(tmp_path, crop_scale=(0.4, 1))
    shares = [(data[i].content.max() - data[i].content.min()).item() for i in range(40)]
    assert min(shares) < 0.5
    assert max(shares) > 0.9


def test_colours_change_in_the_share_of_pictures_that_was_asked(photos: Path) -> None:
    plain, changed = crops(photos, seed=3), crops(photos, seed=3, color_augmentation=0.5)
    same = [torch.equal(plain[i].content, changed[i].content) for i in range(60)]
    assert 15 < sum(same) < 45
    random = np.random.default_rng(0)
    grey = torch.full((3, 8, 8), 0.5)
    hues = torch.stack([change_colors(torch.rand(3, 1, 1).expand(3, 8, 8), random) for _ in range(50)])
    assert hues.min() >= 0
    assert hues.max() <= 1
    assert hues.flatten(2).std(2).max() < 1e-6  # the same change at every position
    greys = torch.stack([change_colors(grey, random) for _ in range(50)])
    assert greys.std(1).max() < 1e-6  # what has no colour gets none
