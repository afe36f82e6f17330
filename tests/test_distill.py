"""The making of the embedded encoder, on teachers with random weights in the layouts that people have."""

from __future__ import annotations

from pathlib import Path

import distiller
import pytest
import torch
from networks import random_convs, torchvision_state
from safetensors.torch import save_file
from torch import Tensor

import nstlib as nst
from nstlib import distill

WIDTHS = (4, 4, 4, 4, 6, 5, 5, 6, 8, 6, 6, 6, 6)
FULL = (6, 6, 6, 6, 8, 8, 8, 8, 10, 10, 10, 10, 8)


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
    pruned = distill.prune(convs, FULL, pictures, positions=400)
    teacher, student = (
        nst.Encoder(distill.flatten(one), ["relu1_2", "relu2_1"], padding=distill.PADDING) for one in (convs, pruned)
    )
    picture = pictures[:1]
    for layer in ("relu1_2", "relu2_1"):
        expected, found = teacher(picture)[layer], student(picture)[layer]
        assert (found - expected).norm() < 0.02 * expected.norm(), layer


def test_scaling_gives_mean_one_and_changes_nothing_else(convs: distill.Convs, pictures: Tensor) -> None:
    layers = ["relu1_1", "relu3_2", "relu5_1"]
    before, after = (
        nst.Encoder(distill.flatten(one), layers, padding=distill.PADDING)(pictures)
        for one in (convs, distill.scale(convs, pictures))
    )
    for layer in layers:
        mean = before[layer].mean((0, 2, 3), keepdim=True)
        rms = before[layer].square().mean((0, 2, 3), keepdim=True).sqrt()
        mean = torch.maximum(mean, rms / distill.RARE)
        alive = mean[0, :, 0, 0] > 1e-3
        torch.testing.assert_close((before[layer] / mean)[:, alive], after[layer][:, alive], rtol=2e-3, atol=2e-3)


def test_export_folds_the_normalisation(convs: distill.Convs, pictures: Tensor) -> None:
    pruned = {name: pair for name, pair in convs.items() if name < "conv4"}
    student = distill.Student(pruned, FULL)
    for _ in range(3):
        student(pictures)  # moves the running statistics
    student.eval()
    layers = ["relu3_4", "relu4_3", "relu5_1"]
    encoder = nst.Encoder(distill.flatten(student.export()), layers, padding=distill.PADDING)
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


@pytest.mark.parametrize(("whole", "scratch"), [(True, False), (False, True)])
def test_the_command_makes_an_encoder(
    tmp_path: Path, folder: Path, whole: bool, scratch: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the whole of VGG19 as the teacher, and with its first three blocks and a SqueezeNet."""
    before = torch.random.get_rng_state()
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
        *map(str, WIDTHS),
        "--max-steps",
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
    distiller.main([*arguments, "--from-scratch"] if scratch else arguments)
    printed = capsys.readouterr().out
    assert "4 pictures to train on, 1 to stop by, 1 to measure on" in printed
    assert ("prune conv1_1" in printed) is not scratch
    assert torch.equal(torch.random.get_rng_state(), before)
    encoder = nst.Encoder(out, ["relu1_1", "relu3_4", "relu5_1"])
    assert list(encoder.channels.values()) == [4, 6, 6]
    assert encoder.padding == "replicate"
    card = out.with_suffix(".md").read_text()
    assert "CC BY 4.0" in card
    assert "relu5_1" in card


def test_a_stopped_run_continues_to_the_same_weights(tmp_path: Path, folder: Path) -> None:
    save_file(torchvision_state(random_convs((8, 8, 10, 12, 10))), tmp_path / "teacher.safetensors")
    teachers = distiller.Teachers(tmp_path / "teacher.safetensors", None)
    train, stop, _ = distiller.load_folders([folder], 2, 40)

    def run(checkpoint: Path, steps: int) -> distill.Student:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            sample = distiller.random_crops(train, 4, 32, torch.Generator().manual_seed(0))
            student = distill.Student(distill.prune(teachers.convs, WIDTHS, sample), WIDTHS)
            distiller.distil(
                student, teachers, train, stop, max_steps=steps, batch=2, size=32, learning_rate=1e-3,
                checkpoint=checkpoint, check_every=2,
            )  # fmt: skip
        return student

    whole = run(tmp_path / "a.pt", 6)
    run(tmp_path / "b.pt", 4)
    continued = run(tmp_path / "b.pt", 6)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, continued.state_dict()[name]), name


def test_training_ends_when_the_loss_is_flat(tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file(torchvision_state(random_convs((8, 8, 10, 12, 10))), tmp_path / "teacher.safetensors")
    teachers = distiller.Teachers(tmp_path / "teacher.safetensors", None)
    train, stop, _ = distiller.load_folders([folder], 2, 40)
    with torch.random.fork_rng():
        student = distill.Student({}, WIDTHS)
        # too small a rate to learn anything: three plateaus follow at once
        distiller.distil(
            student, teachers, train, stop, max_steps=60, batch=1, size=32, learning_rate=1e-6,
            checkpoint=tmp_path / "flat.pt", check_every=2, patience=0,
        )  # fmt: skip
    assert "step 60 " not in capsys.readouterr().out


def test_missing_teachers_and_pictures_are_named(tmp_path: Path, folder: Path) -> None:
    save_file(torchvision_state(random_convs()[:8]), tmp_path / "teacher.safetensors")
    with pytest.raises(ValueError, match=r"ends before relu4_1: name a SqueezeNet"):
        distiller.Teachers(tmp_path / "teacher.safetensors", None)
    with pytest.raises(ValueError, match=r"holds 6 pictures, and 6 of them are to be held out"):
        distiller.load_folders([folder], 6)
