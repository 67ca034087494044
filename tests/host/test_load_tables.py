"""Rows of a bench under load as tables."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from contract.results import BenchRow, Load
from host.report.load import in_words
from host.report.tables import bench_table

RowMaker = Callable[..., BenchRow]


def shown(rows: list[BenchRow]) -> str:
    file = io.StringIO()
    Console(file=file, width=80).print(bench_table(rows))
    assert max(map(len, file.getvalue().splitlines())) <= 80
    return file.getvalue()


def words(rows: list[BenchRow]) -> str:
    return " ".join(shown(rows).split())


def load(**changes: object) -> dict[str, object]:
    made = Load(offered_per_s=20.0, deadline_ms=50.0, missed=3, missed_share=3 / 999)
    return {"through": "http", "memory": None, "load": made.model_copy(update=changes)}


def test_the_headline_says_what_was_missed(make_row: RowMaker) -> None:
    text = words([make_row(1, **load())])
    assert "of 999 counted runs; 0.3003 % missed the deadline of 50.00 ms at 20/s (1,200 parts per minute)" in text
    assert "Deadlines missed 3" in text
    assert "Parts per minute, at most n/a (not looked for: --rate max does)" in text


def test_the_headline_says_the_highest_rate(make_row: RowMaker) -> None:
    text = words([make_row(1, **load(highest_parts_per_minute=1200.0))])
    assert "of 999 counted runs; at most 1,200 parts per minute with p99 within 50.00 ms" in text


def test_the_headline_says_that_no_rate_will_do(make_row: RowMaker) -> None:
    why = {"load.highest_parts_per_minute": "p99 was within the deadline at no rate tried"}
    text = words([make_row(1, **load(), unmet=why)])
    assert "of 999 counted runs; at no rate tried is p99 within 50.00 ms" in text
    assert "Parts per minute, at most n/a (p99 was within the deadline at no rate tried)" in text


def test_other_rows_have_no_lines_of_a_load(make_row: RowMaker) -> None:
    assert "eadline" not in shown([make_row(1)])


def test_several_trials(make_row: RowMaker) -> None:
    text = words([make_row(1, **load()), make_row(2, **load(missed=9, missed_share=9 / 999))])
    assert "over 2 trials of 999 counted runs; 0.3003 % to 0.9009 % missed the deadline of 50.00 ms at 20/s" in text
    assert "Deadline Missed " in text
    assert "Peak MiB" not in text
    assert "Parts/min" not in text


def test_several_trials_of_the_highest_rate(make_row: RowMaker) -> None:
    found = [
        load(offered_per_s=20.0, highest_parts_per_minute=1200.0),
        load(offered_per_s=19.0, deadline_ms=52.6, highest_parts_per_minute=1140.0),
        load(offered_per_s=2.5, deadline_ms=400.0),
    ]
    text = words([make_row(number + 1, **changes) for number, changes in enumerate(found)])
    assert "at most 1,140 to 1,200 parts per minute with p99 within 50.00 ms to 52.60 ms in 2 of 3 trials" in text
    assert "Parts/min" in text


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (9000, "2.5 h")]
)
def test_durations(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
