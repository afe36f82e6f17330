"""Reports of a run in progress: its losses as a table and as curves, and sheets of samples."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from nstlib.utils.files import write_atomically
from nstlib.utils.image import save_image


def write_losses(history: Sequence[Mapping[str, float]], out: Path) -> None:
    """Write `losses.csv`, and `losses.png` with the curve of every term, averaged over up to 300 segments of the run."""
    from matplotlib.figure import Figure  # pyplot would choose a backend for the whole program

    table = io.StringIO()
    writer = csv.DictWriter(table, history[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.9g}" for name, value in row.items()} for row in history)
    write_atomically(out / "losses.csv", table.getvalue().encode())

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
    stretches = np.array_split(np.arange(len(history)), min(300, len(history)))
    steps = [history[stretch[-1]]["step"] for stretch in stretches]
    for name in list(history[0])[2:]:
        losses = np.array([row[name] for row in history])
        axes.plot(steps, [losses[stretch].mean() for stretch in stretches], label=name, lw=2 if name == "total" else 1)
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write_atomically(out / "losses.png", buffer.getvalue())


def write_sheet(content: Tensor, style: Tensor | None, painted: Tensor, path: Path) -> None:
    """Write pictures `(B, 3, S, S)` side by side, with one row for each kind and white gaps between them."""
    rows = [row.float().cpu().clamp(0, 1) for row in (content, style, painted) if row is not None]
    framed = [torch.cat(list(F.pad(row, (2, 2, 2, 2), value=1.0)), dim=2) for row in rows]  # (3, S + 4, B (S + 4))
    save_image(torch.cat(framed, dim=1)[None], path)
