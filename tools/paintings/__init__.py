"""The programs that painted the sample paintings of `nstlib.samples`.

    PYTHONPATH=tools python -m paintings            rewrites nstlib/samples/*.webp

Each painting is a function from a size in pixels to a picture `(size, size, 3)`, float32 in [0, 1].
"""

from paintings import planes, strokes
from paintings.canvas import Painting

PAINTINGS: dict[str, Painting] = {**strokes.PAINTINGS, **planes.PAINTINGS}
