"""Arbitrary style transfer: what AdaIN, SANet and AdaAttN have in common.

All three methods encode the photograph and the painting with the same frozen encoder, transfer the style from the painting's
features to the photograph's, and decode the result into a picture. They differ in the transfer:

    picture = decode(transfer(encode(content), encode(style)))

A method defines the layers that it reads, what it keeps of a style, and the transfer. This module provides what all of them
share: strength, several styles, masks, transparency, pictures of any size, and one style for many pictures.

Several styles have weights w_k that sum to 1 at every position, and the transferred features are averaged:

    t = sum_k w_k transfer(content, style_k)

For a strength alpha below 1, the photograph is one more style, with the weight 1 - alpha, and the papers decode this mean,
t_alpha. With alpha = 0 the result, decode(t_0), isn't quite the photograph, because a decoder loses detail. The library's
own decoder, `ConditionedDecoder`, therefore adds the share 1 - alpha of what it loses:

    x_alpha = decode(t_alpha) + (1 - alpha) (content - decode(t_0))
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
"""Pictures with more pixels than a square of this side are painted in tiles of this size."""

Code = dict[str, Tensor]
"""What a method keeps of a painting: name -> tensor `(B or 1, ...)`."""


@dataclass(frozen=True)
class EncodedStyle:
    """A painting that `encode_style` has read once, for any number of photographs.

    Attributes:
        method: the method that encoded it.
        code: name -> tensor. You can build one yourself, such as a mixture of two codes.
        encoder_fingerprint: that of the encoder that read it. An empty one is not checked.
    """

    method: str
    code: Code
    encoder_fingerprint: str = ""


Styles = Tensor | EncodedStyle | Sequence[Tensor | EncodedStyle]
"""One style or several, as pictures or encoded."""

Model = TypeVar("Model", bound="ArbitraryStyle")


class ArbitraryStyle(nn.Module, ABC):
    """The base class of AdaIN, SANet and AdaAttN.

    A method of your own sets `method` and `layers`, and implements `encode_style_features` and `transfer`. It also
    implements `build` if it has layers to train besides the decoder.

    Args:
        encoder: the name, path or state dict of a network, or an `Encoder` that has the layers the method reads.
        decoder: turns features into a picture. None creates a new one.
        conditioned: whether a new decoder is a `ConditionedDecoder` instead of the papers'.
        metadata: facts about the weights: data, steps, losses, ...

    Attributes:
        encoder: the frozen encoder.
        network: the trained part: the decoder and the method's own layers.
        restyled: skips of the decoder that the method itself doesn't change. They are given the moments of the style.
        conditioned: whether the decoder is a `ConditionedDecoder`.
    """

    method: ClassVar[str]
    layers: ClassVar[tuple[str, ...]]
    skips: ClassVar[tuple[str, ...]] = ()
    """Layers besides relu4_1 whose changed features the papers' decoder takes."""
    parts: ClassVar[tuple[str, ...]] = ("decoder",)
    """The parts of `network`. The published weights have one file for each."""

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
        with torch.device("cpu"):  # where the encoder's weights are, whatever PyTorch's default device is
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
        # in the encoder's precision, whatever PyTorch's default dtype is
        self.network = nn.ModuleDict({**parts, "decoder": decoder}).to(self.encoder.color_bias)
        self.restyled = tuple(layer for layer in decoder.skips if layer not in self.skips)
        self.conditioned = isinstance(decoder, ConditionedDecoder)
        self.metadata = dict(metadata or {})
        self.origin = "random weights"
        self.stride = max(self.encoder.stride[layer] for layer in self.layers)
        # at least two positions, because reflection needs a neighbour
        self._least = 2 * max(self.encoder.stride.values())
        self.to(memory_format=torch.channels_last)
        self.eval()

    # ------------------------------------------------------------------------------ what a method defines

    def build(self, channels: Mapping[str, int]) -> dict[str, nn.Module]:
        """Return the parts that are trained besides the decoder, for an encoder with these channels."""
        return {}

    def select_features(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the maps that the method works with, given the encoder's features. By default, those of its layers."""
        return {layer: features[layer] for layer in self.layers}

    @abstractmethod
    def encode_style_features(self, style: FeatureMaps) -> Code:
        """Return what is kept of a style, given its maps `(B or 1, C, h, w)`."""

    @abstractmethod
    def transfer(self, content: FeatureMaps, code: Code, opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Return the features that the decoder turns into a picture.

        Args:
            content: the photograph's maps, `(B, C, H, W)`.
            code: what `encode_style_features` returned for the style.
            opacity: name of a map -> `(1, 1, H, W)`, the weight of each position, or None if all weights are equal.
        """

    # ------------------------------------------------------------------------------ what a user calls

    @classmethod
    def pretrained(cls: type[Model]) -> Model:
        """Return the network that comes with the package."""
        return cls.from_checkpoint(cls.method)

    @classmethod
    def from_checkpoint(
        cls: type[Model], source: Source | None = None, *, encoder: Source | Encoder = "vgg19_mini", **parts: Source
    ) -> Model:
        """Load a model from a file of ours, or from the published weights, which come in several files.

        Args:
            source: a file that `save`, `nst train` or `torch.save(model.state_dict(), ...)` has written, or the state dict
                of a model. For AdaIN, also the file of the published weights.
            encoder: the encoder that the weights were trained with: for published ones, `vgg_normalised.pth`.
            **parts: the published weights instead, each a path or a state dict: `decoder` for AdaIN; `transformer` and
                `decoder` for SANet; `adaattn_3`, `transformer` and `decoder` (`latest_net_<part>.pth`) for AdaAttN.

        Raises:
            ValueError: weights of another method, or trained with another encoder.
            TypeError: neither a source nor all of the parts, or both.
            OSError: there is no file at that path, or it is damaged or holds no weights.

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
        """Return the model that `nst.stylize` paints with: the shipped weights, unless others are given."""
        return cls.from_checkpoint(cls.method if weights is None else weights, encoder=encoder)

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> Path:
        """Save the trained network to a safetensors file for `from_checkpoint`. The file is written whole or not at all.

        The encoder isn't saved, but the file records its fingerprint.

        Args:
            path: the file to write. It must end with `.safetensors`.
            half: store half precision, which takes half the space. Weights are loaded as float32 in any case.

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
            content: `(B, 3, H, W)` in [0, 1], of any size; or `(1, 4, H, W)` with opacity, which the result keeps.
                Transparent pixels are left out of all statistics.
            style: `(B or 1, 3, h, w)` in [0, 1], `(1, 4, h, w)`, what `encode_style` returned, or a list of K of these.
            alpha: strength in [0, 1]. 0 is the content. With a plain `Decoder` (published weights, or `nst train` without
                `--decoder conditioned`), 0 is the content painted in its own style.
            style_weights: K numbers, the weight of each style. None is equal weights.
            mask: `(K, H, W)`, with sum 1 at every pixel: where each style applies, instead of style_weights.

        Returns:
            `(B, 3, H, W)`, or 4 channels if the content has 4. Values are roughly in [0, 1], but not clamped.

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
        """Paint without gradients, and clamp the result. Large pictures are painted in tiles that join without a seam.

        Args:
            content, style, alpha, style_weights, mask: as for a call.
            refine: number of steps of L-BFGS on the pixels that follow, on the method's content and style losses, with the
                weights of the training. 5 to 20 steps bring the result much closer to the painting, and take as long as the
                same number of steps of Gatys. The styles must be pictures.
            tile: side of a tile in pixels. Pictures with no more pixels than a tile are painted as a whole.
            progress: accepted as for the other methods, and ignored: there is no progress bar.

        Returns:
            `(B, 3, H, W)` in [0, 1], or 4 channels if the content has 4.

        Raises:
            ValueError: wrong arguments, as for a call. Also `refine` with an encoded style, with a model in half precision,
                or for a method without an objective.
            MemoryError: the picture needs more memory than is available; the message names a size that would fit, if any.
        """
        tile, steps = check_int("tile", tile, self.stride), check_int("refine", refine, 0)
        check_picture(content, "content", opacity=True)
        # a picture no larger than a tile always fits, unless it is refined
        with self._enough_memory(steps, content, alpha) if steps or content[:, 0].numel() > TILE**2 else nullcontext():
            painted = self._paint(content, style, alpha, style_weights, mask, tile).clamp_(0, 1)
            return self._refine(painted, content, style, alpha, style_weights, mask, steps) if steps else painted

    @torch.no_grad()
    def encode_style(self, style: Tensor, *, tile: int = TILE) -> EncodedStyle:
        """Read a painting once, for many photographs.

        Args:
            style: `(B or 1, 3, h, w)` in [0, 1], or `(1, 4, h, w)`, whose transparent parts are left out.
            tile: as for `stylize`. A painting is read in tiles if its sides are multiples of the encoder's stride.

        Returns:
            The encoded style, which can replace the painting in any call.
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
            changed, own = self.change(maps, codes[0], opacity), None
        else:
            shares = self._shares(style_weights, mask, len(codes), content)  # (K, 1, 1 or H, 1 or W)
            share = alpha.to(shares) if isinstance(alpha, Tensor) else strength  # a tensor keeps its gradient
            if strength < 1:  # the photograph is one more style, with the remaining weight
                codes.append(self.encode_features(select_opaque(maps, opacity)))
                shares = torch.cat([share * shares, (1 - share) * torch.ones_like(shares[:1])])
            changes = [self.change(maps, code, opacity) for code in codes]
            changed, own = blend(changes, shares), changes[-1] if strength < 1 and self.conditioned else None
            del changes
        del maps, codes  # the decoder needs the memory
        painted = self._decode(changed, content, tile)
        if own is not None:
            painted = give_back(painted, split_opacity(content)[0], self._decode(own, content, tile), 1 - share)
        return painted if content.shape[1] == 3 else torch.cat([painted, content[:, 3:].to(painted)], 1)

    def _decode(self, changed: FeatureMaps, content: Tensor, tile: float) -> Tensor:
        """Return the picture that the decoder paints, at the size of the content."""
        if math.isinf(tile) or 64 * changed["relu4_1"][0, 0].numel() <= tile**2:
            painted = self.decoder(changed)
        else:
            size = [8 * side for side in changed["relu4_1"].shape[2:]]
            painted = in_tiles(
                lambda window: {"picture": self.decoder(window)}, changed, size, tile, self.decoder.reach, self.stride
            )["picture"]
        fits = not is_exporting() and painted.shape[2:] == content.shape[2:]
        return painted if fits else crop(painted, content.shape[2], content.shape[3])

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
        """Return pictures after steps on their pixels that lower the loss of the method's objective."""
        known = METHODS.get(self.method)
        if known is None or known.objective is None:
            raise ValueError(f"refine lowers the loss that a method is trained by, and {self.method} has none")
        dtype = self.encoder.color_bias.dtype
        if dtype in (torch.float16, torch.bfloat16):
            raise ValueError(f"refine optimises in float32, and this model is {dtype}: call float() on it first")
        styles: Sequence[Any] = style if isinstance(style, (list, tuple)) else [style]
        if any(isinstance(one, EncodedStyle) for one in styles):
            raise ValueError("refine compares with the paintings themselves: give pictures in place of encoded styles")
        # the weights of the training, or the paper's where the metadata don't tell
        weights = {
            name: self.metadata.get(f"weight of {name}", paper) for name, paper in known.objective.weights.items()
        }
        objective, refined = known.objective(self, **{name: float(weight) for name, weight in weights.items()}), []
        shares = alpha * self._shares(style_weights, mask, len(styles), content)
        shares = shares[..., : content.shape[2], : content.shape[3]]
        for i in range(len(content)):
            paintings = [one[i : i + 1] if len(one) > 1 else one for one in styles]
            refined.append(objective.refine(painted[i : i + 1, :3], content[i : i + 1], paintings, shares, steps=steps))
        return torch.cat([torch.cat(refined), painted[:, 3:]], 1)  # with the opacity, if there is one

    def encode_features(self, style: FeatureMaps) -> Code:
        """Return everything that is kept of a style: the method's own part, and the inputs of the decoder."""
        code = self.encode_style_features(style)
        for layer in self.restyled:
            code[f"{layer}/mean"], code[f"{layer}/std"] = moments(style[layer])
        code |= {"condition": condition(style)} if self.conditioned else {}
        return {name: part.to(self.encoder.color_bias) for name, part in code.items()}

    def change(self, content: FeatureMaps, code: Code, opacity: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
        """Return all inputs of the decoder: the method's features, those of the skips, and the condition."""
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
        """Start a training from trained weights: from all of them if they are of this method, else from the decoder's.

        Args:
            source: a file or a state dict of any of these methods, or the name of a shipped one, such as `"adain"`.

        Raises:
            ValueError: weights without a decoder, or trained with another encoder.
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
                f"this style was encoded by {style.method!r}, which {self.method!r} can't read: encode the painting with "
                "the model that is to paint"
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
        """Return the weight of every style, `(K, 1, H or 1, W or 1)`."""
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
        """Return the method's maps of a padded picture, with `extra` layers, and the opacity of their positions."""
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
        """Return the method's maps of a picture, and the features of `extra` layers."""
        features = self.encoder(picture, (*self.layers, *extra))
        return {layer: features[layer] for layer in extra} | self.select_features(features)

    def _enough_memory(self, steps: int, content: Tensor, alpha: float | Tensor) -> AbstractContextManager[None]:
        method = "gatys" if steps else self.method  # steps on the pixels take as much as those of Gatys
        twice = self.conditioned and not steps and check_number("alpha", alpha, 0, 1) < 1  # two pictures are decoded
        width = self.encoder.width * (2 if twice else 1)
        return enough_memory(method, content, device=self.encoder.color_bias.device, width=width)


def blend(maps: Sequence[FeatureMaps], shares: Tensor) -> dict[str, Tensor]:
    """Return the weighted mean over K styles, position by position.

    Args:
        maps: for each of K styles, name -> `(B, C, h, w)`, or `(B or 1, C, 1, 1)` for statistics of the whole picture.
        shares: the weights, `(K, 1, 1, 1)`, or `(K, 1, H, W)` if every style has its region.
    """
    if len(maps) == 1:
        return dict(maps[0])
    grid = maps[0]["relu4_1"].shape[2:]  # statistics of the whole picture are blended at this resolution
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


def give_back(painted: Tensor, content: Tensor, own: Tensor, share: float | Tensor) -> Tensor:
    """Add the detail that the decoder loses of the photograph to a result of less than full strength.

    Args:
        painted: the result, `(B, 3, H, W)`.
        content: the photograph, `(B, 3, H, W)`.
        own: what the decoder makes of the photograph at strength 0, decode(t_0), `(B, 3, H, W)`.
        share: the weight of the photograph, 1 - alpha.
    """
    # x_alpha = decode(t_alpha) + (1 - alpha) (content - decode(t_0))
    return painted - share * own + share * content.to(painted)


def register_arbitrary(model: type[ArbitraryStyle], objective: type[nn.Module] | None = None) -> None:
    """Register a method for `nst.stylize` by its name. `refine` and `nst train` use its objective, if it has one."""
    options = ("weights", "encoder", "style_scale"), ("alpha", "style_weights", "mask", "refine", "tile", "progress")
    register(model.method, Method(model, lambda styles, **chosen: model.open(**chosen), *options, objective))
