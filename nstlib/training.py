"""Training: the one loop that every trained method shares.

A method brings an objective: a module that holds the network and turns a batch into named terms of a loss. The loop brings
the pictures, minimises the sum of the terms by Adam, and keeps what there is on disk:

    out/weights.safetensors    the network in half precision (its moving average, if there is one), for use
    out/checkpoint-<step>.pt   everything that is needed to go on; the last two are kept
    out/losses.csv, .png       every term at every step, and its curves
    out/samples-<step>.png     a sheet: content, style if there is one, result

Nothing is drawn from a random state that could be lost: which pictures step i sees, how they are cropped, and what the
objective itself draws are functions of (seed, i). So a run that was stopped continues to the very same weights, any
number of workers loads the same batches, and any number of processes (under torchrun) shares out the same batches.
"""

from __future__ import annotations

import atexit
import csv
import io
import json
import math
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler
from tqdm.auto import tqdm

from nstlib.checks import check_int, check_number, check_option, choose_device
from nstlib.crops import Crops, Folder, Sample, collate, fingerprint, ignore_interrupts, list_pictures
from nstlib.files import clear_leftovers, expand_home, same_place, write_atomically
from nstlib.image import save_image
from nstlib.objective import Objective
from nstlib.progress import can_draw_bars
from nstlib.weights import save_file

Schedule = Literal["constant", "cosine", "adain"]
Precision = Literal["float32", "bfloat16", "float16"]

PRESETS: dict[str, dict[str, Any]] = {"smoke": {"steps": 40, "batch": 2, "size": 64}}
"""Options of `train` by name. `smoke` shows in under a minute on a CPU that everything works; its pictures are no good."""

SHEET = 4
"""Pictures on a sample sheet: the first of the run."""

_T = TypeVar("_T")


