"""How good are the pictures of AdaIN, SANet and AdaAttN? One yardstick for all, on pictures that no training saw.

    python benchmarks/painters.py --photos FOLDER --paintings FOLDER --vgg19 vgg19_to_relu3_4.safetensors
    python benchmarks/painters.py                            the package's own pictures, judged by vgg19_mini alone
    python benchmarks/painters.py --methods adain=FILE       other weights than the shipped ones
    PYTHONPATH=tools python benchmarks/painters.py ... --squeezenet FILE     and a judge that trained nothing
    python benchmarks/painters.py ... --trim                 without the white margins that museums leave around paintings
    python benchmarks/painters.py --quick                    two pairs, small: does it run?

Photograph i of the last of one folder is painted by `nst.stylize` with its defaults in the style of painting i of the last
of the other. Columns:

    closed      1 - D(result, painting) / D(photograph, painting), D: Gram matrices at relu1_1, 2_1, 3_1 and 3_4, each
                layer relative to the painting's; the mean of every pair's own share, the mean of the worst five, and
                the lowest
    content     |F - P|^2 / |P|^2 at relu3_4, F and P: features of result and photograph
    palette     as closed, D: sliced Wasserstein distance of the colours at 64 x 64 pixels
    PSNR        of the photograph painted in its own style, in dB, against the photograph
    loss        of AdaIN's terms (content + 10 x moments, vgg19_mini), and how many times less 150 steps of Adam on the
                pixels of that picture reach; not measured with --steps 0
    seconds     that a picture takes, the first three left out

`--sheets FOLDER --grid 8` also paints 8 photographs of the same folders in the style of each of 8 paintings, one sheet for
each method.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from common import print_head, print_row, square, timed
from torch import Tensor

import nstlib as nst
from nstlib.losses import adain, moments, moments_loss
from nstlib.metrics import content_distance, style_distance
from nstlib.weights import load_file

LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu3_4"]
Paint = Callable[[Tensor, Tensor], Tensor]
MOMENTS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--paintings", type=Path)
    parser.add_argument("--vgg19", type=Path, help="weights of VGG19, at least to relu3_4")
    parser.add_argument("--squeezenet", type=Path, help="weights of SqueezeNet, which no network was trained with")
    parser.add_argument("--methods", nargs="*", default=["adain", "sanet", "adaattn"])
    parser.add_argument("--sizes", nargs="*", type=int, default=[256, 512])
    parser.add_argument("--pairs", type=int, default=50)
    parser.add_argument("--trim", action="store_true", help="cut white margins off the paintings")
    parser.add_argument("--refine", type=int, default=0, help="steps on the pixels that follow the network")
    parser.add_argument("--steps", type=int, default=150, help="of Adam, for the loss that pixels can reach")
    parser.add_argument("--sheets", type=Path, help="folder for contact sheets")
    parser.add_argument("--grid", type=int, default=0, help="photographs and paintings of a sheet of all their pairs")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.pairs, options.sizes, options.steps, options.methods = 2, [64], 3, ["adain"]
    judges: dict[str, tuple[Any, str]] = {"vgg19_mini": (nst.Encoder(layers=LAYERS), "relu3_4")}
    if options.vgg19:
        judges["VGG19"] = nst.Encoder(options.vgg19, LAYERS), "relu3_4"
    if options.squeezenet:
        from distiller import SqueezeNet

        judges["SqueezeNet"] = SqueezeNet(load_file(options.squeezenet)), "fire9"
    columns = ("closed", "worst five", "lowest", "content", "palette", "PSNR", "loss", "pixels reach", "seconds")
    print_head("method", "size", "judge", *columns)
    for size in options.sizes:
        contents = read(options.photos, nst.samples.content, nst.samples.content_names(), options.pairs, size)
        styles = read(
            options.paintings, nst.samples.style, nst.samples.style_names(), options.pairs, size, trimmed=options.trim
        )
        for method in options.methods:
            name, _, weights = method.partition("=")
            given = {"weights": weights} if weights else {}
            paint: Paint = partial(nst.stylize, method=name, refine=options.refine, **given)
            results, seconds = paint_pairs(paint, contents, styles)
            copies = [nst.stylize(c, c, method=name, **given) for c in contents]
            psnr = torch.stack([10 * torch.log10(1 / (a - b).square().mean()) for a, b in zip(copies, contents)]).mean()
            ends = [f"{psnr:.1f}", "", "", f"{statistics.median(seconds[3:] or seconds):.2f}"]
            if options.steps:
                losses = [reach(*three, options.steps) for three in list(zip(results, contents, styles))[:8]]
                before, after = (sum(loss[i] for loss in losses) for i in (0, 1))
                ends[1:3] = f"{before / len(losses):.2f}", f"{before / after:.1f} times less"
            for judge, (encoder, deep) in judges.items():
                rows = torch.tensor(
                    [measure(*three, encoder, deep) for three in zip(results, contents, styles)]
                )  # (pairs, 3)
                closed, content, palette = rows.mean(0).tolist()
                worst = rows[:, 0].sort().values[:5]
                cells = [f"{value:.3f}" for value in (closed, worst.mean().item(), worst[0].item(), content, palette)]
                print_row(name, size, judge, *cells, *ends)
            if options.sheets:
                draw(options.sheets / f"{name}_{size}.jpg", contents, styles, results)
            if options.sheets and options.grid:
                some = styles[: options.grid]
                lines = [torch.cat([torch.ones_like(some[0]), *some], 3)]
                for c in contents[: options.grid]:
                    painted = [paint(c, s) for s in some]
                    lines.append(torch.cat([c, *painted], 3))
                nst.save_image(torch.cat(lines, 2), options.sheets / f"{name}_{size}_grid.jpg")


def paint_pairs(paint: Paint, contents: list[Tensor], styles: list[Tensor]) -> tuple[list[Tensor], list[float]]:
    """Return the picture of every pair, and the seconds that it takes."""
    results: list[Tensor] = []

    def add(content: Tensor, style: Tensor) -> None:
        results.append(paint(content, style))

    return results, [timed(partial(add, *pair)) for pair in zip(contents, styles)]


def read(
    folder: Path | None, sample: object, names: tuple[str, ...], count: int, size: int, *, trimmed: bool = False
) -> list[Tensor]:
    """Return the middle squares of the last pictures of a folder, or of the package's own."""
    if folder is None:
        assert callable(sample)
        return [square(sample(names[i % len(names)], size), size) for i in range(count)]
    files = sorted(folder.iterdir())[-count:]
    if trimmed:
        return [square(trim(nst.load_image(file, size=None)), size) for file in files]
    return [square(nst.load_image(file, size=size), size) for file in files]


