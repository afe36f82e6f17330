"""Networks leave Python: traced and exported graphs paint pictures of any size as the model does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch._dynamo  # which torch imports late
from networks import lively, picture, random_convs, torchvision_state
from torch import Tensor, nn
from torch.export import Dim

import nstlib as nst
from nstlib.johnson import TransformerNet

SIZES = [(64, 48), (65, 49), (50, 83)]

SHALLOW = torchvision_state([conv for conv in random_convs() if conv[0].endswith("_1")])
"""One convolution in each block: what there is to export is then mostly the decoder."""

METHODS: dict[str, Any] = {"adain": nst.AdaIN, "sanet": nst.SANet, "adaattn": nst.AdaAttN}


def make(method: str) -> nn.Module:
    """A small model in float64: a graph multiplies in another order, and rounds otherwise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nst.Johnson(TransformerNet(4)) if method == "johnson" else lively(METHODS[method](SHALLOW))
    return model.double()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["johnson", *METHODS])
def test_a_traced_graph_paints_any_size(method: str) -> None:
    model = make(method)
    styles = () if method == "johnson" else (picture(1, 3, 32, 40, seed=1).double(),)
    graph = torch.jit.trace(model, (torch.rand(1, 3, 64, 64).double(), *styles), check_trace=False)
    compare(model, graph, styles)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["johnson", "adain"])
def test_an_exported_graph_paints_any_size(method: str) -> None:
    model = make(method)
    styles = () if method == "johnson" else (picture(1, 3, 32, 40, seed=1).double(),)
    sides = {2: Dim("height", min=32, max=4096), 3: Dim("width", min=32, max=4096)}
    program = torch.export.export(
        model,
        (torch.rand(1, 3, 64, 96).double(), *styles),
        dynamic_shapes=(sides, *(None for _ in styles)),
        strict=False,
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    compare(model, program.module(), styles)


@torch.no_grad()
def compare(model: nn.Module, graph: nn.Module, styles: tuple[Tensor, ...]) -> None:
    for height, width in SIZES:
        content = picture(1, 3, height, width).double()
        painted, expected = graph(content, *styles), model(content, *styles)
        assert expected.std() > 0.01
        torch.testing.assert_close(painted, expected, rtol=0, atol=1e-6)
