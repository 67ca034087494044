from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine

import host.store.migrations
from host.store import Store
from host.store.migrations import SCHEMA_VERSION, VERSION_TABLE, is_known, migrate, schema_version
from host.store.schema import METADATA

SCRIPT = ScriptDirectory(Path(host.store.migrations.__file__).parent)
VERSIONS = [revision.revision for revision in SCRIPT.walk_revisions()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results.sqlite"


@pytest.fixture
def engine(path: Path) -> Engine:
    return create_engine(f"sqlite:///{path}")


def test_the_newest_migration_is_the_schema() -> None:
    assert SCRIPT.get_heads() == [SCHEMA_VERSION]
    assert all(is_known(version) for version in VERSIONS)
    assert not is_known("9999")


@pytest.mark.parametrize("version", [None, *VERSIONS])
def test_from_blank_and_from_every_version_to_the_same_tables(path: Path, engine: Engine, version: str | None) -> None:
    if version is not None:
        with engine.begin() as connection:
            migrate(connection, version)
            assert schema_version(connection) == version
    Store.open(path)
    with engine.connect() as connection:
        assert schema_version(connection) == SCHEMA_VERSION
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_a_blank_database_has_no_version(engine: Engine) -> None:
    with engine.connect() as connection:
        assert schema_version(connection) is None
    engine.dispose()


def test_a_migration_that_fails_leaves_nothing_behind(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class PowerCutError(Exception):
        pass

    def migrate_half(connection: Connection) -> None:
        migrate(connection)
        raise PowerCutError

    monkeypatch.setattr("host.store.database.migrate", migrate_half)
    with pytest.raises(PowerCutError):
        Store.open(path)
    monkeypatch.undo()
    assert path.stat().st_size == 0
    assert Store.open(path).rows() == []
