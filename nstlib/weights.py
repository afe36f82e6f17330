"""Weights: read and write files of tensors, and read the convolutions of an encoder.

A file may be in safetensors format or written by `torch.save`, and may have any name. Common wrappers around a state dict
are removed. No file can run code, because pickles go through `torch.load(weights_only=True)`. Files are written whole or not
at all.

Encoders are read in three layouts, which are told apart by their keys:

- ours: keys `conv1_1.weight`, `conv1_1.bias`, ..., and the colour map as `color.weight`, `color.bias`;
- torchvision's: `features.0.weight` or `0.weight`, ..., for pictures normalised by ImageNet's mean and standard deviation;
  batch normalisations are folded into the convolutions;
- that of AdaIN's `vgg_normalised.pth`: module 0 is a 1x1 convolution on colours, with reflection padding and ceil-mode
  pooling.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nstlib.utils.files import expand_home, open_file, write_atomically

FORMAT = 1
"""The version of our own file format, `format_version` in the metadata."""

SHIPPED = {
    "vgg19_mini": "87805c77170d9a6d64e5deb802e4a314ad42e672461fab0e86ad7c638cc73232",
    "adain": "68b84056b9a4da62738491f843985a96032d79b8e0aeec42e38577de264c66b3",
    "sanet": "af26ecd9b628bdcb5d110f9227eb9c569ea32f078a2022f166f6976d7b31a0e0",
    "adaattn": "ad4c85222789fd98711c7690b04e0cacba3afca15b67aee52fb05dfe87dce1ca",
    "johnson_cypresses": "d2c8ade43fef22c6c4c2cebedd91044133f147ba1823e10621d222aa2b987d93",
    "johnson_dots": "4289d4f9f771a44b242e1e9ed882b522b651b7bb420a73be17037cba08920069",
    "johnson_glass": "36f7b9868d1e212e9e548f4c3b378c5645d81c19cdb5ad7dad6152e0886f3eed",
    "johnson_kirifuri": "8d415fb92fec3f25f5bb84868458af936ea46e5a81b9d81d65dcb136912683b1",
    "johnson_marble": "07b4003150aeef9fd78887049cc16c27635324724109afd8ad44f2f8de1ae4e9",
    "johnson_mosaic": "8ffd8ed9c6f4135abaa0b6d82dfe012acf18bdd6d9fcaf9cf8db2dd1ee8979ac",
    "johnson_swirl": "333eca15117ccc5cf9020278069fa50e763e7df3808dfe2575a9ca29da33b728",
    "johnson_wave": "8321fead4f88128b6cd5e9887dc50cbb1aa0944670e575c032d917285bd76079",
}
"""The files inside the package, `weights/<name>.safetensors`, and their SHA-256 hashes."""

TORCHVISION = ("vgg16", "vgg19", "vgg16_bn", "vgg19_bn")
"""The VGGs for which torchvision provides weights."""

WRAPPERS = ("average", "network", "state_dict", "model_state_dict", "model")
"""Keys under which a file may hold its state dict, in order of preference. The first two are those of `nst train`."""

Source = str | os.PathLike[str] | Mapping[str, Any]
"""Sources of weights: a path, the name of a shipped file, or a state dict."""

Pair = tuple[Tensor, Tensor]
"""Weight and bias."""

Padding = Literal["zeros", "reflect", "replicate"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Network:
    """The weights of an encoder.

    Attributes:
        convs: name -> weight `(C_out, C_in, 3, 3)` and bias `(C_out,)`, in the order in which they are applied.
        color: weight `(3, 3, 1, 1)` and bias `(3,)` of the colour map that comes first.
        padding: the padding that the weights were trained with.
        ceil_mode: whether pooling rounds sizes up.
    """

    convs: dict[str, Pair]
    color: Pair
    padding: Padding = "zeros"
    ceil_mode: bool = False

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that identify the weights. Networks trained with the encoder record them."""
        return fingerprint({"color": self.color, **self.convs}, repr((self.padding, self.ceil_mode)))


