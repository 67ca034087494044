"""What the Edge TPU's compiler says of a file."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COLUMNS = ("on_chip_bytes", "streamed_bytes", "operators_on_cpu")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("bench_rows", sa.Column(name, sa.BigInteger()))
