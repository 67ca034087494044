"""One trial's figures, and the reason of each that is null."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import bundles
import pytest

from agent.engines import Engine
from agent.loading import Deployment, Loaded
from agent.power import Drawn
from agent.telemetry import BoardDescription, MemoryFall, Observation, OtherLoad
from agent.trial import Trial, measurement, memory
from contract.api import Build
from contract.results import Conditions, Power
from contract.tensors import Artifact, ArtifactTensor
from contract.tuning import Preflight, PreflightFinding

BOARD = BoardDescription("desktop", "x86_64", "Linux", "6.1", "a CPU", 2, None, {"memory_total_bytes": "no meminfo"})
QUIET = Observation(
    Conditions(power_mode=None, temperatures_c={}, clocks_mhz={}, swap_used_bytes=0),
    clocks_held=None,
    throttle_events=0,
    unmet={"power_mode": "no governor", "clocks_held": "no clocks"},
)

UNREAD = Drawn(Power(idle=None, run=None), {"power_mw.idle": "no rail", "power_mw.run": "no rail"})
FIT = Preflight()


@pytest.fixture
def plain(tmp_path: Path) -> Deployment:
    return bundles.deployment(tmp_path, bundles.inspector())


def built(deployment: Deployment, peak_bytes: int | None, **unmet: str) -> Deployment:
    """The same as an engine of this board."""
    build = Build(
        key="0" * 32,
        reason=None,
        build_s=5.0,
        engine_bytes=9,
        build_peak_bytes=peak_bytes,
        runtime_version="1.2",
        architecture="sm_87",
        unmet=unmet,
    )
    return replace(deployment, engine=Engine(deployment.folder / "model.engine", build))


def loaded(baseline: int | None = 10, load_peak: int | None = 30, available: int | None = None, **unmet: str) -> Loaded:
    return Loaded("1.2", "3.6.9", baseline, available, load_peak, 0.5, {"host_buffers": "pinned"}, unmet)


def reply(
    run_peak: int | None = 20,
    accelerator_ns: float | None = None,
    accelerator: int | None = None,
    convert_ns: float | None = None,
    **unmet: str,
) -> dict[str, Any]:
    return {
        "run_peak_bytes": run_peak,
        "accelerator_ns": accelerator_ns,
        "convert_ns": convert_ns,
        "accelerator_bytes": accelerator,
        "unmet": unmet,
    }


def trial(
    loaded: Loaded,
    reply: Mapping[str, Any],
    decisions_ns: tuple[int, ...] = (),
    fall: MemoryFall | None = None,
    drawn: Drawn = UNREAD,
    after: Observation = QUIET,
) -> Trial:
    if fall is None:
        with MemoryFall() as fall:
            pass
    return Trial(loaded, dict(reply), fall, OtherLoad(0.0), after, decisions_ns, drawn)


def falling(folder: Path, *available_kb: int) -> MemoryFall:
    """Of a board that has so much left, one sample after the other."""
    (folder / "proc").mkdir(exist_ok=True)
    meminfo = folder / "proc" / "meminfo"
    fall = MemoryFall(root=folder, interval_s=3600)
    for number, kb in enumerate(available_kb):
        meminfo.write_text(f"MemTotal: 4096 kB\nMemAvailable: {kb} kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n")
        fall.start() if number == 0 else fall.stop()
    return fall


@pytest.mark.parametrize(
    ("load_peak", "run_peak", "peak"), [(30, 20, 30), (20, 30, 30), (None, 20, 20), (30, None, 30), (None, None, None)]
)
def test_the_headline_is_the_highest_peak_of_the_process(
    plain: Deployment, load_peak: int | None, run_peak: int | None, peak: int | None
) -> None:
    peaks = memory(plain, trial(loaded(10, load_peak), reply(run_peak)), "process")
    assert peaks.peak_memory_bytes == peak
    assert peaks.model_peak_bytes == (None if peak is None else peak - 10)
    assert peaks.baseline_bytes == 10


def test_what_is_on_an_accelerator_is_held_beside_it(plain: Deployment) -> None:
    peaks = memory(plain, trial(loaded(10, 30), reply(20, accelerator=500)), "process")
    assert (peaks.peak_memory_bytes, peaks.model_peak_bytes, peaks.accelerator_peak_bytes) == (530, 520, 500)
    peaks = memory(plain, trial(loaded(10, None), reply(None, accelerator=500)), "process")
    assert (peaks.peak_memory_bytes, peaks.accelerator_peak_bytes) == (None, 500)


def test_without_a_baseline_there_is_a_peak_and_no_models_part(plain: Deployment) -> None:
    peaks = memory(plain, trial(loaded(baseline=None), reply()), "process")
    assert (peaks.peak_memory_bytes, peaks.model_peak_bytes) == (30, None)


def test_or_the_fall_of_the_whole_board_and_the_baseline_is_the_fall_by_then(plain: Deployment, tmp_path: Path) -> None:
    taken = trial(loaded(available=3000 << 10), reply(accelerator=500), fall=falling(tmp_path, 3100, 2000))
    peaks = memory(plain, taken, "system")
    assert peaks.peak_memory_bytes == peaks.system_delta_peak_bytes == 1100 << 10
    assert peaks.baseline_bytes == 100 << 10
    assert peaks.model_peak_bytes == 1000 << 10
    assert peaks.accelerator_peak_bytes == 500


def test_a_board_that_had_more_left_when_the_runtime_was_there_has_no_baseline_below_nothing(
    plain: Deployment, tmp_path: Path
) -> None:
    """Somebody else gave memory back meanwhile."""
    taken = trial(loaded(available=3200 << 10), reply(), fall=falling(tmp_path, 3100, 3000))
    peaks = memory(plain, taken, "system")
    assert (peaks.baseline_bytes, peaks.model_peak_bytes) == (0, 100 << 10)
    taken = trial(loaded(available=2000 << 10), reply(), fall=falling(tmp_path, 3100, 3000))
    assert memory(plain, taken, "system").model_peak_bytes == 0


def test_a_board_whose_memory_could_not_be_read_then_has_no_baseline_and_the_reason(
    plain: Deployment, tmp_path: Path
) -> None:
    taken = trial(loaded(available_bytes="no MemAvailable"), reply(), fall=falling(tmp_path, 3100, 3000))
    told = measurement(plain, taken, BOARD, "system", QUIET, [], FIT)
    assert (told.memory.peak_memory_bytes, told.memory.baseline_bytes) == (100 << 10, None)
    assert told.unmet["baseline_bytes"] == "no MemAvailable"
    assert "model_peak_bytes" in told.unmet


def test_what_a_build_took_is_known_or_has_its_reason(plain: Deployment) -> None:
    taken = trial(loaded(), reply())
    told = measurement(built(plain, 77), taken, BOARD, "process", QUIET, [], FIT)
    assert told.memory.build_peak_bytes == 77
    assert "build_peak_bytes" not in told.unmet
    unread = built(plain, None, build_peak_bytes="no VmHWM")
    told = measurement(unread, taken, BOARD, "process", QUIET, [], FIT)
    assert told.memory.build_peak_bytes is None
    assert told.unmet["build_peak_bytes"] == "no VmHWM"
    told = measurement(plain, taken, BOARD, "process", QUIET, [], FIT)
    assert told.unmet["build_peak_bytes"] == "nothing was built on the board"


def test_every_null_has_its_own_reason(plain: Deployment, tmp_path: Path) -> None:
    unread = MemoryFall(root=tmp_path)
    unread.start()
    unread.stop()
    worst = trial(
        loaded(None, None, baseline_bytes="no VmRSS", load_peak_bytes="no VmHWM"),
        reply(None, run_peak_bytes="cannot be reset"),
        fall=unread,
    )
    told = measurement(plain, worst, BOARD, "process", QUIET, ["n"], FIT)
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


def test_a_figure_that_is_there_has_no_reason(plain: Deployment) -> None:
    told = measurement(plain, trial(loaded(), reply(accelerator_ns=5.0), (7, 8)), BOARD, "process", QUIET, [], FIT)
    assert told.accelerator_ns_mean == 5.0
    assert told.decision_ns == (7, 8)
    assert not {"accelerator_ms.mean", "decision_ms.mean", "baseline_bytes", "peak_memory_bytes"} & told.unmet.keys()
    assert told.environment.python == "3.6.9"
    assert told.environment.runtime_version == "1.2"
    assert told.environment.runtime_details == {"host_buffers": "pinned"}
    assert told.flags == ()


def test_what_is_converted_has_its_mean_or_the_reason(plain: Deployment) -> None:
    def told(deployment: Deployment, convert_ns: float | None) -> tuple[float | None, str | None]:
        made = measurement(deployment, trial(loaded(), reply(convert_ns=convert_ns)), BOARD, "process", QUIET, [], FIT)
        return made.convert_ns_mean, made.unmet.get("convert_ms.mean")

    signature = plain.manifest.signature
    tensors = [
        ArtifactTensor(name=spec.name, dtype=spec.dtype, shape=spec.shape)
        for spec in (*signature.inputs, *signature.outputs)
    ]
    artifact = Artifact(inputs=(tensors[0],), outputs=(tensors[1],))
    converted = replace(plain, manifest=plain.manifest.model_copy(update={"artifact": artifact}))
    assert told(converted, 1500.0) == (1500.0, None)
    assert told(converted, None) == (None, "there was but one run")
    assert told(plain, None)[1] == "nothing to convert: the artifact takes and gives the types of the signature"


def test_how_the_board_was_set_is_in_the_flags_in_their_order(plain: Deployment) -> None:
    finding = PreflightFinding(flag="power_mode", now="7W", better="15W")
    found = Preflight(findings=(finding,), unmet={"flags.on_battery": "no supplies"})
    swapped = replace(QUIET, conditions=QUIET.conditions.model_copy(update={"swap_used_bytes": 1 << 30}))
    told = measurement(plain, trial(loaded(), reply(), after=swapped), BOARD, "process", QUIET, [], found)
    assert told.flags == ("swapped", "power_mode")
    assert told.unmet["flags.on_battery"] == "no supplies"


def test_what_the_board_drew_or_why_that_is_not_known(plain: Deployment) -> None:
    told = measurement(plain, trial(loaded(), reply()), BOARD, "process", QUIET, [], FIT)
    assert told.power_mw == Power(idle=None, run=None)
    assert told.unmet["power_mw.run"] == "no rail"
    drawn = Drawn(Power(idle=1500.0, run=None), {"power_mw.run": "too short"})
    told = measurement(plain, trial(loaded(), reply(), drawn=drawn), BOARD, "process", QUIET, [], FIT)
    assert told.power_mw == drawn.power
    assert told.unmet["power_mw.run"] == "too short"
    assert "power_mw.idle" not in told.unmet
