"""`nst stylize`: paint a photograph, a folder of photographs or a video in the style of paintings."""

from __future__ import annotations

import inspect
import sys
from argparse import BooleanOptionalAction
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import torch.nn.functional as F
from torch import Tensor

from nstlib.backbones import layers_of
from nstlib.cli.parsing import LAYERS, Described, Options, Parser, Say, UsageError, check_taken, flag, sample, sentences
from nstlib.gatys import Gatys, Init, Result
from nstlib.registry import METHODS
from nstlib.steady import FRAME_STEPS, STEADY
from nstlib.stylize import make_stylizer
from nstlib.utils.batch import paint_folder
from nstlib.utils.checks import check_int, check_option
from nstlib.utils.files import check_writable, expand_home, same_place
from nstlib.utils.image import WRITABLE, check_target, load_image, save_image
from nstlib.utils.interrupts import noted_interrupts
from nstlib.utils.opacity import split_opacity
from nstlib.video import ONLY_READ, VIDEOS, is_video, paint_video

SUMMARY = "paint a photograph in the style of a painting"

HELP = """\
Paint a photograph in the style of a painting.

Both are files, http(s) addresses, or names of sample pictures (see: nst samples). Examples:

  nst stylize photo.jpg painting.jpg -o out.png --size 512
  nst stylize astronaut swirl -o out.png
  nst stylize photo.jpg painting.jpg -o out.png --style-weight 5 --keep-color luminance
  nst stylize photo.jpg one.jpg two.jpg -o out.png --style-weights 0.3 0.7      both styles in one picture
  nst stylize photo.jpg one.jpg two.jpg -o out/ --each                          one picture for each painting
  nst stylize photo.jpg one.jpg two.jpg -o out.png --mask map.png               a painting for each region
  nst stylize --method johnson --style swirl photo.jpg -o out.png
  nst stylize --method johnson --style weights.safetensors photos/ -o painted/
  nst stylize --method johnson --style swirl clip.mp4 -o painted.mp4

A folder is painted picture by picture. Results that exist already and are not older than their photographs are skipped, so
the same command resumes after a stop. For other settings, name another folder. Files that can't be read are listed at the
end, and the exit status is then 1.

Videos need: pip install "nstlib[video]". Animated GIF, WebP and PNG files need nothing else. Every frame makes use of the
last result, which reduces flicker: see --steady and --frame-steps. A stopped video resumes where it was.
"""

OPTIONS: dict[str, Described] = {
    "style": (
        {"metavar": "PAINTING", "action": "append"},
        "a painting, as an option; for johnson, the name of a shipped style or a file of trained weights",
        "none",
    ),
    "out": (expand_home, f"where to write (needed): {', '.join(WRITABLE)}; a folder; .mp4", None),
    "each": (bool, "paint one picture for each painting, OUT/PHOTOGRAPH-PAINTING.png", "off"),
    "size": (int, "short side of the result in pixels", "the photograph's own"),
    "method": (str, f"one of: {', '.join(METHODS)}", "gatys"),
    "keep_color": (str, "keep the photograph's colours: luminance or coral", "no"),
    "keep_alpha": (
        {"action": BooleanOptionalAction},
        "keep the transparency of photographs, and ignore transparent parts of paintings too. JPEG has no transparency. "
        "--no-keep-alpha lays transparent pictures on white",
        "on",
    ),
    "device": (str, "cpu, cuda or mps", "a GPU if there is one"),
    "quiet": (bool, "print errors only", "off"),
}
"""Option of all methods -> its type, its help text, and its default."""

