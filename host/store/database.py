"""One database: opened, brought to our schema, used in transactions, its errors made ours.

SQLite keeps its rollback journal, not a write-ahead log: WAL needs memory shared between the processes, which a home
on a network file system does not give, and a database that cannot be read from a read-only place (both:
sqlite.org/wal.html). Writers here are few and brief, so that WAL would gain nothing.

Python's sqlite3 opens a transaction only before a write, and none before DDL, so we say BEGIN ourselves (SQLAlchemy's
recipe, in its documentation of the SQLite dialect): BEGIN to read, BEGIN IMMEDIATE to write, so that a writer waits
for another at the start, where waiting is possible, and not halfway.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EACCES, EPERM, EROFS
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, OperationalError

from host.errors import (
    ResultsBrokenError,
    ResultsError,
    ResultsFullError,
    ResultsLockedError,
    ResultsNewerError,
    ResultsReadOnlyError,
)
from host.store.migrations import SCHEMA_VERSION, is_known, migrate, schema_version

Purpose = Literal["read", "write", "migrate"]

MIGRATION_LOCK = 0x626F617264666974  # PostgreSQL's advisory locks go by number: "boardfit" in ASCII

SQLITE_ERRORS: dict[int, tuple[type[ResultsError], str, str]] = {
    sqlite3.SQLITE_ERROR: (
        ResultsBrokenError,
        "does not hold what its schema says",
        "restore it, or name another file",
    ),
    sqlite3.SQLITE_BUSY: (ResultsLockedError, "is in use by another process", "try again once that has ended"),
    sqlite3.SQLITE_READONLY: (ResultsReadOnlyError, "cannot be written", "make it writable, or name another file"),
    sqlite3.SQLITE_IOERR: (ResultsError, "cannot be read or written", "check the disk it is on"),
    sqlite3.SQLITE_CORRUPT: (ResultsBrokenError, "is corrupt", "restore it from a copy, or name another file"),
    sqlite3.SQLITE_FULL: (ResultsFullError, "has no room left on its disk", "free some space and run this again"),
    sqlite3.SQLITE_CANTOPEN: (ResultsError, "cannot be opened", "check that it is a file and that you may open it"),
    sqlite3.SQLITE_NOTADB: (ResultsBrokenError, "is no results database", "name another file"),
}


class Database:
    """Transactions on a database that has our schema."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self._transaction("read") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes: all of it is kept, or nothing."""
        with self._transaction("write") as connection:
            yield connection

    def bring_up_to_date(self) -> None:
        """Create or migrate where needed. A database that is up to date is not written to."""
        with self.reading() as connection:
            found = schema_version(connection)
            if found is None:
                self._refuse_foreign(connection)
        if found == SCHEMA_VERSION:
            return
        if found is not None and not is_known(found):
            raise ResultsNewerError(self.name, found, SCHEMA_VERSION)
        with self._transaction("migrate") as connection:
            migrate(connection)  # reads the version again: another process may just have done it

    def _refuse_foreign(self, connection: Connection) -> None:
        # On a server, tables of others are usual. In a file they mean that the wrong file was named.
        tables = inspect(connection).get_table_names() if connection.dialect.name == "sqlite" else []
        if tables:
            raise ResultsBrokenError(
                f"{self.name} is a database of something else: it has the table {tables[0]!r} and none of ours",
                "name another file",
            )

    @contextmanager
    def _transaction(self, purpose: Purpose) -> Iterator[Connection]:
        try:
            with self._engine.connect().execution_options(purpose=purpose) as connection, connection.begin():
                yield connection
        except DBAPIError as error:
            translated = _translated(error, self.name)
            if translated is None:
                raise
            raise translated from error


def open_database(where: str | Path, busy_timeout_s: float) -> Database:
    """The database at a path or a SQLAlchemy URL, up to date; ResultsError and its kin where that cannot be."""
    url = _url(where)
    is_file = url.get_backend_name() == "sqlite"
    name = _make_folder(url) if is_file else url.render_as_string(hide_password=True)
    try:
        # No pool: a command has a handful of transactions, and a connection left open is a file left open.
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": busy_timeout_s} if is_file else {})
    except (ArgumentError, ModuleNotFoundError) as error:
        raise ResultsError(
            f"no driver for the results database {name}: {error}",
            "name a file, or install the SQLAlchemy driver that the URL needs",
        ) from error
    _listen(engine)
    database = Database(engine, name)
    database.bring_up_to_date()
    return database


def _url(where: str | Path) -> URL:
    if isinstance(where, Path) or "://" not in where:
        return URL.create("sqlite", database=str(where))
    try:
        return make_url(where)
    except ArgumentError as error:
        raise ResultsError(f"the results database {where!r} is no URL: {error}", "give a path, or a URL") from error


def _make_folder(url: URL) -> str:
    """Make the folder of an SQLite file; its path, to be shown."""
    if not url.database or url.database == ":memory:":
        raise ResultsError(f"a results database in memory ({url}) would be lost at once", "name a file")
    if url.database.startswith("file:"):  # SQLite's own URIs are for those who know what they do
        return url.database
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        kind = ResultsReadOnlyError if error.errno in (EACCES, EPERM, EROFS) else ResultsError
        raise kind(
            f"the folder {folder} of the results database cannot be made: {error.strerror}", "name another place"
        ) from error
    return url.database


def _listen(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "begin", _begin_postgresql)


def _begin_sqlite(connection: Connection) -> None:
    purpose = connection.get_execution_options()["purpose"]
    # A migration that rebuilds a table drops the old one, which would cascade; within a transaction the pragma is void.
    connection.exec_driver_sql(f"PRAGMA foreign_keys = {'OFF' if purpose == 'migrate' else 'ON'}")
    connection.exec_driver_sql("BEGIN" if purpose == "read" else "BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options()["purpose"] == "migrate":
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": MIGRATION_LOCK})


def _translated(error: DBAPIError, name: str) -> ResultsError | None:
    """What the user can do something about; None for a bug, which is to keep its traceback."""
    if isinstance(error, IntegrityError):
        return None
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        if code not in SQLITE_ERRORS:
            return None
        kind, what, hint = SQLITE_ERRORS[code]
        return kind(f"the results database {name} {what} (SQLite: {error.orig})", hint)
    if isinstance(error, OperationalError):
        return ResultsError(
            f"the results database {name} does not work: {error.orig}", "check its URL, and that its server is up"
        )
    return None