@dataclass
class TrainingResult:
    """What a run has come to.

    Attributes:
        weights: the file that holds the network, safetensors in half precision.
        step: steps taken in all, those before a resume included.
        finished: False if the run was interrupted.
        history: one entry per step: `step`, `learning_rate`, `total`, and every term of the objective.
        skipped: files that could not be read, with the reason.
    """

    weights: Path
    step: int
    finished: bool
    history: list[dict[str, float]] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def train(
    objective: Objective,
    content: Folder | Sequence[Folder],
    style: Folder | Sequence[Folder] | None = None,
    *,
    steps: int,
    out: Folder,
    batch: int = 4,
    size: int = 256,
    learning_rate: float = 1e-3,
    schedule: Schedule = "constant",
    clip: float | None = None,
    precision: Precision = "float32",
    compile: bool = False,
    ema: float = 0.0,
    seed: int = 0,
    save_every: int = 500,
    sample_every: int = 500,
    workers: int | None = None,
    device: str | torch.device | None = None,
    progress: bool = True,
) -> TrainingResult:
    """Train `objective.network` on folders of pictures.

    If `out` holds a checkpoint, the run goes on from it. An interrupt (Ctrl-C, or the stop button of a notebook) saves a
    checkpoint after the step under way and gives back what there is; a second one stops at once. Afterwards the network
    holds the weights that were saved for use, in full precision, and is in eval mode.

    Args:
        objective: the network and its loss; see `nstlib.objective.Objective`.
        content: a folder of photographs, or several. Every file in it is taken for a picture, of any size and kind;
            those that can't be read are skipped with a warning. Folders in it are not looked into.
        style: a folder of paintings, or several, for methods that see a new style at every step.
        steps: steps in all. A finished run goes on when this is raised (the cosine schedule is that of the new number).
        out: folder for weights, checkpoints, loss curves and samples.
        batch: pictures per step, over all processes together.
        size: side of the random crops in pixels.
        learning_rate: Adam's.
        schedule: `"constant"`, `"cosine"` (to zero at the last step) or `"adain"` (lr / (1 + 5e-5 i) at step i).
        clip: the norm that gradients are clipped to, and steps whose gradient isn't finite are not taken; None leaves
            gradients alone.
        precision: `"float32"`, or `"bfloat16"` or `"float16"` for automatic mixed precision.
        compile: compile the objective with `torch.compile`.
        ema: decay of a moving average of the weights, such as 0.999. It is then the average that is saved for use and
            drawn on sample sheets. 0 is none.
        seed: decides crops and their order. The network's first weights are the caller's.
        save_every: steps between checkpoints.
        sample_every: steps between sample sheets.
        workers: processes that load pictures; None is 0 on a CPU, and up to 4 on a graphics card.
        device: where to compute; None takes a GPU if there is one, under torchrun the one of this process.
        progress: say what it will cost, and show a progress bar with the losses and the time left.

    Raises:
        ValueError: an unknown option or a wrong number, no readable picture, or a checkpoint of other settings.
        OSError: no such folder, checkpoints of which none can be read, or an `out` that can't be written.
        FloatingPointError: a term of the loss became NaN or infinite. Checkpoints from before it are kept.

    Example:
        >>> import tempfile
        >>> from nstlib import samples
        >>> class Copy(Objective):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.network = nn.Conv2d(3, 3, 3, padding=1)
        ...
        ...     def forward(self, content, style):
        ...         return {"pixels": (self.network(content) - content).square().mean()}
        ...
        ...     def sample(self, content, style):
        ...         return self.network(content).clamp(0, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     photo = save_image(samples.content("cat", 64), f"{folder}/photos/cat.png")
        ...     result = train(Copy(), photo.parent, steps=3, size=32, out=f"{folder}/run", progress=False)
        ...     sorted(path.name for path in result.weights.parent.iterdir())
        ['checkpoint-3.pt', 'losses.csv', 'losses.png', 'samples-3.png', 'weights.safetensors']
    """
    out = expand_home(out)
    check_option("schedule", schedule, get_args(Schedule))
    check_option("precision", precision, get_args(Precision))
    learning_rate = check_number("learning_rate", learning_rate, 0, above=True)
    clip = None if clip is None else check_number("clip", clip, 0, above=True)
    ema = check_number("ema", ema, 0)
    if ema >= 1:
        raise ValueError(f"ema must lie in [0, 1), got {ema!r}; 0.999 averages over about 1000 steps")
    steps, batch, size = check_int("steps", steps, 1), check_int("batch", batch, 1), check_int("size", size, 1)
    save_every, sample_every = check_int("save_every", save_every, 1), check_int("sample_every", sample_every, 1)
    seed = check_int("seed", seed, 0)
    workers = None if workers is None else check_int("workers", workers, 0)
    if not isinstance(objective, Objective) or not isinstance(getattr(objective, "network", None), nn.Module):
        raise TypeError(
            f"an objective derives from nst.Objective and has a network to train, such as AdaINObjective(model) or "
            f"JohnsonObjective(network, style), and {type(objective).__name__} does not"
        )
    of_content, of_style = (
        [folders] if isinstance(folders, (str, os.PathLike)) else list(folders or ()) for folders in (content, style)
    )
    if any(same_place(Path(folder), out) for folder in (*of_content, *of_style)):
        raise ValueError(f"the sheets and curves of the run would be read as pictures in '{out}': take another out")
    contents, styles = list_pictures(of_content), [] if style is None else list_pictures(of_style)
    parameters = sum(parameter.numel() for parameter in objective.network.parameters())
    # What decides the weights: a run can only go on with the same.
    settings = {name: str(value) for name, value in objective.describe().items()} | {
        "parameters": f"{parameters:,}",
        "data": fingerprint(contents),
        "style data": fingerprint(styles),
        **{"batch": str(batch), "size": str(size), "learning_rate": str(learning_rate), "schedule": schedule},
        **{"clip": str(clip), "precision": precision, "ema": str(ema), "seed": str(seed)},
    }

    rank, world, device = _processes(device)
    if batch % world:
        raise ValueError(f"a batch of {batch} can't be shared by {world} processes: take a multiple of {world}")
    with _own_random_numbers(device), _Interrupt(world) as interrupt:
        say: Callable[[str], object] = tqdm.write if progress and rank == 0 else lambda text: None
        objective.to(device).to(memory_format=torch.channels_last)
        # objectives freeze what they don't train, and the networks they read with stay in eval mode by themselves
        objective.train()
        network = objective.network
        trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        if not trained:
            raise ValueError(
                f"{type(objective).__name__}.network has nothing to train: all of it is frozen, or it is empty"
            )
        optimizer = torch.optim.Adam(trained, lr=learning_rate, fused=device.type == "cuda")
        scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")
        state = _State(network, optimizer, scaler, settings, ema, out)
        saved = _from_first(rank, world, lambda: (settings, load_checkpoint(out, settings, steps)))
        _check_settings(saved[0], settings, "the first process")
        if saved[1] is not None:
            state.restore(saved[1])
        start = state.step
        log = _Log(out, start, rank, world)
        model: nn.Module = objective
        if world > 1:
            model = DistributedDataParallel(objective, device_ids=[device.index] if device.type == "cuda" else None)
        call = torch.compile(model) if compile else model

        crops = Crops(contents, styles, size, seed, first=start * batch, count=(steps - start) * batch)
        if workers is None:
            workers = min(4, os.cpu_count() or 1) if device.type == "cuda" else 0
        loader = DataLoader(
            crops,
            batch_size=batch // world,
            sampler=DistributedSampler(crops, world, rank, shuffle=False),  # sample p goes to process p mod world
            num_workers=workers,
            collate_fn=collate,
            pin_memory=device.type == "cuda",
            worker_init_fn=ignore_interrupts,
            generator=torch.Generator(),  # else it would draw from the global state
        )
        first = Crops(contents, styles, size, seed, first=0, count=SHEET)
        sheet = collate([first[i] for i in range(SHEET)]).to(device)
        drawn = (out / f"samples-{start}.png").exists()
        if rank == 0 and start and not drawn and (start == steps or start % sample_every == 0):
            state.draw(objective, sheet)  # stopped between the checkpoint and this
        skipped: dict[str, str] = {}
        names: tuple[str, ...] = ()

        def write_weights() -> None:
            from nstlib import __version__

            state.export(log.history, {"nstlib": __version__, **settings, "steps": str(state.step)})
            log.plot()

        say(
            f"training: {steps:,} steps of {batch} pictures, {steps * batch:,} crops of {size} px from {len(contents):,} "
            f"files ({steps * batch / len(contents):.3g} times each); {parameters:,} parameters; "
            f"{f'{world} x ' if world > 1 else ''}{device.type}, {precision}"
            + (f"; from step {start}" if start else "")
        )
        clock = begun = time.perf_counter()
        # the losses stay on a graphics card for a few steps: to look at them is to wait for it
        every = 10 if device.type == "cuda" else 1
        with (
            tqdm(
                total=steps,
                initial=start,
                disable=not progress or rank > 0 or not can_draw_bars(),
                leave=False,
                unit="step",
            ) as bar,
        ):
            for step, samples in enumerate(_read(loader), start + 1):
                rate = learning_rate * schedule_factor(schedule, step - 1, steps)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                _seed(device, (seed, step, rank))
                samples = samples.to(device)
                with torch.autocast(device.type, getattr(torch, precision), enabled=precision != "float32"):
                    terms = call(samples.content, samples.style)
                    _check_terms(terms, names)
                    names = tuple(terms)
                total = torch.stack(list(terms.values())).sum()
                optimizer.zero_grad(set_to_none=True)
                scaler.scale(total).backward()
                usable = True
                if clip is not None:
                    scaler.unscale_(optimizer)
                    norm = nn.utils.clip_grad_norm_(trained, clip)
                    # a scaler looks for itself
                    usable = scaler.is_enabled() or bool(norm.isfinite())
                if not usable:
                    warnings.warn(f"step {step} is not taken: its gradient is not finite", stacklevel=2)
                log.add(step, rate, {"total": total, **terms})
                last, due = step == steps, step % save_every == 0
                looked_at = last or due or step % every == 0 or step % sample_every == 0
                # before the weights change, so that on a CPU no step is taken on a loss that isn't finite
                stop = log.flush(interrupt.asked) if looked_at else False
                if usable:
                    scaler.step(optimizer)
                    scaler.update()
                state.advance()

                for file in sorted(samples.broken.keys() - skipped.keys()):
                    skipped[file] = samples.broken[file]
                    warnings.warn(f"skipped a file that can't be read: {skipped[file]}", stacklevel=2)
                bar.update()
                if looked_at:
                    text = "  ".join(f"{name} {value:.3g}" for name, value in list(log.history[-1].items())[2:])
                    bar.set_postfix_str(text, refresh=False)
                if step == start + 10:
                    clock = time.perf_counter()
                if step == start + 20 and steps > step:
                    # the first ten are left out: they warm up, and may compile
                    now, pace = time.perf_counter(), (time.perf_counter() - clock) / 10
                    say(
                        f"{pace:.3g} s a step: {_duration(now - begun + pace * (steps - step))} expected in all, "
                        f"{_duration(pace * (steps - step))} from here"
                    )
                if rank == 0 and (due or last or stop):
                    state.save()
                    write_weights()
                if rank == 0 and (step % sample_every == 0 or last or stop):
                    state.draw(objective, sheet)
                if stop:
                    break
        if rank == 0 and start == steps:  # nothing was left to do
            write_weights()
        network.load_state_dict(state.weights())
        objective.eval()
        skips = f"; {len(skipped)} files skipped" if skipped else ""
        say(f"{out / 'weights.safetensors'}: step {state.step:,} after {_duration(time.perf_counter() - begun)}{skips}")
        return TrainingResult(out / "weights.safetensors", state.step, state.step == steps, log.history, skipped)