def trim(picture: Tensor) -> Tensor:
    """Cut off the rows and columns at the edges that are white for nine tenths."""
    colored = (picture.amin(1)[0] < 0.9).float()  # (H, W)
    rows, columns = ((colored.mean(dim) > 0.1).nonzero().flatten() for dim in (1, 0))
    return picture[..., rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def measure(result: Tensor, content: Tensor, style: Tensor, judge: Any, deep: str) -> list[float]:
    """Return closed share, content distance (at the layer `deep`) and palette share of one pair."""
    gap, left = (style_distance(picture, style, encoder=judge) for picture in (content, result))
    lost = content_distance(result, content, encoder=judge, layers=[deep])
    colors, kept = (palette_distance(picture, style) for picture in (content, result))
    return [(1 - left / gap).item(), lost.item(), (1 - kept / colors).item()]


def palette_distance(picture: Tensor, style: Tensor) -> Tensor:
    """Return the sliced Wasserstein distance of the colours of two pictures at 64 x 64 pixels."""
    directions = F.normalize(torch.randn(3, 64, generator=torch.Generator().manual_seed(0)), dim=0)
    one, other = (
        (F.interpolate(x, (64, 64), mode="area").flatten(2).mT @ directions).sort(1).values for x in (picture, style)
    )
    return (one - other).abs().mean()


def reach(result: Tensor, content: Tensor, style: Tensor, steps: int) -> tuple[float, float]:
    """Return AdaIN's loss of a picture, and what steps of Adam on its pixels bring it down to."""
    encoder = nst.Encoder(layers=MOMENTS)
    with torch.no_grad():
        c, s = encoder(content), encoder(style)
        target = adain(c["relu4_1"], *moments(s["relu4_1"]))
    x = result.clone().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.02)
    losses = []
    for _ in range(steps + 1):
        features = encoder(x)
        loss = F.mse_loss(features["relu4_1"], target) + 10 * moments_loss(features, s, MOMENTS)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            x.clamp_(0, 1)
    return losses[0], min(losses)


def draw(path: Path, contents: list[Tensor], styles: list[Tensor], results: list[Tensor]) -> None:
    """Lay out photograph, painting and result, ten pairs a sheet, in columns."""
    rows = [
        torch.cat([F.pad(one, (2, 2, 2, 2), value=1.0) for one in row[:10]], 3) for row in (contents, styles, results)
    ]
    nst.save_image(torch.cat(rows, 2), path)


if __name__ == "__main__":
    main()
