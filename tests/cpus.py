"""Do the tests pass on other processors? The numeric ones run under other instruction sets and numbers of threads.

    python tests/cpus.py                      every setting
    python tests/cpus.py "AVX2, 2 threads"    one of them
    python tests/cpus.py --list               their names

oneDNN (convolutions), MKL (matrix products) and PyTorch's own kernels choose their code by environment variables, so a
processor with AVX-512 can round as one without it would. The exit status is the number of settings in which a test fails.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
AVX512 = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "MKL_ENABLE_INSTRUCTIONS": "AVX512", "ATEN_CPU_CAPABILITY": "avx512"}
PLAIN = {"ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2", "ATEN_CPU_CAPABILITY": "default"}

SETTINGS: dict[str, dict[str, str]] = {
    "as it comes, 1 thread": {"OMP_NUM_THREADS": "1"},
    "as it comes, 4 threads": {"OMP_NUM_THREADS": "4"},
    "AVX2, 1 thread": AVX2 | {"OMP_NUM_THREADS": "1"},
    "AVX2, 2 threads": AVX2 | {"OMP_NUM_THREADS": "2"},
    "AVX-512, 2 threads": AVX512 | {"OMP_NUM_THREADS": "2"},
    "no vectors, 1 thread": PLAIN | {"OMP_NUM_THREADS": "1"},
}
"""Name -> environment."""

TESTS = (
    *(
        "adaattn",
        "adain",
        "arbitrary",
        "attention",
        "backbones",
        "conditioned",
        "crops",
        "decoder",
        "determinism",
        "distill",
    ),
    *(
        "encoder",
        "gatys",
        "johnson",
        "losses",
        "metrics",
        "misuse",
        "opacity",
        "perceptual",
        "refine",
        "samples",
        "sanet",
    ),
    *("steady", "stylize", "tiling", "training"),
)
"""The files of tests that compute."""

PARALLEL = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")


def main(names: list[str]) -> int:
    if names == ["--list"]:
        print(*SETTINGS, sep="\n")
        return 0
    unknown = [name for name in names if name not in SETTINGS]
    if unknown:
        raise SystemExit(f"no setting {unknown[0]!r} (there are: {'; '.join(SETTINGS)})")
    files = [*(f"tests/test_{name}.py" for name in TESTS), "nstlib"]  # the examples in docstrings too
    failed = []
    for name in names or SETTINGS:
        print(f"\n--- {name}", flush=True)
        # threads that wait for each other sleep: there may be more of them than cores
        environment = os.environ | {"OMP_WAIT_POLICY": "passive"} | SETTINGS[name]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *PARALLEL, *files]
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            failed.append(name)
    print(f"\nfailed under: {'; '.join(failed)}" if failed else "\nthe same under every setting")
    return len(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