def _check_terms(terms: object, before: tuple[str, ...]) -> None:
    """That an objective gives named scalars, the same in every step."""
    found = dict(terms) if isinstance(terms, Mapping) else {}
    bad = [name for name, term in found.items() if not isinstance(name, str) or getattr(term, "shape", None) != ()]
    if bad or not found:
        shown = f"something else under {bad[0]!r}" if bad else f"a {type(terms).__name__} without any"
        raise TypeError(
            f"an objective gives the terms of its loss by name, each a tensor without dimensions, such as "
            f'{{"content": x.mean()}}; got {shown}'
        )
    if before and before != tuple(found):
        raise TypeError(
            f"an objective gives the same terms in every step: they were {before}, and are now {tuple(found)}"
        )


def _read(loader: DataLoader[Sample]) -> Iterator[Sample]:
    """Its samples. An error in a process that loads is told as it would be here."""
    try:
        yield from loader
    except (OSError, ValueError) as error:
        text = str(error).strip()
        if "in DataLoader worker process" not in text:
            raise
        raise type(error)(text.splitlines()[-1].partition(": ")[2]) from error


def schedule_factor(schedule: Schedule, step: int, steps: int) -> float:
    """What the learning rate is multiplied by at step i = 0, 1, ... of n.

    Example:
        >>> [schedule_factor("cosine", i, 4) for i in (0, 2)], schedule_factor("adain", 20_000, 160_000)
        ([1.0, 0.5], 0.5)
    """
    if schedule == "cosine":
        # (1 + cos(pi i / n)) / 2
        return (1 + math.cos(math.pi * step / steps)) / 2
    # 1 / (1 + 5e-5 i), Huang & Belongie's
    return 1 / (1 + 5e-5 * step) if schedule == "adain" else 1.0


