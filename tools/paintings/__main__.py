"""Paint every sample painting and write it to the package."""

from pathlib import Path

import numpy as np
from PIL import Image

from paintings import PAINTINGS

SIDE = 1024
FOLDER = Path(__file__).parents[2] / "nstlib" / "samples"

for name, paint in PAINTINGS.items():
    pixels = (np.clip(paint(SIDE), 0, 1) * 255).round().astype(np.uint8)  # (H, W, 3)
    file = FOLDER / f"{name}.webp"
    Image.fromarray(pixels).save(file, quality=90, method=6)
    print(f"{file.name}: {file.stat().st_size:,} bytes")
