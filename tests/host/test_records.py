import csv
import io
import json
from collections.abc import Callable

import pytest

from contract.results import DESCRIPTION_KEYS, FIGURE_KEYS, BenchRow
from host.report.records import rows_as_csv, rows_as_json

RowMaker = Callable[..., BenchRow]


def as_csv(rows: list[BenchRow]) -> list[dict[str, str]]:
    file = io.StringIO(newline="")
    rows_as_csv(rows, file)
    file.seek(0)
    return list(csv.DictReader(file))


def test_json_has_the_keys_of_the_contract(make_row: RowMaker) -> None:
    row = make_row()
    [record] = json.loads(rows_as_json([row]))
    context = ["flags", "stopped_models", "unmet", "environment"]
    assert list(record) == [*DESCRIPTION_KEYS, *FIGURE_KEYS, *context]
    assert {key: record[key] for key in FIGURE_KEYS} == row.figures()
    assert record["measured_at"] == "2025-11-24T07:31:00.123456Z"
    assert record["unmet"] == {"run_peak_bytes": "this kernel does not reset VmHWM"}
    assert record["environment"]["before"]["temperatures_c"] == {"cpu": 51.5, "gpu": 48.0}


def test_json_of_a_failure_and_of_nothing(failed_row: RowMaker) -> None:
    [record] = json.loads(rows_as_json([failed_row()]))
    assert record["failure"] == "no kernel for ConvTranspose"
    assert record["latency_ms.mean"] is None
    assert record["environment"] is None
    assert json.loads(rows_as_json([])) == []


def test_json_has_no_nan(make_row: RowMaker) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        rows_as_json([make_row(auc=float("nan"))])


def test_csv_has_the_keys_of_the_contract(make_row: RowMaker, failed_row: RowMaker) -> None:
    ran, failed = as_csv([make_row(), failed_row(2, failure='no "kernel",\nat all')])
    assert list(ran) == [*DESCRIPTION_KEYS, *FIGURE_KEYS, "flags"]
    assert (ran["latency_ms.p99"], ran["peak_memory_bytes"], ran["rate"]) == ("15.0", str(310 * 2**20), "0.99")
    assert float(ran["latency_ms.std"]) == 1 / 3
    assert (ran["run_peak_bytes"], ran["flags"]) == ("", "throttled other_load")
    assert (failed["latency_ms.mean"], failed["failure"]) == ("", 'no "kernel",\nat all')


def test_csv_of_nothing_is_the_header() -> None:
    file = io.StringIO()
    rows_as_csv([], file)
    assert file.getvalue() == ",".join([*DESCRIPTION_KEYS, *FIGURE_KEYS, "flags"]) + "\n"
