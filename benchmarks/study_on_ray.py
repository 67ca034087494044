"""Does a study on a Ray cluster come to the same as on this machine, also where a node dies in the middle?

    python -m benchmarks.study_on_ray [--try]

The study of quick_study.py, once in local processes and once on a cluster of two nodes of one processor each, here; the
second loses a node as soon as half of its models are taught, with no word of it. Bar: the same row keys, models, and
values of all that is no timing. Three quarters of an hour on two busy cores; `--try` takes two minutes.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import quick_study
from benchmarks.agents import scratch
from benchmarks.quick_study import TRY, Scale
from benchmarks.ray_cluster import cluster
from benchmarks.verdict import machine, tell
from host import interrupts

POLL_EVERY_S = 0.2


def main(scale: Scale = Scale()) -> bool:  # noqa: B008  # it is frozen
    print(f"A study on Ray, one of two nodes killed: {scale}. {machine()}, load {os.getloadavg()[0]:.1f}")
    with scratch() as root:
        quick_study.draw(root / "images", scale)
        here = _studied(root / "here", root / "images", scale)
        on_ray = _studied(root / "on-ray", root / "images", scale, node_count=2)
        print(f"  {len(here)} rows, models and records here, {len(on_ray)} on Ray")
        rows = sum(key.startswith("row") for key in here)
        measured = sum(key.startswith("row") and value["failure"] is None for key, value in here.items())
        different = quick_study.tell_differences(here, on_ray)
    return tell(
        f"a study on Ray that loses a node: {rows} rows ({scale.row_count} expected, {measured} of them measured), "
        f"{different} differences from the local one",
        different == 0 and rows == measured == scale.row_count,
    )


def _studied(home: Path, images: Path, scale: Scale, node_count: int = 0) -> dict[str, object]:
    """What it comes to; on a cluster of so many nodes, the last of which dies on the way."""
    began = time.monotonic()
    try:
        if node_count:
            with cluster(node_count) as nodes:
                process = quick_study.started(home, images, scale, [f"--ray={nodes.address}"])
                _wait(process, lambda: quick_study.taught_count(home) >= scale.model_count / 2)
                nodes.kill_a_node()
                print(
                    f"  a node killed after {time.monotonic() - began:.0f} s: "
                    f"{quick_study.taught_count(home)} of {scale.model_count} models taught"
                )
                _wait(process)
        else:
            _wait(quick_study.started(home, images, scale))
    finally:
        quick_study.end_agent(home)
    print(f"  {'on Ray' if node_count else 'in local processes'}: {time.monotonic() - began:.0f} s")
    return quick_study.facts(home)


def _wait(process: "subprocess.Popen[bytes]", until: Callable[[], bool] = lambda: False) -> None:
    """For that, or for its end, which has to be a good one. It is ended where this is."""
    try:
        while process.poll() is None and not until():
            time.sleep(POLL_EVERY_S)
    except BaseException:
        process.send_signal(signal.SIGTERM)
        process.wait()
        raise
    if process.poll():
        raise RuntimeError(f"the study ended with {process.returncode}")


if __name__ == "__main__":
    with interrupts.listening():
        sys.exit(0 if main(TRY if "--try" in sys.argv else Scale()) else 1)
