"""What alembic runs to migrate: on the connection, and in the transaction, of host/store/migrations/__init__.py.

The form is alembic's own recipe "Sharing a connection across one or more programmatic migration commands".
"""

from alembic import context

from host.store.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    version_table=VERSION_TABLE,
    render_as_batch=True,
)
context.run_migrations()
