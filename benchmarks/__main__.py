"""Runs every benchmark, and ends with 1 where one of them missed its bar.

But for `benchmarks.accuracy`, `benchmarks.study_killed` and `benchmarks.study_on_ray`, which take an hour each by
themselves, `benchmarks.tflite_vs_onnx2tf`, which installs 3.3 GB first, and `benchmarks.gpu`.
"""

import sys

from benchmarks import (
    agent_at_rest,
    compressed_latency,
    compression_speed,
    concurrent_clients,
    coral_cache,
    fidelity,
    honest_auc,
    honest_intervals,
    impossible_model,
    infer_overhead,
    training_speed,
)

SCRIPTS = (
    agent_at_rest,
    fidelity,
    infer_overhead,
    concurrent_clients,
    compression_speed,
    compressed_latency,
    training_speed,
    impossible_model,
    coral_cache,
    honest_intervals,
    honest_auc,
)


def main() -> int:
    passed = [script.main() for script in SCRIPTS]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
