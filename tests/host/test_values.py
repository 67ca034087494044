from collections.abc import Callable

import pytest

from contract.results import FIGURE_KEYS, BenchRow
from host.report.values import LABELS, figure, figure_or_reason, four_digits, mebibytes, percent, steadiness

RowMaker = Callable[..., BenchRow]


def test_every_figure_has_a_label_and_no_two_the_same() -> None:
    assert set(LABELS) == set(FIGURE_KEYS)
    assert len(set(LABELS.values())) == len(LABELS)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.0000"), (0.01234, "0.0123"), (1.2345, "1.234"), (12.345, "12.35"), (123.45, "123.5"), (12345.6, "12,346")],
)
def test_milliseconds(value: float, text: str) -> None:
    assert four_digits(value) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0.00"), (2**20, "1.00"), (-(2**19), "-0.50"), (10 * 2**20, "10.0"), (2**30, "1,024.0")]
)
def test_mebibytes(size: int, text: str) -> None:
    assert mebibytes(size) == text


@pytest.mark.parametrize(("fraction", "text"), [(0, "0 %"), (0.5, "50 %"), (0.995, "99.5 %"), (0.9999, "99.99 %")])
def test_percent(fraction: float, text: str) -> None:
    assert percent(fraction) == text


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("first_run_ms", 34.5, "34.50 ms"),
        ("latency_ms.p99", 1.5, "1.500 ms"),
        ("run_peak_bytes", 2**24, "16.0 MiB"),
        ("rate", 0.99, "99 %"),
        ("auc", 0.98765, "0.9877"),
        ("auc_drop", -0.001, "-0.0010"),
        ("weights", 1234567, "1,234,567"),
        ("counted_runs", 999, "999"),
    ],
)
def test_a_figure_with_its_unit(key: str, value: float, text: str) -> None:
    assert figure(key, value) == text


@pytest.mark.parametrize(
    ("changes", "key", "reason"),
    [
        ({"unmet": {"accelerator_ms": "the runtime cannot tell"}}, "accelerator_ms.mean", "the runtime cannot tell"),
        ({"unmet": {"accelerator_ms.mean": "no clock"}}, "accelerator_ms.mean", "no clock"),
        ({"latency_ms": None, "counted_runs": 10}, "latency_ms.p90", "needs 44 counted runs, has 10"),
        ({"latency_ms": None, "counted_runs": 1}, "latency_ms.std", "needs 2 counted runs, has 1"),
        ({"flags": ("unstable",)}, "latency_interval_ms.low", "unstable: use --trials"),
        ({"flags": ("unstable",)}, "steady_ms.mean", "unstable: use --trials"),
        ({"counted_runs": 99, "steady_from_run": None}, "steady_ms.mean", "needs 200 counted runs, has 99"),
        (
            {"counted_runs": 420, "steady_from_run": 30},
            "latency_interval_ms.high",
            "needs 400 counted runs once steady, has 390",
        ),
        ({}, "latency_interval_ms.high", "not measured"),  # of an older version
        ({"auc": None}, "auc", "not measured"),
        ({"failure": "out of memory", "auc": None}, "auc", "did not run: out of memory"),
    ],
)
def test_the_reason_why_there_is_no_figure(
    make_row: RowMaker, changes: dict[str, object], key: str, reason: str
) -> None:
    assert figure_or_reason(make_row(**changes), key) == f"n/a ({reason})"


def test_when_it_became_steady(make_row: RowMaker) -> None:
    assert steadiness(make_row(steady_from_run=0)) == "from the start"
    assert steadiness(make_row(steady_from_run=25)) == "after 25 counted runs"
    never = {"steady_from_run": None}
    assert steadiness(make_row(**never, flags=("unstable",))) == "n/a (unstable: use --trials)"
    assert steadiness(make_row(**never, counted_runs=99)) == "n/a (needs 200 counted runs, has 99)"
    assert steadiness(make_row(**never)) == "n/a (never, or too few runs to tell)"
