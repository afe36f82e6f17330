"""Makes the pictures of the page on training.

    python book/training_pictures.py adain=FOLDER johnson=FOLDER    weights kept during trainings, STEP.safetensors
    python book/training_pictures.py                                the runs that go wrong alone: two minutes on one core

The pictures are `_static/training/*.webp`: sample photographs, painted by the weights after every number of `STEPS`, by
the AdaIN network of the package, and by networks whose training goes wrong on purpose.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import nstlib as nst
import torch
from nstlib.arbitrary import ArbitraryStyle
from nstlib.johnson import TransformerNet

STEPS = {"adain": (0, 1200, 6400), "johnson": (1000, 10000, 100000)}
PAIRS = (("astronaut", "wave"), ("coffee", "marble"))
SIDE = 256
HERE = Path(__file__).parent
STATIC = HERE / "_static" / "training"
METHODS: dict[str, Any] = {"adain": nst.AdaIN, "johnson": nst.Johnson}


def main(kept: dict[str, Path]) -> None:
    STATIC.mkdir(exist_ok=True)
    for photograph, painting in PAIRS:
        save(f"{photograph}_photograph", square(nst.samples.content(photograph, SIDE)))
        save(f"{photograph}_painting", square(nst.samples.style(painting, SIDE)))
        shipped = paint(nst.AdaIN.pretrained(), photograph, painting)
        save(f"adain_{photograph}_shipped", shipped)
    for method, folder in kept.items():
        for steps in STEPS[method]:
            model = METHODS[method].from_checkpoint(folder / f"{steps}.safetensors")
            for pair in PAIRS:
                save(f"{method}_{pair[0]}_{steps}", paint(model, *pair))
    save(
        "mud",
        paint(
            nst.AdaIN.from_checkpoint(HERE / "data/adain_plain.safetensors"), *PAIRS[1]
        ),
    )
    save("early", trained(steps=20))
    save("rate", trained(steps=60, learning_rate=0.1))


def trained(**options: Any) -> torch.Tensor:
    """Return what a small new network for one painting paints after a few steps on the sample photographs."""
    torch.manual_seed(0)
    objective = nst.JohnsonObjective(
        TransformerNet(width=8), nst.samples.style("swirl", 192), name="swirl"
    )
    with tempfile.TemporaryDirectory() as folder:
        photographs = Path(folder, "photographs")
        photographs.mkdir()
        for name in nst.samples.content_names():
            nst.save_image(nst.samples.content(name, 192), photographs / f"{name}.png")
        nst.train(
            objective,
            photographs,
            size=128,
            out_dir=Path(folder, "run"),
            progress=False,
            **options,
        )
    return nst.Johnson(objective.network).stylize(
        square(nst.samples.content("coffee", SIDE))
    )


def paint(
    model: ArbitraryStyle | nst.Johnson, photograph: str, painting: str
) -> torch.Tensor:
    """Return the middle of a sample photograph, in the style of the middle of a sample painting or in that of a network."""
    content = square(nst.samples.content(photograph, SIDE))
    if isinstance(model, nst.Johnson):
        return model.stylize(content)
    return model.stylize(content, square(nst.samples.style(painting, SIDE)))


def square(picture: torch.Tensor) -> torch.Tensor:
    """Return the middle of a picture, `(1, 3, 256, 256)`."""
    top, left = ((side - SIDE) // 2 for side in picture.shape[2:])
    return picture[:, :, top : top + SIDE, left : left + SIDE]


def save(name: str, picture: torch.Tensor) -> None:
    """Write a picture of the page."""
    nst.to_pil(picture).save(STATIC / f"{name}.webp", quality=86, method=6)


if __name__ == "__main__":
    main(
        {
            name: Path(folder)
            for name, folder in (word.split("=", 1) for word in sys.argv[1:])
        }
    )
