"""Any style at once: what AdaIN, SANet and AdaAttN share.

All three read photograph and painting through the same frozen encoder, give the photograph's features the style of the
painting's, and paint what comes out with a decoder. They differ in the middle:

    picture = decode(transfer(encode(content), encode(style)))

A method names the layers it reads, says what it keeps of a style, and transfers. What all three can do is written here:
strength, several styles, masks, transparency, any size, one style for many pictures, big pictures.

Several styles have shares that add up to 1, at every position, and what they give is blended by them:

    t = sum_k w_k transfer(content, style_k)

For strength, the photograph itself is one more style, with the share 1 - alpha.
"""

from __future__ import annotations

import copy
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.decoder import STAGES, ConditionedDecoder, Decoder, condition
from nstlib.encoder import Encoder, as_encoder
from nstlib.losses import adain, moments, normalize_weights
from nstlib.registry import METHODS, Method, register
from nstlib.utils.checkpoints import check_encoder, load_weights, read_decoder, read_model, save_weights, to_be_loaded
from nstlib.utils.checks import check_int, check_mask, check_number, check_picture, is_exporting
from nstlib.utils.memory import enough_memory
from nstlib.utils.opacity import opacity_at, select_opaque, split_opacity
from nstlib.utils.tiling import FeatureMaps, crop, in_tiles, pad_to_multiple
from nstlib.weights import Source, read_checkpoint

TILE = 512
"""Pictures with more pixels than a square of this side are painted in tiles of this side."""

Code = dict[str, Tensor]
"""What a method keeps of a painting: name -> tensor, `(B or 1, ...)`."""


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


Styles = Tensor | EncodedStyle | Sequence[Tensor | EncodedStyle]
"""One style or several, as pictures or encoded."""

Model = TypeVar("Model", bound="ArbitraryStyle")


