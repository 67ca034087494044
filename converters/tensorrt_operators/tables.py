"""The operators that each TensorRT's ONNX parser takes, from tables.toml beside this file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

Version = tuple[int, ...]


@dataclass(frozen=True)
class Row:
    """What NVIDIA's table says of one operator.

    types        element types in NVIDIA's words ("FP32", "INT64"); empty where the table names none
    restriction  NVIDIA's text, or ""
    """

    types: frozenset[str] = frozenset()
    restriction: str = ""


@dataclass(frozen=True)
class Table:
    """The operators of one TensorRT; `version` is (major, minor), `opset` the newest that its parser is made for."""

    version: Version
    opset: int
    source: str
    rows: Mapping[str, Row]

    @property
    def name(self) -> str:
        return f"TensorRT {written(self.version)}"


@cache
def tables() -> tuple[Table, ...]:
    """All tables, oldest first."""
    entries = tomllib.loads((files(__package__) / "tables.toml").read_text(encoding="utf-8"))["table"]
    found: list[Table] = []
    for entry in entries:
        rows = dict(found[-1].rows) if found else {}
        for types, operators in entry["types"].items():
            for operator in operators.split():
                rows[operator] = Row(frozenset(types.split()), rows.get(operator, Row()).restriction)
        for operator, restriction in entry["restrictions"].items() if "restrictions" in entry else ():
            rows[operator] = Row(rows[operator].types, restriction)
        version = tuple(int(part) for part in entry["tensorrt"].split("."))
        found.append(Table(version, entry["opset"], entry["source"], rows))
    return tuple(found)


def table_for(version: Version | None) -> Table | None:
    """The newest table that is not newer than `version`; None for a version that is not known or older than all."""
    older = [table for table in tables() if version is not None and table.version <= release(version)]
    return older[-1] if older else None


def has_operator(operator: str, version: Version) -> bool | None:
    """Whether the parser of `version` takes the operator at all; None where the tables leave it open.

    No operator was ever taken away: one that an older table lists is there, one that a newer table (or that of the
    version itself) lacks is not. In between, and beyond the newest table, both are possible.
    """
    if any(operator in table.rows for table in tables() if table.version <= release(version)):
        return True
    if any(operator not in table.rows for table in tables() if table.version >= release(version)):
        return False
    return None


def release(version: Version) -> Version:
    """(major, minor) of a version: what a parser belongs to."""
    return (*version, 0)[:2]


def written(version: Version) -> str:
    """As NVIDIA writes it: "10.3"."""
    return ".".join(map(str, version))
