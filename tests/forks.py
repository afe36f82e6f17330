"""Command lines that can be started fast, in numbers, and killed.

To import torch takes seconds. So one process imports the library, does nothing with it, and forks for every command: the
child is a process of its own, with its own output, limits and death, and runs what `python -m nstlib` runs.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SERVER = """
import json, os, resource, signal, sys
import matplotlib.backends.backend_agg, matplotlib.figure, torch._dynamo, torch.utils.data  # which others import late
from PIL import Image
from nstlib.cli import main

Image.init()

for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        status = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        print(status, flush=True)
        continue
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    code = 99
    try:
        os.setsid()
        file = os.open(order["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        if order["limit"]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order["limit"], order["limit"]))
        code = main(order["arguments"])
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
"""


@dataclass
class Command:
    """One that was started.

    Attributes:
        pid: of the process.
        said: the file with what it printed.
    """

    forks: Forks
    pid: int
    said: Path

    def kill_when(self, ready: Callable[[], bool], delay: float = 0.0) -> int:
        """SIGKILL once `ready()`, and `delay` seconds after that; -9, or its own status if it had ended before."""
        end = time.monotonic() + 120
        while not ready() and os.path.exists(f"/proc/{self.pid}") and not self._ended():
            assert time.monotonic() < end, self.said.read_text()
            time.sleep(0.002)
        time.sleep(delay)
        os.kill(self.pid, signal.SIGKILL)  # a zombie may be killed too: nobody else waits for it
        return self.wait()

    def wait(self) -> int:
        """The exit status; negative for a signal."""
        return self.forks.ask(wait=self.pid)

    def _ended(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


class Forks:
    """The process that forks. Use it in a `with`."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
        )

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *error: object) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()

    def start(self, *arguments: object, said: Path, limit: int = 0) -> Command:
        """`nst` with these arguments; no file that it writes may have more than `limit` bytes, if that is not 0."""
        pid = self.ask(arguments=[str(one) for one in arguments], said=str(said), limit=limit)
        return Command(self, pid, said)

    def run(self, *arguments: object, said: Path, limit: int = 0) -> int:
        """The same to its end: the exit status."""
        return self.start(*arguments, said=said, limit=limit).wait()

    def ask(self, **order: Any) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        ready, _, _ = select.select([self.process.stdout], [], [], 300)
        assert ready, "the process that forks does not answer"
        return int(self.process.stdout.readline())
