"""Gatys: optimise a picture until it has the content of one picture and the style of another.

Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style, 2015, https://arxiv.org/abs/1508.06576

No network is trained here. What is optimised are the pixels x of the result. They minimise

    L(x) = content_weight L_content + style_weight L_style + tv_weight TV                   (eq. 7, and a smoothness term)

    L_content = 1/2 sum (F - P)^2               F, P: features of x and of the content      (eq. 1)
    L_style   = sum_l w_l E_l                   over layers l                               (eq. 5)
    E_l       = 1/(4 C^2) sum (G - A)^2         G, A: Gram matrices of x and of the style   (eq. 4)

Not in the paper are the pyramid (most steps are taken on small pictures, where they are cheap and find the strokes sooner),
the normalised losses (see `nstlib.perceptual`) and the preconditioner (see `nstlib.pixels`). To do without them, write
`Gatys(pyramid=1, normalize_losses=False, preconditioner=0)`.
"""

from __future__ import annotations

import functools
import inspect
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from nstlib.backbones import layers_of
from nstlib.encoder import Encoder, Pooling, as_encoder
from nstlib.losses import normalize_weights
from nstlib.perceptual import PerceptualLoss, StyleTargets
from nstlib.pixels import Canvas, make_lbfgs, take_step
from nstlib.registry import Method, register
from nstlib.utils.checks import check_int, check_layers, check_mask, check_number, check_option, check_picture
from nstlib.utils.memory import enough_memory
from nstlib.utils.opacity import split_opacity
from nstlib.utils.progress import can_draw_bars
from nstlib.utils.scale import scaled_size
from nstlib.weights import Padding, Source

Optimizer = Literal["lbfgs", "adam"]
Init = Literal["content", "noise", "style"]
Precision = Literal["float32", "bfloat16"]

LEAST_SIDE = 64
"""The shortest side of any scale of the pyramid in pixels, unless the encoder needs more or the picture has less."""

FLOAT32_TAIL = 0.1
"""With bfloat16, this share of the steps at full size, the last ones, is taken in float32."""


@dataclass
class Result:
    """The result of an optimisation so far.

    Attributes:
        picture: `(B, 3, H, W)` in [0, 1], or `(1, 4, H, W)` with opacity: the best picture at the current scale.
        losses: its losses before it was clamped: `content`, `style`, `tv` and `style/<layer>` for every layer, all without
            their weights, and `total`, the weighted sum that is minimised. For a batch, these and the history are means.
        history: one entry per step: `step`, `size` (short side in pixels), `bits` (precision of the features, 32 or 16),
            `seconds` since the start, and `total`, `content`, `style` and `tv`.
    """

    picture: Tensor
    losses: dict[str, float]
    history: list[dict[str, float]] = field(default_factory=list)


