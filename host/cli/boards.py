"""boards, boards add, boards remove, boards stop"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from contract.profile import profile_names
from host.boards import Board
from host.cli import options, output
from host.cli.group import Group


@click.group(cls=Group, invoke_without_command=True)
@options.as_json
@click.pass_context
def boards(context: click.Context, as_json: bool) -> None:
    """The boards there are, and whether each answers."""
    if context.invoked_subcommand is not None:
        return
    found = options.boards().all().values()
    with ThreadPoolExecutor(max_workers=16) as threads:  # one that does not answer keeps nobody waiting
        states = list(threads.map(_state, found))
    if as_json:
        output.say_json([asdict(state) for state in states])
        return
    from host.report.tables import boards_table

    output.show(boards_table([(s.name, s.profile, s.address or "this machine", s.state) for s in states]))


@dataclass(frozen=True)
class State:
    """Of one board."""

    name: str
    profile: str
    address: str | None
    answers: bool
    state: str


def _state(board: Board) -> State:
    """Whether it answers, without starting anything."""
    from host.client import AgentClient
    from host.connect import local_agent
    from host.errors import HostError

    address = board.address
    try:
        board.facts()
        token = board.token()
        if address is None:
            agent = local_agent(board)
            if (running := agent.running()) is None:
                return State(board.name, board.profile, None, False, "not running: started when it is needed")
            address, token = running.address, agent.token()
        with AgentClient.connect(board.name, address, token) as client:
            version, count = client.agent().version, len(client.models())
    except HostError as error:
        return State(board.name, board.profile, address, False, error.message)
    models = f"{count} model{'' if count == 1 else 's'}"
    return State(board.name, board.profile, address, True, f"answers: boardfit {version}, {models}")


@boards.command()
@click.argument("name")
@click.option("--profile", required=True, metavar="P", help=f"What kind of board: {', '.join(profile_names())}.")
@click.option("--address", required=True, metavar="URL", help="Where its agent answers, e.g. http://127.0.0.1:8470.")
@click.option(
    "--token-file", metavar="F", type=click.Path(path_type=Path), help="A file with the agent's token; chmod 600."
)
def add(name: str, profile: str, address: str, token_file: Path | None) -> None:
    """Add the board NAME, or change it."""
    board = Board(name, profile, address, token_file)
    changed = options.boards().add(board)
    output.say(f"{'changed' if changed else 'added'} {name}: {_state(options.boards().get(name)).state}")
    if token_file and board.is_in_the_clear:
        output.say("note: token and images cross the network unencrypted; an SSH tunnel or https keeps them safe")


@boards.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget the board NAME; what it serves it goes on serving."""
    options.boards().remove(name)
    output.say(f"forgot {name}")


@boards.command()
@click.argument("name", default="desktop")
def stop(name: str) -> None:
    """End the agent that this machine runs for NAME, a board without an address.  [default: desktop]"""
    from host.connect import local_agent
    from host.errors import InputError

    board = options.boards().get(name)
    if local_agent(board).stop():
        output.say(f"stopped {name}")
    elif board.address is not None:
        raise InputError(f"{name!r} is an agent at {board.address}, not one of this machine", "end it there")
    else:
        output.say(f"{name} was not running")
