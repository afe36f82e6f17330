"""How many pictures a second do the feed-forward methods paint, and in how much memory, against their textbook form?

    python benchmarks/feedforward.py                         256 to 2048 px, all methods
    python benchmarks/feedforward.py --methods adain --sizes 512 1024
    python benchmarks/feedforward.py --quick                 64 and 128 px, 1 round: does it run?

The textbook's form has the same weights, and is written as the papers' code is: nn.Sequential of padding, convolution, ReLU,
pooling or nn.Upsample, in PyTorch's own layout, the whole picture at once, attention as softmax(Q^T K) in one piece. Both
read photograph and painting anew (Johnson has no painting). Memory is what the peak of a fresh process grows by. Times are
medians of forms that take turns; a form that needs more than --patience seconds is timed once, in its fresh process. Where
the largest attention matrix is larger than --largest, the textbook is not run, and its memory is computed: the scores and
their softmax alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from common import (
    MIB,
    Rate,
    growth,
    in_fresh_process,
    make_parser,
    print_head,
    print_row,
    print_setup,
    square,
    straight_line,
    take_turns,
)
from torch import Tensor, nn

import nstlib as nst
from nstlib.adaattn import LEVELS, up_to
from nstlib.arbitrary import ArbitraryStyle
from nstlib.decoder import SKIPS, Decoder
from nstlib.fusion import FeatureFusion
from nstlib.johnson import TransformerNet
from nstlib.registry import METHODS
from nstlib.sanet import StyleAttention

STRIDES = {"johnson": 0, "adain": 0, "sanet": 8, "adaattn": 4}
"""Pixels per position of the largest attention matrix."""

PADS: dict[str, Callable[[int], nn.Module]] = {
    "reflect": nn.ReflectionPad2d,
    "replicate": nn.ReplicationPad2d,
    "zeros": nn.ZeroPad2d,
}

Features = dict[str, Tensor]
Form = Callable[[Tensor, Tensor], Tensor]


# ------------------------------------------------------------------------------------------------ the textbook's form


class Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def plain_conv(of: nn.Conv2d, padding: str = "reflect") -> list[nn.Module]:
    """Padding and convolution as two modules, with the same weights."""
    plain = nn.Conv2d(of.in_channels, of.out_channels, of.kernel_size[0], of.stride[0])
    plain.load_state_dict({key: value.contiguous() for key, value in of.state_dict().items()})
    side = of.kernel_size[0] // 2
    return [PADS[padding](side), plain] if side else [plain]


def plain_johnson(network: TransformerNet) -> nn.Sequential:
    n, up = network, nn.Upsample(scale_factor=2, mode="nearest")
    blocks = [
        Residual(*plain_conv(b.conv1), b.norm1, nn.ReLU(), *plain_conv(b.conv2), b.norm2)
        for b in (n.res1, n.res2, n.res3, n.res4, n.res5)
    ]
    return nn.Sequential(
        *(*plain_conv(n.conv1), n.norm1, nn.ReLU(), *plain_conv(n.conv2), n.norm2, nn.ReLU()),
        *(*plain_conv(n.conv3), n.norm3, nn.ReLU(), *blocks),
        *(up, *plain_conv(n.up1), n.norm4, nn.ReLU(), up, *plain_conv(n.up2), n.norm5, nn.ReLU()),
        *plain_conv(n.out),
    )


class PlainEncoder(nn.Module):
    """One nn.Sequential from layer to layer, as in the code of AdaIN and its successors."""

    def __init__(self, encoder: nst.Encoder, layers: tuple[str, ...]) -> None:
        super().__init__()
        color = nn.Conv2d(3, 3, 1)
        color.load_state_dict({"weight": encoder.color_weight, "bias": encoder.color_bias})
        part: list[nn.Module] = [color]
        self.parts = nn.ModuleDict()
        for name in encoder.layer_sequence:
            if name.startswith("conv"):
                conv = encoder.convs[name]
                assert isinstance(conv, nn.Conv2d)
                part += plain_conv(conv, encoder.padding)
            else:
                part.append(nn.ReLU() if name.startswith("relu") else encoder.steps[name])
            if name in layers:
                self.parts[name] = nn.Sequential(*part)
                part = []

    def forward(self, x: Tensor) -> Features:
        features = {}
        for name, part in self.parts.items():
            features[name] = x = part(x)
        return features


def plain_decoder(decoder: Decoder) -> tuple[nn.Sequential, nn.Sequential]:
    """Up to the first enlargement, where AdaAttN joins relu3_1, and from there on."""
    parts: list[nn.Module] = []
    for name, conv in decoder.convs.items():
        assert isinstance(conv, nn.Conv2d)
        if name in SKIPS.values():
            parts.append(nn.Upsample(scale_factor=2, mode="nearest"))
        parts += [*plain_conv(conv), nn.ReLU()]
    return nn.Sequential(*parts[:4]), nn.Sequential(*parts[4:-1])  # no ReLU at the end


def mean_std(x: Tensor) -> tuple[Tensor, Tensor]:
    flat = x.flatten(2)
    return flat.mean(2)[..., None, None], (flat.var(2) + 1e-5).sqrt()[..., None, None]


def mvn(x: Tensor) -> Tensor:
    mean, std = mean_std(x)
    return (x - mean) / std


class Plain(nn.Module):
    """AdaIN, SANet or AdaAttN: encode, transfer, decode."""

    def __init__(self, model: ArbitraryStyle) -> None:
        super().__init__()
        self.encoder = PlainEncoder(model.encoder, model.layers)
        decoder = model.network["decoder"]
        assert isinstance(decoder, Decoder)
        self.deep, self.shallow = plain_decoder(decoder)
        # its other convolutions are modules of PyTorch as they are; weights with channels last would decide the layout
        self.network = copy.deepcopy(model.network).to(memory_format=torch.contiguous_format)
        self.transfer = getattr(self, model.method)

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        deep, *skip = self.transfer(self.encoder(content), self.encoder(style))
        picture: Tensor = self.shallow(torch.cat([self.deep(deep), *skip], 1))
        return picture.clamp(0, 1)

    def adain(self, content: Features, style: Features) -> tuple[Tensor]:
        mean, std = mean_std(style["relu4_1"])
        return (mvn(content["relu4_1"]) * std + mean,)

    def sanet(self, content: Features, style: Features) -> tuple[Tensor]:
        transformer = self.network["transformer"]
        assert isinstance(transformer, FeatureFusion)
        levels = []
        for layer in ("relu4_1", "relu5_1"):
            part = getattr(transformer, layer.replace("relu", "sanet"))
            assert isinstance(part, StyleAttention)
            c, s = content[layer], style[layer]
            query, key, value = part.f(mvn(c)).flatten(2), part.g(mvn(s)).flatten(2), part.h(s).flatten(2)
            weights = torch.softmax(torch.bmm(query.mT, key), 2)  # (1, N, M)
            levels.append(c + part.out_conv(torch.bmm(value, weights.mT).unflatten(2, c.shape[2:])))
        return (transformer(*levels),)

    def adaattn(self, content: Features, style: Features) -> tuple[Tensor, Tensor]:
        transformer, changed = self.network["transformer"], {}
        for level in LEVELS:
            shallow = level == "relu3_1"
            part: Any = (
                self.network["adaattn_3"] if shallow else getattr(transformer, level.replace("relu", "attn_adain_"))
            )
            c, s = content[level], style[level]
            query, key = part.f(self._key(content, level)).flatten(2), part.g(self._key(style, level)).flatten(2)
            value = part.h(s).flatten(2).mT  # (1, M, C)
            weights = torch.softmax(torch.bmm(query.mT, key), 2)  # (1, N, M)
            mean = torch.bmm(weights, value)
            std = torch.sqrt(torch.relu(torch.bmm(weights, value**2) - mean**2))  # (1, N, C)
            mean, std = (x.mT.unflatten(2, c.shape[2:]) for x in (mean, std))
            changed[level] = std * mvn(c) + mean
        return transformer(changed["relu4_1"], changed["relu5_1"]), changed["relu3_1"]

    def _key(self, features: Features, level: str) -> Tensor:
        size = features[level].shape[2:]
        return torch.cat([mvn(F.interpolate(features[layer], size)) for layer in up_to(level)], 1)


# ------------------------------------------------------------------------------------------------ what is measured


def make_forms(method: str) -> dict[str, Form]:
    """Both forms of a method: photograph and painting -> picture."""
    if method == "johnson":
        johnson = nst.Johnson(_with_random_weights(TransformerNet()))
        plain = plain_johnson(johnson.network)
        return {"textbook": lambda c, s: plain(c).clamp(0, 1), "nstlib": lambda c, s: johnson.stylize(c)}
    model = METHODS[method].model()  # with the paper's decoder: speed and memory don't depend on the weights
    return {"textbook": Plain(model), "nstlib": model.stylize}


def _with_random_weights(network: TransformerNet) -> TransformerNet:
    """The paper's width, of which none is shipped. New blocks do nothing: these do."""
    for name, parameter in network.named_parameters():
        if name.endswith("norm2.weight") and name.startswith("res"):
            nn.init.ones_(parameter)
    return network


