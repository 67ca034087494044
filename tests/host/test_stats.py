import io

import pytest
from rich.console import Console

from contract.api import LatencyStats, ModelState, ModelStats, Stats, Telemetry
from host.report.stats import stats_table

WIDTHS = pytest.mark.parametrize("width", [80, 120])
NO_SENSOR = "the kernel shows no thermal zone"


def model(name: str = "capsules", **changes: object) -> ModelStats:
    waited = LatencyStats(count=1234, mean_ms=8.8, p50_ms=6.488, p90_ms=19.11, p99_ms=21.12, max_ms=127.87)
    stats = ModelStats(
        name=name,
        state=ModelState.READY,
        reason=None,
        requests=1_234_567,
        failures=3,
        rejected=12_000,
        in_flight=2,
        queue_length=8,
        restarts=1,
        latency=waited,
        worker_pid=1,
        worker_rss_bytes=86 * 2**20,
    )
    return stats.model_copy(update=changes)


def telemetry(**changes: object) -> Telemetry:
    board = Telemetry(
        cpu_percent=74.2,
        memory_total_bytes=24 * 2**30,
        memory_available_bytes=12 * 2**30,
        swap_used_bytes=0,
        temperatures_c={"cpu": 51.4, "gpu": 48.0},
        clocks_mhz={"cpu0": 1510.4, "cpu1": 1200.0},
        power_mode="15W",
        unmet={},
    )
    return board.model_copy(update=changes)


def agent(*models: ModelStats, board: Telemetry | None = None, **changes: object) -> Stats:
    stats = Stats(
        version="0.1.0",
        profile="desktop",
        uptime_s=16.0,
        held_by=None,
        models=models,
        board=board or telemetry(),
        agent_rss_bytes=75 * 2**20,
    )
    return stats.model_copy(update=changes)


def shown(stats: Stats, width: int = 80, encoding: str = "utf-8") -> str:
    buffer = io.BytesIO()
    file = io.TextIOWrapper(buffer, encoding=encoding, errors="replace")
    Console(file=file, width=width).print(stats_table(stats))
    file.flush()
    text = buffer.getvalue().decode(encoding)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    return text


@WIDTHS
def test_a_model_and_how_long_its_clients_wait(width: int) -> None:
    lines = [line.split() for line in shown(agent(model()), width).splitlines()]
    counts, waited = (line for line in lines if line[:1] == ["capsules"])
    assert counts == ["capsules", "ready", "1,234,567", "3", "12,000", "2", "of", "8", "1", "86.0"]
    assert waited == ["capsules", "1,234", "8.800", "6.488", "19.11", "21.12", "127.9"]


def test_the_agent() -> None:
    assert shown(agent()).splitlines()[0] == "boardfit 0.1.0, profile desktop, up 0 min 16 s, 75.0 MiB"
    held = shown(agent(held_by="a bench of 'capsules'"), 120)
    assert "; held by a bench of 'capsules'" in held


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59.9, "0 min 59 s"), (60, "1 min 00 s"), (3600 * 5 + 61, "5 h 01 min"), (86400 * 3 + 3600 * 4, "3 d 04 h")],
)
def test_how_long_it_is_up(seconds: float, words: str) -> None:
    assert f"up {words}" in shown(agent(uptime_s=seconds))


def test_the_board() -> None:
    text = shown(agent())
    assert "Board: CPU 74 %, memory 12.0 of 24.0 GiB free\n" in text.replace(" \n", "\n")
    assert "cpu 51 °C, gpu 48 °C, clocks up to 1,510 MHz, power mode 15W" in text


def test_swap_is_told_where_there_is_any() -> None:
    assert "swapped" not in shown(agent())
    assert "GiB free, 1.5 GiB swapped out" in shown(agent(board=telemetry(swap_used_bytes=3 * 2**29)))


def test_what_cannot_be_read_has_its_reason_once() -> None:
    board = telemetry(
        cpu_percent=None,
        memory_available_bytes=None,
        temperatures_c={},
        clocks_mhz={},
        power_mode=None,
        unmet={"temperatures_c": NO_SENSOR, "clocks_mhz": "no cpufreq", "power_mode": "no cpufreq"},
    )
    text = shown(agent(board=board))
    assert "Board: CPU n/a, memory n/a of 24.0 GiB free" in text
    assert f"Not read: temperatures ({NO_SENSOR})" in text
    assert "Not read: clocks, power mode (no cpufreq)" in text


def test_no_models() -> None:
    assert "No models." in shown(agent())


def test_a_model_that_nobody_has_asked_yet() -> None:
    nothing = LatencyStats(count=0, mean_ms=None, p50_ms=None, p90_ms=None, p99_ms=None, max_ms=None)
    fresh = model(requests=0, latency=nothing, worker_rss_bytes=None)
    assert "p50 ms" not in shown(agent(fresh))
    both = shown(agent(fresh, model("bottles")))
    assert both.count("n/a") == 1 + 5


def test_why_a_model_does_not_run_is_a_note() -> None:
    text = shown(agent(model(state=ModelState.FAILED, reason="5 crashes in 60 s, the last: SIGSEGV")))
    assert "failed (1)" in text
    assert "(1) 5 crashes in 60 s, the last: SIGSEGV" in text


@WIDTHS
def test_a_long_name_is_folded_and_no_figure_cut(width: int) -> None:
    text = shown(agent(model("x" * 64)), width)
    assert text.count("x") == 2 * 64 + text.count("Max")


def test_in_ascii() -> None:
    assert "51 ?C" in shown(agent(model()), encoding="ascii")
