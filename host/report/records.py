"""Rows as JSON and CSV, by the keys of contract/results.py: what another program reads."""

import csv
import json
from collections.abc import Iterable
from typing import TextIO

from contract.results import DESCRIPTION_KEYS, FIGURE_KEYS, BenchRow

CONTEXT_KEYS = ("flags", "stopped_models", "unmet", "environment")


def rows_as_json(rows: Iterable[BenchRow]) -> str:
    """A JSON array of one flat object per row, e.g. ``"latency_ms.p99": 12.3``.

    DESCRIPTION_KEYS, FIGURE_KEYS, then flags, stopped_models, unmet (key of a null -> its reason) and environment.
    """
    return json.dumps([_record(row) for row in rows], indent=2, allow_nan=False)


def rows_as_csv(rows: Iterable[BenchRow], file: TextIO) -> None:
    """A header and one line per row: DESCRIPTION_KEYS, FIGURE_KEYS, flags (space between). A null is empty.

    Open `file` with ``newline=""``. The form is RFC 4180's, but for the line end, which is a line feed.
    """
    writer = csv.DictWriter(
        file, (*DESCRIPTION_KEYS, *FIGURE_KEYS, "flags"), extrasaction="ignore", lineterminator="\n"
    )
    writer.writeheader()
    for row in rows:
        writer.writerow({**_record(row), "flags": " ".join(row.flags)})


def _record(row: BenchRow) -> dict[str, object]:
    plain = row.model_dump(mode="json", include={*DESCRIPTION_KEYS, *CONTEXT_KEYS})
    return {
        **{key: plain[key] for key in DESCRIPTION_KEYS},
        **row.figures(),
        **{key: plain[key] for key in CONTEXT_KEYS},
    }
