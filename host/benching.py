"""The bench, top to bottom: each trial measured on the board, or through HTTP, is a row that is stored at once."""

import difflib
import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from contract.api import MAX_BENCH_INPUTS, BenchRequest, Measurement, ModelInfo, ModelState
from contract.manifest import FileEntry
from contract.results import FIGURE_KEYS, BenchRow, Flag, Mean
from host import images
from host.client import TENSORS, AgentClient
from host.errors import BoardError, DoesNotRunError, InputError, ResultsError, UnstoredError
from host.progress import Progress, on_job

if TYPE_CHECKING:
    from host.statistics import Samples
    from host.store import Store

Through = Literal["worker", "http"]

_OF_THE_CLIENT = (
    "latency_ms.",
    "first_run_ms",
    "counted_runs",
    "latency_interval_ms.",
    "steady_ms.",
    "load.",
    "weights",
    "macs",
    "rate",
    "on_chip_bytes",
    "streamed_bytes",
    "operators_on_cpu",
    "auc",
    "float_auc",
)  # all else is the worker's
_UNMET_THROUGH_HTTP = {
    **{key: "measured without --through http" for key in FIGURE_KEYS if not key.startswith(_OF_THE_CLIENT)},
    **{f"flags.{flag}": "watched without --through http" for flag in get_args(Flag)},
}


@dataclass(frozen=True)
class Known:
    """What is known of a model before it is measured: it goes into the row as it is. `trial`: of a study's model."""

    auc: float | None = None
    auc_drop: float | None = None
    float_auc: float | None = None
    float_auc_drop: float | None = None
    study: str | None = None
    requested_rate: float | None = None
    own_original: bool | None = None
    trial: int | None = None

    def columns(self) -> dict[str, Any]:
        """By the row's own keys; what is None is left as the bench has it."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Request:
    """What the user asks of a bench."""

    model: str
    runs: int = 1000
    trials: int = 1
    through: Through = "worker"
    inputs: Path | None = None
    interrupt: bool = False
    known: Known = Known()


@dataclass(frozen=True)
class Subject:
    """What is measured: a model of the board, and the images it is given (none: golden inputs, or noise)."""

    model: ModelInfo
    contents: Sequence[bytes]


def bench(client: AgentClient, store: "Store", request: Request, progress: Progress) -> list[BenchRow]:
    """Every trial as a row, stored when it is done. A model that does not run is a row too, and the last one.

    What fails otherwise leaves the trials before it stored. UnstoredError: a row was measured and could not be kept.
    """
    store.check_writable()
    model = find_model(client, request.model)
    session = store.new_id()
    subject = Subject(model, _contents(request.inputs, model, progress))
    measure = _through_http if request.through == "http" else _on_the_board
    rows: list[BenchRow] = []
    for trial in range(1, request.trials + 1):
        blank = _blank(store.new_id(), session, trial, client.board, model, request)
        if request.trials > 1:
            progress.stage(f"trial {trial} of {request.trials}")
        try:
            row, samples_ns = measure(client, blank, subject, request, progress)
        except DoesNotRunError as error:
            row, samples_ns = blank.model_copy(update={"failure": error.message, "failure_code": error.code}), None
        _keep(store, row, samples_ns)
        rows.append(row)
        if request.trials > 1:
            progress.note(f"trial {trial} of {request.trials}: {_in_short(row)}, stored as {row.id}")
        if row.failure is not None:
            break
    return rows


def _keep(store: "Store", row: BenchRow, samples_ns: "Samples | None") -> None:
    try:
        store.add(row, samples_ns)
    except ResultsError as error:
        raise UnstoredError(row, error) from error


def _in_short(row: BenchRow) -> str:
    return f"does not run: {row.failure}" if row.latency_ms is None else f"mean {row.latency_ms.mean:.4g} ms"


def find_model(client: AgentClient, name: str) -> ModelInfo:
    """InputError names the nearest model of the board."""
    models = {model.name: model for model in client.models()}
    if name not in models:
        near = difflib.get_close_matches(name, models, n=1)
        raise InputError(
            f"{client.board!r} has no model {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            f"it has {', '.join(sorted(models)) or 'none: host deploy'}",
            "unknown_model",
        )
    return models[name]


def loaded(model: ModelInfo, board: str) -> ModelInfo:
    """The model, unless it has failed for good: there is no use in waiting for it then. BoardError."""
    if model.state is ModelState.FAILED:
        raise BoardError(
            f"{model.name!r} has failed on {board!r}: {model.reason}", "deploy it again, or another one", "model_failed"
        )
    return model


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
        model=request.model, runs=request.runs, inputs=tuple(sha256s), interrupt=request.interrupt or blank.trial > 1
    )

    job = client.finish(lambda: client.bench(asked), on_job(client.board, progress))
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

    model, bodies = loaded(subject.model, client.board), subject.contents or [_noise(subject.model)]
    media_types = [images.media_type_of(body) or TENSORS for body in bodies]
    before = client.patiently(lambda: client.environment(model.name), progress.stage)
    samples_ns = np.empty(request.runs, np.int64)

    def ask(index: int) -> int:
        began = time.perf_counter_ns()
        client.infer(model.name, bodies[index], media_types[index])
        return time.perf_counter_ns() - began

    asking = f"{client.board}: asking {model.name} over HTTP"
    for run in range(request.runs):
        progress.stage(asking)
        samples_ns[run] = client.patiently(partial(ask, run % len(bodies)), progress.stage)
        progress.advance(run + 1, request.runs)
    after = client.patiently(lambda: client.environment(model.name), progress.stage)
    row = blank.model_copy(
        update={"environment": before.model_copy(update={"after": after.before}), "unmet": dict(_UNMET_THROUGH_HTTP)}
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
        rate=model.rate,
        on_chip_bytes=model.edge_tpu and model.edge_tpu.on_chip_bytes,
        streamed_bytes=model.edge_tpu and model.edge_tpu.streamed_bytes,
        operators_on_cpu=model.edge_tpu and model.edge_tpu.operators_on_cpu,
        macs=model.macs,
    ).model_copy(update=request.known.columns())


def _contents(folder: Path | None, model: ModelInfo, progress: Progress) -> list[bytes]:
    """The user's images, as files; at most MAX_BENCH_INPUTS of them, in the order of their paths. InputError."""
    if folder is None:
        return []
    if model.preprocessing is None:
        raise InputError(f"--inputs gives images, {model.name!r} takes tensors", "leave it out: noise is used then")
    found = images.image_files(folder)
    if len(found) > MAX_BENCH_INPUTS:
        progress.note(f"of the {len(found):,} images in {folder} the first {MAX_BENCH_INPUTS} are used, in turn")
    for path in found[:MAX_BENCH_INPUTS]:
        images.prepared(path, model.preprocessing, model.signature.inputs[0].dtype)  # the board could not name the file
    return [images.read(path) for path in found[:MAX_BENCH_INPUTS]]


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