def fingerprint(parts: Mapping[str, Sequence[Tensor]], more: str = "") -> str:
    """Return 16 hexadecimal digits that depend on every name and every number."""
    digest = hashlib.sha256(more.encode())
    for name, tensors in parts.items():
        digest.update(name.encode())
        for tensor in tensors:
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def shipped_file(name: str) -> Path:
    """Return the path of a file in the package, after checking its SHA-256 hash."""
    path = Path(__file__).parent / "weights" / f"{name}.safetensors"
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no file"
    if found != SHIPPED[name]:
        raise OSError(
            f"the weights {name!r} inside the package are damaged (SHA-256 {found[:12]}...): reinstall nstlib"
        )
    return path


@dataclass(frozen=True)
class Checkpoint:
    """Weights and their metadata.

    Attributes:
        tensors: name -> tensor on the CPU, with floats as float32, and without the prefixes of wrappers.
        metadata: method, encoder, steps, ... Empty for files without metadata.
        label: the name of the weights in error messages.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, str]
    label: str

    @property
    def network(self) -> dict[str, Tensor]:
        """The weights of the trained network: all weights, unless the state dict of a whole model was saved."""
        return select(self.tensors, "network") or self.tensors


def select(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `part.`, without that prefix."""
    return {key.removeprefix(f"{part}."): value for key, value in tensors.items() if key.startswith(f"{part}.")}


def read_checkpoint(source: Source, label: str = "the state dict") -> Checkpoint:
    """Read weights of any kind, and remove what is wrapped around them.

    Args:
        source: the path of a file, the name of a shipped file such as `"adain"`, or a state dict. The `WRAPPERS` are
            opened, as is a single state dict under any other key, and the prefixes of `DataParallel` and `torch.compile`
            are removed. From a `checkpoint-<step>.pt` of `nst train`, the moving average of the weights is read, if any.
        label: the name of a state dict in error messages. A file has its own name.

    Raises:
        FileNotFoundError: there is no file at that path.
        OSError: the file is damaged, of another kind, or holds more than plain data.
        ValueError: no state dict of tensors, NaN or infinity, or a format that this version of nstlib doesn't know.

    Example:
        >>> read_checkpoint({"state_dict": {"module.conv.weight": torch.ones(1)}}).tensors
        {'conv.weight': tensor([1.])}
    """
    saved: object = source
    metadata: dict[str, str] = {}
    if not isinstance(source, Mapping):
        shipped = isinstance(source, str) and source in SHIPPED
        path = shipped_file(str(source)) if shipped else expand_home(source)
        saved, metadata, label = *_read_file(path), path.name
    for _ in range(3):  # wrappers may be nested, and a file may refer to itself
        if not isinstance(saved, Mapping):
            raise ValueError(f"{label} holds a {type(saved).__name__}, not a state dict of tensors")
        if isinstance(settings := saved.get("settings"), Mapping):  # a checkpoint of nst train
            metadata = {str(name): str(value) for name, value in (*settings.items(), ("steps", saved.get("step")))}
        wrapped = [saved[name] for name in WRAPPERS if isinstance(saved.get(name), Mapping) and saved[name]]
        others = [value for value in saved.values() if _holds_tensors(value)]
        saved = wrapped[0] if wrapped else others[0] if len(others) == 1 else saved
    assert isinstance(saved, Mapping)
    return Checkpoint(strip_wrappers(_plain_tensors(saved, label)), metadata, label)


def _holds_tensors(value: object) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(one, Tensor) for one in value.values())


