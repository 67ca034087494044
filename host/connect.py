"""From a board to a client of its agent."""

from host import places
from host.boards import Board
from host.client import AgentClient
from host.local_agent import LocalAgent


def local_agent(board: Board) -> LocalAgent:
    """The agent of this machine for a board without an address."""
    folder = f"agents/{board.name}"
    return LocalAgent(places.state_dir() / folder, places.data_dir() / folder, board.profile)


def address_and_token(board: Board) -> tuple[str, str | None]:
    """Where its agent answers. A local one is started if need be: LocalAgentError. TokenFileError."""
    if board.address is not None:
        return board.address, board.token()
    agent = local_agent(board)
    return agent.ensure().address, agent.token()


def connect(board: Board) -> AgentClient:
    """A client of the board's agent. UnreachableError, ApiVersionError, BoardError."""
    return AgentClient.connect(board.name, *address_and_token(board))
