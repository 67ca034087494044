"""Golden inputs: a model is proven by outputs that are known, through the same way that requests take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import GoldenMismatchError
from agent.supervisor import Supervisor
from contract.manifest import TensorSpec


@dataclass(frozen=True)
class Proof:
    """The worst signal-to-quantisation-noise ratio over all cases and outputs; None where there is no difference."""

    sqnr_db: float | None


async def prove(supervisor: Supervisor) -> Proof:
    """Runs every golden case. GoldenMismatchError below the manifest's tolerance, or where an output is not finite."""
    golden = supervisor.deployment.manifest.golden
    signature = supervisor.deployment.manifest.signature
    inputs = memoryview((supervisor.deployment.folder / golden.inputs).read_bytes())
    expected = memoryview((supervisor.deployment.folder / golden.outputs).read_bytes())
    worst_db = math.inf
    slot = supervisor.take_slot()
    try:
        for case in range(golden.count):
            _fill(supervisor.arena.inputs(slot), inputs[case * signature.input_bytes :])
            await supervisor.run(slot)
            case_db = _worst_db(
                signature.outputs, expected[case * signature.output_bytes :], supervisor.arena.outputs(slot), case
            )
            worst_db = min(worst_db, case_db)
    finally:
        supervisor.give_slot(slot)
    if worst_db < golden.tolerance_db:
        raise GoldenMismatchError(
            f"the golden outputs come back at {worst_db:.1f} dB SQNR, asked for are {golden.tolerance_db:g} dB",
            "the runtime computes something else; if that is meant, lower --tolerance-db",
        )
    return Proof(None if math.isinf(worst_db) else worst_db)


def sqnr_db(expected: memoryview, actual: memoryview, dtype: str) -> float:
    """10 log10(sum of expected squares / sum of squared differences), in float64; inf without any difference.

    `expected` and `actual`: the bytes of one tensor of `dtype`. -inf where `actual` is not finite and `expected` is.
    """
    import numpy as np  # an agent that serves nothing yet does without

    reference = np.frombuffer(expected, dtype).astype(np.float64)
    difference = reference - np.frombuffer(actual, dtype).astype(np.float64)
    noise = float(difference @ difference)
    if noise == 0.0:
        return math.inf
    signal = float(reference @ reference)
    return 10 * math.log10(signal / noise) if math.isfinite(noise) and signal > 0 else -math.inf


def _worst_db(specs: Sequence[TensorSpec], expected: memoryview, outputs: Sequence[memoryview], case: int) -> float:
    worst_db, start = math.inf, 0
    for spec, actual in zip(specs, outputs, strict=True):
        case_db = sqnr_db(expected[start : start + spec.size_bytes], actual, spec.dtype)
        if case_db == -math.inf:
            raise GoldenMismatchError(
                f"output {spec.name!r} of golden case {case} is not finite, or nothing of what is expected",
                "the runtime computes something else: try another --precision",
            )
        worst_db, start = min(worst_db, case_db), start + spec.size_bytes
    return worst_db


def _fill(views: Sequence[memoryview], content: memoryview) -> None:
    start = 0
    for view in views:
        view[:] = content[start : start + len(view)]
        start += len(view)
