"""Rows and their samples, in and out of the results database."""

import difflib
import secrets
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError
from sqlalchemy import ColumnElement, Row, Select, delete, false, insert, select, update
from sqlalchemy.exc import IntegrityError

from contract.results import BenchRow
from host.errors import AmbiguousRowError, ResultsBrokenError, UnknownRowError
from host.statistics import Samples
from host.store.database import Database, open_database
from host.store.schema import ROWS, SAMPLES, decode_row, decode_samples, encode_row, encode_samples

# Crockford's base 32 in lower case: nothing that looks like something else. The first is a letter, so that no
# spreadsheet reads an id as a number (1e234567).
ID_LETTERS = "abcdefghjkmnpqrstvwxyz"
ID_ALPHABET = "0123456789" + ID_LETTERS
ID_LENGTH = 8

BUSY_TIMEOUT_S = 10.0
_ONE_OF_A_STUDY = ("study", "board", "requested_rate", "trial")


class Store:
    """The results database. It holds nothing open between two calls.

    Every method may raise ResultsError and its kin (host/errors.py).
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, where: str | Path, busy_timeout_s: float = BUSY_TIMEOUT_S) -> "Store":
        """The database at a path (SQLite) or a SQLAlchemy URL, created or migrated where needed.

        Any number of processes may open the same one at once on SQLite and PostgreSQL. One that is up to date can be
        read where it cannot be written. `busy_timeout_s` is how long SQLite waits for another writer.
        """
        return cls(open_database(where, busy_timeout_s))

    @property
    def name(self) -> str:
        """Path or URL, fit to be shown: no password in it."""
        return self._database.name

    def check_writable(self) -> None:
        """ResultsReadOnlyError and its kin now, rather than after something was measured."""
        with self._database.writing() as connection:
            connection.execute(delete(ROWS).where(false()))  # to begin a transaction alone, SQLite needs no permission

    def new_id(self) -> str:
        """An id that no row has: 8 characters, 39 bits."""
        while True:
            candidate = secrets.choice(ID_LETTERS) + "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_LENGTH - 1))
            if candidate not in self._ids(ROWS.c.id == candidate):
                return candidate

    def add(self, row: BenchRow, samples_ns: Samples | None = None) -> None:
        """Keep a row and the samples of all its runs, the first one included: int64 of shape (n,); both or neither.

        Of a study's model on a board there is one row for each trial: that of an earlier try is replaced. ValueError
        for a row that is there already, or that says something else than its samples.
        """
        if samples_ns is not None:
            _check(row, samples_ns)
        record = encode_row(row)
        try:
            with self._database.writing() as connection:
                if row.study is not None:
                    same = (getattr(ROWS.c, key) == getattr(row, key) for key in _ONE_OF_A_STUDY)
                    connection.execute(delete(ROWS).where(*same))
                connection.execute(insert(ROWS), record)
                if samples_ns is not None:
                    connection.execute(
                        insert(SAMPLES),
                        {"row_id": row.id, "runs": len(samples_ns), "samples_ns_zlib": encode_samples(samples_ns)},
                    )
        except IntegrityError as error:
            raise ValueError(f"row {row.id} is there already") from error

    def replace(self, row: BenchRow) -> None:
        """A row that is there, said anew; its samples stay. UnknownRowError."""
        record = encode_row(row)
        with self._database.writing() as connection:
            if connection.execute(update(ROWS).where(ROWS.c.id == row.id).values(record)).rowcount == 0:
                raise UnknownRowError(row.id, None)

    def rows(
        self,
        limit: int | None = None,
        *,
        board: str | None = None,
        model: str | None = None,
        session: str | None = None,
        study: str | None = None,
    ) -> list[BenchRow]:
        """The newest first, at most `limit`, of one board, model, session or study where given."""
        query = select(ROWS).order_by(ROWS.c.measured_at.desc(), ROWS.c.trial.desc(), ROWS.c.id).limit(limit)
        wanted = {ROWS.c.board: board, ROWS.c.model: model, ROWS.c.session: session, ROWS.c.study: study}
        for column, value in wanted.items():
            if value is not None:
                query = query.where(column == value)
        return self._rows(query)

    def get(self, id_or_prefix: str) -> BenchRow:
        """The one row whose id starts like this, in either case; UnknownRowError (nearest id), AmbiguousRowError."""
        [row] = self._rows(select(ROWS).where(ROWS.c.id == self._find(id_or_prefix)))
        return row

    def samples(self, id_or_prefix: str) -> Samples:
        """Nanoseconds of every run of that row in order, the first one included: int64 of shape (n,).

        Empty where no run ended. Errors as `get`.
        """
        row_id = self._find(id_or_prefix)
        with self._database.reading() as connection:
            data = connection.execute(select(SAMPLES.c.samples_ns_zlib).where(SAMPLES.c.row_id == row_id)).scalar()
        if data is None:
            return np.empty(0, np.int64)
        try:
            return decode_samples(data)
        except (zlib.error, ValueError) as error:
            raise self._broken(f"row {row_id}", f"its samples cannot be unpacked ({error})") from error

    def _find(self, id_or_prefix: str) -> str:
        prefix = id_or_prefix.strip().lower()
        found = self._ids(ROWS.c.id.startswith(prefix, autoescape=True)) if prefix else []
        if prefix in found or len(found) == 1:
            return prefix if prefix in found else found[0]
        if found:
            raise AmbiguousRowError(id_or_prefix, found)
        near = difflib.get_close_matches(prefix, self._ids(), n=1)
        raise UnknownRowError(id_or_prefix, near[0] if near else None)

    def _ids(self, *conditions: ColumnElement[bool]) -> list[str]:
        with self._database.reading() as connection:
            return list(connection.execute(select(ROWS.c.id).where(*conditions).order_by(ROWS.c.id)).scalars())

    def _rows(self, query: Select[Any]) -> list[BenchRow]:
        try:
            with self._database.reading() as connection:
                records = connection.execute(query).all()
        except ValueError as error:  # SQLAlchemy could not make a column's type of what is there
            raise self._broken("a row", str(error)) from error
        return [self._decoded(record) for record in records]

    def _decoded(self, record: Row[Any]) -> BenchRow:
        try:
            return decode_row(record._asdict())
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise self._broken(f"row {record.id}", f"{where} is {first['input']!r}: {first['msg']}") from error

    def _broken(self, what: str, why: str) -> ResultsBrokenError:
        return ResultsBrokenError(
            f"{what} of the results database {self.name} is damaged: {why}",
            "restore the database from a copy, or delete this row with an SQL tool",
        )


def _check(row: BenchRow, samples_ns: Samples) -> None:
    if samples_ns.ndim != 1 or samples_ns.dtype != np.int64:
        raise ValueError(f"samples are int64 of shape (n,); got {samples_ns.dtype} {samples_ns.shape}")
    if row.counted_runs is not None and row.counted_runs != len(samples_ns) - 1:
        raise ValueError(
            f"row {row.id} counts {row.counted_runs} runs, but there are {len(samples_ns)} samples, not +1"
        )
