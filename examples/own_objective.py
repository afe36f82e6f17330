"""Train a network of your own, for a loss of your own, with the training loop of nstlib.

    python examples/own_objective.py                               a few seconds on a CPU
    python examples/own_objective.py --style swirl --steps 1000    another sample painting, and more steps

The network computes the new colour of every pixel from its old colour alone. It learns to make each colour as frequent as
in a painting, and to keep the brightness of the photograph. `OUT/colors.png` shows a photograph and its result side by
side. `OUT/run` holds the weights, the curves of the loss and a sheet of samples.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import nstlib as nst


class Colors(nst.Objective):
    """Asks for the colours of a painting `(1, 3, S, S)` and the brightness of the photographs, in crops of side S."""

    def __init__(self, painting: Tensor) -> None:
        super().__init__()
        layers = nn.Conv2d(3, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Conv2d(32, 3, 1)
        self.network = nn.Sequential(*layers)
        self.register_buffer("painting", painting)

    def forward(self, content: Tensor, style: Tensor | None) -> dict[str, Tensor]:
        painted = self.network(content)
        # sliced Wasserstein distance: project the colours of both pictures on random directions, sort, and compare
        sides = F.normalize(torch.randn(3, 16, device=content.device), dim=0)
        seen, wanted = ((x.flatten(2).mT @ sides).sort(1).values for x in (painted, self.get_buffer("painting")))
        brightness = (painted.mean(1) - content.mean(1)).square().mean()
        return {"colors": 10 * (seen - wanted).square().mean(), "brightness": brightness}

    def sample(self, content: Tensor, style: Tensor | None) -> Tensor:
        return self.network(content).clamp(0, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--style", default="wave", help=f"one of {', '.join(nst.samples.style_names())}")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("colors"))
    args = parser.parse_args()

    photos = args.out / "photos"
    for name in ("rocket", "cat", "coffee"):
        nst.save_image(nst.samples.content(name, 72), photos / f"{name}.png")
    torch.manual_seed(0)  # the first weights of the network are drawn here
    objective = Colors(nst.samples.style(args.style, 64))
    settings = {"steps": args.steps, "batch_size": 2, "size": 64, "learning_rate": 0.01}
    run = nst.train(objective, photos, out_dir=args.out / "run", **settings)
    print(f"colors: {run.history[0]['colors']:.3f} at the first step, {run.history[-1]['colors']:.3f} at the last")
    photo = nst.samples.content("astronaut", 256)  # which the network has not seen
    with torch.no_grad():
        print(nst.save_image(torch.cat([photo, objective.sample(photo, None)], 3), args.out / "colors.png"))
