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
from host.errors import DoesNotRunError
from host.progress import Progress

if TYPE_CHECKING:
    from host.store import Store


def deploy(
    client: AgentClient, name: str, bundle: Bundle, progress: Progress, open_store: Callable[[], "Store"]
) -> Activation:
    """Serves `bundle` as `name` on the board of `client`. BoardError, UnreachableError: what was served still is.

    DoesNotRunError: that the model does not run there is stored as a result, which the message names.
    """
    progress.stage(f"pushing to {client.board}")
    push(client, bundle, progress)
    try:
        return finished(client, client.activate(name, bundle.manifest.bundle_id), progress)
    except DoesNotRunError as error:
        row = _failure(open_store(), client.board, name, bundle.manifest, error)
        raise DoesNotRunError(f"{error.message} (stored as result {row.id})", error.hint, error.code) from error


def rollback(client: AgentClient, name: str, progress: Progress) -> Activation:
    """Serves the version before this one again."""
    return finished(client, client.rollback(name), progress)


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


def _failure(store: "Store", board: str, name: str, manifest: Manifest, error: DoesNotRunError) -> BenchRow:
    row_id = store.new_id()
    row = BenchRow(
        id=row_id,
        session=row_id,
        trial=0,
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
        failure=error.message,
        failure_code=error.code,
    )
    store.add(row)
    return row


def _advance(progress: Progress, before: int, total: int, done: int, _size: int) -> None:
    progress.advance(before + done, total)


def finished(client: AgentClient, job: Job, progress: Progress) -> Activation:
    """The outcome of an activation."""

    def on_job(state: Job) -> None:
        progress.stage(f"{client.board}: {state.stage}")
        progress.advance(state.done, state.total)

    activation = client.wait(job, on_job).activation
    assert activation is not None
    return activation
