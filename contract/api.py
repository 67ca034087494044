"""Requests and replies of the agent's management API (``/v1/...``) and of ``/stats``.

==========================================  =====================================================================
``GET /v1/agent``                           `AgentInfo`
``POST /v1/bundles``                        `Manifest` -> `BundleStatus`: which files are missing
``GET /v1/blobs/SHA256``                    `UploadStatus`: how much of it is there
``PUT /v1/blobs/SHA256?size=N&offset=K``    bytes K.. of the file -> `UploadStatus`; refused unless K is what is there
``GET /v1/models``                          list of `ModelInfo`
``PUT /v1/models/NAME``                     `ActivateRequest` -> 202 `Job`; its result is an `Activation`
``POST /v1/models/NAME/rollback``           `SwitchRequest` or nothing -> 202 `Job`; its result is an `Activation`
``POST /v1/models/NAME/load``               `SwitchRequest` or nothing -> 202 `Job`; for what is FAILED or STOPPED
``GET /v1/models/NAME/environment``         `Environment`: for what is measured from outside
``DELETE /v1/models/NAME``                  204
``POST /v1/benches``                        `BenchRequest` -> 202 `Job`; its result is a `Measurement`
``POST /v1/profiles``                       `ProfileRequest` -> 202 `Job`; its result is a `LayerProfile`
``GET /v1/jobs/ID?wait_s=S&seen=N``         `Job`; with `wait_s`, answered when its revision is above N or S is over
``DELETE /v1/jobs/ID``                      `Job`: asks it to stop
``GET /v1/jobs/ID/samples``                 int64 little-endian nanoseconds, one per run, in order
``GET /v1/telemetry``                       `Telemetry`
``GET /v1/preflight``                       `Preflight`: what a bench would be measured under; takes a second
``GET /v1/tuning``                          `Tuning`: what would make a stable bench
``POST /v1/tuning``                         `Tuning`, done where the agent can; refused while the board is in use
==========================================  =====================================================================
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from contract.base import Contract, Reply
from contract.manifest import EdgeTpu, FileEntry, ModelName, Preprocessing, Score, Sha256
from contract.results import Environment, Flag, Memory, Power
from contract.tensors import Signature

MAX_RUNS = 1_000_000
MAX_PROFILE_RUNS = 1000  # ONNX Runtime keeps a trace of all of them, which is read at the end
MAX_BENCH_INPUTS = 16


class ErrorReply(Reply):
    """The one form of every error, of every route."""

    error: str
    code: str
    hint: str


class RuntimeInfo(Reply):
    """A runtime some Python of the board offers, or why it does not."""

    key: str
    python: str
    python_version: str | None = None
    version: str | None = None
    unavailable: str | None = None


class AgentInfo(Reply):
    """Who answers."""

    api_version: int
    version: str
    profile: str
    started_at: float
    runtimes: tuple[RuntimeInfo, ...]


class BundleStatus(Reply):
    """What the agent lacks of a bundle; `missing` empty = complete and verified."""

    bundle: Sha256
    missing: tuple[FileEntry, ...]


class UploadStatus(Reply):
    """How much of a file has arrived; `complete` = all of it, and its sha256 is right."""

    sha256: Sha256
    received_bytes: int
    complete: bool


class ModelState(StrEnum):
    """The supervisor's states (agent/supervisor.py draws the transitions)."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    CRASHED = "crashed"
    BACKOFF = "backoff"
    FAILED = "failed"


class ModelInfo(Reply):
    """One deployed model; `temporary` as in `ActivateRequest`, `macs`, `rate`, `edge_tpu` as in the manifest."""

    name: ModelName
    bundle: Sha256
    previous: Sha256 | None
    state: ModelState
    reason: str | None = None
    runtime: str
    runtime_version: str | None = None
    source_name: str
    precision: str
    weights: int | None = None
    macs: int | None = None
    rate: float | None = None
    edge_tpu: EdgeTpu | None = None
    signature: Signature
    preprocessing: Preprocessing | None = None
    score: Score | None = None
    temporary: bool = False


class SwitchRequest(Contract):
    """What a switch of models may do to other models.

    `stop_others`: where a build needs the whole board, the models that are served may be stopped for it; they are
    started again afterwards. Without it the job fails (build_needs_board).

    `replace`: where the model needs an accelerator that one model has at a time, the one that has it is stopped, and
    stays so, deployed, until it is loaded again; where the switch fails it is brought back. Without it the job fails
    (accelerator_taken).
    """

    stop_others: bool = False
    replace: bool = False


class ActivateRequest(SwitchRequest):
    """Serve this bundle under the name in the path; the version served so far stays for a rollback.

    `temporary`: for whoever knows the name, and not for ever. A request without ``?model=`` never means it, an agent
    that starts again does not bring it back, and it is removed once no request, job or call has named it for a while
    (agent/settings.py). The job fails (name_taken) where a model that is not temporary has the name; the other way
    round is allowed, and the model stays then. An agent from before refuses the key, as every key it does not know.
    """

    bundle: Sha256
    temporary: bool = False


