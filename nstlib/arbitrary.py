"""Any style at once: what AdaIN, SANet and AdaAttN share.

All three read photograph and painting through the same frozen encoder, give the photograph's features the style of the
painting's, and paint what comes out with a decoder. They differ in the middle:

    picture = decode(transfer(encode(content), encode(style)))

A method names the layers it reads, says what it keeps of a style, and transfers. Everything a user may want of all three
is written here, once: strength, several styles, masks, any size, one style for many pictures, big pictures.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.checkpoints import check_encoder, load_weights, read_decoder, read_model, save_weights
from nstlib.checks import check_number, check_weights, check_whole
from nstlib.decoder import RADIUS, STAGES, Decoder
from nstlib.encoder import Encoder, PaddedConv, as_encoder
from nstlib.image import check_mask, check_picture
from nstlib.losses import moments, share_styles
from nstlib.memory import Rehearsal, guarded
from nstlib.tiling import Maps, crop, fill_up, in_tiles
from nstlib.weights import Checkpoint, Source, read_checkpoint

Statistics = Mapping[str, tuple[Tensor, Tensor]]
"""Name of a map -> mean and standard deviation of the whole picture, each `(B, C, 1, 1)`."""

TILE = 512
"""Pictures with more pixels than a square of this side are painted in tiles of this side."""

PLENTY = 4096
"""Bytes per pixel that are enough for any picture (`nstlib.memory`): more than twice what each method needs, tested."""

HEAP = 1.85
"""How much of the heap is holes: see `nstlib.memory`."""

_Model = TypeVar("_Model", bound="ArbitraryStyle")


@dataclass(frozen=True)
class Style:
    """A painting as a method keeps it, from `encode_style`: for as many photographs as you like.

    Attributes:
        method: whose it is.
        code: name -> tensor. You may mix your own.
        encoder: fingerprint of the encoder that read it; empty is not checked.
    """

    method: str
    code: dict[str, Tensor]
    encoder: str = ""


class ArbitraryStyle(nn.Module, ABC):
    """The face that AdaIN, SANet and AdaAttN have in common.

    Args:
        encoder: the name, path or state dict of a network, or an `Encoder` that has the layers the method reads.
        about: what is known of the weights.

    Attributes:
        encoder: frozen.
        network: what is trained: the decoder, and the method's own layers.
        about: what is known of the weights: data, steps, losses, ...
    """

    method: ClassVar[str]
    layers: ClassVar[tuple[str, ...]]
    parts: ClassVar[tuple[str, ...]] = ("decoder",)
    """The parts of `network`: the published weights bring each in a file of its own."""

    def __init__(
        self,
        encoder: str | os.PathLike[str] | Mapping[str, Tensor] | Encoder = "vgg19_mini",
        *,
        about: Mapping[str, str] | None = None,
        widths: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        needed = dict.fromkeys((*self.layers, "relu1_1", "relu2_1", "relu3_1", "relu4_1"))
        self.encoder = as_encoder(encoder, tuple(needed))
        # in the encoder's precision, whatever PyTorch's default is
        self.network = self._build(self.encoder.channels, widths or self.encoder.channels).to(self.encoder.color_bias)
        for layer in self._decoder.reads:
            given, taken = self.encoder.channels[layer], (widths or self.encoder.channels)[layer]
            if given != taken:
                raise ValueError(
                    f"the decoder takes {taken} channels at {layer}, and this encoder gives {given}: take the encoder "
                    "that it was trained with"
                )
        self.about = dict(about or {})
        self.start = "random weights"
        self.stride = max(self.encoder.stride[layer] for layer in self.layers)
        self.to(memory_format=torch.channels_last)
        self.eval()

    # ------------------------------------------------------------------------------ what a method is made of

    @abstractmethod
    def _build(self, channels: Mapping[str, int], widths: Mapping[str, int]) -> nn.ModuleDict:
        """The trained parts, for an encoder of these channels and a decoder of those widths."""

    def _read(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The maps that the method works with, from the encoder's features: those themselves."""
        return {layer: features[layer] for layer in self.layers}

    @abstractmethod
    def _keep(self, maps: Maps, statistics: Statistics) -> dict[str, Tensor]:
        """What is kept of a style."""

    @abstractmethod
    def _transfer(self, maps: Maps, statistics: Statistics, code: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the decoder is to paint: the content's maps in the style."""

    # ------------------------------------------------------------------------------ what a user calls

    @classmethod
    def pretrained(cls: type[_Model]) -> _Model:
        """The network that is shipped with the package, on the embedded encoder.

        Raises:
            OSError: its file is damaged.
        """
        return cls.from_checkpoint(cls.method)

    @classmethod
    def from_checkpoint(
        cls: type[_Model],
        source: Source | None = None,
        *,
        encoder: str | os.PathLike[str] | Mapping[str, Tensor] | Encoder = "vgg19_mini",
        **parts: Source,
    ) -> _Model:
        """Return the model of a file of ours, or of the published weights, which come in several files.

        Args:
            source: a file that `save` or `nst train` has written (its `checkpoint-<step>.pt`, too), the state dict of such
                a model, or the file of one, as `torch.save(model.state_dict(), ...)` writes it. For AdaIN, whose published
                weights are one file, that file.
            encoder: what the weights were trained with: for published ones, `vgg_normalised.pth`.
            **parts: the published weights instead, each a path or a state dict: `decoder` for AdaIN; `transformer` and
                `decoder` for SANet; `adaattn_3`, `transformer` and `decoder` (`latest_net_<part>.pth`) for AdaAttN.

        Raises:
            ValueError: weights of another method, or trained on another encoder.
            TypeError: neither a source nor all of the parts, or both.
            FileNotFoundError: no file at that path.
            OSError: a file that is damaged or holds no weights.

        Example:
            >>> from nstlib import AdaIN
            >>> AdaIN.from_checkpoint(AdaIN.pretrained().state_dict()).method
            'adain'
        """
        checkpoint = read_model(cls.method, cls.parts, source, parts)
        widths = dict(zip(STAGES, read_decoder(checkpoint).widths))
        with torch.random.fork_rng(devices=[]):  # the first weights are random, and replaced at once
            model = cls(encoder, about=checkpoint.metadata, widths=widths)
        model._load(checkpoint)
        return model

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> Path:
        """Write the trained network as a safetensors file, whole or not at all, for `from_checkpoint`.

        The encoder isn't written, but the file knows which one it was.

        Args:
            path: where; it ends with `.safetensors`.
            half: store half precision, in half the space. Else the weights keep their own precision, bit for bit. They are
                read as float32 in any case.

        Raises:
            ValueError: a path with another suffix.
            OSError: the file can't be written.

        Example:
            >>> import tempfile
            >>> from nstlib import SANet
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = SANet.pretrained().save(f"{folder}/mine.safetensors", half=True)
            ...     SANet.from_checkpoint(path).about["encoder"]
            'vgg19_mini'
        """
        known = {"method": self.method, "encoder": self.encoder.name, "encoder_fingerprint": self.encoder.fingerprint}
        return save_weights(self.network, path, {**self.about, **known}, half=half)

    def forward(
        self,
        content: Tensor,
        style: Tensor | Style | Sequence[Tensor | Style],
        alpha: float = 1.0,
        *,
        style_weights: Sequence[float] | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Paint, with gradients.

        Args:
            content: `(B, 3, H, W)` in [0, 1], of any size.
            style: `(B or 1, 3, h, w)` in [0, 1] or what `encode_style` gave, or a list of K such.
            alpha: strength in [0, 1]: 0 paints the content in its own style.
            style_weights: K numbers: how much of each style. None is equal parts.
            mask: `(K, H, W)`, with sum 1 at every pixel: where each style applies, instead of style_weights.

        Returns:
            `(B, 3, H, W)`, meant for [0, 1], not clamped.

        Raises:
            ValueError: a wrong shape, range, batch size, alpha, weight or mask; NaN or infinity.
        """
        check_picture(content, "content")
        return self._paint(content, style, alpha, style_weights, mask, math.inf)

    @torch.no_grad()
    def stylize(
        self,
        content: Tensor,
        style: Tensor | Style | Sequence[Tensor | Style],
        alpha: float = 1.0,
        *,
        style_weights: Sequence[float] | None = None,
        mask: Tensor | None = None,
        tile: int = TILE,
        progress: bool = False,
    ) -> Tensor:
        """Paint, without gradients: a call, clamped. Big pictures are painted in tiles that fit together without a seam.

        Args:
            content: as for a call, as are style, alpha, style_weights and mask.
            tile: side of a tile in pixels; pictures with no more pixels than such a tile are painted whole.
            progress: there is no bar for so short a time.

        Returns:
            `(B, 3, H, W)` in [0, 1].

        Raises:
            MemoryError: too large a picture for the memory there is; what would fit is named.
        """
        tile = check_whole("tile", tile, self.stride)
        check_picture(content, "content")
        given = style if isinstance(style, (list, tuple)) else [style]
        styles = [one for one in given if isinstance(one, (Tensor, Style))]

        def rehearse(model: ArbitraryStyle, empty: Tensor, option: Mapping[str, Any]) -> None:
            model._paint(empty, model._read_all(styles, tile), alpha, None, None, option.get("tile", tile)).clamp_(0, 1)

        pixels = sum(one.numel() for one in (content, *styles) if isinstance(one, Tensor)) // 3
        smaller = [{"tile": side} for side in (512, 256, 128) if self.stride <= side < tile]
        with self._guarded(content, rehearse, plenty=PLENTY * pixels, options=smaller):
            return self._paint(content, style, alpha, style_weights, mask, tile).clamp_(0, 1)

    @torch.no_grad()
    def encode_style(self, style: Tensor, *, tile: int = TILE) -> Style:
        """Read a painting once, for many photographs.

        Args:
            style: `(B or 1, 3, h, w)` in [0, 1].
            tile: as for `stylize`. A painting is read in tiles if its sides are multiples of the encoder's stride.

        Returns:
            What takes the place of the painting in any call; without gradients.
        """
        tile = check_whole("tile", tile, self.stride)

        def rehearse(model: ArbitraryStyle, empty: Tensor, option: Mapping[str, Any]) -> None:
            model._read_style(empty, tile)

        check_picture(style, "style")
        with self._guarded(style, rehearse, plenty=PLENTY * style[:, 0].numel()):
            return Style(self.method, self._read_style(style, tile), self.encoder.fingerprint)

    @torch.no_grad()
    def start_from(self, source: Source) -> None:
        """Begin a training with trained weights: all of them if they are of this method, else those of the decoder.

        Args:
            source: a file or a state dict of any of these methods, as for `from_checkpoint`, or the name of a shipped one:
                `"adain"`, `"sanet"`, `"adaattn"`.

        Raises:
            ValueError: weights without a decoder, or made for another encoder.
            FileNotFoundError: no file at that path.
            OSError: a file that is damaged or holds no weights.
        """
        checkpoint = read_checkpoint(source)
        method = checkpoint.metadata.get("method")
        same = method == self.method or (
            method is None and checkpoint.network.keys() == self.network.state_dict().keys()
        )
        if same:
            self._load(checkpoint)
        else:
            check_encoder(self.encoder, checkpoint)
            self._decoder.start_from(read_decoder(checkpoint))
        origin, steps = method or checkpoint.label, checkpoint.metadata.get("steps", "?")
        self.start = f"{'weights' if same else 'decoder'} of {origin} after {steps} steps"

    def transfer(self, content: Mapping[str, Tensor], style: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What the decoder is to paint, from the encoder's features of both: what is trained, for the objectives."""
        c, s = self._read(content), self._read(style)
        return self._transfer(c, measure(c), self._keep(s, measure(s)))

    # ------------------------------------------------------------------------------ how it is done

    def _paint(
        self,
        content: Tensor,
        style: Tensor | Style | Sequence[Tensor | Style],
        alpha: float,
        style_weights: Sequence[float] | None,
        mask: Tensor | None,
        tile: float,
    ) -> Tensor:
        strength = check_number("alpha", alpha, 0, 1)
        alpha = alpha if isinstance(alpha, Tensor) else strength  # a tensor stays one, for the gradient
        codes = self._codes(style, len(content), tile)
        weights = self._weights(style_weights, mask, len(codes), content)
        filled = fill_up(content.to(self.encoder.color_bias), self.stride, self._least)
        maps = self._encode(filled, tile)
        statistics = measure(maps)
        # The content in its own style is what the decoder makes of it alone: alpha goes from there to the style
        changed = [self._transfer(maps, statistics, code) for code in codes]
        result = _blend(changed, weights)
        if alpha < 1:
            own = self._transfer(maps, statistics, self._code(maps, statistics))
            # alpha t + (1 - alpha) c
            result = {layer: torch.lerp(own[layer], one, alpha) for layer, one in result.items()}
        del maps, changed
        painted = self._in_tiles(self._decode_window, result, filled, tile, RADIUS)["picture"]
        return crop(painted, content.shape[2], content.shape[3])

    def _encode_style(self, style: Tensor, tile: float) -> dict[str, Tensor]:
        check_picture(style, "style")
        return self._read_style(style, tile)

    def _read_style(self, style: Tensor, tile: float) -> dict[str, Tensor]:
        maps = self._encode(fill_up(style.to(self.encoder.color_bias), 1, self._least), tile)
        return self._code(maps, measure(maps))

    def _code(self, maps: Maps, statistics: Statistics) -> dict[str, Tensor]:
        """What is kept of a style, in the encoder's precision."""
        return {name: part.to(self.encoder.color_bias) for name, part in self._keep(maps, statistics).items()}

    def _read_all(self, styles: Sequence[Tensor | Style], tile: float) -> list[Style]:
        """The codes of styles of these shapes, without numbers: for `nstlib.memory`."""
        codes = [
            {name: part.to("meta") for name, part in one.code.items()}
            if isinstance(one, Style)
            else self._read_style(one.to("meta"), tile)
            for one in styles
        ]
        return [Style(self.method, code, self.encoder.fingerprint) for code in codes]

    def _guarded(
        self, picture: Tensor, rehearse: Rehearsal, *, plenty: int, options: Any = ()
    ) -> AbstractContextManager[None]:
        device = self.encoder.color_bias.device
        return guarded(
            self, picture, rehearse, device=device, least=self._least, plenty=plenty, heap=HEAP, options=options
        )

    def _encode(self, picture: Tensor, tile: float) -> dict[str, Tensor]:
        return self._in_tiles(self._encode_window, {"picture": picture}, picture, tile, self._reach)

    def _encode_window(self, maps: Maps) -> dict[str, Tensor]:
        return self._read(self.encoder(maps["picture"], self.layers))

    def _decode_window(self, maps: Maps) -> dict[str, Tensor]:
        return {"picture": self._decoder(maps)}

    def _in_tiles(
        self, function: Callable[[Maps], dict[str, Tensor]], maps: Maps, picture: Tensor, tile: float, reach: int
    ) -> dict[str, Tensor]:
        """`function(maps)`, in tiles if the picture has more pixels than one. Tiles are cut at multiples of the stride."""
        height, width = picture.shape[2:]
        if height * width <= tile**2 or height % self.stride or width % self.stride:
            return function(maps)
        side, margin = int(tile) // self.stride * self.stride, -(-reach // self.stride) * self.stride
        return in_tiles(function, maps, (height, width), side, margin)

    @property
    def _decoder(self) -> Decoder:
        decoder = self.network["decoder"]
        assert isinstance(decoder, Decoder)
        return decoder

    @property
    def _least(self) -> int:
        return 2 * max(self.encoder.stride.values())  # two positions, so that there is a neighbour to reflect

    @property
    def _reach(self) -> int:
        """How far the encoder sees, in pixels: every convolution one position, in windows that no pool is cut by."""
        reach, stride = 0, 1
        for step in self.encoder.chain:
            if step.startswith("conv"):
                reach += stride
            elif step.startswith("pool"):
                stride *= 2
            if step in self.layers:
                deepest = reach
        return deepest

    def _codes(self, style: Any, batch: int, tile: float) -> list[dict[str, Tensor]]:
        styles = list(style) if isinstance(style, (list, tuple)) else [style]
        if not styles:
            raise ValueError("no style: give at least one picture")
        codes = []
        for one in styles:
            if isinstance(one, Style) and one.method != self.method:
                raise ValueError(
                    f"this style was encoded by {one.method!r}, and {self.method!r} needs its own encode_style"
                )
            if isinstance(one, Style) and one.encoder not in ("", self.encoder.fingerprint):
                raise ValueError(
                    "this style was encoded with another encoder: encode it with the model that is to paint"
                )
            if isinstance(one, Style):  # which may come from another device
                code = {name: part.to(self.encoder.color_bias) for name, part in one.code.items()}
            else:
                code = self._encode_style(one, tile)
            found = len(next(iter(code.values())))
            if found not in (1, batch):
                need = f"{batch} contents need 1 style or {batch}" if batch > 1 else "1 content needs 1 style"
                raise ValueError(f"{need}, got a batch of {found}")
            codes.append(code)
        return codes

    def _weights(
        self, style_weights: Sequence[float] | None, mask: Tensor | None, styles: int, content: Tensor
    ) -> Tensor:
        """How much of every style, `(K, 1, H or 1, W or 1)`."""
        if mask is not None:
            if style_weights is not None:
                raise ValueError("mask and style_weights both say how much of each style: give one of them")
            return self._mask(mask, styles, content)
        return share_styles(style_weights, styles).to(self.encoder.color_bias)[:, None, None, None]

    def _mask(self, mask: Tensor, styles: int, content: Tensor) -> Tensor:
        check_mask(mask, styles, content)
        mask = mask.to(self.encoder.color_bias)
        total = mask.sum(0)
        if not bool(torch.isfinite(mask).all()) or mask.min() < 0 or (total - 1).abs().max() > 1e-3:
            raise ValueError(
                f"masks must be at least 0 and have the sum 1 at every pixel, found sums from {total.min():.3g} to "
                f"{total.max():.3g}; divide them by their sum"
            )
        return fill_up(mask[:, None], self.stride, self._least)

    def _load(self, checkpoint: Checkpoint) -> None:
        """Give the network weights that are made for it and for this encoder."""
        check_encoder(self.encoder, checkpoint)
        load_weights(self.network, checkpoint.network, checkpoint.label, f"network of {type(self).__name__}")


def measure(maps: Maps) -> dict[str, tuple[Tensor, Tensor]]:
    """Mean and standard deviation of every map."""
    return {name: moments(one) for name, one in maps.items()}


def standardize(x: Tensor, statistics: tuple[Tensor, Tensor]) -> Tensor:
    """Features with their mean and standard deviation taken away, `(B, C, h, w)`."""
    mean, std = statistics
    # mvn(x) = (x - mean(x)) / std(x)
    return ((x - mean) / std).to(x.dtype)


def total(terms: Iterable[Tensor]) -> Tensor:
    """The sum of scalars."""
    return torch.stack(list(terms)).sum()


def _blend(maps: Sequence[Mapping[str, Tensor]], weights: Tensor) -> dict[str, Tensor]:
    """The weighted mean over K styles, place by place."""
    if len(maps) == 1:
        return dict(maps[0])
    blended: dict[str, Tensor] = {}
    for layer, first in maps[0].items():
        shares = (
            weights if weights.shape[2:] == (1, 1) else F.adaptive_avg_pool2d(weights, (first.shape[2], first.shape[3]))
        )
        # t = sum_k w_k t_k
        blended[layer] = torch.stack([share.to(first.dtype) * one[layer] for share, one in zip(shares, maps)]).sum(0)
    return blended


def start_neutral(conv: nn.Conv2d) -> None:
    """Let a convolution begin as one that changes nothing."""
    assert conv.bias is not None
    nn.init.dirac_(conv.weight)
    nn.init.zeros_(conv.bias)


class Merge(nn.Module):
    """Features at relu4_1 and relu5_1, joined: conv3x3(x + up(y)).

    Args:
        channels: C of relu4_1.
        deep_channels: C of relu5_1. In VGG19 they are equal; where they differ, a 1x1 convolution makes them so.
    """

    def __init__(self, channels: int, deep_channels: int) -> None:
        super().__init__()
        if channels != deep_channels:
            self.widen = nn.Conv2d(deep_channels, channels, 1)
            for parameter in self.widen.parameters():
                nn.init.zeros_(parameter)  # relu4_1 alone, to begin with
        self.merge_conv = PaddedConv(channels, channels, 3, padding=1, padding_mode="reflect")
        start_neutral(self.merge_conv)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """`(B, C, h, w)` and `(B, C', h / 2, w / 2)` -> `(B, C, h, w)`."""
        if hasattr(self, "widen"):
            y = self.widen(y)
        y = F.interpolate(y, x.shape[2:])
        merged: Tensor = self.merge_conv(x + y)
        return merged


class Trainer(nn.Module):
    """What the objectives of the three methods share.

    Args:
        model: the method, on an encoder that has the layers of the loss. Its `network` is trained.
    """

    layers: ClassVar[tuple[str, ...]]
    weights: ClassVar[dict[str, float]]
    """Term of the loss -> its weight in the paper."""

    def __init__(self, model: ArbitraryStyle, **weights: float) -> None:
        super().__init__()
        self.encoder = as_encoder(model.encoder, self.layers)
        self.model, self.network = model, model.network
        unknown = set(weights) - set(self.weights)
        if unknown:
            raise TypeError(f"{model.method} has no term {unknown.pop()!r}; there are: {', '.join(self.weights)}")
        given = {**self.weights, **weights}
        self.weight = dict(zip(given, check_weights({f"the weight of {term}": one for term, one in given.items()})))

    def read_pair(self, content: Tensor, style: Tensor | None) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Features of both pictures, without gradients."""
        if style is None:
            raise ValueError(f"{self.model.method} sees a new painting at every step: name a folder of styles")
        if any(side % self.model.stride for side in (*content.shape[2:], *style.shape[2:])):
            raise ValueError(
                f"{self.model.method} is trained on pictures whose sides are a multiple of {self.model.stride}, got "
                f"{tuple(content.shape[2:])} and {tuple(style.shape[2:])}"
            )
        with torch.no_grad():
            return self.encoder(content), self.encoder(style)

    def copy(self, features: Mapping[str, Tensor], picture: Tensor) -> Tensor:
        """How well the decoder paints a picture from its own features: |g(f(c)) - c|^2."""
        return F.mse_loss(self.network["decoder"](features).float(), picture)

    def weigh(self, **terms: Tensor) -> dict[str, Tensor]:
        """The terms times their weights; those of weight 0 are left out."""
        return {name: self.weight[name] * term for name, term in terms.items() if self.weight[name]}

    def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
        """What the model paints now, `(B, 3, S, S)` in [0, 1]."""
        assert style is not None
        return self.model.stylize(content, style)

    def describe(self) -> dict[str, str]:
        """What there is to know of weights trained by this objective."""
        return {
            "method": self.model.method,
            "start": self.model.start,
            "encoder": self.encoder.name,
            "encoder_fingerprint": self.encoder.fingerprint,
            **{f"weight of {term}": str(weight) for term, weight in self.weight.items()},
        }
