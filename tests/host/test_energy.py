"""Energy is power over time."""

from typing import Any

import pytest

from contract.api import Measurement
from contract.results import BenchRow, Energy, Latency, Memory, Power
from host.energy import ENERGY_KEYS, POWER_KEYS, energy, energy_columns
from host.preflight import OF_SETTINGS, OLDER
from host.report.values import figure, why_missing
from host.store import Store
from host.through_worker import Taken, _samples


def measured(row: BenchRow, power: Power | None) -> Measurement:
    """As an agent tells it of such a row."""
    assert row.environment is not None
    return Measurement(
        model="m",
        bundle="a" * 64,
        convert_ns_mean=None,
        accelerator_ns_mean=None,
        memory=Memory.model_validate(dict.fromkeys(Memory.model_fields)),
        environment=row.environment,
        flags=(),
        stopped_models=(),
        unmet={},
        power_mw=power,
    )


def test_seven_watts_for_ten_milliseconds_are_seventy_millijoules() -> None:
    assert energy(Power(idle=5000, run=7000), 10.0) == Energy(per_run=70.0, above_idle=20.0)


@pytest.mark.parametrize(
    ("power", "unmet", "reasons"),
    [
        (
            Power(idle=None, run=None),
            {"power_mw.idle": "no rail", "power_mw.run": "no rail"},
            {"energy_mj.per_run": "no rail", "energy_mj.above_idle": "no rail"},
        ),
        (
            Power(idle=5000, run=None),
            {"power_mw.run": "too short"},
            {"energy_mj.per_run": "too short", "energy_mj.above_idle": "too short"},
        ),
        (Power(idle=None, run=7000), {"power_mw.idle": "dark"}, {"energy_mj.above_idle": "dark"}),
        (Power(idle=5000, run=7000), {}, {}),
    ],
)
def test_each_null_has_its_reason_and_is_the_same_once_stored(
    make_row: Any, store: Store, power: Power, unmet: dict[str, str], reasons: dict[str, str]
) -> None:
    told = energy_columns(power, 10.0, unmet)
    assert told["unmet"] == unmet | reasons
    row: BenchRow = make_row(**told)
    store.add(row)
    assert store.rows() == [row]
    figures = row.figures()
    nulls = {key for key in (*POWER_KEYS, *ENERGY_KEYS) if figures[key] is None}
    assert nulls == unmet.keys() | reasons.keys()
    assert {why_missing(row, key) for key in nulls} == {*unmet.values(), *reasons.values()}


def test_in_words() -> None:
    assert figure("energy_mj.per_run", 70.0) == "70.00 mJ"
    assert figure("power_mw.run", 7000.0) == "7,000 mW"


def test_an_agent_from_before_tells_neither_power_nor_how_its_board_was_set(make_row: Any) -> None:
    row: BenchRow = make_row(flags=(), unmet={"flags.throttled": "not counted"})
    measurement = measured(row, None)
    told = Taken(_samples(bytes(16)), measurement).with_energy(row)
    assert told.unmet == {
        "flags.throttled": "not counted",
        **dict.fromkeys((*POWER_KEYS, *ENERGY_KEYS, *(f"flags.{flag}" for flag in OF_SETTINGS)), OLDER),
    }


def test_samples_are_read_as_the_agent_writes_them() -> None:
    content = b"".join(value.to_bytes(8, "little", signed=True) for value in (1, -2, 2**40))
    assert _samples(content).tolist() == [1, -2, 2**40]


def test_the_mean_is_that_of_the_row(make_row: Any) -> None:
    row: BenchRow = make_row(latency_ms=Latency(mean=2.0, median=9, p90=9, p95=9, p99=9, min=9, max=9, std=9), unmet={})
    measurement = measured(row, Power(idle=3000, run=5000))
    told = Taken(_samples(bytes(16)), measurement).with_energy(row)
    assert (told.energy_mj, told.power_mw) == (Energy(per_run=10.0, above_idle=4.0), measurement.power_mw)
