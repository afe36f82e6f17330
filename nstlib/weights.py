"""Weights: from a name, a file or a state dict to the convolutions of an encoder.

Three layouts are read, and told apart by their keys:

- ours: safetensors with keys `conv1_1.weight`, `conv1_1.bias`, ... and the colour map as `color.weight`, `color.bias`;
- torchvision: `features.0.weight` or `0.weight`, ..., for pictures normalised by ImageNet's mean and standard deviation;
  batch normalisations are folded into the convolutions;
- `vgg_normalised.pth` of the AdaIN family: module 0 is a 1x1 convolution on colours, reflection padding, ceil-mode pooling.

Nothing here unpickles what it can't trust: `.pth` files go through `torch.load(weights_only=True)`. Files are written
whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from nstlib.files import write_atomically

FORMAT = 1
"""The newest format of our own files that this version reads (`format_version` in their metadata)."""

SHIPPED = {
    "vgg19_mini": "87805c77170d9a6d64e5deb802e4a314ad42e672461fab0e86ad7c638cc73232",
    "adain": "364b596bbec4d812d7025390dc0f6aab5db943e26d10d337d6b439115c8ebc57",
    "sanet": "5d773d4cc9160cff7fb58037c98fd06f2a5694f96912bab7625ee8cb75675b31",
    "adaattn": "35f789644c2c84bbfdc43ab2670dbe8fda52d99665f59f0ac208312692cf5363",
    "johnson_cypresses": "0f38cc3200c1f0b1f660c408e9ef2e89711fcc9be533145fa0266534befb3c77",
    "johnson_glass": "d211adb1a098a7f74004f1cd84cb1e115d08df7720e4e8619ee6d71688ddb3ec",
    "johnson_kirifuri": "c5869d66da9898def0a359e48b8a016780b384ba9b81d78a244904660da5df82",
    "johnson_mosaic": "e218996b7ee24ace231609732706737569b41a513244a0c06af3f5a46bb741f5",
    "johnson_swirl": "e16e74555ce0e4b4587728efa6d043215f6be5615b86bcd17fdc041019b3abf9",
    "johnson_wave": "465d6b9445d7f549c25607c8929ec7c5c1ab4923c73865ff179cd39668b22b52",
}
"""Files inside the package, `weights/<name>.safetensors`, and their SHA-256."""

TORCHVISION = ("vgg16", "vgg19", "vgg16_bn", "vgg19_bn")
"""VGGs whose weights torchvision has."""

Padding = Literal["zeros", "reflect", "replicate"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Network:
    """What an encoder is made of.

    Attributes:
        convs: name -> (weight `(C_out, C_in, 3, 3)`, bias `(C_out,)`), in the order in which they are applied.
        color: (weight `(3, 3, 1, 1)`, bias `(3,)`) of the colour map that comes first: the network's preprocessing.
        padding: the padding that the weights were made for.
        ceil_mode: whether pooling rounds sizes up.
    """

    convs: dict[str, tuple[Tensor, Tensor]]
    color: tuple[Tensor, Tensor]
    padding: Padding = "zeros"
    ceil_mode: bool = False

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change when a weight does. Weights trained with an encoder record it."""
        parts = {"color": self.color, **self.convs}
        return fingerprint(parts, repr((self.padding, self.ceil_mode)))


def fingerprint(parts: Mapping[str, Sequence[Tensor]], more: str = "") -> str:
    """16 hexadecimal digits that change with any name or number."""
    digest = hashlib.sha256(more.encode())
    for name, tensors in parts.items():
        digest.update(name.encode())
        for tensor in tensors:
            digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def load_network(source: str | os.PathLike[str] | Mapping[str, Tensor]) -> Network:
    """Read the network called or stored at `source`.

    Args:
        source: `"vgg19_mini"` (inside the package), `"vgg19"` or `"vgg16"` (torchvision's weights, from its cache or
            the network), a path to a `.safetensors` or `.pth` file, or a state dict.

    Raises:
        ValueError: an unknown name, or keys in none of the three layouts.
        FileNotFoundError: no file at that path, or no weights for that name on this machine.
        OSError: a file that is damaged.
    """
    if isinstance(source, Mapping):
        return parse_network(plain_tensors(source, "the state dict"), "the state dict")
    if source in TORCHVISION:
        return parse_network(download(str(source)), str(source))
    path = shipped_file(str(source)) if source in SHIPPED else Path(source)
    return parse_network(load_file(path), str(source), padding=load_metadata(path).get("padding"))


def shipped_file(name: str) -> Path:
    """Where a file of the package lies; its SHA-256 is checked."""
    path = Path(__file__).parent / "weights" / f"{name}.safetensors"
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "no file"
    if found != SHIPPED[name]:
        raise OSError(
            f"the weights {name!r} inside the package are damaged: SHA-256 {SHIPPED[name][:12]}... expected, "
            f"{found[:12]}... found; reinstall nstlib"
        )
    return path


