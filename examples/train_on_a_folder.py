"""Train a network on a folder of photographs, go on where the training stopped, and paint with the result.

    python examples/train_on_a_folder.py                                        a few seconds, to see that it all works
    python examples/train_on_a_folder.py --photos coco/train2017 --painting starry_night.jpg \
        --steps 5000 --size 256 --out starry_night                              your own pictures

The network is one of Johnson's. It has already learned another style, and learns the new one in a fraction of the steps
that random weights would need. The script trains in two runs. The second continues from the checkpoint of the first, as it
would after a power cut, and ends with the same weights as a run that was never interrupted. `OUT/run/samples-*.png` show
the progress.
"""

import argparse
from pathlib import Path

import nstlib as nst

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="a folder; without one, the sample photographs")
    parser.add_argument("--painting", help="a file; without one, the sample painting swirl")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--size", type=int, default=96, help="side of the crops, and of the painting, in pixels")
    parser.add_argument("--out", type=Path, default=Path("training"))
    args = parser.parse_args()

    photos = args.photos
    if photos is None:
        photos = args.out / "photos"
        for name in ("astronaut", "cat", "coffee"):
            nst.save_image(nst.samples.content(name, 192), photos / f"{name}.png")
    size = args.size
    painting = nst.load_image(args.painting, size) if args.painting else nst.samples.style("swirl", size)

    for steps in (max(1, args.steps // 2), args.steps):
        network = nst.Johnson.pretrained("glass").network
        objective = nst.JohnsonObjective(network, painting, name="my style", init_from="glass")
        result = nst.train(
            objective, photos, out_dir=args.out / "run", steps=steps, size=size, batch_size=2, max_grad_norm=1.0
        )
        print(
            f"step {result.step}: style {result.history[-1]['style']:.3f}, at the first {result.history[0]['style']:.3f}"
        )

    # the command line reads the weights too: nst stylize --method johnson --style OUT/run/weights.safetensors photo.jpg
    painted = nst.stylize(nst.samples.content("rocket", 256), result.weights, method="johnson")
    print(nst.save_image(painted, args.out / "rocket.png"))
