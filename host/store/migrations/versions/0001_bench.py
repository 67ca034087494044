"""Bench rows and their samples."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "bench_rows",
        sa.Column("id", sa.String(8), primary_key=True),
        sa.Column("session", sa.Text(), nullable=False),
        sa.Column("trial", sa.Integer(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("board", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("bundle", sa.Text(), nullable=False),
        sa.Column("source_name", sa.Text(), nullable=False),
        sa.Column("precision", sa.Text(), nullable=False),
        sa.Column("through", sa.Text(), nullable=False),
        sa.Column("requested_runs", sa.Integer(), nullable=False),
        sa.Column("inputs", sa.Text(), nullable=False),
        sa.Column("failure", sa.Text()),
        sa.Column("failure_code", sa.Text()),
        sa.Column("steady_from_run", sa.Integer()),
        sa.Column("first_run_ms", sa.Double()),
        sa.Column("counted_runs", sa.BigInteger()),
        sa.Column("latency_ms__mean", sa.Double()),
        sa.Column("latency_ms__median", sa.Double()),
        sa.Column("latency_ms__p90", sa.Double()),
        sa.Column("latency_ms__p95", sa.Double()),
        sa.Column("latency_ms__p99", sa.Double()),
        sa.Column("latency_ms__min", sa.Double()),
        sa.Column("latency_ms__max", sa.Double()),
        sa.Column("latency_ms__std", sa.Double()),
        sa.Column("accelerator_ms__mean", sa.Double()),
        sa.Column("convert_ms__mean", sa.Double()),
        sa.Column("decision_ms__mean", sa.Double()),
        sa.Column("peak_memory_bytes", sa.BigInteger()),
        sa.Column("model_peak_bytes", sa.BigInteger()),
        sa.Column("baseline_bytes", sa.BigInteger()),
        sa.Column("build_peak_bytes", sa.BigInteger()),
        sa.Column("load_peak_bytes", sa.BigInteger()),
        sa.Column("run_peak_bytes", sa.BigInteger()),
        sa.Column("accelerator_peak_bytes", sa.BigInteger()),
        sa.Column("system_delta_peak_bytes", sa.BigInteger()),
        sa.Column("weights", sa.BigInteger()),
        sa.Column("rate", sa.Double()),
        sa.Column("auc", sa.Double()),
        sa.Column("auc_drop", sa.Double()),
        sa.Column("memory_measured", sa.Boolean(), nullable=False),
        sa.Column("environment", sa.JSON()),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("stopped_models", sa.JSON(), nullable=False),
        sa.Column("unmet", sa.JSON(), nullable=False),
    )
    op.create_index("ix_bench_rows_measured_at", "bench_rows", ["measured_at"])
    op.create_table(
        "bench_samples",
        sa.Column("row_id", sa.String(8), sa.ForeignKey("bench_rows.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("samples_ns_zlib", sa.LargeBinary(), nullable=False),
    )
