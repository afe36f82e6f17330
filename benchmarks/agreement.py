"""How far can vgg19_mini be trusted? It is compared with its teachers on pictures that it was never trained on.

    python benchmarks/agreement.py --pictures photos/ paintings/ --vgg19 vgg19_to_relu3_4.safetensors \\
        --squeezenet squeezenet1_0.safetensors --regressed from_scratch.safetensors
    python benchmarks/agreement.py --quick      the package's pictures, few steps, and the student as its own teacher: does
                                                it run? Writes nothing, unless --out says where

The teachers and the pictures are those of `python -m distiller`, and so are the pictures kept for measuring.
`--regressed` is a network made by `python -m distiller --from-scratch`: distilled, but not pruned first.

1. Rank correlation (Spearman) over pairs of pictures: does the student find the same pictures near and far, in style
   (Gram matrices, moments) and in content, as its teachers do?
2. Decoding: a small decoder is trained on relu4_1 of each network, and paints the pictures again. PSNR in dB.
3. Transfer: Gatys with the student, scored by VGG19. How much of what VGG19 reaches by its own gradients is reached?
4. Borders: features of a crop against those of the picture that goes on around it, for each kind of padding.

The numbers go into `vgg19_mini.json` and into the model card beside the weights, the pictures (the package's samples
alone) into `book/_static/`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from distiller import Painter, Teachers, activation, load_folders, random_crops, report
from scipy.stats import spearmanr
from torch import Tensor

import nstlib as nst
from nstlib.distill import LAYERS, PADDING, WIDTHS, Student, flatten, scale
from nstlib.weights import SHIPPED, load_metadata, shipped_file

ROOT = Path(__file__).parents[1]
PAIRS = [
    ("astronaut", "swirl"),
    ("cat", "mosaic"),
    ("coffee", "wave"),
    ("rocket", "glass"),
    ("astronaut", "engraving"),
    ("cat", "geometry"),
]
STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu3_4")
"""Style layers that both VGG19 to relu3_4 and the student have."""
GATYS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
Features = Mapping[str, Tensor]


def distances(features: Features, pairs: Tensor) -> dict[str, Tensor]:
    """Distances of pairs of pictures, layer by layer: "gram/relu1_1", "moments/...", "content/..." -> `(pairs,)`."""
    found = {}
    i, j = pairs
    for layer, feature in features.items():
        gram, (mean, std) = nst.gram_matrix(feature), nst.moments(feature)
        found[f"gram/{layer}"] = (gram[i] - gram[j]).square().mean((1, 2))
        found[f"moments/{layer}"] = (mean[i] - mean[j]).square().mean((1, 2, 3)) + (std[i] - std[j]).square().mean(
            (1, 2, 3)
        )
        found[f"content/{layer}"] = torch.stack([(feature[a] - feature[b]).square().mean() for a, b in zip(i, j)])
    return found


def rank_correlations(student: nst.Encoder, teacher: Features, pictures: Tensor, pairs: Tensor) -> dict[str, float]:
    """Spearman's rho of the distances, layer by layer and for their sum over the layers (each divided by its mean)."""
    with torch.inference_mode():
        features = student(pictures)
    ours, theirs = (distances({layer: one[layer] for layer in teacher}, pairs) for one in (features, teacher))
    found = {name: float(spearmanr(ours[name], theirs[name]).statistic) for name in ours}
    for kind in ("gram", "moments", "content"):
        sums = [
            torch.stack([one[f"{kind}/{layer}"] / one[f"{kind}/{layer}"].mean() for layer in teacher]).sum(0)
            for one in (ours, theirs)
        ]
        found[kind] = float(spearmanr(*sums).statistic)
    return found


