"""Checkpoints that people have, of every method that has weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from networks import normalised_state, random_convs, textbook_decoder, torchvision_state
from PIL import Image
from torch import Tensor, nn

import nstlib as nst
from nstlib.adain import AdaINObjective
from nstlib.cli import main
from nstlib.johnson import JohnsonObjective, TransformerNet
from nstlib.weights import imagenet_color, load_file, load_metadata, read_checkpoint, save_file

ENCODER = torchvision_state(random_convs())
KINDS: dict[str, Any] = {"adain": nst.AdaIN, "sanet": nst.SANet, "adaattn": nst.AdaAttN}
EVERY = pytest.mark.parametrize("method", ["johnson", *KINDS])


def new(method: str) -> Any:
    torch.manual_seed(0)
    if method == "johnson":
        return nst.Johnson(TransformerNet(2))
    return KINDS[method](ENCODER)


@functools.cache
def model_of(method: str) -> Any:
    """A small model with random weights, which tests leave alone."""
    return new(method)


def read(method: str, source: Any) -> Any:
    return (
        nst.Johnson.from_checkpoint(source)
        if method == "johnson"
        else KINDS[method].from_checkpoint(source, encoder=ENCODER)
    )


def same(one: Any, state: dict[str, Tensor]) -> bool:
    found = one.network.state_dict()
    return found.keys() == state.keys() and all(torch.equal(found[key], state[key]) for key in state)


def prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{key}": value for key, value in state.items()}


# ------------------------------------------------------------------------------------ what is wrapped around them

FORMS: dict[str, Callable[[Any], Any]] = {
    "network": lambda model: model.network.state_dict(),
    "whole model": lambda model: model.state_dict(),
    "state_dict": lambda model: {"epoch": 7, "state_dict": model.network.state_dict(), "optimizer": {"lr": 1.0}},
    "model": lambda model: {"model": model.state_dict()},
    "another key": lambda model: {"epoch": 7, "params_ema": model.network.state_dict(), "optimizer": {"lr": 1.0}},
    "wrapped twice": lambda model: {"model": {"state_dict": model.network.state_dict()}},
    "DataParallel": lambda model: prefixed("module.", model.network.state_dict()),
    "compiled": lambda model: prefixed("_orig_mod.", model.state_dict()),
    "compiled and distributed": lambda model: {"network": prefixed("module._orig_mod.", model.network.state_dict())},
    "compiled inside": lambda model: prefixed("network._orig_mod.", model.network.state_dict()),
    "averaged": lambda model: torch.optim.swa_utils.AveragedModel(model).state_dict(),
}


@EVERY
@pytest.mark.parametrize("form", FORMS)
def test_weights_are_read_whatever_is_wrapped_around_them(method: str, form: str, tmp_path: Path) -> None:
    model = model_of(method)
    state, saved = model.network.state_dict(), FORMS[form](model)
    assert same(read(method, saved), state)
    torch.save(saved, tmp_path / "weights.pth")
    assert same(read(method, tmp_path / "weights.pth"), state)


@EVERY
def test_the_content_of_a_file_counts_and_not_its_name(method: str, tmp_path: Path) -> None:
    state = model_of(method).network.state_dict()
    safe = save_file(tmp_path / "a.safetensors", state, {}, half=False)
    torch.save(state, tmp_path / "a.pth")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for original in (safe, tmp_path / "a.pth", tmp_path / "old.pth"):
        for name in ("b.pth", "b.pt", "b.model", "b.safetensors", "b"):
            (tmp_path / name).write_bytes(original.read_bytes())
            assert same(read(method, str(tmp_path / name)), state)


def test_encoders_are_read_whatever_is_wrapped_around_them(tmp_path: Path) -> None:
    expected = nst.Encoder(ENCODER, ["relu3_1"]).fingerprint
    saved: Any
    for saved in ({"state_dict": ENCODER}, prefixed("_orig_mod.", ENCODER), {"model": prefixed("module.", ENCODER)}):
        torch.save(saved, tmp_path / "vgg.model")
        assert nst.Encoder(tmp_path / "vgg.model", ["relu3_1"]).fingerprint == expected
        assert nst.Encoder(saved, ["relu3_1"]).fingerprint == expected


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for kind in ("photos", "paintings"):
        nst.save_image(torch.rand(1, 3, 40, 44), folder / kind / "a.png")
    return folder


@pytest.mark.parametrize(("method", "ema"), [("johnson", 0.5), ("adain", 0.0)])
def test_a_checkpoint_of_a_training_is_read(method: str, ema: float, folders: Path, tmp_path: Path) -> None:
    model = new(method)
    model.network.requires_grad_(True)
    paintings = None if method == "johnson" else folders / "paintings"
    objective: Any = (
        JohnsonObjective(model.network, torch.rand(1, 3, 32, 32), name="noise", encoder=ENCODER)
        if method == "johnson"
        else AdaINObjective(model)
    )
    options: dict[str, Any] = {"steps": 2, "batch_size": 1, "size": 32, "ema": ema, "device": "cpu", "progress": False}
    nst.train(objective, folders / "photos", paintings, out_dir=tmp_path, **options)
    again = read(method, tmp_path / "checkpoint-2.pt")
    assert same(
        again, objective.network.state_dict()
    )  # which holds what was saved for use: the average, if there is one
    trained = torch.load(tmp_path / "checkpoint-2.pt", weights_only=True)["network"]
    assert same(again, trained) == (ema == 0)
    assert again.metadata["method"] == method
    assert again.metadata["steps"] == "2"
    assert again.metadata.items() <= load_metadata(tmp_path / "weights.safetensors").items()


# ------------------------------------------------------------------------------------ saved by us


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_a_model_saves_is_read_again_bit_for_bit(method: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model = new(method).to(dtype)
    model.metadata = {"style": "waves", "steps": "12"}
    path = model.save(tmp_path / "deep" / "mine.safetensors")
    assert path == tmp_path / "deep" / "mine.safetensors"
    again = read(method, path)
    assert same(again, {key: value.float() for key, value in model.network.state_dict().items()})
    assert again.metadata["method"] == method
    assert model.metadata.items() <= again.metadata.items()
    assert same(read(method, again.save(tmp_path / "again.safetensors")), again.network.state_dict())


@EVERY
def test_a_model_saves_half_precision_if_asked(method: str, tmp_path: Path) -> None:
    model = model_of(method)
    whole, half = (model.save(tmp_path / f"{half}.safetensors", half=half) for half in (False, True))
    assert same(read(method, half), {key: value.half().float() for key, value in model.network.state_dict().items()})
    numbers = sum(value.numel() for value in model.network.parameters())
    assert whole.stat().st_size - half.stat().st_size == pytest.approx(2 * numbers, rel=0.05)


@EVERY
def test_weights_are_saved_as_safetensors_alone(method: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"written as safetensors, got '.*mine\.pth': name it mine\.safetensors"):
        model_of(method).save(tmp_path / "mine.pth")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("method", KINDS)
def test_a_model_with_a_conditioned_decoder_is_read_as_such(method: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = KINDS[method](ENCODER, conditioned=True)
    for parameter in model.network.parameters():  # those that begin at 0, too
        nn.init.normal_(parameter, 0, 0.05)
    again = read(method, model.save(tmp_path / "mine.safetensors"))
    assert same(again, model.network.state_dict())
    pair = torch.rand(1, 3, 32, 40), torch.rand(1, 3, 32, 32)
    assert torch.equal(again(*pair), model(*pair))
    other = KINDS[method](ENCODER, conditioned=True)
    other.init_from(model_of("adain").network.state_dict())
    assert other.origin.endswith(" of the state dict after ? steps")
    with pytest.raises(ValueError, match=r"a decoder can't start from the trained one: it has '.*', which"):
        new("adain").init_from(KINDS["sanet"](ENCODER, conditioned=True).network.state_dict())


class Compiled(nn.Module):
    """What `torch.compile` makes of a module, in less time."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._orig_mod = module

    def __getattr__(self, name: str) -> Any:
        return self._modules["_orig_mod"] if name == "_orig_mod" else getattr(self._modules["_orig_mod"], name)


