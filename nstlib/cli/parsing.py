"""Parts that the commands share: their parser, the checks of options, and the format of warnings."""

from __future__ import annotations

import argparse
import difflib
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from tqdm.auto import tqdm

from nstlib import samples
from nstlib.utils.checks import suggest

Options = argparse.Namespace
Say = Callable[[str], object]
"""Prints a line, unless the command is quiet."""

Described = tuple[Any, ...]
"""An option: its type (in a list for any number of values, `bool` for none) or settings of argparse; help; default."""

LAYERS = {"type": [str], "metavar": "LAYER"}
"""Settings of an option that takes layer names."""


class UsageError(ValueError):
    """A command line that no command understands."""


class Parser(argparse.ArgumentParser):
    """The parser of one command. Errors are one sentence, and arguments may stand before, between and after options."""

    def __init__(self, command: str, usage: str, description: str) -> None:
        shape = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=f"nst {command}", usage=usage, description=description, formatter_class=shape)
        self.flags: list[str] = []
        self.groups: dict[str, Any] = {"": self}

    def add(
        self, options: Mapping[str, Described], title: str = "", defaults: Mapping[str, inspect.Parameter] | None = None
    ) -> None:
        """Add options under a title, with their own defaults or those of `defaults`, which only the help text shows."""
        if title not in self.groups:
            self.groups[title] = self.add_argument_group(title)
        for name, (kind, help, *shown) in options.items():
            settings = dict(kind) if isinstance(kind, dict) else {"type": kind}
            if kind is bool:
                settings = {"action": "store_true"}
            elif isinstance(settings.get("type"), list):
                settings |= {"type": settings["type"][0], "nargs": "+"}
            if settings.get("type") in (int, float):
                settings.setdefault("metavar", "N" if settings["type"] is int else "X")
            default = shown[0] if shown else (defaults or {})[name].default
            help += "" if default is None else f" (default: {default})"
            flags = [*{"out": ["-o"], "quiet": ["-q"]}.get(name, []), flag(name)]
            action = self.groups[title].add_argument(*flags, help=help, default=argparse.SUPPRESS, **settings)
            self.flags += action.option_strings

    def parse(self, words: Sequence[str]) -> Options:
        """Return the given options. Raise `UsageError` for arguments that don't belong to the command."""
        options, rest = self.parse_known_intermixed_args(words)
        if rest:
            unknown = next((word.partition("=")[0] for word in rest if word.startswith("-")), rest[0])
            near = difflib.get_close_matches(unknown, self.flags, n=1)
            hint = f"did you mean {near[0]}?" if near else f"{self.prog} --help lists all"
            raise UsageError(f"{self.prog} has no option {unknown}; {hint}")
        return options

    def error(self, message: str) -> NoReturn:
        """Raise the error that argparse would print after the usage of all options."""
        raise UsageError(f"{message} ({self.prog} --help explains every option)")


@contextmanager
def sentences(quiet: bool, about: str = "") -> Iterator[None]:
    """Print warnings for users as sentences, or none if `quiet`, and hide warnings for developers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("ignore" if quiet else "default", UserWarning)
        warnings.showwarning = lambda message, *place: tqdm.write(f"nst: warning: {about}{message}", file=sys.stderr)
        yield


def flag(name: str) -> str:
    """Return an option's name as it is written on the command line."""
    return f"--{name.replace('_', '-')}"


def list_takers(groups: Mapping[str, Mapping[str, Described]]) -> dict[str, str]:
    """Return the options in groups called "options of METHOD, METHOD" -> the methods in that title."""
    of = "options of "
    return {name: title.removeprefix(of) for title in groups if title.startswith(of) for name in groups[title]}


def check_taken(method: str, given: Mapping[str, Any], takers: Mapping[str, str]) -> dict[str, Any]:
    """Return the given options that this method takes, and refuse those that only other methods take."""
    taken = [name for name in takers if method in takers[name].split(", ")]
    for name in given:
        if name in takers and name not in taken:
            raise ValueError(f"{method} takes no {flag(name)}; its options are {', '.join(map(flag, taken))}")
    return {name: given[name] for name in taken if name in given}


def sample(source: str, size: int | None) -> Any:
    """Return the source itself if it is a file, and otherwise the sample picture of that name."""
    if Path(source).exists() or re.search(r"[./\\:]", source):
        return source
    known = (*samples.content_names(), *samples.style_names())
    if source not in known:
        raise ValueError(
            f"no picture {source!r}: there is no such file here, nor a sample of that name{suggest(source, known)}"
        )
    return (samples.content if source in samples.content_names() else samples.style)(source, size)
