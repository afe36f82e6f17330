"""The training loop."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm.auto import tqdm

from nstlib.objective import Objective
from nstlib.training.data import Crops, Folder, collate, fingerprint, list_folders, load_batches
from nstlib.training.distributed import broadcast_from_rank0, init_distributed
from nstlib.training.options import TrainingOptions
from nstlib.training.reports import write_losses, write_sheet
from nstlib.training.state import TrainingState, check_settings, load_checkpoint
from nstlib.utils.files import clear_leftovers, expand_home, same_place
from nstlib.utils.interrupts import deferred_interrupts
from nstlib.utils.progress import can_draw_bars

SHEET = 4
"""Pictures on a sample sheet: the first of the run."""


PREPARE = 256
"""Pictures that an objective may look at before the first step."""


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
    out_dir: Folder,
    device: str | torch.device | None = None,
    progress: bool = True,
    **options: Any,
) -> TrainingResult:
    """Train `objective.network` on folders of pictures.

    If `out_dir` holds a checkpoint, the run goes on from it. An interrupt (Ctrl-C, or the stop button of a notebook) saves
    a checkpoint after the step under way and returns what there is; a second one stops at once. Afterwards the network
    holds the weights that were saved for use, in full precision, and is in eval mode.

    Args:
        objective: the network and its loss; see `nstlib.objective.Objective`.
        content: a folder of photographs, or several. Every file in it is taken for a picture, of any size and kind;
            those that can't be read are skipped with a warning. Folders in it are not looked into.
        style: a folder of paintings, or several, for methods that see a new style at every step.
        out_dir: folder for weights, checkpoints, loss curves and samples.
        device: where to compute; None takes a GPU if there is one, under torchrun the one of this process.
        progress: say what the run will cost, and show a progress bar with the losses and the time left.
        **options: `steps`, which is needed, and all others of `nstlib.training.TrainingOptions`, such as `batch_size`,
            `size`, `learning_rate`, `ema` or `seed`.

    Raises:
        ValueError: a wrong option, no readable picture, or a checkpoint of other settings.
        TypeError: an unknown option, or something else than an objective.
        OSError: no such folder, checkpoints of which none can be read, or an `out_dir` that can't be written.
        FloatingPointError: a term of the loss became NaN or infinite. Checkpoints from before it are kept.

    Example:
        >>> import tempfile
        >>> from nstlib import samples, save_image
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
        ...     result = train(Copy(), photo.parent, steps=3, size=32, out_dir=f"{folder}/run", progress=False)
        ...     sorted(path.name for path in result.weights.parent.iterdir())
        ['checkpoint-3.pt', 'losses.csv', 'losses.png', 'samples-3.png', 'weights.safetensors']
    """
    chosen, out = TrainingOptions(**options), expand_home(out_dir)
    _check_objective(objective)
    contents, styles = list_folders(content), [] if style is None else list_folders(style)
    if any(same_place(files[0].parent, out) for files in (*contents, *styles)):
        raise ValueError(f"the sheets and curves of the run would be read as pictures in '{out}': take another out_dir")
    parameters = sum(parameter.numel() for parameter in objective.network.parameters())
    settings = {
        **{name: str(value) for name, value in objective.describe().items()},
        **{"parameters": f"{parameters:,}", "data": fingerprint(contents), "style data": fingerprint(styles)},
        **chosen.describe(),
    }
    rank, world, where = init_distributed(device)
    if chosen.batch_size % world:
        raise ValueError(
            f"{world} processes can't share a batch_size of {chosen.batch_size}: take a multiple of {world}"
        )
    with _own_random_numbers(where):
        objective.to(where).to(memory_format=torch.channels_last).train()
        state = TrainingState(objective.network, chosen, settings, out, where, world)
        saved = broadcast_from_rank0(rank, world, lambda: (settings, load_checkpoint(out, settings, chosen.steps)))
        check_settings(saved[0], settings, "the first process")
        if saved[1] is not None:
            state.restore(saved[1])
        run = _Run(objective, state, contents, styles, where, rank, world, progress)
        skipped = run.go()
        objective.network.load_state_dict(state.weights())
        objective.eval()
    return TrainingResult(out / "weights.safetensors", state.step, state.step == chosen.steps, state.history, skipped)


class _Run:
    """The loop, and what it says and writes."""

    def __init__(
        self,
        objective: Objective,
        state: TrainingState,
        contents: list[list[Path]],
        styles: list[list[Path]],
        device: torch.device,
        rank: int,
        world: int,
        progress: bool,
    ) -> None:
        self.objective, self.state, self.options, self.device = objective, state, state.options, device
        self.contents, self.styles, self.rank, self.world = contents, styles, rank, world
        self.progress = progress and rank == 0
        self.call: Callable[..., dict[str, Tensor]] = objective
        if world > 1:
            ids = [device.index] if device.type == "cuda" else None
            self.call = DistributedDataParallel(objective, device_ids=ids)
        if self.options.compile:
            self.call = torch.compile(self.call)

    def go(self) -> dict[str, str]:
        """Train until the last step or an interrupt; return the files that could not be read, with the reason."""
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
        names: tuple[str, ...] = ()
        # losses stay on a GPU for a few steps
        look_every = 10 if self.device.type == "cuda" else 1
        with deferred_interrupts(once=self.world == 1) as interrupt, self._bar() as bar:
            for samples in load_batches(crops, self.device, rank=self.rank, world=self.world):
                step = state.step + 1
                _seed(self.device, (options.seed, step, self.rank))
                with torch.autocast(
                    self.device.type, getattr(torch, options.precision), enabled=options.precision != "float32"
                ):
                    terms = self.call(samples.content, samples.style)
                names = _check_terms(terms, names)
                state.record(terms)
                due, sampled = step % options.save_every == 0, step % options.sample_every == 0
                looked, stop = due or sampled or step % look_every == 0 or step == steps, False
                if looked:
                    stop = state.look(interrupt.is_set())
                state.advance(torch.stack(list(terms.values())).sum())
                for file in samples.broken.keys() - skipped.keys():
                    skipped[file] = samples.broken[file]
                    warnings.warn(f"skipped a file that can't be read: {skipped[file]}", stacklevel=3)
                self._tell(bar, step - start, begun)
                last = stop or step == steps
                if sampled or last:
                    self.draw()  # before the checkpoint, after which a run that is killed doesn't see this step again
                if due or last:
                    self.write()
                if stop:
                    break
        if start == steps:  # nothing was left to do, but it may have been killed between checkpoint and weights
            self.write()
        skips = f"; {len(skipped)} files skipped" if skipped else ""
        self._say(f"{state.out / 'weights.safetensors'}: step {state.step:,} after {_duration(begun)}{skips}")
        return skipped

    def _first_batches(self) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield the pictures that every process prepares with."""
        crops = Crops(self.contents, self.styles, self.options, count=PREPARE)
        for first in range(0, PREPARE, 8):
            batch = collate([crops[i] for i in range(first, first + 8)]).to(self.device)
            yield batch.content, batch.style

    def write(self) -> None:
        """Write a checkpoint, the weights for use, and the losses."""
        from nstlib import __version__

        if self.rank == 0:
            self.state.save()
            self.state.export({"nstlib": __version__}, self.objective.constants())
            write_losses(self.state.history, self.state.out)

    @torch.no_grad()
    def draw(self) -> None:
        """Write a sample sheet, painted by the weights for use."""
        if self.rank == 0:
            self.objective.eval()
            with self.state.weights_for_use():
                painted = self.objective.sample(self.sheet.content, self.sheet.style)
            self.objective.train()
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

    def _bar(self) -> tqdm[Any]:
        hidden = not self.progress or not can_draw_bars()
        return tqdm(total=self.options.steps, initial=self.state.step, disable=hidden, leave=False, unit="step")

    def _tell(self, bar: tqdm[Any], taken: int, begun: float) -> None:
        """Move the bar, and say once how long the run will take."""
        bar.update()
        if self.state.history:
            losses = list(self.state.history[-1].items())[2:]
            bar.set_postfix_str("  ".join(f"{name} {value:.3g}" for name, value in losses), refresh=False)
        if taken == 10:  # the first steps are left out: they warm up, and may compile
            self.clock = time.perf_counter()
        left = self.options.steps - self.state.step
        if taken == 20 and left:
            pace = (time.perf_counter() - self.clock) / 10
            rest = timedelta(seconds=round(pace * left))
            total = timedelta(seconds=round(time.perf_counter() - begun + pace * left))
            self._say(f"{pace:.3g} s a step: {total} expected in all, {rest} from here")


