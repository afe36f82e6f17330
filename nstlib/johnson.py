"""Johnson: train a network for one style, and then paint any picture in a single forward pass.

Johnson, Alahi, Fei-Fei: Perceptual Losses for Real-Time Style Transfer and Super-Resolution, 2016,
https://arxiv.org/abs/1603.08155
Ulyanov, Vedaldi, Lempitsky: Instance Normalization, 2016, https://arxiv.org/abs/1607.08022

Gatys optimises a picture. Johnson trains a network f with the same loss, on many photographs c and for one style s:

    W* = argmin_W  E_c [ lambda_c L_content(f(c), c) + lambda_s L_style(f(c), s) + lambda_tv TV(f(c)) ]      (eq. 5)

    L_content = |phi(f(c)) - phi(c)|^2 / CHW          phi: features of a frozen encoder                      (eq. 2)
    L_style   = |G(f(c)) - G(s)|^2                    G: Gram matrices                                       (eq. 4)

The network downsamples the picture by 4, changes it in residual blocks and upsamples it again. Every convolution is followed
by instance normalisation, which removes each picture's own contrast:

    y = gamma (x - mean(x)) / std(x) + beta           mean and std over the positions of one picture     (Ulyanov, eq. 4)

Three things are not in the papers: losses are divided by their value for features of zero, as in Gatys; two more terms
suppress the raster of four pixels that upsampling by 4 tends to leave, and lines along the edges of the picture; and
`TransformerNet.fast` paints the same picture in less than half the time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nstlib.encoder import Encoder, PaddedConv, as_encoder, convolve_upsampled
from nstlib.losses import raster
from nstlib.objective import Objective
from nstlib.perceptual import PerceptualLoss, StyleTargets
from nstlib.pixels import refine
from nstlib.registry import Method, register
from nstlib.utils.checkpoints import (
    check_method,
    load_weights,
    save_weights,
    to_be_loaded,
    translate_johnson,
)
from nstlib.utils.checks import check_int, check_layers, check_number, check_option, check_picture, suggest
from nstlib.utils.image import WRITABLE
from nstlib.utils.memory import enough_memory
from nstlib.utils.opacity import split_opacity
from nstlib.utils.tiling import crop, pad_to_multiple
from nstlib.weights import SHIPPED, Source, read_checkpoint, select

Norm = Literal["instance", "batch"]

LEAST_SIDE = 8
"""Smaller pictures are padded to this side by reflection, so that the residual blocks still have pixels to reflect."""

EDGE, MARGIN = 8, 16
"""Width of the edge that the term `edge` compares, and how many pixels more the network sees for this."""

BAND = 64
"""Rows that `TransformerNet.fast` normalises at a time: few enough to stay in the processor's cache."""


