"""How much cheaper is vgg19_mini than VGG19? Forward and backward to relu5_1, in alternation, in one process.

    python benchmarks/encoder.py            256 px, 9 rounds
    python benchmarks/encoder.py --quick    64 px, 2 rounds: does it run?

VGG19 has random weights here: its time doesn't depend on them, and no download is needed.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

import nstlib as nst

LAYERS = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]


def forward_backward(encoder: nst.Encoder, picture: Tensor, gradients: list[Tensor]) -> float:
    """Seconds for the features, and for the gradient of the picture given those of the features: no loss is computed."""
    picture = picture.clone().requires_grad_()
    begun = time.perf_counter()
    torch.autograd.backward(list(encoder(picture).values()), gradients)
    return time.perf_counter() - begun


def matrix_product_rate(side: int = 1024) -> float:
    """Billions of multiply-adds a second in a matrix product: what the machine can do at this moment."""
    a, b = torch.rand(side, side), torch.rand(side, side)
    begun = time.perf_counter()
    a @ b
    return side**3 / (time.perf_counter() - begun) / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small and short")
    quick = parser.parse_args().quick
    size, rounds = (64, 2) if quick else (256, 9)

    from torchvision.models import vgg19

    encoders = {
        "vgg19": nst.Encoder(vgg19(weights=None).state_dict(), LAYERS),
        "vgg19_mini": nst.Encoder(layers=LAYERS),
    }
    picture = nst.samples.content("cat", size)[..., :size]
    gradients = {name: [torch.randn_like(f) for f in encoder(picture).values()] for name, encoder in encoders.items()}
    seconds: dict[str, list[float]] = {name: [] for name in encoders}
    rates = []
    for number in range(rounds + 1):
        rates.append(matrix_product_rate())
        for name, encoder in encoders.items():
            taken = forward_backward(encoder, picture, gradients[name])
            if number:  # the first round warms up
                seconds[name].append(taken)
    loading = []
    for _ in range(rounds):
        begun = time.perf_counter()
        nst.Encoder(layers=LAYERS)
        loading.append(time.perf_counter() - begun)

    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {size} px, median of {rounds} rounds")
    print(f"matrix product: {statistics.median(rates):.0f} billion multiply-adds a second")
    print("| network | forward + backward, ms | times faster |")
    print("|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {1000 * median:.0f} | {medians['vgg19'] / median:.1f} |")
    print(f"loading vgg19_mini: {statistics.median(loading):.3f} s")


if __name__ == "__main__":
    main()
