"""The state of a run: weights, optimiser, moving average and losses, and the checkpoints that hold them."""

from __future__ import annotations

import io
import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nstlib.training.options import TrainingOptions
from nstlib.utils.files import write_atomically
from nstlib.weights import save_file


class TrainingState:
    """The network in training and everything else that a checkpoint holds.

    `settings` holds all settings that determine the weights, name -> value. A run resumes only with the same settings.
    """

    def __init__(
        self,
        network: nn.Module,
        options: TrainingOptions,
        settings: Mapping[str, str],
        out: Path,
        device: torch.device,
        world: int,
    ) -> None:
        self.network, self.options, self.settings, self.out, self.world = network, options, dict(settings), out, world
        self.trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(self.trained, lr=options.learning_rate, fused=device.type == "cuda")
        self.scaler = torch.amp.GradScaler(device.type, enabled=options.precision == "float16")
        self.average = AveragedModel(network, avg_fn=self._average) if options.ema else None
        self.step = 0
        self.history: list[dict[str, float]] = []
        self._waiting: list[tuple[int, float, dict[str, Tensor]]] = []

    def _average(self, average: Tensor, weight: Tensor, updates: Tensor | int) -> Tensor:
        # d = min(decay, (1 + i) / (10 + i)), so that the initial weights don't dominate a short run
        decay = min(self.options.ema, float((1 + updates) / (10 + updates)))
        # average = d average + (1 - d) weight
        return torch.lerp(average, weight, 1 - decay)

    # ------------------------------------------------------------------------------------------- a step

    def record(self, terms: Mapping[str, Tensor]) -> Tensor:
        """Record the losses of the coming step, and return their sum. On a GPU, `look` fetches them every few steps."""
        total = torch.stack(list(terms.values())).sum()
        losses = {name: term.detach().float() for name, term in {"total": total, **terms}.items()}
        self._waiting.append((self.step + 1, self.options.rate(self.step), losses))
        return total

    def look(self, stop: bool) -> bool:
        """Add the recorded losses, averaged over all processes, to the history. Return whether any process should stop.

        Raises:
            FloatingPointError: a term is not finite.
        """
        values = torch.stack([torch.stack(list(terms.values())) for _, _, terms in self._waiting])  # (steps, terms)
        values = torch.cat([values, values.new_full((len(values), 1), stop)], 1)
        if self.world > 1:
            dist.all_reduce(values)
            values /= self.world
        waiting, self._waiting = self._waiting, []
        for (step, rate, terms), numbers in zip(waiting, values.tolist()):
            losses = dict(zip(terms, numbers))
            bad = [name for name, loss in losses.items() if not math.isfinite(loss)]
            if bad:  # the total comes first, so it is named only if all terms are finite
                raise self._not_finite(step, f"the term {bad[-1]!r} of the loss")
            self.history.append({"step": step, "learning_rate": rate, **losses})
        return bool(values[:, -1].any())

    def advance(self, total: Tensor) -> None:
        """Take a step of Adam on the loss, if its gradient is finite."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate(self.step)
        self.step += 1
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(total).backward()
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.trained, self.options.max_grad_norm or math.inf)
        if self.scaler.is_enabled() or norm.isfinite():  # a scaler checks this itself
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            warnings.warn(f"step {self.step} is not taken: its gradient is not finite", stacklevel=2)
        if self.average is not None:
            self.average.update_parameters(self.network)

    # ------------------------------------------------------------------------------------------- weights

    def weights(self) -> dict[str, Tensor]:
        """Return the weights that are saved for use: the moving average, if there is one."""
        network: nn.Module = self.network if self.average is None else self.average.module
        return network.state_dict()

    def export(self, constants: Mapping[str, Tensor]) -> None:
        """Write `weights.safetensors`, in half precision."""
        from nstlib import __version__

        recent = self.history[-100:]  # the loss of a single batch is too noisy
        means = {name: sum(row[name] for row in recent) / len(recent) for name in list(recent[0])[2:]}
        losses = {name: float(f"{mean:.4g}") for name, mean in means.items()}
        known = {**self.settings, "steps": str(self.step), "losses": json.dumps(losses), "nstlib": __version__}
        save_file(self.out / "weights.safetensors", {**self.weights(), **constants}, known)

    # ------------------------------------------------------------------------------------------- checkpoints

    def save(self) -> None:
        """Write a checkpoint, whole or not at all, and remove all but the last two."""
        if not all(bool(value.isfinite().all()) for value in self.network.state_dict().values()):
            raise self._not_finite(self.step, "the weights")
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": {} if self.average is None else self.average.module.state_dict(),
            "history": {name: [row[name] for row in self.history] for name in self.history[0]},
            "settings": self.settings,
            "step": self.step,
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_atomically(self.out / f"checkpoint-{self.step}.pt", buffer.getvalue())
        # later checkpoints exist only if they could not be read
        past = [step for step in list_checkpoints(self.out) if step <= self.step]
        for step, path in list_checkpoints(self.out).items():
            if step not in past[:2]:
                path.unlink(missing_ok=True)  # another process may train in the same folder

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Restore the state that `load_checkpoint` returned."""
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        if self.average is not None:
            self.average.module.load_state_dict(saved["average"])
            self.average.n_averaged.fill_(saved["step"])
        columns = saved["history"]
        self.history = [dict(zip(columns, row)) for row in zip(*columns.values())]
        self.step = saved["step"]

    def _not_finite(self, step: int, what: str) -> FloatingPointError:
        kept = next(iter(list_checkpoints(self.out).values()), None)
        last = f"the last good checkpoint is {kept}" if kept else "there is no checkpoint yet"
        return FloatingPointError(
            f"training stopped at step {step}: {what} became NaN or infinite; {last}; try a smaller learning_rate, "
            "max_grad_norm=1, or precision='float32'"
        )


def list_checkpoints(out: Path) -> dict[int, Path]:
    """Return step -> file, newest first."""
    found = {path.stem.removeprefix("checkpoint-"): path for path in out.glob("checkpoint-*.pt")}
    return {int(step): found[step] for step in sorted(filter(str.isdecimal, found), key=int, reverse=True)}


def load_checkpoint(out: Path, settings: Mapping[str, str], steps: int) -> dict[str, Any] | None:
    """Return the newest readable checkpoint in `out`, or None if there is no checkpoint.

    Raises:
        OSError: there are checkpoints, but none can be read.
        ValueError: it has other settings, which the message names, or more steps.
    """
    checkpoints = list_checkpoints(out)
    for step, path in checkpoints.items():
        try:
            saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file can raise nearly anything
            warnings.warn(f"{path} can't be read ({type(error).__name__}): trying the one before", stacklevel=4)
            continue
        check_settings(saved["settings"], settings, str(path))
        if step > steps:
            raise ValueError(
                f"{path} has {step} steps behind it, and steps={steps}: raise steps, or take another out_dir"
            )
        return saved
    if checkpoints:
        raise OSError(
            f"none of the checkpoints in '{out}' can be read: delete them to start anew, or take another out_dir"
        )
    return None


def check_settings(there: Mapping[str, str], here: Mapping[str, str], where: str) -> None:
    """Validate that two runs have the same settings."""
    there, here = ({name: text.removesuffix(".0") for name, text in one.items()} for one in (there, here))  # 1 is 1.0
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    if names:
        differ = "; ".join(f"{name} is {there.get(name)} there and {here.get(name)} here" for name in names)
        raise ValueError(f"{where} was trained with other settings: {differ}; take those, or another out_dir")