def load_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a `.safetensors` or `.pth`/`.pt` file, floats as float32, on the CPU.

    Raises:
        FileNotFoundError: no file at that path.
        OSError: a file that is truncated or isn't what its name says.
        ValueError: a file whose format is newer than this version of nstlib knows, or that holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file at {str(path)!r}")
    if path.suffix.lower() == ".safetensors":
        with _safetensors(path) as file:
            found = (file.metadata() or {}).get("format_version", str(FORMAT))
            if not (found.isascii() and found.isdecimal() and int(found[:9]) <= FORMAT):
                shown = found[:20] if found.isdecimal() else repr(found[:20])
                raise ValueError(
                    f"{path.name} has format {shown}, and this nstlib reads formats up to {FORMAT}: update nstlib"
                )
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    else:
        try:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:
            reason = (str(error) or "empty").splitlines()[0][:120]
            raise OSError(
                f"{path.name} can't be read as a file of tensors alone ({type(error).__name__}: {reason}); nstlib "
                "loads no file that could run code: fetch it again, or save it as safetensors"
            ) from None
        if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
            raise ValueError(f"{path.name} holds a {type(tensors).__name__}, not a state dict of tensors")
    return plain_tensors(tensors, path.name)


def plain_tensors(state: Mapping[str, Tensor], label: str) -> dict[str, Tensor]:
    """A state dict of finite numbers; those of any precision become float32.

    Raises:
        ValueError: keys that are no text, values that are no plain tensors, NaN, infinity or complex numbers.
    """
    for key, value in state.items():
        plain = isinstance(value, Tensor) and value.layout == torch.strided and not value.is_quantized
        if not isinstance(key, str) or not plain or value.is_meta:
            raise ValueError(f"{label} is no state dict of plain tensors: look at {key!r}")
        if value.is_complex() or (value.is_floating_point() and not bool(value.float().isfinite().all())):
            raise ValueError(f"{label} is damaged: {key} holds NaN, infinity or complex numbers; fetch it again")
    return {key: value.detach().float() if value.is_floating_point() else value for key, value in state.items()}


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """What a safetensors file says of itself; files of other kinds say nothing. Errors are those of `load_file`."""
    if Path(path).suffix.lower() != ".safetensors":
        return {}
    with _safetensors(Path(path)) as file:
        return dict(file.metadata() or {})


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise FileNotFoundError(f"no weights file at {str(path)!r}")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise OSError(f"{path.name} is no whole safetensors file ({error}): fetch it again") from None


def save_file(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str], *, half: bool = True
) -> Path:
    """Write tensors as a safetensors file of our format, whole or not at all.

    Args:
        tensors: name -> tensor.
        metadata: what there is to know of them; `format_version` is added.
        half: store floats in half precision, but those tensors that would overflow in it.
    """
    path = Path(path)
    kept = {
        key: (value.detach().half() if half and _fits_half(value) else value.detach()).cpu().contiguous()
        for key, value in tensors.items()
    }
    return write_atomically(path, _in_order(save(kept, metadata={"format_version": str(FORMAT), **metadata})))


def _in_order(data: bytes) -> bytes:
    """A safetensors file with its metadata, which come in a random order, sorted: the same content is the same bytes."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # what follows is aligned
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _fits_half(value: Tensor) -> bool:
    return value.is_floating_point() and bool((value.detach().abs() <= torch.finfo(torch.half).max).all())


def parse_network(state: Mapping[str, Tensor], label: str, padding: str | None = None) -> Network:
    """Tell the layout of a state dict by its keys, and name its convolutions; `padding` overrides the layout's.

    Raises:
        ValueError: keys in none of the three layouts, a bias that is missing, or shapes that don't fit together.
    """
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if "color.weight" in state:
        names = [key.removesuffix(".weight") for key in state if re.fullmatch(r"conv\d_\d\.weight", key)]
        convs = {name: _pair(state, name, label) for name in sorted(names)}
        _check_chain(convs, color := _pair(state, "color", label), label)
        return Network(convs, color, padding=_padding(padding, "zeros"))

    # Both other layouts number the modules of one nn.Sequential, in order.
    numbered: dict[int, tuple[Tensor, Tensor]] = {}
    for key, value in state.items():
        match = re.fullmatch(r"(?:features\.)?(\d+)\.weight", key)
        if match and value.ndim == 4:
            numbered[int(match[1])] = _pair(state, key.removesuffix(".weight"), label)
    indices = sorted(numbered)
    normalised = bool(indices) and numbered[indices[0]][0].shape == (3, 3, 1, 1)
    if normalised:
        color, indices = numbered[indices[0]], indices[1:]
    else:
        color = imagenet_color()
    if not indices or any(numbered[index][0].shape[2:] != (3, 3) for index in indices):
        raise ValueError(
            f"{label} is no VGG: expected 3x3 convolutions under keys like 'features.0.weight', '0.weight' or "
            f"'conv1_1.weight', found {sorted(state)[:3]}"
        )
    # A convolution and its ReLU take 2 places, and 3 with a padding module or a normalisation; where the step is longer, a
    # pool stands between.
    batch_norm = any(key.endswith(".running_mean") for key in state)
    step = 3 if normalised or batch_norm else 2
    if batch_norm:
        prefix = "features." if any(key.startswith("features.") for key in state) else ""
        numbered = {index: _fold(state, pair, f"{prefix}{index + 1}", label) for index, pair in numbered.items()}
    convs, block, number = {}, 1, 0
    for previous, index in zip([indices[0] - step, *indices], indices):
        block, number = (block + 1, 1) if index - previous > step else (block, number + 1)
        convs[f"conv{block}_{number}"] = numbered[index]
    _check_chain(convs, color, label)
    return Network(convs, color, padding=_padding(padding, "reflect" if normalised else "zeros"), ceil_mode=normalised)


def _fold(state: Mapping[str, Tensor], conv: tuple[Tensor, Tensor], norm: str, label: str) -> tuple[Tensor, Tensor]:
    """One convolution that does what a convolution and the batch normalisation behind it do."""
    scale, shift = _pair(state, norm, label)
    mean, var = (state.get(f"{norm}.running_{key}") for key in ("mean", "var"))
    if mean is None or var is None:
        raise ValueError(f"{label} has {norm}.weight and lacks its running mean or variance: it is no whole VGG")
    weight, bias = conv
    # gamma (W x + b - mean) / sqrt(var + 1e-5) + beta
    factor = scale / (var + 1e-5).sqrt()
    return weight * factor[:, None, None, None], (bias - mean) * factor + shift


def _pair(state: Mapping[str, Tensor], name: str, label: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution."""
    if f"{name}.bias" not in state:
        raise ValueError(f"{label} has {name}.weight and lacks {name}.bias: it is no whole VGG")
    return state[f"{name}.weight"], state[f"{name}.bias"]


