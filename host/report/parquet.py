"""Rows as a Parquet file: the columns of host/report/records.py, each with its type, also where no row has a value."""

import io
import json
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

from contract.results import DESCRIPTION_KEYS, FIGURE_KEYS, BenchRow, Memory
from host.errors import InputError
from host.report.records import rows_as_json

if TYPE_CHECKING:
    import pyarrow

_LISTS = ("flags", "stopped_models")
_DOCUMENTS = ("unmet", "environment")
"""Their keys differ from row to row: JSON in a column of text."""

_TIME = "measured_at"


def check_pyarrow() -> None:
    """InputError where it is not installed: better known before any work."""
    try:
        import pyarrow  # noqa: F401  # the first import of it
    except ModuleNotFoundError as error:
        raise InputError(
            "a Parquet file needs pyarrow, which is not installed here",
            "pip install 'boardfit[parquet]', in a checkout '.[parquet]'; --csv and --json need nothing",
            "no_pyarrow",
        ) from error


def rows_as_parquet(rows: Iterable[BenchRow]) -> bytes:
    """The file's content. Call `check_pyarrow` first."""
    import pyarrow
    from pyarrow import parquet

    records = [_record(record) for record in json.loads(rows_as_json(rows))]
    table = pyarrow.Table.from_pylist(records, _schema())
    parquet.write_table(table, file := io.BytesIO(), compression="zstd")
    return file.getvalue()


def _record(record: dict[str, Any]) -> dict[str, Any]:
    documents = {key: None if record[key] is None else json.dumps(record[key]) for key in _DOCUMENTS}
    return record | documents | {_TIME: datetime.fromisoformat(record[_TIME])}


def _schema() -> "pyarrow.Schema":
    import pyarrow

    arrow = {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float64()}
    plain = [(key, arrow.get(_kind(key), pyarrow.string())) for key in (*DESCRIPTION_KEYS, *FIGURE_KEYS)]
    timed = [(key, pyarrow.timestamp("us", "UTC") if key == _TIME else kind) for key, kind in plain]
    lists = [(key, pyarrow.list_(pyarrow.string())) for key in _LISTS]
    return pyarrow.schema([*timed, *lists, *((key, pyarrow.string()) for key in _DOCUMENTS)])


def _kind(key: str) -> type:
    """What a figure or a description is, in Python."""
    part_of, _, name = key.rpartition(".")
    holder: type[BaseModel] = BenchRow
    if part_of:
        holder = next(kind for kind in _kinds(BenchRow.model_fields[part_of].annotation) if issubclass(kind, BaseModel))
    elif name in Memory.model_fields:
        holder = Memory
    kinds = _kinds(holder.model_fields[name].annotation)
    return next((kind for kind in (bool, float, int) if kind in kinds), str)


def _kinds(annotation: Any) -> list[type]:
    """'int | None' -> int."""
    return [kind for kind in get_args(annotation) or (annotation,) if isinstance(kind, type) and kind is not type(None)]
