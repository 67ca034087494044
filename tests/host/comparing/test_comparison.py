from collections.abc import Callable

import pytest

from contract.results import BenchRow, Environment, Latency, Load
from host.comparing.comparison import Comparison, compare
from host.comparing.runs import Run, find_runs, run_of
from host.errors import InputError, UnknownRowError
from host.store import Store

RowMaker = Callable[..., BenchRow]

IDS = iter(f"{first}{number:07d}" for first in "abcdefgh" for number in range(1000))


def latency(mean: float) -> Latency:
    return Latency(mean=mean, median=mean, p90=mean, p95=mean, p99=mean, min=mean, max=mean, std=0.1)


@pytest.fixture
def rows(make_row: RowMaker) -> Callable[..., list[BenchRow]]:
    """``rows("fast", 1.0, 1.1, session="s2")``: a trial for each mean latency in ms."""

    def make(model: str, *means: float, **changes: object) -> list[BenchRow]:
        plain = {"model": model, "bundle": f"{len(model):x}" * 64, "session": model, "flags": (), **changes}
        return [
            make_row(**{"id": next(IDS), "trial": trial, "latency_ms": latency(mean), **plain})
            for trial, mean in enumerate(means, 1)
        ]

    return make


def compared(a: list[BenchRow], b: list[BenchRow], **more: bool) -> Comparison:
    allowed = {"allow_different_environment": False, **more}
    return compare(Run(tuple(a)), Run(tuple(b)), **allowed)


def gain(of: Comparison, key: str = "latency_ms.mean") -> tuple[float, float | None, float | None]:
    found = next(each.gain for each in of.figures if each.key == key)
    assert found is not None
    return found.ratio, found.low, found.high


def test_trials_on_their_own_are_compared_by_welch(rows: Callable[..., list[BenchRow]]) -> None:
    made = compared(rows("slow", 8.0, 8.1, 7.9), rows("fast", 2.0, 2.1, 1.9))
    assert made.how == "trials"
    ratio, low, high = gain(made)
    assert low is not None
    assert high is not None
    assert low < ratio < high
    assert ratio == pytest.approx(4, rel=0.01)
    backwards = gain(compared(rows("fast", 2.0, 2.1, 1.9), rows("slow", 8.0, 8.1, 7.9)))
    assert backwards == pytest.approx((1 / ratio, 1 / high, 1 / low))


def test_pairs_of_one_session_are_compared_pair_by_pair(rows: Callable[..., list[BenchRow]]) -> None:
    """The board slows down meanwhile, which is all the same to the ratios of the pairs."""
    a, b = rows("slow", 8.0, 12.0, 16.0, session="s1"), rows("fast", 4.0, 6.04, 7.96, session="s1")
    made = compared(a, b)
    assert made.how == "pairs"
    ratio, low, high = gain(made)
    assert low is not None
    assert high is not None
    assert 1.95 < low < ratio < high < 2.05
    assert gain(compared(a, [row.model_copy(update={"session": "s2"}) for row in b]))[1:] != (low, high)


def test_a_pair_of_which_one_is_missing_is_none(rows: Callable[..., list[BenchRow]]) -> None:
    a, b = rows("slow", 8.0, 12.0, 16.0, session="s1"), rows("fast", 4.0, 6.0, 8.0, session="s1")
    made = compared([a[0], a[2]], b[:2])
    assert (made.how, gain(made)[0]) == ("trials", pytest.approx((8 * 16) ** 0.5 / (4 * 6) ** 0.5))
    assert gain(compared(a[1:], b))[0] == pytest.approx(2)


def test_rows_of_a_study_were_not_measured_in_turn(rows: Callable[..., list[BenchRow]]) -> None:
    of_study = {"study": "s", "session": "one"}
    a, b = (rows(model, 2.0, 3.0, **of_study) for model in ("slow", "fast"))
    assert compared(a, b).how == "trials"


def test_one_trial_claims_nothing_beyond_its_run(rows: Callable[..., list[BenchRow]]) -> None:
    made = compared(rows("slow", 8.0), rows("fast", 2.0, 2.1))
    assert made.how == "one trial"
    assert gain(made)[1:] == (None, None)


def test_what_is_missing_says_why(rows: Callable[..., list[BenchRow]]) -> None:
    unmet = {"energy_mj": "no power rail can be read"}
    made = compared(rows("slow", 8.0), rows("fast", 2.0, unmet=unmet))
    energy = next(each for each in made.figures if each.key == "energy_mj.per_run")
    assert (energy.gain, energy.of_a, energy.missing) == (None, None, "not measured")
    made = compared(rows("slow", 8.0, unmet=unmet), rows("fast", 2.0))
    assert next(each.missing for each in made.figures if each.key == "energy_mj.per_run") == unmet["energy_mj"]


