"""The deploy, top to bottom: push what the board lacks, have it load, prove and switch."""

from functools import partial

from contract.api import Activation, Job
from host.bundle import Bundle
from host.client import AgentClient
from host.progress import Progress


def deploy(client: AgentClient, name: str, bundle: Bundle, progress: Progress) -> Activation:
    """Serves `bundle` as `name` on the board of `client`. BoardError, UnreachableError: what was served still is."""
    progress.stage(f"pushing to {client.board}")
    push(client, bundle, progress)
    return finished(client, client.activate(name, bundle.manifest.bundle_id), progress)


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