# ----------------------------------------------------------------------------------------------- on disk


class _State:
    """All that a checkpoint holds."""

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        settings: dict[str, str],
        decay: float,
        out: Path,
    ) -> None:
        self.network, self.optimizer, self.scaler = network, optimizer, scaler
        self.settings, self.decay, self.out, self.step = settings, decay, out, 0
        self.average = {key: value.clone() for key, value in network.state_dict().items()} if decay else {}

    @torch.no_grad()
    def advance(self) -> None:
        self.step += 1
        # d = min(decay, (1 + i) / (10 + i)): short runs are not dominated by the weights they began with
        decay = min(self.decay, (1 + self.step) / (10 + self.step))
        for key, value in self.network.state_dict().items() if self.decay else ():
            if value.is_floating_point():
                # average = d average + (1 - d) weight
                self.average[key].lerp_(value, 1 - decay)
            else:
                self.average[key].copy_(value)

    def weights(self) -> dict[str, Tensor]:
        """What is for use: the average, if there is one."""
        return self.average or self.network.state_dict()

    def save(self) -> None:
        if not all(bool(value.isfinite().all()) for value in self.network.state_dict().values()):
            raise FloatingPointError(_not_finite(self.step, "the weights", self.out))
        buffer = io.BytesIO()
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "average": self.average,
            "settings": self.settings,
            "step": self.step,
        }
        torch.save(state, buffer)
        write_atomically(self.out / f"checkpoint-{self.step}.pt", buffer.getvalue())
        # later ones are there only if they could not be read
        past = [step for step in list_checkpoints(self.out) if step <= self.step]
        for step, path in list_checkpoints(self.out).items():
            if step not in past[:2]:
                path.unlink(missing_ok=True)  # another process may train in the same folder

    def restore(self, saved: Mapping[str, Any]) -> None:
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        for key, value in saved["average"].items():
            self.average[key].copy_(value)
        self.step = saved["step"]

    def export(self, history: Sequence[Mapping[str, float]], metadata: Mapping[str, str]) -> None:
        recent = history[-100:]  # the loss of one batch says little
        losses = {
            name: float(f"{sum(row[name] for row in recent) / len(recent):.4g}")
            for name in (recent[-1] if recent else ())
            if name not in ("step", "learning_rate")
        }
        save_file(self.out / "weights.safetensors", self.weights(), {**metadata, "losses": json.dumps(losses)})

    def draw(self, objective: Objective, sheet: Sample) -> None:
        kept = {key: value.clone() for key, value in self.network.state_dict().items()}
        self.network.load_state_dict(self.weights())
        objective.eval()
        with torch.no_grad():
            painted = objective.sample(sheet.content, sheet.style)
        objective.train()
        self.network.load_state_dict(kept)
        # pictures side by side, one row for each kind, white between them      (1, 3, rows (S + 4), SHEET (S + 4))
        rows = [row.float().cpu().clamp(0, 1) for row in (sheet.content, sheet.style, painted) if row is not None]
        framed = [torch.cat(list(F.pad(row, (2, 2, 2, 2), value=1.0)), dim=2) for row in rows]
        grid = torch.cat(framed, dim=1)
        save_image(grid[None], self.out / f"samples-{self.step}.png")


