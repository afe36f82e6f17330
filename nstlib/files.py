"""Files are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], data: bytes | memoryview) -> Path:
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
    target = path.resolve()  # through a link, to the file behind it
    if target.is_dir():
        raise IsADirectoryError(f"'{path}' is a folder, and one file is to be written; add a file name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise NotADirectoryError(f"'{path}' cannot be written: '{target.parent}' is not a folder") from error
    temporary = target.with_name(f".nst-{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path
