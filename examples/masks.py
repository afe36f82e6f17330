"""Paint two regions of a photograph in the styles of two paintings.

    python examples/masks.py                                            a sample photograph, two sample paintings
    python examples/masks.py --photo me.jpg --paintings a.jpg b.jpg     your own
    python examples/masks.py --method gatys --size 512                  slower, and nearer to the paintings

A mask holds one map for each painting. This script computes its maps: the first painting fills a disc in the middle with a
soft edge, and the second painting surrounds it. You can also draw the maps, white where each painting goes, and pass the
files: `mask=["disc.png", "around.png"]`. The output shows the photograph, the first map and the result side by side.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

import nstlib as nst


def disc(height: int, width: int) -> Tensor:
    """Return a disc in the middle as a map `(H, W)`: 1 inside, 0 outside, with a soft edge."""
    y = torch.linspace(-height / width, height / width, height)[:, None]
    x = torch.linspace(-1, 1, width)
    return ((0.6 - torch.hypot(x, y)) / 0.1 + 0.5).clamp(0, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", help="a file; without one, the sample photograph of a cat")
    parser.add_argument("--paintings", nargs=2, metavar="FILE", help="two files; without them, two sample paintings")
    parser.add_argument("--method", default="adaattn", help="adain, sanet, adaattn or gatys")
    parser.add_argument("--size", type=int, default=192, help="short side in pixels")
    parser.add_argument("--out", type=Path, default=Path("masks.png"))
    args = parser.parse_args()
    photo = nst.load_image(args.photo, args.size) if args.photo else nst.samples.content("cat", args.size)
    paintings = args.paintings or [nst.samples.style(name, 512) for name in ("engraving", "swirl")]

    inside = disc(photo.shape[2], photo.shape[3])
    mask = torch.stack([inside, 1 - inside])  # (2, H, W)
    painted = nst.stylize(photo, paintings, method=args.method, mask=mask)

    print(nst.save_image(torch.cat([photo, inside.expand_as(photo), painted], 3), args.out))