class TransformerNet(nn.Module):
    """The network that paints: 3 convolutions (2 downsample), 5 residual blocks, 3 convolutions (2 upsample first).

    Args:
        width: channels at full resolution. The blocks have 4 times as many. 32 is the paper's (1,679,235 parameters), and 8
            has a sixteenth of the parameters, for a CPU or a browser.
        norm: `"instance"`, or `"batch"` as in the first paper.

    Example:
        >>> network = TransformerNet()
        >>> sum(parameter.numel() for parameter in network.parameters())
        1679235
        >>> tuple(TransformerNet(width=4)(torch.rand(1, 3, 65, 70)).shape)
        (1, 3, 65, 70)
    """

    def __init__(self, width: int = 32, *, norm: Norm = "instance") -> None:
        super().__init__()
        width = check_int("width", width, 1)
        check_option("norm", norm, get_args(Norm))
        self.width, self.norm = width, norm
        self.conv1, self.norm1 = _conv(3, width, 9), _norm(width, norm)
        self.conv2, self.norm2 = _conv(width, 2 * width, 3, stride=2), _norm(2 * width, norm)
        self.conv3, self.norm3 = _conv(2 * width, 4 * width, 3, stride=2), _norm(4 * width, norm)
        self.res1, self.res2, self.res3, self.res4, self.res5 = (ResidualBlock(4 * width, norm) for _ in range(5))
        self.up1, self.norm4 = _conv(4 * width, 2 * width, 3), _norm(2 * width, norm)
        self.up2, self.norm5 = _conv(2 * width, width, 3), _norm(width, norm)
        self.out = _conv(width, 3, 9)
        # Before training, every block returns its input, and the picture's values vary around 0.5
        for block in self._blocks():
            nn.init.zeros_(block.norm2.weight)
        nn.init.constant_(self.out.bias, 0.5)  # type: ignore[arg-type]

    def forward(self, content: Tensor) -> Tensor:
        """Paint: `(B, 3, H, W)` in [0, 1], of any size -> `(B, 3, H, W)`, not clamped."""
        x = pad_to_multiple(content, 4, LEAST_SIDE)  # (B, 3, H, W), sides now multiples of 4
        x = F.relu(self.norm1(self.conv1(x)))  # (B, C, H, W)
        x = F.relu(self.norm2(self.conv2(x)))  # (B, 2C, H/2, W/2)
        x = F.relu(self.norm3(self.conv3(x)))  # (B, 4C, H/4, W/4)
        for block in self._blocks():
            x = block(x)
        # Nearest-neighbour upsampling and then a convolution: a strided transposed convolution leaves a checkerboard
        x = F.relu(self.norm4(self.up1(F.interpolate(x, scale_factor=2))))  # (B, 2C, H/2, W/2)
        x = F.relu(self.norm5(self.up2(F.interpolate(x, scale_factor=2))))  # (B, C, H, W)
        return crop(self.out(x), content.shape[2], content.shape[3])

    def fast(self, content: Tensor, opacity: Tensor | None = None) -> Tensor:
        """Paint the same picture in less time, without gradients. Batch normalisation uses its running statistics.

        - Tensors are in channels-last format, in which convolutions and normalisation are fastest.
        - Upsampling and the following convolution become one transposed convolution (`convolve_upsampled`): 4/9 of the work.
        - The last convolution computes 2 x 2 pixels at a time (`_four_pixels`): 12 channels take no longer than 3.
        - Normalisation runs on bands of rows that stay in the cache. Normalisation and ReLU overwrite their input.

        `opacity`, `(1, 1, H, W)` in [0, 1], is the weight of each pixel in instance normalisation.
        """
        with torch.inference_mode():
            painted = torch.cat([self._fast(picture, opacity) for picture in content.split(1)])
        return painted.clone()  # an ordinary tensor, which autograd accepts

    def _fast(self, content: Tensor, opacity: Tensor | None) -> Tensor:
        x = pad_to_multiple(content, 4, LEAST_SIDE).contiguous(memory_format=torch.channels_last)  # (1, 3, H, W)
        seen = None if opacity is None else pad_to_multiple(opacity, 4, LEAST_SIDE)  # (1, 1, H, W)
        for conv, norm in ((self.conv1, self.norm1), (self.conv2, self.norm2), (self.conv3, self.norm3)):
            x = _normalize_(_convolve(x, conv, norm), norm, seen).relu_()
        for block in self._blocks():
            y = _normalize_(_convolve(x, block.conv1, block.norm1), block.norm1, seen).relu_()
            x = _normalize_(_convolve(y, block.conv2, block.norm2), block.norm2, seen).add_(x)
        for conv, norm in ((self.up1, self.norm4), (self.up2, self.norm5)):
            bias = None if isinstance(norm, nn.InstanceNorm2d) else conv.bias
            x = _normalize_(convolve_upsampled(x, conv.weight, bias), norm, seen).relu_()
        weight, bias = _four_pixels(self.out)
        x = F.pixel_shuffle(F.conv2d(_pad(x, 4), weight, bias, stride=2), 2)  # (1, 12, H/2, W/2) -> (1, 3, H, W)
        return x[..., : content.shape[2], : content.shape[3]]

    def _blocks(self) -> tuple[ResidualBlock, ...]:
        return self.res1, self.res2, self.res3, self.res4, self.res5

    def extra_repr(self) -> str:
        return f"width={self.width}, norm={self.norm!r}"


