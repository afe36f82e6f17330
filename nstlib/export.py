"""Export: write a trained network to an ONNX file, which paints without Python.

ONNX is a format for computation graphs, with runtimes for browsers, phones and most programming languages. A file holds the
whole computation from picture to picture, `(1, 3, H, W)`, RGB, float32 in [0, 1], including padding and cropping.

    johnson                   content, alpha                ->  painted
    adain, sanet, adaattn     content, style, alpha         ->  painted
    the same, split           style                         ->  code/..., some tensors
                              content, alpha, code/...      ->  painted

AdaIN's codes are statistics of the whole painting, so the weighted mean of two codes paints a blend of two styles.
"""

from __future__ import annotations

import copy
import logging
import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nstlib import samples
from nstlib.arbitrary import ArbitraryStyle, blend, give_back
from nstlib.johnson import Johnson
from nstlib.utils.checks import check_int
from nstlib.utils.files import check_writable, expand_home, write_atomically
from nstlib.utils.image import load_image

OPSET = 20
"""The default version of ONNX's operator set."""

TOLERANCE = {False: 2e-3, True: 2e-2}
"""The largest allowed difference from PyTorch: half a grey level of 255, or five if weights are in half precision."""

CHECKED = (((64, 96), (64, 64)), ((97, 61), (75, 62)), ((30, 45), (33, 21)))
"""Sizes of photograph and painting, even and odd, at which a file with free sizes is compared with PyTorch."""

CODE = "code/"
"""The prefix of the names of the tensors that are kept of a painting."""

SMALL = 256
"""Tensors with fewer elements stay in float32 when weights are halved. They are few, and some of them are sizes."""


Model = Johnson | ArbitraryStyle


class Exported(NamedTuple):
    """The result of `export`.

    Attributes:
        files: the files that were written.
        difference: the largest difference of a pixel between ONNX Runtime and PyTorch. None if it was not measured.
    """

    files: list[Path]
    difference: float | None


def export(
    model: Johnson | ArbitraryStyle,
    path: str | os.PathLike[str],
    *,
    split: bool = False,
    half: bool = False,
    size: int | Sequence[int] | None = None,
    opset: int = OPSET,
    check: bool = True,
) -> Exported:
    """Write a network to an ONNX file that maps pictures `(1, 3, H, W)` in [0, 1] of any size to such pictures.

    The inputs are called `content`, `style` (except for a Johnson network) and `alpha`, the strength in [0, 1] as `(1,)`.
    The output is called `painted`. The file also holds the metadata of the network.

    Args:
        model: a `Johnson`, `AdaIN`, `SANet`, `AdaAttN`, or a method of your own that derives from `ArbitraryStyle`.
        path: the file to write. It must end with `.onnx`.
        split: write two files, so that a painting is read only once: `<name>-style.onnx` reads it, and
            `<name>-painter.onnx` takes the output of that file instead of `style`.
        half: store weights in half precision. Computations are still in float32.
        size: side of the photograph and of the painting in pixels, or height and width, for runtimes that need fixed
            sizes, as on phones. None leaves the sizes free.
        opset: the version of ONNX's operator set.
        check: write the file only if ONNX Runtime paints the same as PyTorch, at three sizes if they are free, and with two
            strengths. Pixels may differ by at most 0.002, or 0.02 with `half`.

    Raises:
        ImportError: `pip install "nstlib[export]"` has not been run, or PyTorch is older than 2.9.
        TypeError: the model has no trained network (Gatys, for example).
        ValueError: a path with another suffix, `split` for Johnson, or a file that paints something else than PyTorch.
        OSError: the file can't be written.

    Example:
        >>> import nstlib as nst
        >>> nst.export(nst.Johnson.pretrained("wave"), "wave.onnx")  # doctest: +SKIP
        Exported(files=[PosixPath('wave.onnx')], difference=2.4e-06)
    """
    needed = ("onnx", "onnxscript", *(["onnxruntime"] * check))
    if torch.__version__ < "2.9" or not all(map(find_spec, needed)):
        raise ImportError(f'export needs PyTorch 2.9 or newer, {", ".join(needed)}: pip install "nstlib[export]"')
    if not isinstance(model, (Johnson, ArbitraryStyle)):
        raise TypeError(f"export takes a Johnson, AdaIN, SANet or AdaAttN model, not {type(model).__name__}")
    if split and isinstance(model, Johnson):
        raise ValueError("a Johnson network reads no painting, so there is nothing to split: leave split out")
    path = expand_home(path)
    if path.suffix.lower() != ".onnx":
        raise ValueError(f"networks are exported as ONNX, got '{path}': name it {path.stem}.onnx")
    sides = None if size is None else _check_size(size)
    check_int("opset", opset, 18)
    check_writable(path)
    model = copy.deepcopy(model).cpu().float().requires_grad_(False).eval()
    with torch.device("cpu"):  # whatever PyTorch's default device is
        graphs, metadata, written = _graphs(model, path, split, sides), _metadata(model, sides, half), {}
        for file, graph in graphs.items():
            proto = _to_onnx(graph, sides is not None, opset)
            if half:
                _halve(proto)
            for name, value in metadata.items():
                proto.metadata_props.add(key=name, value=value)
            written[file] = proto.SerializeToString()
        difference = _compare(model, graphs, written, sides, half) if check else None
    return Exported([write_atomically(file, data) for file, data in written.items()], difference)


