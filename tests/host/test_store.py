import re
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, event, func, select

from contract.results import DESCRIPTION_KEYS, FIGURE_KEYS, BenchRow, Memory
from host.errors import (
    AmbiguousRowError,
    ResultsBrokenError,
    ResultsError,
    ResultsFullError,
    ResultsLockedError,
    ResultsNewerError,
    ResultsReadOnlyError,
    UnknownRowError,
)
from host.store import Store
from host.store.database import open_database
from host.store.migrations import SCHEMA_VERSION
from host.store.schema import ROWS, SAMPLES, column_name, decode_row, encode_row

RowMaker = Callable[..., BenchRow]
Samples = npt.NDArray[np.int64]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


@pytest.fixture
def store(path: Path) -> Store:
    return Store.open(path)


def sql(path: Path, statement: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


# What goes in comes out


def test_a_row_comes_back_the_same(store: Store, make_row: RowMaker, samples_ns: Samples) -> None:
    row = make_row()
    store.add(row, samples_ns)
    assert store.get(row.id) == row
    assert store.rows() == [row]


def test_the_database_outlives_the_store(path: Path, make_row: RowMaker, samples_ns: Samples) -> None:
    Store.open(path).add(make_row(), samples_ns)
    again = Store.open(str(path))
    assert again.get("b0000001") == make_row()
    assert np.array_equal(again.samples("b0000001"), samples_ns)


def test_a_failed_row_comes_back_and_has_no_samples(store: Store, path: Path, failed_row: RowMaker) -> None:
    store.add(failed_row())
    assert store.rows() == [failed_row()]
    assert sql(path, "SELECT count(*) FROM bench_rows WHERE environment IS NULL AND latency_ms__mean IS NULL") == [(1,)]
    assert store.samples(failed_row().id).shape == (0,)


def test_memory_not_measured_and_memory_not_readable_stay_two_things(store: Store, make_row: RowMaker) -> None:
    never, unreadable = make_row(1, memory=None), make_row(2, memory=dict.fromkeys(Memory.model_fields))
    store.add(never)
    store.add(unreadable)
    assert store.rows() == [unreadable, never]
    assert store.get(never.id).memory is None
    assert store.get(unreadable.id).memory is not None


def test_samples_come_back_the_same(store: Store, make_row: RowMaker, samples_ns: Samples) -> None:
    store.add(make_row(), samples_ns)
    found = store.samples("b0000")
    assert found.dtype == np.int64
    assert np.array_equal(found, samples_ns)
    found[0] = 1  # the caller's own array


def test_the_blob_is_zlib_over_little_endian_int64(
    store: Store, path: Path, make_row: RowMaker, samples_ns: Samples
) -> None:
    store.add(make_row(), samples_ns.astype(">i8").astype(np.int64))
    [(runs, blob)] = sql(path, "SELECT runs, samples_ns_zlib FROM bench_samples")
    assert runs == 1000
    assert zlib.decompress(blob) == samples_ns.astype("<i8").tobytes()


def test_any_time_zone_goes_in_and_utc_comes_out(store: Store, path: Path, make_row: RowMaker) -> None:
    local = datetime(2025, 11, 24, 1, 30, 0, 5, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    store.add(make_row(measured_at=local))
    found = store.rows()[0].measured_at
    assert (found, found.tzinfo) == (local, UTC)
    assert sql(path, "SELECT measured_at FROM bench_rows") == [("2025-11-23 20:00:00.000005",)]


def test_every_key_is_a_column_for_sql(store: Store, path: Path, make_row: RowMaker) -> None:
    row = make_row()
    store.add(row)
    columns = {name for _, name, *_ in sql(path, "PRAGMA table_info(bench_rows)")}
    assert {*DESCRIPTION_KEYS, *map(column_name, FIGURE_KEYS)} <= columns
    assert sql(path, "SELECT latency_ms__p99, peak_memory_bytes, rate FROM bench_rows WHERE board = 'desktop'") == [
        (15.0, 310 * 2**20, 0.99)
    ]


def test_every_field_of_a_row_is_kept() -> None:
    """A new field of BenchRow needs a column, or it would come back as its default."""
    parts = {key.partition(".")[0] for key in FIGURE_KEYS}
    kept = {*DESCRIPTION_KEYS, *parts, "memory", "environment", "flags", "stopped_models", "unmet"}
    assert set(BenchRow.model_fields) <= kept


figures = st.none() | st.floats(allow_nan=False, allow_infinity=False)
sizes = st.none() | st.integers(-(2**62), 2**62)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
# Zones of one offset: a time that a real zone has twice, or never, equals no other (PEP 495).
zones = st.integers(-12 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=zones)


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_whatever_a_row_holds_comes_back(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    store = Store.open(tmp_path_factory.getbasetemp() / "any.sqlite")
    latency: dict[str, float | None] = {key: data.draw(st.floats(0, 1e9)) for key in ("mean", "median", "min", "max")}
    row = BenchRow.model_validate(
        {
            **{key: data.draw(names) for key in ("session", "board", "model", "bundle", "source_name", "precision")},
            "id": store.new_id(),
            "trial": data.draw(st.integers(0, 2**31 - 1)),
            "measured_at": data.draw(instants),
            "through": data.draw(st.sampled_from(["worker", "http"])),
            "requested_runs": 1000,
            "inputs": data.draw(names),
            "failure": data.draw(st.none() | names),
            "latency_ms": data.draw(
                st.none() | st.just(latency | {key: data.draw(figures) for key in ("p90", "p95", "p99", "std")})
            ),
            "convert_ms": {"mean": data.draw(figures)},
            "memory": data.draw(
                st.none()
                | st.just(
                    {key: data.draw(sizes) for key in FIGURE_KEYS if key.endswith("_bytes")},
                )
            ),
            "weights": data.draw(sizes),
            "auc": data.draw(figures),
            "flags": data.draw(st.lists(st.sampled_from(["throttled", "swapped"]), max_size=2)),
            "stopped_models": data.draw(st.lists(names, max_size=3)),
            "unmet": data.draw(st.dictionaries(names, names, max_size=3)),
        }
    )
    store.add(row)
    assert store.get(row.id) == row


def test_a_record_decodes_to_its_row(make_row: RowMaker, failed_row: RowMaker) -> None:
    for row in (make_row(), failed_row()):
        assert decode_row(encode_row(row)) == row


# What does not go in


def test_a_figure_that_is_no_number_is_a_bug(store: Store, make_row: RowMaker) -> None:
    with pytest.raises(ValueError, match="auc of row b0000001 is nan"):
        store.add(make_row(auc=float("nan")))
    assert store.rows() == []


def test_the_same_row_twice_is_a_bug(store: Store, make_row: RowMaker) -> None:
    store.add(make_row())
    with pytest.raises(ValueError, match="b0000001 is there already"):
        store.add(make_row(auc=0.5))
    assert store.rows() == [make_row()]


def test_samples_that_do_not_fit_the_row_are_a_bug(store: Store, make_row: RowMaker, samples_ns: Samples) -> None:
    with pytest.raises(ValueError, match="counts 999 runs, but there are 999 samples"):
        store.add(make_row(), samples_ns[1:])
    with pytest.raises(ValueError, match="int64 of shape"):
        store.add(make_row(), samples_ns.astype(np.float64))
    assert store.rows() == []


def test_row_and_samples_go_in_together_or_not_at_all(
    store: Store, path: Path, make_row: RowMaker, samples_ns: Samples
) -> None:
    sql(path, "INSERT INTO bench_samples VALUES ('b0000001', 0, x'')")  # sqlite3 alone does not check foreign keys
    with pytest.raises(ValueError, match="already"):
        store.add(make_row(), samples_ns)
    assert store.rows() == []


def test_a_deleted_row_takes_its_samples_along(
    store: Store, path: Path, make_row: RowMaker, samples_ns: Samples
) -> None:
    store.add(make_row(), samples_ns)
    database = open_database(path, 1)
    with database.writing() as connection:
        connection.execute(delete(ROWS))
    with database.reading() as connection:
        assert connection.execute(select(func.count()).select_from(SAMPLES)).scalar() == 0


# Listing and finding


def test_the_newest_first(store: Store, make_row: RowMaker) -> None:
    for trial in (2, 1, 3):
        store.add(make_row(trial))
    assert [row.trial for row in store.rows()] == [3, 2, 1]
    assert [row.trial for row in store.rows(limit=2)] == [3, 2]


def test_rows_of_one_board_model_and_session(store: Store, make_row: RowMaker) -> None:
    store.add(make_row(1))
    store.add(make_row(2, board="coral"))
    store.add(make_row(3, board="coral", model="bottle", session="s2"))
    assert [row.trial for row in store.rows(board="coral")] == [3, 2]
    assert [row.trial for row in store.rows(model="capsules")] == [2, 1]
    assert [row.trial for row in store.rows(board="coral", model="capsules")] == [2]
    assert [row.trial for row in store.rows(session="s2")] == [3]
    assert store.rows(board="cora") == []


def test_get_by_the_start_of_an_id(store: Store, make_row: RowMaker) -> None:
    for row_id in ("k3v9x0ab", "k3zzzzzz", "a1111111"):
        store.add(make_row(id=row_id))
    assert store.get("a").id == "a1111111"
    assert store.get(" K3V ").id == "k3v9x0ab"
    with pytest.raises(AmbiguousRowError) as caught:
        store.get("k3")
    assert caught.value.candidates == ("k3v9x0ab", "k3zzzzzz")


def test_a_whole_id_is_never_ambiguous(store: Store, make_row: RowMaker) -> None:
    store.add(make_row(id="k3v"))
    store.add(make_row(id="k3v9x0ab"))
    assert store.get("k3v").id == "k3v"


def test_an_unknown_id_names_the_nearest(store: Store, make_row: RowMaker) -> None:
    with pytest.raises(UnknownRowError) as caught:
        store.get("k3v9x0ab")
    assert caught.value.nearest is None
    store.add(make_row(id="k3v9x0ab"))
    for lookup in (store.get, store.samples):
        with pytest.raises(UnknownRowError, match="did you mean k3v9x0ab"):
            lookup("k3v9xoab")


@pytest.mark.parametrize("nothing", ["", " ", "%", "_", "k_", "k3v9x0abc"])
def test_what_starts_no_id_finds_none(store: Store, make_row: RowMaker, nothing: str) -> None:
    store.add(make_row(id="k3v9x0ab"))
    with pytest.raises(UnknownRowError):
        store.get(nothing)


def test_new_ids(store: Store) -> None:
    ids = {store.new_id() for _ in range(50)}
    assert len(ids) == 50
    assert all(re.fullmatch("[a-hjkmnp-tv-z][0-9a-hjkmnp-tv-z]{7}", row_id) for row_id in ids)


def test_a_new_id_is_not_one_that_is_there(store: Store, make_row: RowMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    store.add(make_row(id="bbbbbbbb"))
    letters = iter("bbbbbbbb" + "cccccccc")
    monkeypatch.setattr("host.store.store.secrets.choice", lambda _: next(letters))
    assert store.new_id() == "cccccccc"


# Where it cannot be used


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "results.sqlite"
    assert Store.open(path).name == str(path)
    assert path.exists()


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(ResultsError, match="a of the results database cannot be made"):
        Store.open(tmp_path / "a" / "results.sqlite")


def test_a_folder_that_may_not_be_made(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ResultsReadOnlyError, match="Read-only file system"):
        Store.open(path)


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot be opened") as caught:
        Store.open(tmp_path)
    assert caught.value.code == "results_failed"


def test_a_read_only_database_can_be_read(path: Path, make_row: RowMaker) -> None:
    Store.open(path).add(make_row())
    read_only = Store.open(f"sqlite:///file:{path}?mode=ro&uri=true")
    assert read_only.rows() == [make_row()]
    with pytest.raises(ResultsReadOnlyError, match=r"results\.sqlite"):
        read_only.add(make_row(2))


def test_a_read_only_database_cannot_be_made(path: Path) -> None:
    path.touch()
    with pytest.raises(ResultsReadOnlyError):
        Store.open(f"sqlite:///file:{path}?mode=ro&uri=true")


def test_a_newer_schema_is_refused_and_left_alone(path: Path, store: Store, make_row: RowMaker) -> None:
    store.add(make_row())
    sql(path, "UPDATE boardfit_schema SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(ResultsNewerError, match=f"9999.*{SCHEMA_VERSION}") as caught:
        Store.open(path)
    assert (caught.value.found, caught.value.known) == ("9999", SCHEMA_VERSION)
    assert path.read_bytes() == before


def test_not_a_database(path: Path) -> None:
    path.write_text("id,board\n" * 200)
    with pytest.raises(ResultsBrokenError, match="is no results database"):
        Store.open(path)
    assert path.read_text().startswith("id,board")


def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    sql(path, "CREATE TABLE photos (name)")
    with pytest.raises(ResultsBrokenError, match="'photos'"):
        Store.open(path)
    assert sql(path, "SELECT name FROM sqlite_master") == [("photos",)]


def test_a_corrupt_database(path: Path, store: Store, make_row: RowMaker, samples_ns: Samples) -> None:
    store.add(make_row(), samples_ns)
    page_bytes = 4096
    with path.open("r+b") as file:
        file.seek(page_bytes)
        file.write(b"\xff" * (path.stat().st_size - page_bytes))
    with pytest.raises(ResultsBrokenError, match="is corrupt"):
        store.rows()


def test_a_table_that_is_gone(path: Path, store: Store) -> None:
    sql(path, "DROP TABLE bench_rows")
    with pytest.raises(ResultsBrokenError, match="bench_rows"):
        store.rows()


def test_a_damaged_row_is_named(path: Path, store: Store, make_row: RowMaker) -> None:
    store.add(make_row())
    sql(path, "UPDATE bench_rows SET through = 'carrier pigeon'")
    with pytest.raises(ResultsBrokenError, match=r"row b0000001 .* through is 'carrier pigeon'"):
        store.rows()


def test_damaged_json_is_named(path: Path, store: Store, make_row: RowMaker) -> None:
    store.add(make_row())
    sql(path, "UPDATE bench_rows SET unmet = '{'")
    with pytest.raises(ResultsBrokenError, match=r"a row of the results database .*results\.sqlite is damaged"):
        store.rows()


@pytest.mark.parametrize("blob", [b"nonsense", zlib.compress(b"1234567")])
def test_damaged_samples_are_named(
    path: Path, store: Store, make_row: RowMaker, samples_ns: Samples, blob: bytes
) -> None:
    store.add(make_row(), samples_ns)
    sql(path, "UPDATE bench_samples SET samples_ns_zlib = ?", blob)
    with pytest.raises(ResultsBrokenError, match="row b0000001"):
        store.samples("b0000001")


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No database grows any further."""

    def limit(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # SQLite takes what there is already as the least

    event.listen(Engine, "connect", limit)
    yield
    event.remove(Engine, "connect", limit)


@pytest.mark.usefixtures("full_disk")
def test_a_full_disk(path: Path) -> None:
    with pytest.raises(ResultsFullError, match="no room"):
        Store.open(path)


def test_a_disk_that_fills_up_keeps_what_is_there(
    path: Path, store: Store, make_row: RowMaker, request: pytest.FixtureRequest
) -> None:
    store.add(make_row(1))
    request.getfixturevalue("full_disk")
    big = np.random.default_rng(0).integers(0, 2**62, 1000)
    with pytest.raises(ResultsFullError):
        Store.open(path).add(make_row(2), big)
    assert store.rows() == [make_row(1)]


def test_a_locked_database(path: Path, store: Store, make_row: RowMaker) -> None:
    impatient = Store.open(path, busy_timeout_s=0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for action in (lambda: impatient.add(make_row()), impatient.rows, lambda: Store.open(path, 0.05)):
            with pytest.raises(ResultsLockedError, match="in use by another process"):
                action()
    impatient.add(make_row())
    assert store.rows() == [make_row()]


def test_a_writer_waits_for_another(path: Path, store: Store, make_row: RowMaker) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        release = threading.Timer(0.2, other.commit)
        release.start()
        store.add(make_row())
        assert not other.in_transaction
        release.join()


def test_a_writer_holds_the_database_from_its_start(path: Path, store: Store) -> None:
    database = open_database(path, 1)
    with (
        database.writing(),
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other,
        pytest.raises(sqlite3.OperationalError, match="locked"),
    ):
        other.execute("BEGIN IMMEDIATE")
    with database.reading():
        assert store.rows() == []


def test_two_processes_create_and_write_at_once(path: Path) -> None:
    code = """
import sys
from datetime import UTC, datetime
from contract.results import BenchRow
from host.store import Store
sys.stdin.readline()
store = Store.open(sys.argv[1])
for trial in range(10):
    store.add(BenchRow(id=store.new_id(), session="s", trial=trial, measured_at=datetime.now(UTC), board="b", model="m",
        bundle="x", source_name="n", precision="fp32", through="worker", requested_runs=2, inputs="golden"))
"""
    workers = [subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()  # both start here
    assert [worker.wait(30) for worker in workers] == [0, 0]
    assert len(Store.open(path).rows()) == 20


def test_opening_what_is_up_to_date_does_without_alembic(path: Path, store: Store) -> None:
    code = "import sys; from host.store import Store; Store.open(sys.argv[1]); sys.exit('alembic' in sys.modules)"
    assert store.rows() == []
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 0


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ResultsError, match="in memory"):
        Store.open(url)


@pytest.mark.parametrize("url", ["nosuchdatabase://host/name", "postgresql+nosuchdriver://host/name"])
def test_a_url_without_driver(url: str) -> None:
    with pytest.raises(ResultsError, match="no driver"):
        Store.open(url)


def test_a_url_that_is_none() -> None:
    with pytest.raises(ResultsError, match="is no URL"):
        Store.open("://")


def test_no_password_is_shown() -> None:
    with pytest.raises(ResultsError) as caught:
        Store.open("nosuchdatabase://user:secret@host/name")
    assert "host/name" in caught.value.message
    assert "secret" not in caught.value.message


# Of studies


def of_study(make_row: RowMaker, number: int, **changes: Any) -> BenchRow:
    """`number` makes its id; trial 1, unless it is changed."""
    told = {"study": "s", "requested_rate": 0.9, "own_original": False, "trial": 1}
    return make_row(number).model_copy(update={**told, **changes})


def test_another_try_of_a_study_takes_the_place_of_the_one_before(
    store: Store, make_row: RowMaker, failed_row: RowMaker, samples_ns: Samples, path: Path
) -> None:
    others = [
        of_study(make_row, 2, board="coral"),
        of_study(make_row, 3, requested_rate=0.5),
        of_study(make_row, 4, trial=2),
        of_study(make_row, 5, study="t"),
        make_row(6).model_copy(update={"trial": 1}),
    ]
    store.add(of_study(make_row, 1), samples_ns)
    for each in others:
        store.add(each)
    again = of_study(failed_row, 7)
    store.add(again)
    assert {row.id for row in store.rows()} == {again.id, *(row.id for row in others)}
    assert sql(path, "select count(*) from bench_samples") == [(0,)]
    assert {row.id for row in store.rows(study="s", board="desktop")} == {again.id, others[1].id, others[2].id}
    assert [row.id for row in store.rows(study="t")] == [others[3].id]


def test_a_row_is_said_anew(store: Store, make_row: RowMaker, samples_ns: Samples) -> None:
    row, other = make_row(1), make_row(2)
    store.add(row, samples_ns)
    store.add(other)
    said = row.model_copy(update={"auc_drop": 0.01, "unmet": {}})
    store.replace(said)
    assert (store.get(row.id), store.get(other.id)) == (said, other)
    assert (store.samples(row.id) == samples_ns).all()
    with pytest.raises(UnknownRowError):
        store.replace(make_row(3))