def test_a_compiled_network_is_saved_as_it_is_without(tmp_path: Path) -> None:
    model: Any = nst.Johnson(Compiled(TransformerNet(2)))  # type: ignore[arg-type]
    assert "network._orig_mod.conv1.weight" in model.state_dict()
    path = model.save(tmp_path / "compiled.safetensors")
    assert load_file(path).keys() == TransformerNet(2).state_dict().keys()
    assert load_metadata(path)["width"] == "2"


# ------------------------------------------------------------------------------------ of other networks


@pytest.mark.parametrize("method", KINDS)
def test_a_model_that_was_saved_with_its_encoder_needs_that_encoder(method: str) -> None:
    state = model_of(method).half().state_dict()
    model_of.cache_clear()
    KINDS[method].from_checkpoint(state, encoder=ENCODER)
    KINDS[method].from_checkpoint(state, encoder=nst.Encoder(ENCODER))  # of more layers
    other = torchvision_state(random_convs(seed=1))
    with pytest.raises(
        ValueError, match="the state dict holds the model with another encoder than 'given': name the one"
    ):
        KINDS[method].from_checkpoint(state, encoder=other)


def test_the_published_decoder_of_adain_is_enough(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = textbook_decoder((4, 6, 8, 10)).state_dict()
    encoder = normalised_state(random_convs(), imagenet_color())
    torch.save(state, tmp_path / "decoder.pth")
    model = nst.AdaIN.from_checkpoint(tmp_path / "decoder.pth", encoder=encoder)
    named = nst.AdaIN.from_checkpoint(decoder=tmp_path / "decoder.pth", encoder=encoder)
    assert same(model, named.network.state_dict())
    assert torch.equal(model.network.state_dict()["decoder.convs.conv1_1.weight"], state["28.weight"])
    with pytest.raises(ValueError, match=r"decoder\.pth holds no whole .*keys like .*transformer=\.\.\., dec"):
        nst.SANet.from_checkpoint(tmp_path / "decoder.pth", encoder=encoder)


def test_one_file_or_all_parts_are_asked_for() -> None:
    state = model_of("sanet").network.state_dict()
    for given in (
        {},
        {"decoder": state},
        {"source": state, "decoder": state},
        {"transfomer": state, "decoder": state},
    ):
        with pytest.raises(TypeError, match=r"^sanet is loaded .* parts, transformer=\.\.\., decoder=\.\.\., got "):
            nst.SANet.from_checkpoint(**given)


@EVERY
def test_weights_of_other_methods_are_told_by_their_keys(method: str) -> None:
    for other in {"johnson", *KINDS} - {method}:
        words = r"has keys like|found keys like|no network of|no decoder: it lacks|needs \(|trained for another method"
        with pytest.raises(ValueError, match=words) as caught:
            read(method, model_of(other).state_dict())
        assert "\n" not in str(caught.value)


def test_a_training_starts_from_weights_of_any_kind(tmp_path: Path) -> None:
    model = model_of("adain")
    torch.save(model.state_dict(), tmp_path / "mine.pth")
    one, other = new("adain"), new("sanet")
    one.init_from(tmp_path / "mine.pth")
    other.init_from(model.network.state_dict())
    assert (one.origin, other.origin) == (
        "weights of mine.pth after ? steps",
        "decoder of the state dict after ? steps",
    )
    decoder = model.network["decoder"].state_dict()
    for follower in (one, other):
        assert all(torch.equal(value, decoder[key]) for key, value in follower.network["decoder"].state_dict().items())


# ------------------------------------------------------------------------------------ of other kinds


@pytest.mark.parametrize("name", ["candy.MODEL", "epoch=3.ckpt", "pytorch_model.bin", "weights"])
def test_a_file_of_any_name_paints_on_the_command_line(name: str, tmp_path: Path) -> None:
    """As pytorch/examples names what it trains, and as others do."""
    torch.save(model_of("johnson").network.state_dict(), tmp_path / name)
    photo = nst.save_image(torch.rand(1, 3, 16, 20), tmp_path / "photo.png")
    out = tmp_path / "out.png"
    assert main(["stylize", str(photo), str(tmp_path / name), "--method", "johnson", "-o", str(out), "-q"]) == 0
    assert nst.load_image(out, None).shape == (1, 3, 16, 20)


def write_picture(path: Path) -> None:
    Image.new("RGB", (20, 20)).save(path, "JPEG")


def write_script(path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Conv2d(3, 3, 3), torch.zeros(1, 3, 8, 8)), path)


