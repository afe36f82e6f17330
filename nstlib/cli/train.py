"""`nst train`: a network learns from folders of photographs, and of paintings."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nstlib.adaattn import AdaAttN, AdaAttNObjective
from nstlib.adain import AdaIN, AdaINObjective
from nstlib.arbitrary import ArbitraryStyle
from nstlib.arbitrary_objective import ArbitraryObjective
from nstlib.checks import check_option, suggest
from nstlib.cli.parsing import Options, Parser, Say, UsageError, check_taken, sample
from nstlib.encoder import Encoder
from nstlib.files import check_writable, expand_home
from nstlib.image import load_image
from nstlib.johnson import Johnson, JohnsonObjective, TransformerNet
from nstlib.sanet import SANet, SANetObjective
from nstlib.training import PRESETS, Objective, train

SUMMARY = "train a network on a folder of photographs"

HELP = """\
Train a network on a folder of photographs. Examples:

  nst train johnson --style painting.jpg --content photos/ --out run/ --steps 10000
  nst train johnson --style swirl --content photos/ --out run/ --preset smoke       a minute on a CPU: does it all work?
  torchrun --nproc-per-node 4 -m nstlib train johnson --style painting.jpg --content photos/ --out run/ --batch 16

johnson learns one painting: afterwards, any picture takes one forward pass. At the start you read how many pictures will
be seen, after 20 steps how long it will take. In run/ you find

  weights.safetensors     the network:  nst stylize --method johnson --style run/weights.safetensors photo.jpg -o out.png
  samples-<step>.png      photographs above, what the network makes of them below: look at these first
  losses.png, losses.csv  the terms of the loss
  checkpoint-<step>.pt    Ctrl-C, or a power cut: the same command goes on from the last of these, exactly