METHOD_OPTIONS: dict[str, Described] = {
    "style_scale": (float, "size of the painting relative to the photograph: larger means broader strokes"),
    "style_weights": ([float], "the weight of each painting, in their order", "equal weights"),
    "mask": (
        {"type": Path, "action": "append"},
        "the region of each painting. Repeat the option with one grey picture for each painting, in their order: white "
        "where it applies, black or transparent elsewhere. Or give one map with one flat colour for each painting: the "
        "first takes the colour of the top left pixel, the others take the remaining colours as they appear row by row",
        "none",
    ),
    "encoder": (str, "vgg19_mini, vgg19 or vgg16 (a download), or a weights file; a trained network needs its own"),
    "alpha": (float, "strength from 0 to 1; johnson blends pixels with the photograph's, the others features", 1.0),
    "refine": (int, "steps of L-BFGS on the pixels that follow; 5 to 20 bring it much closer to the painting", 0),
    "weights": (Path, "a file of trained weights", "those in the package"),
    "tile": (int, "side of the tiles that large pictures are painted in, in pixels", 512),
    "content_weight": (float, "more gives more photograph"),
    "style_weight": (float, "more gives more painting, less photograph"),
    "tv_weight": (float, "more gives a smoother picture"),
    "content_layers": (LAYERS, "layers to preserve; deeper ones leave more freedom", "relu4_2 of a VGG"),
    "style_layers": (LAYERS, "layers to match; deeper ones hold larger shapes", "relu1_1 to relu5_1 of a VGG"),
    "layer_weights": ([float], "one number for each style layer, in their order", "equal weights"),
    "init": (str, "where to start: content, noise, style, or a picture, such as an earlier result for the photograph"),
    "steps": (int, "total number of optimisation steps"),
    "save_every": (int, "write the picture so far every N steps, as OUT-<step>", "only the last"),
    "pyramid": (int, "number of sizes, coarse to fine"),
    "optimizer": (str, "lbfgs or adam"),
    "learning_rate": (float, "learning rate of the optimizer", "1 for lbfgs, 0.02 for adam"),
    "history_size": (int, "past steps that lbfgs remembers; fewer need less memory"),
    "precision": (str, "float32, or bfloat16, which is faster on processors and GPUs that support it"),
    "pooling": (str, "max, average or l2"),
    "seed": (int, "seed of the noise"),
    "frame_steps": (
        int,
        "for a video: steps for frames that start from the last result, which are all but the first of a scene",
        FRAME_STEPS,
    ),
    "steady": (
        float,
        "for a video, against flicker: how much of the last result is kept, from 0 to 1, moved along with the motion. "
        "0 paints every frame on its own",
        STEADY,
    ),
}
"""Option of some methods -> its type, its help text, and its default if it isn't that of `Gatys`."""

_GATYS = inspect.signature(Gatys).parameters


def _takers() -> dict[str, str]:
    """Return option -> the methods that take it, as they are registered."""
    known = {name: {*one.model_options, *one.picture_options, *one.video_options} for name, one in METHODS.items()}
    library = {name: "callback" if name == "save_every" else name for name in METHOD_OPTIONS}
    return {name: ", ".join(method for method in known if library[name] in known[method]) for name in METHOD_OPTIONS}


def parser() -> Parser:
    """Return the parser of this command."""
    stylize = Parser("stylize", "nst stylize PHOTOGRAPH PAINTING [PAINTING ...] -o OUT [options]", HELP)
    pictures = "the photograph, a folder of photographs or frames, or a video file; after it, the painting, or several"
    stylize.add_argument("pictures", nargs="*", metavar="PICTURE", help=pictures)
    stylize.add(OPTIONS)
    for name, takers in _takers().items():
        stylize.add({name: METHOD_OPTIONS[name]}, f"options of {takers}", _GATYS)
    return stylize


def run(options: Options, say: Say) -> int:
    """Run the command, and return the exit status."""
    given = vars(options)
    if not options.pictures:
        raise UsageError("no photograph: name it first, then the painting (nst stylize --help has examples)")
    content, styles = options.pictures[0], [*options.pictures[1:], *given.get("style", ())]
    if not styles:
        raise ValueError("no style: name a painting after the photograph, or with --style")
    if "out" not in given:
        raise UsageError("nowhere to write: name a file or a folder with -o")
    method = given.get("method", "gatys")
    check_option("method", method, tuple(METHODS))
    chosen = check_taken(method, given, _takers())
    target = Path(content).name if "each" in given else options.out  # with --each, results have the suffix of the video
    kind = "folder" if Path(content).is_dir() else "video" if is_video(content, target) else "picture"
    jobs = _list_jobs(content, styles, options.out, kind, chosen) if "each" in given else [(options.out, styles)]
    common = _read_options(method, chosen, content, given.get("size"), kind)
    sources = [content, *styles, *map(str, chosen.get("mask", ())), chosen.get("init", "")]
    for out, _ in jobs:  # before the time that it takes to paint
        _check_out(out, kind, sources, chosen)

    progress = "quiet" not in given
    shared = {name: given[name] for name in ("size", "keep_color", "keep_alpha", "device") if name in given}
    paints = []
    for out, styles in jobs:  # all paintings are read before the first picture is painted
        paintings = [sample(style, None) if METHODS[method].takes_pictures else style for style in styles]
        if "save_every" in chosen:
            common["callback"] = partial(_save_along, chosen["save_every"], out)
        common["progress"] = progress and kind == "picture"
        paints.append(make_stylizer(paintings, method=method, **shared, **common))

    status = 0
    with noted_interrupts() as interrupted:
        for (out, styles), paint in zip(jobs, paints):
            with sentences(not progress, f"{styles[0]}: " if len(jobs) > 1 else ""):
                if kind == "folder":
                    status |= _paint_folder(content, out, paint, progress, say)
                elif kind == "video":
                    settings = (styles, method, shared, chosen)
                    frames = paint_video(content, out, paint, settings=settings, progress=progress)
                    say(f"{out}: {frames} frames")
                else:
                    picture = paint(sample(content, given.get("size")))
                    say(f"{save_image(picture, out)}: {picture.shape[3]} x {picture.shape[2]} px")
            if interrupted.is_set() and len(jobs) > 1:  # Gatys has caught it, to return its best picture so far
                raise KeyboardInterrupt
    return status