def strip_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict without the prefixes of DataParallel, `torch.compile` and AveragedModel."""
    wrappers = ("module", "_orig_mod")
    return {
        ".".join(name for name in key.split(".") if name not in wrappers): value
        for key, value in state.items()
        if key != "n_averaged"
    }


def load_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Return the tensors of a weights file. Raises the errors of `read_checkpoint`."""
    return read_checkpoint(path).tensors


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return the metadata of a weights file. Raises the errors of `read_checkpoint`."""
    return read_checkpoint(path).metadata


def load_network(source: Source) -> Network:
    """Read a VGG: `"vgg19_mini"` (in the package), one of `TORCHVISION` (cached or downloaded), a file or a state dict.

    Raises the errors of `read_checkpoint`, and `ValueError` for keys in none of the three layouts.
    """
    if isinstance(source, str) and source in TORCHVISION:
        return parse_network(download(source), source)
    checkpoint = read_checkpoint(source)
    return parse_network(checkpoint.tensors, checkpoint.label, padding=checkpoint.metadata.get("padding"))


def _read_file(path: Path) -> tuple[object, dict[str, str]]:
    """Return the content of a file and its metadata. The format is recognised by the first bytes, not by the name."""
    with open_file(path) as file:
        head = file.read(24)
        file.seek(0)
        if head[8:9] == b"{":  # the header of safetensors, which follows its length
            return _read_safetensors(path)
        # torch.save writes a ZIP archive; old versions wrote a pickle
        if not head.startswith((b"PK\3\4", b"\x80")):
            raise OSError(
                f"{path.name} can't be read as weights: it is neither a safetensors file nor a state dict saved by PyTorch "
                f"(.pth, .pt, .model), and begins with {head!r}"
            )
        try:
            return torch.load(file, map_location="cpu", weights_only=True), {}
        except Exception:  # a damaged file can raise nearly anything
            raise OSError(
                f"{path.name} can't be read as weights: it is damaged, or holds more than tensors, which nstlib reads alone "
                "so that no file can run code; where it was made, save the state dict: torch.save(model.state_dict(), path)"
            ) from None


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            found = metadata.get("format_version", str(FORMAT))
            if found != str(FORMAT):
                raise ValueError(f"{path.name} has format {found:.20}, and this nstlib reads {FORMAT}: update nstlib")
            return {key: file.get_tensor(key) for key in file.keys()}, metadata  # noqa: SIM118 (not a dict)
    except SafetensorError as error:
        raise OSError(f"{path.name} is no whole safetensors file ({error}): fetch it again") from None


def _plain_tensors(state: Mapping[str, Tensor], label: str) -> dict[str, Tensor]:
    """Return a state dict on the CPU, with floats of any precision converted to float32. All of them must be finite."""
    plain: dict[str, Tensor] = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise ValueError(f"{label} is no state dict of tensors: look at {key!r}")
        plain[key] = value.detach().cpu().float() if value.is_floating_point() else value.cpu()
        if not bool(plain[key].isfinite().all()):
            raise ValueError(f"{label} is damaged: {key} holds NaN or infinity; fetch it again")
    return plain


def save_file(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, object], *, half: bool = True
) -> Path:
    """Write tensors and metadata to a safetensors file in our format, whole or not at all.

    With `half`, floats are stored in half precision, except in tensors that would overflow.
    """
    kept: dict[str, Tensor] = {}
    for key, value in tensors.items():
        fits = value.is_floating_point() and bool((value.detach().abs() <= torch.finfo(torch.half).max).all())
        kept[key] = (value.detach().half() if half and fits else value.detach()).cpu().contiguous()
    known = {name: str(value) for name, value in metadata.items()} | {"format_version": str(FORMAT)}
    return write_atomically(path, _in_order(save(kept, metadata=known)))


def _in_order(data: bytes) -> bytes:
    """Sort the metadata of a safetensors file, which come in a random order, so that equal content gives equal bytes."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # align the data that follows
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def parse_network(state: Mapping[str, Tensor], label: str, padding: str | None = None) -> Network:
    """Recognise the layout of a state dict by its keys, and name its convolutions. `padding` overrides the layout's.

    Raises:
        ValueError: keys in none of the three layouts, or shapes that don't fit together.
    """
    normalised = False
    try:
        if "color.weight" in state:
            names = sorted(key.removesuffix(".weight") for key in state if re.fullmatch(r"conv\d_\d\.weight", key))
            convs, color = {name: _pair(state, name) for name in names}, _pair(state, "color")
        else:
            convs, color, normalised = _name_numbered(state)
    except KeyError as error:
        raise ValueError(f"{label} is no whole VGG: it lacks {error}") from None
    if not convs:
        raise ValueError(
            f"{label} is no VGG: expected 3x3 convolutions under keys like 'features.0.weight', '0.weight' or "
            f"'conv1_1.weight', found {sorted(state)[:3]}"
        )
    channels = 3
    for name, (weight, bias) in convs.items():
        wanted = (bias.numel(), channels, 3, 3)
        if weight.shape != wanted:
            raise ValueError(f"{label} is no VGG: {name} has a weight {tuple(weight.shape)}, and {wanted} would fit")
        channels = bias.numel()
    usual = "reflect" if normalised else "zeros"
    return Network(convs, color, padding=cast(Padding, padding or usual), ceil_mode=normalised)


