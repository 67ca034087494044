"""Waiting for a board to cool, on a clock of the test's own."""

import math
from collections.abc import Callable
from typing import Any, cast

import bundles
import live
import pytest
from hypothesis import given
from hypothesis import strategies as st
from told import Told

from contract.api import Telemetry
from contract.results import COOL_DOWN
from host import benching
from host.benching import Request, bench
from host.client import AgentClient
from host.cool_down import MOST_S, SETTLED_S, TOLERANCE_C, cool_down
from host.store import Store


class Board:
    """As hot as `celsius` says after so many seconds, by sensor; `answer_s` is how long it takes to tell."""

    board = "board"

    def __init__(self, celsius: Callable[[float], dict[str, float]], answer_s: float = 0.0) -> None:
        self.now_s = 0.0
        self._answer_s = answer_s
        self._celsius = celsius

    def telemetry(self) -> Telemetry:
        nothing: dict[str, Any] = {
            name: None for name, each in Telemetry.model_fields.items() if each.is_required() and name != "unmet"
        }
        self.now_s += self._answer_s
        celsius = self._celsius(self.now_s)
        unmet = {} if celsius else {"temperatures_c": "the kernel shows no thermal zone"}
        return Telemetry.model_validate({**nothing, "temperatures_c": celsius, "clocks_mhz": {}, "unmet": unmet})

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds

    def wait(self, rested_c: dict[str, float], most_s: float = MOST_S, told: Told | None = None) -> str | None:
        client = cast("AgentClient", self)
        return cool_down(client, rested_c, most_s, told or Told(), clock=lambda: self.now_s, sleep=self.sleep)


def cooling(by_c: float, half_s: float = 10.0, rest_c: float = 40.0) -> Board:
    """From so much above rest, by half of what is left in `half_s`."""
    return Board(lambda at_s: {"cpu": rest_c + by_c * math.exp(-math.log(2) * at_s / half_s)})


def test_a_board_that_is_cool_is_not_waited_for() -> None:
    told, board = Told(), Board(lambda _: {"cpu": 40.0 + TOLERANCE_C}, answer_s=0.01)
    assert board.wait({"cpu": 40.0}, told=told) is None
    assert (board.now_s, told.notes, told.stages) == (0.01, [], [])


def test_it_is_waited_for_until_it_is_within_the_tolerance_and_that_is_told() -> None:
    told, board = Told(), cooling(4 * TOLERANCE_C)
    assert board.wait({"cpu": 40.0}, told=told) is None
    assert board.now_s == pytest.approx(20, abs=1)
    assert told.notes == [f"board: cooled down in {board.now_s:.0f} s"]
    assert set(told.stages) == {"board: cooling down, at most 60 s"}
    assert told.done[0] == (0, 60)
    assert told.details[0] == "cpu is 12.0 C above what it was before the first trial"


def test_every_sensor_that_was_read_both_times_counts_and_no_other() -> None:
    board = Board(lambda at_s: {"cpu": 40.0, "gpu": 60.0 - at_s, "new": 99.0})
    assert board.wait({"cpu": 40.0, "gpu": 40.0, "gone": 20.0}) is None
    assert board.now_s == 20 - TOLERANCE_C


def test_it_is_waited_for_no_longer_than_is_said() -> None:
    told, board = Told(), cooling(40, half_s=30)
    warm = board.wait({"cpu": 40.0}, most_s=7.5, told=told)
    assert board.now_s == 7.5
    assert warm == "after 8 s of cooling down cpu is 33.6 C above what it was before the first trial"
    assert told.notes == [f"board: {warm}"]


def test_what_becomes_no_cooler_is_not_waited_for() -> None:
    """A room that is warmer than it was."""
    told, board = Told(), Board(lambda _: {"cpu": 50.0})
    warm = board.wait({"cpu": 40.0}, most_s=600, told=told)
    assert board.now_s == SETTLED_S
    assert warm is not None
    assert "10.0 C above" in warm


