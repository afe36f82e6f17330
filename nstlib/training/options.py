"""The options of a training run."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from nstlib.utils.checks import check_int, check_number, check_option

Schedule = Literal["constant", "cosine", "adain", "linear_end"]
Precision = Literal["float32", "bfloat16", "float16"]

PRESETS: dict[str, dict[str, Any]] = {"smoke": {"steps": 40, "batch_size": 2, "size": 64}}
"""Named sets of options. `smoke` shows in under a minute on a CPU that everything works; its pictures are poor."""

FREE = ("steps", "compile", "save_every", "sample_every", "workers")
"""Options that may change when a run is resumed. Only `steps` influences the weights: schedules follow its new value."""


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """The options of a training run. `nst.train` takes them as keyword arguments.

    Attributes:
        steps: total number of steps. A finished run continues if this is raised; schedules then follow the new number.
        batch_size: pictures per step, over all processes together.
        size: side of the random crops in pixels, after scaling.
        crop_scale: smallest and largest side of a crop, as a share of the picture's short side. `(0.4, 1)` makes more of a
            small collection, because it shows the same painting from different distances.
        color_augmentation: share of pictures, from 0 to 1, whose colours are changed at random: hue, saturation, contrast,
            brightness, and the order of the channels. 0.5 helps a network for any style that is trained with a few hundred
            paintings; a network for a single painting needs none.
        balance_folders: draw the same number of pictures from every folder of a list, so that no painter dominates.
        learning_rate: learning rate of Adam.
        schedule: `"constant"`; `"cosine"` and `"linear_end"`, which fall to zero one step after the last, over the whole run
            or linearly over its last fifth; or `"adain"`, lr / (1 + 5e-5 i) at step i = 0, 1, ...
        warmup: steps over which the learning rate rises from zero.
        max_grad_norm: the norm to which gradients are clipped. None doesn't clip.
        precision: `"float32"`, or `"bfloat16"` or `"float16"` for automatic mixed precision.
        compile: compile the objective with `torch.compile`.
        ema: decay of a moving average of the weights, such as 0.999, which is then saved for use and paints the sample
            sheets. 0 is no average.
        seed: determines the order of the pictures, their crops and their colours, but not the network's initial weights.
        save_every: steps between checkpoints.
        sample_every: steps between sample sheets.
        workers: processes that load pictures. None is 0 on a CPU, and up to 4 for a GPU.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> options = TrainingOptions(steps=100, ema=0.999)
        >>> options.batch_size, options.ema
        (4, 0.999)
    """

    steps: int
    batch_size: int = 4
    size: int = 256
    crop_scale: tuple[float, float] = (0.9, 0.9)
    color_augmentation: float = 0.0
    balance_folders: bool = False
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    warmup: int = 0
    max_grad_norm: float | None = None
    precision: Precision = "float32"
    compile: bool = False
    ema: float = 0.0
    seed: int = 0
    save_every: int = 500
    sample_every: int = 500
    workers: int | None = None

    def __post_init__(self) -> None:
        values = vars(self)  # convert all numbers to Python's own types
        for name in ("steps", "batch_size", "size", "save_every", "sample_every"):
            values[name] = check_int(name, values[name], 1)
        for name in ("warmup", "seed"):
            values[name] = check_int(name, values[name], 0)
        if self.workers is not None:
            values["workers"] = check_int("workers", self.workers, 0)
        if self.max_grad_norm is not None:
            values["max_grad_norm"] = check_number("max_grad_norm", self.max_grad_norm, 0, above=True)
        values["learning_rate"] = check_number("learning_rate", self.learning_rate, 0, above=True)
        values["ema"] = check_number("ema", self.ema, 0, 0.999999)
        values["color_augmentation"] = check_number("color_augmentation", self.color_augmentation, 0, 1)
        least = check_number("the smallest crop_scale", self.crop_scale[0], 0.05, 1)
        values["crop_scale"] = least, check_number("the largest crop_scale", self.crop_scale[1], least, 1)
        check_option("schedule", self.schedule, get_args(Schedule))
        check_option("precision", self.precision, get_args(Precision))

    def describe(self) -> dict[str, str]:
        """Return the options that determine the weights."""
        return {
            name: f"{value:.12g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
            for name, value in asdict(self).items()
            if name not in FREE
        }

    def rate(self, step: int) -> float:
        """Return the learning rate of step 0, 1, ...

        Example:
            >>> options = TrainingOptions(steps=4, learning_rate=1.0, schedule="cosine")
            >>> [round(options.rate(step), 2) for step in range(4)]
            [1.0, 0.85, 0.5, 0.15]
        """
        factor = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.schedule == "cosine":
            # (1 + cos(pi i / n)) / 2
            factor *= (1 + math.cos(math.pi * step / self.steps)) / 2
        elif self.schedule == "linear_end":
            factor *= min(1.0, 5 * (1 - step / self.steps))
        elif self.schedule == "adain":
            # 1 / (1 + 5e-5 i), Huang & Belongie's
            factor /= 1 + 5e-5 * step
        return self.learning_rate * factor
