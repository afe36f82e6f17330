"""Files: written whole or not at all, and told by their first bytes."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

LEFT = 3600.0
"""Seconds after which a file that is still being written is one that a killed process has left behind."""

HEADS = (
    (rb"\xff\xd8\xff", "a JPEG picture"),
    (rb"\x89PNG", "a PNG picture"),
    (rb"GIF8", "a GIF picture"),
    (rb"RIFF....WEBP", "a WebP picture"),
    (rb"II[*+]\0|MM\0[*+]", "a TIFF picture"),
    (rb"....ftyp(heic|heix|mif1|msf1)", "a HEIF photo"),
    (rb"....ftypavi[fs]", "an AVIF picture"),
    (rb"....ftyp", "a video"),
    (rb"\s*<(?i:!doctype html|html|head)", "a web page"),
    (rb".*<svg", "an SVG drawing"),
    (rb"%PDF", "a PDF"),
    (rb"version https://git-lfs", "a Git LFS pointer"),
    (rb"[\x03\x04]\0\0\0\x01\0\0\0|[34]\n1\n", "a Lua Torch file"),
    (rb"MATLAB", "a MATLAB file"),
    (rb"\x89HDF", "an HDF5 file"),
    (rb"PK\x03\x04", "a ZIP archive"),
    (rb"\x1f\x8b", "a gzip archive"),
)
"""How a file begins, as a pattern -> what it is. The first that fits counts."""


def write_atomically(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` beside `path`, then move it there: at any moment there is the old file or the new one, whole.

    If anything fails, the old file stays as it was. Missing folders are made.

    Raises:
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(f"{folder}/deep/note.txt", b"whole").read_bytes()
        b'whole'
    """
    path = Path(path)
    ring = f"'{path}' cannot be written: it is a link that leads back to itself"
    try:
        target = path.resolve()  # through a link, to the file behind it
    except (OSError, RuntimeError) as error:  # what Python 3.12 and older say of a ring of links
        raise OSError(ring) from error
    if target.is_symlink():  # Python 3.13 stops in the ring without a word
        raise OSError(ring)
    if target.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, and one file is to be written; add a file name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"'{path}' cannot be written: '{target.parent}' is not a folder") from error
    except OSError as error:
        raise _named(error, path) from error
    temporary = target.with_name(f".nst-{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _named(error, path) from error
        raise
    return path


def expand_home(path: str | os.PathLike[str]) -> Path:
    """~ and ~name are home folders, but only of users that there are: `~tmp.png` is a file."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def same_place(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same file or folder."""
    try:
        return one.resolve() == other.resolve()
    except (OSError, RuntimeError):  # a ring of links leads nowhere
        return False


def clear_leftovers(folder: Path) -> None:
    """Remove what writes left in `folder` when their process was killed. Runs that write there often begin with it."""
    for path in folder.glob(".nst-*.tmp*"):
        with suppress(OSError):  # another process may be quicker
            if time.time() - path.stat().st_mtime > LEFT:
                path.unlink()


def _named(error: OSError, path: Path) -> OSError:
    """The same error, of the same kind and number, in a sentence that names the file that was asked for."""
    named = type(error)(f"'{path}' cannot be written: {error.strerror or error}; what was there is untouched")
    named.errno = error.errno
    return named


def describe_head(head: bytes, advice: Mapping[str, str]) -> str:
    """Return what a file is by its first bytes (512 are enough), as a clause for an error message.

    Args:
        head: the first bytes.
        advice: kind of file, as in `HEADS` -> what the user should do about it, added in brackets.

    Example:
        >>> describe_head(b"<html>", {"a web page": "use the address of the file itself"})
        'it is a web page (use the address of the file itself)'
        >>> describe_head(b"Dear diary", {})
        "it is text and starts with 'Dear diary'"
    """
    if not head:
        return "it is empty (0 bytes)"
    for pattern, kind in HEADS:
        if re.match(pattern, head, re.DOTALL):
            return f"it is {kind} ({advice[kind]})" if kind in advice else f"it is {kind}"
    if re.fullmatch(rb"[\t\n\r -~]+", head):
        return f"it is text and starts with {head[:24].decode('ascii')!r}"
    return f"it starts with the bytes {head[:8].hex(' ')}"
