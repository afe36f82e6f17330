"""The making of the embedded encoder, on teachers with random weights in the layouts that people have."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from networks import random_convs, torchvision_state
from safetensors.torch import save_file
from torch import Tensor

import nstlib as nst
from nstlib import distill

WIDTHS = ["4", "4", "6", "8", "6"]


def test_selection_finds_channels_that_span_the_others() -> None:
    random = torch.Generator().manual_seed(0)
    base = torch.randn(500, 3, generator=random, dtype=torch.float64)
    # six channels that are mixtures of three, at very different scales and offsets
    features = torch.cat([base @ torch.randn(3, 6, generator=random, dtype=torch.float64) * 1e3 + 50, base * 1e-2], 1)
    chosen = distill.select_channels(features, 3)
    known = torch.cat([features[:, chosen], torch.ones(500, 1, dtype=torch.float64)], 1)
    found = known @ torch.linalg.lstsq(known, features).solution
    torch.testing.assert_close(found, features, rtol=1e-6, atol=1e-6)
    assert len(set(chosen.tolist())) == 3


def test_least_squares_is_exact_where_there_is_an_answer() -> None:
    random = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(*shape, generator=random) for shape in ((300, 5), (2, 5), (2,)))
    found = distill.least_squares(x, x @ weight.T + bias, ridge=0)
    torch.testing.assert_close(found[0], weight, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[1], bias, rtol=1e-4, atol=1e-4)
    assert distill.linear_error(x, x @ weight.T + bias) < 1e-6
    assert distill.linear_error(x, torch.randn(300, 2, generator=random)) > 0.5


@pytest.fixture
def convs() -> distill.Convs:
    return {name: (weight, bias) for name, weight, bias in random_convs((6, 6, 8, 10, 8))}


@pytest.fixture
def pictures() -> Tensor:
    return torch.rand(6, 3, 48, 48, generator=torch.Generator().manual_seed(0))


def test_pruning_to_the_full_width_gives_the_teacher_back(convs: distill.Convs, pictures: Tensor) -> None:
    pruned = distill.prune(convs, (6, 6, 8, 10, 8), pictures, positions=400)
    teacher, student = (
        nst.Encoder({**distill.flatten(one), "color.weight": color[0], "color.bias": color[1]}, ["relu1_2", "relu2_1"])
        for one, color in ((convs, distill.imagenet_color()), (pruned, distill.imagenet_color()))
    )
    picture = pictures[:1]
    for layer in ("relu1_2", "relu2_1"):
        expected, found = teacher(picture)[layer], student(picture)[layer]
        assert (found - expected).norm() < 0.02 * expected.norm(), layer


def test_scaling_gives_mean_one_and_changes_nothing_else(convs: distill.Convs, pictures: Tensor) -> None:
    color = dict(zip(("color.weight", "color.bias"), distill.imagenet_color(), strict=True))
    layers = ["relu1_1", "relu3_2", "relu5_1"]
    before = nst.Encoder({**distill.flatten(convs), **color}, layers)(pictures)
    after = nst.Encoder({**distill.flatten(distill.scale(convs, pictures)), **color}, layers)(pictures)
    for layer in layers:
        mean = before[layer].mean((0, 2, 3), keepdim=True)
        rms = before[layer].square().mean((0, 2, 3), keepdim=True).sqrt()
        mean = torch.maximum(mean, rms / distill.RARE)
        alive = mean[0, :, 0, 0] > 1e-3
        torch.testing.assert_close((before[layer] / mean)[:, alive], after[layer][:, alive], rtol=2e-3, atol=2e-3)


def test_export_folds_the_normalisation(convs: distill.Convs, pictures: Tensor) -> None:
    pruned = {name: pair for name, pair in convs.items() if name < "conv4"}
    student = distill.Student(pruned, (6, 6, 8, 10, 8))
    for _ in range(3):
        student(pictures)  # moves the running statistics
    student.eval()
    color = dict(zip(("color.weight", "color.bias"), distill.imagenet_color(), strict=True))
    encoder = nst.Encoder({**distill.flatten(student.export()), **color}, ["relu3_4", "relu4_3", "relu5_1"])
    with torch.no_grad():
        expected = student(pictures)
    for layer, feature in encoder(pictures).items():
        torch.testing.assert_close(feature, expected[layer], rtol=1e-3, atol=1e-4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = torch.Generator().manual_seed(0)
    for number in range(6):
        nst.save_image(torch.rand(1, 3, 40, 60, generator=random), tmp_path / "pictures" / f"{number}.png")
    return tmp_path / "pictures"


@pytest.mark.parametrize("whole", [True, False])
def test_the_command_makes_an_encoder(
    tmp_path: Path, folder: Path, whole: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the whole of VGG19 as the teacher, and with its first three blocks and a SqueezeNet."""
    from torchvision.models import squeezenet1_0

    teacher = random_convs((8, 8, 10, 12, 10))
    save_file(torchvision_state(teacher if whole else teacher[:8]), tmp_path / "teacher.safetensors")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_file(squeezenet1_0(weights=None).state_dict(), tmp_path / "squeezenet.safetensors")
    out = tmp_path / "mini.safetensors"
    arguments = ["--pictures", str(folder), "--held-out", "2", "--vgg19", str(tmp_path / "teacher.safetensors")]
    arguments += [
        "--widths",
        *WIDTHS,
        "--steps",
        "2",
        "--tune-steps",
        "2",
        "--batch",
        "2",
        "--size",
        "32",
        "--samples",
        "6",
        "--out",
        str(out),
    ]
    if not whole:
        arguments += ["--squeezenet", str(tmp_path / "squeezenet.safetensors")]
    distill.main(arguments)
    printed = capsys.readouterr().out
    assert "4 pictures to train on, 2 held out" in printed
    encoder = nst.Encoder(out, ["relu1_1", "relu3_4", "relu5_1"])
    assert list(encoder.channels.values()) == [4, 6, 6]
    card = out.with_suffix(".md").read_text()
    assert "CC BY 4.0" in card
    assert "relu5_1" in card


