"""`nst samples`: the pictures that come with the package."""

from __future__ import annotations

from pathlib import Path

from nstlib import samples
from nstlib.cli.parsing import Options, Parser, Say
from nstlib.utils.files import expand_home
from nstlib.utils.image import save_image

SUMMARY = "list or write the sample pictures"

HELP = """\
List the sample pictures, or write them to a folder. Examples:

  nst samples                           the names
  nst samples --out pictures/           all of them as PNG files
  nst samples swirl wave --out pictures/ --size 1024
"""


def parser() -> Parser:
    """Return the parser of this command."""
    command = Parser("samples", "nst samples [NAME ...] [options]", HELP)
    command.add_argument("names", nargs="*", metavar="NAME", help="which pictures (default: all)")
    command.add(
        {
            "out": (expand_home, "folder to write PNG files into", "the current one, for names"),
            "size": (int, "short side in pixels", 512),
            "quiet": (bool, "print errors only", "off"),
        }
    )
    return command


def run(options: Options, say: Say) -> int:
    """Run the command, and return the exit status."""
    given = vars(options)
    if "out" not in given and not options.names:
        print("content  " + "  ".join(samples.content_names()))
        print("style    " + "  ".join(samples.style_names()))
        return 0
    for name in options.names or (*samples.content_names(), *samples.style_names()):
        paint = samples.content if name in samples.content_names() else samples.style
        picture = paint(name, given.get("size", 512))
        path = save_image(picture, given.get("out", Path()) / f"{name}.png")
        say(f"{path}: {picture.shape[3]} x {picture.shape[2]} px")
    return 0
