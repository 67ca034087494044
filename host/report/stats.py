"""What an agent's /stats says, as tables."""

from typing import TYPE_CHECKING

from contract.api import NOT_FOR_THIS_BOARD, ModelStats, Stats, Telemetry
from host.report.layout import Notes, add_row, apart, table, text
from host.report.values import four_digits, mebibytes

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

_GIB = 2**30


def stats_table(stats: Stats) -> "Group":
    """The agent, its models and how long their clients wait, its board."""
    from rich.console import Group

    notes = Notes()
    parts: list[RenderableType] = [text(_headline(stats), "bold")]
    parts.append(_models(stats.models, notes) if stats.models else text("No models."))
    if any(model.latency.count for model in stats.models):
        parts.append(_latencies(stats.models))
    parts.append(Group(*map(text, _board(stats.board)), *notes.lines()))
    return Group(*apart(parts))


def _headline(stats: Stats) -> str:
    held = f"; held by {stats.held_by}" if stats.held_by else ""
    return (
        f"boardfit {stats.version}, profile {stats.profile}, up {_duration(stats.uptime_s)}, "
        f"{_mebibytes(stats.agent_rss_bytes)} MiB{held}"
    )


def _models(models: tuple[ModelStats, ...], notes: Notes) -> "RenderableType":
    shown = table("Model", "State", numbers=("Requests", "Failed", "Refused", "Queue", "Restarts", "Worker MiB"))
    for model in models:
        add_row(
            shown,
            model.name,
            f"{model.state} {notes.mark(model.reason)}" if model.reason else model.state,
            f"{model.requests:,}",
            f"{model.failures:,}",
            f"{model.rejected:,}",
            f"{model.in_flight} of {model.queue_length}",
            f"{model.restarts:,}",
            _mebibytes(model.worker_rss_bytes),
        )
    return shown


def _latencies(models: tuple[ModelStats, ...]) -> "RenderableType":
    shown = table("Model", numbers=("Answered", "Mean ms", "p50 ms", "p90 ms", "p99 ms", "Max ms"))
    for model in models:
        latency = model.latency
        figures = (latency.mean_ms, latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.max_ms)
        waited = ("n/a" if value is None else four_digits(value) for value in figures)
        add_row(shown, model.name, f"{latency.count:,}", *waited)
    return shown


def _board(board: Telemetry) -> list[str]:
    cpu = "n/a" if board.cpu_percent is None else f"{board.cpu_percent:.0f} %"
    swap = "" if not board.swap_used_bytes else f", {_gibibytes(board.swap_used_bytes)} GiB swapped out"
    gpu = "" if board.gpu_percent is None else f", GPU {board.gpu_percent:.0f} %"
    nvmap = "" if board.nvmap_used_bytes is None else f", {_gibibytes(board.nvmap_used_bytes)} GiB held by the GPU"
    free, total = _gibibytes(board.memory_available_bytes), _gibibytes(board.memory_total_bytes)
    lines = [f"Board: CPU {cpu}{gpu}, memory {free} of {total} GiB free{nvmap}{swap}"]
    lines += [", ".join(line) for line in (_moving(board), _power(board)) if line]
    unread: dict[str, list[str]] = {}
    for name, reason in board.unmet.items():
        if reason != NOT_FOR_THIS_BOARD:
            unread.setdefault(reason, []).append(_without_unit(name).replace("_", " "))
    return lines + [f"Not read: {', '.join(names)} ({reason})" for reason, names in unread.items()]


def _moving(board: Telemetry) -> list[str]:
    moving = [f"{name} {value:.0f} °C" for name, value in board.temperatures_c.items()]
    cpus = [mhz for name, mhz in board.clocks_mhz.items() if name.startswith("cpu")]
    if cpus:
        moving.append(f"clocks up to {max(cpus):,.0f} MHz")
    others = {name: mhz for name, mhz in board.clocks_mhz.items() if not name.startswith("cpu")}
    moving += [f"{name.upper()} clock {mhz:,.0f} MHz" for name, mhz in others.items()]
    return moving + ([f"power mode {board.power_mode}"] if board.power_mode else [])


def _power(board: Telemetry) -> list[str]:
    """Each rail for itself: one may be part of another."""
    power = [f"{rail} {milliwatts / 1000:.2f} W" for rail, milliwatts in board.power_mw.items()]
    if board.throttled_by:
        power.append(f"throttled by {', '.join(board.throttled_by)}")
    if board.throttle_events:
        power.append(f"throttled {board.throttle_events:,} times since it was started")
    return power


def _without_unit(figure: str) -> str:
    """``clocks_mhz.gpu`` -> ``clocks.gpu``."""
    name, dot, sensor = figure.partition(".")
    for unit in ("_c", "_mhz", "_mw", "_bytes"):
        name = name.removesuffix(unit)
    return f"{name}{dot}{sensor}"


def _mebibytes(value: int | None) -> str:
    return "n/a" if value is None else mebibytes(value)


def _gibibytes(value: int | None) -> str:
    return "n/a" if value is None else f"{value / _GIB:.1f}"


def _duration(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days} d {hour:02d} h"
    return f"{hours} h {minute:02d} min" if hours else f"{minute} min {second:02d} s"
