"""The command line: `nst stylize`, `nst train` and `nst samples`. It parses, calls the library and prints."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from nstlib import __version__, samples
from nstlib.adaattn import AdaAttN, AdaAttNObjective
from nstlib.adain import AdaIN, AdaINObjective
from nstlib.arbitrary import ArbitraryStyle, Trainer
from nstlib.batch import paint_folder
from nstlib.encoder import Encoder
from nstlib.image import check_target, load_image, save_image
from nstlib.sanet import SANet, SANetObjective
from nstlib.stylize import METHODS, painter
from nstlib.training import PRESETS, Objective, train
from nstlib.video import is_video, paint_video

ARBITRARY: dict[str, tuple[type[ArbitraryStyle], type[Trainer]]] = {
    "adain": (AdaIN, AdaINObjective),
    "sanet": (SANet, SANetObjective),
    "adaattn": (AdaAttN, AdaAttNObjective),
}
"""Methods that take any painting, and what they are trained by."""

STYLIZE_HELP = """\
Paint a photograph in the style of a painting.

Both are files, http(s) addresses, or names of sample pictures (see: nst samples). Examples:

  nst stylize photo.jpg painting.jpg -o out.png --size 512
  nst stylize astronaut swirl -o out.png
  nst stylize photo.jpg painting.jpg -o out.png --style-weight 5 --keep-color luminance
  nst stylize photo.jpg one.jpg two.jpg -o out.png        both styles, in equal parts
  nst stylize --method johnson --style swirl photo.jpg -o out.png
  nst stylize --method johnson --style weights.safetensors photos/ -o painted/
  nst stylize --method johnson --style swirl clip.mp4 -o painted.mp4

A folder is painted picture by picture. What is already in the other folder and not older than its photograph is skipped,
so the same command goes on after a stop; for other settings, name another folder. A file that can't be read is listed
at the end, and the exit status is 1. Videos need: pip install "nstlib[video]"
"""

TRAIN_HELP = """\
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

