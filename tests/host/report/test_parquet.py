import io
import json
import sys

import pytest
from pyarrow import parquet

from contract.results import DESCRIPTION_KEYS, FIGURE_KEYS
from host.errors import InputError
from host.report.parquet import check_pyarrow, rows_as_parquet

from ..studies import study_results

ROWS = study_results().rows


def test_every_column_has_its_type_and_every_value_comes_back() -> None:
    table = parquet.read_table(io.BytesIO(rows_as_parquet(ROWS)))
    assert table.column_names == [*DESCRIPTION_KEYS, *FIGURE_KEYS, "flags", "stopped_models", "unmet", "environment"]
    kinds = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert kinds["latency_ms.p99"] == kinds["auc"] == kinds["power_mw.idle"] == "double"
    assert kinds["peak_memory_bytes"] == kinds["counted_runs"] == kinds["macs"] == kinds["trial"] == "int64"
    assert kinds["measured_at"] == "timestamp[us, tz=UTC]"
    assert kinds["own_original"] == "bool"
    assert kinds["board"] == "string"
    for row, read in zip(ROWS, table.to_pylist(), strict=True):
        assert {key: read[key] for key in FIGURE_KEYS} == row.figures()
        assert (read["id"], read["measured_at"], read["failure"]) == (row.id, row.measured_at, row.failure)
        assert json.loads(read["unmet"]) == row.unmet
        environment = read["environment"] and json.loads(read["environment"])
        assert environment == (row.environment and row.environment.model_dump(mode="json"))


def test_types_do_not_depend_on_the_rows() -> None:
    of_none, of_all = (parquet.read_table(io.BytesIO(rows_as_parquet(rows))).schema for rows in ((), ROWS))
    assert of_none.equals(of_all)


def test_without_pyarrow_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="needs pyarrow") as caught:
        check_pyarrow()
    assert "boardfit[parquet]" in caught.value.hint
