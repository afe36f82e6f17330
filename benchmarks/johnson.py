"""How much faster does TransformerNet.fast paint than the network as it is usually written, and how fast can it be?

    python benchmarks/johnson.py            512 px, width 32, 7 rounds
    python benchmarks/johnson.py --quick    64 px, width 8, 2 rounds: does it run?

Both have the same weights, and take turns. Textbook: ReflectionPad2d, Conv2d, InstanceNorm2d, ReLU and nn.Upsample, pictures
in planes (NCHW). Multiply-adds are counted as the textbook needs them; what the fast path saves of them counts as speed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import nstlib as nst
from nstlib.johnson import TransformerNet


class Residual(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def textbook(network: TransformerNet) -> nn.Sequential:
    """The same network of PyTorch's modules, with the same weights."""

    def conv(of: nn.Conv2d) -> list[nn.Module]:
        plain = nn.Conv2d(of.in_channels, of.out_channels, of.kernel_size[0], of.stride[0])
        plain.load_state_dict(of.state_dict())
        return [nn.ReflectionPad2d(of.kernel_size[0] // 2), plain]

    n = network
    blocks = [
        Residual(*conv(b.conv1), b.norm1, nn.ReLU(), *conv(b.conv2), b.norm2)
        for b in (n.res1, n.res2, n.res3, n.res4, n.res5)
    ]
    up = nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Sequential(
        *(*conv(n.conv1), n.norm1, nn.ReLU(), *conv(n.conv2), n.norm2, nn.ReLU(), *conv(n.conv3), n.norm3, nn.ReLU()),
        *blocks,
        *(up, *conv(n.up1), n.norm4, nn.ReLU(), up, *conv(n.up2), n.norm5, nn.ReLU(), *conv(n.out)),
    )


def multiply_adds(model: nn.Module, picture: Tensor) -> int:
    """Multiply-adds of all convolutions."""
    total = 0

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        assert isinstance(module, nn.Conv2d)
        total += output.numel() * module.weight[0].numel()

    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, nn.Conv2d)]
    model(picture)
    for hook in hooks:
        hook.remove()
    return total


def seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--size", type=int, default=512, help="side in pixels")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="default: PyTorch's")
    parser.add_argument("--quick", action="store_true", help="small and short")
    options = parser.parse_args()
    if options.quick:
        options.size, options.width, options.rounds = 64, 8, 2
    if options.threads:
        torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    network = TransformerNet(options.width)
    plain, johnson = textbook(network), nst.Johnson(network)
    content = nst.samples.content("cat", options.size)[..., : options.size]
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    x, weight = torch.rand(1, 128, 130, 130), torch.rand(128, 128, 3, 3)
    x, weight = (t.contiguous(memory_format=torch.channels_last) for t in (x, weight))

    runs: dict[str, Callable[[], object]] = {
        "textbook": lambda: plain(content),
        "TransformerNet.fast": lambda: johnson.network.fast(content),
        "matrix product": lambda: a @ b,
        "convolution": lambda: F.conv2d(x, weight),
    }
    times: dict[str, list[float]] = {name: [] for name in runs}
    with torch.inference_mode():
        work = multiply_adds(plain, content) / 1e9
        difference = (plain(content) - johnson.network.fast(content)).abs().max().item()
        for number in range(options.rounds + 1):
            for name, run in runs.items():
                taken = seconds(run)
                if number:  # the first round warms up
                    times[name].append(taken)
    median = {name: statistics.median(values) for name, values in times.items()}
    product = 1024**3 / median["matrix product"] / 1e9
    convolution = 128 * 128 * 9 * 128**2 / median["convolution"] / 1e9
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.size} px, width {options.width}, "
        f"median of {options.rounds} rounds"
    )
    print(f"{work:.1f} billion multiply-adds; largest difference of the two results: {difference:.1e}")
    print(f"matrix product of 1024 x 1024: {product:.0f} billion multiply-adds a second")
    print(f"3x3 convolution of 128 channels, 128 px: {convolution:.0f} billion multiply-adds a second")
    print("| network | ms | times faster | billion multiply-adds a second | share of the matrix product's rate |")
    print("|---|---|---|---|---|")
    for name in ("textbook", "TransformerNet.fast"):
        rate = work / median[name]
        print(
            f"| {name} | {1000 * median[name]:.0f} | {median['textbook'] / median[name]:.2f} | {rate:.0f} "
            f"| {rate / product:.2f} |"
        )


if __name__ == "__main__":
    main()
