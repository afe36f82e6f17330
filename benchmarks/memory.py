"""How many bytes of memory does a pixel cost, with each method?

    python benchmarks/memory.py            prints the table of nstlib.utils.memory.BYTES_PER_PIXEL
    python benchmarks/memory.py --quick    small pictures: does it run?

Every measurement is the growth of a fresh process (its peak less what it held before), photograph and painting of the same
size. The slope between two sizes is what a pixel costs. Below full strength, conditioned decoders paint twice, for which the
library doubles the number in its table.
"""

from __future__ import annotations

import torch
from common import growth, in_fresh_process, make_parser, print_head, print_row, print_setup

import nstlib as nst
from nstlib.johnson import Johnson, TransformerNet
from nstlib.utils.memory import BYTES_PER_PIXEL

ARBITRARY = {"adain": nst.AdaIN, "sanet": nst.SANet, "adaattn": nst.AdaAttN}


def measure(method: str, alpha: float, side: int) -> int:
    """Return the growth of this process, which must be a fresh one."""
    content, style = torch.rand(1, 3, side, side), torch.rand(1, 3, side, side)
    if method == "gatys":
        gatys = nst.Gatys(steps=25, pyramid=1)
        return growth(lambda: gatys(content, style, progress=False))[0]
    if method == "johnson":
        johnson = Johnson(TransformerNet(16))
        return growth(lambda: johnson.stylize(content))[0]
    model = ARBITRARY[method].pretrained()
    return growth(lambda: model.stylize(content, style, alpha))[0]


def main() -> None:
    options = make_parser(__doc__, rounds=1).parse_args()
    print_setup("growth of fresh processes", options.threads)
    print_head("method", "strength", "MB at the smaller size", "MB at the larger", "bytes a pixel", "in the table")
    rows = [(method, 1.0, table) for method, table in BYTES_PER_PIXEL.items()]
    rows += [(method, 0.5, 2 * BYTES_PER_PIXEL[method]) for method in ARBITRARY]
    for method, alpha, table in rows:
        small, large = (64, 96) if options.quick else (512, 768) if method == "gatys" else (768, 1152)
        grown = [in_fresh_process(measure, method, alpha, side) for side in (small, large)]
        slope = (grown[1] - grown[0]) / (large**2 - small**2)
        sizes = (f"{one / 1e6:.0f} ({side} px)" for one, side in zip(grown, (small, large)))
        print_row(method, f"{alpha:g}", *sizes, f"{slope:.0f}", table)


if __name__ == "__main__":
    main()
