"""The command line: `nst stylize` and `nst samples`. It parses, calls the library and prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from nstlib import __version__, samples
from nstlib.image import save_image
from nstlib.stylize import METHODS, stylize

STYLIZE_HELP = """\
Paint a photograph in the style of a painting.

Both are files, http(s) addresses, or names of sample pictures (see: nst samples). Examples:

  nst stylize photo.jpg painting.jpg -o out.png --size 512
  nst stylize astronaut swirl -o out.png
  nst stylize photo.jpg painting.jpg -o out.png --style-weight 5 --keep-color luminance
  nst stylize photo.jpg one.jpg two.jpg -o out.png        both styles, in equal parts
"""

SAMPLES_HELP = """\
List the sample pictures, or write them to a folder. Examples:

  nst samples                           the names
  nst samples --out pictures/           all of them as PNG files
  nst samples swirl wave --out pictures/ --size 1024
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0, 1 for bad input, 130 for an interrupt."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if "run" not in options:
        parser.print_help()
        return 0
    try:
        options.run(options)
    except (OSError, ValueError, TypeError) as error:
        print(f"nst: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nst: interrupted", file=sys.stderr)
        return 130
    return 0


def _stylize(options: argparse.Namespace) -> None:
    content = _sample(options.content, options.size)
    styles = [_sample(name, options.size) for name in options.style]
    given = ("style_weight", "tv_weight", "steps", "pyramid", "optimizer", "start", "style_scale", "pooling", "seed")
    chosen = {name: getattr(options, name) for name in given if getattr(options, name) is not None}
    picture = stylize(
        content,
        styles,
        method=options.method,
        size=options.size,
        keep_color=options.keep_color,
        device=options.device,
        encoder=options.encoder,
        progress=not options.quiet,
        **chosen,
    )
    path = save_image(picture, options.out)
    print(f"{path}: {picture.shape[3]} x {picture.shape[2]} px")


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
    command.add_argument("content", help="the photograph")
    command.add_argument("style", nargs="+", help="the painting, or several")
    command.add_argument("-o", "--out", type=Path, required=True, help="where to write: .png, .jpg or .webp")
    command.add_argument("--size", type=int, help="short side of the result in pixels (default: the photograph's own)")
    command.add_argument("--method", default="gatys", help=f"one of: {', '.join(METHODS)} (default: gatys)")
    command.add_argument(
        "--encoder",
        default="vgg19_mini",
        help="vgg19_mini (in the package, default), vgg19 or vgg16 (a download), or a weights file",
    )
    command.add_argument("--keep-color", help="keep the photograph's colours: luminance or coral")
    command.add_argument("--device", help="cpu, cuda, mps (default: a GPU if there is one)")
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    gatys = command.add_argument_group("options of gatys")
    gatys.add_argument("--style-weight", type=float, help="more is more painting, less photograph")
    gatys.add_argument("--tv-weight", type=float, help="more is smoother")
    gatys.add_argument("--steps", type=int, help="optimisation steps in all")
    gatys.add_argument("--pyramid", type=int, help="number of sizes, coarse to fine")
    gatys.add_argument("--optimizer", help="lbfgs or adam")
    gatys.add_argument("--start", help="content, noise or style")
    gatys.add_argument("--style-scale", type=float, help="size of the style relative to the content: more is broader")
    gatys.add_argument("--pooling", help="max, average or l2")
    gatys.add_argument("--seed", type=int, help="seed of the noise")

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
