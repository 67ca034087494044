"""The deploy, top to bottom: push what the board lacks, have it load, prove and switch."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from contract.api import Activation, Job
from contract.manifest import Manifest
from contract.results import BenchRow
from host.bundle import Bundle
from host.client import AgentClient
from host.errors import BoardError, DoesNotRunError, ResultsError
from host.progress import Progress, on_job

if TYPE_CHECKING:
    from host.store import Store

NEEDS_BOARD = "build_needs_board"
"""An agent's error: the board has no memory to build while it serves other models."""

TAKEN = "accelerator_taken"
"""An agent's error: another model has the accelerator, which one model has at a time."""

FAR_THRESHOLD = 2.0
"""A factor beyond which a board's threshold is told apart: in int8 TFLite the example moves by 13 %."""

MayDo = Callable[[str], bool]
"""Asked with the board's own words; whether the user lets it do that to other models."""


def never(_why: str) -> bool:
    """Nobody to ask is a no."""
    return False


def deploy(
    client: AgentClient,
    name: str,
    bundle: Bundle,
    progress: Progress,
    open_store: Callable[[], "Store"],
    may_stop_others: MayDo = never,
    may_replace: MayDo = never,
) -> Activation:
    """Serves `bundle` as `name` on the board of `client`. BoardError, UnreachableError: what was served still is.

    DoesNotRunError: that the model does not run there is stored as a result, which the message names.
    `may_stop_others` is asked where a build there needs the whole board, `may_replace` where another model has the
    accelerator that this one needs.
    """
    progress.stage(f"{client.board}: pushing")
    push(client, bundle, progress)
    try:
        activate = partial(client.activate, name, bundle.manifest.bundle_id)
        return _permitted(client, activate, progress, may_stop_others, may_replace)
    except DoesNotRunError as error:
        kept = _keep_failure(open_store, client.board, name, bundle.manifest, error)
        message = f"{bundle.manifest.provenance.source_name} does not run on {client.board}: {error.message} ({kept})"
        raise DoesNotRunError(message, error.hint, error.code) from error


def rollback(
    client: AgentClient,
    name: str,
    progress: Progress,
    may_stop_others: MayDo = never,
    may_replace: MayDo = never,
) -> Activation:
    """Serves the version before this one again. BoardError, UnreachableError; who is asked: as in `deploy`."""
    return _permitted(client, partial(client.rollback, name), progress, may_stop_others, may_replace)


def _permitted(
    client: AgentClient, start: Callable[..., Job], progress: Progress, may_stop_others: MayDo, may_replace: MayDo
) -> Activation:
    """The outcome of what `start` begins; begun again with what the board needs and the user permits, each once."""
    wishes = {NEEDS_BOARD: ("stop_others", may_stop_others), TAKEN: ("replace", may_replace)}
    granted: dict[str, bool] = {}
    while True:
        try:
            return activated(client, partial(start, **granted), progress)
        except BoardError as error:
            flag, may = wishes.get(error.code, ("", never))
            if flag in granted or not may(error.message):
                raise
            granted[flag] = True


def doubts(activation: Activation) -> tuple[str, ...]:
    """What a user should look at before the board's decisions are trusted."""
    here, there = activation.threshold_board, activation.threshold_model
    if here is None or there is None or not (here > 0 and there > 0):
        return ()
    factor = here / there
    if 1 / FAR_THRESHOLD <= factor <= FAR_THRESHOLD:
        return ()
    what = f"the board's threshold is {factor:.3g} times the model's own: its scores are others than in training"
    return (f"{what}; see what it finds there: host evaluate --board",)


def push(client: AgentClient, bundle: Bundle, progress: Progress) -> int:
    """Sends the files the board lacks; their bytes."""
    content = {entry.sha256: bundle.files[name] for name, entry in bundle.manifest.files.items()}
    missing = client.offer(bundle.manifest).missing
    total = sum(entry.size_bytes for entry in missing)
    sent = 0
    for entry in missing:
        client.upload(entry, content[entry.sha256], partial(_advance, progress, sent, total))
        sent += entry.size_bytes
    return total


def activated(client: AgentClient, start: Callable[[], Job], progress: Progress) -> Activation:
    """The outcome of an activation that `start` begins. DoesNotRunError, BoardError, UnreachableError."""
    activation = client.finish(start, on_job(client.board, progress)).activation
    assert activation is not None
    return activation


def _keep_failure(
    open_store: Callable[[], "Store"], board: str, name: str, manifest: Manifest, error: DoesNotRunError
) -> str:
    """Stores that the model does not run; in words, what became of it: trouble with the results hides no other."""
    try:
        store = open_store()
        row = failure_row(store.new_id(), board, name, manifest, error)
        store.add(row)
    except ResultsError as trouble:
        return f"not stored as a result: {trouble.message}"
    return f"stored as result {row.id}"


def failure_row(row_id: str, board: str, name: str, manifest: Manifest, error: DoesNotRunError) -> BenchRow:
    """That a model does not run on a board: a result."""
    return BenchRow(
        id=row_id,
        session=row_id,
        trial=1,
        measured_at=datetime.now(UTC),
        board=board,
        model=name,
        bundle=manifest.bundle_id,
        source_name=manifest.provenance.source_name,
        precision=manifest.provenance.precision,
        through="worker",
        requested_runs=0,
        inputs="golden",
        weights=manifest.weights,
        macs=manifest.macs,
        rate=manifest.rate,
        failure=error.message,
        failure_code=error.code,
    )


def _advance(progress: Progress, before: int, total: int, done: int, _size: int) -> None:
    progress.advance(before + done, total)
