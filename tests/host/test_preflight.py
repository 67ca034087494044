"""What is found before a bench: told, kept with the rows, or, with --strict, the end of it."""

from typing import Any

import bundles
import live
import pytest
from told import Told

from contract.results import BenchRow, Flag
from contract.tuning import Preflight, PreflightFinding
from host.benching import Request, bench
from host.client import AgentClient
from host.errors import BoardError, NotFitError
from host.preflight import OF_SETTINGS, OLDER, look, unfit, with_findings
from host.store import Store

CLOCKS = PreflightFinding(
    flag="clocks_not_fixed",
    now="CPU: follows the load",
    better="CPU stands still",
    commands=("sudo jetson_clocks --store F", "sudo jetson_clocks"),
    applied=True,
)
BATTERY = PreflightFinding(flag="on_battery", now="a battery feeds the board", better="its charger plugged in")
LOAD = PreflightFinding(flag="other_load", now="others use 0.80 cores: chrome 0.50", better="end them")
FOUND = Preflight(findings=(CLOCKS, LOAD), unmet={"flags.power_mode": "no cpufreq"})


@pytest.fixture(autouse=True)
def deployed(agent: live.Agent) -> None:
    if "echo" not in agent.service.dataplane.models:
        agent.activate(bundles.null(), "echo")


@pytest.fixture
def finding(client: AgentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board on which FOUND is found."""
    monkeypatch.setattr(client, "preflight", lambda: FOUND)


@pytest.fixture
def older(client: AgentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that does not know the question."""

    def unknown() -> Preflight:
        raise BoardError("there is no path /v1/preflight", "-", "not_found")

    monkeypatch.setattr(client, "preflight", unknown)


def asked(**changes: Any) -> Request:
    return Request(**{"model": "echo", "runs": 5, "interrupt": True, "cool_down_s": 0, **changes})


def test_the_agent_of_this_machine_can_be_asked(client: AgentClient) -> None:
    told = client.preflight()
    assert {finding.flag for finding in told.findings} | {key.removeprefix("flags.") for key in told.unmet} <= {
        *OF_SETTINGS,
        "throttled",
        "other_load",
    }
    assert "too short" in told.unmet["flags.other_load"]  # tests do not wait a second for it


@pytest.mark.usefixtures("finding")
def test_findings_are_told_with_their_remedies(client: AgentClient) -> None:
    told = Told()
    commands = "(on the board: sudo jetson_clocks --store F; sudo jetson_clocks, or: host tune --apply)"
    assert look(client, told, strict=False) == FOUND
    assert told.notes == [
        f"board: clocks not fixed: CPU: follows the load. Better: CPU stands still {commands}",
        "board: other load: others use 0.80 cores: chrome 0.50. Better: end them",
    ]


@pytest.mark.usefixtures("finding")
def test_strict_measures_nothing_then(client: AgentClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "bench", lambda _request: pytest.fail("the board was disturbed"))
    with pytest.raises(NotFitError) as raised:
        bench(client, store, asked(strict=True), Told())
    error = raised.value
    assert (error.code, error.exit_code) == ("not_fit_for_bench", 5)
    assert error.message == (
        "'board' is not fit for a bench: clocks not fixed: CPU: follows the load; "
        "other load: others use 0.80 cores: chrome 0.50"
    )
    assert "CPU stands still (on the board: sudo jetson_clocks --store F" in error.hint
    assert error.hint.endswith("; end them")
    assert store.rows() == []


def test_strict_on_a_board_that_is_fit(client: AgentClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be judged is no finding."""
    monkeypatch.setattr(client, "preflight", lambda: Preflight(unmet=FOUND.unmet))
    assert len(bench(client, store, asked(strict=True), Told())) == 1


@pytest.mark.usefixtures("older")
def test_an_agent_from_before_is_no_trouble_but_for_strict(client: AgentClient, store: Store) -> None:
    told = Told()
    found = look(client, told, strict=False)
    assert (found.findings, told.notes) == ((), [])
    assert found.unmet == {f"flags.{flag}": OLDER for flag in OF_SETTINGS}
    with pytest.raises(BoardError, match="older than this host") as raised:
        bench(client, store, asked(strict=True), Told())
    assert not isinstance(raised.value, NotFitError)
    assert "leave out --strict" in raised.value.hint
    assert store.rows() == []


def test_other_troubles_are_not_taken_for_that(client: AgentClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> Preflight:
        raise BoardError("no", "-", "unauthorized")

    monkeypatch.setattr(client, "preflight", refused)
    with pytest.raises(BoardError, match="no"):
        look(client, Told(), strict=False)


@pytest.mark.usefixtures("finding")
def test_of_many_benches_one_looks(client: AgentClient, store: Store) -> None:
    told = Told()
    bench(client, store, asked(looks=False), told)
    assert told.notes == []


@pytest.mark.usefixtures("finding")
def test_through_http_what_was_found_is_in_the_row(client: AgentClient, store: Store) -> None:
    [row] = bench(client, store, asked(through="http"), Told())
    assert {"other_load", "clocks_not_fixed"} <= set(row.flags)
    unjudged = {key: why for key, why in row.unmet.items() if key.startswith("flags.")}
    assert unjudged["flags.power_mode"] == "no cpufreq"
    assert unjudged["flags.throttled"] == "watched without --through http"  # it may come up during the bench
    assert not unjudged.keys() & {"flags.on_battery", "flags.swap_in_use", "flags.clocks_not_fixed", "flags.other_load"}
    assert store.rows() == [row]


@pytest.mark.parametrize(
    ("flags", "unmet", "found", "raised", "open_flags"),
    [
        ((), ("other_load",), (LOAD,), ("other_load",), ()),  # too short a bench to tell
        ((), (), (LOAD,), (), ()),  # it was watched meanwhile, and was gone
        (("swapped",), ("on_battery",), (BATTERY,), ("swapped", "on_battery"), ()),
        ((), ("throttled", "other_load"), (), (), ("throttled", "other_load")),
        (("throttled",), (), (), ("throttled",), ()),
    ],
)
def test_the_measurement_s_own_verdict_goes_first(
    make_row: Any,
    flags: tuple[Flag, ...],
    unmet: tuple[Flag, ...],
    found: tuple[PreflightFinding, ...],
    raised: tuple[Flag, ...],
    open_flags: tuple[Flag, ...],
) -> None:
    row: BenchRow = make_row(flags=flags, unmet={**{f"flags.{flag}": "-" for flag in unmet}, "auc": "none"})
    told = with_findings(row, Preflight(findings=found))
    assert told.flags == raised
    assert told.unmet == {**{f"flags.{flag}": "-" for flag in open_flags}, "auc": "none"}


def test_flags_that_came_up_during_it_are_told_by_strict(make_row: Any) -> None:
    assert unfit([make_row(1, flags=()), make_row(2, flags=())]) is None
    error = unfit(
        [make_row(1, flags=("swapped", "throttled")), make_row(2, flags=()), make_row(3, flags=("throttled",))]
    )
    assert error is not None
    assert (error.code, error.exit_code) == ("not_fit_for_bench", 5)
    assert error.message == "2 of 3 trials may not show what the board can do: throttled, swapped"
    assert "b0000001, d0000001" in error.hint
