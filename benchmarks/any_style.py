"""How close do AdaIN, SANet and AdaAttN come to Gatys, on pictures that their training never saw?

    python benchmarks/any_style.py --photos FOLDER --paintings FOLDER        the last of both folders, in pairs
    python benchmarks/any_style.py                                           the package's own pictures
    PYTHONPATH=tools python benchmarks/any_style.py --vgg19 vgg19_to_relu3_4.safetensors --squeezenet FILE
    python benchmarks/any_style.py --quick                                   two pairs, 10 steps: does it run?

For every pair, the photograph, the result of every method and that of 300 steps of Gatys are measured by
`nstlib.metrics`: style by Gram matrices and by moments, and content, under the encoder that all were trained with and, as a
second opinion, under networks named by --vgg19 and --squeezenet. Share is how much of the style's gap between photograph and
Gatys a method closes: of the mean distances, (photograph - method) / (photograph - Gatys). With --sheet, the pictures are
laid out on a sheet to be looked at. --keep saves what Gatys painted, for the next time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from common import square
from torch import Tensor

import nstlib as nst
from nstlib.arbitrary import ArbitraryStyle
from nstlib.metrics import Reader, content_distance, style_distance
from nstlib.registry import METHODS
from nstlib.weights import load_file, save_file

ANY = ("adain", "sanet", "adaattn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--paintings", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=300, help="of Gatys")
    parser.add_argument("--methods", nargs="*", default=list(ANY), help="a method, or method=FILE for other weights")
    parser.add_argument("--alpha", type=float, default=1.0)
    parser.add_argument("--vgg19", type=Path)
    parser.add_argument("--squeezenet", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for the results of Gatys")
    parser.add_argument("--sheet", type=Path, help="picture to write, of the first pairs")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.count, options.size, options.steps = 2, 64, 10

    pairs = [
        (square(content, options.size), square(style, options.size))
        for content, style in zip(
            load(options.photos, nst.samples.content_names(), nst.samples.content, options),
            load(options.paintings, nst.samples.style_names(), nst.samples.style, options),
        )
    ]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {len(pairs)} pairs, {options.size} px")
    results: dict[str, Tensor] = {
        "photograph": torch.cat([content for content, _ in pairs]),
        "gatys": gatys(pairs, options.steps, options.keep),
    }
    for method in options.methods:
        name, _, file = method.partition("=")
        kind: type[ArbitraryStyle] = METHODS[name].model
        model = kind.from_checkpoint(file) if file else kind.pretrained()
        begun = time.perf_counter()
        results[method] = torch.cat([model.stylize(content, style, options.alpha) for content, style in pairs])
        print(f"{method}: {(time.perf_counter() - begun) / len(pairs):.3f} s a picture")

    judges: dict[str, tuple[Reader, list[str]]] = {
        "vgg19_mini": (nst.Encoder(), ["relu4_1"]),
    }
    if options.vgg19:
        layers = ["relu1_1", "relu2_1", "relu3_1", "relu3_4"]
        judges["VGG19 to relu3_4"] = nst.Encoder(str(options.vgg19), layers), ["relu3_4"]
    if options.squeezenet:
        from distiller import SqueezeNet

        judges["SqueezeNet"] = SqueezeNet(load_file(options.squeezenet)), ["fire9"]
    styles = torch.cat([style for _, style in pairs])
    for judge, (encoder, deep) in judges.items():
        table(judge, encoder, deep, results, styles)
    if options.sheet:
        sheet(options.sheet, {"painting": styles, **results})


def load(
    folder: Path | None, names: tuple[str, ...], paint: Callable[..., Tensor], options: argparse.Namespace
) -> list[Tensor]:
    """As many pictures as asked for: the last of a folder, or the package's own."""
    if folder is not None:
        return [nst.load_image(file, size=None) for file in sorted(folder.iterdir())[-options.count :]]
    return [paint(names[i % len(names)], options.size) for i in range(options.count)]


def gatys(pairs: list[tuple[Tensor, Tensor]], steps: int, keep: Path | None) -> Tensor:
    """What Gatys paints with its defaults, `(pairs, 3, size, size)`."""
    file = None if keep is None else keep / f"gatys_{len(pairs)}_{pairs[0][0].shape[-1]}_{steps}.safetensors"
    if file is not None and file.exists():
        return load_file(file)["pictures"]
    model = nst.Gatys(steps=steps)
    begun = time.perf_counter()
    painted = torch.cat([model(*pair, progress=False).picture for pair in pairs])
    print(f"gatys: {(time.perf_counter() - begun) / len(pairs):.3f} s a picture")
    if file is not None:
        save_file(file, {"pictures": painted}, {})
    return painted


def table(judge: str, encoder: Reader, deep: list[str], results: dict[str, Tensor], styles: Tensor) -> None:
    """Mean distances over all pairs, and shares of the gap."""
    sums = {name: torch.zeros(3) for name in results}
    for at in range(0, len(styles), 5):
        # a few pairs at a time; what style and photograph look like is read once for all
        read = lru_cache(maxsize=4)(encoder)
        parts = {name: pictures[at : at + 5] for name, pictures in results.items()}
        style, photo = styles[at : at + 5], parts["photograph"]
        for name, part in parts.items():
            gram, moments = (style_distance(part, style, encoder=read, kind=kind).sum() for kind in ("gram", "moments"))
            content = content_distance(part, photo, encoder=read, layers=deep).sum()
            sums[name] += torch.stack([gram, moments, content]) / len(styles)
    print(f"\n{judge}\n\n| | Gram | share | moments | share | content |\n|---|---|---|---|---|---|")
    for name, means in sums.items():
        # (photograph - method) / (photograph - Gatys)
        shares = (sums["photograph"] - means) / (sums["photograph"] - sums["gatys"])
        gram, moments, content = means.tolist()
        print(
            f"| {name} | {gram:.3f} | {shares[0]:.0%} | {moments:.3f} | {shares[1]:.0%} | {content:.3f} |", flush=True
        )


def sheet(path: Path, results: dict[str, Tensor], count: int = 10) -> None:
    """Painting, photograph and results in columns, a pair in each row."""
    columns = [torch.cat(list(F.pad(pictures[:count], (2, 2, 2, 2), value=1)), 1) for pictures in results.values()]
    nst.save_image(torch.cat(columns, 2)[None].clamp(0, 1), path)


if __name__ == "__main__":
    main()
