"""How a board is set for a bench; with `apply` set anew, as far as its agent can."""

from contract.tuning import Tuning
from contract.version import __version__
from host.client import AgentClient
from host.errors import BoardError


def tune(client: AgentClient, *, apply: bool) -> Tuning:
    """BusyError where a bench or a deploy has the board; BoardError where its agent is from before this command."""
    try:
        return client.tune() if apply else client.tuning()
    except BoardError as error:
        if error.code != "not_found":  # the code of a path that the agent does not have
            raise
        raise BoardError(
            f"the agent of {client.board!r} cannot tune its board: it is older than this host (boardfit {__version__})",
            "install the same boardfit on both",
            error.code,
        ) from error


def all_done(tuning: Tuning) -> bool:
    """Whether every command that was to be run was; also where none was."""
    return all(step.state == "done" for step in tuning.steps)