def list_checkpoints(out: Path) -> dict[int, Path]:
    """Step -> file, newest first."""
    found = {path.stem.removeprefix("checkpoint-"): path for path in out.glob("checkpoint-*.pt")}
    return {int(step): found[step] for step in sorted(filter(str.isdecimal, found), key=int, reverse=True)}


def load_checkpoint(out: Path, settings: Mapping[str, str], steps: int) -> dict[str, Any] | None:
    """The newest checkpoint in `out` that can be read; None if there is none.

    Raises:
        OSError: there are some, and none can be read.
        ValueError: it has other settings (named), or more steps.
    """
    checkpoints = list_checkpoints(out)
    for step, path in checkpoints.items():
        try:
            saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            there = dict(saved["settings"])
            whole = saved["step"] == step and all(
                isinstance(saved[part], dict) for part in ("network", "optimizer", "scaler", "average")
            )
            if not whole:
                raise ValueError("it holds something else")
        except Exception as error:  # a damaged file can raise nearly anything
            warnings.warn(f"{path} can't be read ({type(error).__name__}): trying the one before", stacklevel=4)
            continue
        _check_settings(there, settings, str(path))
        if step > steps:
            raise ValueError(f"{path} has {step} steps behind it, and steps={steps}: raise steps, or take another out")
        return saved
    if checkpoints:
        raise OSError(f"none of the checkpoints in '{out}' can be read: delete them to start anew, or take another out")
    return None


