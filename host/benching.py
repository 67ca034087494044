"""The bench, top to bottom: each trial measured on the board, or through HTTP, is a row that is stored at once."""

import difflib
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from contract.api import MAX_BENCH_INPUTS, BenchRequest, Job, Measurement, ModelInfo
from contract.manifest import FileEntry
from contract.results import FIGURE_KEYS, BenchRow, Mean
from host import images
from host.client import TENSORS, AgentClient
from host.errors import DoesNotRunError, InputError
from host.progress import Progress

if TYPE_CHECKING:
    from host.statistics import Samples
    from host.store import Store

Through = Literal["worker", "http"]


@dataclass(frozen=True)
class Request:
    """What the user asks of a bench."""

    model: str
    runs: int = 1000
    trials: int = 1
    through: Through = "worker"
    inputs: Path | None = None
    interrupt: bool = False


@dataclass(frozen=True)
class Subject:
    """What is measured: a model of the board, and the images it is given (none: golden inputs, or noise)."""

    model: ModelInfo
    contents: Sequence[bytes]


def bench(client: AgentClient, store: "Store", request: Request, progress: Progress) -> list[BenchRow]:
    """Every trial as a row, stored when it is done. A model that does not run is a row too, and the last one."""
    model = find_model(client, request.model)
    session = store.new_id()
    subject = Subject(model, _contents(request.inputs, model))
    measure = _through_http if request.through == "http" else _on_the_board
    rows: list[BenchRow] = []
    for trial in range(request.trials):
        blank = _blank(store.new_id(), session, trial, client.board, model, request)
        progress.stage(f"trial {trial + 1} of {request.trials}" if request.trials > 1 else f"benching {model.name}")
        try:
            row, samples_ns = measure(client, blank, subject, request, progress)
        except DoesNotRunError as error:
            store.add(failed := blank.model_copy(update={"failure": error.message, "failure_code": error.code}))
            return [*rows, failed]
        store.add(row, samples_ns)
        rows.append(row)
    return rows


def find_model(client: AgentClient, name: str) -> ModelInfo:
    """InputError names the nearest model of the board."""
    models = {model.name: model for model in client.models()}
    if name not in models:
        near = difflib.get_close_matches(name, models, n=1)
        raise InputError(
            f"{client.board!r} has no model {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            f"it has: {', '.join(sorted(models)) or 'none'}",
            "unknown_model",
        )
    return models[name]


def _on_the_board(
    client: AgentClient, blank: BenchRow, subject: Subject, request: Request, progress: Progress
) -> tuple[BenchRow, "Samples"]:
    """One trial in a fresh worker, the board held."""
    sha256s = []
    for content in subject.contents:
        entry = FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
        client.upload(entry, content, progress.advance)
        sha256s.append(entry.sha256)
    asked = BenchRequest(
        model=request.model, runs=request.runs, inputs=tuple(sha256s), interrupt=request.interrupt or blank.trial > 0
    )

    def on_job(job: Job) -> None:
        progress.stage(f"{client.board}: {job.stage}")
        progress.advance(job.done, job.total)

    job = client.wait(client.bench(asked), on_job)
    assert job.measurement is not None
    samples_ns = _samples(client.samples_ns(job))
    return _measured(blank, job.measurement, samples_ns), samples_ns


def _measured(blank: BenchRow, measurement: Measurement, samples_ns: "Samples") -> BenchRow:
    return _with_latency(
        blank.model_copy(
            update={
                "bundle": measurement.bundle,
                "accelerator_ms": Mean(mean=_ms(measurement.accelerator_ns_mean)),
                "convert_ms": Mean(mean=_ms(measurement.convert_ns_mean)),
                "decision_ms": Mean(mean=_ms(_mean(measurement.decision_ns))),
                "memory": measurement.memory,
                "environment": measurement.environment,
                "flags": measurement.flags,
                "stopped_models": measurement.stopped_models,
                "unmet": measurement.unmet,
            }
        ),
        samples_ns,
    )


def _through_http(
    client: AgentClient, blank: BenchRow, subject: Subject, request: Request, progress: Progress
) -> tuple[BenchRow, "Samples"]:
    """One trial as a client sees it: one request after the other over one connection, HTTP and network included."""
    import numpy as np

    model, bodies = subject.model, subject.contents or [_noise(subject.model)]
    media_types = [images.media_type_of(body) or TENSORS for body in bodies]
    before = client.environment(model.name)
    samples_ns = np.empty(request.runs, np.int64)
    progress.stage(f"{client.board}: asking {model.name} over HTTP")
    for run in range(request.runs):
        index = run % len(bodies)
        began = time.perf_counter_ns()
        client.infer(model.name, bodies[index], media_types[index])
        samples_ns[run] = time.perf_counter_ns() - began
        progress.advance(run + 1, request.runs)
    after = client.environment(model.name)
    figures = {key for key in FIGURE_KEYS if key.endswith(("_bytes", "_ms.mean")) and key != "latency_ms.mean"}
    row = blank.model_copy(
        update={
            "environment": before.model_copy(update={"after": after.before}),
            "unmet": dict.fromkeys(figures, "measured in the worker alone: bench without --through http"),
        }
    )
    return _with_latency(row, samples_ns), samples_ns


def _with_latency(row: BenchRow, samples_ns: "Samples") -> BenchRow:
    """The first run is reported apart; the others count."""
    from host.statistics import steady_state, summarise

    counted_ns = samples_ns[1:]
    return row.model_copy(
        update={
            "first_run_ms": _ms(float(samples_ns[0])),
            "counted_runs": len(counted_ns),
            "latency_ms": summarise(counted_ns),
            "steady_from_run": steady_state(counted_ns),
        }
    )


def _blank(row_id: str, session: str, trial: int, board: str, model: ModelInfo, request: Request) -> BenchRow:
    return BenchRow(
        id=row_id,
        session=session,
        trial=trial,
        measured_at=datetime.now(UTC),
        board=board,
        model=model.name,
        bundle=model.bundle,
        source_name=model.source_name,
        precision=model.precision,
        through=request.through,
        requested_runs=request.runs,
        inputs=str(request.inputs) if request.inputs else "golden" if request.through == "worker" else "noise",
        weights=model.weights,
    )


def _contents(folder: Path | None, model: ModelInfo) -> list[bytes]:
    """The user's images, as files; at most MAX_BENCH_INPUTS of them, in the order of their paths."""
    if folder is None:
        return []
    if model.preprocessing is None:
        raise InputError(f"--inputs gives images, {model.name!r} takes tensors", "leave it out: noise is used then")
    return [images.read(path) for path in images.image_files(folder)[:MAX_BENCH_INPUTS]]


def _noise(model: ModelInfo) -> bytes:
    from converters.golden import pack
    from converters.noise import noise
    from converters.signature import TensorSpec

    specs = [TensorSpec(spec.name, spec.dtype, spec.shape) for spec in model.signature.inputs]
    return pack(noise(specs, seed=0), specs)


def _samples(content: bytes) -> "Samples":
    import numpy as np

    return np.frombuffer(content, "<i8").astype(np.int64)


def _ms(nanoseconds: float | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e6


def _mean(figures: Sequence[int]) -> float | None:
    return sum(figures) / len(figures) if figures else None
