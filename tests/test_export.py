"""Networks leave Python: traced and exported graphs paint pictures of any size as the model does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim

import nstlib as nst
from nstlib.johnson import TransformerNet

SIZES = [(64, 48), (65, 49), (50, 83)]
TOLERANCE = 2e-3
"""Of pixels: attention multiplies in another order in a graph, and rounds otherwise."""


def make(method: str) -> tuple[nn.Module, tuple[Tensor, ...]]:
    if method == "johnson":
        return nst.Johnson(TransformerNet(4)), ()
    models = {"adain": nst.AdaIN, "sanet": nst.SANet, "adaattn": nst.AdaAttN}
    return models[method].pretrained(), (nst.samples.style("swirl", 32),)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["johnson", "adain", "sanet", "adaattn"])
def test_a_traced_graph_paints_any_size(method: str) -> None:
    model, styles = make(method)
    graph = torch.jit.trace(model, (torch.rand(1, 3, 64, 64), *styles), check_trace=False)
    compare(model, graph, styles)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["johnson", "adain"])
def test_an_exported_graph_paints_any_size(method: str) -> None:
    model, styles = make(method)
    sides = {2: Dim("height", min=32, max=4096), 3: Dim("width", min=32, max=4096)}
    program = torch.export.export(
        model,
        (torch.rand(1, 3, 64, 96), *styles),
        dynamic_shapes=(sides, *(None for _ in styles)),
        strict=False,
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    compare(model, program.module(), styles)


@torch.no_grad()
def compare(model: nn.Module, graph: nn.Module, styles: tuple[Tensor, ...]) -> None:
    for height, width in SIZES:
        content = nst.samples.content("cat", 96)[..., :height, :width]
        painted = graph(content, *styles)
        assert painted.shape == content.shape
        assert (painted - model(content, *styles)).abs().max() < TOLERANCE
