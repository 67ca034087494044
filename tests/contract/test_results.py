"""The keys of a row: each names a figure, and none is forgotten."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from agent import errors
from agent.worker import errors as worker_errors
from contract.results import DESCRIPTION_KEYS, DOES_NOT_RUN, FIGURE_KEYS, BenchRow, Environment, Latency, Mean, Memory

ROW = BenchRow(
    id="k7m",
    session="s",
    trial=1,
    measured_at=datetime(2025, 11, 24, tzinfo=UTC),
    board="desktop",
    model="m",
    bundle="b" * 64,
    source_name="m.onnx",
    precision="fp32",
    through="worker",
    requested_runs=1000,
    inputs="golden",
)
MEASURED = ROW.model_copy(
    update={
        "counted_runs": 999,
        "first_run_ms": 12.5,
        "latency_ms": Latency(mean=10, median=9, p90=11, p95=12, p99=None, min=8, max=13, std=0.5),
        "convert_ms": Mean(mean=0.25),
        "memory": Memory(
            peak_memory_bytes=100,
            model_peak_bytes=60,
            baseline_bytes=40,
            load_peak_bytes=90,
            run_peak_bytes=100,
            accelerator_peak_bytes=None,
            system_delta_peak_bytes=120,
        ),
        "weights": 5,
        "auc": 0.99,
    }
)


def test_figures_of_a_measured_row() -> None:
    figures = MEASURED.figures()
    assert tuple(figures) == FIGURE_KEYS
    assert figures["latency_ms.mean"] == 10
    assert figures["latency_ms.p99"] is None
    assert figures["convert_ms.mean"] == 0.25
    assert figures["accelerator_ms.mean"] is None
    assert figures["peak_memory_bytes"] == 100
    assert figures["system_delta_peak_bytes"] == 120
    assert (figures["weights"], figures["auc"], figures["counted_runs"]) == (5, 0.99, 999)


def test_a_model_that_does_not_run_has_no_figure_and_no_error() -> None:
    assert set(ROW.figures().values()) == {None}


def test_every_field_is_a_figure_a_description_or_a_part() -> None:
    means = {"steady_ms", "accelerator_ms", "convert_ms", "decision_ms"}
    parts = {"latency_ms", "latency_interval_ms", "energy_mj", "power_mw", "load", "memory"} | means
    beside = {"environment", "flags", "stopped_models", "unmet"}
    plain = {key for key in FIGURE_KEYS if "." not in key} - set(Memory.model_fields)
    assert set(BenchRow.model_fields) == parts | beside | plain | set(DESCRIPTION_KEYS)


def test_a_row_is_itself_after_a_journey() -> None:
    assert BenchRow.model_validate_json(MEASURED.model_dump_json()) == MEASURED


def test_when_it_was_measured_has_a_time_zone() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        BenchRow.model_validate({**ROW.model_dump(), "measured_at": "2025-11-24T07:00:00"})


def test_the_codes_that_mean_does_not_run_are_codes_that_exist() -> None:
    known = {kind.code for kind in (*_below(errors.AgentError), *_below(worker_errors.WorkerError))}
    assert DOES_NOT_RUN - known == {"non_finite", "worker_bug"}  # of inspection/errors.py and of worker/loop.py


@pytest.mark.parametrize("code", ["model_refused", "build_failed", "out_of_memory", "engine_mismatch", "load_failed"])
def test_what_a_board_cannot_build_or_load_is_a_result(code: str) -> None:
    assert code in DOES_NOT_RUN


@pytest.mark.parametrize("code", ["build_needs_board", "accelerator_failed", "unsupported", "disk_failed"])
def test_what_another_attempt_may_do_is_none(code: str) -> None:
    assert code not in DOES_NOT_RUN


def test_an_environment_from_before_has_no_details() -> None:
    conditions = {"power_mode": None, "temperatures_c": {}, "clocks_mhz": {}, "swap_used_bytes": None}
    said = dict.fromkeys(("profile", "machine", "os_image", "kernel", "cpu", "python", "runtime"), "x")
    said |= {"runtime_version": "1", "runtime_options": {}, "agent_version": "0.1.0", "before": conditions}
    environment = Environment.model_validate({**said, "cpu_count": 4, "memory_total_bytes": None, "after": None})
    assert environment.runtime_details == {}
    assert (environment.before.power_mw, environment.before.throttle_events) == ({}, None)


def _below(root: type) -> set[type]:
    return {root}.union(*(_below(kind) for kind in root.__subclasses__()))