class Gatys(nn.Module):
    """Style transfer by optimising the picture.

    Args:
        encoder: the name, path or state dict of a network, or an `Encoder` that has all layers named here.
        content_layers: layers whose features are preserved, position by position. None is the usual ones of the network
            (relu4_2 of a VGG). The list may be empty, as may that of the style layers.
        style_layers: layers whose Gram matrices are matched. None is the usual ones of the network (relu1_1 to relu5_1).
        content_weight: weight of the content loss.
        style_weight: weight of the style loss. A higher weight gives more painting and less photograph.
        layer_weights: weights of the style layers by name, which are divided by their sum. None weights them equally.
        tv_weight: weight of the total variation, which removes grain.
        tv_norm: `"l2"` or `"l1"`.
        normalize_losses: divide the content and the style loss of every layer by its value for features of zero. False is
            the papers' scale.
        optimizer: `"lbfgs"` or `"adam"`.
        steps: total number of steps over all scales.
        learning_rate: None is 1 for L-BFGS and 0.02 for Adam.
        history_size: number of past steps that L-BFGS remembers. Each takes 24 bytes per pixel, so 20 steps need 0.5 GB at
            1024 x 1024.
        preconditioner: how much further a step of L-BFGS moves low frequencies than high ones, in [0, 1]; 0 is plain
            pixels. It changes how fast the loss falls, but not the loss itself.
        pyramid: number of scales. Each is twice as large as the one before and takes half as many steps. A list sets the
            shares of the steps from coarse to fine: `[1, 4]` takes a fifth of them at half the size.
        precision: `"float32"`, or `"bfloat16"` to compute features in half precision except in the last tenth of the steps
            at full size. This is faster only on processors with bfloat16 arithmetic (benchmarks/RESULTS.md).
        init: start from the `"content"`, from `"noise"`, from the `"style"`, or from a picture `(1 or B, 3, H, W)` of the
            content's size.
        style_scale: size of the style's short side relative to the content's. A larger style has broader strokes. A style
            is never enlarged: if it has too few pixels, it is used at its own size, with a warning.
        pooling: pooling of a new encoder, `"max"`, `"average"` or `"l2"`. An `Encoder` that is given keeps its own.
        padding: padding of a new encoder. None is the network's own.
        seed: seed of the noise.

    Raises:
        ValueError: an unknown option, or an encoder that lacks a layer.

    Example:
        >>> from nstlib import samples
        >>> gatys = Gatys(steps=4)
        >>> result = gatys(samples.content("cat", 64), samples.style("swirl", 64), progress=False)
        >>> tuple(result.picture.shape), len(result.history)
        ((1, 3, 64, 96), 4)
    """

    def __init__(
        self,
        encoder: Source | Encoder = "vgg19_mini",
        *,
        content_layers: Sequence[str] | None = None,
        style_layers: Sequence[str] | None = None,
        content_weight: float = 1.0,
        style_weight: float = 20.0,
        layer_weights: Mapping[str, float] | None = None,
        tv_weight: float = 1.0,
        tv_norm: Literal["l1", "l2"] = "l2",
        normalize_losses: bool = True,
        optimizer: Optimizer = "lbfgs",
        steps: int = 300,
        learning_rate: float | None = None,
        history_size: int = 20,
        preconditioner: float = 0.4,
        pyramid: int | Sequence[float] = 3,
        precision: Precision = "float32",
        init: Init | Tensor = "content",
        style_scale: float = 1.0,
        pooling: Pooling = "max",
        padding: Padding | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_option("optimizer", optimizer, get_args(Optimizer))
        check_option("precision", precision, get_args(Precision))
        if not isinstance(init, Tensor):
            check_option("init", init, get_args(Init))
        self.optimizer, self.precision, self.init = optimizer, precision, init
        self.steps, self.history_size = check_int("steps", steps, 1), check_int("history_size", history_size, 1)
        self.seed = check_int("seed", seed, 0)
        rate = {"lbfgs": 1.0, "adam": 0.02}[optimizer] if learning_rate is None else learning_rate
        self.learning_rate = check_number("learning_rate", rate, 0, above=True)
        self.preconditioner = check_number("preconditioner", preconditioner, 0, 1)
        self.style_scale = check_number("style_scale", style_scale, 0, 100, above=True)
        self.shares = _scale_shares(pyramid)
        name = encoder.name if isinstance(encoder, Encoder) else str(encoder)
        contents = layers_of(name, "content") if content_layers is None else content_layers
        styles = layers_of(name, "style") if style_layers is None else style_layers
        contents = check_layers("content_layers", contents) if content_weight else ()
        styles = check_layers("style_layers", styles) if style_weight else ()
        if not contents and not styles:
            raise ValueError("nothing to optimise: give a content layer or a style layer with a weight above 0")
        self.encoder = as_encoder(encoder, (*contents, *styles), pooling=pooling, padding=padding)
        self.loss = PerceptualLoss(
            self.encoder,
            content_layers=contents,
            style_layers=styles,
            content_weight=content_weight,
            style_weight=style_weight,
            tv_weight=tv_weight,
            layer_weights=_layer_weights(layer_weights, styles),
            tv_norm=tv_norm,
            normalize_losses=normalize_losses,
        )

    def forward(
        self,
        content: Tensor,
        style: Tensor | Sequence[Tensor] | None = None,
        *,
        mask: Tensor | None = None,
        style_weights: Sequence[float] | None = None,
        init: Tensor | None = None,
        steps: int | None = None,
        callback: Callable[[Result], object] | None = None,
        progress: bool = True,
    ) -> Result:
        """Paint `content` in the style of `style`.

        An interrupt (Ctrl-C, or the stop button of a notebook) ends the run early and returns the best picture so far.

        Args:
            content: `(B, 3, H, W)` in [0, 1], where each picture is optimised on its own; or `(1, 4, H, W)` with opacity,
                which the result keeps. Transparent pixels are left out of all statistics.
            style: `(1, 3, h, w)` in [0, 1], `(1, 4, h, w)` with opacity, or a list of K such pictures of any sizes. May be
                None if there are no style layers.
            mask: `(K, H, W)` in [0, 1], where each of the K styles applies. It is scaled along with the content.
            style_weights: K numbers, the weight of each style. None is equal weights or, with a mask, the areas of its
                regions.
            init: a picture to start from, instead of the model's own `init`, such as the last result of a video.
            steps: take this many steps, all at full size, instead of the model's own `steps` and `pyramid`.
            callback: called with the `Result` so far after every step.
            progress: show a progress bar with the losses and the remaining time.

        Raises:
            ValueError: pictures, masks or weights that don't fit together.
            MemoryError: the picture needs more memory than is available; the message names a size that would fit, if any.
            RuntimeError: the call is made inside `torch.inference_mode()`.
        """
        *_, result = self.iterate(
            content,
            style,
            mask=mask,
            style_weights=style_weights,
            init=init,
            steps=steps,
            callback=callback,
            progress=progress,
            every=steps or self.steps,
        )
        return result

    def stylize(self, content: Tensor, style: Tensor | Sequence[Tensor] | None = None, **options: Any) -> Tensor:
        """Return the picture alone, `(B, 3, H, W)` in [0, 1], or 4 channels if the content has 4. Takes a call's options."""
        return self(content, style, **options).picture

    def iterate(
        self,
        content: Tensor,
        style: Tensor | Sequence[Tensor] | None = None,
        *,
        mask: Tensor | None = None,
        style_weights: Sequence[float] | None = None,
        init: Tensor | None = None,
        steps: int | None = None,
        callback: Callable[[Result], object] | None = None,
        progress: bool = False,
        every: int = 10,
    ) -> Iterator[Result]:
        """Do the same as a call, but yield the `Result` so far after every `every` steps and at the end.

        Intermediate pictures have the size of the scale at which they were found.
        """
        every = check_int("every", every, 1)
        bias = self.encoder.color_bias  # pictures go where the encoder is, in its precision
        start = self.init if init is None else init
        content, styles, mask, shares = self._check(content, style, mask, style_weights, start)
        total = self.steps if steps is None else check_int("steps", steps, 1)
        scales = self._scales(content) if steps is None else [((content.shape[2], content.shape[3]), total)]
        with (
            enough_memory("gatys", content, device=bias.device, width=self.encoder.width),
            tqdm(  # the time of a step is proportional to its pixels, so the bar counts pixels
                total=sum(count * height * width for (height, width), count in scales),
                disable=not (progress and can_draw_bars()),
                leave=False,
                bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining}{postfix}",
            ) as bar,
        ):
            inits: Sequence[Any] = [start] * len(content)
            if isinstance(start, Tensor):
                inits = start.to(bias).expand(len(content), -1, -1, -1).split(1)
            # Each picture gets an optimiser of its own, because L-BFGS would share one curvature and step length
            runs = [_Run(self, one, init, styles, mask, shares, scales) for one, init in zip(content.split(1), inits)]
            result = Result(torch.cat([run.picture for run in runs]), {})
            begun = time.perf_counter()
            try:
                for number, all_steps in enumerate(zip(*(run.steps for run in runs), strict=True), 1):
                    taken = [step for step in all_steps if step is not None]
                    if not taken:
                        continue
                    terms = _mean([step.losses for step in taken])
                    result.picture = torch.cat([run.picture for run in runs])
                    result.losses = _mean([run.losses for run in runs if run.losses])
                    (height, width), bits = taken[0].size, taken[0].bits
                    entry = {"step": number, "size": min(height, width), "bits": bits}
                    entry["seconds"] = time.perf_counter() - begun
                    result.history.append(entry | {name: terms[name] for name in ("total", "content", "style", "tv")})
                    bar.update(height * width)
                    bar.set_description(f"{min(height, width)} px, step {number}/{total}", refresh=False)
                    bar.set_postfix_str(f"content {terms['content']:.3g}, style {terms['style']:.3g}", refresh=False)
                    if callback is not None:
                        callback(result)
                    if number % every == 0 and number < total:
                        yield replace(result, history=list(result.history))
            except KeyboardInterrupt:
                pass  # return the best result so far
            result.picture = torch.cat([run.finish() for run in runs])
            yield result

    def _check(
        self,
        content: Tensor,
        style: Any,
        mask: Tensor | None,
        style_weights: Sequence[float] | None,
        init: Init | Tensor,
    ) -> tuple[Tensor, list[Tensor], Tensor | None, Tensor]:
        """Validate the content, styles, mask and weights of a run, and move them to the encoder's device and dtype."""
        bias = self.encoder.color_bias
        if bias.dtype in (torch.float16, torch.bfloat16):
            raise ValueError(f"Gatys optimises in float32, not {bias.dtype}: for speed, precision='bfloat16'")
        if bias.is_inference() or torch.is_inference_mode_enabled():
            raise RuntimeError("Gatys needs gradients: make it and call it outside of torch.inference_mode()")
        content = check_picture(content, "content", opacity=True).to(bias)
        given: Sequence[Any] = [] if style is None else list(style) if isinstance(style, (list, tuple)) else [style]
        styles = [check_picture(picture, "style", single=True, opacity=True).to(bias) for picture in given]
        if isinstance(init, Tensor):
            size, found = content.shape[2:], check_picture(init, "init").shape
            if found[2:] != size or found[0] not in (1, len(content)):
                raise ValueError(
                    f"init is {tuple(found)}, and must be one picture as large as content, {tuple(size)}, or one for each"
                )
        if self.loss.style_layers and not styles:
            raise ValueError("style layers need a style picture: give one, or set style_weight=0")
        if mask is not None:
            check_mask(mask, len(styles), content)
            mask = mask.to(bias)
            if not bool(torch.isfinite(mask).all()) or mask.min() < 0 or mask.max() > 1:
                raise ValueError(f"mask values must lie in [0, 1], found {mask.min():.3g} to {mask.max():.3g}")
            areas = mask.sum((1, 2)).tolist()
            if 0 in areas:
                raise ValueError("every style needs a region: one mask is zero everywhere")
            style_weights = areas if style_weights is None else style_weights
        return content, styles, mask, normalize_weights(style_weights, len(styles)).to(bias)

    def _scales(self, content: Tensor) -> list[tuple[tuple[int, int], int]]:
        """Return (H, W) and the number of steps of every scale, coarse to fine. The last takes at least one step."""
        height, width = content.shape[2:]
        sizes = [
            (round(height / 2**k), round(width / 2**k))
            for k in range(len(self.shares))
            if k == 0 or min(height, width) / 2**k >= max(LEAST_SIDE, self.encoder.least)
        ]
        shares, left, scales = self.shares[-len(sizes) :], self.steps, []
        for k, size in enumerate(sizes[::-1]):
            count = left if k == len(sizes) - 1 else min(left - 1, round(left * shares[k] / sum(shares[k:])))
            scales.append((size, count))
            left -= count
        return [(size, count) for size, count in scales if count]


