"""No worker outlives its agent, under any Python."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import bundles
from processes import are_gone, is_running

# An agent of a few lines: a worker under each Python, all in a run that never ends.
AGENT = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
import bundles
from agent.arena import Arena
from agent.loading import Limits, start_worker

async def main(folder, pythons):
    bundle = bundles.null(hang_on_run=1)
    deployment, launch = bundles.deployment(folder, bundle), bundles.launch(folder)
    arenas = [Arena(bundle.manifest.signature, 1) for _ in pythons]
    started = await asyncio.gather(*(
        start_worker(deployment, replace(launch, python=python), arena, Limits(1, 50.0, 50.0))
        for python, arena in zip(pythons, arenas)
    ))
    runs = [asyncio.create_task(worker.request({"op": "infer", "slot": 0}, 50.0)) for worker, _ in started]
    await asyncio.sleep(0.1)
    print(*(worker.pid for worker, _ in started), flush=True)
    await asyncio.gather(*runs)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
"""


def test_an_agent_killed_leaves_no_worker_even_one_that_hangs(pythons: dict[str, str], tmp_path: Path) -> None:
    tests = Path(bundles.__file__).parent
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(tmp_path), *pythons.values()],
        env={**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests}"},
        stdout=subprocess.PIPE,
    )
    with agent:
        assert agent.stdout is not None
        workers = [int(pid) for pid in agent.stdout.readline().split()]
        try:
            assert len(workers) == len(pythons)
            assert all(map(is_running, workers))
            agent.kill()
            assert are_gone(workers, within_s=1.0)
        finally:
            for pid in [agent.pid, *filter(is_running, workers)]:
                os.kill(pid, signal.SIGKILL)  # none, but where this test fails
