"""Flags in words."""

import io
from typing import Any, get_args

from rich.console import Console

from contract.results import COOL_DOWN, Flag
from host.report.flags import REMEDIES, remedies, warm
from host.report.tables import bench_table


def shown(rows: list[Any]) -> str:
    buffer = io.StringIO()
    Console(file=buffer, width=80).print(bench_table(rows))
    return " ".join(buffer.getvalue().split())


def test_every_flag_has_a_remedy() -> None:
    assert set(REMEDIES) == set(get_args(Flag))


def test_each_flag_s_remedy_is_told_once_below_the_table(make_row: Any) -> None:
    rows = [make_row(1, flags=("on_battery", "unstable")), make_row(2, flags=("on_battery",)), make_row(3, flags=())]
    assert [line.partition(":")[0] for line in remedies(rows)] == ["on battery", "unstable"]
    assert shown(rows).count("on battery: plug the charger in") == 1
    assert shown(rows[:1]).count("on battery: plug the charger in") == 1
    assert "plug the charger in" not in shown(rows[2:])


def test_trials_on_a_warm_board_are_told_by_their_reason(make_row: Any) -> None:
    rows = [make_row(1), *(make_row(trial, unmet={COOL_DOWN: "no thermal zone"}) for trial in (2, 3))]
    assert warm(rows) == ["Cool-down before trial 2, 3: no thermal zone"]
    assert "Cool-down before trial 2, 3: no thermal zone" in shown(rows)
    assert warm(rows[:1]) == []