class ResidualBlock(nn.Module):
    """A residual block: x + norm(conv(relu(norm(conv(x)))))."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv(channels, channels, 3), _norm(channels, norm)
        self.conv2, self.norm2 = _conv(channels, channels, 3), _norm(channels, norm)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return x + self.norm2(self.conv2(y))


class JohnsonObjective(Objective):
    """The loss that trains a network: that of Gatys, for the pictures that the network paints.

    Args:
        network: the network to train: a new one, or `Johnson.pretrained(...).network`, which learns another style in a
            fraction of the steps.
        style: the painting, `(1, 3, h, w)` in [0, 1]. It is used at its own size, which decides how broad the strokes are.
        name: the name of the style.
        init_from: the name of the weights that the network starts from.
        encoder, content_layers, style_layers, content_weight, style_weight, tv_weight: as for `nstlib.Gatys`. All style
            layers have the same weight.
        raster_weight: weight of the term against the raster of 4 pixels that upsampling would leave. Gatys has no such
            term, and `terms` omits it.
        edge_weight: weight of a term against lines along the edges of the picture, which networks may learn to paint in
            long trainings. It compares what they paint there with what they paint when they see 16 pixels more, so the
            outer 16 pixels of every crop serve this term alone. 20 is enough.

    Example:
        >>> from nstlib import samples
        >>> objective = JohnsonObjective(TransformerNet(width=4), samples.style("swirl", 64), name="swirl")
        >>> terms = objective(samples.content("cat", 64), None)
        >>> sorted(terms), sum(terms.values()).requires_grad
        (['content', 'raster', 'style', 'tv'], True)
    """

    network: TransformerNet

    def __init__(
        self,
        network: TransformerNet,
        style: Tensor,
        *,
        name: str = "unnamed",
        init_from: str = "random weights",
        encoder: Source | Encoder = "vgg19_mini",
        content_layers: Sequence[str] = ("relu3_1",),
        style_layers: Sequence[str] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        content_weight: float = 1.0,
        style_weight: float = 2.0,
        tv_weight: float = 1.0,
        raster_weight: float = 200.0,
        edge_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.raster_weight = check_number("raster_weight", raster_weight, 0)
        self.edge_weight = check_number("edge_weight", edge_weight, 0)
        content_layers = check_layers("content_layers", content_layers)
        style_layers = check_layers("style_layers", style_layers)
        if not isinstance(getattr(network, "_orig_mod", network), TransformerNet):  # it may be compiled
            raise TypeError(
                f"network must be a TransformerNet, not a {type(network).__name__}: take Johnson.pretrained(...).network"
            )
        if not content_layers or not style_layers:
            raise ValueError("an objective needs at least one content layer and one style layer")
        self.network = network
        self.loss = PerceptualLoss(
            as_encoder(encoder, (*content_layers, *style_layers)),
            content_layers=content_layers,
            style_layers=style_layers,
            content_weight=content_weight,
            style_weight=style_weight,
            tv_weight=tv_weight,
        )
        self.name, self.init_from = name, init_from
        check_picture(style, "style", single=True)
        self.style_size = tuple(style.shape[2:])
        # The mean tells apart two paintings of the same name and size. Two decimals are the same on every machine
        self.style_mean = " ".join(f"{mean:.2f}" for mean in style.float().mean((0, 2, 3)).tolist())
        grams = self.loss.read_styles([style.to(self.loss.encoder.color_bias)]).grams
        for layer, gram in grams.items():
            self.register_buffer(f"gram_{layer}", gram)  # (1, C, C)

    def forward(self, content: Tensor, style: Tensor | None = None) -> dict[str, Tensor]:
        """Return the weighted terms for photographs `(B, 3, H, W)`: `content`, `style`, `tv`, `raster` and any `edge`."""
        inner = content[..., MARGIN:-MARGIN, MARGIN:-MARGIN] if self.edge_weight else content
        painted = self.network(inner)
        terms = {**self.terms(painted, inner), "raster": self.raster_weight * raster(painted)}
        if self.edge_weight:
            with torch.no_grad():
                wide = self.network(content)[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
            edge = torch.ones_like(painted[0, 0], dtype=torch.bool)  # (H, W)
            edge[EDGE:-EDGE, EDGE:-EDGE] = False
            # L_edge = |f(c) - f(c with a margin)|^2, averaged over the pixels along the edge
            terms["edge"] = self.edge_weight * (painted - wide)[..., edge].square().mean()
        return terms

    def terms(self, picture: Tensor, content: Tensor) -> dict[str, Tensor]:
        """Return the terms that Gatys has too, for any picture `(B, 3, H, W)` instead of the one that the network paints."""
        grams = {layer: self.get_buffer(f"gram_{layer}") for layer in self.loss.style_layers}
        return self.loss.weigh(self.loss(picture, self.loss.read_content(content), StyleTargets(grams)))

    def sample(self, content: Tensor, style: Tensor | None = None) -> Tensor:
        """Return what the network currently paints, `(B, 3, H, W)` in [0, 1], without gradients."""
        return self.network.fast(content).clamp_(0, 1)

    def constants(self) -> dict[str, Tensor]:
        """Return the painting's Gram matrices, which `refine` needs: `gram.<layer>` -> `(1, C, C)`."""
        return {f"gram.{layer}": self.get_buffer(f"gram_{layer}") for layer in self.loss.style_layers}

    def describe(self) -> dict[str, str]:
        """Return the metadata of weights that this objective trains."""
        return {
            "method": "johnson",
            "style": self.name,
            "style_mean": self.style_mean,
            "style_size": " x ".join(map(str, self.style_size)),
            "init": self.init_from,
            "width": str(self.network.width),
            "norm": self.network.norm,
            "encoder": self.loss.encoder.name,
            "encoder_fingerprint": self.loss.encoder.fingerprint,
            "content_layers": " ".join(self.loss.content_layers),
            "style_layers": " ".join(self.loss.style_layers),
            **{f"{name}_weight": str(weight) for name, weight in self.loss.weights.items()},
            "raster_weight": str(self.raster_weight),
            **({"edge_weight": str(self.edge_weight)} if self.edge_weight else {}),
        }


