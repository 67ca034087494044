"""Both benchmarks, and ends with 1 where one missed its bar; with 2 and the reason where there is no GPU for them."""

import sys

from benchmarks.agents import scratch
from benchmarks.gpu import compressed, fidelity, presence
from benchmarks.gpu.board import device, running, tell_refusal
from benchmarks.verdict import machine
from host.errors import HostError


def main() -> int:
    reason = presence.why_none()
    if reason is not None:
        print(f"benchmarks.gpu needs an NVIDIA GPU and TensorRT: {reason}", file=sys.stderr)
        return 2
    print(machine())
    with scratch() as folder, running(folder) as board:
        try:
            passed = [script.main(board, folder) for script in (fidelity, compressed)]
        except HostError as error:
            tell_refusal(error)
            return 1
        print(device(board, "identity"))
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
