"""A Ray cluster of several nodes on this machine, which die on demand.

    python -m benchmarks.ray_cluster COUNT FOLDER

Prints its address; for each line that it reads, the last of its nodes is killed, as where its plug is pulled; when
there is nothing more to read, all of it ends. The first node, the head, runs no tasks. Its files are in FOLDER, whose
path is short: sockets are among them.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Cluster:
    """`address`: HOST:PORT of its head."""

    address: str
    process: "subprocess.Popen[str]"

    def kill_a_node(self) -> None:
        """Returns when it is dead."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("kill\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "killed\n"


@contextmanager
def cluster(node_count: int) -> Iterator[Cluster]:
    """Of a head without processors, and `node_count` nodes of one processor each."""
    with tempfile.TemporaryDirectory(prefix="ray-") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ray_cluster", str(node_count), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "RAY_TMPDIR": folder, "RAY_USAGE_STATS_ENABLED": "0"},
            start_new_session=True,
        )
        with process:
            assert process.stdout is not None
            yield Cluster(process.stdout.readline().strip(), process)


def main(node_count: int, folder: str) -> None:
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    nodes = [found.add_node(num_cpus=1) for _ in range(node_count)]
    print(found.address, flush=True)
    for _ in sys.stdin:
        found.remove_node(nodes.pop(), allow_graceful=False)
        print("killed", flush=True)
    found.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
