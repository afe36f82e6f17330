"""`nst train`: train a network on folders of photographs, and of paintings."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from nstlib.cli.parsing import (
    LAYERS,
    Described,
    Options,
    Parser,
    Say,
    UsageError,
    check_taken,
    flag,
    list_takers,
    sample,
)
from nstlib.encoder import Encoder
from nstlib.johnson import Johnson, JohnsonObjective, TransformerNet
from nstlib.objective import Objective
from nstlib.registry import METHODS
from nstlib.training import PRESETS, TrainingOptions, train
from nstlib.utils.checks import check_option
from nstlib.utils.files import check_writable, expand_home
from nstlib.utils.image import load_image

SUMMARY = "train a network on a folder of photographs"

HELP = """\
Train a network on a folder of photographs. Examples:

  nst train johnson --style painting.jpg --content photos/ --out-dir run/ --steps 10000
  nst train johnson --style swirl --content photos/ --out-dir run/ --preset smoke       a test run of a minute on a CPU
  torchrun --nproc-per-node 4 -m nstlib train johnson --style painting.jpg --content photos/ --out-dir run/ --batch-size 16

johnson learns the style of one painting. Afterwards, any picture takes one forward pass. The command first prints how many
pictures it will use, and after 20 steps how long it will take. It writes to run/

  weights.safetensors     the network:  nst stylize --method johnson --style run/weights.safetensors photo.jpg -o out.png
  samples-<step>.png      photographs above, and what the network makes of them below: look at these first
  losses.png, losses.csv  the terms of the loss
  checkpoint-<step>.pt    after Ctrl-C or a power cut, the same command resumes exactly from the last of these

