"""`nst train`: a network learns from folders of photographs, and of paintings."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nstlib.cli.parsing import Options, Parser, Say, UsageError, check_taken, flag, sample
from nstlib.encoder import Encoder
from nstlib.johnson import Johnson, JohnsonObjective, TransformerNet
from nstlib.objective import Objective
from nstlib.registry import METHODS
from nstlib.training import PRESETS, TrainingOptions, train
from nstlib.utils.checks import check_option, suggest
from nstlib.utils.files import check_writable, expand_home
from nstlib.utils.image import load_image

SUMMARY = "train a network on a folder of photographs"

HELP = """\
Train a network on a folder of photographs. Examples:

  nst train johnson --style painting.jpg --content photos/ --out-dir run/ --steps 10000
  nst train johnson --style swirl --content photos/ --out-dir run/ --preset smoke       a minute on a CPU: does it all work?
  torchrun --nproc-per-node 4 -m nstlib train johnson --style painting.jpg --content photos/ --out-dir run/ --batch-size 16

johnson learns one painting: afterwards, any picture takes one forward pass. At the start you read how many pictures will
be seen, after 20 steps how long it will take. In run/ you find

  weights.safetensors     the network:  nst stylize --method johnson --style run/weights.safetensors photo.jpg -o out.png
  samples-<step>.png      photographs above, what the network makes of them below: look at these first
  losses.png, losses.csv  the terms of the loss
  checkpoint-<step>.pt    Ctrl-C, or a power cut: the same command goes on from the last of these, exactly

