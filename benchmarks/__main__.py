"""Runs every benchmark, and ends with 1 where one of them missed its bar."""

import sys

from benchmarks import agent_at_rest, compression_speed, concurrent_clients, fidelity, infer_overhead

SCRIPTS = (agent_at_rest, fidelity, infer_overhead, concurrent_clients, compression_speed)


def main() -> int:
    passed = [script.main() for script in SCRIPTS]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