If there is too little style, raise --style-weight. For broader strokes, raise --style-size. A few thousand photographs of
any size and kind will do. A file that can't be read is named and skipped.
"""

ARBITRARY: dict[str, tuple[type[Any], type[Any]]] = {
    name: (method.model, method.objective)
    for name, method in METHODS.items()
    if method.objective is not None and method.takes_pictures
}
"""Trained methods for any painting -> model, objective."""

_LOOP = {**inspect.signature(train).parameters, **inspect.signature(TrainingOptions).parameters}
_JOHNSON = inspect.signature(JohnsonObjective).parameters


def _list_weights(term: str) -> str:
    """Return the default weights of a term for the methods that have it, as text."""
    weights = {"johnson": _JOHNSON[f"{term}_weight"].default}
    weights |= {method: kind.weights[term] for method, (_, kind) in ARBITRARY.items() if term in kind.weights}
    return ", ".join(f"{method} {weight:g}" for method, weight in weights.items())


OPTIONS: dict[str, dict[str, Described]] = {
    "": {
        "style": ([str], "of johnson: the painting, a file or a sample's name; else folders of them (needed)", None),
        "content": ([Path], "folders of photographs (needed)", None),
        "out_dir": (expand_home, "folder of the run, which resumes if it holds a checkpoint (needed)", None),
        "preset": (str, "smoke: a small network for 40 steps, to see that everything works", "none"),
        "steps": (int, "total number of steps", "needed without a preset"),
        "batch_size": (int, "pictures per step, over all processes together"),
        "size": (int, "side of the crops in pixels"),
        "seed": (int, "seed of the initial weights, of the order of the pictures and of their crops"),
        "save_every": (int, "steps between checkpoints"),
        "sample_every": (int, "steps between sample sheets"),
        "device": (str, "cpu, cuda or mps", "a GPU if there is one"),
        "quiet": (bool, "print errors only", "off"),
    },
    "pictures": {
        "crop_scale": (
            {"type": float, "nargs": 2, "metavar": ("LEAST", "MOST")},
            "smallest and largest side of a crop, as a share of the short side; 0.4 1 makes more of a few files",
            "{:g} {:g}".format(*_LOOP["crop_scale"].default),
        ),
        "color_augmentation": (float, "share of pictures whose colours are changed; 0.5 helps networks for any style"),
        "balance_folders": (bool, "draw as many pictures from every folder, however many it holds", "off"),
        "workers": (int, "processes that load pictures", "4 for a GPU, else 0"),
    },
    "the optimiser": {
        "learning_rate": (float, "Adam's"),
        "schedule": (str, "constant, cosine, linear_end, or adain: lr / (1 + 5e-5 step)"),
        "warmup": (int, "steps over which the learning rate rises"),
        "max_grad_norm": (float, "clip gradients to this norm; try 1 if the loss jumps", "no"),
        "ema": (float, "average the weights with this decay, such as 0.999", "0, off"),
        "precision": (str, "float32, bfloat16 or float16, which are faster on a GPU"),
        "compile": (bool, "use torch.compile, which takes minutes at first and is then faster", "off"),
    },
    "options of johnson, adain, sanet, adaattn": {
        "encoder": (str, "vgg19_mini, vgg19, vgg16 or a weights file", "vgg19_mini"),
        "init_from": (
            str,
            "start from trained weights, which takes a fraction of the steps: a file; for johnson also a shipped style; "
            "for sanet and adaattn also adain, whose decoder they use",
            "random weights",
        ),
    },
    "options of adain, sanet, adaattn": {
        "decoder": (str, "conditioned on the painting's statistics, or plain, as in the papers", "plain"),
        "balance": (float, "how strongly distant pairs are weighted down", 0),
        "colors_weight": (float, "more brings the colours closer to the painting's", 0),
    },
    "options of johnson, adain, sanet": {
        "style_weight": (float, "more is more painting, less photograph", _list_weights("style")),
        "content_weight": (float, "more is more photograph", _list_weights("content")),
    },
    "options of johnson": {
        "tv_weight": (float, "more is smoother", _JOHNSON["tv_weight"].default),
        "raster_weight": (float, "against a raster of 4 pixels", _JOHNSON["raster_weight"].default),
        "edge_weight": (float, "against lines along the edges, which long trainings may leave; try 20", 0),
        "content_layers": (LAYERS, "deeper ones leave more freedom", " ".join(_JOHNSON["content_layers"].default)),
        "style_size": (int, "short side of the painting in pixels", 256),
        "width": (int, "channels at full resolution", "32, the paper's; smoke: 8"),
        "norm": (str, "instance or batch", "instance"),
        "name": (str, "what to call the style", "the file's name"),
    },
}
"""Group -> option -> its type, its help text, and its default if it isn't the training loop's."""


def parser() -> Parser:
    """Return the parser of this command."""
    usage = "nst train METHOD --style PAINTING --content PHOTOGRAPHS --out-dir RUN --steps N [options]"
    command = Parser("train", usage, HELP)
    command.add_argument("method", metavar="METHOD", help=f"one of: johnson, {', '.join(ARBITRARY)}")
    for title, options in OPTIONS.items():
        command.add(options, title, _LOOP)
    return command


def run(options: Options, say: Say) -> int:
    """Run the command, and return the exit status."""
    given = vars(options)
    method = options.method
    check_option("method", method, ("johnson", *ARBITRARY))
    for name, what in (("content", "folders of photographs"), ("out_dir", "the folder of the run")):
        if name not in given:
            raise UsageError(f"name {what} with {flag(name)}")
    if "preset" in given:
        check_option("preset", options.preset, tuple(PRESETS))
    loop = {**PRESETS.get(given.get("preset", ""), {}), **{name: given[name] for name in _LOOP if name in given}}
    if "steps" not in loop:
        raise ValueError("how long to train is not said: give --steps, 10000 for instance, or --preset smoke")
    chosen = check_taken(method, given, list_takers(OPTIONS))
    check_writable(options.out_dir, folder=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(given.get("seed", 0))  # for the initial weights
        styles = given.get("style", [])
        objective = _objective(method, styles, chosen, small="preset" in given)
        loop["style"] = None if method == "johnson" else styles
        result = train(objective, **loop, progress="quiet" not in given)
    if os.environ.get("RANK", "0") == "0":
        more = "" if result.finished else f" of {loop['steps']}; the same command goes on from here"
        say(f"{result.weights}: step {result.step}{more}")
    return 0 if result.finished else 130


def _objective(method: str, styles: Sequence[str], chosen: Mapping[str, Any], *, small: bool) -> Objective:
    """Return the objective of a method."""
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
        start = Path(chosen["init_from"])
        if not start.exists() and not start.suffix:
            check_option("weights", str(start), tuple(ARBITRARY))
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
    begun = Johnson.open([start])
    for option, given, found in (("width", width, begun.network.width), ("norm", norm, begun.network.norm)):
        if given not in (None, found):
            raise ValueError(f"--init-from {start} is a network of {option} {found}: leave --{option} out")
    known_as = {**{"style": Path(start).name, "steps": "?"}, **begun.metadata}
    chosen["init_from"] = f"{known_as['style']} after {known_as['steps']} steps"
    return JohnsonObjective(begun.network, painting, name=name, **chosen)
