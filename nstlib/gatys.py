"""Gatys: a picture is optimised until it has the content of one picture and the style of another.

Gatys, Ecker, Bethge: A Neural Algorithm of Artistic Style, 2015, https://arxiv.org/abs/1508.06576

No network is trained here. The pixels x of the result are what changes, to make

    L(x) = content_weight L_content + style_weight L_style + tv_weight TV                   (eq. 7, and a smoothness term)

    L_content = 1/2 sum (F - P)^2               F, P: features of x and of the content      (eq. 1)
    L_style   = sum_l w_l E_l                   over layers l                               (eq. 5)
    E_l       = 1/(4 C^2) sum (G - A)^2         G, A: Gram matrices of x and of the style   (eq. 4)

small. What is ours: a pyramid (most steps are taken on small pictures, where they are cheap and strokes are found sooner)
and relative losses (each term divided by its value for F = 0, so that weights mean the same for every network, layer and
size). `Gatys(pyramid=1, relative=False, smoothness=0)` is the paper's.
"""

from __future__ import annotations

import math
import numbers
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from nstlib.backbones import layers_of
from nstlib.checks import check_layers, check_number, check_option, check_weights, check_whole
from nstlib.encoder import Encoder, Pooling, as_encoder
from nstlib.image import check_mask, check_picture
from nstlib.losses import gram_matrix, share_styles, sum_content, sum_style, total_variation
from nstlib.memory import guarded
from nstlib.scale import scaled_size, warn_of_small_styles
from nstlib.weights import Padding

Optimizer = Literal["lbfgs", "adam"]
Start = Literal["content", "noise", "style"]
Precision = Literal["float32", "bfloat16"]

LEAST_SIDE = 64
"""No scale of the pyramid has a shorter side than this, in pixels (unless the picture itself has)."""

PLENTY = 16384
"""Bytes per pixel that are enough for any picture (`nstlib.memory`): more than twice what VGG19 needs, tested."""

HEAP = 1.2
"""How much of the heap is holes: see `nstlib.memory`."""

LAST = 0.1
"""In bfloat16, the share of the steps at full size that are taken in float32, at the end."""

LEAP = 0.5
"""No step of L-BFGS changes a pixel by more than this: without a line search it would leap out of the picture at times."""


@dataclass
class Result:
    """What an optimisation has found so far.

    Attributes:
        picture: `(B, 3, H, W)` in [0, 1]: the best one at the present scale.
        losses: the terms of that picture at the scale reached, before it was clamped to [0, 1]: `total`, `content`,
            `style`, `tv`, and `style/<layer>` for every layer.
        history: one entry per step: `step`, `size` (short side, px), `bits` (of the features: 32, or 16 in half precision),
            `seconds` since the start, and `total`, `content`, `style`, `tv`.
    """

    picture: Tensor
    losses: dict[str, float]
    history: list[dict[str, float]] = field(default_factory=list)