def _check_chain(convs: Mapping[str, tuple[Tensor, Tensor]], color: tuple[Tensor, Tensor], label: str) -> None:
    """Every convolution takes as many channels as the one before it gives."""
    if not convs:
        raise ValueError(f"{label} is no VGG: it has a colour map and no convolution such as 'conv1_1.weight'")
    channels = 3
    for name, (weight, bias) in (("color", color), *convs.items()):
        side = 1 if name == "color" else 3
        outputs = 3 if name == "color" else weight.shape[0] if weight.ndim else 0
        wanted = (outputs, channels, side, side)
        if weight.shape != wanted or bias.shape != (outputs,) or not outputs or not weight.is_floating_point():
            raise ValueError(
                f"{label} is no VGG: {name} has a weight {tuple(weight.shape)} and a bias {tuple(bias.shape)} of "
                f"{weight.dtype}, and floats {wanted} and ({outputs},) would fit"
            )
        channels = outputs


def _padding(found: str | None, usual: Padding) -> Padding:
    if found is not None and found not in get_args(Padding):
        raise ValueError(f"the weights ask for padding {found!r}; there are: {', '.join(get_args(Padding))}")
    return found or usual  # type: ignore[return-value]


def imagenet_color() -> tuple[Tensor, Tensor]:
    """The colour map `(x - mean) / std` of torchvision's networks, as a 1x1 convolution."""
    std = torch.tensor(IMAGENET_STD)
    return torch.diag(1 / std)[:, :, None, None], -torch.tensor(IMAGENET_MEAN) / std


def download(name: str) -> Mapping[str, Tensor]:
    """torchvision's weights for a network, from its cache or the network."""
    from torchvision.models import get_model_weights

    weights = get_model_weights(name)["IMAGENET1K_V1"]
    try:
        return weights.get_state_dict(progress=True, check_hash=True)
    except OSError as error:  # URLError is one: no network, or a proxy that refuses
        cache = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]
        raise FileNotFoundError(
            f"encoder {name!r} needs torchvision's weights, which are not at {cache} and could not be downloaded "
            f"({error}); encoder 'vgg19_mini' is inside the package and works offline"
        ) from None


def compare_keys(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """What a state dict lacks or has too much, in words for an error message; empty if nothing."""
    missing, unknown = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    parts = [f"{word} {keys[:3]}" for word, keys in (("lacks", missing), ("has besides", unknown)) if keys]
    return " and ".join(parts)


def name_layout(state: Mapping[str, Tensor]) -> str | None:
    """Whose weights these are, by their keys, in words for an error message; None if they are none that we know."""
    shapes = {key.removeprefix("module."): tuple(value.shape) for key, value in state.items()}

    def has(pattern: str) -> bool:
        return any(re.match(pattern, key) for key in shapes)

    if (
        has(r"attn_adain_\d_1\.")
        or has(r"decoder_layer_\d\.")
        or {"f.weight", "g.weight", "h.weight"} == {key for key in shapes if key.endswith(".weight")}
    ):
        return "a part of AdaAttN"
    if has(r"sanet\d_1\."):
        return "the transform of SANet"
    if has(r"conv\d_\d\.weight") or has(r"features\.\d+\.") or shapes.get("0.weight", ())[1:2] == (3,):
        return "an encoder (VGG)"
    if shapes.get("1.weight", ())[2:] == (3, 3) and "28.weight" in shapes:
        return "a decoder of AdaIN or SANet"
    if "conv1.weight" in shapes or "conv1.conv2d.weight" in shapes:
        return "a network in the style of Johnson"
    return None