# ------------------------------------------------------------------------------------------------ the graphs


class Graph(nn.Module):
    """The computation of one file: a function of the model and of named inputs, and the names of its outputs."""

    def __init__(
        self, compute: Callable[..., Any], model: nn.Module, inputs: dict[str, Tensor], outputs: Iterable[str]
    ) -> None:
        super().__init__()
        self.compute, self.model, self.inputs, self.outputs = compute, model, inputs, list(outputs)

    def forward(self, inputs: dict[str, Tensor]) -> Any:
        return self.compute(self.model, inputs)


def _graphs(model: Model, path: Path, split: bool, sides: tuple[int, int] | None) -> dict[Path, Graph]:
    """Return the computation of every file."""
    content, style = torch.rand(1, 3, *(sides or (64, 96))), torch.rand(1, 3, *(sides or (80, 112)))
    alpha = torch.ones(1)
    if isinstance(model, Johnson):
        return {path: Graph(_paint_one, model, {"content": content, "alpha": alpha}, ["painted"])}
    if not split:
        return {path: Graph(_paint_any, model, {"content": content, "style": style, "alpha": alpha}, ["painted"])}
    reader, painter = (path.with_name(f"{path.stem}-{part}.onnx") for part in ("style", "painter"))
    code = _encode(model, {"style": style})
    return {
        reader: Graph(_encode, model, {"style": style}, code),
        painter: Graph(_paint_any, model, {"content": content, "alpha": alpha, **code}, ["painted"]),
    }


def _paint_one(model: Johnson, inputs: Mapping[str, Tensor]) -> Tensor:
    network = getattr(model.network, "_orig_mod", model.network)  # it may be compiled
    content, alpha = inputs["content"], inputs["alpha"]
    return content + alpha * (network(content).clamp(0, 1) - content)


