"""How much cheaper is vgg19_mini than VGG19, in every method, and how far do their results agree?

    python benchmarks/encoder.py                    256 px, 7 rounds; time only
    python benchmarks/encoder.py --vgg19 FILE       and results of Gatys: weights of VGG19, at least to relu3_4
    python benchmarks/encoder.py --quick            64 px, 1 round, random weights: does it run?

Time: VGG19 has random weights, and networks of its own width behind it where a method has a decoder; no time depends on the
weights. The two take turns. Training steps are those of the objective, batch 1, forward and backward.

Results: Gatys paints the package's pairs of pictures with each of the two networks, with the same layers (relu3_4 as
content; relu1_1, relu2_1, relu3_1 and relu3_4 as style), and each result is judged under both by `nstlib.metrics`. How
features and distances agree is the question of `agreement.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from common import VGG19, Rate, make_parser, print_head, print_row, print_setup, square, take_turns, timed
from torch import Tensor, nn

import nstlib as nst
from nstlib.adaattn import AdaAttNObjective
from nstlib.adain import AdaINObjective
from nstlib.arbitrary import ArbitraryStyle
from nstlib.johnson import JohnsonObjective, TransformerNet
from nstlib.metrics import content_distance, style_distance
from nstlib.sanet import SANetObjective

MINI = "vgg19_mini"
LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"]
STYLE, CONTENT = ["relu1_1", "relu2_1", "relu3_1", "relu3_4"], ["relu3_4"]
PAIRS = [("astronaut", "swirl"), ("cat", "mosaic"), ("coffee", "wave"), ("rocket", "glass")]
METHODS: dict[str, tuple[type[ArbitraryStyle], type[Any]]] = {
    "adain": (nst.AdaIN, AdaINObjective),
    "sanet": (nst.SANet, SANetObjective),
    "adaattn": (nst.AdaAttN, AdaAttNObjective),
}


def make_runs(encoder: nst.Encoder, content: Tensor, style: Tensor) -> dict[str, Callable[[], object]]:
    """What is timed, with this encoder."""
    shapes = [torch.randn_like(feature) for feature in encoder(content).values()]
    steps = nst.Gatys(encoder, pyramid=1, steps=10**6).iterate(content, style, every=1)
    next(steps)  # prepares

    def forward_backward() -> None:
        picture = content.clone().requires_grad_()
        torch.autograd.backward(list(encoder(picture).values()), shapes)

    runs: dict[str, Callable[[], object]] = {
        "encoder to relu5_1, forward and backward": forward_backward,
        "gatys, a step": lambda: next(steps),
        "johnson, a training step": training_step(JohnsonObjective(TransformerNet(), style, encoder=encoder), content),
    }
    for name, (method, objective) in METHODS.items():
        model = method(encoder)
        runs[f"{name}, a picture"] = lambda model=model: model.stylize(content, style)  # type: ignore[misc]
        runs[f"{name}, a training step"] = training_step(objective(model), content, style)
    return runs


def training_step(objective: nn.Module, content: Tensor, style: Tensor | None = None) -> Callable[[], object]:
    """Loss and gradient, and no change of the weights, so that all steps are alike."""

    def step() -> None:
        objective.zero_grad()
        torch.stack(list(objective(content, style).values())).sum().backward()

    return step


def compare_times(size: int, rounds: int, rate: Rate) -> None:
    content = square(nst.samples.content("cat", size), size)
    style = square(nst.samples.style("mosaic", size), size)
    large = make_runs(nst.Encoder(VGG19, LAYERS, weights="random"), content, style)
    small = make_runs(nst.Encoder(MINI, LAYERS), content, style)
    print_head("what", "VGG19, ms", "vgg19_mini, ms", "times faster")
    for what in large:
        median = take_turns({VGG19: large[what], MINI: small[what]}, rounds, rate)
        print_row(
            what, f"{1000 * median[VGG19]:.0f}", f"{1000 * median[MINI]:.0f}", f"{median[VGG19] / median[MINI]:.1f}"
        )
    loading = statistics.median(timed(lambda: nst.Encoder(MINI, LAYERS)) for _ in range(rounds))
    print(f"{rate}; loading vgg19_mini: {1000 * loading:.0f} ms")


def compare_results(vgg19: nst.Encoder, size: int, steps: int, pairs: list[tuple[str, str]]) -> None:
    """Means over the pairs of both distances, relative and squared: rows painted by, columns judged by."""
    networks = {"VGG19": vgg19, MINI: nst.Encoder(MINI, STYLE)}
    painters = ("photograph", *networks)
    sums = {name: torch.zeros(2 * len(networks)) for name in painters}
    seconds = dict.fromkeys(painters, 0.0)
    for content_name, style_name in pairs:
        content = square(nst.samples.content(content_name, size), size)
        style = square(nst.samples.style(style_name, size), size)
        for name in painters:
            picture = content
            if name in networks:
                gatys = nst.Gatys(networks[name], content_layers=CONTENT, style_layers=STYLE, steps=steps)
                result = gatys(content, style, progress=False)
                picture = result.picture
                seconds[name] += result.history[-1]["seconds"]
            found = [
                distance
                for judge in networks.values()
                for distance in (
                    style_distance(picture, style, encoder=judge, layers=STYLE),
                    content_distance(picture, content, encoder=judge, layers=CONTENT),
                )
            ]
            sums[name] += torch.cat(found) / len(pairs)
    print(f"\nGatys, {steps} steps, {size} px, means over {len(pairs)} pairs; distances of nstlib.metrics\n")
    print_head(
        "painted with", "s", *(f"{kind}, judged by {judge}" for judge in networks for kind in ("style", "content"))
    )
    for name, means in sums.items():
        taken = f"{seconds[name] / len(pairs):.1f}" if name in networks else ""
        print_row(name, taken, *(f"{mean:.3f}" for mean in means.tolist()))


def main() -> None:
    parser = make_parser(__doc__, rounds=7)
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    parser.add_argument("--steps", type=int, default=300, help="of Gatys, for the results")
    parser.add_argument("--vgg19", type=Path, help="file with weights of VGG19, at least to relu3_4")
    options = parser.parse_args()
    if options.quick:
        options.size, options.rounds, options.steps = 64, 1, 3
    print_setup(f"{options.size} px, median of {options.rounds} rounds", options.threads)
    compare_times(options.size, options.rounds, Rate())
    if options.vgg19 or options.quick:
        network: Any = {"name": options.vgg19} if options.vgg19 else {"name": VGG19, "weights": "random"}
        compare_results(
            nst.Encoder(layers=STYLE, **network), options.size, options.steps, PAIRS[:1] if options.quick else PAIRS
        )


if __name__ == "__main__":
    main()
