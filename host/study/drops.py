"""What each compression has lost of its control's AUC: filled in, in whatever order the two were measured.

A control may come late: one that failed because of its board is measured by a later resume, after the rates.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from contract.results import DOES_NOT_RUN, BenchRow
from host.study.spec import CONTROL_RATE

if TYPE_CHECKING:
    from host.store import Store

NO_AUC = "the model reconstructs no image, or the images are no data set in MVTec AD's layout"
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
    """Or with the reason why there is none."""
    above, own = None if control is None else getattr(control, auc), getattr(row, auc)
    if control is not None and control.failure_code in DOES_NOT_RUN:
        above = control.float_auc  # too large for the board: what is lost is lost of its float form
    unmet = {each: reason for each, reason in row.unmet.items() if each != key}
    if own is None and row.failure is None:
        unmet[auc] = NO_AUC
    if own is not None and above is None:
        reason = "not measured yet" if control is None else control.failure or "no score there"
        unmet[key] = f"the control has no AUC on {row.board}: {reason}"
    drop = None if own is None or above is None else above - own
    return row.model_copy(update={key: drop, "unmet": unmet})