Too little style: raise --style-weight. Broader strokes: raise --style-size. Photographs of any size and kind will do, some
thousands of them; a file that can't be read is named and skipped.
"""

ARBITRARY: dict[str, tuple[type[ArbitraryStyle], type[ArbitraryObjective]]] = {
    "adain": (AdaIN, AdaINObjective),
    "sanet": (SANet, SANetObjective),
    "adaattn": (AdaAttN, AdaAttNObjective),
}
"""Methods that take any painting, and what they are trained by."""

TAKEN: dict[str, tuple[str, ...]] = {
    "johnson": (
        *("encoder", "init_from", "style_weight", "content_weight", "tv_weight", "content_layers", "style_size"),
        *("width", "norm", "name"),
    ),
    **{
        method: (
            "encoder",
            "init_from",
            *(f"{term}_weight" for term in ("style", "content") if term in objective.weights),
        )
        for method, (_, objective) in ARBITRARY.items()
    },
}
"""Method -> the options that make what it is trained by."""

_TRAIN = inspect.signature(train).parameters
_JOHNSON = inspect.signature(JohnsonObjective).parameters


def parser() -> Parser:
    """Return the parser of this command."""
    usage = "nst train METHOD --style PAINTING --content PHOTOGRAPHS --out RUN --steps N [options]"
    command = Parser("train", usage, HELP)
    command.add_argument("method", nargs="*", metavar="METHOD", help=f"one of: {', '.join(TAKEN)}")
    option = command.option
    option(
        "--style", nargs="+", help="of johnson: the painting, a file or a sample's name; else folders of them (needed)"
    )
    option("--content", nargs="+", type=Path, help="folders of photographs (needed)")
    option("--out", type=expand_home, help="folder of the run; with a checkpoint in it, it goes on (needed)")
    option("--preset", help="smoke: a small network for 40 steps, to see that all works", default="none")
    option("--steps", type=int, help="steps in all (needed without a preset)")
    option("--batch", type=int, help="pictures per step, over all processes together", default=_TRAIN["batch"].default)
    option("--size", type=int, help="side of the crops in pixels", default=_TRAIN["size"].default)
    option("--seed", type=int, help="of the first weights, the order and the crops", default=_TRAIN["seed"].default)
    option("--save-every", type=int, help="steps between checkpoints", default=_TRAIN["save_every"].default)
    option("--sample-every", type=int, help="steps between sample sheets", default=_TRAIN["sample_every"].default)
    option("--device", help="cpu, cuda or mps", default="a GPU if there is one")
    option("-q", "--quiet", action="store_true", help="print errors only", default="off")

    group = command.add_argument_group("the optimiser")
    option("--learning-rate", type=float, help="Adam's", default=_TRAIN["learning_rate"].default, group=group)
    option("--schedule", help="constant, cosine, or adain: lr / (1 + 5e-5 step)", default="constant", group=group)
    option("--clip", type=float, help="clip gradients to this norm; try 1 if the loss jumps", default="no", group=group)
    option("--ema", type=float, help="average the weights with this decay, 0.999 say", default="0, off", group=group)
    option("--precision", help="float32, bfloat16 or float16: faster on a GPU", default="float32", group=group)
    option(
        "--compile",
        action="store_true",
        help="use torch.compile: minutes to begin with, then faster",
        default="off",
        group=group,
    )
    option("--workers", type=int, help="processes that load pictures", default="4 for a GPU, else 0", group=group)
    _add_method_options(command)
    return command


def _add_method_options(command: Parser) -> None:
    """Add the options that make what a method is trained by."""
    option = command.option
    group = command.add_argument_group("options of all methods")
    option("--encoder", help="vgg19_mini, vgg19, vgg16 or a weights file", default="vgg19_mini", group=group)
    option(
        "--init-from",
        help="begin with trained weights, which takes a fraction of the steps: a file, for johnson also a shipped style, "
        "for sanet and adaattn also adain, whose decoder they take",
        default="random weights",
        group=group,
    )
    group = command.add_argument_group("options of johnson, adain and sanet")
    for term, help in (("style", "more is more painting, less photograph"), ("content", "more is more photograph")):
        weights = {"johnson": _JOHNSON[f"{term}_weight"].default}
        weights |= {method: kind.weights[term] for method, (_, kind) in ARBITRARY.items() if term in kind.weights}
        default = ", ".join(f"{method} {weight:g}" for method, weight in weights.items())
        option(f"--{term}-weight", type=float, help=help, default=default, group=group)
    group = command.add_argument_group("options of johnson")
    option("--tv-weight", type=float, help="more is smoother", default=_JOHNSON["tv_weight"].default, group=group)
    option(
        "--content-layers",
        nargs="+",
        metavar="LAYER",
        help="deeper ones leave more freedom",
        default=" ".join(_JOHNSON["content_layers"].default),
        group=group,
    )
    option("--style-size", type=int, help="short side of the painting in pixels", default=256, group=group)
    option("--width", type=int, help="channels at full resolution", default="32, the paper's; smoke: 8", group=group)
    option("--norm", help="instance or batch", default="instance", group=group)
    option("--name", help="what to call the style", default="the file's name", group=group)


def run(options: Options, say: Say) -> int:
    """Train; returns the exit status."""
    given = vars(options)
    if len(options.method) != 1:
        raise UsageError(f"train takes one method, one of {', '.join(TAKEN)}; got {' '.join(options.method) or 'none'}")
    (method,) = options.method
    check_option("method", method, tuple(TAKEN))
    for name, what in (("content", "folders of photographs"), ("out", "the folder of the run")):
        if name not in given:
            raise UsageError(f"name {what} with --{name}")
    if "preset" in given:
        check_option("preset", options.preset, tuple(PRESETS))
    loop = {**PRESETS.get(given.get("preset", ""), {}), **{name: given[name] for name in _TRAIN if name in given}}
    if "steps" not in loop:
        raise ValueError("how long to train is not said: give --steps, 10000 for instance, or --preset smoke")
    known = dict.fromkeys(name for taken in TAKEN.values() for name in taken)
    chosen = {name: given[name] for name in known if name in given}
    check_taken(method, chosen, TAKEN[method])
    check_writable(options.out, folder=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(given.get("seed", 0))  # of the first weights
        styles = given.get("style", [])
        objective = _objective(method, styles, chosen, small="preset" in given)
        loop["style"] = None if method == "johnson" else styles
        result = train(objective, **loop, progress="quiet" not in given)
    if os.environ.get("RANK", "0") == "0":
        more = "" if result.finished else f" of {loop['steps']}; the same command goes on from here"
        say(f"{result.weights}: step {result.step}{more}")
    return 0 if result.finished else 130


def _objective(method: str, styles: Sequence[str], chosen: Mapping[str, Any], *, small: bool) -> Objective:
    """Return what a method is trained by."""
    if method == "johnson":
        return _johnson(styles, dict(chosen), small=small)
    if not styles or not all(Path(folder).is_dir() for folder in styles):
        raise ValueError(
            f"{method} sees a new painting at every step: name folders of paintings with --style, got {list(styles)}"
        )
    kind, objective = ARBITRARY[method]
    model = kind(Encoder(chosen.get("encoder", "vgg19_mini")))
    if "init_from" in chosen:
        _check_init_from(chosen["init_from"], tuple(ARBITRARY))
        model.init_from(chosen["init_from"])
    weights = {name.removesuffix("_weight"): value for name, value in chosen.items() if name.endswith("_weight")}
    return objective(model, **weights)


def _johnson(styles: Sequence[str], chosen: dict[str, Any], *, small: bool) -> Objective:
    if len(styles) != 1 or Path(styles[0]).is_dir():
        raise ValueError("johnson learns the style of one painting: name its file, or a sample picture, with --style")
    size = chosen.pop("style_size", 256)
    painting = load_image(sample(styles[0], size), size=size)
    name = chosen.pop("name", Path(styles[0]).stem)
    width, norm, start = chosen.pop("width", None), chosen.pop("norm", None), chosen.pop("init_from", None)
    if start is None:
        network = TransformerNet((8 if small else 32) if width is None else width, norm=norm or "instance")
        return JohnsonObjective(network, painting, name=name, **chosen)
    _check_init_from(start, Johnson.styles())
    shipped = start in Johnson.styles() and not Path(start).exists()
    begun = (Johnson.pretrained if shipped else Johnson.from_checkpoint)(start)
    for option, given, found in (("width", width, begun.network.width), ("norm", norm, begun.network.norm)):
        if given not in (None, found):
            raise ValueError(f"--init-from {start} is a network of {option} {found}: leave --{option} out")
    known_as = {**{"style": Path(start).name, "steps": "?"}, **begun.metadata}
    chosen["init_from"] = f"{known_as['style']} after {known_as['steps']} steps"
    return JohnsonObjective(begun.network, painting, name=name, **chosen)


def _check_init_from(start: str, shipped: Sequence[str]) -> None:
    """Check that the weights to begin with are a file, or shipped under this name."""
    if start not in shipped and not Path(start).exists() and not Path(start).suffix:
        raise ValueError(
            f"no weights {start!r}: there is no such file, and none are shipped under that name{suggest(start, shipped)}"
        )
