"""How AdaIN, SANet and AdaAttN of the package are trained.

    PYTHONPATH=tools python -m any_painter adain --content photos/ more_photos/ --style paintings/ --out runs/adain
    PYTHONPATH=tools python -m any_painter sanet --init-from runs/adain/weights.safetensors --content ...

This calls `nst.train` with the recipe of the shipped weights. The decoder is conditioned on the painting, crops show 0.4 to
1.0 of the short side, half of all pictures have their colours changed, and every painter is drawn as often as any other. A
stopped run continues where it was.

    PYTHONPATH=tools python -m any_painter adain --vgg19 vgg19.pth --weights style=30 identity=500 judge=400 colors=1500 ...

With `--vgg19`, the pictures are also compared with the paintings by the Gram matrices of VGG19, because a picture can match
the moments of the small encoder without being any closer to the painting for a larger network.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

import nstlib as nst
from nstlib.losses import gram_matrix, mean_variance_norm, squared_error

METHODS: dict[str, tuple[Any, Any, dict[str, float]]] = {
    "adain": (nst.AdaIN, nst.AdaINObjective, {"identity": 200.0}),
    "sanet": (nst.SANet, nst.SANetObjective, {"identity1": 100.0, "identity2": 0.0}),
    "adaattn": (nst.AdaAttN, nst.AdaAttNObjective, {"identity": 200.0}),
}
"""Method -> its model, its objective, and the weights of terms that are not the paper's."""

JUDGE = ("relu1_1", "relu2_1", "relu3_1", "relu3_4")
"""Layers of VGG19 whose Gram matrices are compared."""

KEPT = ("relu3_1", "relu4_1")
"""Layers of the encoder whose standardised features are compared with the photograph's by the term `keep`."""

ATTENTION = ("adaattn_3", "transformer.attn_adain_4_1", "transformer.attn_adain_5_1")
"""Where AdaAttN holds f, g and h of relu3_1, relu4_1 and relu5_1."""

LEAST = 12
"""A painter with fewer pictures than this shares a folder with others."""

TOGETHER = 40
"""The approximate number of pictures in such a shared folder."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="any_painter", description="Train AdaIN, SANet or AdaAttN for the package.")
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("--content", type=Path, nargs="+", required=True, help="folders of photographs")
    parser.add_argument("--style", type=Path, nargs="+", required=True, help="folders of paintings")
    parser.add_argument("--painters", type=Path, help="a CSV file with the columns file and painter")
    parser.add_argument(
        "--hold-out", type=int, default=100, help="leave out the last N of the first folder of each kind"
    )
    parser.add_argument("--init-from", default="adain", help="weights to begin with, a shipped name or a file")
    parser.add_argument("--vgg19", type=Path, help="weights of VGG19, which judges the pictures as well")
    parser.add_argument(
        "--weights", nargs="*", default=[], help="terms of the loss and their weights: style=30 judge=400"
    )
    parser.add_argument(
        "--judge-scale",
        type=float,
        default=math.inf,
        help="divide the judge's term by 1 + D / SCALE, where D is its distance between photograph and painting",
    )
    parser.add_argument("--deep-local", action="store_true", help="AdaAttN: leave relu2_1 out of the local loss")
    parser.add_argument("--scores", nargs=3, type=float, help="AdaAttN: factors for the scores of its three levels")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=160_000)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=6e-4)
    parser.add_argument("--precision", default="bfloat16")
    options = parser.parse_args()

    links = options.out / "pictures"
    contents = [
        link(links / "content" / str(number), pictures_of(folder, options.hold_out if number == 0 else 0))
        for number, folder in enumerate(options.content)
    ]
    paintings = [
        file
        for number, folder in enumerate(options.style)
        for file in pictures_of(folder, options.hold_out if number == 0 else 0)
    ]
    names = read_painters(options.painters) if options.painters else {}
    styles = [link(links / "style" / name, files) for name, files in group(paintings, names).items()]

    torch.manual_seed(0)
    model_class, objective_class, weights = METHODS[options.method]
    model = model_class(nst.Encoder(layers=objective_class.layers), conditioned=True)
    model.init_from(options.init_from)
    weights = weights | {name: float(weight) for name, weight in (one.split("=") for one in options.weights)}
    if options.scores:
        soften(model, options.scores)
    if options.deep_local:
        objective_class = type("Deep", (objective_class,), {"content_layers": objective_class.content_layers[1:]})
    if "keep" in weights:
        objective_class = keeping(objective_class)
    if options.vgg19:
        objective_class = judged_by(nst.Encoder(options.vgg19, JUDGE), objective_class, scale=options.judge_scale)
    objective = objective_class(model, balance=20, **weights)
    nst.train(
        objective,
        contents,
        styles,
        out_dir=options.out,
        steps=options.steps,
        batch_size=options.batch_size,
        size=options.size,
        crop_scale=(0.4, 1.0),
        color_augmentation=0.5,
        balance_folders=True,
        learning_rate=options.learning_rate,
        schedule="linear_end",
        warmup=200,
        precision=options.precision,
        ema=0.9995,
        save_every=500,
        sample_every=5000,
    )


def judged_by(judge: nst.Encoder, kind: Any, *, scale: float = math.inf) -> Any:
    """Return a kind of objective with one more term, `judge`: the Gram distance between result and painting.

    Without a scale, pairs that are far apart outweigh those of which little is left to change. With one, the term is divided
    by 1 + D(c, s) / scale.
    """

    class Judged(kind):
        weights: ClassVar[dict[str, float]] = {**kind.weights, "judge": 1.0}

        def picture_terms(self, pictures: Tensor, content: Tensor, style: Tensor) -> dict[str, Tensor]:
            with torch.no_grad():
                wanted = [gram_matrix(maps) for maps in judge(style).values()]
                weight = 1.0 if math.isinf(scale) else 1 / (1 + gram_distance(judge(content), wanted) / scale)
            term = weight * gram_distance(judge(pictures), wanted)
            return {**super().picture_terms(pictures, content, style), "judge": term}

    return Judged


def gram_distance(features: Mapping[str, Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Return the relative distance of Gram matrices for every picture, `(B,)`."""
    # D = mean_l |G_l(x) - G_l(s)|^2 / |G_l(s)|^2
    gaps = [
        (gram_matrix(found) - target).square().sum((1, 2)) / target.square().sum((1, 2)).clamp(min=1e-6)
        for found, target in zip(features.values(), wanted)
    ]
    return torch.stack(gaps).mean(0)


