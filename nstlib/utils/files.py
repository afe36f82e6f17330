"""Open files and addresses, write files whole or not at all, and tell files by their first bytes."""

from __future__ import annotations

import difflib
import http.client
import io
import os
import re
import secrets
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

URL_TIMEOUT = 20.0
"""Seconds of silence after which a download is given up."""

URL_MAX_BYTES = 100_000_000

USER_AGENT = "nstlib (neural style transfer in Python)"
"""Some museums' servers turn away nameless clients."""

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


def open_source(source: str | os.PathLike[str]) -> tuple[IO[bytes], str]:
    """Open a file, or download what is at an `http://` or `https://` address; return it and its name for messages.

    Raises:
        FileNotFoundError: There is no such file; names that are close to it are suggested.
        IsADirectoryError: The path is a folder.
        PermissionError: The file may not be read.
        OSError: The file cannot be read, or the download failed.
        ValueError: An address of another kind, or more than `URL_MAX_BYTES`.
    """
    text = os.fspath(source)
    if re.match(r"\w[\w+.-]+:/", text):  # two letters at least, so C:/ is a path
        return io.BytesIO(_download(text)), repr(text)
    path = expand_home(text)
    try:
        if path.is_dir():
            raise IsADirectoryError(f"'{path}' is a folder, and one file is to be read; name a file in it")
        return path.open("rb"), f"'{path}'"
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file '{path}'{suggest_files(path)}") from None
    except PermissionError as error:
        raise PermissionError(
            f"'{path}' cannot be read: {error.strerror}; give yourself the right to read it"
        ) from error


def suggest_files(path: Path) -> str:
    """Return the end of a sentence: which files beside a missing one may have been meant."""
    try:
        names = {name.lower(): name for name in os.listdir(path.parent)}
    except OSError:
        return ""
    near = [names[name] for name in difflib.get_close_matches(path.name.lower(), names)]
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""


def _download(url: str) -> bytes:
    if not re.match(r"https?://[^/]", url, re.IGNORECASE):
        raise ValueError(f"addresses begin with http:// or https://, unlike {url!r}; give a file by its path")
    # Spaces and accents become %20, %C3%A9 ...; what is already an address stays as it is.
    address = urllib.parse.quote(url, safe="%/:=&~+!$,;'@()*[]?#")
    request = urllib.request.Request(address, headers={"User-Agent": USER_AGENT})
    try:
        with urllib.request.urlopen(request, timeout=URL_TIMEOUT) as response:
            data: bytes = response.read(URL_MAX_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = " ".join(str(error).split())  # some quote whole lines of what the server said
        raise OSError(f"{url!r} cannot be loaded ({reason}); check the address and the network") from error
    if len(data) > URL_MAX_BYTES:
        limit = f"{URL_MAX_BYTES / 1e6:g} MB"
        raise ValueError(
            f"{url!r} holds more than {limit}; find a smaller copy or raise nstlib.utils.files.URL_MAX_BYTES"
        )
    return data


def write_atomically(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` beside `path`, then move it there: at any moment there is the old file or the new one, whole.

    If anything fails, the old file stays as it was. Missing folders are made.

    Raises:
        OSError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(f"{folder}/deep/note.txt", b"whole").read_bytes()
        b'whole'
    """
    path = Path(path)
    target = Path(os.path.realpath(path))  # through a link, to the file behind it
    if target.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, and one file is to be written; add a file name")
    make_folder(target.parent, path)
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


def make_folder(folder: Path, path: Path) -> None:
    """Make a folder, and those around it, for `path` to be written.

    Raises:
        OSError: it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"'{path}' cannot be written: '{folder}' is not a folder") from error
    except OSError as error:
        raise _named(error, path) from error


def check_writable(path: str | os.PathLike[str], *, folder: bool = False) -> None:
    """Check that a file can be written to this path, before the time that it takes to make it.

    An empty file is made beside the path and removed at once; where the folder is missing, in the nearest one that exists.
    Nothing else is touched, and no folder is made.

    Args:
        path: where a file is to be written.
        folder: `path` is a folder that files are to be written into.

    Raises:
        OSError: nothing can be written there; `errno` says why (EACCES or EPERM without permission).

    Example:
        >>> with tempfile.TemporaryDirectory() as home:
        ...     check_writable(f"{home}/deep/note.txt")
        ...     os.listdir(home)
        []
    """
    path = Path(path)
    target = Path(os.path.realpath(path))  # through a link, to the file behind it
    if target.is_dir() and not folder:
        raise IsADirectoryError(f"'{path}' is a folder, and one file is to be written; add a file name")
    place = target if folder else target.parent
    try:
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise NotADirectoryError(f"'{place}' is not a folder")
        tempfile.TemporaryFile(dir=place).close()
    except OSError as error:
        raise _named(error, path) from error


def expand_home(path: str | os.PathLike[str]) -> Path:
    """Put the home folder in the place of ~ or ~name, if there is such a user: `~tmp.png` is a file."""
    return Path(os.path.expanduser(path))


def same_place(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file or folder."""
    return os.path.realpath(one) == os.path.realpath(other)


def clear_leftovers(folder: Path) -> None:
    """Remove what writes left in `folder` when their process was killed. Runs that write there often begin with it."""
    for path in folder.glob(".nst-*.tmp*"):
        with suppress(OSError):  # another process may be quicker
            if time.time() - path.stat().st_mtime > LEFT:
                path.unlink()


@contextmanager
def named_errors(out: Path) -> Iterator[None]:
    """Name the file that is asked for, of which the parts done so far are kept, in errors of the disk and of FFmpeg.

    Raises:
        OSError: in place of any exception that has a `strerror`, with its `errno`.
    """
    try:
        yield
    except Exception as error:
        reason = getattr(error, "strerror", None)
        if reason is None:
            raise
        named = OSError(
            f"'{out}' cannot be written: {reason}; what was there is untouched, and what is painted is kept"
        )
        named.errno = getattr(error, "errno", None)
        raise named from error


def _named(error: OSError, path: Path) -> OSError:
    """Return the same error, of the same kind and number, in a sentence that names the file that was asked for."""
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
