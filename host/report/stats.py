"""What an agent's /stats says, as tables."""

from typing import TYPE_CHECKING

from contract.api import ModelStats, Stats, Telemetry
from host.report.layout import Notes, add_row, table, text
from host.report.values import mebibytes, milliseconds

if TYPE_CHECKING:
    from rich.console import Group, RenderableType


def stats_table(stats: Stats) -> "Group":
    """The agent, its models, its board."""
    from rich.console import Group

    notes = Notes()
    held = f", held by {stats.held_by}" if stats.held_by else ""
    return Group(
        text(f"boardfit {stats.version}, profile {stats.profile}, up {_duration(stats.uptime_s)}{held}", "bold"),
        text(""),
        _models(stats.models, notes),
        text(""),
        text(_board(stats.board)),
        text(f"agent {_mebibytes(stats.agent_rss_bytes)}"),
        *notes.lines(),
    )


def _models(models: tuple[ModelStats, ...], notes: Notes) -> "RenderableType":
    if not models:
        return text("No models.")
    counts, latencies = ("Requests", "Failed", "503", "Queue"), ("p50 ms", "p90 ms", "p99 ms")
    shown = table("Model", "State", numbers=(*counts, *latencies, "Restarts", "Memory"))
    for model in models:
        latency = (model.latency.p50_ms, model.latency.p90_ms, model.latency.p99_ms)
        add_row(
            shown,
            model.name,
            f"{model.state} {notes.mark(model.reason)}" if model.reason else model.state,
            f"{model.requests:,}",
            f"{model.failures:,}",
            f"{model.rejected:,}",
            f"{model.in_flight}/{model.queue_length}",
            *("-" if value is None else milliseconds(value) for value in latency),
            f"{model.restarts:,}",
            _mebibytes(model.worker_rss_bytes),
        )
    return shown


def _board(board: Telemetry) -> str:
    parts = [f"board CPU {'n/a' if board.cpu_percent is None else f'{board.cpu_percent:.0f} %'}"]
    parts.append(f"memory {_mebibytes(board.memory_available_bytes)} free of {_mebibytes(board.memory_total_bytes)}")
    parts += [f"{name} {value:.0f} °C" for name, value in board.temperatures_c.items()]
    if board.clocks_mhz:
        parts.append(f"clocks up to {max(board.clocks_mhz.values()):,.0f} MHz")
    if board.power_mode:
        parts.append(board.power_mode)
    return ", ".join(parts)


def _mebibytes(value: int | None) -> str:
    return "n/a" if value is None else f"{mebibytes(value)} MiB"


def _duration(seconds: float) -> str:
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours} h {minute:02d} min" if hours else f"{minute} min {second:02d} s"