class Johnson(nn.Module):
    """Style transfer in one forward pass, in the style that a network was trained for.

    Args:
        network: a trained network.
        metadata: facts about it: style, data, steps, losses, ... `refine` needs those of `JohnsonObjective.describe()`.
        grams: the painting's Gram matrices, layer -> `(1, C, C)`, which `refine` needs too.

    Example:
        >>> from nstlib import samples
        >>> johnson = Johnson(TransformerNet(width=4))
        >>> tuple(johnson.stylize(samples.content("cat", 65)).shape)
        (1, 3, 65, 98)
    """

    def __init__(
        self,
        network: TransformerNet,
        metadata: Mapping[str, str] | None = None,
        grams: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(getattr(network, "_orig_mod", network), TransformerNet):  # which may be compiled
            raise TypeError(
                f"Johnson takes a TransformerNet, not a {type(network).__name__}; Johnson.pretrained('swirl') reads one"
            )
        self.network, self.metadata, self.grams = network, dict(metadata or {}), dict(grams or {})
        self.to(memory_format=torch.channels_last)
        self.eval()

    @classmethod
    def styles(cls) -> list[str]:
        """Return the names of the styles that come with the package."""
        return sorted(name.removeprefix("johnson_") for name in SHIPPED if name.startswith("johnson_"))

    @classmethod
    def pretrained(cls, style: str) -> Johnson:
        """Return the network of a style that comes with the package. `Johnson.styles()` lists the names."""
        if style not in cls.styles():
            raise ValueError(
                f"no Johnson network is shipped for the style {style!r}{suggest(str(style), cls.styles())}"
            )
        return cls.from_checkpoint(f"johnson_{style}")

    @classmethod
    def from_checkpoint(cls, source: Source) -> Johnson:
        """Load a network of any width from a file or a state dict, ours or one of PyTorch's fast_neural_style.

        Published networks were trained on pictures in 0..255. Their first and last layers are rescaled, so that they too
        map [0, 1] to [0, 1].

        Args:
            source: a file that `save`, `nst train` or `torch.save(model.state_dict(), ...)` has written, a published `.pth`
                or `.model`, or a state dict.

        Raises:
            ValueError: weights of another method or another architecture.
            OSError: there is no file at that path, or it is damaged or holds no weights.

        Example:
            >>> Johnson.from_checkpoint(Johnson(TransformerNet(width=4)).state_dict()).network.width
            4
        """
        checkpoint = read_checkpoint(source)
        check_method(checkpoint, "johnson")
        grams = select(checkpoint.tensors, "gram")
        state = {key: value for key, value in checkpoint.network.items() if not key.startswith("gram.")}
        state = translate_johnson(state)
        first = state.get("conv1.weight")
        if first is None or first.shape[1:] != (3, 9, 9):
            raise ValueError(
                f"{checkpoint.label} is no Johnson network: expected a 9x9 convolution of RGB under "
                f"'conv1.conv2d.weight' or 'conv1.weight', found keys like {sorted(checkpoint.tensors)[:3]}"
            )
        with to_be_loaded():
            network = TransformerNet(len(first), norm="batch" if "norm1.running_mean" in state else "instance")
        load_weights(network, state, checkpoint.label, f"Johnson network of width {network.width}")
        return cls(network, checkpoint.metadata, grams)

    @classmethod
    def open(cls, styles: Sequence[str | os.PathLike[str]]) -> Johnson:
        """Return the network of a style, given the name of a shipped one or the file of a network that a user trained."""
        shipped = ", ".join(cls.styles())
        if len(styles) != 1:
            raise ValueError(f"johnson paints in one style at a time, got {len(styles)}; shipped styles: {shipped}")
        (style,) = styles
        if not isinstance(style, (str, os.PathLike)) or Path(style).suffix.lower() in WRITABLE:
            found = repr(os.fspath(style)) if isinstance(style, (str, os.PathLike)) else f"a {type(style).__name__}"
            raise ValueError(
                f"a Johnson network is trained for one style, so style is the name of a shipped one ({shipped}) or a "
                f"weights file, not a picture: got {found}"
            )
        if style in cls.styles() or not (Path(style).suffix or Path(style).is_file()):
            return cls.pretrained(str(style))
        return cls.from_checkpoint(style)

    def save(self, path: str | os.PathLike[str], *, half: bool = False) -> Path:
        """Write the network as a safetensors file, whole or not at all, for `from_checkpoint`.

        Args:
            path, half: as for `nstlib.arbitrary.ArbitraryStyle.save`.

        Example:
            >>> import tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = Johnson.pretrained("wave").save(f"{folder}/mine.safetensors")
            ...     Johnson.from_checkpoint(path).metadata["style"]
            'wave'
        """
        metadata = {**self.metadata, "method": "johnson", "width": self.network.width, "norm": self.network.norm}
        constants = {f"gram.{layer}": gram for layer, gram in self.grams.items()}
        return save_weights(self.network, path, metadata, half=half, constants=constants)

    def forward(self, content: Tensor) -> Tensor:
        """`(B, 3, H, W)` in [0, 1] -> `(B, 3, H, W)`, not clamped, with gradients."""
        return self.network(check_picture(content, "content").to(self.network.out.weight))

    def stylize(
        self, content: Tensor, style: None = None, alpha: float = 1.0, *, refine: int = 0, progress: bool = False
    ) -> Tensor:
        """Paint, by the fast path.

        Args:
            content: `(B, 3, H, W)` in [0, 1], of any size; or `(1, 4, H, W)` with opacity, which the result keeps.
                Transparent pixels are left out of all statistics.
            style: None, because the network knows its style.
            alpha: strength in [0, 1]. The network knows one strength only, so the result is blended with the photograph
                pixel by pixel: `alpha * result + (1 - alpha) * content`.
            refine: number of steps of L-BFGS on the pixels that follow, on the loss that the network was trained with.
            progress: accepted as for the other methods, and ignored: there is no progress bar.

        Returns:
            `(B, 3, H, W)` in [0, 1], or 4 channels as the content has.

        Raises:
            ValueError: a wrong shape, range or alpha, a style picture, or refine with weights in half precision or without
                the painting's Gram matrices, as published weights are.
            MemoryError: the picture needs more memory than is available; the message names a size that would fit, if any.
        """
        if style is not None:
            raise ValueError("a Johnson network is trained for one style and takes no style picture: leave style out")
        alpha, steps = check_number("alpha", alpha, 0, 1), check_int("refine", refine, 0)
        check_picture(content, "content", opacity=True)
        loss = self._loss() if steps else None
        picture, opacity = split_opacity(content.to(self.network.out.weight))
        # a picture that is transparent everywhere has no statistics
        seen = opacity if opacity is None or opacity.max() > 0 else None
        # the table of memory is for a width of 16
        method, width = ("gatys", loss.encoder.width) if loss else ("johnson", self.network.width / 16)
        with enough_memory(method, content, device=picture.device, width=width):
            painted = self.network.fast(picture, seen).clamp_(0, 1)
            if loss:
                painted = torch.cat(
                    [self._refine(loss, *pair, seen, steps) for pair in zip(painted.split(1), picture.split(1))]
                )
            painted = picture.lerp(painted.to(picture), alpha)  # under autocast, it may be in half precision
        return painted if opacity is None else torch.cat([painted, opacity], 1)

    def _loss(self) -> PerceptualLoss:
        """Return the loss that the network was trained with."""
        about, dtype = self.metadata, self.network.out.weight.dtype
        if not self.grams or "content_layers" not in about:
            raise ValueError(
                "refine needs the painting's Gram matrices and the settings of the training: nst train writes them into "
                "weights.safetensors"
            )
        if dtype in (torch.float16, torch.bfloat16):
            raise ValueError(f"refine optimises in float32, and this model is {dtype}: call float() on it first")
        layers = about["content_layers"].split()
        encoder = Encoder(about["encoder"], (*layers, *self.grams)).to(self.network.out.weight)
        if encoder.fingerprint != about["encoder_fingerprint"]:
            raise ValueError(f"refine needs the encoder of the training, and {encoder.name!r} is another")
        weights: Any = {f"{name}_weight": float(about[f"{name}_weight"]) for name in ("content", "style", "tv")}
        return PerceptualLoss(encoder, content_layers=layers, style_layers=tuple(self.grams), **weights)

    def _refine(
        self, loss: PerceptualLoss, painted: Tensor, content: Tensor, opacity: Tensor | None, steps: int
    ) -> Tensor:
        """Return a picture `(1, 3, H, W)` whose pixels have taken steps down the loss."""
        grams = {layer: gram.to(painted) for layer, gram in self.grams.items()}
        styles = StyleTargets(grams) if opacity is None else StyleTargets(grams, opacity, opacity.new_ones(1))
        contents = loss.read_content(content)

        def total(x: Tensor) -> Tensor:
            return torch.stack(list(loss.weigh(loss(x, contents, styles)).values())).sum()

        return refine(painted, total, steps=steps).clamp(0, 1)


# ------------------------------------------------------------------------------------------------ layers


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    # Reflection, because the network would paint a border of zeros as a dark frame
    return PaddedConv(inputs, outputs, size, stride, padding=size // 2, padding_mode="reflect")


def _norm(channels: int, norm: Norm) -> nn.InstanceNorm2d | nn.BatchNorm2d:
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels, affine=True)


# ------------------------------------------------------------------------------------------------ the fast path


def _convolve(x: Tensor, conv: nn.Conv2d, norm: nn.Module) -> Tensor:
    # instance normalisation removes the mean of every channel, and the bias with it
    bias = None if isinstance(norm, nn.InstanceNorm2d) else conv.bias
    return F.conv2d(_pad(x, conv.kernel_size[0] // 2), conv.weight, bias, conv.stride)


def _pad(x: Tensor, width: int) -> Tensor:
    return F.pad(x, (width, width, width, width), mode="reflect")


def _normalize_(x: Tensor, norm: nn.InstanceNorm2d | nn.BatchNorm2d, opacity: Tensor | None) -> Tensor:
    """Normalise one picture `(1, C, H, W)` in place: y = gamma (x - mean) / sqrt(var + eps) + beta."""
    bands, wide = x.split(BAND, 2), torch.promote_types(x.dtype, torch.float32)  # a sum of squares overflows in float16
    if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
        mean, var = norm.running_mean[:, None, None].to(wide), norm.running_var[:, None, None].to(wide)  # (C, 1, 1)
    else:
        if opacity is None:
            weights, count = [x.new_ones(())] * len(bands), x.new_tensor(x.shape[2] * x.shape[3], dtype=wide)
            mean = x.mean((2, 3), keepdim=True, dtype=wide)[0]
        else:
            seen = F.adaptive_avg_pool2d(opacity.to(wide), (x.shape[2], x.shape[3]))  # (1, 1, H, W)
            weights, count = list(seen.split(BAND, 2)), seen.sum().clamp(min=1e-6)
            mean = ((x.to(wide) * seen).sum((2, 3), keepdim=True) / count)[0]
        squares = [((band.to(wide) - mean).square() * w).sum((0, 2, 3)) for band, w in zip(bands, weights)]
        var = torch.stack(squares).sum(0)[:, None, None] / count
    scale = norm.weight[:, None, None] * (var + norm.eps).rsqrt()
    shift = norm.bias[:, None, None] - mean * scale
    for band in bands:
        if x.dtype == wide:
            torch.addcmul(shift, band, scale, out=band)
        else:
            band.copy_(torch.addcmul(shift, band.to(wide), scale))
    return x


def _four_pixels(conv: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Turn `conv` into a convolution of stride 2 that computes 2 x 2 pixels as channels, in the order of pixel_shuffle."""
    # (4 C_out, C_in, k + 1, k + 1): the kernel in its four corners in turn
    corners = [F.pad(conv.weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    weight = torch.stack(corners, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return weight, conv.bias.repeat_interleave(4)  # type: ignore[union-attr]


register(
    "johnson",
    Method(
        Johnson, Johnson.open, (), ("alpha", "refine", "progress"), objective=JohnsonObjective, takes_pictures=False
    ),
)
