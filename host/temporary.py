"""A model on a board for as long as a block lasts: measured there, or asked, and gone again."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from contract.api import Activation, Job
from host import interrupts
from host.bundle import Bundle
from host.client import AgentClient
from host.deploying import NEEDS_BOARD, TAKEN, activated, push
from host.errors import BoardError, HostError
from host.progress import Progress


@contextmanager
def temporarily(
    client: AgentClient, bundle: Bundle, progress: Progress, *, stop_others: bool = False
) -> Iterator[tuple[str, Activation]]:
    """Its name on the board of `client`, which nobody else has, and how its deploy went. DoesNotRunError, BoardError.

    Requests that name no model do not notice it, and it is removed come what may: by the board itself where this
    process is killed, and also where the block leaves it alone for 10 minutes (agent/settings.py). `stop_others`: the
    models that are served may be stopped for it; they are back when it goes.
    """
    name = f"temporary-{secrets.token_hex(6)}"
    progress.stage(f"{client.board}: pushing")
    push(client, bundle, progress)
    activate = partial(
        client.activate,
        name,
        bundle.manifest.bundle_id,
        temporary=True,
        stop_others=stop_others,
        replace=stop_others,
    )
    try:
        yield name, _activated(client, activate, progress)
    finally:
        with interrupts.held_back():
            _remove(client, name, progress)


def _activated(client: AgentClient, activate: Callable[[], Job], progress: Progress) -> Activation:
    try:
        return activated(client, activate, progress)
    except BoardError as error:
        if error.code not in (NEEDS_BOARD, TAKEN):
            raise
        hint = "say --stop-others: they are stopped meanwhile, and back afterwards"
        raise BoardError(error.message, hint, error.code) from error


def _remove(client: AgentClient, name: str, progress: Progress) -> None:
    try:
        client.remove(name)
    except HostError as error:  # hides nothing else that went wrong
        if error.code != "unknown_model":  # it was never served, or has expired
            progress.note(
                f"note: {name} is still on {client.board}: {error.message}; it goes by itself once it has been idle "
                f"for a while, or at once: host remove --board {client.board} --model {name}"
            )