Too little style: raise --style-weight. Broader strokes: raise --style-size. Photographs of any size and kind will do, some
thousands of them; a file that can't be read is named and skipped.
"""

ARBITRARY: dict[str, tuple[type[Any], type[Any]]] = {
    name: (method.model, method.objective)
    for name, method in METHODS.items()
    if method.objective is not None and method.takes_pictures
}
"""Methods that take any painting and are trained -> model, objective."""

TAKEN: dict[str, tuple[str, ...]] = {
    "johnson": (
        *("encoder", "init_from", "style_weight", "content_weight", "tv_weight", "raster_weight", "content_layers"),
        *("style_size", "width", "norm", "name"),
    ),
    **{
        method: (
            *("encoder", "init_from", "decoder", "balance"),
            *(f"{term}_weight" for term in ("style", "content", "colors") if term in objective.weights),
        )
        for method, (_, objective) in ARBITRARY.items()
    },
}
"""Method -> the options that make what it is trained by."""

LOOP: dict[str, tuple[Any, ...]] = {
    "steps": (int, "steps in all", "needed without a preset"),
    "batch_size": (int, "pictures per step, over all processes together"),
    "size": (int, "side of the crops in pixels"),
    "seed": (int, "of the first weights, the order of the pictures, and the crops"),
    "save_every": (int, "steps between checkpoints"),
    "sample_every": (int, "steps between sample sheets"),
    "crop_scale": (
        None,
        "smallest and largest side of a crop, as a share of the short side; 0.4 1 shows more of few files",
    ),
    "color_augmentation": (float, "share of the pictures whose colours are changed; 0.5 helps networks for any style"),
    "balance_folders": (bool, "draw as many pictures from every folder, however many it holds"),
    "workers": (int, "processes that load pictures", "4 for a GPU, else 0"),
    "learning_rate": (float, "Adam's"),
    "schedule": (str, "constant, cosine, linear_end, or adain: lr / (1 + 5e-5 step)"),
    "warmup": (int, "steps over which the learning rate rises"),
    "max_grad_norm": (float, "clip gradients to this norm; try 1 if the loss jumps", "no"),
    "ema": (float, "average the weights with this decay, 0.999 say", "0, off"),
    "precision": (str, "float32, bfloat16 or float16: faster on a GPU"),
    "compile": (bool, "use torch.compile: minutes to begin with, then faster"),
}
"""Option of the training loop -> its type, help, and what to call its default if not by its value."""

_TRAIN = {**inspect.signature(train).parameters, **inspect.signature(TrainingOptions).parameters}
_JOHNSON = inspect.signature(JohnsonObjective).parameters


def parser() -> Parser:
    """Return the parser of this command."""
    usage = "nst train METHOD --style PAINTING --content PHOTOGRAPHS --out-dir RUN --steps N [options]"
    command = Parser("train", usage, HELP)
    command.add_argument("method", nargs="*", metavar="METHOD", help=f"one of: {', '.join(TAKEN)}")
    option = command.option
    option(
        "--style", nargs="+", help="of johnson: the painting, a file or a sample's name; else folders of them (needed)"
    )
    option("--content", nargs="+", type=Path, help="folders of photographs (needed)")
    option("--out-dir", type=expand_home, help="folder of the run; with a checkpoint in it, it goes on (needed)")
    option("--preset", help="smoke: a small network for 40 steps, to see that all works", default="none")
    for name in ("steps", "batch_size", "size", "seed", "save_every", "sample_every"):
        _add_loop_option(command, name)
    option("--device", help="cpu, cuda or mps", default="a GPU if there is one")
    option("-q", "--quiet", action="store_true", help="print errors only", default="off")
    group = command.add_argument_group("pictures")
    for name in ("crop_scale", "color_augmentation", "balance_folders", "workers"):
        _add_loop_option(command, name, group)
    group = command.add_argument_group("the optimiser")
    for name in ("learning_rate", "schedule", "warmup", "max_grad_norm", "ema", "precision", "compile"):
        _add_loop_option(command, name, group)
    _add_method_options(command)
    return command


def _add_loop_option(command: Parser, name: str, group: Any = None) -> None:
    """Add an option of the training loop, with its default."""
    kind, help, *shown = LOOP[name]
    default = shown[0] if shown else _TRAIN[name].default
    settings: dict[str, Any] = {"type": kind}
    if kind is bool:
        settings, default = {"action": "store_true"}, "off"
    elif isinstance(default, tuple):
        settings, default = {"type": float, "nargs": 2, "metavar": ("LEAST", "MOST")}, "{:g} {:g}".format(*default)
    command.option(flag(name), help=help, default=default, group=group, **settings)


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
    group = command.add_argument_group("options of adain, sanet and adaattn")
    option(
        "--decoder",
        help="conditioned: it is told the painting's statistics; plain: the papers'",
        default="plain",
        group=group,
    )
    option("--balance", type=float, help="how much pairs that lie far apart count less", default=0, group=group)
    option(
        "--colors-weight", type=float, help="more brings the colours nearer to the painting's", default=0, group=group
    )
    group = command.add_argument_group("options of johnson, adain and sanet")
    for term, help in (("style", "more is more painting, less photograph"), ("content", "more is more photograph")):
        weights = {"johnson": _JOHNSON[f"{term}_weight"].default}
        weights |= {
            method: objective.weights[term] for method, (_, objective) in ARBITRARY.items() if term in objective.weights
        }
        default = ", ".join(f"{method} {weight:g}" for method, weight in weights.items())
        option(f"--{term}-weight", type=float, help=help, default=default, group=group)
    group = command.add_argument_group("options of johnson")
    option("--tv-weight", type=float, help="more is smoother", default=_JOHNSON["tv_weight"].default, group=group)
    raster_weight = _JOHNSON["raster_weight"].default
    option("--raster-weight", type=float, help="against a raster of 4 pixels", default=raster_weight, group=group)
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
    for name, what in (("content", "folders of photographs"), ("out_dir", "the folder of the run")):
        if name not in given:
            raise UsageError(f"name {what} with --{name.replace('_', '-')}")
    if "preset" in given:
        check_option("preset", options.preset, tuple(PRESETS))
    loop = {**PRESETS.get(given.get("preset", ""), {}), **{name: given[name] for name in _TRAIN if name in given}}
    loop |= {"crop_scale": tuple(loop["crop_scale"])} if "crop_scale" in loop else {}
    if "steps" not in loop:
        raise ValueError("how long to train is not said: give --steps, 10000 for instance, or --preset smoke")
    known = dict.fromkeys(name for taken in TAKEN.values() for name in taken)
    chosen = {name: given[name] for name in known if name in given}
    check_taken(method, chosen, TAKEN[method])
    check_writable(options.out_dir, folder=True)
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
    check_option("decoder", chosen.get("decoder", "plain"), ("plain", "conditioned"))
    model = kind(Encoder(chosen.get("encoder", "vgg19_mini")), conditioned=chosen.get("decoder") == "conditioned")
    if "init_from" in chosen:
        _check_init_from(chosen["init_from"], tuple(ARBITRARY))
        model.init_from(chosen["init_from"])
    weights = {name.removesuffix("_weight"): value for name, value in chosen.items() if name.endswith("_weight")}
    return objective(model, balance=chosen.get("balance", 0.0), **weights)


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
