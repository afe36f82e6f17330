"""Checkpoints of the methods: translate published layouts to ours, and load weights into the networks that they fit."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from nstlib.decoder import SKIPS, STAGES, ConditionedDecoder, Decoder
from nstlib.encoder import Encoder
from nstlib.utils.files import expand_home
from nstlib.weights import Checkpoint, Source, compare_keys, read_checkpoint, save_file, select, strip_wrappers


@contextmanager
def to_be_loaded() -> Iterator[None]:
    """Create a network whose weights are then replaced: on the CPU, without changing the caller's random state."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        yield


def check_method(checkpoint: Checkpoint, method: str) -> None:
    """Validate that weights belong to this method, if their metadata name one."""
    found = checkpoint.metadata.get("method", method)
    if found != method:
        raise ValueError(
            f"{checkpoint.label} holds weights of the method {found!r}, and those of {method!r} are needed"
        )


def read_model(method: str, names: Sequence[str], source: Source | None, parts: Mapping[str, Source]) -> Checkpoint:
    """Read the weights of a method from a file of ours or from the published files, and return them with our keys.

    `names` are the parts of its network. The published weights have one file for each.

    Raises:
        TypeError: neither a source nor all of the parts, or both.
        ValueError: weights of another method, or a decoder that isn't one.
    """
    wanted = ", ".join(f"{name}=..." for name in names)
    if set(parts) != (set(names) if source is None else set()):
        found = ", ".join([*["a source"] * (source is not None), *parts]) or "nothing"
        raise TypeError(f"{method} is loaded from one source or from all published parts, {wanted}, got {found}")
    if source is None:
        return _join_parts(method, parts)
    checkpoint = read_checkpoint(source)
    check_method(checkpoint, method)
    if select(checkpoint.network, "decoder"):
        return checkpoint
    if len(names) == 1:  # AdaIN's published weights are also a single file
        return _join_parts(method, {names[0]: source})
    raise ValueError(
        f"{checkpoint.label} holds no whole network of {method}: it has keys like {sorted(checkpoint.tensors)[:3]}; "
        f"published weights are given as {wanted}"
    )


def _join_parts(method: str, parts: Mapping[str, Source]) -> Checkpoint:
    tensors: dict[str, Tensor] = {}
    for name, source in parts.items():
        part = read_checkpoint(source, f"{name} (state dict)")
        state = translate_decoder(part.tensors, part.label) if name == "decoder" else part.tensors
        tensors |= {f"{name}.{key}": value for key, value in state.items()}
    return Checkpoint(tensors, {"method": method}, "the checkpoint")


def read_decoder(checkpoint: Checkpoint) -> Decoder:
    """Return the decoder of a checkpoint with our keys, weights included. `ValueError` if it has none, or part of one."""
    state = select(checkpoint.network, "decoder")
    try:
        outputs = {"relu1_1": "conv2_1", "relu2_1": "conv3_1", "relu3_1": "conv4_1"}
        channels = {layer: len(state[f"convs.{name}.weight"]) for layer, name in outputs.items()}
        channels["relu4_1"] = state["convs.conv4_1.weight"].shape[1]
        skips = [layer for layer, name in SKIPS.items() if state[f"convs.{name}.weight"].shape[1] != channels[layer]]
    except (KeyError, IndexError):
        raise ValueError(
            f"{checkpoint.label} holds no decoder of ours: it has keys like {sorted(checkpoint.tensors)[:3]}"
        ) from None
    with to_be_loaded():
        if "modulation.weight" in state:
            blocks = len({key.split(".")[1] for key in state if key.startswith("blocks.")})
            decoder: Decoder = ConditionedDecoder(
                channels, skips=skips, blocks=blocks, components=len(state["components"])
            )
        else:
            decoder = Decoder(channels, skips=skips)
    load_weights(decoder, state, checkpoint.label, "decoder")
    return decoder


def load_weights(module: nn.Module, state: Mapping[str, Tensor], label: str, network: str) -> None:
    """Load exactly these weights into a module, which stays unchanged if they don't fit. Errors name `label` and `network`.

    Raises:
        ValueError: keys that are missing or too many, or another shape.
    """
    wanted = module.state_dict()
    if differs := compare_keys(state, wanted):
        raise ValueError(f"{label} holds no {network}: it {differs}")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            raise ValueError(
                f"{label}: {key} is {tuple(state[key].shape)}, and the {network} needs {tuple(value.shape)}: it was trained "
                "at another width, with another encoder, or for another method"
            )
    module.load_state_dict(dict(state))