def test_a_stopped_run_continues_to_the_same_weights(tmp_path: Path, folder: Path) -> None:
    save_file(torchvision_state(random_convs((8, 8, 10, 12, 10))), tmp_path / "teacher.safetensors")
    teachers = distill.Teachers(tmp_path / "teacher.safetensors", None)
    train, _ = distill.load_folders([folder], 2, 40)

    def run(checkpoint: Path, steps: int) -> distill.Student:
        torch_state = torch.random.get_rng_state()
        torch.manual_seed(0)
        pruned = distill.prune(
            teachers.convs,
            [int(width) for width in WIDTHS],
            distill.random_crops(train, 4, 32, torch.Generator().manual_seed(0)),
        )
        student = distill.Student(pruned, [int(width) for width in WIDTHS])
        distill.distil(
            student, teachers, train, steps=0, tune_steps=6, batch=2, size=32, learning_rate=1e-3,
            checkpoint=checkpoint, stop_after=steps, save_every=2,
        )  # fmt: skip
        torch.random.set_rng_state(torch_state)
        return student

    whole = run(tmp_path / "a.pt", 6)
    run(tmp_path / "b.pt", 4)
    continued = run(tmp_path / "b.pt", 6)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, continued.state_dict()[name]), name


def test_missing_teachers_and_pictures_are_named(tmp_path: Path, folder: Path) -> None:
    save_file(torchvision_state(random_convs()[:8]), tmp_path / "teacher.safetensors")
    with pytest.raises(ValueError, match=r"ends before relu4_1: name a SqueezeNet"):
        distill.Teachers(tmp_path / "teacher.safetensors", None)
    with pytest.raises(ValueError, match=r"holds 6 pictures, and 6 of them are to be held out"):
        distill.load_folders([folder], 6)