def decoding_psnr(encoder: nst.Encoder, train: Sequence[Tensor], test: Tensor, steps: int) -> float:
    """PSNR in dB of unseen pictures, painted again from relu4_1 by a decoder trained for `steps` steps."""
    random = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        channels = encoder.channels["relu4_1"]
        # standardised: raw features are never negative, and units of the decoder would die of it
        painter = torch.nn.Sequential(torch.nn.BatchNorm2d(channels, affine=False), Painter(channels))
    optimizer = torch.optim.Adam(painter.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(steps):
        pictures = random_crops(train, 8, 112, random)
        loss = F.mse_loss(painter(encoder(pictures)["relu4_1"]), pictures)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    painter.eval()
    with torch.inference_mode():
        errors = [
            F.mse_loss(painter(encoder(one)["relu4_1"]).clamp(0, 1), one, reduction="none").mean((1, 2, 3))
            for one in test.split(8)
        ]
    # PSNR = -10 log10 MSE, the mean over the pictures
    return float(-10 * torch.cat(errors).log10().mean())


def transfer(
    student: nst.Encoder, vgg: nst.Encoder, size: int, steps: int, folder: Path | None, pairs: Sequence[tuple[str, str]]
) -> dict[str, dict]:
    """Gatys with each network on the sample pairs, both scored by VGG19's Gram matrices."""
    found = {}
    for content_name, style_name in pairs:
        content, style = nst.samples.content(content_name, size), nst.samples.style(style_name, size)
        with torch.inference_mode():
            targets = {layer: nst.gram_matrix(feature) for layer, feature in vgg(style).items()}

        def score(picture: Tensor, targets: Mapping[str, Tensor] = targets) -> float:
            """Relative style loss under VGG19: 1 for Gram matrices of zero."""
            with torch.inference_mode():
                grams = {layer: nst.gram_matrix(feature) for layer, feature in vgg(picture).items()}
            errors = [(grams[layer] - targets[layer]).square().sum() / targets[layer].square().sum() for layer in STYLE]
            return float(torch.stack(errors).mean())

        pictures, seconds = {}, {}
        for name, encoder in (("vgg19", vgg), ("vgg19_mini", student)):
            begun = time.perf_counter()
            gatys = nst.Gatys(encoder, content_layers=["relu3_4"], style_layers=STYLE, steps=steps)
            pictures[name] = gatys(content, style, progress=False).picture
            seconds[name] = time.perf_counter() - begun
        start, best, ours = score(content), score(pictures["vgg19"]), score(pictures["vgg19_mini"])
        found[f"{content_name}, {style_name}"] = {
            "content": start,
            "vgg19": best,
            "vgg19_mini": ours,
            "share": (start - ours) / (start - best),
            "seconds_vgg19": seconds["vgg19"],
            "seconds_vgg19_mini": seconds["vgg19_mini"],
        }
        print(f"  {size} px, {content_name}, {style_name}: {(start - ours) / (start - best):.1%}", flush=True)
        if folder is not None:
            for name, picture in pictures.items():
                nst.save_image(picture, folder / f"agreement_{content_name}_{style_name}_{size}_{name}.jpg", quality=88)
    return found


@torch.inference_mode()
def border_errors(network: object, layers: Sequence[str], pictures: Sequence[Tensor]) -> dict[str, dict[str, float]]:
    """|f - g|^2 / |g|^2 at the outermost 8 pixels; f: features of a crop, g: of the picture that goes on around it."""
    found: dict[str, dict[str, float]] = {}
    for padding in ("zeros", "reflect", "replicate"):
        encoder = nst.Encoder(network, layers, padding=padding)  # type: ignore[arg-type]
        above, below = dict.fromkeys(layers, 0.0), dict.fromkeys(layers, 0.0)
        for picture in pictures:
            whole = picture[None, :, :288, :288].float() / 255
            around, crop = encoder(whole), encoder(whole[..., 64:224, 64:224])
            for layer in layers:
                stride = encoder.stride[layer]
                f, g = crop[layer], around[layer][..., 64 // stride : 224 // stride, 64 // stride : 224 // stride]
                k = max(1, 8 // stride)
                ring = torch.ones(f.shape[2:], dtype=torch.bool)
                ring[k:-k, k:-k] = False
                above[layer] += float((f - g)[..., ring].square().sum())
                below[layer] += float(g[..., ring].square().sum())
        found[padding] = {layer: above[layer] / below[layer] for layer in layers}
    return found


def training_steps(network: object) -> int:
    """How long a network was distilled, as its file says; 0 for tensors in memory."""
    if not isinstance(network, str):
        return 0
    path = shipped_file(network) if network in SHIPPED else Path(network)
    return int(load_metadata(path).get("steps", 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pictures", type=Path, nargs="+", help="needed without --quick")
    parser.add_argument("--held-out", type=int, default=100)
    parser.add_argument("--vgg19", help="default: torchvision's; with --quick vgg19_mini")
    parser.add_argument("--squeezenet")
    parser.add_argument("--student", default="vgg19_mini", help="the network to measure: a name or a file")
    parser.add_argument("--regressed", help="a file of a network distilled from random weights, as a baseline")
    parser.add_argument("--out", type=Path, help="default: vgg19_mini.json in the package")
    parser.add_argument("--figures", type=Path, default=ROOT / "book" / "_static")
    parser.add_argument("--threads", type=int, help="default: PyTorch's")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if not options.pictures and not options.quick:
        parser.error("name folders of pictures with --pictures, or ask for --quick")
    count, steps, side, crop = (4, 2, 32, 48) if options.quick else (100, 500, 256, 256)
    out = options.out or (None if options.quick else ROOT / "nstlib" / "weights" / "vgg19_mini.json")
    torch.set_num_threads(options.threads or torch.get_num_threads())

    teachers = Teachers(options.vgg19 or ("vgg19_mini" if options.quick else "vgg19"), options.squeezenet)
    if options.pictures:
        train, _, test = load_folders(options.pictures, options.held_out)
    else:
        names = nst.samples.content_names()
        train = test = [nst.samples.content(name, 288)[0].mul(255).round().byte() for name in names]
    random = torch.Generator().manual_seed(2)
    crops = random_crops(test, count, crop * 3 // 4, random)
    fit, unseen = random_crops(train, count, crop, random), random_crops(test, count, crop, random)
    i, j = torch.triu_indices(count, count, 1)
    chosen = torch.randperm(len(i), generator=random)[:1000]
    pairs = torch.stack([i[chosen], j[chosen]])

    # Gatys scaled VGG19's channels to a mean activation of 1, and so are the student's: the teachers' are, here
    vgg = nst.Encoder(flatten(scale(dict(teachers.convs), fit[:40])), STYLE, padding=PADDING)
    relus = [f"relu{layer}" for layer in LAYERS]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        untrained = flatten(scale(Student({}, WIDTHS).eval().export(), fit[:40]))
    networks: dict[str, object] = {"vgg19_mini": options.student, "random": untrained}
    if options.regressed:
        networks["regressed"] = options.regressed

    numbers: dict[str, dict] = {
        "setup": {
            "student": nst.Encoder(options.student).fingerprint,
            "pictures": len(test),
            "pairs": len(chosen),
            "torch": torch.__version__,
            "steps": {name: training_steps(network) for name, network in networks.items()},
        }
    }
    with torch.inference_mode():
        parts = [teachers(one) for one in crops.split(10)]
        of_all = {layer: torch.cat([part[layer] for part in parts]) for layer in parts[0]}
        of_all = {layer: feature / activation(feature) for layer, feature in of_all.items()}
    known = {
        "all": of_all,
        "vgg19": {layer: feature for layer, feature in of_all.items() if layer not in teachers.missing},
        "squeezenet": {layer: of_all[layer] for layer in teachers.missing},
        "gatys": {layer: of_all[layer] for layer in GATYS},
    }
    student = nst.Encoder(options.student, STYLE)
    numbers["transfer"] = {
        str(size): transfer(
            *(student, vgg, size, steps if options.quick else 300, None if options.quick else options.figures),
            PAIRS[:1] if options.quick else PAIRS,
        )
        for size in (side, 2 * side)
    }
    large = [picture for picture in test if min(picture.shape[1:]) >= 288][: 1 if options.quick else 24]
    numbers["borders"] = {
        "vgg19": border_errors(flatten(teachers.convs), STYLE, large),
        "vgg19_mini": border_errors(options.student, (*STYLE, "relu4_2", "relu5_1"), large),
    }
    for name, network in networks.items():
        encoder = nst.Encoder(network, relus, padding=PADDING)  # type: ignore[arg-type]
        numbers[name] = {
            "report": report(encoder, teachers, fit, unseen),
            "ranks": {
                of: rank_correlations(encoder, teacher, crops, pairs) for of, teacher in known.items() if teacher
            },
            "psnr": decoding_psnr(nst.Encoder(network, ["relu4_1"], padding=PADDING), train, unseen, steps),  # type: ignore[arg-type]
        }
        print(f"{name}: PSNR {numbers[name]['psnr']:.1f} dB", flush=True)
        for of, ranks in numbers[name]["ranks"].items():
            text = ", ".join(f"{kind} {ranks[kind]:.3f}" for kind in ("gram", "moments", "content"))
            print(f"  rank correlation with {of}: {text}", flush=True)
    print(card_section(numbers))
    if out is None:
        return
    out.write_text(json.dumps(_rounded(numbers), indent=1) + "\n")
    card = out.with_suffix(".md")
    if card.exists():
        card.write_text(card.read_text().split(HEADING)[0] + HEADING + card_section(numbers))
    print(f"written to {out}")


HEADING = "\n## Agreement with its teachers\n"


def card_section(numbers: dict[str, dict]) -> str:
    """The results for the model card, as Markdown."""
    names = [name for name in ("vgg19_mini", "regressed", "random") if name in numbers]
    setup = numbers["setup"]
    lines = [
        "",
        f"Measured by `benchmarks/agreement.py` on {setup['pictures']} pictures that were not trained on. Two other",
        "networks of the same layout are compared. `regressed` was distilled from random weights, without pruning, for",
        f"fewer steps ({setup['steps'].get('regressed', 0):,} against {setup['steps']['vgg19_mini']:,}), and `random` was",
        "not trained at all.",
        "",
        "Do the network and its teachers find the same pictures similar? The table gives Spearman's rank correlation",
        f"between their distances of {setup['pairs']} pairs of pictures. The channels of both were scaled to a mean",
        "activation of 1, and the distances were summed over the layers.",
        "",
        "| teachers | distance | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    titles = {"all": "all 13 layers", "vgg19": "VGG19", "squeezenet": "SqueezeNet", "gatys": "relu1_1 to relu5_1"}
    for of, title in titles.items():
        for kind in ("gram", "moments", "content"):
            if of in numbers[names[0]]["ranks"]:
                row = [f"{numbers[name]['ranks'][of][kind]:.3f}" for name in names]
                lines.append(f"| {title} | {kind} | " + " | ".join(row) + " |")
    lines += ["", "A small decoder was trained to paint pictures again from relu4_1. Its PSNR in dB:", ""]
    lines += ["| " + " | ".join(names) + " |", "|" + "---|" * len(names)]
    lines += ["| " + " | ".join(f"{numbers[name]['psnr']:.1f}" for name in names) + " |", ""]
    lines += [
        "Gatys closes a part of the style gap between photograph and painting. How much it closes with this network,",
        "relative to how much it closes with VGG19, both measured by VGG19:",
        "",
    ]
    lines += ["| content, style | " + " | ".join(f"{size} px" for size in numbers["transfer"]) + " |"]
    lines += ["|---|" + "---|" * len(numbers["transfer"])]
    for pair in next(iter(numbers["transfer"].values())):
        shares = [f"{by_pair[pair]['share']:.1%}" for by_pair in numbers["transfer"].values()]
        lines.append(f"| {pair} | " + " | ".join(shares) + " |")
    lines += ["", "Error of the features in the outermost 8 pixels of a picture, for each kind of padding:", ""]
    layers = list(numbers["borders"]["vgg19_mini"]["zeros"])
    lines += ["| padding | " + " | ".join(layers) + " |", "|---|" + "---|" * len(layers)]
    for padding, errors in numbers["borders"]["vgg19_mini"].items():
        lines.append(f"| {padding} | " + " | ".join(f"{errors[layer]:.3f}" for layer in layers) + " |")
    return "\n".join(lines) + "\n"


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
