"""What a study compares: intervals, energy, load, multiply-adds, AUC of the artifact and of the float model."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_WHOLE = ("macs", "load__missed")
_FIGURES = (
    "latency_interval_ms__low",
    "latency_interval_ms__high",
    "steady_ms__mean",
    "energy_mj__per_run",
    "energy_mj__above_idle",
    "power_mw__idle",
    "power_mw__run",
    "load__offered_per_s",
    "load__deadline_ms",
    "load__missed_share",
    "load__highest_parts_per_minute",
    "float_auc",
    "float_auc_drop",
    "requested_rate",
)


def upgrade() -> None:
    for name in _FIGURES:
        op.add_column("bench_rows", sa.Column(name, sa.Double()))
    for name in _WHOLE:
        op.add_column("bench_rows", sa.Column(name, sa.BigInteger()))
    op.add_column("bench_rows", sa.Column("study", sa.Text()))
    op.add_column("bench_rows", sa.Column("own_original", sa.Boolean()))
    op.create_index("ix_bench_rows_study", "bench_rows", ["study"])
    # until now `auc` was always that of the float model: `host reproduce` alone wrote it
    op.execute("UPDATE bench_rows SET float_auc = auc, float_auc_drop = auc_drop, auc = NULL, auc_drop = NULL")
