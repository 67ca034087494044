"""What each compression has lost of its control's AUC: filled in, in whatever order the two were measured.

A control may come late: one that failed because of its board is measured by a later resume, after the rates.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from contract.results import BenchRow
from host.study.spec import CONTROL_RATE

if TYPE_CHECKING:
    from host.store import Store

LOST = {"auc_drop": "auc", "float_auc_drop": "float_auc"}


def complete(store: "Store", study: str, board: str | None = None) -> None:
    """In the rows of a study, or of one board of it. ResultsError."""
    for row in completed(store.rows(study=study, board=board)):
        store.replace(row)


def completed(rows: Sequence[BenchRow]) -> Iterator[BenchRow]:
    """Those whose drops are not what the AUCs say, or null without the reason, as they should be."""
    controls = {(row.board, row.trial): row for row in rows if row.requested_rate == CONTROL_RATE}
    for row in rows:
        made = row
        for key, auc in LOST.items():
            made = _with_drop(made, key, auc, controls.get((row.board, row.trial)))
        if made != row:
            yield made


def _with_drop(row: BenchRow, key: str, auc: str, control: BenchRow | None) -> BenchRow:
    """A row that has no AUC itself says why already."""
    above, own = None if control is None else getattr(control, auc), getattr(row, auc)
    unmet = {each: reason for each, reason in row.unmet.items() if each != key}
    if own is not None and above is None:
        reason = "not measured yet" if control is None else control.failure or "no score there"
        unmet[key] = f"the control has no AUC on {row.board}: {reason}"
    drop = None if own is None or above is None else above - own
    return row.model_copy(update={key: drop, "unmet": unmet})
