import io
import json

from rich.console import Console

from host.report.study import list_table, status_table, study_record, study_table
from host.study.results import StudyResults
from host.study.status import status_of

from ..studies import study_results


def shown(table: object, width: int = 120) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


RESULTS: StudyResults = study_results()


def test_every_rate_of_every_board_and_why_not() -> None:
    text = shown(study_table(RESULTS))
    for board in RESULTS.study.boards:
        assert f"\n{board}" in text
    assert text.count("99.9 %") == len(RESULTS.study.boards)
    for row in RESULTS.rows:
        if row.failure:
            assert f"{row.failure} ({row.failure_code})" in " ".join(text.split())
    assert "…" not in text


def test_what_is_taught_is_known_where_the_board_does_not_answer() -> None:
    results = study_results(["desktop"], trials=1, missing=["desktop"])
    text = shown(study_table(results))
    for (rate, _), taught in results.taught.items():
        [line] = [line for line in text.splitlines() if line.startswith(f"{100 * rate:g} %")]
        assert taught.scores is not None
        assert f" {taught.weights:,} " in line
        assert f" {taught.scores.auc:.4f} " in line


def test_which_there_are() -> None:
    unreachable = study_results(["desktop", "nano"], missing=["nano"], name="other")
    text = shown(list_table([RESULTS, unreachable]))
    assert [line.split()[-1] for line in text.splitlines()[-2:]] == ["81/81", "27/54"]


def test_for_programs() -> None:
    told = json.loads(json.dumps(study_record(RESULTS)))
    assert len(told["rows"]) == len(RESULTS.rows)
    assert told["study"]["name"] == RESULTS.study.name


def test_how_far_it_is() -> None:
    status = status_of(RESULTS)
    text = shown(status_table(status))
    trials = RESULTS.study.trials
    assert f"{trials}/{trials}" in text
    failed = sum(row.failure is not None for row in RESULTS.rows)
    counted = sum(sum(line.failed.values()) + sum(line.does_not_run.values()) for line in status.lines)
    assert counted == failed > 0
