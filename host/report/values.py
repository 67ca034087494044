"""One figure as text, or why there is none."""

from contract.results import BenchRow
from host.statistics import INTERVAL_RUNS, STEADY_RUNS, runs_needed

BYTES_PER_MIB = 2**20
NOT_MEASURED = "not measured"
UNSTABLE = "unstable: use --trials"
_UNITS = {"_ms": " ms", "_mj": " mJ", "_mw": " mW", "_bytes": " MiB"}

LABELS = {
    "latency_ms.mean": "Latency, mean",
    "latency_ms.median": "Latency, median",
    "latency_ms.p90": "Latency, p90",
    "latency_ms.p95": "Latency, p95",
    "latency_ms.p99": "Latency, p99",
    "latency_ms.min": "Latency, least",
    "latency_ms.max": "Latency, most",
    "latency_ms.std": "Latency, standard deviation",
    "latency_interval_ms.low": "Latency, mean, at least (95 %)",
    "latency_interval_ms.high": "Latency, mean, at most (95 %)",
    "steady_ms.mean": "Latency, mean once steady",
    "counted_runs": "Counted runs",
    "first_run_ms": "First run, not counted",
    "accelerator_ms.mean": "Time on the accelerator, mean",
    "convert_ms.mean": "Conversion of tensors, mean",
    "decision_ms.mean": "Image to decision, mean",
    "energy_mj.per_run": "Energy of an inference",
    "energy_mj.above_idle": "Energy of an inference, above idle",
    "power_mw.idle": "Power of the board, idle",
    "power_mw.run": "Power of the board, running",
    "load.offered_per_s": "Requests a second",
    "load.deadline_ms": "Deadline",
    "load.missed": "Deadlines missed",
    "load.missed_share": "Share of deadlines missed",
    "load.highest_parts_per_minute": "Parts per minute, at most",
    "peak_memory_bytes": "Peak memory",
    "model_peak_bytes": "Peak memory of the model",
    "baseline_bytes": "Baseline without the model",
    "build_peak_bytes": "Peak while building",
    "load_peak_bytes": "Peak while loading",
    "run_peak_bytes": "Peak while running",
    "accelerator_peak_bytes": "Peak on the accelerator",
    "system_delta_peak_bytes": "Peak of the whole board",
    "weights": "Weights",
    "macs": "Multiply-adds of an inference",
    "rate": "Compression rate",
    "on_chip_bytes": "Parameters kept on the chip",
    "streamed_bytes": "Parameters streamed per run",
    "operators_on_cpu": "Operators left on the CPU",
    "auc": "AUC on the board",
    "auc_drop": "AUC on the board, lost by compression",
    "float_auc": "AUC of the float model",
    "float_auc_drop": "AUC of the float model, lost by compression",
}
"""Every figure in the order it is shown."""

OF_AN_EDGE_TPU = ("on_chip_bytes", "streamed_bytes", "operators_on_cpu")
OF_A_LOAD = tuple(key for key in LABELS if key.startswith("load."))
OF_A_STUDY = tuple(key for key in LABELS if "auc" in key)
_NOT_OF_EVERY_BENCH = (OF_AN_EDGE_TPU, OF_A_LOAD, OF_A_STUDY)


def labels_of(row: BenchRow) -> dict[str, str]:
    """LABELS, without those that only some rows have: of an Edge TPU, of a load, of a study."""
    figures = row.figures()
    absent = {key for group in _NOT_OF_EVERY_BENCH if all(figures[key] is None for key in group) for key in group}
    return {key: label for key, label in LABELS.items() if key not in absent}


def figure(key: str, value: float) -> str:
    """A figure with its unit."""
    return bare(key, value) + next((unit for part, unit in _UNITS.items() if part in key), "")


def bare(key: str, value: float) -> str:
    """A figure in ms, mJ, mW or MiB, its unit left out."""
    if "_ms" in key or "_mj" in key:
        return four_digits(value)
    if key.endswith("_bytes"):
        return mebibytes(value)
    if key in ("rate", "load.missed_share"):
        return percent(value)
    if "auc" in key:
        return f"{value:.4f}"
    return f"{value:g}" if key == "load.offered_per_s" else f"{value:,.0f}"


def four_digits(value: float) -> str:
    """And never finer than a ten-thousandth, 0.1 us of a millisecond: 1,234 and 12.34 and 0.0123."""
    decimals = sum(abs(value) < bound for bound in (1000, 100, 10, 1))
    return f"{value:,.{decimals}f}"


def mebibytes(value: float) -> str:
    """Bytes in MiB: two decimals below 10 MiB, else one."""
    size = value / BYTES_PER_MIB
    return f"{size:,.{2 if abs(size) < 10 else 1}f}"


def percent(fraction: float) -> str:
    """0.995 -> 99.5 %."""
    return f"{100 * fraction:.4g} %"


def figure_or_reason(row: BenchRow, key: str) -> str:
    """The figure with its unit, or ``n/a (reason)``."""
    value = row.figures()[key]
    return f"n/a ({why_missing(row, key)})" if value is None else figure(key, value)


def why_missing(row: BenchRow, key: str) -> str:
    """Why a figure of a row is null."""
    if row.failure is not None:
        return f"did not run: {row.failure}"
    for name in (key, key.partition(".")[0]):
        if name in row.unmet:
            return row.unmet[name]
    if key.startswith("latency_ms.p") and row.counted_runs is not None:
        return f"needs {runs_needed(float(key.removeprefix('latency_ms.p')))} counted runs, has {row.counted_runs}"
    if key in OF_A_LOAD:
        return "without --rate" if row.load is None else "not looked for: --rate max does"
    if key in OF_AN_EDGE_TPU:
        return "not compiled for an Edge TPU"
    if key == "latency_ms.std" and row.counted_runs == 1:
        return "needs 2 counted runs, has 1"
    if key.startswith(("latency_interval_ms.", "steady_ms.")):
        return _why_not_within_run(row, INTERVAL_RUNS if key.startswith("latency") else STEADY_RUNS)
    return NOT_MEASURED


def _why_not_within_run(row: BenchRow, needed: int) -> str:
    """Why a bench tells no steady mean, or no interval; rows of before it did so were not measured for it."""
    if "unstable" in row.flags:
        return UNSTABLE
    if row.counted_runs is None:
        return NOT_MEASURED
    has = row.counted_runs - (row.steady_from_run or 0)
    once_steady = " once steady" if row.steady_from_run else ""
    return f"needs {needed} counted runs{once_steady}, has {has}" if has < needed else NOT_MEASURED


def steadiness(row: BenchRow) -> str:
    """When latency became steady, in words."""
    if row.steady_from_run is None:
        why = why_missing(row, "steady_ms.mean")
        return f"n/a ({'never, or too few runs to tell' if why == NOT_MEASURED else why})"
    return f"after {row.steady_from_run} counted runs" if row.steady_from_run else "from the start"
