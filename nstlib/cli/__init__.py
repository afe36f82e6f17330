"""The command line: `nst stylize`, `nst train`, `nst export` and `nst samples`.

Every command is a module of this package with a `SUMMARY`, a `parser()` and a function `run(options, say)`, which calls the
library and returns the exit status. They use argparse, because click and typer don't support options with any number of
values, such as `--style-weights 0.3 0.7` or `--style wikiart/*/`.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from types import ModuleType

from nstlib import __version__
from nstlib.cli import export, samples, stylize, train
from nstlib.cli.parsing import UsageError, sentences
from nstlib.utils.checks import suggest

COMMANDS: dict[str, ModuleType] = {"stylize": stylize, "train": train, "export": export, "samples": samples}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 for success, 1 for bad input, 2 for a wrong command line, 130 for an interrupt.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # don't fail on file names that the terminal can't show
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except UsageError as error:
        print(f"nst: {error}", file=sys.stderr)
        return 2
    except (FloatingPointError, ImportError, MemoryError, OSError, ValueError, TypeError) as error:
        print(f"nst: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("nst: interrupted", file=sys.stderr)
        return 130


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print("usage: nst COMMAND ...\n\nNeural style transfer.\n\ncommands:")
        print("\n".join(f"  {name:<9}  {command.SUMMARY}" for name, command in COMMANDS.items()))
        print("\nnst COMMAND --help explains a command with examples, nst --version tells the version.")
        return 0
    if words[0] == "--version":
        print(f"nstlib {__version__}")
        return 0
    if words[0] not in COMMANDS:
        raise UsageError(f"no command {words[0]!r}{suggest(words[0], tuple(COMMANDS))}")
    command = COMMANDS[words[0]]
    options = command.parser().parse(words[1:])
    quiet = "quiet" in options
    with sentences(quiet):
        return int(command.run(options, (lambda text: None) if quiet else print))
