"""The training loop."""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from nstlib.objective import Objective
from nstlib.training.data import Crops, Folder, collate, fingerprint, list_folders, load_batches
from nstlib.training.distributed import broadcast_from_rank0, init_distributed
from nstlib.training.options import TrainingOptions
from nstlib.training.reports import write_losses, write_sheet
from nstlib.training.state import TrainingState, load_checkpoint
from nstlib.utils.files import clear_leftovers, expand_home, same_place
from nstlib.utils.interrupts import noted_interrupts
from nstlib.utils.progress import can_draw_bars

SHEET = 4
"""Number of pictures on a sample sheet: the first ones of the run."""

PREPARE = 256
"""Number of pictures that an objective may look at before the first step."""


@dataclass
class TrainingResult:
    """The result of a training run.

    Attributes:
        weights: the file with the network, safetensors in half precision.
        step: total number of steps taken.
        finished: False if the run was interrupted.
        history: one entry per step: `step`, `learning_rate`, `total`, and every term of the objective.
        skipped: files that could not be read, with the reasons.
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
    out_dir: Folder,
    device: str | torch.device | None = None,
    progress: bool = True,
    **options: Any,
) -> TrainingResult:
    """Train `objective.network` on folders of pictures.

    If `out_dir` holds a checkpoint, the run resumes from it. An interrupt (Ctrl-C, or the stop button of a notebook)
    finishes the current step, saves a checkpoint and returns the result so far; a second interrupt stops at once.
    Afterwards the network holds the weights that were saved for use, in full precision, and is in eval mode.

    Args:
        objective: the network and its loss.
        content: a folder of photographs, or several. Files that can't be read are skipped with a warning. Subfolders are
            ignored.
        style: a folder of paintings, or several, for methods that see a new style at every step.
        out_dir: folder for weights, checkpoints, loss curves and samples.
        device: the device to compute on. None takes a GPU if there is one (under torchrun, that of this process).
        progress: print an estimate of the time, and show a progress bar with the losses.
        **options: `steps`, which is required, and the other attributes of `nstlib.training.TrainingOptions`.

    Raises:
        ValueError: a wrong option, no readable picture, or a checkpoint with other settings.
        TypeError: an unknown option, or an objective that isn't one.
        OSError: there is no such folder, no checkpoint can be read, or `out_dir` can't be written.
        FloatingPointError: a term of the loss became NaN or infinite. Earlier checkpoints are kept.

    Example:
        >>> import tempfile
        >>> from nstlib import samples, save_image
        >>> class Copy(Objective):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.network = torch.nn.Conv2d(3, 3, 3, padding=1)
        ...
        ...     def forward(self, content, style):
        ...         return {"pixels": (self.network(content) - content).square().mean()}
        ...
        ...     def sample(self, content, style):
        ...         return self.network(content).clamp(0, 1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     photo = save_image(samples.content("cat", 64), f"{folder}/photos/cat.png")
        ...     result = train(Copy(), photo.parent, steps=3, size=32, out_dir=f"{folder}/run", progress=False)
        ...     sorted(path.name for path in result.weights.parent.iterdir())
        ['checkpoint-3.pt', 'losses.csv', 'losses.png', 'samples-3.png', 'weights.safetensors']
    """
    chosen, out = TrainingOptions(**options), expand_home(out_dir)
    if not isinstance(objective, Objective):
        raise TypeError(
            "an objective derives from nst.Objective, such as AdaINObjective(model) or JohnsonObjective(network, style), "
            f"and {type(objective).__name__} does not"
        )
    contents, styles = list_folders(content), [] if style is None else list_folders(style)
    if any(same_place(files[0].parent, out) for files in (*contents, *styles)):
        raise ValueError(f"the sheets and curves of the run would be read as pictures in '{out}': take another out_dir")
    parameters = sum(parameter.numel() for parameter in objective.network.parameters())
    settings = {
        **{name: str(value) for name, value in objective.describe().items()},
        "parameters": f"{parameters:,}",
        "data": fingerprint(contents),
        "style data": fingerprint(styles),
        **chosen.describe(),
    }
    rank, world, where = init_distributed(device)
    if chosen.batch_size % world:
        raise ValueError(
            f"{world} processes can't share a batch_size of {chosen.batch_size}: take a multiple of {world}"
        )
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        objective.to(where).to(memory_format=torch.channels_last).train()
        state = TrainingState(objective.network, chosen, settings, out, where, world)
        saved = broadcast_from_rank0(rank, world, lambda: load_checkpoint(out, settings, chosen.steps))
        if saved is not None:
            state.restore(saved)
        run = _Run(objective, state, contents, styles, where, rank, world, progress and rank == 0)
        skipped = run.go()
        objective.network.load_state_dict(state.weights())
        objective.eval()
    return TrainingResult(out / "weights.safetensors", state.step, state.step == chosen.steps, state.history, skipped)


@dataclass
class _Run:
    """The training loop, with its messages and its files."""

    objective: Objective
    state: TrainingState
    contents: list[list[Path]]
    styles: list[list[Path]]
    device: torch.device
    rank: int
    world: int
    progress: bool

    def __post_init__(self) -> None:
        self.options = self.state.options
        self.call: Callable[..., dict[str, Tensor]] = self.objective
        if self.world > 1:
            ids = [self.device.index] if self.device.type == "cuda" else None
            self.call = DistributedDataParallel(self.objective, device_ids=ids)
        if self.options.compile:
            self.call = torch.compile(self.call)

    def go(self) -> dict[str, str]:
        """Train until the last step or an interrupt. Return the files that could not be read, with the reasons."""
        state, options = self.state, self.options
        size, start, steps = options.batch_size, state.step, options.steps
        crops = Crops(self.contents, self.styles, options, first=start * size, count=(steps - start) * size)
        first = Crops(self.contents, self.styles, options, count=SHEET)
        self.sheet = collate([first[i] for i in range(SHEET)]).to(self.device)
        self._announce()
        if start == 0:
            self.objective.prepare(self._first_batches())
        if self.rank == 0:
            clear_leftovers(state.out)
        skipped: dict[str, str] = {}
        begun = time.perf_counter()
        look_every = 10 if self.device.type == "cuda" else 1  # losses stay on a GPU for a few steps
        hidden = not (self.progress and can_draw_bars())
        # torchrun forwards the signal that the terminal has already sent to every process, so each process gets it twice
        with (
            noted_interrupts(deferred=1 if self.world == 1 else math.inf) as interrupt,
            tqdm(total=steps, initial=start, disable=hidden, leave=False, unit="step") as bar,
        ):
            for samples in load_batches(crops, self.device, rank=self.rank, world=self.world):
                step = state.step + 1
                _seed(self.device, (options.seed, step, self.rank))
                with torch.autocast(
                    self.device.type, getattr(torch, options.precision), enabled=options.precision != "float32"
                ):
                    terms = self.call(samples.content, samples.style)
                _check_terms(terms)
                total = state.record(terms)
                due, sampled, stop = step % options.save_every == 0, step % options.sample_every == 0, False
                if due or sampled or step % look_every == 0 or step == steps:
                    stop = state.look(interrupt.is_set())
                state.advance(total)
                for file in samples.broken.keys() - skipped.keys():
                    skipped[file] = samples.broken[file]
                    warnings.warn(f"skipped a file that can't be read: {skipped[file]}", stacklevel=3)
                self._tell(bar, step - start, begun)
                last = stop or step == steps
                if sampled or last:
                    self.draw()  # before the checkpoint, because a resumed run doesn't repeat this step
                if due or last:
                    self.write()
                if stop:
                    break
        if start == steps:  # no step is left, but the run may have been killed between checkpoint and weights
            self.write()
        taken = _duration(time.perf_counter() - begun)
        skips = f"; {len(skipped)} files skipped" if skipped else ""
        self._say(f"{state.out / 'weights.safetensors'}: step {state.step:,} after {taken}{skips}")
        return skipped

    def _first_batches(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield the pictures for `Objective.prepare`, which are the same in every process."""
        crops = Crops(self.contents, self.styles, self.options, count=PREPARE)
        for first in range(0, PREPARE, 8):
            batch = collate([crops[i] for i in range(first, first + 8)]).to(self.device)
            yield batch.content, batch.style

    def write(self) -> None:
        """Write a checkpoint, the weights for use, and the losses."""
        if self.rank == 0:
            self.state.save()
            self.state.export(self.objective.constants())
            write_losses(self.state.history, self.state.out)

    @torch.no_grad()
    def draw(self) -> None:
        """Write a sample sheet, painted with the weights that are saved for use."""
        if self.rank == 0:
            network = self.objective.network
            kept = copy.deepcopy(network.state_dict())
            network.load_state_dict(self.state.weights())
            self.objective.eval()
            painted = self.objective.sample(self.sheet.content, self.sheet.style)
            self.objective.train()
            network.load_state_dict(kept)
            path = self.state.out / f"samples-{self.state.step}.png"
            write_sheet(self.sheet.content, self.sheet.style, painted, path)

    def _say(self, text: str) -> None:
        if self.progress:
            tqdm.write(text)

    def _announce(self) -> None:
        options, files = self.options, sum(map(len, self.contents))
        pictures, processes = options.steps * options.batch_size, f"{self.world} x " if self.world > 1 else ""
        self._say(
            f"training: {options.steps:,} steps of {options.batch_size} pictures, {pictures:,} crops of {options.size} px "
            f"from {files:,} files ({pictures / files:.3g} times each); {self.state.settings['parameters']} parameters; "
            f"{processes}{self.device.type}, {options.precision}"
            + (f"; from step {self.state.step}" if self.state.step else "")
        )

    def _tell(self, bar: tqdm[Any], taken: int, begun: float) -> None:
        """Advance the progress bar, and estimate once how long the run will take."""
        bar.update()
        if self.state.history:
            losses = list(self.state.history[-1].items())[2:]
            bar.set_postfix_str("  ".join(f"{name} {value:.3g}" for name, value in losses), refresh=False)
        if taken == 10:  # the first steps are slower, and may include compilation
            self.clock = time.perf_counter()
        left = self.options.steps - self.state.step
        if taken == 20 and left:
            now = time.perf_counter()
            pace = (now - self.clock) / 10
            total, rest = _duration(now - begun + pace * left), _duration(pace * left)
            self._say(f"{pace:.3g} s a step: {total} expected in all, {rest} from here")


def _check_terms(terms: object) -> None:
    if not (isinstance(terms, dict) and terms and all(getattr(term, "shape", None) == () for term in terms.values())):
        raise TypeError(
            "an objective returns the terms of its loss by name, each a tensor without dimensions, such as "
            '{"content": x.mean()}'
        )


def _seed(device: torch.device, numbers: tuple[int, ...]) -> None:
    """Seed the objective's random numbers with these numbers. torch.manual_seed would seed all devices."""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