def _pair(state: Mapping[str, Tensor], name: str) -> Pair:
    return state[f"{name}.weight"], state[f"{name}.bias"]


def _name_numbered(state: Mapping[str, Tensor]) -> tuple[dict[str, Pair], Pair, bool]:
    """Read a state dict with numbered modules: its convolutions by name, its colour map, and whether it is AdaIN's VGG."""
    found = [re.fullmatch(r"((?:features\.)?)(\d+)\.weight", key) for key, value in state.items() if value.ndim == 4]
    prefix = next((match[1] for match in found if match), "")
    numbers = sorted(int(match[2]) for match in found if match)
    pairs = {number: _pair(state, f"{prefix}{number}") for number in numbers}
    normalised = bool(numbers) and pairs[numbers[0]][0].shape == (3, 3, 1, 1)
    color = pairs[numbers.pop(0)] if normalised else imagenet_color()
    batch_norm = any(key.endswith(".running_mean") for key in state)
    # A convolution and its ReLU take 2 numbers, or 3 with a padding module or a normalisation. If the step is longer, there
    # is a pool in between.
    step = 3 if normalised or batch_norm else 2
    convs, block, number = {}, 1, 0
    for previous, index in zip([*numbers[:1], *numbers], numbers):
        block, number = (block + 1, 1) if index - previous > step else (block, number + 1)
        pair = pairs[index]
        convs[f"conv{block}_{number}"] = fold(state, pair, f"{prefix}{index + 1}") if batch_norm else pair
    return convs, color, normalised


def fold(state: Mapping[str, Tensor], conv: Pair, norm: str) -> Pair:
    """Fold a batch normalisation into the convolution before it."""
    (weight, bias), (scale, shift) = conv, _pair(state, norm)
    mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
    # gamma (W x + b - mean) / sqrt(var + 1e-5) + beta
    factor = scale / (var + 1e-5).sqrt()
    return weight * factor[:, None, None, None], (bias - mean) * factor + shift


def imagenet_color() -> Pair:
    """Return the colour map `(x - mean) / std` of torchvision's networks as a 1x1 convolution."""
    std = torch.tensor(IMAGENET_STD)
    return torch.diag(1 / std)[:, :, None, None], -torch.tensor(IMAGENET_MEAN) / std


def download(name: str) -> Mapping[str, Tensor]:
    """Return torchvision's weights for a network, from its cache or by a download."""
    from torchvision.models import get_model_weights

    weights = get_model_weights(name)["IMAGENET1K_V1"]
    try:
        return weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:  # such as a URLError, if there is no network connection
        cache = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]
        raise FileNotFoundError(
            f"encoder {name!r} needs torchvision's weights, which are not at {cache} and could not be downloaded "
            f"({error}); encoder 'vgg19_mini' is inside the package and works offline"
        ) from None


def compare_keys(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Describe the missing and unexpected keys of a state dict for an error message. Empty if there are none."""
    missing, unknown = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    parts = [f"{word} {keys[:3]}" for word, keys in (("lacks", missing), ("has besides", unknown)) if keys]
    return " and ".join(parts)
