"""From any older schema to this one, by alembic.

A new schema: write versions/NNNN_what.py by hand (its down_revision is the one before), change schema.py alike and
raise SCHEMA_VERSION; tests/host/test_migrations.py says whether the three agree. A migration never imports schema.py:
it must do tomorrow what it does today.
"""

from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

SCHEMA_VERSION = "0003"
VERSION_TABLE = "boardfit_schema"  # not alembic's default name: a shared server may hold other programs' tables


def schema_version(connection: Connection) -> str | None:
    """The schema the database has; None for one without ours."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    version: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return version


def is_known(version: str) -> bool:
    """Whether there is a way from schema `version` to this one."""
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(_config())
    return version in {revision.revision for revision in script.walk_revisions()}


def migrate(connection: Connection, version: str = "head") -> None:
    """Bring the database to `version`, inside the transaction that `connection` is in."""
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "host.store:migrations")
    return config
