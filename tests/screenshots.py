"""Photographs every page of the built book: python tests/screenshots.py _build/html _build/screenshots

Light, dark and on a phone, with no network. Needs chromium. Prints what the pages say in the console, and
fails if that is anything but the theme's greetings.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LOOKS = {
    "light": ("1300,5000", []),
    "dark": ("1300,5000", ["--blink-settings=preferredColorScheme=0"]),
    "phone": ("420,7000", []),
}
# What the theme says on every page. Chromium logs errors at the same level, so all the rest counts as one.
HARMLESS = ("[PST]: ", "[togglebutton]: ")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--virtual-time-budget=8000",
]


def photograph(browser: str, page: Path, picture: Path, size: str, flags: list[str]) -> list[str]:
    """Take one screenshot; gives back the console's complaints."""
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, *FLAGS, *flags, f"--user-data-dir={profile}", f"--window-size={size}"]
        command += [f"--screenshot={picture}", page.resolve().as_uri()]
        log = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stderr
    said = re.findall(r':CONSOLE:\d+\] "(.*?)", source: ', log, re.DOTALL)
    return [message for message in said if not message.startswith(HARMLESS)]


def main() -> int:
    site, target = Path(sys.argv[1]), Path(sys.argv[2])
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if browser is None:
        sys.exit("screenshots need chromium on the PATH")
    target.mkdir(parents=True, exist_ok=True)
    complaints = 0
    for page in sorted(site.glob("book/*.html")):
        for look, (size, flags) in LOOKS.items():
            picture = target / f"{page.stem}-{look}.png"
            found = photograph(browser, page, picture, size, flags)
            complaints += len(found)
            print("\n".join([str(picture), *found]))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