def _check_settings(there: Mapping[str, str], here: Mapping[str, str], where: str) -> None:
    # 1 is 1.0
    there, here = ({name: text.removesuffix(".0") for name, text in one.items()} for one in (there, here))
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    differ = "; ".join(f"{name} is {there.get(name)} there and {here.get(name)} here" for name in names)
    if differ:
        raise ValueError(f"{where} was trained with other settings: {differ}; take those, or another out")


def _not_finite(step: int, what: str, out: Path) -> str:
    kept = next(iter(list_checkpoints(out).values()), None)
    last = f"the last good checkpoint is {kept}" if kept else "there is no checkpoint yet"
    return (
        f"training stopped at step {step}: {what} became NaN or infinite; {last}; "
        "try a smaller learning_rate, clip=1, or precision='float32'"
    )


class _Log:
    """The losses: in memory, in losses.csv and in losses.png, which only the first process writes."""

    def __init__(self, out: Path, start: int, rank: int, world: int) -> None:
        self.out, self.path, self.rank, self.world = out, out / "losses.csv", rank, world
        self.history: list[dict[str, float]] = []
        self.waiting: list[tuple[int, float, dict[str, Tensor]]] = []
        if rank > 0:
            return
        clear_leftovers(out)
        self.history = [row for row in _read_rows(self.path) if row["step"] <= start] if start else []
        header = ",".join(self.history[0]) + "\n" if self.history else ""
        write_atomically(self.path, (header + "".join(map(_row, self.history))).encode())

    def add(self, step: int, rate: float, terms: Mapping[str, Tensor]) -> None:
        self.waiting.append((step, rate, {name: term.detach().float() for name, term in terms.items()}))

    def flush(self, stop: bool) -> bool:
        """Look at the losses that wait, of all processes together; whether one of them was asked to stop."""
        values = torch.stack([torch.stack(list(terms.values())) for _, _, terms in self.waiting])  # (steps, terms)
        values = torch.cat([values, values.new_full((len(values), 1), stop)], 1)
        if self.world > 1:
            dist.all_reduce(values)
            values /= self.world
        text = ""
        for (step, rate, terms), numbers in zip(self.waiting, values.tolist()):
            losses = dict(zip(terms, numbers))
            # the total is the sum of the others: those are named
            bad = [name for name, loss in losses.items() if not math.isfinite(loss) and (name != "total")]
            bad = bad or [name for name, loss in losses.items() if not math.isfinite(loss)]
            if bad:
                self._append(text)
                raise FloatingPointError(_not_finite(step, f"the term {bad[0]!r} of the loss", self.out))
            row = {"step": step, "learning_rate": rate, **losses}
            if self.history and self.history[-1].keys() != row.keys():  # somebody has edited the file
                self.history = []
                if self.rank == 0:
                    write_atomically(self.path, b"")
            text += "" if self.history else ",".join(row) + "\n"
            text += _row(row)
            self.history.append(row)
        self._append(text)
        self.waiting.clear()
        return bool(values[:, -1].any())

    def _append(self, text: str) -> None:
        if self.rank == 0 and text:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                file.write(text)

    def plot(self) -> None:
        """Every term against the step, means of up to 300 stretches of the run."""
        from matplotlib.figure import Figure  # not pyplot, which would choose a backend for the whole program

        if not self.history:
            return
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot(xlabel="step", ylabel="loss", yscale="log")
        stretches = np.array_split(np.arange(len(self.history)), min(300, len(self.history)))
        steps = [self.history[stretch[-1]]["step"] for stretch in stretches]
        for name in list(self.history[0])[2:]:
            losses = np.array([row[name] for row in self.history])
            axes.plot(
                steps, [losses[stretch].mean() for stretch in stretches], label=name, lw=2 if name == "total" else 1
            )
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=120)
        write_atomically(self.out / "losses.png", buffer.getvalue())


