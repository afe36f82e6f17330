"""Weights files that are damaged, made by others, or made to do harm."""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import normalised_state, random_convs, torchvision_state
from safetensors.torch import save as to_bytes
from torch import Tensor

import nstlib as nst
from nstlib import weights
from nstlib.training.state import load_checkpoint

CONVS = random_convs((2, 2, 2, 2, 2))
OURS = {
    **{f"{name}.weight": weight for name, weight, _ in CONVS},
    **{f"{name}.bias": bias for name, _, bias in CONVS},
    "color.weight": weights.imagenet_color()[0],
    "color.bias": weights.imagenet_color()[1],
}
TORCHVISION = torchvision_state(CONVS)
NORMALISED = normalised_state(CONVS, weights.imagenet_color())
LAYOUTS = {"ours": OURS, "torchvision": TORCHVISION, "normalised": NORMALISED}


def one_line(error: BaseException) -> bool:
    return "\n" not in str(error) and 20 < len(str(error)) < 500


# --------------------------------------------------------------------------------------- no code is ever run


class Touch:
    """What is unpickled from it makes a file."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


def in_zip(pickled: bytes) -> bytes:
    """As torch.save writes it, with a pickle of our own."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/version", "3\n")
        file.writestr("archive/byteorder", "little")
    return buffer.getvalue()


def bombs(sign: Path) -> dict[str, bytes]:
    import builtins
    import os

    command = Touch(os.system, f"touch {sign}")
    evil: dict[str, Any] = {
        "system": command,
        "eval": Touch(builtins.eval, f"open({str(sign)!r}, 'w')"),
        "open": Touch(builtins.open, str(sign), "w"),
        "touch": Touch(Path.touch, sign),
        "deep": {"features.0.weight": [({"a": command},)]},
        "key": {("features.0.weight", 1): command},
        "getattr": Touch(getattr, Path, "touch"),
        "torch.load": Touch(torch.load, str(sign)),
    }
    pickles = {name: pickle.dumps(value, 2) for name, value in evil.items()}
    pickles["global"] = b"cos\nsystem\n(V" + f"touch {sign}".encode() + b"\ntR."
    return {f"{name}, bare": data for name, data in pickles.items()} | {
        f"{name}, zip": in_zip(data) for name, data in pickles.items()
    }


BOMBS = list(bombs(Path("sign")))
READERS: tuple[Callable[[Path], object], ...] = (
    *(weights.load_file, weights.load_metadata, weights.load_network, nst.Encoder, nst.Johnson.from_checkpoint),
    *(nst.AdaIN.from_checkpoint, nst.SANet.from_checkpoint, nst.AdaAttN.from_checkpoint),
)


@pytest.mark.parametrize("kind", BOMBS)
def test_no_file_runs_code(kind: str, tmp_path: Path) -> None:
    sign = tmp_path / "ran"
    data = bombs(sign)[kind]
    for name in ("w.pth", "w.pt", "w.bin", "w.safetensors", "w.PTH"):
        (tmp_path / name).write_bytes(data)
        for reader in READERS:
            with pytest.raises((OSError, ValueError), match=name) as caught:
                reader(tmp_path / name)
            assert one_line(caught.value)
            assert not sign.exists()
    (tmp_path / "checkpoint-7.pt").write_bytes(data)
    with pytest.warns(UserWarning, match="can't be read"), pytest.raises(OSError, match="none of the checkpoints"):
        load_checkpoint(tmp_path, {}, 10)
    assert not sign.exists()


def test_the_bombs_are_live(tmp_path: Path) -> None:
    """What the library refuses would have run."""
    for kind in ("system, bare", "touch, bare", "open, bare", "global, bare"):
        sign = tmp_path / kind.split(",")[0]
        pickle.loads(bombs(sign)[kind])
        assert sign.exists(), kind


# ------------------------------------------------------------------------------------------- damaged files


