"""Whether progress bars can be drawn."""

from __future__ import annotations

import sys


def can_draw_bars() -> bool:
    """Return whether a progress bar can redraw its line: in a terminal or a notebook, but not in a file or a pipe."""
    notebook = type(sys.stderr).__module__ == "ipykernel.iostream"
    return sys.stderr is not None and (sys.stderr.isatty() or notebook)