class _Step(NamedTuple):
    """One step of a run: the size of its picture, the precision in bits, and the terms of the loss."""

    size: tuple[int, int]
    bits: int
    losses: dict[str, float]


class _Run:
    """The optimisation of one picture. The iterator `steps` takes the steps, and yields None once the loss isn't finite."""

    def __init__(
        self,
        gatys: Gatys,
        content: Tensor,
        init: Init | Tensor,
        styles: list[Tensor],
        mask: Tensor | None,
        shares: Tensor,
        scales: list[tuple[tuple[int, int], int]],
    ) -> None:
        self.gatys, self.shares, self.scales = gatys, shares, scales
        self.content, self.opacity = split_opacity(content)
        # replace the colours of transparent pixels before scaling mixes them with their neighbours
        self.styles = [torch.cat([part for part in split_opacity(style) if part is not None], 1) for style in styles]
        self.mask = mask if mask is None else mask[:, None]  # (K, 1, H, W)
        if self.opacity is not None:
            self.mask = self.opacity if self.mask is None else self.opacity * self.mask
        self.first = self._first(init)
        self.best = self.start = _resize(self.first, scales[0][0])
        self.losses: dict[str, float] = {}
        self.steps = self._optimise()

    def _optimise(self) -> Iterator[_Step | None]:
        gatys, loss, done = self.gatys, self.gatys.loss, 0
        for size, count in self.scales:
            targets = loss.read_content(_resize(self.content, size)), self._read_styles(size)
            self.best, self.start = _enlarge(self.best, self.start, self.first, size), _resize(self.first, size)
            canvas = Canvas(self.best, gatys.preconditioner if gatys.optimizer == "lbfgs" else 0.0)
            optimizer = self._make_optimizer(canvas)
            least = math.inf
            halves = 0 if gatys.precision == "float32" else count
            if halves and size == self.scales[-1][0]:
                halves -= math.ceil(FLOAT32_TAIL * count)
            for k in range(count):
                if k == halves:
                    least = math.inf  # losses in half precision can't be compared with those in float32
                evaluate = functools.partial(self._evaluate, targets=targets, half=k < halves)
                before, losses = take_step(optimizer, canvas, evaluate)
                if not math.isfinite(losses["total"]):
                    warnings.warn(
                        f"the loss was no longer finite at step {done + k + 1}: kept the best picture before it; a smaller "
                        "learning_rate may help",
                        stacklevel=4,
                    )
                    yield from repeat(None, count - k)
                    break
                if losses["total"] < least:
                    self.best, self.losses, least = before, losses, losses["total"]
                yield _Step(size, 16 if k < halves else 32, losses)
            done += count

    def _evaluate(self, x: Tensor, *, targets: tuple[dict[str, Tensor], StyleTargets], half: bool) -> dict[str, Tensor]:
        """Return the terms of the loss of a picture, and their total."""
        loss = self.gatys.loss
        # under autocast, gradients automatically have the precision of their features
        with torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext():
            terms = loss(x, *targets)
            return terms | {"total": torch.stack(list(loss.weigh(terms).values())).sum()}

    @property
    def picture(self) -> Tensor:
        picture = self.best.clamp(0, 1)
        if self.opacity is None:
            return picture
        return torch.cat([picture, _resize(self.opacity, picture.shape[2:]).clamp(0, 1)], 1)

    def finish(self) -> Tensor:
        """Return the best picture at full size, even if the run was stopped at a coarser scale."""
        size = self.content.shape[2:]
        if self.best.shape[2:] != size:
            self.best = _enlarge(self.best, self.start, self.first, size)
        return self.picture

    def _read_styles(self, size: tuple[int, int]) -> StyleTargets:
        """Return the targets of the style loss at one scale."""
        content, gatys = self.content.shape[2:], self.gatys
        scale, least = gatys.style_scale, gatys.encoder.least
        sizes = [scaled_size(style.shape[2:], content, scale, level=size, least=least) for style in self.styles]
        scaled = [_resize(*pair) for pair in zip(self.styles, sizes)]
        mask = None if self.mask is None else F.interpolate(self.mask, size, mode="area")
        return gatys.loss.read_styles(scaled, shares=self.shares, mask=mask)

    def _first(self, init: Init | Tensor) -> Tensor:
        """Return the picture that the run starts from, at full size."""
        size = self.content.shape[2:]
        if isinstance(init, Tensor):
            return init
        if init == "content":
            return self.content
        if init == "style":
            if not self.styles:
                raise ValueError("init='style' needs a style picture")
            return _resize(split_opacity(self.styles[0])[0], size)
        # noise at the coarsest scale, because finer grain would remain visible
        random = torch.Generator("cpu").manual_seed(self.gatys.seed)
        noise = torch.rand(1, 3, *self.scales[0][0], generator=random, device="cpu")
        return _resize(noise.to(self.content), size)

    def _make_optimizer(self, canvas: Canvas) -> torch.optim.Optimizer:
        gatys = self.gatys
        if gatys.optimizer == "adam":
            return torch.optim.Adam(canvas.parameters(), lr=gatys.learning_rate, betas=(0.9, 0.99))
        return make_lbfgs(canvas, learning_rate=gatys.learning_rate, history_size=gatys.history_size)