def save_weights(
    module: nn.Module,
    path: str | os.PathLike[str],
    metadata: Mapping[str, object],
    *,
    half: bool,
    constants: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write the weights of a network, compiled or not, and constants to a safetensors file, whole or not at all."""
    path = expand_home(path)
    if path.suffix.lower() != ".safetensors":
        raise ValueError(f"weights are written as safetensors, got '{path}': name it {path.stem}.safetensors")
    return save_file(path, {**strip_wrappers(module.state_dict()), **(constants or {})}, metadata, half=half)


def check_encoder(encoder: Encoder, checkpoint: Checkpoint) -> None:
    """Validate that weights were trained with this encoder, as far as they record it. `ValueError` if not."""
    found = checkpoint.metadata.get("encoder_fingerprint", encoder.fingerprint)
    if found != encoder.fingerprint:
        raise ValueError(
            f"{checkpoint.label} was trained on the encoder {checkpoint.metadata.get('encoder', '')!r} with fingerprint "
            f"{found}, and this encoder has {encoder.fingerprint}: give the encoder that it was trained with"
        )
    frozen, own = select(checkpoint.tensors, "encoder"), encoder.state_dict()
    for key in frozen.keys() & own.keys():  # an encoder with more layers has more
        one, other = frozen[key].to(own[key]), own[key]
        # tolerances: the model may have been saved in half precision
        if one.shape != other.shape or not torch.allclose(one, other, rtol=1e-2, atol=1e-4):
            raise ValueError(
                f"{checkpoint.label} holds the model with another encoder than {encoder.name!r}: name the one that it was "
                "trained with as encoder"
            )


# ------------------------------------------------------------------------------------------------ published layouts


def translate_johnson(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate a network of PyTorch's fast_neural_style to our keys, and from pictures in 0..255 to [0, 1]."""
    if not any(".conv2d." in key for key in state):
        return dict(state)
    ours: dict[str, Tensor] = {}
    for key, value in state.items():
        if re.search(r"\bin\d\.(running_|num_batches)", key):
            continue  # old files carry statistics that instance normalisation never used
        key = key.replace(".conv2d.", ".").replace("deconv3.", "out.")
        key = re.sub(r"\bin(\d)\.", r"norm\1.", re.sub(r"\bdeconv(\d)\.", r"up\1.", key))
        # f(255 x) / 255
        scale = {"conv1.weight": 255.0, "out.weight": 1 / 255, "out.bias": 1 / 255}.get(key, 1.0)
        ours[key] = value.float() * scale if value.is_floating_point() else value
    return ours


def translate_decoder(state: Mapping[str, Tensor], label: str) -> dict[str, Tensor]:
    """Translate a published decoder to our keys. Its convolutions are numbered, and only their order matters.

    It may be AdaIN's or SANet's (`1.weight`, `5.weight`, ...), AdaAttN's (`decoder_layer_2.4.weight`, ...), or one of ours.

    Raises:
        ValueError: not nine 3x3 convolutions with their biases.
    """
    if state and all(key.startswith("convs.") for key in state):
        return dict(state)
    weights = [key for key in state if re.fullmatch(r"(decoder_layer_\d\.)?\d+\.weight", key)]
    weights.sort(key=lambda key: [int(number) for number in re.findall(r"\d+", key)])
    with to_be_loaded():
        names = list(Decoder(dict.fromkeys(STAGES, 1)).convs)
    biases = [f"{key.removesuffix('weight')}bias" for key in weights]
    whole = all(state[key].shape[2:] == (3, 3) for key in weights) and all(key in state for key in biases)
    if len(weights) != len(names) or not whole:
        raise ValueError(
            f"{label} is no decoder of AdaIN's kind: it needs {len(names)} convolutions of 3x3 with biases, under keys "
            f"like '1.weight' or 'decoder_layer_1.1.weight', and has {len(weights)}; it has keys like {sorted(state)[:3]}"
        )
    ours: dict[str, Tensor] = {}
    for name, weight, bias in zip(names, weights, biases):
        ours[f"convs.{name}.weight"], ours[f"convs.{name}.bias"] = state[weight], state[bias]
    return ours
