"""Makes what the studio runs: python book/build_studio.py _build/html/_static/studio

- ONNX Runtime Web, in the version that book/package-lock.json pins. Its WebAssembly is
  compressed, since simple web servers don't do that.
- The shipped networks as ONNX files with weights in half precision.
- The sample pictures as WebP, and `manifest.json`, which names all of it.

Nothing of it is committed. It is kept in `_build/studio`, and made again only when the
package, the lock file or this script has changed.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import nstlib as nst
import torch.nn.functional as F
from torch import Tensor

from npm import BOOK, install

ROOT = BOOK.parent
MADE = ROOT / "_build" / "studio"

RUNTIME = {
    "ort.wasm.bundle.min.mjs": "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs": "ort-wasm-simd-threaded.asyncify.wasm",
}
"""Script -> its WebAssembly: without and with WebGPU."""

LONG_SIDE = 512
"""Of the sample pictures, in pixels: the studio paints them at this size."""

PHOTOGRAPHS = {
    "astronaut": "an astronaut",
    "cat": "a cat",
    "coffee": "a cup of coffee",
    "rocket": "a rocket at lift-off",
}

PAINTINGS = {
    "swirl": "swirling oil",
    "wave": "a woodblock wave",
    "dots": "coloured dots",
    "ink": "ink wash",
    "engraving": "an engraving",
    "glass": "stained glass",
    "geometry": "flat geometry",
    "cubist": "cubist planes",
    "marble": "marbled paper",
    "mosaic": "mosaic",
    "poster": "a poster",
}

STYLES = {
    "swirl": "swirling oil",
    "glass": "stained glass",
    "mosaic": "mosaic",
    "wave": "a woodblock wave",
    "cypresses": "Van Gogh's cypresses",
    "kirifuri": "Hokusai's waterfall",
    "marble": "marbled paper",
    "dots": "coloured dots",
}
"""Of Johnson's networks."""

ARBITRARY: tuple[Any, ...] = (nst.AdaIN, nst.SANet, nst.AdaAttN)


def main() -> None:
    state = digest()
    stamp = MADE / "stamp"
    if not stamp.exists() or stamp.read_text() != state:
        shutil.rmtree(MADE, ignore_errors=True)
        fetch_runtime()
        networks = export_networks()
        pictures = write_pictures()
        manifest = {"runtime": sizes(MADE / "site/runtime"), **networks, **pictures}
        (MADE / "site" / "manifest.json").write_text(json.dumps(manifest, indent=1))
        stamp.write_text(state)
    target = Path(sys.argv[1])
    shutil.copytree(MADE / "site", target, dirs_exist_ok=True)
    total = sum(
        file.stat().st_size for file in (MADE / "site").rglob("*") if file.is_file()
    )
    print(f"{target}: {total / 1e6:.1f} MB, of which a reader loads what she asks for")


def digest() -> str:
    """64 digits that change with whatever goes into the files."""
    found = hashlib.sha256()
    sources = [
        *(ROOT / "nstlib").rglob("*.py"),
        *(ROOT / "nstlib").rglob("*.safetensors"),
    ]
    for path in sorted([*sources, *BOOK.glob("package*.json"), Path(__file__)]):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def fetch_runtime() -> None:
    """Take what a page loads from the pinned package."""
    source = install() / "onnxruntime-web/dist"
    target = MADE / "site/runtime"
    target.mkdir(parents=True)
    for script, binary in RUNTIME.items():
        text = (source / script).read_text(encoding="utf-8")
        lines = [
            line
            for line in text.splitlines()
            if not line.startswith("//# sourceMappingURL")
        ]
        (target / script).write_text("\n".join(lines) + "\n", encoding="utf-8")
        data = gzip.compress((source / binary).read_bytes(), 9, mtime=0)
        (target / f"{script}.wasm.gz").write_bytes(data)


def export_networks() -> dict[str, Any]:
    """Write the networks, in half precision: what is shipped is stored in it, so nothing is lost."""
    folder = MADE / "site/networks"
    folder.mkdir(parents=True)
    for kind in ARBITRARY:
        nst.export(
            kind.pretrained(), folder / f"{kind.method}.onnx", split=True, half=True
        )
    for style in STYLES:
        nst.export(
            nst.Johnson.pretrained(style), folder / f"johnson-{style}.onnx", half=True
        )
    return {"networks": sizes(folder), "styles": STYLES}


def write_pictures() -> dict[str, Any]:
    """Write the samples at full size and as thumbnails, and what the page shows before it begins."""
    folder = MADE / "site/pictures"
    folder.mkdir(parents=True)
    photographs = {
        name: shrink(nst.samples.content(name, None)) for name in PHOTOGRAPHS
    }
    paintings = {name: shrink(nst.samples.style(name, None)) for name in PAINTINGS}
    for name, picture in {**photographs, **paintings}.items():
        save(picture, folder / f"{name}.webp", 92)
        save(thumbnail(picture), folder / f"{name}-small.webp", 80)
    cat = nst.samples.content("cat", 160)
    for style in STYLES:
        small = thumbnail(nst.Johnson.pretrained(style).stylize(cat))
        save(small, folder / f"johnson-{style}-small.webp", 80)
    pair = photographs["cat"], paintings["swirl"]
    painted = {kind.method: kind.pretrained().stylize(*pair) for kind in ARBITRARY}
    painted["johnson"] = nst.Johnson.pretrained("wave").stylize(photographs["cat"])
    for method, picture in painted.items():
        save(picture, folder / f"first-{method}.webp", 85)
    return {"photographs": PHOTOGRAPHS, "paintings": PAINTINGS}


def shrink(picture: Tensor) -> Tensor:
    """Return a picture with its long side at most as long as the samples are."""
    height, width = picture.shape[2:]
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = (round(height * scale), round(width * scale))
    return F.interpolate(picture, size, mode="bicubic", antialias=True).clamp(0, 1)


def thumbnail(picture: Tensor, side: int = 112) -> Tensor:
    """Return the middle of a picture as a small square."""
    small = nst.load_image(picture, size=side)
    top, left = ((length - side) // 2 for length in small.shape[2:])
    return small[..., top : top + side, left : left + side]


def save(picture: Tensor, path: Path, quality: int) -> None:
    nst.to_pil(picture).save(path, quality=quality, method=6)


def sizes(folder: Path) -> dict[str, int]:
    """Return name -> bytes of all files, which the page needs to say how much is loaded."""
    files: Iterable[Path] = sorted(folder.iterdir())
    return {file.name: file.stat().st_size for file in files}


if __name__ == "__main__":
    main()