def _encode(model: ArbitraryStyle, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what is kept of a painting, under names that can't clash with those of a graph's own nodes."""
    maps, _ = model._read(inputs["style"], 1, math.inf, model.decoder.reads)
    return {f"{CODE}{name}": part for name, part in model.encode_features(maps).items()}


def _paint_any(model: ArbitraryStyle, inputs: Mapping[str, Tensor]) -> Tensor:
    """Paint as `ArbitraryStyle.stylize` does, with the strength as an input."""
    content, alpha = inputs["content"], inputs["alpha"]
    maps, opacity = model._read(content, model.stride, math.inf, model.decoder.reads)
    read = _encode(model, inputs) if "style" in inputs else inputs
    code = {name.removeprefix(CODE): part for name, part in read.items() if name.startswith(CODE)}
    codes = [code, model.encode_features(maps)]  # the photograph is one more style, with the remaining weight
    shares = torch.stack([alpha, 1 - alpha])[..., None, None]  # (2, 1, 1, 1)
    changes = [model.change(maps, one, opacity) for one in codes]
    painted = model._decode(blend(changes, shares), content, math.inf)
    if model.conditioned:
        names, parts = zip(*changes[1].items())
        # at full strength nothing is given back, so the decoder need not paint the photograph in its own style
        own = torch.cond(
            (alpha < 1).all(),
            lambda *own: model._decode(dict(zip(names, own)), content, math.inf),
            lambda *own: content.clone(),
            parts,
        )
        painted = give_back(painted, content, own, shares[1])
    return painted.clamp(0, 1)


# ------------------------------------------------------------------------------------------------ the files


def _check_size(size: int | Sequence[int]) -> tuple[int, int]:
    sides = (size, size) if isinstance(size, int) else tuple(size)
    if len(sides) != 2:
        raise ValueError(f"size is the side of a square, or height and width, got {size!r}")
    height, width = (check_int("size", side, 1) for side in sides)
    return height, width


def _metadata(model: Model, sides: tuple[int, int] | None, half: bool) -> dict[str, str]:
    """Return the metadata of a file, as text by name."""
    from nstlib import __version__  # not defined yet when this module is imported

    known = model.metadata
    if isinstance(model, ArbitraryStyle):
        known = {**known, "method": model.method, "encoder": model.encoder.name, "style": "any painting"}
        known["encoder_fingerprint"] = model.encoder.fingerprint
    encoder = known.get("encoder", "unknown")
    metadata = {
        "method": known.get("method", "johnson"),
        "style": known.get("style", "unknown"),
        "encoder": encoder,
        "encoder_fingerprint": known.get("encoder_fingerprint", "unknown"),
        "range": "pictures are RGB in [0, 1], alpha is in [0, 1]",
        "size": "free" if sides is None else f"{sides[0]} x {sides[1]}",
        "weights": "float16" if half else "float32",
        # the licence of vgg19_mini, and of networks trained with it
        "licence": known.get("licence", "CC BY 4.0" if encoder == "vgg19_mini" else "that of the weights"),
        "nstlib": __version__,
    }
    return {name: str(value) for name, value in metadata.items()}


def _to_onnx(graph: Graph, fixed: bool, opset: int) -> Any:
    """Return the ONNX model of a graph, for fixed or free sizes."""
    free = {name: None if fixed else _free(name, example) for name, example in graph.inputs.items()}
    with torch.no_grad(), _quiet():
        program = torch.onnx.export(
            graph,
            kwargs={"inputs": graph.inputs},
            input_names=list(graph.inputs),
            output_names=graph.outputs,
            dynamic_shapes={"inputs": free},
            opset_version=opset,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    read = _tidy(proto.graph)
    kept = [tensor for tensor in proto.graph.initializer if tensor.name in read]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    return proto


def _tidy(graph: Any) -> set[str]:
    """Remove source locations, which take a tenth of the file, and return the names that the graph reads."""
    del graph.value_info[:], graph.metadata_props[:]
    read = {output.name for output in graph.output}
    for node in graph.node:
        del node.metadata_props[:]
        read |= {*node.input}.union(*(_tidy(one.g) for one in node.attribute if one.HasField("g")))
    return read


def _free(name: str, example: Tensor) -> dict[int, Any] | None:
    """Return the free sides of an input, in the form that torch.export expects."""
    if example.ndim < 4 or example.shape[2:] == (1, 1):
        return None
    what = name.removeprefix(CODE).partition("/")[0]  # keys and values of a layer have the same size
    return {dim: torch.export.Dim(f"{what}_{side}", min=1) for dim, side in ((2, "height"), (3, "width"))}


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the messages for developers that PyTorch prints during an export."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _halve(proto: Any) -> None:
    """Store the weights of an ONNX model in float16, and cast each of them to float32 where it is used."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in proto.graph.initializer:
        numbers = numpy_helper.to_array(tensor)
        fits = abs(numbers).max(initial=0) < 65504
        if tensor.data_type != TensorProto.FLOAT or numbers.size < SMALL or not fits:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(numbers.astype("float16"), f"{name}/half"))
        casts.append(helper.make_node("Cast", [f"{name}/half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _compare(
    model: Model, graphs: Mapping[Path, Graph], written: Mapping[Path, bytes], sides: tuple[int, int] | None, half: bool
) -> float:
    """Paint with ONNX Runtime and with PyTorch. Return the largest difference, or refuse one above the tolerance."""
    import onnxruntime

    name, tolerance = next(iter(written)), TOLERANCE[half]
    sessions = [onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]) for data in written.values()]
    largest = 0.0
    for content_size, style_size in CHECKED if sides is None else [(sides, sides)]:
        content, style = _cut(samples.content("cat", None), content_size), _cut(samples.style("swirl"), style_size)
        for alpha in (1.0, 0.5):
            known = {"content": content.numpy(), "style": style.numpy(), "alpha": torch.tensor([alpha]).numpy()}
            for session, graph in zip(sessions, graphs.values()):
                taken = {one.name: known[one.name] for one in session.get_inputs()}
                known |= dict(zip(graph.outputs, session.run(graph.outputs, taken)))
            with torch.no_grad():
                expected = model.stylize(content, None if isinstance(model, Johnson) else style, alpha)  # type: ignore[arg-type]
            difference = float((torch.from_numpy(known["painted"]) - expected).abs().max())
            if not difference <= tolerance:
                raise ValueError(
                    f"'{name}' was not written: at {content_size[0]} x {content_size[1]} px, ONNX Runtime paints "
                    f"{difference:.2g} away from PyTorch, and {tolerance} is allowed; check=False writes it anyway"
                )
            largest = max(largest, difference)
    return largest


def _cut(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale a picture to cover a size, and return its upper left corner of that size."""
    return load_image(picture, size=max(size))[..., : size[0], : size[1]].contiguous()
