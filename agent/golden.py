"""Golden inputs: a model is proven by outputs that are known, through the same way that requests take."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import GoldenMismatchError
from agent.supervisor import Supervisor
from agent.uncancelled import whole
from contract.tensors import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 2**20
"""Elements that are float64 at a time: a board may have 1 GB in all."""


@dataclass(frozen=True)
class Proof:
    """The worst signal-to-quantisation-noise ratio over all cases and outputs; None where there is no difference."""

    sqnr_db: float | None


@dataclass(frozen=True, order=True)
class _Match:
    """How well one output of one case came back."""

    sqnr_db: float
    output: str
    case: int


async def prove(supervisor: Supervisor) -> Proof:
    """Runs every golden case. GoldenMismatchError below the manifest's tolerance, or where an output is not finite.

    Requests may come meanwhile; a full queue is waited for.
    """
    manifest, folder = supervisor.deployment.manifest, supervisor.deployment.folder
    golden, signature = manifest.golden, manifest.signature
    matches = []
    slot = await supervisor.wait_for_slot()
    try:
        for case in range(golden.count):
            # The slot must not go back while a thread is at it.
            await whole(
                asyncio.to_thread(
                    _fill, supervisor.arena.inputs(slot), folder / golden.inputs, case * signature.input_bytes
                )
            )
            await supervisor.run(slot)
            matches.append(
                await whole(
                    asyncio.to_thread(
                        _match, signature.outputs, folder / golden.outputs, supervisor.arena.outputs(slot), case
                    )
                )
            )
    finally:
        supervisor.give_slot(slot)
    worst = min(matches)
    if worst.sqnr_db < golden.tolerance_db:
        raise _mismatch(worst, golden.tolerance_db)
    return Proof(None if math.isinf(worst.sqnr_db) else worst.sqnr_db)


def sqnr_db(expected: memoryview, actual: memoryview, dtype: str) -> float:
    """10 log10(sum of expected squares / sum of squared differences), in float64, of one tensor's bytes of `dtype`.

    inf without any difference; -inf where one side alone is not finite, or where nothing but zeros is expected and
    something else came. The same NaN or infinity in the same place is no difference. As the host has it
    (converters/compare.py, where the source is).
    """
    import numpy as np  # an agent that serves nothing yet does without

    largest = 0.0
    for part in _parts(expected, actual, dtype):
        if part is None:
            return -math.inf
        largest = max(largest, *(float(np.abs(values).max(initial=0)) for values in part))
    # Scaled by a power of two, which is exact, so that no square overflows or vanishes.
    _, exponent = math.frexp(largest)
    signal = noise = 0.0
    for part in _parts(expected, actual, dtype):
        assert part is not None, "the first pass has seen all of them"
        reference, got = (np.ldexp(values, -exponent) for values in part)
        difference = reference - got
        signal, noise = signal + float(reference @ reference), noise + float(difference @ difference)
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def _parts(
    expected: memoryview, actual: memoryview, dtype: str
) -> "Iterator[tuple[NDArray[np.float64], NDArray[np.float64]] | None]":
    """`CHUNK` elements of each at a time, in float64, without the places where both have the same NaN or infinity; None
    of a part where a value is not finite on one side alone.
    """
    import numpy as np

    reference, got = (np.frombuffer(view, dtype) for view in (expected, actual))
    for start in range(0, reference.size, CHUNK):
        both = reference[start : start + CHUNK].astype(np.float64), got[start : start + CHUNK].astype(np.float64)
        finite = np.isfinite(both[0]) & np.isfinite(both[1])
        if finite.all():
            yield both
        elif np.array_equal(both[0][~finite], both[1][~finite], equal_nan=True):
            yield both[0][finite], both[1][finite]
        else:
            yield None


def _fill(views: Sequence[memoryview], path: Path, start: int) -> None:
    with path.open("rb") as file:
        file.seek(start)
        for view in views:
            file.readinto(view)


def _match(specs: Sequence[TensorSpec], path: Path, outputs: Sequence[memoryview], case: int) -> _Match:
    """The worst of all outputs."""
    with path.open("rb") as file:
        file.seek(case * sum(spec.size_bytes for spec in specs))
        return min(
            _Match(sqnr_db(memoryview(file.read(spec.size_bytes)), actual, spec.dtype), spec.name, case)
            for spec, actual in zip(specs, outputs, strict=True)
        )


def _mismatch(worst: _Match, tolerance_db: float) -> GoldenMismatchError:
    where = f"output {worst.output!r} of golden case {worst.case}"
    if worst.sqnr_db == -math.inf:
        return GoldenMismatchError(
            f"{where} is not finite, or nothing of what is expected",
            "the runtime computes something else: try another --precision",
        )
    return GoldenMismatchError(
        f"{where} comes back at {worst.sqnr_db:.1f} dB SQNR, asked for are {tolerance_db:g} dB",
        "the runtime computes something else; if that is meant, lower --tolerance-db",
    )
