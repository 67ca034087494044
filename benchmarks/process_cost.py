"""What a command costs as a whole process: seconds from its start to its end, and the most memory it held.

python benchmarks/process_cost.py LOG COMMAND... -> {"status": ..., "wall_s": ..., "peak_bytes": ...}

A small process of its own starts the command, for Linux counts what the starter holds as the started one's too
(exec_mmap in fs/exec.c). Of the processes that the command starts in turn the largest counts. All it says goes to LOG.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LAST_WORDS = 3
KIB = 1024


class FailedError(Exception):
    """The command did not end with 0; the message has its last words."""


@dataclass(frozen=True)
class Cost:
    """Of one process."""

    wall_s: float
    peak_bytes: int


def cost_of(command: Sequence[str], folder: Path, python_path: Path | None = None) -> Cost:
    """Of a command run in `folder`, which keeps its log, with `python_path` alone to import from. FailedError."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    if python_path is not None:
        environment["PYTHONPATH"] = str(python_path)
    log = folder / "log.txt"
    done = subprocess.run(
        [sys.executable, __file__, str(log), *command],
        cwd=folder,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    told = json.loads(done.stdout)
    if told["status"] != 0:
        words = log.read_text(encoding="utf-8", errors="replace").split("\n")
        said = " / ".join([line.strip() for line in words if line.strip()][-LAST_WORDS:])
        raise FailedError(f"ended with {told['status']}: {said}")
    return Cost(told["wall_s"], told["peak_bytes"])


def main(log: str, *command: str) -> None:
    with Path(log).open("w", encoding="utf-8") as file:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    print(json.dumps({"status": process.returncode, "wall_s": wall_s, "peak_bytes": usage.ru_maxrss * KIB}))


if __name__ == "__main__":
    main(*sys.argv[1:])
