"""The bench, top to bottom: each trial measured on the board, or through HTTP, is a row that is stored at once."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from contract.api import MAX_BENCH_INPUTS, ModelInfo, ModelState
from contract.results import COOL_DOWN, BenchRow, Interval, Mean
from contract.tuning import Preflight
from host import images, preflight, through_http, through_worker
from host.client import AgentClient
from host.cool_down import MOST_S, cool_down
from host.errors import BoardError, DoesNotRunError, InputError, ResultsError, UnstoredError
from host.load.conveyor import Conveyor
from host.nanoseconds import in_ms
from host.progress import Progress

if TYPE_CHECKING:
    from host.statistics import Samples
    from host.store import Store

Through = Literal["worker", "http"]


@dataclass(frozen=True)
class Known:
    """What is known of a model before it is measured: it goes into the row as it is. `trial`: of a study's model,
    `model` the name that is kept for it there.
    """

    auc: float | None = None
    auc_drop: float | None = None
    float_auc: float | None = None
    float_auc_drop: float | None = None
    study: str | None = None
    requested_rate: float | None = None
    own_original: bool | None = None
    trial: int | None = None
    model: str | None = None

    def columns(self) -> dict[str, Any]:
        """By the row's own keys; what is None is left as the bench has it."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class Request:
    """What the user asks of a bench. `conveyor`: how requests come through HTTP; None: one after the other. `session`:
    that of benches before, which belong to this one; None: a new one.

    looks        whether what it is measured under is looked at and told before: of many benches, once is enough
    strict       there is no bench where anything is found then
    cool_down_s  the most that is waited before a trial for the board to be as cool as before the first one; None: a
                 minute, where there are several
    rested_c     how cool that was, by sensor, where it was before benches that came before this one
    """

    model: str
    runs: int = 1000
    trials: int = 1
    through: Through = "worker"
    inputs: Path | None = None
    interrupt: bool = False
    known: Known = Known()
    conveyor: Conveyor | None = None
    session: str | None = None
    looks: bool = True
    strict: bool = False
    cool_down_s: float | None = None
    rested_c: Mapping[str, float] | None = None

    @property
    def most_cool_down_s(self) -> float:
        if self.cool_down_s is not None:
            return self.cool_down_s
        return MOST_S if self.trials > 1 or self.rested_c is not None else 0.0


@dataclass(frozen=True)
class Subject:
    """What is measured: a model of the board, and the images it is given (none: golden inputs, or noise)."""

    model: ModelInfo
    contents: Sequence[bytes]


def bench(client: AgentClient, store: "Store", request: Request, progress: Progress) -> list[BenchRow]:
    """Every trial as a row, stored when it is done. A model that does not run is a row too, and the last one.

    What fails otherwise leaves the trials before it stored. UnstoredError: a row was measured and could not be kept.
    NotFitError: nothing was disturbed; flags that come up later are in the rows (`preflight.unfit`).
    """
    store.check_writable()
    model = find_model(client, request.model)
    session = request.session or store.new_id()
    subject = Subject(model, _contents(request.inputs, model, progress))
    measure = _through_http if request.through == "http" else _on_the_board
    found = preflight.look(client, progress, strict=request.strict) if request.looks or request.strict else None
    rested_c = request.rested_c
    rows: list[BenchRow] = []
    for trial in range(1, request.trials + 1):
        blank = _blank(store.new_id(), session, trial, client.board, model, request)
        if request.trials > 1:
            progress.stage(f"trial {trial} of {request.trials}")
        warm = _cooled(client, request, rested_c, progress)
        try:
            asked = request if trial == 1 else replace(request, interrupt=True)  # the trial before is no traffic
            row, samples_ns = measure(client, blank, subject, asked, progress)
        except DoesNotRunError as error:
            row, samples_ns = blank.model_copy(update={"failure": error.message, "failure_code": error.code}), None
        row = _under(row, found, warm)
        if rested_c is None and row.environment:
            rested_c = row.environment.before.temperatures_c
        _keep(store, row, samples_ns)
        rows.append(row)
        if request.trials > 1:
            progress.note(f"trial {trial} of {request.trials}: {_in_short(row)}, stored as {row.id}")
        if row.failure is not None:
            break
    return rows


def _cooled(
    client: AgentClient, request: Request, rested_c: Mapping[str, float] | None, progress: Progress
) -> str | None:
    """Why the board is warmer than before the first trial, or may be."""
    if rested_c is None or request.most_cool_down_s == 0:
        return None
    return cool_down(client, rested_c, request.most_cool_down_s, progress)


def _under(row: BenchRow, found: Preflight | None, warm: str | None) -> BenchRow:
    """The row with what it was measured under."""
    if found is not None:
        row = preflight.with_findings(row, found)
    return row if warm is None else row.model_copy(update={"unmet": {**row.unmet, COOL_DOWN: warm}})


def _keep(store: "Store", row: BenchRow, samples_ns: "Samples | None") -> None:
    try:
        store.add(row, samples_ns)
    except ResultsError as error:
        raise UnstoredError(row, error) from error


def _in_short(row: BenchRow) -> str:
    if row.failure is not None:
        return f"does not run: {row.failure}"
    return "no request answered" if row.latency_ms is None else f"mean {row.latency_ms.mean:.4g} ms"


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
    taken = through_worker.measure(client, subject.model, subject.contents, request.runs, request.interrupt, progress)
    row = _with_latency(blank.model_copy(update=taken.columns()), taken.samples_ns)
    return taken.with_energy(row), taken.samples_ns


def _through_http(
    client: AgentClient, blank: BenchRow, subject: Subject, request: Request, progress: Progress
) -> tuple[BenchRow, "Samples"]:
    """One trial as a client sees it, HTTP and network included."""
    model = loaded(subject.model, client.board)
    taken = through_http.measure(client, model, subject.contents, request.runs, request.conveyor, progress)
    row = blank.model_copy(update=taken.columns())
    if len(taken.samples_ns) == 1:
        first_ms = in_ms(float(taken.samples_ns[0]))
        return row.model_copy(update={"first_run_ms": first_ms, "counted_runs": 0}), taken.samples_ns
    return _with_latency(row, taken.samples_ns), taken.samples_ns


def _with_latency(row: BenchRow, samples_ns: "Samples") -> BenchRow:
    """The first run is reported apart; the others count."""
    from host.statistics import STEADY_RUNS, summarise, within_run

    counted_ns = samples_ns[1:]
    within, count = within_run(counted_ns), len(counted_ns)
    too_few = {"flags.unstable": f"needs {STEADY_RUNS} counted runs, has {count}"} if within.unstable is None else {}
    return row.model_copy(
        update={
            "first_run_ms": in_ms(float(samples_ns[0])),
            "counted_runs": count,
            "latency_ms": summarise(counted_ns),
            "steady_from_run": within.steady_from,
            "steady_ms": Mean(mean=within.steady_ms),
            "latency_interval_ms": within.interval_ms
            and Interval(low=within.interval_ms[0], high=within.interval_ms[1]),
            "flags": (*row.flags, "unstable") if within.unstable else row.flags,
            "unmet": row.unmet | too_few,
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