def _mean(losses: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of every term."""
    return {name: sum(one[name] for one in losses) / len(losses) for name in losses[0]} if losses else {}


def _enlarge(picture: Tensor, start: Tensor, first: Tensor, size: Sequence[int]) -> Tensor:
    """Enlarge the picture of one scale: add its difference from `start` to `first`, which has all the detail."""
    return _resize(first, size) + _resize(picture - start, size)


def _resize(picture: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(picture.shape[2:]) == tuple(size):
        return picture.detach().clone()
    return F.interpolate(picture.detach(), tuple(size), mode="bicubic", antialias=True, align_corners=False)


def _scale_shares(pyramid: int | Sequence[float]) -> tuple[float, ...]:
    """Return the shares of the steps, coarse to fine."""
    if isinstance(pyramid, list | tuple) and pyramid:
        return tuple(check_number("every share of the pyramid", share, 0, above=True) for share in pyramid)
    scales = check_int("pyramid", pyramid, 1, 32)  # type: ignore[arg-type]
    return tuple(2.0**k for k in reversed(range(scales)))


def _layer_weights(weights: Mapping[str, float] | None, layers: Sequence[str]) -> dict[str, float] | None:
    """Return the weights of all style layers, with sum 1."""
    if weights is None:
        return None
    unknown = [layer for layer in weights if layer not in layers]
    if unknown:
        raise ValueError(f"layer_weights names {unknown}, and the style layers are {list(layers)}")
    total = sum(weights.values())
    if not 0 < total < math.inf or min(weights.values()) < 0:
        raise ValueError(f"layer_weights must be at least 0 with a finite sum above 0, got {dict(weights)}")
    return {layer: weights.get(layer, 0.0) / total for layer in layers}


register(
    "gatys",
    Method(
        Gatys,
        lambda styles, **options: Gatys(**options),
        tuple(inspect.signature(Gatys).parameters),
        ("mask", "style_weights", "callback", "progress"),
        open_regions=True,
        video_options=("frame_steps",),
    ),
)