SAMPLES_HELP = """\
List the sample pictures, or write them to a folder. Examples:

  nst samples                           the names
  nst samples --out pictures/           all of them as PNG files
  nst samples swirl wave --out pictures/ --size 1024
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 for bad input, 130 for an interrupt."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names that it can't show are no reason to fail
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and "style" in options and not any(word.startswith("-") for word in rest):
        options.style += rest  # argparse gives up on positional arguments that go on after an option
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if "run" not in options:
        parser.print_help()
        return 0
    try:
        return options.run(options) or 0
    except (FloatingPointError, ImportError, MemoryError, OSError, ValueError, TypeError) as error:
        print(f"nst: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nst: interrupted", file=sys.stderr)
        return 130


def _stylize(options: argparse.Namespace) -> int:
    styles: list[object] = [*options.style, *options.more_styles]
    if not styles:
        raise ValueError("no style: name one after the photograph, or with --style")
    if options.method != "johnson":  # which takes names of networks
        styles = [_sample(str(name), options.size) for name in styles]
    names = (
        *("encoder", "style_weight", "tv_weight", "steps", "pyramid", "precision", "optimizer", "start", "style_scale"),
        *("pooling", "seed", "alpha", "weights", "style_size", "tile"),
    )
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    folder = Path(options.content).is_dir()
    video = is_video(options.content, options.out)
    if not folder and not video:
        check_target(options.out)  # before the time that it takes to paint
    paint = painter(
        styles,
        method=options.method,
        size=options.size,
        keep_color=options.keep_color,
        device=options.device,
        progress=not (options.quiet or folder or video),
        **chosen,
    )
    if folder:
        return _stylize_folder(options, paint)
    if video:
        settings = options.style, options.more_styles, options.method, options.size, options.keep_color, chosen
        frames = paint_video(
            options.content,
            options.out,
            lambda frame, previous: paint(frame),
            settings=settings,
            progress=not options.quiet,
        )
        print(f"{options.out}: {frames} frames")
        return 0
    picture = paint(_sample(options.content, options.size))
    path = save_image(picture, options.out)
    print(f"{path}: {picture.shape[3]} x {picture.shape[2]} px")
    return 0


def _stylize_folder(options: argparse.Namespace, paint: Callable[[Path], Tensor]) -> int:
    report = paint_folder(options.content, options.out, paint, progress=not options.quiet)
    done = f", {len(report.skipped)} done before" if report.skipped else ""
    print(f"{options.out}: {len(report.written)} pictures written{done}")
    for file, reason in report.failed.items():
        print(f"nst: failed: {file}: {reason}", file=sys.stderr)
    return 1 if report.failed else 0


def _train(options: argparse.Namespace) -> int:
    chosen = PRESETS[options.preset].copy() if options.preset else {}
    names = (
        "steps",
        "batch",
        "size",
        "learning_rate",
        "schedule",
        "clip",
        "precision",
        "ema",
        "save_every",
        "sample_every",
    )
    for name in (*names, "workers", "device"):
        if getattr(options, name) is not None:
            chosen[name] = getattr(options, name)
    if "steps" not in chosen:
        raise ValueError("how long to train is not said: give --steps, 10000 for instance, or --preset smoke")
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what libraries tell developers
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = lambda message, *place: tqdm.write(f"nst: {message}", file=sys.stderr)
        torch.manual_seed(options.seed)  # of the first weights
        objective, style = OBJECTIVES[options.objective](options)
        result = train(
            objective,
            options.content,
            style,
            out=options.out,
            compile=options.compile,
            seed=options.seed,
            progress=not options.quiet,
            **chosen,
        )
    if os.environ.get("RANK", "0") == "0":
        more = "" if result.finished else f" of {chosen['steps']}; the same command goes on from here"
        print(f"{result.weights}: step {result.step}{more}")
    return 0 if result.finished else 130


def _johnson(options: argparse.Namespace) -> tuple[Objective, None]:
    from nstlib.johnson import Johnson, JohnsonObjective, TransformerNet

    if options.styles is None or len(options.styles) > 1 or Path(options.styles[0]).is_dir():
        raise ValueError("johnson learns the style of one painting: name its file, or a sample picture, with --style")
    source = str(options.styles[0])
    known = not Path(source).exists() and source in samples.style_names()
    size = options.style_size
    painting = samples.style(source, size) if known else load_image(source, size=size)
    given = ("encoder", "content_layers", "content_weight", "style_weight", "tv_weight")
    chosen: dict[str, Any] = {name: getattr(options, name) for name in given if getattr(options, name) is not None}
    if options.start is not None:
        shipped = options.start in Johnson.styles() and not Path(options.start).exists()
        begun = (Johnson.pretrained if shipped else Johnson.from_checkpoint)(options.start)
        network = begun.network
        for option, found in (("width", network.width), ("norm", network.norm)):
            if getattr(options, option) not in (None, found):
                raise ValueError(f"--start {options.start} is a network of {option} {found}: leave --{option} out")
        known_as = {**{"style": Path(options.start).name, "steps": "?"}, **begun.about}
        chosen["start"] = f"{known_as['style']} after {known_as['steps']} steps"
    else:
        small = options.preset == "smoke"
        width = options.width if options.width is not None else 8 if small else 32
        network = TransformerNet(width, norm=options.norm or "instance")
    return JohnsonObjective(network, painting, name=options.name or Path(source).stem, **chosen), None


def _arbitrary(options: argparse.Namespace) -> tuple[Objective, list[str] | None]:
    folders = options.styles or []
    if not folders or not all(Path(folder).is_dir() for folder in folders):
        raise ValueError(
            f"{options.objective} sees a new painting at every step: name folders of paintings with --style, got {folders}"
        )
    kind, objective = ARBITRARY[options.objective]
    model = kind(Encoder(options.encoder or "vgg19_mini"))
    if options.start is not None:
        model.start_from(options.start)
    given = {"content": options.content_weight, "style": options.style_weight}
    return objective(model, **{name: weight for name, weight in given.items() if weight is not None}), folders


OBJECTIVES: dict[str, Callable[[argparse.Namespace], tuple[Objective, list[str] | None]]] = {
    "johnson": _johnson,
    **dict.fromkeys(ARBITRARY, _arbitrary),
}
"""Method -> what makes its objective, and the folders of styles, if it learns from such."""


def _samples(options: argparse.Namespace) -> None:
    names = options.names or [*samples.content_names(), *samples.style_names()]
    if options.out is None and not options.names:
        print("content  " + "  ".join(samples.content_names()))
        print("style    " + "  ".join(samples.style_names()))
        return
    for name in names:
        paint = samples.content if name in samples.content_names() else samples.style
        picture = paint(name, options.size)
        path = save_image(picture, (options.out or Path()) / f"{name}.png")
        print(f"{path}: {picture.shape[3]} x {picture.shape[2]} px")


def _sample(source: str, size: int | None) -> object:
    """A sample picture if there is one of that name and no such file, else the source itself."""
    if not Path(source).exists():
        if source in samples.content_names():
            return samples.content(source, size)
        if source in samples.style_names():
            return samples.style(source, size or 512)
    return source


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="nst", description="Neural style transfer.")
    parser.add_argument("--version", action="version", version=f"nstlib {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="")

    command = commands.add_parser(
        "stylize", help="paint a photograph in the style of a painting", description=STYLIZE_HELP, formatter_class=shape
    )
    command.set_defaults(run=_stylize)
    command.add_argument("content", help="the photograph, a folder of photographs or frames, or a video file")
    command.add_argument("style", nargs="*", help="the painting, or several")
    command.add_argument(
        "--style",
        dest="more_styles",
        metavar="STYLE",
        action="append",
        default=[],
        help="the same as an option; for johnson, the name of a shipped style or a file of trained weights",
    )
    command.add_argument(
        "-o", "--out", type=Path, required=True, help="where to write: .png, .jpg or .webp; a folder; .mp4"
    )
    command.add_argument("--size", type=int, help="short side of the result in pixels (default: the photograph's own)")
    command.add_argument("--method", default="gatys", help=f"one of: {', '.join(METHODS)} (default: gatys)")
    command.add_argument(
        "--encoder",
        help="of gatys: vgg19_mini (in the package, default), vgg19 or vgg16 (a download), or a weights file",
    )
    command.add_argument("--keep-color", help="keep the photograph's colours: luminance or coral")
    command.add_argument("--device", help="cpu, cuda, mps (default: a GPU if there is one)")
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    group = command.add_argument_group("options of adain, sanet and adaattn")
    group.add_argument("--alpha", type=float, help="strength from 0 to 1 (default: 1)")
    group.add_argument("--weights", help="a file of trained weights (default: those in the package)")
    group.add_argument("--style-size", type=int, help="short side of the painting in pixels (default: 512)")
    group.add_argument("--tile", type=int, help="side of the tiles that big pictures are painted in (default: 512)")
    gatys = command.add_argument_group("options of gatys")
    gatys.add_argument("--style-weight", type=float, help="more is more painting, less photograph")
    gatys.add_argument("--tv-weight", type=float, help="more is smoother")
    gatys.add_argument("--steps", type=int, help="optimisation steps in all")
    gatys.add_argument("--pyramid", type=int, help="number of sizes, coarse to fine")
    gatys.add_argument("--precision", help="float32 (default), or bfloat16: faster on processors and GPUs that have it")
    gatys.add_argument("--optimizer", help="lbfgs or adam")
    gatys.add_argument("--start", help="content, noise or style")
    gatys.add_argument("--style-scale", type=float, help="size of the style relative to the content: more is broader")
    gatys.add_argument("--pooling", help="max, average or l2")
    gatys.add_argument("--seed", type=int, help="seed of the noise")

    command = commands.add_parser(
        "train", help="train a network on a folder of photographs", description=TRAIN_HELP, formatter_class=shape
    )
    command.set_defaults(run=_train)
    command.add_argument("objective", choices=OBJECTIVES, metavar="method", help=f"one of: {', '.join(OBJECTIVES)}")
    command.add_argument(
        "--style",
        dest="styles",
        nargs="+",
        help="of johnson: the painting, a file or a sample's name; else folders of them",
    )
    command.add_argument("--content", nargs="+", type=Path, required=True, help="folders of photographs")
    command.add_argument(
        "--out", type=Path, required=True, help="folder of the run; with a checkpoint in it, it goes on"
    )
    command.add_argument("--preset", choices=PRESETS, help="smoke: a small network for 40 steps, to see that all works")
    command.add_argument("--steps", type=int, help="steps in all")
    command.add_argument(
        "--start",
        help="begin with trained weights, which takes a fraction of the steps: a file, for johnson also a shipped style, "
        "for sanet and adaattn also adain, whose decoder they take (default: random weights)",
    )
    command.add_argument("--batch", type=int, help="pictures per step, over all processes together (default: 4)")
    command.add_argument("--size", type=int, help="side of the crops in pixels (default: 256)")
    command.add_argument(
        "--seed", type=int, default=0, help="of the first weights, the order and the crops (default: 0)"
    )
    command.add_argument("--save-every", type=int, help="steps between checkpoints (default: 500)")
    command.add_argument("--sample-every", type=int, help="steps between sample sheets (default: 500)")
    command.add_argument("--device", help="cpu, cuda, mps (default: a GPU if there is one)")
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bar and no forecast")
    group = command.add_argument_group("the optimiser")
    group.add_argument("--learning-rate", type=float, help="Adam's (default: 0.001)")
    group.add_argument("--schedule", help="constant (default), cosine, or adain: lr / (1 + 5e-5 step)")
    group.add_argument("--clip", type=float, help="clip gradients to this norm; try 1 if the loss jumps")
    group.add_argument("--ema", type=float, help="average the weights with this decay, 0.999 say (default: 0, off)")
    group.add_argument("--precision", help="float32 (default), bfloat16 or float16: faster on a GPU")
    group.add_argument("--compile", action="store_true", help="use torch.compile: minutes to begin with, then faster")
    group.add_argument("--workers", type=int, help="processes that load pictures (default: 4 for a GPU, else 0)")
    group = command.add_argument_group("options of johnson")
    group.add_argument("--style-weight", type=float, help="more is more painting, less photograph (default: 2)")
    group.add_argument("--content-weight", type=float, help="more is more photograph (default: 1)")
    group.add_argument("--tv-weight", type=float, help="more is smoother (default: 1)")
    group.add_argument(
        "--content-layers", nargs="+", metavar="LAYER", help="deeper ones leave more freedom (default: relu3_1)"
    )
    group.add_argument("--style-size", type=int, default=256, help="short side of the painting (default: 256)")
    group.add_argument("--encoder", help="vgg19_mini (default), vgg19, vgg16 or a weights file")
    group.add_argument("--width", type=int, help="channels at full resolution (default: 32, the paper's; smoke: 8)")
    group.add_argument("--norm", choices=("instance", "batch"), help="default: instance")
    group.add_argument("--name", help="what to call the style (default: the file's name)")

    command = commands.add_parser(
        "samples", help="list or write the sample pictures", description=SAMPLES_HELP, formatter_class=shape
    )
    command.set_defaults(run=_samples)
    command.add_argument("names", nargs="*", help="which (default: all)")
    command.add_argument("--out", type=Path, help="folder to write PNG files into")
    command.add_argument("--size", type=int, default=512, help="short side in pixels (default: 512)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
