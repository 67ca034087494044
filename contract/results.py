"""One bench row, and its keys: the same in the database, in ``--json`` and in constraints.

What each figure means is defined in one place, here; how it is taken, in agent/worker/loop.py and agent/jobs.py.
"""

from typing import Literal

from pydantic import AwareDatetime

from contract.base import Reply

Flag = Literal[
    "throttled",
    "clocks_moved",
    "swapped",
    "other_load",
    "clocks_not_fixed",
    "power_mode",
    "on_battery",
    "swap_in_use",
    "unstable",
    "client_late",
]
"""Why a row may not be what the board can do: a reader decides, nothing is dropped.

The first four: agent/telemetry/validity.py, of the bench itself. Found before it, with a remedy: clocks_not_fixed (they
follow the load), power_mode (not the one of most performance), on_battery, swap_in_use, and other_load too.
client_late: this host could not send requests at the moments at which they were due, or not as many as the board could
take (host/load): a faster host, or one that does less, is what tells.
unstable: latency drifts, or stays in one of several modes for so long that one run of the bench says nothing of the
next (host/statistics); it has no interval: `--trials` is what tells.
"""

COOL_DOWN = "cool_down"
"""The key of a row's `unmet` for why its trial began on a board warmer than before the first, or perhaps so."""

DOES_NOT_RUN = frozenset(
    {
        "build_failed",
        "engine_mismatch",
        "load_failed",
        "model_refused",
        "non_finite",
        "golden_mismatch",
        "out_of_memory",
        "run_failed",
        "accelerator_lost",
        "runtime_missing",
        "signature_mismatch",
        "worker_bug",
        "worker_crashed",
        "worker_timeout",
    }
)
"""Error codes of an agent that say a model does not run on the board: a row with the reason, not a failed command."""


class Latency(Reply):
    """Of the counted runs (all but the first), in milliseconds.

    Input tensors in host memory -> output tensors in host memory, in the artifact's own dtype and layout. A
    percentile the sample cannot support is null (at 99 % confidence p99 needs 459 runs); so is std of a single run.
    """

    mean: float
    median: float
    p90: float | None
    p95: float | None
    p99: float | None
    min: float
    max: float
    std: float | None


class Mean(Reply):
    """A further time per run, in milliseconds; null with the reason in the row's `unmet`."""

    mean: float | None


class Interval(Reply):
    """A 95 % confidence interval of the mean latency of this one bench, from batch means (host/statistics), in ms.

    Of other benches it says nothing: those are trials.
    """

    low: float
    high: float


class Energy(Reply):
    """Millijoules per inference: `power_mw.run` times `latency_ms.mean`, and what of it is above the board at rest."""

    per_run: float | None
    above_idle: float | None


class Power(Reply):
    """Mean milliwatts of the rail that feeds the whole board: at rest, before the model is loaded, and in its runs.

    Of those it is watched from where the worker first tells that one is done, which it does between runs and at most
    four times a second: sending, mapping and the first run are in this mean as little as in `latency_ms.mean`.
    """

    idle: float | None
    run: float | None


class Load(Reply):
    """Of a bench whose requests come at a rate, as parts do on a conveyor, whether or not the one before is done.

    Latency is then counted from the moment at which a request was due, and is of those that were answered.
    `offered_per_s` is that rate; `deadline_ms` the time a part has; `missed` how many of the counted requests were
    later than that, or were refused; `highest_parts_per_minute` the highest rate tried at which p99 was within the
    deadline, a refused request being later than any other: null where it was not looked for or where none was.
    """

    offered_per_s: float
    deadline_ms: float
    missed: int
    missed_share: float
    highest_parts_per_minute: float | None = None


class Memory(Reply):
    """Peaks in bytes. They are not simultaneous: never add them up.

    baseline       the headline's figure once the runtime is initialised and has run one tiny built-in model: the
                   worker's resident set, or the fall of MemAvailable by then
    load_peak      peak resident set until the model was loaded
    run_peak       peak resident set while it ran (reset after loading; null where the kernel does not allow that)
    accelerator    held on an accelerator, where that is not in the resident set
    system_delta   fall of MemAvailable on the whole board, from before the worker started
    peak           the headline: process peak + accelerator on a desktop, system_delta on a Jetson
    model_peak     peak - baseline
    """

    peak_memory_bytes: int | None
    model_peak_bytes: int | None
    baseline_bytes: int | None
    build_peak_bytes: int | None = None
    load_peak_bytes: int | None
    run_peak_bytes: int | None
    accelerator_peak_bytes: int | None
    system_delta_peak_bytes: int | None


class Conditions(Reply):
    """What moves while a bench runs; taken before it, and after its counted runs while the model is still loaded.

    `power_mw` is by rail, and one rail may feed another: never add them up. `throttle_events` counts since the board
    was started. `nvmap_used_bytes`: what a Jetson's GPU driver has allocated.
    """

    power_mode: str | None
    temperatures_c: dict[str, float]
    clocks_mhz: dict[str, float]
    swap_used_bytes: int | None
    power_mw: dict[str, float] = {}
    nvmap_used_bytes: int | None = None
    throttle_events: int | None = None


