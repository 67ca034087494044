"""boards, boards add, boards remove, boards stop"""

import json
from dataclasses import dataclass
from pathlib import Path

import click

from contract.profile import profile_names
from host.boards import Board
from host.cli import options


@click.group(invoke_without_command=True)
@options.as_json
@click.pass_context
def boards(context: click.Context, as_json: bool) -> None:
    """The boards configured, and whether each answers."""
    if context.invoked_subcommand is not None:
        return
    states = [_state(board) for board in options.boards().all().values()]
    if as_json:
        click.echo(json.dumps([vars(state) for state in states]))
        return
    from host.cli.output import show
    from host.report.tables import boards_table

    show(boards_table([(s.name, s.profile, s.address or "this machine", s.state) for s in states]))


@dataclass(frozen=True)
class State:
    name: str
    profile: str
    address: str | None
    answers: bool
    state: str


def _state(board: Board) -> State:
    """Whether it answers, without starting anything."""
    from host.client import AgentClient
    from host.connect import address_and_token, local_agent
    from host.errors import HostError

    if board.address is None and local_agent(board).running() is None:
        return State(board.name, board.profile, None, False, "not running: started when it is needed")
    try:
        address, token = address_and_token(board)
        with AgentClient.connect(board.name, address, token) as client:
            agent, count = client.agent(), len(client.models())
    except HostError as error:
        return State(board.name, board.profile, board.address, False, error.message)
    models = f"{count} model{'' if count == 1 else 's'}"
    return State(board.name, board.profile, address, True, f"answers: boardfit {agent.version}, {models}")


@boards.command()
@click.argument("name")
@click.option("--profile", required=True, help=f"What kind of board: {', '.join(profile_names())}.")
@click.option("--address", required=True, metavar="URL", help="Where its agent answers, e.g. http://127.0.0.1:8470.")
@click.option("--token-file", type=click.Path(path_type=Path), help="A file with the agent's token.")
def add(name: str, profile: str, address: str, token_file: Path | None) -> None:
    """Add a board, or change one."""
    board = Board(name, profile, address, token_file)
    options.boards().add(board)
    click.echo(f"added {name}: {_state(options.boards().get(name)).state}")
    if token_file and board.is_in_the_clear:
        click.echo("note: token and images cross the network unencrypted; an SSH tunnel or https keeps them safe")


@boards.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget a board; what it serves it goes on serving."""
    options.boards().remove(name)
    click.echo(f"forgot {name}")


@boards.command()
@click.argument("name", default="desktop")
def stop(name: str) -> None:
    """End the agent that this machine runs for a board without an address."""
    from host.connect import local_agent
    from host.errors import InputError

    board = options.boards().get(name)
    if board.address is not None:
        raise InputError(f"{name!r} is an agent at {board.address}, not one of this machine", "end it there")
    click.echo(f"stopped {name}" if local_agent(board).stop() else f"{name} was not running")
