"""The public names and how they are called, written down: what changes here changes for users too.

python tests/test_public_api.py > tests/public_api.txt    after a change that is meant
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import nstlib as nst
from nstlib.cli import main

SNAPSHOT = Path(__file__).with_name("public_api.txt")

COMMANDS = {
    "stylize": "--help --style --out --each --size --method --keep-color --keep-alpha --device --quiet --style-scale "
    "--style-weights --mask --encoder --alpha --refine --steady --weights --tile --content-weight --style-weight "
    "--tv-weight --content-layers --style-layers --layer-weights --init --steps --save-every --pyramid --optimizer "
    "--learning-rate --history-size --precision --pooling --seed --frame-steps",
    "train": "--help --style --content --out-dir --preset --steps --batch-size --size --seed --save-every --sample-every "
    "--device --quiet --crop-scale --color-augmentation --balance-folders --workers --learning-rate --schedule --warmup "
    "--max-grad-norm --ema --precision --compile --encoder --init-from --decoder --balance --colors-weight "
    "--style-weight --content-weight --tv-weight --raster-weight --edge-weight --content-layers --style-size --width "
    "--norm --name",
    "export": "--help --out --half --size --opset --no-check --quiet --style --split --weights --encoder",
    "samples": "--help --out --size --quiet",
}


def signature(function: Callable[..., Any]) -> str:
    """Names and defaults, without types, of which Python versions write some differently."""
    parts: list[str] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        several, named = parameter.kind is parameter.VAR_POSITIONAL, parameter.kind is parameter.VAR_KEYWORD
        stars = "*" * (several + 2 * named)
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(f"{stars}{parameter.name}{default}")
    return f"({', '.join(parts)})"


def public(name: str) -> Iterator[str]:
    value = getattr(nst, name)
    if inspect.ismodule(value):
        yield from (f"{name}.{inner}{signature(getattr(value, inner))}" for inner in value.__all__)
    elif inspect.isclass(value):
        yield f"{name}{signature(value.__init__)}"
        for inner in sorted(dir(value)):
            inherited = hasattr(nn.Module, inner) and inner != "forward"
            if not inner.startswith("_") and not inherited and callable(getattr(value, inner)):
                yield f"{name}.{inner}{signature(getattr(value, inner))}"
    else:
        yield f"{name}{signature(value)}"


def test_the_public_names_and_their_arguments_are_those_written_down() -> None:
    """If this fails on purpose, write the file anew, and tell the users."""
    found = [line for name in nst.__all__ for line in public(name)]
    assert found == SNAPSHOT.read_text().splitlines()


def test_all_public_names_are_there_sorted_and_explained() -> None:
    assert sorted(nst.__all__) == nst.__all__
    for name in nst.__all__:
        assert inspect.getdoc(getattr(nst, name)), name
        assert name in (nst.__doc__ or ""), name
    star: dict[str, Any] = {}
    exec("from nstlib import *", star)
    assert set(star) - {"__builtins__"} == set(nst.__all__)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_of_the_command_line_are_those_written_down(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    options = re.split(r"^  (?:-\w, |-\w \w+, )?(--[\w-]+)", capsys.readouterr().out, flags=re.MULTILINE)[1:]
    assert options[::2] == COMMANDS[command].split()
    for name, text in zip(options[2::2], options[3::2]):  # all but --help
        assert re.search(r"\(default:|\(needed", text), f"{name} doesn't tell its default"


if __name__ == "__main__":
    print("\n".join(line for name in nst.__all__ for line in public(name)))