@pytest.mark.parametrize("rested_c", [{"cpu": 40.0}, {}])
def test_where_no_temperature_can_be_read_nothing_is_waited_for(rested_c: dict[str, float]) -> None:
    told, board = Told(), Board(lambda _: {})
    assert board.wait(rested_c, told=told) == "nothing was waited for: the kernel shows no thermal zone"
    assert (board.now_s, told.notes) == (0, [])


def test_where_other_sensors_are_read_now_nothing_is_waited_for() -> None:
    board = Board(lambda _: {"cpu-thermal": 50.0})
    assert board.wait({"cpu": 40.0}) == "nothing was waited for: no sensor could be read both times"


@given(st.lists(st.floats(20, 110), min_size=1, max_size=100), st.floats(0.5, 90))
def test_whatever_it_does_it_ends_in_time_and_says_why(celsius: list[float], most_s: float) -> None:
    board = Board(lambda at_s: {"cpu": celsius[min(int(at_s), len(celsius) - 1)]})
    warm = board.wait({"cpu": 30.0}, most_s=most_s)
    assert board.now_s <= most_s + 1e-6
    assert (warm is None) == (board.telemetry().temperatures_c["cpu"] - 30.0 <= TOLERANCE_C)


class TestInABench:
    """Between trials, and before the first where there were benches before it."""

    @pytest.fixture(autouse=True)
    def deployed(self, agent: live.Agent) -> None:
        if "echo" not in agent.service.dataplane.models:
            agent.activate(bundles.null(), "echo")

    @pytest.fixture
    def waits(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, float], float]]:
        """What was waited for, and how long at most; it does not help."""
        seen: list[tuple[dict[str, float], float]] = []

        def warm(_client: AgentClient, rested_c: dict[str, float], most_s: float, _progress: Told) -> str:
            seen.append((rested_c, most_s))
            return f"warm {len(seen)}"

        monkeypatch.setattr(benching, "cool_down", warm)
        return seen

    def asked(self, **changes: Any) -> Request:
        return Request(**{"model": "echo", "runs": 5, "interrupt": True, "looks": False, **changes})

    def test_before_each_further_trial_to_what_it_was_before_the_first(
        self, client: AgentClient, store: Store, waits: list[Any]
    ) -> None:
        rows = bench(client, store, self.asked(trials=3), Told())
        assert rows[0].environment is not None
        assert waits == [(rows[0].environment.before.temperatures_c, MOST_S)] * 2
        assert [row.unmet.get(COOL_DOWN) for row in rows] == [None, "warm 1", "warm 2"]
        assert store.rows() == rows[::-1]

    @pytest.mark.parametrize("changes", [{}, {"trials": 2, "cool_down_s": 0}])
    def test_not_of_one_trial_nor_with_0(
        self, client: AgentClient, store: Store, waits: list[Any], changes: dict[str, Any]
    ) -> None:
        rows = bench(client, store, self.asked(**changes), Told())
        assert waits == []
        assert not [row for row in rows if COOL_DOWN in row.unmet]

    def test_after_benches_before_it_to_what_it_was_before_those(
        self, client: AgentClient, store: Store, waits: list[Any]
    ) -> None:
        bench(client, store, self.asked(rested_c={"cpu": 31.0}, trials=2, cool_down_s=5), Told())
        assert waits == [({"cpu": 31.0}, 5)] * 2

    @pytest.mark.parametrize("rested_c", [-200.0, 200.0])
    def test_this_machine(self, client: AgentClient, store: Store, rested_c: float) -> None:
        """Far too warm within no time, cool at once, or without a sensor, of which the reason is told."""
        celsius = client.telemetry().temperatures_c
        rested = dict.fromkeys(celsius, rested_c)
        (row,) = bench(client, store, self.asked(rested_c=rested, cool_down_s=0.01), Told())
        reason = row.unmet.get(COOL_DOWN, "cool")
        if not celsius:
            assert reason.startswith("nothing was waited for: ")
        elif rested_c > 0:
            assert reason == "cool"
        else:
            assert reason.endswith(" C above what it was before the first trial")
