"""Open files and URLs, and write files whole or not at all."""

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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

URL_TIMEOUT = 20.0
"""Seconds without data after which a download is given up."""

URL_MAX_BYTES = 100_000_000

USER_AGENT = "nstlib (neural style transfer in Python)"
"""Some museums' servers reject clients without a name."""

LEFT = 3600.0
"""Seconds after which a temporary file must be a leftover of a killed process."""


def open_source(source: str | os.PathLike[str]) -> tuple[IO[bytes], str]:
    """Open a file, or download an `http://` or `https://` URL. Return it and its name for messages.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: the file can't be read, or the download failed.
        ValueError: a URL of another kind, or more than `URL_MAX_BYTES`.
    """
    text = os.fspath(source)
    if re.match(r"\w[\w+.-]+:/", text):  # at least two letters, because C:/ is a path
        return io.BytesIO(_download(text)), repr(text)
    path = expand_home(text)
    return open_file(path), f"'{path}'"


def open_file(path: Path) -> IO[bytes]:
    """Open a file. If there is none, the `FileNotFoundError` suggests similar names."""
    try:
        return path.open("rb")
    except FileNotFoundError:
        beside: dict[str, str] = {}
        with suppress(OSError):
            beside = {name.lower(): name for name in os.listdir(path.parent)}
        near = [repr(beside[name]) for name in difflib.get_close_matches(path.name.lower(), beside)]
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise FileNotFoundError(f"there is no file '{path}'{hint}") from None
    except PermissionError as error:  # without its number, which stands for a folder that can't be written
        raise PermissionError(f"'{path}' cannot be read: {error.strerror}") from error


def _download(url: str) -> bytes:
    if not re.match(r"https?://[^/]", url, re.IGNORECASE):
        raise ValueError(f"addresses begin with http:// or https://, unlike {url!r}; give a file by its path")
    # Spaces and accents become %20, %C3%A9, ... What is encoded already stays as it is.
    address = urllib.parse.quote(url, safe="%/:=&~+!$,;'@()*[]?#")
    request = urllib.request.Request(address, headers={"User-Agent": USER_AGENT})
    try:
        with urllib.request.urlopen(request, timeout=URL_TIMEOUT) as response:
            data: bytes = response.read(URL_MAX_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = " ".join(str(error).split())  # some errors quote several lines of the server's answer
        raise OSError(f"{url!r} cannot be loaded ({reason}); check the address and the network") from error
    if len(data) > URL_MAX_BYTES:
        limit = f"{URL_MAX_BYTES / 1e6:g} MB"
        raise ValueError(f"{url!r} holds more than {limit}: find a smaller copy, or raise {__name__}.URL_MAX_BYTES")
    return data


def write_atomically(path: str | os.PathLike[str], data: bytes) -> Path:
    """Write `data` to a temporary file and move it to `path`, which holds the whole old or the whole new file at any time.

    If anything fails, the old file stays as it was. Missing folders are created.

    Raises:
        OSError: the file can't be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(f"{folder}/deep/note.txt", b"whole").read_bytes()
        b'whole'
    """
    path = Path(path)
    target = Path(os.path.realpath(path))  # follow links
    make_folder(target.parent, path)
    temporary = target.with_name(f".nst-{secrets.token_hex(6)}.tmp")
    with named_errors(path):
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            with suppress(OSError):  # it still exists only if something failed
                temporary.unlink()
    return path


def make_folder(folder: Path, path: Path) -> None:
    """Create a folder and its parents, so that `path` can be written."""
    with named_errors(path):
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"'{path}' cannot be written: '{folder}' is not a folder")
        folder.mkdir(parents=True, exist_ok=True)


def check_writable(path: str | os.PathLike[str], *, folder: bool = False) -> None:
    """Check that a file can be written to this path, before spending time on making it.

    A temporary file is created in the folder, or in the nearest parent that exists, and removed immediately.

    Args:
        path: the file to write.
        folder: `path` is a folder to write files into.

    Raises:
        OSError: nothing can be written there. `errno` tells the reason.

    Example:
        >>> with tempfile.TemporaryDirectory() as home:
        ...     check_writable(f"{home}/deep/note.txt")
        ...     os.listdir(home)
        []
    """
    path = Path(path)
    place = Path(os.path.realpath(path))  # follow links
    if not folder:
        if place.is_dir():
            raise IsADirectoryError(f"'{path}' is a folder, and one file is to be written; add a file name")
        place = place.parent
    with named_errors(path):
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise NotADirectoryError(f"'{path}' cannot be written: '{place}' is not a folder")
        tempfile.TemporaryFile(dir=place).close()


def expand_home(path: str | os.PathLike[str]) -> Path:
    """Replace ~ or ~name by the home folder, if there is such a user. Otherwise `~tmp.png` is a file name."""
    return Path(os.path.expanduser(path))


def same_place(one: Path, other: Path) -> bool:
    """Return whether two paths lead to the same file or folder."""
    return os.path.realpath(one) == os.path.realpath(other)


def clear_leftovers(folder: Path) -> None:
    """Remove temporary files that killed processes have left in `folder`."""
    for path in folder.glob(".nst-*.tmp*"):
        with suppress(OSError):  # another process may be quicker
            if time.time() - path.stat().st_mtime > LEFT:
                path.unlink()


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Add the file name to errors of the disk and of FFmpeg, and keep their type and number."""
    try:
        yield
    except Exception as error:
        reason, number = getattr(error, "strerror", None), getattr(error, "errno", None)
        if reason is None:
            raise
        kind = type(OSError(number or 0, reason))  # Python's own, such as PermissionError
        named = kind(f"'{path}' cannot be written: {reason}; what was there is untouched")
        named.errno = number
        raise named from error
