"""Files are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from pathlib import Path

LEFT = 3600.0
"""Seconds after which a file that is still being written is one that a killed process has left behind."""


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
    target = _follow_links(path)
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
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     check_writable(f"{home}/deep/note.txt")
        ...     os.listdir(home)
        []
    """
    path = Path(path)
    target = _follow_links(path, folder=folder)
    place = target if folder else target.parent
    try:
        while not place.exists():
            place = place.parent
        if not place.is_dir():
            raise NotADirectoryError(f"'{place}' is not a folder")
        probe = place / f".nst-{secrets.token_hex(6)}.tmp"
        probe.touch(exist_ok=False)
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise _named(error, path) from error


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


def _follow_links(path: Path, *, folder: bool = False) -> Path:
    """Return the file, or the folder, that a path leads to through links."""
    ring = f"'{path}' cannot be written: it is a link that leads back to itself"
    try:
        target = path.resolve()
    except (OSError, RuntimeError) as error:  # what Python 3.12 and older say of a ring of links
        raise OSError(ring) from error
    if target.is_symlink():  # Python 3.13 stops in the ring without a word
        raise OSError(ring)
    if target.is_dir() and not folder:
        raise IsADirectoryError(f"'{path}' is a folder, and one file is to be written; add a file name")
    return target


def _named(error: OSError, path: Path) -> OSError:
    """The same error, of the same kind and number, in a sentence that names the file that was asked for."""
    named = type(error)(f"'{path}' cannot be written: {error.strerror or error}; what was there is untouched")
    named.errno = error.errno
    return named
