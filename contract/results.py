"""One bench row, and its keys: the same in the database, in ``--json`` and in constraints.

What each figure means is defined in one place, here; how it is taken, in agent/worker/loop.py and agent/jobs.py.
"""

from typing import Literal

from pydantic import AwareDatetime

from contract.base import Reply

Flag = Literal["throttled", "clocks_moved", "swapped", "other_load"]
"""Why a row may not be what the board can do: a reader decides, nothing is dropped."""


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
    """What moves while a bench runs; taken before it and after it.

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
    TPU (`contract.manifest.EdgeTpu`). `unmet` has the reason of a null by its key, or by the part before the dot.
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
    accelerator_ms: Mean = Mean(mean=None)
    convert_ms: Mean = Mean(mean=None)
    decision_ms: Mean = Mean(mean=None)
    memory: Memory | None = None
    weights: int | None = None
    rate: float | None = None
    on_chip_bytes: int | None = None
    streamed_bytes: int | None = None
    operators_on_cpu: int | None = None
    auc: float | None = None
    auc_drop: float | None = None
    environment: Environment | None = None
    flags: tuple[Flag, ...] = ()
    stopped_models: tuple[str, ...] = ()
    unmet: dict[str, str] = {}

    def figures(self) -> dict[str, float | int | None]:
        """Every figure by its key, e.g. ``latency_ms.p99`` or ``peak_memory_bytes``, in the order of FIGURE_KEYS."""
        return {key: self._figure(key) for key in FIGURE_KEYS}

    def _figure(self, key: str) -> float | int | None:
        part_of, _, name = key.rpartition(".")
        holder = getattr(self, part_of) if part_of else self.memory if name in Memory.model_fields else self
        return None if holder is None else getattr(holder, name)


FIGURE_KEYS: tuple[str, ...] = (
    "first_run_ms",
    "counted_runs",
    *(f"latency_ms.{name}" for name in Latency.model_fields),
    "accelerator_ms.mean",
    "convert_ms.mean",
    "decision_ms.mean",
    *Memory.model_fields,
    "weights",
    "rate",
    "on_chip_bytes",
    "streamed_bytes",
    "operators_on_cpu",
    "auc",
    "auc_drop",
)
"""What was measured."""

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
)
"""Which row it is: the plain fields of `BenchRow` that are no figures."""
