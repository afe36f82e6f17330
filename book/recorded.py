"""Long computations of the chapters: computed once, kept in files, and read when a chapter runs.

A chapter marks the function that takes long:

    @recorded
    def race():
        ...

    laps = race()

The call reads `_recorded/race.zip`. It holds what the function returned when it was recorded, the date, the chapter, the
seconds that it took and a hash of its code; if the code has changed since then, the call fails and says so. To record what
is missing or has changed:

    python book/execute.py --record book/04_johnson.ipynb

What depends on something else, such as the weights of a network, is recorded anew once its file
has been deleted. On Colab, the file is downloaded. Where there is none, the function simply runs.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import io
import itertools
import json
import os
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nstlib.utils.files import open_source, write_atomically
from PIL import Image
from torch import Tensor

FOLDER = Path(__file__).parent / "_recorded"
ONLINE = "https://raw.githubusercontent.com/nstlib/nstlib/main/book/_recorded"
RECORD = "NST_RECORD"
"""Names the environment variable that asks for recording; its value is the chapter."""


def recorded(
    function: Callable[[], Any] | None = None, *, quality: int | None = None
) -> Callable[..., Any]:
    """Read what `function()` returned when it was recorded; with NST_RECORD set, run and record it
    if there is no such recording of its present code.

    The result may hold what JSON can (dicts, lists, numbers and text), pictures `(1, 3, H, W)` in [0, 1], which are rounded
    to bytes, and other tensors, such as weights, which are rounded to half precision. Tuples come back as lists, and keys
    of dicts as text. The function's name is that of the file, so no two functions of the book may share one.

    Pictures are kept exactly. `@recorded(quality=90)` keeps them as WebP of that quality, in about a quarter of the bytes:
    good for pictures that are only looked at, while what is measured of them is better measured inside the function.
    """
    if function is None:
        return functools.partial(recorded, quality=quality)
    path = FOLDER / f"{function.__name__}.zip"
    code = hash_code(textwrap.dedent(inspect.getsource(function)))

    @functools.wraps(function)
    def call() -> Any:
        if "google.colab" in sys.modules and not path.exists():
            with suppress(OSError):  # without a network connection, the function runs
                write_atomically(path, open_source(f"{ONLINE}/{path.name}")[0].read())
        if RECORD in os.environ and not (
            path.exists() and read_record(path)["code"] == code
        ):
            begun = time.perf_counter()
            result = function()
            _write(path, result, code, time.perf_counter() - begun, quality)
        elif not path.exists():
            return function()
        record = read_record(path)
        if record["code"] != code:
            raise RuntimeError(
                f"the code of {function.__name__}() has changed since it was recorded on {record['date']}: "
                f"run python book/execute.py --record book/{record['chapter']}"
            )
        return record["result"]

    return call


def hash_code(source: str) -> str:
    """Return 16 hex digits for the code of a function, whatever its comments and line breaks."""
    return hashlib.sha256(ast.unparse(ast.parse(source)).encode()).hexdigest()[:16]


def read_record(path: Path) -> dict[str, Any]:
    """Return all that a file holds: `code`, `date`, `chapter`, `seconds` and `result`."""
    with zipfile.ZipFile(path) as file:

        def restore(found: dict[str, Any]) -> Any:
            if found.keys() == {"picture"}:
                pixels = np.array(
                    Image.open(io.BytesIO(file.read(found["picture"]))).convert("RGB")
                )
                return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
            if found.keys() == {"tensor"}:
                values = torch.from_numpy(
                    np.load(io.BytesIO(file.read(found["tensor"])))
                )
                return values.float() if values.is_floating_point() else values
            return found

        record: dict[str, Any] = json.loads(
            file.read("record.json"), object_hook=restore
        )
        return record


def _write(
    path: Path, result: Any, code: str, seconds: float, quality: int | None
) -> None:
    about = {
        "code": code,
        "date": date.today().isoformat(),
        "chapter": os.environ[RECORD],
        "seconds": round(seconds, 1),
    }
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        numbers = itertools.count()

        def keep(value: Any) -> dict[str, str]:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"only tensors and what JSON holds can be recorded, not a {type(value).__name__}"
                )
            values, data = value.detach(), io.BytesIO()
            if values.ndim == 4 and values.shape[:2] == (1, 3):
                kind, name = "picture", f"{next(numbers)}.webp"
                pixels = (
                    values[0]
                    .clamp(0, 1)
                    .mul(255)
                    .round()
                    .byte()
                    .permute(1, 2, 0)
                    .numpy()
                )
                how = (
                    {"quality": quality, "method": 6}
                    if quality
                    else {"lossless": True, "quality": 100}
                )
                Image.fromarray(pixels).save(data, "WEBP", **how)
            else:
                kind, name = "tensor", f"{next(numbers)}.npy"
                np.save(
                    data,
                    (values.half() if values.is_floating_point() else values).numpy(),
                )
            file.writestr(name, data.getvalue())
            return {kind: name}

        file.writestr(
            "record.json", json.dumps(about | {"result": result}, default=keep)
        )
