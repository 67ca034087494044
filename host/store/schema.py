"""The tables, and a row as a record of them.

A column has the name of its key, dots replaced by ``__``: ``latency_ms__p99``, ``peak_memory_bytes``. So
``select id, latency_ms__p99 from bench_rows where board = 'line3'`` is all it takes with any SQL tool.

SQLAlchemy Core, not its ORM: rows are written once and never changed, so there is nothing for a unit of work to track,
and `BenchRow` stays the only class of a row.
"""

import math
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

from contract.base import Reply
from contract.results import DESCRIPTION_KEYS, FIGURE_KEYS, BenchRow, Energy, Interval, Latency, Load, Memory, Power
from host.statistics import Samples


class Instant(TypeDecorator[datetime]):
    """A point in time: UTC in the database (SQLite keeps no zone), aware in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def column_name(key: str) -> str:
    """``latency_ms.p99`` -> ``latency_ms__p99``."""
    return key.replace(".", "__")


def _figure_column(key: str) -> Column[Any]:
    whole = key.endswith("_bytes") or key in ("counted_runs", "weights", "macs", "operators_on_cpu", "load.missed")
    return Column(column_name(key), BigInteger() if whole else Double())


_MEANS = ("steady_ms", "accelerator_ms", "convert_ms", "decision_ms")

_PARTS: dict[str, type[Reply]] = {
    "latency_ms": Latency,
    "latency_interval_ms": Interval,
    "energy_mj": Energy,
    "power_mw": Power,
    "load": Load,
}
"""Parts of a row that may not be there: all of its figures are null then."""

_COLUMNS = {key: column_name(key) for key in FIGURE_KEYS}
_OWN_FIGURES = [key for key in FIGURE_KEYS if key in BenchRow.model_fields]
"""Those that are in no part of a row."""

METADATA = MetaData()

ROWS = Table(
    "bench_rows",
    METADATA,
    Column("id", String(8), primary_key=True),
    Column("session", Text, nullable=False),
    Column("trial", Integer, nullable=False),
    Column("measured_at", Instant, nullable=False, index=True),
    Column("board", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("source_name", Text, nullable=False),
    Column("precision", Text, nullable=False),
    Column("through", Text, nullable=False),
    Column("requested_runs", Integer, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("failure", Text),
    Column("failure_code", Text),
    Column("steady_from_run", Integer),
    Column("study", Text, index=True),
    Column("requested_rate", Double),
    Column("own_original", Boolean),
    *(_figure_column(key) for key in FIGURE_KEYS),
    # `memory` is null where it was never measured; a Memory of nulls was measured and could not be read.
    Column("memory_measured", Boolean, nullable=False),
    Column("environment", JSON(none_as_null=True)),
    Column("flags", JSON, nullable=False),
    Column("stopped_models", JSON, nullable=False),
    Column("unmet", JSON, nullable=False),
)

SAMPLES = Table(
    "bench_samples",
    METADATA,
    Column("row_id", String(8), ForeignKey("bench_rows.id", ondelete="CASCADE"), primary_key=True),
    Column("runs", Integer, nullable=False),
    # zlib over little-endian int64: nanoseconds of every run in order, the first one included
    Column("samples_ns_zlib", LargeBinary, nullable=False),
)


def encode_row(row: BenchRow) -> dict[str, Any]:
    """The record of ROWS for `row`. ValueError for a figure that is no number: SQLite would make it a null."""
    figures = row.figures()
    for key, value in figures.items():
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{key} of row {row.id} is {value}")
    return {
        **{key: getattr(row, key) for key in DESCRIPTION_KEYS},
        **{_COLUMNS[key]: value for key, value in figures.items()},
        "memory_measured": row.memory is not None,
        "environment": row.environment.model_dump(mode="json") if row.environment else None,
        "flags": list(row.flags),
        "stopped_models": list(row.stopped_models),
        "unmet": row.unmet,
    }


def decode_row(record: Mapping[str, Any]) -> BenchRow:
    """The row of a record of ROWS; pydantic.ValidationError where it is none."""
    figures = {key: record[column] for key, column in _COLUMNS.items()}
    return BenchRow.model_validate(
        {
            **{key: record[key] for key in DESCRIPTION_KEYS},
            **{key: figures[key] for key in _OWN_FIGURES},
            **{key: _part(figures, key) for key in _MEANS},
            **{key: _part(figures, key) if _is_there(figures, key) else None for key in _PARTS},
            "memory": {key: figures[key] for key in Memory.model_fields} if record["memory_measured"] else None,
            **{key: record[key] for key in ("environment", "flags", "stopped_models", "unmet")},
        }
    )


def encode_samples(samples_ns: Samples) -> bytes:
    """int64 of shape (n,) -> bytes."""
    return zlib.compress(samples_ns.astype("<i8", copy=False).tobytes())


def decode_samples(data: bytes) -> Samples:
    """Bytes -> int64 of shape (n,); zlib.error or ValueError where they are no samples."""
    return np.frombuffer(zlib.decompress(data), "<i8").astype(np.int64)


def _is_there(figures: Mapping[str, Any], part: str) -> bool:
    return any(figures[key] is not None for _, key in _KEYS_OF[part])


def _part(figures: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {field: figures[key] for field, key in _KEYS_OF[name]}


_KEYS_OF = {
    part: [(key.removeprefix(f"{part}."), key) for key in FIGURE_KEYS if key.startswith(f"{part}.")]
    for part in (*_MEANS, *_PARTS)
}
"""Of a part of a row: its fields, and their keys."""
