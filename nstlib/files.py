"""Files are written whole or not at all."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    ring = f"'{path}' cannot be written: it is a link that leads back to itself"
    try:
        target = path.resolve()  # through a link, to the file behind it
    except (OSError, RuntimeError) as error:  # what Python 3.12 and older say of a ring of links
        raise OSError(ring) from error
    if target.is_symlink():  # Python 3.13 stops in the ring without a word
        raise OSError(ring)
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


def check_writable(folder: Path) -> None:
    """Make a folder if it is missing, and try to write there, before the time that it takes to paint what will be written.

    Raises:
        OSError: files can't be written there.
    """
    make_folder(folder, folder)
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _named(error, folder) from error


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
    """The same error, of the same kind and number, in a sentence that names the file that was asked for."""
    named = type(error)(f"'{path}' cannot be written: {error.strerror or error}; what was there is untouched")
    named.errno = error.errno
    return named