class ArbitraryStyle(nn.Module, ABC):
    """The base class of AdaIN, SANet and AdaAttN.

    A method of your own names its `method` and `layers` and defines `encode_style_features` and `transfer`, and `build`
    if it has layers to train besides the decoder.

    Args:
        encoder: the name, path or state dict of a network, or an `Encoder` that has the layers the method reads.
        decoder: what paints. None is a new one, the papers' or, with `conditioned`, one that is told the style.
        conditioned: whether a new decoder is a `ConditionedDecoder`.
        metadata: what is known of the weights: data, steps, losses, ...

    Attributes:
        encoder: frozen.
        network: what is trained: the decoder, and the method's own layers.
        restyled: skips of the decoder that the method itself doesn't change: they take on the style's moments.
    """

    method: ClassVar[str]
    layers: ClassVar[tuple[str, ...]]
    skips: ClassVar[tuple[str, ...]] = ()
    """Layers whose changed features the papers' decoder takes besides relu4_1."""
    parts: ClassVar[tuple[str, ...]] = ("decoder",)
    """The parts of `network`: the published weights bring each in a file of its own."""

    def __init__(
        self,
        encoder: Source | Encoder = "vgg19_mini",
        *,
        decoder: Decoder | None = None,
        conditioned: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = as_encoder(encoder, tuple(dict.fromkeys((*self.layers, *STAGES))))
        channels = self.encoder.channels
        with torch.device("cpu"):  # where the encoder's weights are read, whatever PyTorch's default is
            if decoder is None and conditioned:
                decoder = ConditionedDecoder(channels, skips=("relu3_1", "relu2_1"), blocks=2)
            decoder = decoder or Decoder(channels, skips=self.skips)
            parts = self.build(channels)
        if not set(self.skips) <= set(decoder.skips):
            raise ValueError(
                f"this decoder takes no features of {', '.join(self.skips)}: it was trained for another method"
            )
        for layer in decoder.reads:
            if decoder.channels[layer] != channels[layer]:
                raise ValueError(
                    f"the decoder takes {decoder.channels[layer]} channels at {layer}, and this encoder gives "
                    f"{channels[layer]}: take the encoder that it was trained with"
                )
        # in the encoder's precision, whatever PyTorch's default is
        self.network = nn.ModuleDict({**parts, "decoder": decoder}).to(self.encoder.color_bias)
        self.restyled = tuple(layer for layer in decoder.skips if layer not in self.skips)
        self.metadata = dict(metadata or {})
        self.origin = "random weights"
        self.stride = max(self.encoder.stride[layer] for layer in self.layers)
        self._least = 2 * max(self.encoder.stride.values())  # two positions, so that there is a neighbour to reflect
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
            opacity: name of a map -> `(1, 1, H, W)`, how much each position counts, or None where all count alike.
        """

    # ------------------------------------------------------------------------------ what a user calls

    @classmethod
    def pretrained(cls: type[Model]) -> Model:
        """The network that is shipped with the package, on the embedded encoder."""
        return cls.from_checkpoint(cls.method)

    @classmethod
    def from_checkpoint(
        cls: type[Model], source: Source | None = None, *, encoder: Source | Encoder = "vgg19_mini", **parts: Source
    ) -> Model:
        """Return the model of a file of ours, or of the published weights, which come in several files.

        Args:
            source: a file that `save`, `nst train` or `torch.save(model.state_dict(), ...)` has written, or the state dict
                of a model. For AdaIN, whose published weights are one file, that file.
            encoder: what the weights were trained with: for published ones, `vgg_normalised.pth`.
            **parts: the published weights instead, each a path or a state dict: `decoder` for AdaIN; `transformer` and
                `decoder` for SANet; `adaattn_3`, `transformer` and `decoder` (`latest_net_<part>.pth`) for AdaAttN.

        Raises:
            ValueError: weights of another method, or trained on another encoder.
            TypeError: neither a source nor all of the parts, or both.
            OSError: no file at that path, or one that is damaged or holds no weights.

        Example:
            >>> from nstlib import AdaIN
            >>> AdaIN.from_checkpoint(AdaIN.pretrained().state_dict()).method
            'adain'
        """
        checkpoint = read_model(cls.method, cls.parts, source, parts)
        decoder = read_decoder(checkpoint)
        with to_be_loaded():
            model = cls(encoder, decoder=decoder, metadata=checkpoint.metadata)
        check_encoder(model.encoder, checkpoint)
        model._load(checkpoint.network, checkpoint.label)
        return model

    @classmethod
    def open(cls: type[Model], *, weights: Source | None = None, encoder: Source | Encoder = "vgg19_mini") -> Model:
        """Return the model that `nst.stylize` paints with: shipped weights unless others are named."""
        return cls.from_checkpoint(cls.method if weights is None else weights, encoder=encoder)

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> Path:
        """Write the trained network as a safetensors file, whole or not at all, for `from_checkpoint`.

        The encoder isn't written, but the file knows which one it was.

        Args:
            path: where; it ends with `.safetensors`.
            half: store half precision, in half the space, instead of the weights' own. They are read as float32 in any case.

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
        style: Styles,
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
        style: Styles,
        alpha: float | Tensor = 1.0,
        *,
        style_weights: Sequence[float] | None = None,
        mask: Tensor | None = None,
        refine: int = 0,
        tile: int = TILE,
        progress: bool = False,
    ) -> Tensor:
        """Paint, without gradients: a call, clamped. Big pictures are painted in tiles that fit together without a seam.

        Args:
            content, style, alpha, style_weights, mask: as for a call.
            refine: how many steps of L-BFGS on the pixels follow, on the method's loss of content and style. 5 to 20 bring
                the result much nearer to the painting, and take as long as so many steps of Gatys. They need styles that
                are pictures.
            tile: side of a tile in pixels; pictures with no more pixels than such a tile are painted whole.
            progress: there is no bar for so short a time.

        Returns:
            `(B, 3, H, W)` in [0, 1], or 4 channels as the content has.

        Raises:
            MemoryError: too large a picture for the memory there is; what would fit is named.
        """
        tile, steps = check_int("tile", tile, self.stride), check_int("refine", refine, 0)
        check_picture(content, "content", opacity=True)
        # what is no larger than a tile fits into any memory, unless it is refined
        with self._enough_memory(steps, content) if steps or content[:, 0].numel() > TILE**2 else nullcontext():
            painted = self._paint(content, style, alpha, style_weights, mask, tile).clamp_(0, 1)
            return self._refine(painted, content, style, alpha, style_weights, mask, steps) if steps else painted

    @torch.no_grad()
    def encode_style(self, style: Tensor, *, tile: int = TILE) -> EncodedStyle:
        """Read a painting once, for many photographs.

        Args:
            style: `(B or 1, 3, h, w)` in [0, 1], or `(1, 4, h, w)`, of which transparent parts are left out.
            tile: as for `stylize`. A painting is read in tiles if its sides are multiples of the encoder's stride.

        Returns:
            What takes the place of the painting in any call.
        """
        code = self._encode(style, check_int("tile", tile, self.stride))
        return EncodedStyle(self.method, code, self.encoder.fingerprint)

    # ------------------------------------------------------------------------------ how it is done

    def _paint(
        self,
        content: Tensor,
        style: Styles,
        alpha: float | Tensor,
        style_weights: Sequence[float] | None,
        mask: Tensor | None,
        tile: float,
    ) -> Tensor:
        strength = check_number("alpha", alpha, 0, 1)
        styles: Sequence[Any] = style if isinstance(style, (list, tuple)) else [style]
        codes = [self._code_of(one, len(content), tile) for one in styles]
        maps, opacity = self._read(content, self.stride, tile, self.decoder.reads if strength < 1 else self.restyled)
        if len(codes) == 1 and strength == 1 and mask is None and style_weights is None:
            changed = self.change(maps, codes[0], opacity)
        else:
            shares = self._shares(style_weights, mask, len(codes), content)  # (K, 1, 1 or H, 1 or W)
            if strength < 1:  # the photograph is one more style, with the rest of the shares
                codes.append(self.encode_features(select_opaque(maps, opacity)))
                share = alpha.to(shares) if isinstance(alpha, Tensor) else strength  # with its gradient, if it has one
                shares = torch.cat([share * shares, (1 - share) * torch.ones_like(shares[:1])])
            changed = blend([self.change(maps, code, opacity) for code in codes], shares)
        del maps, codes  # the decoder needs the memory
        if math.isinf(tile) or 64 * changed["relu4_1"][0, 0].numel() <= tile**2:
            painted = self.decoder(changed)
        else:
            size = [8 * side for side in changed["relu4_1"].shape[2:]]
            painted = in_tiles(
                lambda window: {"picture": self.decoder(window)}, changed, size, tile, self.decoder.reach, self.stride
            )["picture"]
        if is_exporting() or painted.shape[2:] != content.shape[2:]:
            painted = crop(painted, content.shape[2], content.shape[3])
        return painted if content.shape[1] == 3 else torch.cat([painted, content[:, 3:].to(painted)], 1)

    def _refine(
        self,
        painted: Tensor,
        content: Tensor,
        style: Styles,
        alpha: float | Tensor,
        style_weights: Sequence[float] | None,
        mask: Tensor | None,
        steps: int,
    ) -> Tensor:
        """Return pictures whose pixels have taken steps down the loss of the method's objective."""
        known = METHODS.get(self.method)
        if known is None or known.objective is None:
            raise ValueError(f"refine lowers the loss that a method is trained by, and {self.method} has none")
        dtype = self.encoder.color_bias.dtype
        if dtype in (torch.float16, torch.bfloat16):
            raise ValueError(f"refine optimises in float32, and this model is {dtype}: call float() on it first")
        styles: Sequence[Any] = style if isinstance(style, (list, tuple)) else [style]
        if any(isinstance(one, EncodedStyle) for one in styles):
            raise ValueError("refine compares with the paintings themselves: give pictures in place of encoded styles")
        objective, refined = known.objective(self), []
        shares = alpha * self._shares(style_weights, mask, len(styles), content)
        shares = shares[..., : content.shape[2], : content.shape[3]]
        for i in range(len(content)):
            paintings = [one[i : i + 1] if len(one) > 1 else one for one in styles]
            refined.append(objective.refine(painted[i : i + 1, :3], content[i : i + 1], paintings, shares, steps=steps))
        return torch.cat([torch.cat(refined), painted[:, 3:]], 1)  # with its opacity, if it has one

    def encode_features(self, style: FeatureMaps) -> Code:
        """Return all that is kept of a style: what the method keeps, and what the decoder is told."""
        code = self.encode_style_features(style)
        for layer in self.restyled:
            code[f"{layer}/mean"], code[f"{layer}/std"] = moments(style[layer])
        if isinstance(self.decoder, ConditionedDecoder):
            code["condition"] = condition(style)
        return {name: part.to(self.encoder.color_bias) for name, part in code.items()}

    def change(self, content: FeatureMaps, code: Code, opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Return all that the decoder takes: the method's features, those of its skips, and what it is told."""
        changed = self.transfer(content, code, opacity)
        for layer in self.restyled:
            changed[layer] = adain(content[layer], code[f"{layer}/mean"], code[f"{layer}/std"], opacity[layer])
        return changed | ({"condition": code["condition"]} if "condition" in code else {})

    @property
    def decoder(self) -> Decoder:
        """The decoder of `network`."""
        return cast(Decoder, self.network["decoder"])

    @torch.no_grad()
    def init_from(self, source: Source) -> None:
        """Begin a training with trained weights: all of them if they are of this method, else those of the decoder.

        Args:
            source: a file or a state dict of any of these methods, or the name of a shipped one, such as `"adain"`.

        Raises:
            ValueError: weights without a decoder, or made for another encoder.
        """
        checkpoint = read_checkpoint(source)
        check_encoder(self.encoder, checkpoint)
        decoder = copy.deepcopy(self.decoder)
        decoder.init_from(read_decoder(checkpoint))
        own, there = (
            {name: value for name, value in state.items() if not name.startswith("decoder.")}
            for state in (self.network.state_dict(), checkpoint.network)
        )
        method = checkpoint.metadata.get("method")
        same = method == self.method or (method is None and own.keys() == there.keys())
        begun = {f"decoder.{name}": value for name, value in decoder.state_dict().items()}
        self._load({**(there if same else own), **begun}, checkpoint.label)
        origin, steps = method or checkpoint.label, checkpoint.metadata.get("steps", "?")
        self.origin = f"{'weights' if same else 'decoder'} of {origin} after {steps} steps"

    def _load(self, state: Mapping[str, Tensor], label: str) -> None:
        load_weights(self.network, state, label, f"network of {type(self).__name__}")

    def _code_of(self, style: Tensor | EncodedStyle, batch: int, tile: float) -> Code:
        """Return the code of a style, on the device of the model."""
        if not isinstance(style, EncodedStyle):
            code = self._encode(style, tile)
        elif style.method != self.method:
            raise ValueError(
                f"this style was encoded by {style.method!r}, and {self.method!r} needs its own encode_style"
            )
        elif style.encoder_fingerprint not in ("", self.encoder.fingerprint):
            raise ValueError("this style was encoded with another encoder: encode it with the model that is to paint")
        else:
            code = {name: part.to(self.encoder.color_bias) for name, part in style.code.items()}
        if (found := len(next(iter(code.values())))) not in (1, batch):
            need = f"{batch} contents need 1 style or {batch}" if batch > 1 else "1 content needs 1 style"
            raise ValueError(f"{need}, got a batch of {found}")
        return code

    def _shares(
        self, style_weights: Sequence[float] | None, mask: Tensor | None, styles: int, content: Tensor
    ) -> Tensor:
        """Return how much of every style, `(K, 1, H or 1, W or 1)`."""
        if not styles:
            raise ValueError("no style: give at least one picture")
        if mask is None:
            return normalize_weights(style_weights, styles).to(self.encoder.color_bias)[:, None, None, None]
        if style_weights is not None:
            raise ValueError("mask and style_weights both say how much of each style: give one of them")
        check_mask(mask, styles, content, complete=True)
        return pad_to_multiple(mask[:, None].to(self.encoder.color_bias), self.stride, self._least)

    def _encode(self, style: Tensor, tile: float) -> Code:
        maps, opacity = self._read(check_picture(style, "style", opacity=True), 1, tile, self.decoder.reads)
        return self.encode_features(maps if style.shape[1] == 3 else select_opaque(maps, opacity))

    def _read(
        self, picture: Tensor, multiple: int, tile: float, extra: Sequence[str]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
        """Return the method's maps of a picture, padded to a multiple, and `extra` layers; and where they are opaque."""
        picture = picture.to(self.encoder.color_bias)
        if is_exporting() or any(side % multiple or side < self._least for side in picture.shape[2:]):
            picture = pad_to_multiple(picture, multiple, self._least)
        picture, opacity = (picture, None) if picture.shape[1] == 3 else split_opacity(picture)
        if math.isinf(tile) or picture[0, 0].numel() <= tile**2:
            maps = self._maps_of(picture, extra)
        else:
            maps = in_tiles(
                lambda window: self._maps_of(window["picture"], extra),
                {"picture": picture},
                picture.shape[2:],
                tile,
                self.encoder.reach(self.layers),
                self.stride,
            )
        return maps, dict.fromkeys(maps) if opacity is None else opacity_at(opacity, maps)

    def _maps_of(self, picture: Tensor, extra: Sequence[str]) -> dict[str, Tensor]:
        """Return the method's maps of a picture, and those of further layers."""
        features = self.encoder(picture, (*self.layers, *extra))
        return {layer: features[layer] for layer in extra} | self.select_features(features)

    def _enough_memory(self, steps: int, content: Tensor) -> AbstractContextManager[None]:
        method = "gatys" if steps else self.method  # steps on the pixels take as much as those of Gatys
        return enough_memory(method, content, device=self.encoder.color_bias.device, width=self.encoder.width)


def blend(maps: Sequence[FeatureMaps], shares: Tensor) -> dict[str, Tensor]:
    """Return the weighted mean over K styles, position by position.

    Args:
        maps: K times name -> `(B, C, h, w)`, or `(B or 1, C, 1, 1)` for what holds everywhere.
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
        weighted = [share * one[name] for share, one in zip(w.to(first.dtype), maps)]
        blended[name] = torch.stack(torch.broadcast_tensors(*weighted)).sum(0)
    return blended


def register_arbitrary(model: type[ArbitraryStyle], objective: type[nn.Module] | None = None) -> None:
    """Make a method known to `nst.stylize` by its name, and to `nst train` with its objective."""
    options = ("weights", "encoder", "style_scale"), ("alpha", "style_weights", "mask", "refine", "tile", "progress")
    register(model.method, Method(model, lambda styles, **chosen: model.open(**chosen), *options, objective))
