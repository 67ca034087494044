"""One trial's figures, and the reason of each that is null."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bundles
import pytest

from agent.loading import Loaded
from agent.telemetry import BoardDescription, MemoryFall, Observation, OtherLoad
from agent.trial import Trial, measurement, memory
from contract.results import Conditions

BOARD = BoardDescription("desktop", "x86_64", "Linux", "6.1", "a CPU", 2, None, {"memory_total_bytes": "no meminfo"})
QUIET = Observation(
    Conditions(power_mode=None, temperatures_c={}, clocks_mhz={}, swap_used_bytes=0),
    clocks_held=None,
    throttle_events=0,
    unmet={"power_mode": "no governor", "clocks_held": "no clocks"},
)


def loaded(baseline: int | None = 10, load_peak: int | None = 30, **unmet: str) -> Loaded:
    return Loaded("1.2", "3.6.9", baseline, load_peak, 0.5, unmet)


def reply(run_peak: int | None = 20, accelerator_ns: float | None = None, **unmet: str) -> dict[str, Any]:
    return {"run_peak_bytes": run_peak, "accelerator_ns": accelerator_ns, "unmet": unmet}


def trial(
    loaded: Loaded, reply: Mapping[str, Any], decisions_ns: tuple[int, ...] = (), fall: MemoryFall | None = None
) -> Trial:
    if fall is None:
        with MemoryFall() as fall:
            pass
    return Trial(loaded, dict(reply), fall, OtherLoad(0.0), decisions_ns)


@pytest.mark.parametrize(
    ("load_peak", "run_peak", "peak"), [(30, 20, 30), (20, 30, 30), (None, 20, 20), (30, None, 30), (None, None, None)]
)
def test_the_headline_is_the_highest_peak_of_the_process(
    load_peak: int | None, run_peak: int | None, peak: int | None
) -> None:
    peaks = memory(trial(loaded(10, load_peak), reply(run_peak)), "process")
    assert peaks.peak_memory_bytes == peak
    assert peaks.model_peak_bytes == (None if peak is None else peak - 10)


def test_without_a_baseline_there_is_a_peak_and_no_models_part() -> None:
    peaks = memory(trial(loaded(baseline=None), reply()), "process")
    assert (peaks.peak_memory_bytes, peaks.model_peak_bytes) == (30, None)


def test_or_the_fall_of_the_whole_board() -> None:
    taken = trial(loaded(), reply())
    peaks = memory(taken, "system")
    assert peaks.peak_memory_bytes == peaks.system_delta_peak_bytes == taken.fall.greatest_fall_bytes
    assert taken.fall.greatest_fall_bytes is not None


def test_every_null_has_its_own_reason(tmp_path: Path) -> None:
    unread = MemoryFall(root=tmp_path)
    unread.start()
    unread.stop()
    worst = trial(
        loaded(None, None, baseline_bytes="no VmRSS", load_peak_bytes="no VmHWM"),
        reply(None, run_peak_bytes="cannot be reset"),
        fall=unread,
    )
    deployment = bundles.deployment(tmp_path, bundles.inspector())
    told = measurement(deployment, worst, BOARD, "process", QUIET, QUIET, ["n"])
    nulls = {name for name, figure in told.memory.model_dump().items() if figure is None}
    assert len(nulls) == 8
    assert nulls | {
        "accelerator_ms.mean",
        "convert_ms.mean",
        "decision_ms.mean",
        "memory_total_bytes",
        "power_mode",
    } <= (told.unmet.keys())
    assert told.unmet["baseline_bytes"] == "no VmRSS"
    assert told.unmet["load_peak_bytes"] == "no VmHWM"
    assert told.unmet["run_peak_bytes"] == "cannot be reset"
    assert "proc/meminfo" in told.unmet["system_delta_peak_bytes"]
    assert told.unmet["memory_total_bytes"] == "no meminfo"
    assert told.unmet["power_mode"] == "no governor"
    assert told.unmet["flags.clocks_moved"] == "no clocks"
    assert told.stopped_models == ("n",)


def test_a_figure_that_is_there_has_no_reason(tmp_path: Path) -> None:
    deployment = bundles.deployment(tmp_path, bundles.inspector())
    told = measurement(
        deployment, trial(loaded(), reply(accelerator_ns=5.0), (7, 8)), BOARD, "process", QUIET, QUIET, []
    )
    assert told.accelerator_ns_mean == 5.0
    assert told.decision_ns == (7, 8)
    assert not {"accelerator_ms.mean", "decision_ms.mean", "baseline_bytes", "peak_memory_bytes"} & told.unmet.keys()
    assert told.environment.python == "3.6.9"
    assert told.environment.runtime_version == "1.2"
    assert told.flags == ()
