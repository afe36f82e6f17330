"""Draw pictures side by side in a notebook."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nstlib.utils.checks import channels_last_hint, check_int, check_number
from nstlib.utils.image import Source, load_image


def show(
    *pictures: Source, titles: Sequence[str] | None = None, columns: int | None = None, height: float = 3.0
) -> None:
    """Draw pictures side by side in a notebook, readable on light and dark pages.

    Args:
        pictures: Tensors `(B, 3, H, W)` or `(3, H, W)`, or with opacity as a fourth channel, where batches are drawn
            picture by picture; grey maps `(B, 1, H, W)`, `(1, H, W)` or `(H, W)`; or anything else that `load_image` reads.
            Colours are clamped to [0, 1]. A grey map with values outside [0, 1] is scaled to its own range.
        titles: One title for every picture drawn.
        columns: Pictures in a row. By default at most four, in rows of equal length.
        height: Height of a picture in inches.

    Raises:
        ValueError: There is nothing to draw, a shape is wrong, or the number of titles isn't that of the pictures.

    Example:
        >>> import matplotlib, torch
        >>> matplotlib.use("Agg")  # no window, for this example
        >>> import warnings; warnings.simplefilter("ignore")
        >>> show(torch.rand(2, 3, 32, 48), torch.rand(1, 32, 32), titles=["one", "two", "a map"])
    """
    import matplotlib.pyplot as plt

    frames = [frame for picture in pictures for frame in _frames(picture)]
    if not frames:
        raise ValueError("show needs at least one picture")
    if titles is not None:
        titles = [titles] if isinstance(titles, str) else ["" if title is None else str(title) for title in titles]
        if len(titles) != len(frames):
            raise ValueError(f"show got {len(titles)} titles for {len(frames)} pictures; give one for each")
    height = check_number("height", height, 0, above=True)
    if columns is None:
        columns = math.ceil(len(frames) / math.ceil(len(frames) / 4))
    columns = min(check_int("columns", columns, 1), len(frames))
    rows = math.ceil(len(frames) / columns)

    # All lengths are in inches. A column is as wide as its widest picture.
    gap = 0.08
    head = 0.1 + 0.2 * max(title.count("\n") + 1 for title in titles) if titles else 0.0
    widths = [height * frame.shape[1] / frame.shape[0] for frame in frames]
    column_widths = [max(widths[c::columns]) for c in range(columns)]
    total = (sum(column_widths) + gap * (columns - 1), rows * (height + head) + gap * (rows - 1))
    figure = plt.figure(figsize=total, facecolor="none")
    for i, frame in enumerate(frames):
        row, column = divmod(i, columns)
        left = sum(column_widths[:column]) + gap * column + (column_widths[column] - widths[i]) / 2
        bottom = total[1] - (row + 1) * (height + head) - gap * row
        axes = figure.add_axes((left / total[0], bottom / total[1], widths[i] / total[0], height / total[1]))
        axes.set_axis_off()
        if frame.shape[2] > 1:
            axes.imshow(frame)
        else:
            low, high = frame.min(), frame.max()
            low, high = (0, 1) if low >= 0 and high <= 1 else (low, high)
            axes.imshow(frame[:, :, 0], cmap="gray", vmin=low, vmax=high)
        if titles is not None:
            axes.set_title(titles[i], color="#7b7b7b", fontsize=11, pad=5)  # contrast 4.2 to 1 on white and black
    plt.show()


def _frames(picture: Source) -> list[np.ndarray]:
    """Return the pictures to draw as arrays (H, W, 3 | 4) in [0, 1], or (H, W, 1) for grey maps."""
    if not isinstance(picture, Tensor):
        picture = load_image(picture, size=None)
    shape = tuple(picture.shape)
    picture = picture[(None,) * (4 - picture.ndim)]  # (B, C, H, W)
    if len(shape) < 2 or picture.ndim != 4 or picture.shape[1] not in (1, 3, 4) or 0 in shape:
        hint = channels_last_hint(shape)
        raise ValueError(f"show draws (B, 1 | 3 | 4, H, W), (1 | 3 | 4, H, W) and (H, W), not {shape}{hint}")
    if picture.dtype == torch.uint8:
        picture = picture / 255
    picture = picture.detach().float().cpu()
    if picture.shape[1] > 1:
        picture = picture.clamp(0, 1)
    return list(picture.permute(0, 2, 3, 1).numpy())