def _check_objective(objective: Objective) -> None:
    network = getattr(objective, "network", None)
    if not isinstance(objective, Objective) or not isinstance(network, nn.Module):
        raise TypeError(
            f"an objective derives from nst.Objective and has a network to train, such as AdaINObjective(model) or "
            f"JohnsonObjective(network, style), and {type(objective).__name__} does not"
        )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError(
            f"{type(objective).__name__}.network has nothing to train: all of it is frozen, or it is empty"
        )


def _check_terms(terms: object, before: tuple[str, ...]) -> tuple[str, ...]:
    """Validate that an objective returns named scalars, the same in every step, and return their names."""
    found = dict(terms) if isinstance(terms, Mapping) else {}
    bad = [name for name, term in found.items() if not isinstance(name, str) or getattr(term, "shape", None) != ()]
    if bad or not found:
        shown = f"something else under {bad[0]!r}" if bad else f"a {type(terms).__name__} without any"
        raise TypeError(
            f"an objective returns the terms of its loss by name, each a tensor without dimensions, such as "
            f'{{"content": x.mean()}}; got {shown}'
        )
    if before and before != tuple(found):
        raise TypeError(
            f"an objective returns the same terms in every step: they were {before}, and are now {tuple(found)}"
        )
    return tuple(found)


@contextmanager
def _own_random_numbers(device: torch.device) -> Iterator[None]:
    """Leave the caller's random state as it was, whatever is drawn inside."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _seed(device: torch.device, numbers: tuple[int, ...]) -> None:
    """Make what the objective draws a function of these numbers. (torch.manual_seed would seed all devices there are.)"""
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0]) >> 1
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _duration(begun: float) -> str:
    return str(timedelta(seconds=round(time.perf_counter() - begun)))
