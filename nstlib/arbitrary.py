"""Any style at once: what AdaIN, SANet and AdaAttN share.

All three read photograph and painting through the same frozen encoder, give the photograph's features the style of the
painting's, and paint what comes out with a decoder. They differ in the middle:

    picture = decode(transfer(encode(content), encode(style)))

A method names the layers it reads, says what it keeps of a style, and transfers. Everything a user may want of all three
is written here, once: strength, several styles, masks, transparency, any size, one style for many pictures, big pictures.

Several styles have shares that add up to 1, at every position, and what they give is blended by them:

    t = sum_k w_k transfer(content, style_k)

Strength is a special case: the photograph itself is one more style, with the share 1 - alpha.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.checkpoints import check_encoder, check_method, load_weights, read_decoder, read_model, save_weights
from nstlib.checks import check_int, check_mask, check_number, check_picture, check_weights
from nstlib.decoder import DECODER_REACH_PX, STAGES, ConditionedDecoder, Decoder, condition
from nstlib.encoder import Encoder, PaddedConv, as_encoder
from nstlib.losses import adain, moments, moments_distance, normalize_weights
from nstlib.memory import enough_memory
from nstlib.objective import Objective
from nstlib.opacity import opacity_at, select_opaque, split_opacity
from nstlib.tiling import FeatureMaps, crop, in_tiles, pad_to_multiple
from nstlib.weights import Checkpoint, Source, read_checkpoint

TILE = 512
"""Pictures with more pixels than a square of this side are painted in tiles of this side."""

Code = dict[str, Tensor]
"""What a method keeps of a painting: name -> tensor, `(B or 1, ...)`."""

Model = TypeVar("Model", bound="ArbitraryStyle")


@dataclass(frozen=True)
class EncodedStyle:
    """A painting as a method keeps it, from `encode_style`: for as many photographs as you like.

    Attributes:
        method: the method that encoded it.
        code: name -> tensor. You may mix your own.
        encoder_fingerprint: of the encoder that read it; empty is not checked.
    """

    method: str
    code: Code
    encoder_fingerprint: str = ""


class ArbitraryStyle(nn.Module, ABC):
    """The base class of AdaIN, SANet and AdaAttN.

    A method of your own names its `method` and `layers` and defines `encode_style_features` and `transfer`, and `build`
    if it has layers to train besides the decoder.

    Args:
        encoder: the name, path or state dict of a network, or an `Encoder` that has the layers the method reads.
        decoder: what paints. None is a new one, the papers' or, with `conditioned`, one that is told the style.
        conditioned: whether a new decoder is a `ConditionedDecoder`.
        metadata: what is known of the weights.

    Attributes:
        encoder: frozen.
        network: what is trained: the decoder, and the method's own layers.
        metadata: what is known of the weights: data, steps, losses, ...
    """

    method: ClassVar[str]
    layers: ClassVar[tuple[str, ...]]
    skips: ClassVar[tuple[str, ...]] = ()
    """Layers whose changed features the papers' decoder takes besides relu4_1."""
    parts: ClassVar[tuple[str, ...]] = ("decoder",)
    """The parts of `network`: the published weights bring each in a file of its own."""

    def __init__(
        self,
        encoder: str | os.PathLike[str] | Mapping[str, Tensor] | Encoder = "vgg19_mini",
        *,
        decoder: Decoder | None = None,
        conditioned: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = as_encoder(encoder, tuple(dict.fromkeys((*self.layers, *STAGES))))
        channels = self.encoder.channels
        if decoder is None and conditioned:
            decoder = ConditionedDecoder(channels, skips=("relu3_1", "relu2_1"), blocks=2)
        decoder = decoder or Decoder(channels, skips=self.skips)
        for layer in ("relu4_1", *decoder.skips):
            if decoder.channels[layer] != channels[layer]:
                raise ValueError(
                    f"the decoder takes {decoder.channels[layer]} channels at {layer}, and this encoder gives "
                    f"{channels[layer]}: take the encoder that it was trained with"
                )
        # in the encoder's precision, whatever PyTorch's default is
        self.network = nn.ModuleDict({**self.build(channels), "decoder": decoder}).to(self.encoder.color_bias)
        self.metadata = dict(metadata or {})
        self.origin = "random weights"
        self.stride = max(self.encoder.stride[layer] for layer in self.layers)
        self.to(memory_format=torch.channels_last)
        self.eval()

    # ------------------------------------------------------------------------------ what a method is made of

    def build(self, channels: Mapping[str, int]) -> dict[str, nn.Module]:
        """Return the parts that are trained besides the decoder, for an encoder of these channels."""
        return {}

    def select_features(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the maps that the method works with, from the encoder's features: those of its layers."""
        return {layer: features[layer] for layer in self.layers}

    @abstractmethod
    def encode_style_features(self, style: FeatureMaps) -> Code:
        """Return what is kept of a style, from its maps `(B or 1, C, h, w)`."""

    @abstractmethod
    def transfer(self, content: FeatureMaps, code: Code, opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Return what the decoder is to paint.

        Args:
            content: the photograph's maps, `(B, C, H, W)`.
            code: what `encode_style_features` kept of the style.
            opacity: name of a map -> `(1, 1, H, W)`, how much each position counts, or None.
        """

    # ------------------------------------------------------------------------------ what a user calls

    @classmethod
    def pretrained(cls: type[Model]) -> Model:
        """The network that is shipped with the package, on the embedded encoder.

        Raises:
            OSError: its file is damaged.
        """
        return cls.from_checkpoint(cls.method)

    @classmethod
    def from_checkpoint(
        cls: type[Model],
        source: Source | None = None,
        *,
        encoder: str | os.PathLike[str] | Mapping[str, Tensor] | Encoder = "vgg19_mini",
        **parts: Source,
    ) -> Model:
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
        decoder = read_decoder(checkpoint)
        with torch.random.fork_rng(devices=[]):  # the first weights are random, and replaced at once
            model = cls(encoder, decoder=decoder, metadata=checkpoint.metadata)
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
            ...     SANet.from_checkpoint(path).metadata["encoder"]
            'vgg19_mini'
        """
        known = {"method": self.method, "encoder": self.encoder.name, "encoder_fingerprint": self.encoder.fingerprint}
        return save_weights(self.network, path, {**self.metadata, **known}, half=half)

    def forward(
        self,
        content: Tensor,
        style: Tensor | EncodedStyle | Sequence[Tensor | EncodedStyle],
        alpha: float | Tensor = 1.0,
        *,
        style_weights: Sequence[float] | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Paint, with gradients.

        Args:
            content: `(B, 3, H, W)` in [0, 1], of any size; or `(1, 4, H, W)` with the opacity of every pixel, which the
                result keeps. What is transparent counts in no statistic.
            style: `(B or 1, 3, h, w)` in [0, 1], `(1, 4, h, w)`, or what `encode_style` gave, or a list of K such.
            alpha: strength in [0, 1]: 0 paints the content in its own style.
            style_weights: K numbers: how much of each style. None is equal parts.
            mask: `(K, H, W)`, with sum 1 at every pixel: where each style applies, instead of style_weights.

        Returns:
            `(B, 3, H, W)`, or 4 channels as the content has, meant for [0, 1], not clamped.

        Raises:
            ValueError: a wrong shape, range, batch size, alpha, weight or mask; NaN or infinity.
        """
        check_picture(content, "content", opacity=True)
        return self._paint(content, style, alpha, style_weights, mask, math.inf)

    @torch.no_grad()
    def stylize(
        self,
        content: Tensor,
        style: Tensor | EncodedStyle | Sequence[Tensor | EncodedStyle],
        alpha: float | Tensor = 1.0,
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
            `(B, 3, H, W)` in [0, 1], or 4 channels as the content has.

        Raises:
            MemoryError: too large a picture for the memory there is; what would fit is named.
        """
        tile = check_int("tile", tile, self.stride)
        check_picture(content, "content", opacity=True)
        with enough_memory(self.method, content, device=self.encoder.color_bias.device, width=self.encoder.width):
            return self._paint(content, style, alpha, style_weights, mask, tile).clamp_(0, 1)

    @torch.no_grad()
    def encode_style(self, style: Tensor, *, tile: int = TILE) -> EncodedStyle:
        """Read a painting once, for many photographs.

        Args:
            style: `(B or 1, 3, h, w)` in [0, 1], or `(1, 4, h, w)`, of which transparent parts are left out.
            tile: as for `stylize`. A painting is read in tiles if its sides are multiples of the encoder's stride.

        Returns:
            What takes the place of the painting in any call; without gradients.
        """
        code = self._encode_style(style, check_int("tile", tile, self.stride))
        return EncodedStyle(self.method, code, self.encoder.fingerprint)

    # ------------------------------------------------------------------------------ how it is done

    def _paint(
        self,
        content: Tensor,
        style: Tensor | EncodedStyle | Sequence[Tensor | EncodedStyle],
        alpha: float | Tensor,
        style_weights: Sequence[float] | None,
        mask: Tensor | None,
        tile: float,
    ) -> Tensor:
        strength = check_number("alpha", float(alpha), 0, 1)
        picture, opacity = split_opacity(content)
        styles: Sequence[Any] = style if isinstance(style, (list, tuple)) else [style]
        codes = [self._check_code(one, len(content), tile) for one in styles]
        shares = self._shares(style_weights, mask, len(codes), content)  # (K, 1, 1 or H, 1 or W)
        padded = pad_to_multiple(picture.to(self.encoder.color_bias), self.stride, self._least)
        maps = self._encode(padded, tile, own_style=strength < 1)
        seen = None if opacity is None else opacity_at(pad_to_multiple(opacity, self.stride, self._least), maps)
        opacities: Mapping[str, Tensor | None] = seen or dict.fromkeys(maps)
        if strength < 1:  # the photograph is one more style, with the rest of the shares
            codes.append(self.encode_features(select_opaque(maps, seen) if seen else maps))
            alpha = torch.as_tensor(alpha).to(shares)
            shares = torch.cat([alpha * shares, (1 - alpha) * torch.ones_like(shares[:1])])
        changed = blend([self.change(maps, code, opacities) for code in codes], shares)
        painted = self._in_tiles(
            lambda window: {"picture": self.decoder(window)}, changed, padded, tile, DECODER_REACH_PX
        )
        result = crop(painted["picture"], content.shape[2], content.shape[3])
        return result if opacity is None else torch.cat([result, opacity.to(result)], 1)

    def encode_features(self, style: FeatureMaps) -> Code:
        """Return all that is kept of a style: what the method keeps, and what the decoder is told."""
        code = self.encode_style_features(style) | self.tell(style)
        for layer in self.decoder.skips:
            if layer not in self.skips:
                code[f"{layer}/mean"], code[f"{layer}/std"] = moments(style[layer])
        return {name: part.to(self.encoder.color_bias) for name, part in code.items()}

    def tell(self, style: FeatureMaps) -> Code:
        """Return what the decoder is told of a style: nothing, or its moments."""
        if not isinstance(self.decoder, ConditionedDecoder):
            return {}
        return {"condition": condition({layer: moments(style[layer]) for layer in STAGES})}

    def change(self, content: FeatureMaps, code: Code, opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Return all that the decoder takes: the method's features, those of its skips, and what it is told."""
        changed = self.transfer(content, code, opacity)
        for layer in self.decoder.skips:
            if layer not in changed:
                changed[layer] = adain(content[layer], code[f"{layer}/mean"], code[f"{layer}/std"], opacity[layer])
        if "condition" in self.decoder.reads:
            changed["condition"] = code["condition"]
        return changed

    @property
    def decoder(self) -> Decoder:
        """The decoder of `network`."""
        decoder = self.network["decoder"]
        assert isinstance(decoder, Decoder)
        return decoder

    @torch.no_grad()
    def init_from(self, source: Source) -> None:
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
        same = checkpoint.network.keys() == self.network.state_dict().keys()
        if same:
            self._load(checkpoint)
        else:
            check_encoder(self.encoder, checkpoint)
            self.decoder.init_from(read_decoder(checkpoint))
        origin, steps = method or checkpoint.label, checkpoint.metadata.get("steps", "?")
        self.origin = f"{'weights' if same else 'decoder'} of {origin} after {steps} steps"

    def _load(self, checkpoint: Checkpoint) -> None:
        check_encoder(self.encoder, checkpoint)
        check_method(checkpoint, self.method)
        load_weights(self.network, checkpoint.network, checkpoint.label, f"network of {type(self).__name__}")

    def _encode_style(self, style: Tensor, tile: float) -> Code:
        picture, opacity = split_opacity(check_picture(style, "style", opacity=True))
        padded = pad_to_multiple(picture.to(self.encoder.color_bias), 1, self._least)
        maps = self._encode(padded, tile, own_style=True)
        if opacity is not None:
            maps = select_opaque(maps, opacity_at(pad_to_multiple(opacity, 1, self._least), maps))
        return self.encode_features(maps)

    def _check_code(self, style: Tensor | EncodedStyle, batch: int, tile: float) -> Code:
        """Return the code of a style, on the device of the model."""
        if not isinstance(style, EncodedStyle):
            code = self._encode_style(style, tile)
        elif style.method != self.method:
            raise ValueError(
                f"this style was encoded by {style.method!r}, and {self.method!r} needs its own encode_style"
            )
        elif style.encoder_fingerprint not in ("", self.encoder.fingerprint):
            raise ValueError("this style was encoded with another encoder: encode it with the model that is to paint")
        else:
            code = {name: part.to(self.encoder.color_bias) for name, part in style.code.items()}
        found = len(next(iter(code.values())))
        if found not in (1, batch):
            need = f"{batch} contents need 1 style or {batch}" if batch > 1 else "1 content needs 1 style"
            raise ValueError(f"{need}, got a batch of {found}")
        return code

    def _shares(
        self, style_weights: Sequence[float] | None, mask: Tensor | None, styles: int, content: Tensor
    ) -> Tensor:
        """Return how much of every style, `(K, 1, H or 1, W or 1)`."""
        if mask is None:
            return normalize_weights(style_weights, styles).to(self.encoder.color_bias)[:, None, None, None]
        if style_weights is not None:
            raise ValueError("mask and style_weights both say how much of each style: give one of them")
        check_mask(mask, styles, content)
        mask = mask.to(self.encoder.color_bias)
        sums = mask.sum(0)
        if not bool(torch.isfinite(mask).all()) or mask.min() < 0 or (sums - 1).abs().max() > 1e-3:
            raise ValueError(
                f"masks must be at least 0 and have the sum 1 at every pixel, found sums from {sums.min():.3g} to "
                f"{sums.max():.3g}; divide them by their sum"
            )
        return pad_to_multiple(mask[:, None], self.stride, self._least)

    def _encode(self, picture: Tensor, tile: float, *, own_style: bool) -> dict[str, Tensor]:
        """Return the maps of a picture, with those that only a style needs if it is one."""
        extra = STAGES if own_style and isinstance(self.decoder, ConditionedDecoder) else self.decoder.skips

        def encode(window: FeatureMaps) -> dict[str, Tensor]:
            features = self.encoder(window["picture"], tuple(dict.fromkeys((*self.layers, *extra))))
            return {layer: features[layer] for layer in extra} | self.select_features(features)

        return self._in_tiles(encode, {"picture": picture}, picture, tile, self.encoder.reach(self.layers))

    def _in_tiles(
        self,
        function: Callable[[FeatureMaps], dict[str, Tensor]],
        maps: FeatureMaps,
        picture: Tensor,
        tile: float,
        reach: int,
    ) -> dict[str, Tensor]:
        """Return `function(maps)`, computed in tiles, cut at multiples of the stride, if the picture is larger than one."""
        height, width = picture.shape[2:]
        if math.isinf(tile) or height * width <= tile**2 or height % self.stride or width % self.stride:
            return function(maps)
        side, margin = int(tile) // self.stride * self.stride, -(-reach // self.stride) * self.stride
        return in_tiles(function, maps, (height, width), side, margin)

    @property
    def _least(self) -> int:
        return 2 * max(self.encoder.stride.values())  # two positions, so that there is a neighbour to reflect


# ------------------------------------------------------------------------------------------------ shares


def blend(maps: Sequence[FeatureMaps], shares: Tensor) -> dict[str, Tensor]:
    """Return the weighted mean over K styles, position by position.

    Args:
        maps: K times name -> `(B, C, h, w)`, or `(B, C, 1, 1)` for what holds everywhere.
        shares: `(K, 1, 1, 1)`, or `(K, 1, H, W)` where every style has its region.
    """
    if len(maps) == 1:
        return dict(maps[0])
    grid = maps[0]["relu4_1"].shape[2:]  # what holds everywhere is told apart at this resolution
    blended: dict[str, Tensor] = {}
    for name, first in maps[0].items():
        w = shares
        if shares.shape[2:] != (1, 1):
            height, width = grid if first.shape[2:] == (1, 1) else first.shape[2:]
            w = F.adaptive_avg_pool2d(shares, (height, width))
        # t = sum_k w_k t_k
        blended[name] = torch.stack([share * one[name] for share, one in zip(w.to(first.dtype), maps)]).sum(0)
    return blended


# ------------------------------------------------------------------------------------------------ layers


def init_identity_(conv: nn.Conv2d) -> None:
    """Let a convolution begin as one that changes nothing."""
    assert conv.bias is not None
    nn.init.dirac_(conv.weight)
    nn.init.zeros_(conv.bias)


class FeatureFusion(nn.Module):
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
        init_identity_(self.merge_conv)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """`(B, C, h, w)` and `(B, C', h / 2, w / 2)` -> `(B, C, h, w)`."""
        if hasattr(self, "widen"):
            y = self.widen(y)
        y = F.interpolate(y, x.shape[2:])
        merged: Tensor = self.merge_conv(x + y)
        return merged


# ------------------------------------------------------------------------------------------------ objectives


class ArbitraryObjective(Objective):
    """The base class of the three methods' objectives.

    Args:
        model: the method, on an encoder that has the layers of the loss. Its `network` is trained.
        balance: how much pairs that lie far apart count less: each pair's terms are divided by 1 + balance times the
            distance of its pictures' moments. 0 is the papers' plain mean, in which few pairs of loud paintings and quiet
            photographs outweigh all others.
        **weights: of the terms.
    """

    layers: ClassVar[tuple[str, ...]]
    weights: ClassVar[dict[str, float]]
    """Term of the loss -> its weight in the paper."""

    def __init__(self, model: ArbitraryStyle, *, balance: float = 0.0, **weights: float) -> None:
        super().__init__()
        self.encoder = as_encoder(model.encoder, self.layers)
        self.model, self.network = model, model.network
        self.balance = check_number("balance", balance, 0)
        unknown = set(weights) - set(self.weights)
        if unknown:
            raise TypeError(f"{model.method} has no term {unknown.pop()!r}; there are: {', '.join(self.weights)}")
        given = {**self.weights, **weights}
        self.weight = dict(zip(given, check_weights({f"the weight of {term}": one for term, one in given.items()})))

    @abstractmethod
    def pair_terms(self, c: FeatureMaps, s: FeatureMaps, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        """Return the terms of every pair, `(B,)` each, from the features and the pictures `(B, 3, S, S)`.

        Terms of weight 0 may be left out.
        """

    def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
        """Return the weighted terms: their sum is to be minimised. Both pictures are `(B, 3, S, S)`."""
        if style is None:
            raise ValueError(f"{self.model.method} sees a new painting at every step: name a folder of styles")
        if any(side % self.model.stride for side in (*content.shape[2:], *style.shape[2:])):
            raise ValueError(
                f"{self.model.method} is trained on pictures whose sides are a multiple of {self.model.stride}, got "
                f"{tuple(content.shape[2:])} and {tuple(style.shape[2:])}"
            )
        with torch.no_grad():
            c, s = self.encoder(content), self.encoder(style)
            share = 1 / (1 + self.balance * moments_distance(c, s, self.layers)) if self.balance else 1.0  # (B,)
        terms = self.pair_terms(c, s, content, style)
        return {name: self.weight[name] * (share * term).mean() for name, term in terms.items() if self.weight[name]}

    def change(self, c: FeatureMaps, s: FeatureMaps) -> dict[str, Tensor]:
        """Return what the decoder is to paint, from the encoder's features of photographs and paintings."""
        model = self.model
        content, style = ({**features, **model.select_features(features)} for features in (c, s))
        return model.change(content, model.encode_features(style), dict.fromkeys(content))

    def paint(self, c: FeatureMaps, s: FeatureMaps) -> Tensor:
        """Return the picture that the model paints, `(B, 3, S, S)`."""
        return self.model.decoder(self.change(c, s))

    def copy(self, features: FeatureMaps) -> Tensor:
        """Return what the decoder paints of a picture's own features, `(B, 3, S, S)`."""
        return self.model.decoder({**features, **self.model.tell(features)})

    def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
        """Return what the model paints now, `(B, 3, S, S)` in [0, 1]."""
        assert style is not None
        return self.model.stylize(content, style)

    def describe(self) -> dict[str, str]:
        """Return what there is to know of weights trained by this objective."""
        return {
            "method": self.model.method,
            "init": self.model.origin,
            "encoder": self.encoder.name,
            "encoder_fingerprint": self.encoder.fingerprint,
            "balance": str(self.balance),
            **{f"weight of {term}": str(weight) for term, weight in self.weight.items()},
        }