def keeping(kind: Any) -> Any:
    """Return a kind of objective with one more term, `keep`: how far the content of a result is from the photograph's."""

    class Keeping(kind):
        weights: ClassVar[dict[str, float]] = {**kind.weights, "keep": 1.0}

        def picture_terms(self, pictures: Tensor, content: Tensor, style: Tensor) -> dict[str, Tensor]:
            with torch.no_grad():
                c = self.encoder(content, KEPT)
            x = self.encoder(pictures, KEPT)
            # sum_l |mvn(F_l(x)) - mvn(F_l(c))|^2
            lost = [squared_error(mean_variance_norm(x[layer]), mean_variance_norm(c[layer])) for layer in KEPT]
            return {**super().picture_terms(pictures, content, style), "keep": torch.stack(lost).sum(0)}

    return Keeping


@torch.no_grad()
def soften(model: nst.AdaAttN, factors: Sequence[float]) -> None:
    """Multiply the scores of attention by factors, one for each level, and leave f and g out of the training."""
    for name, factor in zip(ATTENTION, factors):
        module = model.network.get_submodule(name)
        for conv in (module.f, module.g):
            assert isinstance(conv, torch.nn.Conv2d)
            for parameter in conv.parameters():  # <t^(1/2) q, t^(1/2) k> = t <q, k>
                parameter.mul_(factor**0.5).requires_grad_(False)


def pictures_of(folder: Path, left_out: int) -> list[Path]:
    """Return the pictures of a folder, without the last ones by name."""
    files = sorted(folder.iterdir())
    return files[: len(files) - left_out]


def read_painters(path: Path) -> dict[str, str]:
    """Return name of a file -> its painter."""
    with open(path, newline="") as file:
        return {row["file"]: row["painter"] for row in csv.DictReader(file) if row["painter"]}


def group(files: list[Path], painters: dict[str, str]) -> dict[str, list[Path]]:
    """Return name of a folder -> its pictures: one for each painter of at least `LEAST`, the others in handfuls."""
    by_painter: dict[str, list[Path]] = defaultdict(list)
    for file in files:
        by_painter[painters.get(file.name, "")].append(file)
    groups = {name: some for name, some in by_painter.items() if name and len(some) >= LEAST}
    rest = [file for name, some in by_painter.items() if name not in groups for file in some]
    count = max(1, round(len(rest) / TOGETHER))
    return groups | {f"others_{k}": rest[k::count] for k in range(count) if rest[k::count]}


def link(folder: Path, files: list[Path]) -> Path:
    """Make a folder of links to files, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        if not (folder / file.name).is_symlink():
            os.symlink(file.resolve(), folder / file.name)
    return folder