class Gatys(nn.Module):
    """Style transfer by optimising the picture.

    Args:
        encoder: the name, path or state dict of a network, or an `Encoder` that has all layers named here.
        content_layers: layers whose features are kept, place by place. None is those usual for the network (relu4_2 of a
            VGG). May be empty.
        style_layers: layers whose Gram matrices are matched. None is those usual for the network (relu1_1, relu2_1, ...,
            relu5_1 of a VGG). May be empty.
        content_weight: weight of the content loss.
        style_weight: weight of the style loss. Higher is more painting and less photograph.
        layer_weights: weights of the style layers, by layer name; None weighs them alike. They are divided by their sum.
        tv_weight: weight of the total variation, which removes grain.
        tv_norm: `"l2"` or `"l1"`.
        relative: divide every term by its value for features of zero. False is the paper's scale.
        optimizer: `"lbfgs"` or `"adam"`.
        steps: steps in all, over all scales.
        learning_rate: None is 1 for L-BFGS and 0.02 for Adam.
        history_size: how many past steps L-BFGS remembers. Each holds two copies of the picture: 20 of them need
            480 bytes a pixel, 31 MB at 256 x 256 and 0.5 GB at 1024 x 1024.
        smoothness: how much more a step of L-BFGS moves low frequencies than high ones; 0 is plain pixels. It changes how
            fast the loss falls, not what it is.
        pyramid: number of scales, each twice as large as the one before, the last of full size. Each takes half as many
            steps as the one before. A list says how to share the steps, coarse to fine: `[1, 4]` takes a fifth of them at
            half the size.
        precision: `"float32"`, or `"bfloat16"` for features in half precision until shortly before the end: the last tenth
            of the steps at full size is taken in float32. A step was 1.6 to 3.8 times as fast on a processor that multiplies
            such numbers itself, and 3 to 12 times as slow without (benchmarks/RESULTS.md). The losses in the history are
            half precision's until then.
        start: begin with the `"content"`, with `"noise"`, with the `"style"` or with a picture `(B, 3, H, W)`.
        style_scale: size of the style's short side relative to the content's. Larger means broader strokes. A style is never
            enlarged: one that has too few pixels is used at its own size, with a warning.
        pooling: pooling of the encoder, `"max"`, `"average"` or `"l2"`.
        padding: padding of the encoder; None is the network's own.
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
        encoder: str | os.PathLike[str] | Mapping[str, Tensor] | Encoder = "vgg19_mini",
        *,
        content_layers: Sequence[str] | None = None,
        style_layers: Sequence[str] | None = None,
        content_weight: float = 1.0,
        style_weight: float = 20.0,
        layer_weights: Mapping[str, float] | None = None,
        tv_weight: float = 1.0,
        tv_norm: Literal["l1", "l2"] = "l2",
        relative: bool = True,
        optimizer: Optimizer = "lbfgs",
        steps: int = 300,
        learning_rate: float | None = None,
        history_size: int = 20,
        smoothness: float = 0.4,
        pyramid: int | Sequence[float] = 3,
        precision: Precision = "float32",
        start: Start | Tensor = "content",
        style_scale: float = 1.0,
        pooling: Pooling = "max",
        padding: Padding | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_option("optimizer", optimizer, get_args(Optimizer))
        if not isinstance(start, Tensor):
            check_option("start", start, get_args(Start))
        check_option("precision", precision, get_args(Precision))
        check_option("tv_norm", tv_norm, ("l1", "l2"))
        self.steps, self.history_size = check_whole("steps", steps, 1), check_whole("history_size", history_size, 1)
        self.seed = check_whole("seed", seed, 0)
        if learning_rate is not None:
            learning_rate = check_number("learning_rate", learning_rate, 0, above=True)
        self.shares = _scale_shares(pyramid)
        self.content_weight, self.style_weight, self.tv_weight = check_weights(
            {"content_weight": content_weight, "style_weight": style_weight, "tv_weight": tv_weight}
        )
        self.smoothness = check_number("smoothness", smoothness, 0, 1)
        self.style_scale = check_number("style_scale", style_scale, 0, 100, above=True)
        self._warned: set[tuple[int, ...]] = set()  # the styles that were too small
        name = encoder.name if isinstance(encoder, Encoder) else str(encoder)
        content_layers = layers_of(name, "content") if content_layers is None else content_layers
        style_layers = layers_of(name, "style") if style_layers is None else style_layers
        content_layers = check_layers("content_layers", content_layers)
        style_layers = check_layers("style_layers", style_layers)
        self.content_layers = content_layers if content_weight else ()
        self.style_layers = style_layers if style_weight else ()
        if not self.content_layers and not self.style_layers:
            raise ValueError(
                "nothing to optimise: give at least one content layer or style layer with a weight above 0"
            )
        layers = (*self.content_layers, *self.style_layers)
        self.encoder = as_encoder(encoder, layers, pooling=pooling, padding=padding)
        self.layer_weights = _layer_weights(layer_weights, self.style_layers)
        self.tv_norm: Literal["l1", "l2"] = tv_norm
        self.relative, self.optimizer = relative, optimizer
        self.learning_rate, self.precision = learning_rate, precision
        self.start = start

    def forward(
        self,
        content: Tensor,
        style: Tensor | Sequence[Tensor] | None = None,
        *,
        mask: Tensor | None = None,
        style_weights: Sequence[float] | None = None,
        callback: Callable[[Result], object] | None = None,
        progress: bool = True,
    ) -> Result:
        """Paint `content` in the style of `style`.

        An interrupt (Ctrl-C, or the stop button of a notebook) ends the run early and gives back the best picture so far.

        Args:
            content: `(B, 3, H, W)` in [0, 1].
            style: `(1, 3, h, w)` in [0, 1], or a list of K such pictures of any sizes; may be None without style layers.
            mask: `(K, H, W)` in [0, 1]: where each of the K styles applies. Scaled along with the content.
            style_weights: K numbers: how much of each style, without a mask. None is equal parts.
            callback: called with the `Result` so far after every step.
            progress: show a progress bar with the losses and the time left.

        Raises:
            ValueError: pictures, masks or weights that don't fit together.
        """
        *_, result = self.iterate(
            content,
            style,
            mask=mask,
            style_weights=style_weights,
            callback=callback,
            progress=progress,
            every=self.steps,
        )
        return result

    def stylize(self, content: Tensor, style: Tensor | Sequence[Tensor] | None = None, **options: Any) -> Tensor:
        """The picture alone: `(B, 3, H, W)` in [0, 1]. Options are those of a call."""
        return self(content, style, **options).picture

    def iterate(
        self,
        content: Tensor,
        style: Tensor | Sequence[Tensor] | None = None,
        *,
        mask: Tensor | None = None,
        style_weights: Sequence[float] | None = None,
        callback: Callable[[Result], object] | None = None,
        progress: bool = False,
        every: int = 10,
    ) -> Iterator[Result]:
        """As a call, but an iterator: gives the `Result` so far every `every` steps, and at the end.

        Pictures on the way have the size of the scale they were found at.

        Raises:
            MemoryError: too large a picture for the memory there is; what would fit is named.
            RuntimeError: inside `torch.inference_mode()`.
        """
        every = check_whole("every", every, 1)
        bias = self.encoder.color_bias  # pictures go where the encoder is, in its precision
        device = bias.device
        if bias.dtype in (torch.float16, torch.bfloat16):
            raise ValueError(
                f"Gatys optimises in float32, and this one is {bias.dtype}: for speed, precision='bfloat16'"
            )
        if bias.is_inference() or torch.is_inference_mode_enabled():
            raise RuntimeError("Gatys needs gradients: make it and call it outside of torch.inference_mode()")
        content = check_picture(content, "content").to(bias)
        given: Sequence[Any] = [] if style is None else list(style) if isinstance(style, (list, tuple)) else [style]
        styles = [check_picture(picture, "style", single=True).to(bias) for picture in given]
        if self.style_layers and not styles:
            raise ValueError("style layers need a style picture: give one, or set style_weight=0")
        if mask is not None:
            mask = _check_mask(mask, len(styles), content).to(device)
        if self.style_layers:
            warn_of_small_styles(styles, content, self.style_scale, self._warned)
        shares = _check_shares(style_weights, len(styles), mask).to(device)

        def rehearse(model: Gatys, empty: Tensor, option: Mapping[str, Any]) -> None:
            vars(model).update(option)
            regions = None if mask is None else mask.new_empty(len(mask), *empty.shape[2:], device="meta")
            model._rehearse(empty, [picture.to("meta") for picture in styles], regions, shares.to("meta"))

        lighter: list[dict[str, Any]] = []
        if self.optimizer == "lbfgs":
            lighter = [{"history_size": size} for size in (10, 5) if size < self.history_size] + [{"optimizer": "adam"}]
        plenty, least = PLENTY * content[:, 0].numel() * (1 + len(styles)), 8 * max(self.encoder.stride.values())
        with guarded(self, content, rehearse, device=device, least=least, plenty=plenty, heap=HEAP, options=lighter):
            yield from self._optimise(content, styles, mask, shares, callback, progress, every)

    def _optimise(
        self,
        content: Tensor,
        styles: list[Tensor],
        mask: Tensor | None,
        shares: Tensor,
        callback: Callable[[Result], object] | None,
        progress: bool,
        every: int,
    ) -> Iterator[Result]:
        scales = self._scales(content)
        coarsest, finest = scales[0][0], scales[-1][0]
        # a step costs as much as it has pixels: the bar counts those, and so tells the time left
        work = sum(count * height * width for (height, width), count in scales)
        bar = tqdm(
            total=work,
            disable=not progress or sys.stderr is None,
            leave=False,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {remaining}{postfix}",
        )
        first = self._first(content, styles, coarsest)
        best = start = _resize(first, coarsest)
        result = Result(best.clamp(0, 1), {})
        begun, step = time.perf_counter(), 0
        try:
            for size, count in scales:
                if count == 0:
                    continue
                objective = self._objective(content, styles, mask, shares, size)
                best, start, best_total = _enlarge(best, start, first, size), _resize(first, size), math.inf
                canvas, optimizer = self._begin(best)
                halves = self._count_halves(count, last=size == finest)
                for k in range(count):
                    if k == halves:
                        best_total = math.inf  # losses in half precision are not to be compared with what comes now
                    before, losses = _take_step(optimizer, objective, canvas, half=k < halves)
                    step += 1
                    if not math.isfinite(losses["total"]):
                        warnings.warn(
                            f"the loss was no longer finite at step {step}: kept the best before it; a smaller "
                            "learning_rate may help",
                            stacklevel=3,
                        )
                        break
                    result.history.append(
                        {"step": step, "size": min(size), "bits": 16 if k < halves else 32}
                        | {"seconds": time.perf_counter() - begun}
                        | {name: losses[name] for name in ("total", "content", "style", "tv")}
                    )
                    if losses["total"] < best_total:
                        best, best_total = before, losses["total"]
                        result.picture, result.losses = best.clamp(0, 1), losses
                    bar.update(size[0] * size[1])
                    bar.set_description(f"{min(size)} px, step {step}/{self.steps}", refresh=False)
                    bar.set_postfix_str(f"content {losses['content']:.3g}, style {losses['style']:.3g}", refresh=False)
                    if callback is not None:
                        callback(result)
                    if step % every == 0 and step < self.steps:
                        yield replace(result, history=list(result.history))
        except KeyboardInterrupt:
            pass  # what there is is given
        finally:
            bar.close()
        if tuple(result.picture.shape[2:]) != finest:  # no step at full size had a finite loss
            result.picture = _enlarge(best, start, first, finest).clamp(0, 1)
        yield result

    @torch.enable_grad()
    def _rehearse(self, content: Tensor, styles: list[Tensor], mask: Tensor | None, shares: Tensor) -> None:
        """What `_optimise` holds at once, for `nstlib.memory`: a loss with its gradient, and copies of the picture."""
        for size, count in self._scales(content):
            if count == 0:
                continue
            objective = self._objective(content, styles, mask, shares, size)
            picture = _resize(content, size)
            canvas, _ = self._begin(picture)
            # the best, its result, the start and the one before this step; then two of Adam, or of every past step and
            # two more of L-BFGS
            copies = 4 + (2 if self.optimizer == "adam" else 2 * min(self.history_size, count) + 2)
            kept = [torch.empty_like(picture) for _ in range(copies)]
            objective(canvas())["total"].backward()
            del kept

    def _objective(
        self,
        content: Tensor,
        styles: list[Tensor],
        mask: Tensor | None,
        shares: Tensor,
        size: tuple[int, int],
    ) -> Callable[[Tensor], dict[str, Tensor]]:
        """The loss at one scale, its targets computed once: picture -> {"total", "content", "style", "tv", ...}."""
        contents: dict[str, Tensor] = {}
        grams: dict[str, Tensor] = {}
        masks: dict[str, Tensor] = {}
        with torch.no_grad():
            if self.content_layers:
                features = self.encoder(_resize(content, size))
                contents = {layer: features[layer] for layer in self.content_layers}
            if self.style_layers:
                per_style = []
                for picture in styles:
                    scaled = scaled_size(
                        picture.shape[2:], content.shape[2:], self.style_scale, size, least=self.encoder.least
                    )
                    features = self.encoder(_resize(picture, scaled))
                    per_style.append({layer: gram_matrix(features[layer]) for layer in self.style_layers})
                for layer in self.style_layers:
                    grams[layer] = torch.cat([one[layer] for one in per_style])  # (K, C, C)
                    if mask is None:
                        # Several styles at once: sum_k v_k |G - A_k|^2 and |G - sum_k v_k A_k|^2 differ by a constant
                        grams[layer] = (shares[:, None, None] * grams[layer]).sum(0, keepdim=True)  # (1, C, C)
                    else:
                        stride = self.encoder.stride[layer]
                        masks[layer] = F.interpolate(
                            mask[:, None], (max(1, size[0] // stride), max(1, size[1] // stride)), mode="area"
                        )  # (K, 1, h, w)

        def objective(x: Tensor) -> dict[str, Tensor]:
            features = self.encoder(x)
            terms: dict[str, Tensor] = {"content": x.new_zeros(()), "style": x.new_zeros(())}
            if contents:
                terms["content"], _ = sum_content(features, contents, relative=self.relative)
            if grams:
                terms["style"], layers = sum_style(
                    features, grams, self.layer_weights, relative=self.relative, masks=masks or None, shares=shares
                )
                terms |= {f"style/{layer}": loss.detach() for layer, loss in layers.items()}
            terms["tv"] = total_variation(x, norm=self.tv_norm)
            terms["total"] = (
                self.content_weight * terms["content"]
                + self.style_weight * terms["style"]
                + self.tv_weight * terms["tv"]
            )
            return terms

        return objective

    def _begin(self, picture: Tensor) -> tuple[_Canvas, torch.optim.Optimizer]:
        """A canvas with this picture on it, and a fresh optimiser."""
        if self.optimizer == "adam":
            canvas = _Canvas(picture, 0.0)
            return canvas, torch.optim.Adam(canvas.parameters(), lr=self.learning_rate or 0.02, betas=(0.9, 0.99))
        canvas = _Canvas(picture, self.smoothness)
        # One evaluation a step and no tolerances: we count the steps, and keep the best picture ourselves
        return canvas, torch.optim.LBFGS(
            canvas.parameters(),
            lr=self.learning_rate or 1.0,
            max_iter=1,
            history_size=self.history_size,
            tolerance_grad=0,
            tolerance_change=0,
        )

    def _scales(self, content: Tensor) -> list[tuple[tuple[int, int], int]]:
        """(H, W) of every scale and how many steps it takes, coarse to fine."""
        height, width = content.shape[2:]
        sizes = [
            (round(height / 2**k), round(width / 2**k))
            for k in range(len(self.shares))
            if k == 0 or min(height, width) / 2**k >= LEAST_SIDE
        ]
        return list(zip(sizes[::-1], _share_steps(self.steps, self.shares[-len(sizes) :])))

    def _count_halves(self, count: int, *, last: bool) -> int:
        """How many of the steps at one scale are taken in half precision, before the others."""
        if self.precision == "float32":
            return 0
        return count - math.ceil(LAST * count) if last else count

    def _first(self, content: Tensor, styles: list[Tensor], coarsest: tuple[int, int]) -> Tensor:
        """The picture to start from, at full size. Noise has the grain of the coarsest scale: finer grain would stay."""
        size = content.shape[2:]
        if isinstance(self.start, Tensor):
            picture = check_picture(self.start, "start").to(content)
            if picture.shape[2:] != size or len(picture) not in (1, len(content)):
                raise ValueError(
                    f"start is {tuple(picture.shape)}, and must be as large as content {tuple(content.shape)}"
                )
            return picture.expand(len(content), -1, -1, -1)
        if self.start == "content":
            return content
        if self.start == "style":
            if not styles:
                raise ValueError("start='style' needs a style picture")
            return _resize(styles[0], size).expand(len(content), -1, -1, -1)
        random = torch.Generator().manual_seed(self.seed)
        return _resize(torch.rand(len(content), 3, *coarsest, generator=random).to(content), size)


class _Canvas(nn.Module):
    """The picture as the optimiser sees it: x = first + irfft(w rfft(z)), with w = (f / 0.1)^-smoothness.

    A step in z is a step in x whose low frequencies count more. The loss is steeper along fine grain than along broad
    strokes, so L-BFGS needs fewer of these steps (benchmarks/gatys.py). Olah et al. 2017 choose such coordinates for looks.
    """

    def __init__(self, first: Tensor, smoothness: float) -> None:
        super().__init__()
        # L-BFGS flattens z and its gradient with .view, so both are contiguous whatever the encoder runs in
        self.first = first.detach().contiguous()
        self.z = nn.Parameter(torch.zeros_like(self.first))
        height, width = first.shape[2:]
        fy, fx = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
        f = (fy.square() + fx.square()).sqrt().clamp(min=1 / max(height, width))  # (H, W / 2 + 1), cycles per pixel
        self.w = ((f / 0.1) ** -smoothness).to(self.first) if smoothness else None

    def forward(self) -> Tensor:
        if self.w is None:
            return self.first + self.z
        return self.first + torch.fft.irfft2(self.w * torch.fft.rfft2(self.z), s=self.first.shape[2:])


def _take_step(
    optimizer: torch.optim.Optimizer,
    objective: Callable[[Tensor], dict[str, Tensor]],
    canvas: _Canvas,
    *,
    half: bool = False,
) -> tuple[Tensor, dict[str, float]]:
    """One step of the optimiser: the picture before it, and the terms of its loss."""
    terms: dict[str, Tensor] = {}
    pictures: list[Tensor] = []

    def closure() -> float:
        optimizer.zero_grad(set_to_none=True)
        x = canvas()
        pictures.append(x.detach())
        # gradients then come in the precision of their features by themselves
        with torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext():
            terms.update(objective(x))
        # L-BFGS drops steps whose product with the change of gradient is below 1e-10, and the gradient of a mean over
        # pixels shrinks as the picture grows: so it is given the sum.
        loss = terms["total"] * x[0].numel()
        loss.backward()
        return loss.item()

    before = canvas.z.detach().clone()
    optimizer.step(closure)
    if isinstance(optimizer, torch.optim.LBFGS):
        step = canvas.z.detach() - before
        longest = step.abs().max().item()
        if math.isfinite(longest) and longest > LEAP:
            # take a shorter step the same way, and let the optimiser know how long it was
            canvas.z.data.copy_(before + step * (LEAP / longest))
            optimizer.state[canvas.z]["t"] *= LEAP / longest
    return pictures[0], {name: term.item() for name, term in terms.items()}


def _enlarge(picture: Tensor, start: Tensor, first: Tensor, size: Sequence[int]) -> Tensor:
    """A picture of one scale at a finer one: what was changed of `start`, added to `first` with all its detail."""
    return _resize(first, size) + _resize(picture - start, size)


def _resize(picture: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(picture.shape[2:]) == tuple(size):
        return picture.detach().clone()
    return F.interpolate(picture.detach(), tuple(size), mode="bicubic", antialias=True, align_corners=False)


def _scale_shares(pyramid: int | Sequence[float]) -> tuple[float, ...]:
    """Shares of the steps, coarse to fine."""
    if isinstance(pyramid, list | tuple) and pyramid:
        return tuple(check_number("every share of the pyramid", share, 0, above=True) for share in pyramid)
    if not isinstance(pyramid, numbers.Integral):
        raise ValueError(f"pyramid must be a number of scales, or a list of their shares of the steps, got {pyramid!r}")
    return tuple(2.0**k for k in reversed(range(check_whole("pyramid", int(pyramid), 1, 32))))


def _share_steps(steps: int, shares: Sequence[float]) -> list[int]:
    """Steps per scale, coarse to fine: by their shares, and the last at least one."""
    counts: list[int] = []
    for k, share in enumerate(shares):
        left = steps - sum(counts)
        counts.append(left if k == len(shares) - 1 else min(left - 1, round(left * share / sum(shares[k:]))))
    return counts


def _layer_weights(weights: Mapping[str, float] | None, layers: Sequence[str]) -> dict[str, float]:
    if weights is None:
        return {layer: 1 / len(layers) for layer in layers}
    unknown = [layer for layer in weights if layer not in layers]
    if unknown:
        raise ValueError(f"layer_weights names {unknown}, and the style layers are {list(layers)}")
    total = sum(weights.values())
    if not 0 < total < math.inf or min(weights.values()) < 0:
        raise ValueError(f"layer_weights must be at least 0 with a finite sum above 0, got {dict(weights)}")
    return {layer: weights.get(layer, 0.0) / total for layer in layers}


def _check_mask(mask: Tensor, styles: int, content: Tensor) -> Tensor:
    check_mask(mask, styles, content)
    mask = mask.to(content.dtype)
    if not bool(torch.isfinite(mask).all()) or mask.min() < 0 or mask.max() > 1:
        raise ValueError(f"mask values must lie in [0, 1], found {mask.min():.3g} to {mask.max():.3g}")
    if bool((mask.sum((1, 2)) == 0).any()):
        raise ValueError("every style needs a region: one mask is zero everywhere")
    return mask


def _check_shares(weights: Sequence[float] | None, styles: int, mask: Tensor | None) -> Tensor:
    """Weights of the styles, with sum 1; regions weigh as much as their areas."""
    if weights is None and mask is not None:
        weights = mask.sum((1, 2)).tolist()
    return share_styles(weights, styles)
