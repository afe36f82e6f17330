"""Runs chapters from top to bottom and writes their outputs back.

    python book/execute.py                 # every chapter
    python book/execute.py book/03_gatys.ipynb
    python book/execute.py --record book/03_gatys.ipynb   # and what isn't recorded yet

What changes from run to run without meaning anything (time stamps, widget states, the
version of Python) is left out, so that a diff of a chapter shows what changed in it.
Cells tagged `skip-execution` keep the outputs that they have. What `recorded.py` keeps in files is
read from there; `--record` computes what is missing or has other code than when it was recorded.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from recorded import RECORD

BOOK = Path(__file__).resolve().parent
KEPT_OF_A_CELL = ("mystnb", "tags")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def execute(path: Path) -> float:
    """Run one chapter in place; gives back the seconds it took."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    start = time.perf_counter()
    client.execute()
    seconds = time.perf_counter() - start
    count = 0
    for cell in notebook.cells:
        kept = {
            key: value for key, value in cell.metadata.items() if key in KEPT_OF_A_CELL
        }
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type == "code" and cell.execution_count:
            count += 1
            cell.execution_count = count
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat_minor = 5
    nbformat.write(notebook, path)
    return seconds


def main() -> None:
    names = [name for name in sys.argv[1:] if name != "--record"]
    for path in map(Path, names) if names else sorted(BOOK.glob("*.ipynb")):
        if "--record" in sys.argv:
            os.environ[RECORD] = path.name
        print(f"{path.name}: ", end="", flush=True)
        print(f"{execute(path.resolve()):.0f} s, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