class Build(Reply):
    """How the board came to what it loads. `reason`: why it was built; null where it was there already.

    `key` names it on that board, and is made of all that it depends on: the model's file, the runtime's version, the
    device's architecture, the system's release and the options.
    """

    key: str
    reason: str | None
    build_s: float
    engine_bytes: int
    build_peak_bytes: int | None
    runtime_version: str
    architecture: str
    unmet: dict[str, str] = {}


class Activation(Reply):
    """How a switch went. `outage_s` is 0 where old and new overlapped; `sqnr_db` null where nothing differed.

    `replaced` are the models that were stopped for it and stay so (`SwitchRequest`): `outage_s` is then how long the
    accelerator served neither them nor this one.

    What is above a threshold is defective: `threshold_board` was found here, from the `good_count` good images of the
    bundle, and counts where it is not null; `threshold_model` is the one of the model where it was trained. Both null:
    its decisions are uncalibrated. `score_method` null: it makes none.
    """

    model: ModelName
    bundle: Sha256
    previous: Sha256 | None
    sqnr_db: float | None
    tolerance_db: float
    golden_count: int
    golden_source: str
    load_s: float
    outage_s: float
    replaced: tuple[ModelName, ...] = ()
    unchanged: bool = False
    score_method: str | None = None
    threshold_model: float | None = None
    threshold_board: float | None = None
    good_count: int = 0
    build: Build | None = None


class ProfileRequest(Contract):
    """The layers' times of a deployed model over `runs` runs, in a fresh worker, the board held."""

    model: ModelName
    runs: Annotated[int, Field(ge=1, le=MAX_PROFILE_RUNS)] = 100
    interrupt: bool = False


class LayerTime(Reply):
    """One layer as the runtime has fused it."""

    name: str
    mean_ms: float


class LayerProfile(Reply):
    """Apart from every other measurement: a run that is profiled is slower."""

    model: ModelName
    bundle: Sha256
    runs: int
    layers: tuple[LayerTime, ...]
    runtime: str
    runtime_version: str


class BenchRequest(Contract):
    """One trial: `runs` runs of batch 1 in a fresh worker, the board held.

    Inputs, used in turn: the files `inputs` (blobs already sent, each an image or all input tensors of one run, raw),
    or where there are none the bundle's golden inputs.
    """

    model: ModelName
    runs: Annotated[int, Field(ge=2, le=MAX_RUNS)] = 1000
    inputs: Annotated[tuple[Sha256, ...], Field(max_length=MAX_BENCH_INPUTS)] = ()
    interrupt: bool = False


class Measurement(Reply):
    """One trial as measured; its samples are at ``/v1/jobs/ID/samples``.

    `unmet` has, for each figure that is null, the reason. `power_mw` is null of an agent from before, which did not
    look at how its board was set either (`Preflight`).
    """

    model: ModelName
    bundle: Sha256
    convert_ns_mean: float | None
    accelerator_ns_mean: float | None
    decision_ns: tuple[int, ...] = ()
    memory: Memory
    environment: Environment
    flags: tuple[Flag, ...]
    stopped_models: tuple[ModelName, ...]
    unmet: dict[str, str]
    power_mw: Power | None = None


class JobState(StrEnum):
    """PENDING -> RUNNING -> DONE | FAILED | CANCELLED."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Job(Reply):
    """Work that outlasts a request. `revision` grows with each change; `done` of `total` is its progress.

    `lines` are the last of what a builder has said, `line_count` of them in all.
    """

    id: str
    kind: Literal["activate", "bench", "profile"]
    model: ModelName
    state: JobState
    revision: int
    stage: str
    done: int = 0
    total: int = 0
    error: ErrorReply | None = None
    activation: Activation | None = None
    measurement: Measurement | None = None
    layer_profile: LayerProfile | None = None
    lines: tuple[str, ...] = ()
    line_count: int = 0

    @property
    def is_over(self) -> bool:
        return self.state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class LatencyStats(Reply):
    """Service latency since the model was loaded, from a histogram with 1 % relative error."""

    count: int
    mean_ms: float | None
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    max_ms: float | None


class ModelStats(Reply):
    """Counters of one model since the agent started."""

    name: ModelName
    state: ModelState
    reason: str | None
    requests: int
    failures: int
    rejected: int
    in_flight: int
    queue_length: int
    restarts: int
    latency: LatencyStats
    worker_pid: int | None
    worker_rss_bytes: int | None


NOT_FOR_THIS_BOARD = "none of this profile's sensors reads it"
"""The reason in `Telemetry.unmet` of what this kind of board is not asked for: nothing is wrong."""


class Telemetry(Reply):
    """The board now. A figure that cannot be read is null; `unmet` says why.

    What is younger than the others has a default, for agents from before: what it means is in `contract.results`.
    """

    cpu_percent: float | None
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    swap_used_bytes: int | None
    temperatures_c: dict[str, float]
    clocks_mhz: dict[str, float]
    power_mode: str | None
    unmet: dict[str, str]
    gpu_percent: float | None = None
    nvmap_used_bytes: int | None = None
    power_mw: dict[str, float] = {}
    throttle_events: int | None = None
    throttled_by: tuple[str, ...] | None = None


class Stats(Reply):
    """``GET /stats``."""

    version: str
    profile: str
    uptime_s: float
    held_by: str | None
    models: tuple[ModelStats, ...]
    board: Telemetry
    agent_rss_bytes: int | None