class Environment(Reply):
    """What a row was measured on. `runtime_details`: what the runtime decided itself while it loaded the model."""

    profile: str
    machine: str
    os_image: str
    kernel: str
    cpu: str
    cpu_count: int
    memory_total_bytes: int | None
    python: str
    runtime: str
    runtime_version: str
    runtime_options: dict[str, str | int | float | bool]
    runtime_details: dict[str, str] = {}
    agent_version: str
    before: Conditions
    after: Conditions | None


class BenchRow(Reply):
    """One trial of one model on one board; or, with `failure`, why there is no figure.

    `steady_from_run` is how many counted runs came before latency was steady; null where it never was, or where there
    are too few runs to tell. `on_chip_bytes`, `streamed_bytes` and `operators_on_cpu` are of files compiled for an Edge
    TPU (`contract.manifest.EdgeTpu`). `macs`: multiply-adds of one inference. `auc`: of the test images by the artifact
    on the board, `float_auc` by the float model on the host; a drop is what a compression lost of that of the original,
    which was taught in the same way. `steady_ms` is the mean of the counted runs from `steady_from_run` on. `study`:
    the name of the study that the row is of, `requested_rate` the rate it asked for there, `own_original` whether each
    trial trained its original anew. `unmet` has the reason of a null by its key, or by the part before the dot.
    """

    id: str
    session: str
    trial: int
    measured_at: AwareDatetime
    board: str
    model: str
    bundle: str
    source_name: str
    precision: str
    through: Literal["worker", "http"]
    requested_runs: int
    inputs: str
    failure: str | None = None
    failure_code: str | None = None
    counted_runs: int | None = None
    first_run_ms: float | None = None
    latency_ms: Latency | None = None
    steady_from_run: int | None = None
    latency_interval_ms: Interval | None = None
    steady_ms: Mean = Mean(mean=None)
    accelerator_ms: Mean = Mean(mean=None)
    convert_ms: Mean = Mean(mean=None)
    decision_ms: Mean = Mean(mean=None)
    energy_mj: Energy | None = None
    power_mw: Power | None = None
    load: Load | None = None
    memory: Memory | None = None
    weights: int | None = None
    macs: int | None = None
    rate: float | None = None
    on_chip_bytes: int | None = None
    streamed_bytes: int | None = None
    operators_on_cpu: int | None = None
    auc: float | None = None
    auc_drop: float | None = None
    float_auc: float | None = None
    float_auc_drop: float | None = None
    study: str | None = None
    requested_rate: float | None = None
    own_original: bool | None = None
    environment: Environment | None = None
    flags: tuple[Flag, ...] = ()
    stopped_models: tuple[str, ...] = ()
    unmet: dict[str, str] = {}

    def figures(self) -> dict[str, float | int | None]:
        """Every figure by its key, e.g. ``latency_ms.p99`` or ``peak_memory_bytes``, in the order of FIGURE_KEYS."""
        holders = {"": self, **{part: getattr(self, part) for part in _PARTS}}
        return {
            key: None if (holder := holders[part]) is None else getattr(holder, name) for key, part, name in _PLACES
        }


FIGURE_KEYS: tuple[str, ...] = (
    "first_run_ms",
    "counted_runs",
    *(f"latency_ms.{name}" for name in Latency.model_fields),
    *(f"latency_interval_ms.{name}" for name in Interval.model_fields),
    "steady_ms.mean",
    "accelerator_ms.mean",
    "convert_ms.mean",
    "decision_ms.mean",
    *(f"energy_mj.{name}" for name in Energy.model_fields),
    *(f"power_mw.{name}" for name in Power.model_fields),
    *(f"load.{name}" for name in Load.model_fields),
    *Memory.model_fields,
    "weights",
    "macs",
    "rate",
    "on_chip_bytes",
    "streamed_bytes",
    "operators_on_cpu",
    "auc",
    "auc_drop",
    "float_auc",
    "float_auc_drop",
)
"""What was measured."""


def _place(key: str) -> tuple[str, str, str]:
    """The key, the field of `BenchRow` that holds it ("": the row itself), and its name there."""
    part, _, name = key.rpartition(".")
    return key, part or ("memory" if name in Memory.model_fields else ""), name


_PLACES = tuple(_place(key) for key in FIGURE_KEYS)
_PARTS = tuple(dict.fromkeys(part for _, part, _ in _PLACES if part))

DESCRIPTION_KEYS: tuple[str, ...] = (
    "id",
    "session",
    "trial",
    "measured_at",
    "board",
    "model",
    "bundle",
    "source_name",
    "precision",
    "through",
    "requested_runs",
    "inputs",
    "failure",
    "failure_code",
    "steady_from_run",
    "study",
    "requested_rate",
    "own_original",
)
"""Which row it is: the plain fields of `BenchRow` that are no figures."""
