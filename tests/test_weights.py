from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import random_convs, torchvision_state
from safetensors.torch import save_file

import nstlib as nst
from nstlib import weights


def test_the_shipped_file_is_the_one_that_was_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    weights.shipped_file("vgg19_mini")
    monkeypatch.setitem(weights.SHIPPED, "vgg19_mini", "f" * 64)
    with pytest.raises(OSError, match=r"are damaged \(SHA-256 8780"):
        weights.shipped_file("vgg19_mini")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files_are_read_in_either_format(tmp_path: Path, suffix: str) -> None:
    state = torchvision_state(random_convs())
    path = tmp_path / f"network{suffix}"
    if suffix == ".pth":
        torch.save(state, path)
    else:
        save_file(state, path)
    picture = torch.rand(1, 3, 32, 32)
    expected = nst.Encoder(state, ["relu3_1"])(picture)["relu3_1"]
    assert torch.equal(nst.Encoder(path, ["relu3_1"])(picture)["relu3_1"], expected)
    assert torch.equal(nst.Encoder(str(path), ["relu3_1"])(picture)["relu3_1"], expected)


def test_prefixes_are_stripped() -> None:
    convs = random_convs()
    for prefix in ("module.features.", "_orig_mod.module.features.", "features.", "module.", ""):
        network = weights.load_network(torchvision_state(convs, prefix))
        assert list(network.convs) == [name for name, _, _ in convs]


def test_a_part_of_a_network_is_enough() -> None:
    encoder = nst.Encoder(torchvision_state(random_convs()[:8]), ["relu3_4"])
    assert encoder.channels == {"relu3_4": 8}
    with pytest.raises(ValueError, match=r"no layer 'relu4_1'"):
        nst.Encoder(torchvision_state(random_convs()[:8]), ["relu4_1"])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    for suffix in (".safetensors", ".pth"):
        path = tmp_path / f"network{suffix}"
        state = torchvision_state(random_convs())
        if suffix == ".pth":
            torch.save(state, path)
        else:
            save_file(state, path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(OSError, match=rf"network{suffix}"):
            weights.load_network(path)


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path, sign = tmp_path / "evil.pth", tmp_path / "ran"
    torch.save({"features.0.weight": Bomb(sign)}, path)
    with pytest.raises(OSError, match=r"holds more than tensors, .* no file can run code"):
        weights.load_network(path)
    path.write_bytes(pickle.dumps(Bomb(sign)))
    with pytest.raises(OSError, match=r"evil\.pth can't be read as weights"):
        weights.load_network(path)
    assert not sign.exists()


def test_other_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        weights.load_file(tmp_path / "nowhere.pth")
    (tmp_path / "adain_run2.pth").touch()
    with pytest.raises(FileNotFoundError, match=r"there is no file '.*'; did you mean 'adain_run2\.pth'\?$"):
        weights.load_file(tmp_path / "adain-run2.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(ValueError, match=r"list, not a state dict"):
        weights.load_file(tmp_path / "list.pth")
    save_file({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match=r"no VGG: expected .*fc\.weight"):
        nst.Encoder(tmp_path / "other.safetensors", ["relu1_1"])
    save_file({"a": torch.zeros(1)}, tmp_path / "new.safetensors", metadata={"format_version": "99"})
    with pytest.raises(ValueError, match=r"format 99.*update nstlib"):
        weights.load_file(tmp_path / "new.safetensors")


def test_no_network_no_cache_names_what_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.error
    import urllib.request

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"vgg19-dcbb9e9d\.pth.*'vgg19_mini' is inside the package"):
        nst.Encoder("vgg19")


def test_torchvisions_cache_is_used_when_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real loading code, with a small file in the right format where torchvision's cache would have it."""
    from torchvision.models import VGG19_Weights

    (tmp_path / "checkpoints").mkdir()
    torch.save(
        torchvision_state(random_convs()), tmp_path / "checkpoints" / VGG19_Weights.IMAGENET1K_V1.url.split("/")[-1]
    )
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert nst.Encoder("vgg19", ["relu2_1"]).channels == {"relu2_1": 6}


def test_shipped_weights_were_trained_with_the_shipped_encoder() -> None:
    """The files record the fingerprint of the encoder that they were trained with."""
    encoder = nst.Encoder().fingerprint
    for name in weights.SHIPPED:
        about = weights.load_metadata(weights.shipped_file(name))
        assert about["format_version"] == str(weights.FORMAT), name
        assert about.get("encoder_fingerprint", encoder) == encoder, name


def test_a_fingerprint_changes_with_any_weight() -> None:
    convs = {name: (weight, bias) for name, weight, bias in random_convs()}
    color = weights.imagenet_color()
    first = weights.Network(convs, color).fingerprint
    assert first == weights.Network(dict(convs), color).fingerprint
    assert first != weights.Network(convs, color, padding="reflect").fingerprint
    weight, bias = convs["conv5_1"]
    changed = weight.clone()
    changed[0, 0, 0, 0] += 1e-3
    assert first != weights.Network(convs | {"conv5_1": (changed, bias)}, color).fingerprint


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    tensors = {"weight": torch.rand(3, 4), "count": torch.tensor([2])}
    path = weights.save_file(tmp_path / "deep" / "file.safetensors", tensors, {"method": "none"})
    found = weights.load_file(path)
    assert torch.equal(found["weight"], tensors["weight"].half().float())
    assert torch.equal(found["count"], tensors["count"])
    assert weights.load_metadata(path) == {"format_version": str(weights.FORMAT), "method": "none"}
    assert torch.equal(weights.load_file(weights.save_file(path, tensors, {}, half=False))["weight"], tensors["weight"])
    (tmp_path / "broken.safetensors").write_bytes(path.read_bytes()[:20])
    with pytest.raises(OSError, match="no whole safetensors file"):
        weights.load_metadata(tmp_path / "broken.safetensors")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        weights.load_metadata(tmp_path / "none.safetensors")