@torch.inference_mode()
def measure_memory(method: str, size: int, form: str) -> tuple[int, float]:
    """In a fresh process: bytes by which its memory grows, and seconds. Any picture will do, and noise leaves no traces."""
    paint = make_forms(method)[form]
    paint(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))  # what PyTorch takes at its first call
    content, style = torch.rand(2, 1, 3, size, size)
    return growth(lambda: paint(content, style))


def measure(method: str, sizes: list[int], options: Any, rate: Rate) -> Iterator[tuple[int, int]]:
    """A row for each size; gives pixels and bytes of our form."""
    for size in sizes:
        matrix = 4 * (size // STRIDES[method]) ** 4 if STRIDES[method] else 0
        fits = matrix <= options.largest * MIB
        forms = ["textbook", "nstlib"] if fits else ["nstlib"]
        memory, seconds = {"textbook": 2 * matrix}, {}
        for form in forms:
            memory[form], seconds[form] = in_fresh_process(measure_memory, method, size, form)
        difference = ""
        if max(seconds.values()) <= options.patience:
            content = square(nst.samples.content("cat", size), size)
            style = square(nst.samples.style("mosaic", size), size)
            runs = {form: partial(paint, content, style) for form, paint in make_forms(method).items() if form in forms}
            with torch.inference_mode():
                # the first, for the difference, warms up
                results = {form: run() for form, run in runs.items()}
                seconds = take_turns(runs, options.rounds, rate, warm_up=0)
            if fits:
                difference = f"{(results['textbook'] - results['nstlib']).abs().max().item():.1e}"
        ours = seconds["nstlib"]
        print_row(
            method,
            size,
            f"{1 / seconds['textbook']:.3g}" if fits else "",
            f"{1 / ours:.3g}",
            f"{seconds['textbook'] / ours:.2f}" if fits else "",
            f"{memory['textbook'] / MIB:.0f}{'' if fits else ' (computed)'}",
            f"{memory['nstlib'] / MIB:.0f}",
            f"{memory['textbook'] / max(memory['nstlib'], 1):.1f}",
            difference,
        )
        yield size**2, memory["nstlib"]


def main() -> None:
    parser = make_parser(__doc__, rounds=5)
    parser.add_argument("--methods", nargs="+", choices=list(STRIDES), default=list(STRIDES))
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048], help="sides in pixels")
    parser.add_argument("--largest", type=int, default=1024, help="MiB of the largest matrix that is held in one piece")
    parser.add_argument("--patience", type=float, default=20, help="seconds; what takes longer is run once only")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.rounds = [64, 128], 1
    print_setup(f"pictures and paintings of equal size, median of {options.rounds} rounds", options.threads)
    columns = (
        "pictures/s, textbook",
        "pictures/s, nstlib",
        "times faster",
        "MiB, textbook",
        "MiB, nstlib",
        "times less",
    )
    print_head("method", "px", *columns, "largest difference")
    rate = Rate()
    lines = {}
    for method in options.methods:
        points = list(measure(method, options.sizes, options, rate))
        lines[method] = straight_line(*zip(*points)) if len(points) > 1 else None
    print(rate)
    print("\nnstlib's memory as a straight line over the pixels of the picture, by least squares:\n")
    print_head("method", "bytes a pixel", "MiB at 0 px", "R^2")
    for method, line in lines.items():
        if line is not None:
            print_row(method, f"{line[0]:.0f}", f"{line[1] / MIB:.0f}", f"{line[2]:.4f}")


if __name__ == "__main__":
    main()