def _read_rows(path: Path) -> list[dict[str, float]]:
    """The rows of losses.csv that can be read, in order of their steps.

    After a power cut or on a full disk the last may be half a row, or zeros; of a step taken twice, the later one counts.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").replace("\0", "").splitlines()
    # which need not come first, where two processes wrote
    header = next((line for line in lines if line.startswith("step,")), "step")
    rows: dict[float, dict[str, float]] = {}
    for row in csv.DictReader(lines, header.split(",")):
        try:
            numbers = {name: float(value) for name, value in row.items()}  # not of the header
            rows[numbers["step"]] = numbers
        except (KeyError, TypeError, ValueError):
            continue
    return [rows[step] for step in sorted(rows)]


def _row(row: Mapping[str, float]) -> str:
    return ",".join(f"{value:.9g}" for value in row.values()) + "\n"


# ----------------------------------------------------------------- processes, random numbers, interrupts


def _processes(device: str | torch.device | None) -> tuple[int, int, torch.device]:
    """(rank, number of processes, device of this one). torchrun says so in the environment; else it is one process."""
    chosen = choose_device(device)
    world = dist.get_world_size() if dist.is_initialized() else int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and chosen.type == "cuda" and chosen.index is None:
        chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if chosen.index >= torch.cuda.device_count():
            raise ValueError(f"this machine has {torch.cuda.device_count()} graphics cards: start as many processes")
    if world > 1 and chosen.type == "mps":
        chosen = torch.device("cpu")  # gloo carries no tensors of MPS
    if chosen.type == "cuda" and world > 1:
        torch.cuda.set_device(chosen)
    if world > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        # kept for the next run: processes that leave one group and meet again in another may miss each other
        atexit.register(_leave)
    return dist.get_rank() if world > 1 else 0, world, chosen


def _leave() -> None:
    # A thread of gloo may be about to free a tensor, for which it needs Python's lock; destruction holds that and waits for
    # the thread (met with PyTorch 2.4, where a run's last act was a broadcast). Asleep, we leave the lock to it.
    time.sleep(0.5)
    dist.destroy_process_group()


def _from_first(rank: int, world: int, function: Callable[[], _T]) -> _T:
    """What `function` gives on the first process, for all: the others need no copy of `out`. Errors too."""
    if world == 1:
        return function()
    answer: list[Any] = [None, None]
    if rank == 0:
        try:
            answer[0] = function()
        except Exception as error:  # raised by all, so that none waits for the others
            answer[1] = error
    dist.broadcast_object_list(answer)
    if answer[1] is not None:
        raise answer[1]
    result: _T = answer[0]
    return result


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """What is drawn inside leaves the caller's random state as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _seed(device: torch.device, numbers: tuple[int, ...]) -> None:
    """What the objective draws is a function of these numbers. (torch.manual_seed would seed all devices there are.)"""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


class _Interrupt:
    """Makes Ctrl-C a wish that the loop grants between steps, when all that is to be saved fits together."""

    def __init__(self, world: int) -> None:
        self.asked, self.world = False, world

    def __enter__(self) -> _Interrupt:
        self.ours = threading.current_thread() is threading.main_thread()  # no other may set handlers
        if self.ours:
            self.before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        if self.ours:
            signal.signal(signal.SIGINT, self.before)

    def _ask(self, number: int, frame: object) -> None:
        # the terminal interrupts every process, and torchrun does so again: there, twice means once
        if self.asked and self.world == 1:
            raise KeyboardInterrupt
        self.asked = True


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