def safetensors(header: Any, body: bytes = bytes(64), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + body


def tensor(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


DAMAGED: dict[str, bytes] = {
    "a header longer than the file": safetensors({}, length=10**6),
    "a header of 2^63 bytes": safetensors({}, length=2**63),
    "a header of no length": bytes(8),
    "seven bytes": bytes(7),
    "no JSON": safetensors(b"{" * 40),
    "JSON of another kind": safetensors([1, 2]),
    "no text": safetensors(b"\xff\xfe" * 20),
    "nested for ever": safetensors(b"[" * 100_000),
    "data beyond the end": safetensors({"a": tensor([100], 0, 400)}),
    "data that end before they begin": safetensors({"a": tensor([1], 8, 4)}),
    "shape and data that differ": safetensors({"a": tensor([5], 0, 64)}),
    "a shape that overflows": safetensors({"a": tensor([2**40, 2**40], 0, 64)}),
    "a shape below zero": safetensors({"a": tensor([-1], 0, 64)}),
    "a dtype that isn't there": safetensors({"a": tensor([16], 0, 64, "F99")}),
    "bytes that belong to nobody": safetensors({"a": tensor([4], 0, 16)}),
    "tensors that overlap": safetensors({"a": tensor([16], 0, 64), "b": tensor([16], 0, 64)}),
    "metadata of numbers": safetensors({"__metadata__": {"format_version": 1}, "a": tensor([16], 0, 64)}),
    "text": b"not a tensor in sight, only words and more words\n",
    "a web page": b"<!DOCTYPE html><html><body>404</body></html>",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".SAFETENSORS"])
@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_files_are_named(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"damaged{suffix}"
    path.write_bytes(DAMAGED[kind])
    for reader in (weights.load_file, weights.load_network):
        with pytest.raises(OSError, match=rf"damaged{suffix}") as caught:
            reader(path)
        assert one_line(caught.value)
        assert re.search("fetch it again|is neither a safetensors file nor .* begins with b'", str(caught.value))


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    suffix=st.sampled_from([".safetensors", ".pth"]),
    flips=st.lists(st.tuples(st.floats(0, 0.9999), st.integers(1, 255)), min_size=1, max_size=4),
    cut=st.floats(0.3, 1),
)
def test_flipped_and_missing_bytes_give_weights_or_one_sentence(
    suffix: str, flips: list[tuple[float, int]], cut: float, tmp_path: Path
) -> None:
    buffer = io.BytesIO()
    torch.save(TORCHVISION, buffer)
    data = bytearray(buffer.getvalue() if suffix == ".pth" else to_bytes(TORCHVISION, {"format_version": "1"}))
    head = 2000 if suffix == ".safetensors" else len(data)  # where damage is not only another number
    for place, change in flips:
        data[int(place * min(head, len(data)))] ^= change
    path = tmp_path / f"flipped{suffix}"
    path.write_bytes(data[: int(cut * len(data))])
    found: weights.Network | None = None
    said = ""
    try:
        found = weights.load_network(path)
    except (OSError, ValueError) as error:  # and no other
        said = str(error)
    if found is None:
        assert "\n" not in said
        assert path.name in said
    else:
        assert all(value.isfinite().all() for pair in found.convs.values() for value in pair)


@pytest.mark.parametrize("version", ["2", "one", "", "9" * 5000], ids=lambda version: repr(version[:4]))
def test_only_the_format_that_is_known_is_read(version: str, tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(to_bytes(OURS, {"format_version": version}))
    with pytest.raises(ValueError, match=r"file\.safetensors has format .*reads 1: update nstlib") as caught:
        weights.load_file(path)
    assert one_line(caught.value)
    path.write_bytes(to_bytes(OURS, {"format_version": "1"}))
    assert weights.load_file(path).keys() == OURS.keys()


# --------------------------------------------------------------------------------- whole files, wrong inside


def without(state: dict[str, Tensor], key: str) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if name != key}


WRONG: dict[str, tuple[dict[Any, Any], str]] = {
    "ours, no bias": (without(OURS, "conv2_1.bias"), r"no whole VGG: it lacks 'conv2_1\.bias'"),
    "ours, no bias of colours": (without(OURS, "color.bias"), r"lacks 'color\.bias'"),
    "torchvision, no bias": (without(TORCHVISION, "features.2.bias"), r"lacks 'features\.2\.bias'"),
    "normalised, no bias": (without(NORMALISED, "5.bias"), r"lacks '5\.bias'"),
    "a layer left out": (
        TORCHVISION | {"features.2.weight": torch.zeros(2, 3, 3, 3)},
        r"conv1_2 has a weight \(2, 3, 3, 3\).*\(2, 2, 3, 3\)",
    ),
    "a first layer for grey": (TORCHVISION | {"features.0.weight": torch.zeros(2, 1, 3, 3)}, "conv1_1 has a weight"),
    "a bias of another length": (TORCHVISION | {"features.2.bias": torch.zeros(7)}, r"\(7, 2, 3, 3\) would fit"),
}  # fmt: skip


@pytest.mark.parametrize("form", ["file", "state dict"])
@pytest.mark.parametrize("kind", WRONG)
def test_networks_that_dont_fit_together_are_told_when_they_are_read(kind: str, form: str, tmp_path: Path) -> None:
    state, words = WRONG[kind]
    path = tmp_path / "wrong.pth"
    torch.save(state, path)
    with pytest.raises(ValueError, match=words) as caught:
        nst.Encoder(path if form == "file" else state, ["relu1_1"])
    assert one_line(caught.value)
    assert ("wrong.pth" if form == "file" else "the state dict") in str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_layouts_are_read_if_whole(layout: str) -> None:
    assert list(weights.load_network(LAYOUTS[layout]).convs) == [name for name, _, _ in CONVS]


NO_STATE_DICT: dict[str, tuple[Any, str]] = {
    "NaN": (OURS | {"conv3_1.weight": torch.full((2, 2, 3, 3), float("nan"))}, r"conv3_1\.weight holds NaN"),
    "infinity": (OURS | {"conv3_1.bias": torch.tensor([1, -float("inf")])}, r"conv3_1\.bias holds NaN or infinity"),
    "more than float32 holds": (
        OURS | {"color.bias": torch.full((3,), 1e300, dtype=torch.float64)},
        "color.bias holds",
    ),
    "keys that are numbers": ({0: torch.zeros(2)}, "no state dict of tensors: look at 0"),
    "a tensor": (torch.zeros(3), "holds a Tensor, not a state dict"),
    "None": (None, "holds a NoneType, not a state dict"),
    "several": ({"state_dict": {"one": OURS, "other": OURS}}, "no state dict of tensors: look at 'one'"),
    "nothing": ({"state_dict": {}}, "no state dict of tensors: look at 'state_dict'"),
}


@pytest.mark.parametrize("kind", NO_STATE_DICT)
def test_what_is_no_state_dict_of_finite_numbers_is_told(kind: str, tmp_path: Path) -> None:
    saved, words = NO_STATE_DICT[kind]
    path = tmp_path / "file.pth"
    torch.save(saved, path)
    with pytest.raises(ValueError, match=rf"file\.pth.*{words}") as caught:
        weights.load_file(path)
    assert one_line(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_read(layout: str, dtype: torch.dtype, tmp_path: Path) -> None:
    state = {key: value.to(dtype) for key, value in LAYOUTS[layout].items()}
    torch.save(state, tmp_path / "file.pth")
    (tmp_path / "file.SafeTensors").write_bytes(to_bytes({key: value.contiguous() for key, value in state.items()}))
    one, other = (weights.load_network(tmp_path / name) for name in ("file.pth", "file.SafeTensors"))
    assert one.fingerprint == other.fingerprint
    assert one.convs["conv5_1"][0].dtype == torch.float32


# ------------------------------------------------------------------------------------------------- writing


def test_weights_that_half_precision_cant_hold_are_kept_in_full(tmp_path: Path) -> None:
    tensors = {"large": torch.tensor([70_000.0, 1.0]), "small": torch.tensor([0.1, 65_504.0])}
    found = weights.load_file(weights.save_file(tmp_path / "file.safetensors", tensors, {}))
    assert torch.equal(found["large"], tensors["large"])
    assert torch.equal(found["small"], tensors["small"].half().float())


def test_the_same_weights_make_the_same_file(tmp_path: Path) -> None:
    about = {f"key {i}": "käse" * i for i in range(12)}
    files = {
        weights.save_file(
            tmp_path / f"{i}.safetensors", OURS, dict(sorted(about.items(), reverse=bool(i)))
        ).read_bytes()
        for i in range(4)
    }
    assert len(files) == 1
    path = tmp_path / "0.safetensors"
    assert weights.load_metadata(path) == about | {"format_version": "1"}
    assert all(torch.equal(value, OURS[key].half().float()) for key, value in weights.load_file(path).items())
    assert int.from_bytes(path.read_bytes()[:8], "little") % 8 == 0  # so that tensors are aligned


@pytest.mark.parametrize("name", weights.SHIPPED)
def test_one_flipped_bit_of_a_shipped_file_is_noticed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(weights.shipped_file(name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / f"{name}.safetensors").write_bytes(data)
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "weights.py"))
    with pytest.raises(OSError, match=rf"'{name}' inside the package are damaged .* reinstall nstlib"):
        weights.shipped_file(name)
    (tmp_path / "weights" / f"{name}.safetensors").unlink()
    with pytest.raises(OSError, match="SHA-256 no file"):
        weights.shipped_file(name)


def test_every_shipped_file_has_its_hash() -> None:
    folder = Path(weights.__file__).parent / "weights"
    assert {path.stem for path in folder.glob("*.safetensors")} == set(weights.SHIPPED)
