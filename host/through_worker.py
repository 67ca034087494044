"""A bench of the model alone: in a fresh worker on the board, which is held meanwhile."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contract.api import BenchRequest, Measurement, ModelInfo
from contract.manifest import FileEntry
from contract.results import BenchRow, Mean
from host import preflight
from host.client import AgentClient
from host.energy import ENERGY_KEYS, POWER_KEYS, energy_columns
from host.nanoseconds import in_ms
from host.progress import Progress, on_job

if TYPE_CHECKING:
    from host.statistics import Samples


@dataclass(frozen=True)
class Taken:
    """`samples_ns`: of each run in order, int64 of shape (n,), n >= 2."""

    samples_ns: "Samples"
    measurement: Measurement

    def columns(self) -> dict[str, Any]:
        """By the row's own keys: all but what is made of the samples."""
        told = self.measurement
        return {
            "bundle": told.bundle,
            "accelerator_ms": Mean(mean=in_ms(told.accelerator_ns_mean)),
            "convert_ms": Mean(mean=in_ms(told.convert_ns_mean)),
            "decision_ms": Mean(mean=in_ms(_mean(told.decision_ns))),
            "memory": told.memory,
            "environment": told.environment,
            "flags": told.flags,
            "stopped_models": told.stopped_models,
            "unmet": told.unmet,
        }

    def with_energy(self, row: BenchRow) -> BenchRow:
        """The row, which has its latency, with what the board drew for it.

        An agent from before tells nothing of that, nor of how its board was set.
        """
        power = self.measurement.power_mw
        if power is None:
            untold = (*POWER_KEYS, *ENERGY_KEYS, *(f"flags.{flag}" for flag in preflight.OF_SETTINGS))
            return row.model_copy(update={"unmet": {**dict.fromkeys(untold, preflight.OLDER), **row.unmet}})
        assert row.latency_ms is not None
        return row.model_copy(update=energy_columns(power, row.latency_ms.mean, row.unmet))


def measure(
    client: AgentClient, model: ModelInfo, contents: Sequence[bytes], runs: int, interrupt: bool, progress: Progress
) -> Taken:
    """One trial. DoesNotRunError where it does not run there; BoardError and its kin."""
    sha256s = []
    for content in contents:
        entry = FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        client.upload(entry, content, progress.advance)
        sha256s.append(entry.sha256)
    asked = BenchRequest(model=model.name, runs=runs, inputs=tuple(sha256s), interrupt=interrupt)
    job = client.finish(lambda: client.bench(asked), on_job(client.board, progress))
    assert job.measurement is not None
    return Taken(_samples(client.samples_ns(job)), job.measurement)


def _samples(content: bytes) -> "Samples":
    import numpy as np

    return np.frombuffer(content, "<i8").astype(np.int64)


def _mean(figures: Sequence[int]) -> float | None:
    return sum(figures) / len(figures) if figures else None