def test_weights_and_multiply_adds_stand_beside_it(rows: Callable[..., list[BenchRow]]) -> None:
    made = compared(rows("slow", 8.0, weights=1000, macs=50), rows("fast", 2.0, weights=10, macs=None))
    assert (made.fewer_weights, made.fewer_macs) == (100, None)


def test_other_environments_and_ways_are_not_compared_unless_allowed(
    rows: Callable[..., list[BenchRow]], make_row: RowMaker
) -> None:
    environment = make_row().environment
    assert isinstance(environment, Environment)
    load = Load(offered_per_s=20, deadline_ms=50, missed=0, missed_share=0)
    others = {
        "os_image": {"environment": environment.model_copy(update={"os_image": "Debian 13"})},
        "runtime": {"environment": None},
        "board": {"board": "coral"},
        "through": {"through": "http"},
        "load.offered_per_s": {"load": load},
    }
    for field, changes in others.items():
        a, b = rows("slow", 8.0, 8.1), rows("fast", 2.0, 2.1, **changes)
        with pytest.raises(InputError, match=f"{field} is ") as raised:
            compared(a, b)
        assert raised.value.code == "different_environment"
        assert a[0].id in raised.value.message
        assert b[0].id in raised.value.message
        made = compared(a, b, allow_different_environment=True)
        assert field in [difference.field for difference in made.differences]


def test_invalid_trials_are_left_out(rows: Callable[..., list[BenchRow]]) -> None:
    cool, hot = rows("slow", 8.0, 8.1), rows("slow", 12.0, flags=("throttled",))
    run = run_of([*hot, *cool], allow_invalid=False)
    assert (run.rows, run.left_out) == (tuple(cool), tuple(hot))
    assert len(run_of([*hot, *cool], allow_invalid=True).rows) == 3
    with pytest.raises(InputError, match=f"no valid trial of slow on desktop: throttled in {hot[0].id}") as raised:
        run_of(hot, allow_invalid=False)
    assert raised.value.code == "invalid_run"


def keep(store: Store, *lists: list[BenchRow]) -> None:
    for rows in lists:
        for row in rows:
            store.add(row)


def test_the_trials_of_a_session_belong_to_a_run(store: Store, rows: Callable[..., list[BenchRow]]) -> None:
    slow, fast, later = rows("slow", 8.0, 8.1), rows("fast", 2.0, 2.1), rows("slow", 9.0, session="later")
    keep(store, slow, fast, later)
    a, b = find_runs(store, slow[1].id, fast[0].id, allow_invalid=False)
    assert [row.id for row in a.rows] == [row.id for row in slow]
    assert [row.id for row in b.rows] == [row.id for row in fast]
    again, _ = find_runs(store, later[0].id, slow[0].id, allow_invalid=False)
    assert [row.id for row in again.rows] == [later[0].id]


def test_the_trials_of_a_rate_of_a_study_belong_to_a_run(store: Store, rows: Callable[..., list[BenchRow]]) -> None:
    def of_study(mean: float, trial: int, rate: float, study: str = "s") -> list[BenchRow]:
        own = {"trial": trial, "session": f"{study}{rate}{trial}", "study": study, "requested_rate": rate}
        return rows(f"temporary-{rate}-{trial}", mean, **own)

    half = [of_study(4.0, trial, 0.5) for trial in (1, 2)]
    control = [of_study(8.0, trial, 0.0) for trial in (1, 2)]
    keep(store, *half, *control, of_study(1.0, 1, 0.5, "another"))
    a, b = find_runs(store, control[0][0].id, half[1][0].id, allow_invalid=False)
    assert [row.trial for row in a.rows] == [1, 2]
    assert [row.id for row in b.rows] == [half[0][0].id, half[1][0].id]


def test_what_cannot_be_compared(store: Store, rows: Callable[..., list[BenchRow]], failed_row: RowMaker) -> None:
    slow, failed = rows("slow", 8.0, 8.1), [failed_row(3, model="broken", session="broken")]
    keep(store, slow, failed)
    with pytest.raises(InputError, match="are trials of one run") as raised:
        find_runs(store, slow[0].id, slow[1].id, allow_invalid=False)
    assert raised.value.code == "same_run"
    with pytest.raises(InputError, match="is one row"):
        find_runs(store, slow[0].id, slow[0].id, allow_invalid=False)
    with pytest.raises(InputError, match=r"did not run.*no kernel for ConvTranspose") as raised:
        find_runs(store, slow[0].id, failed[0].id, allow_invalid=False)
    assert raised.value.code == "did_not_run"
    with pytest.raises(UnknownRowError):
        find_runs(store, slow[0].id, "zzzz", allow_invalid=False)