def write_cut(path: Path) -> None:
    torch.save(model_of("johnson").state_dict(), path)
    path.write_bytes(path.read_bytes()[:-3000])


OTHERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a picture": (write_picture, r"neither a safetensors file nor .* begins with b'\\xff\\xd8\\xff"),
    "a web page": (lambda path: path.write_text("<!DOCTYPE html><html><svg>"), "begins with b'<!DOCTYPE html>"),
    "a pointer": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "begins with b'version https://git-lfs",
    ),
    "nothing": (lambda path: path.write_bytes(b""), "begins with b''"),
    "a whole module": (
        lambda path: torch.save(nn.Sequential(nn.ReLU()), path),
        r"more than tensors, .* no file can run code; .*save\(model\.state_dict\(\)",
    ),
    "a program": (write_script, r"more than tensors, .* no file can run code; .*save\(model\.state_dict\(\)"),
    "half a file": (write_cut, "it is damaged, or holds more"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", OTHERS)
def test_files_that_hold_no_weights_are_told_in_one_sentence(kind: str, tmp_path: Path) -> None:
    write, words = OTHERS[kind]
    readers = [functools.partial(read, method) for method in ("johnson", *KINDS)]
    for name in ("w.pth", "w.t7", "w.safetensors"):
        write(tmp_path / name)
        for reader in (*readers, nst.Encoder, new("adain").init_from):
            with pytest.raises(OSError, match=rf"^{name} can't be read as weights: .*{words}") as caught:
                reader(tmp_path / name)
            assert "\n" not in str(caught.value)
            assert len(str(caught.value)) < 300


def test_a_folder_is_told_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        read("johnson", tmp_path)


def test_a_file_that_refers_to_itself_has_an_end(tmp_path: Path) -> None:
    ring: dict[str, Any] = {}
    ring["model"] = ring
    torch.save(ring, tmp_path / "ring.pth")
    with pytest.raises(ValueError, match=r"ring\.pth is no state dict of tensors: look at 'model'"):
        read_checkpoint(tmp_path / "ring.pth")