def _list_jobs(
    content: str, styles: Sequence[str], out: Path, kind: str, chosen: Mapping[str, object]
) -> list[tuple[Path, list[str]]]:
    """Return, for each painting, the file of its result in the folder `out`, and a list with the painting."""
    for name in ("style_weights", "mask"):
        if name in chosen:
            raise ValueError(f"--each paints with one painting at a time, and {flag(name)} is for several")
    if out.suffix.lower() in (*WRITABLE, *VIDEOS) or (out.exists() and not out.is_dir()):
        raise NotADirectoryError(
            f"--each writes one picture for each painting into a folder, and '{out}' is a file name"
        )
    jobs: dict[Path, str] = {}
    for style in styles:
        suffix = ".png" if kind == "picture" else Path(content).suffix
        suffix = ".mp4" if suffix.lower() in ONLY_READ else suffix
        name = Path(style).stem if kind == "folder" else f"{Path(content).stem}-{Path(style).stem}{suffix}"
        other = jobs.setdefault(out / name, style)
        if other != style:
            raise ValueError(f"the results of '{other}' and '{style}' would both be called '{name}': rename a painting")
    return [(target, [style]) for target, style in jobs.items()]


def _check_out(out: Path, kind: str, sources: Sequence[str], chosen: Mapping[str, Any]) -> None:
    """Check that results can be written and replace none of their sources, of which the photograph comes first."""
    if kind == "picture":
        check_target(out)
    results = [out]
    if every := chosen.get("save_every"):
        results += [_along(out, step) for step in range(every, chosen.get("steps", _GATYS["steps"].default) + 1, every)]
    for source in filter(None, sources):
        if kind == "folder":  # results have the names of photographs
            name = Path(source).name
            results = [out / name] if (Path(sources[0]) / name).is_file() else []
        if any(same_place(result, Path(source)) for result in results):
            raise ValueError(f"the result would replace '{source}', one of its sources: name another place for it")
    check_writable(out, folder=kind == "folder")


def _read_options(method: str, chosen: Mapping[str, Any], content: str, size: int | None, kind: str) -> dict[str, Any]:
    """Return the options of the method in the form that the library expects."""
    options = {name: value for name, value in chosen.items() if name != "save_every"}
    if "save_every" in chosen:
        check_int("--save-every", chosen["save_every"], 1)
    for name in METHODS[method].video_options:
        if kind != "video" and name in chosen:
            raise ValueError(f"{flag(name)} is for the frames of a video, and '{content}' is a {kind}")
    if kind != "picture" and "save_every" in chosen:
        raise ValueError(f"--save-every is for one photograph, and '{content}' is a {kind}")
    if "layer_weights" in chosen:
        layers = chosen.get("style_layers") or layers_of(chosen.get("encoder", "vgg19_mini"), "style")
        weights = chosen["layer_weights"]
        if len(weights) != len(layers):
            names = " ".join(layers)
            raise ValueError(f"--layer-weights needs one number for each of {names}: {len(layers)}, got {len(weights)}")
        options["layer_weights"] = dict(zip(layers, weights))
    init = chosen.get("init", "content")
    if init not in get_args(Init):
        if not Path(init).exists() and not Path(init).suffix:
            check_option("init", init, get_args(Init))
        if kind != "picture":
            raise ValueError(f"--init takes a picture for one photograph only, and '{content}' is a {kind}")
        photograph = load_image(sample(content, size), size=size)
        first, _ = split_opacity(load_image(init, size=None, alpha=True, reduce=True))
        options["init"] = F.interpolate(first, photograph.shape[2:], mode="bicubic", antialias=True).clamp(0, 1)
    return options


def _save_along(every: int, out: Path, result: Result) -> None:
    """Write the picture so far beside `out`, if the number of its step is a multiple of `every`."""
    step = int(result.history[-1]["step"])
    if step % every == 0:
        save_image(result.picture, _along(out, step))


def _along(out: Path, step: int) -> Path:
    """Return the file for the picture after a step."""
    return out.with_name(f"{out.stem}-{step:04}{out.suffix}")


def _paint_folder(folder: str, out: Path, paint: Callable[..., Tensor], progress: bool, say: Say) -> int:
    report = paint_folder(folder, out, paint, progress=progress)
    done = f", {len(report.skipped)} done before" if report.skipped else ""
    say(f"{out}: {len(report.written)} pictures written{done}")
    for file, reason in report.failed.items():
        print(f"nst: failed: {file}: {reason}", file=sys.stderr)
    return 1 if report.failed else 0
