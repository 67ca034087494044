"""verify"""

import click

from host.cli import options, output


@click.command()
@options.board
@options.stop_others
@click.option("--docker", is_flag=True, help="Coral: run the Edge TPU's compiler in a container.")
@options.as_json
@click.pass_context
def verify(context: click.Context, board_name: str | None, stop_others: bool, docker: bool, as_json: bool) -> None:
    """Try the whole chain on a board: probe, convert, build, golden inputs, 100 runs, and again.

    With small models of our own, for as long as it takes; what the board serves is left as it is.
    """
    from host.connect import connect
    from host.progress import shown
    from host.report.checks import checks_as_json, checks_table
    from host.verifying import verify as run

    board = options.chosen_board(board_name)
    with shown() as progress, connect(board) as client:
        checks = run(client, board.facts(), progress, stop_others=stop_others, docker=docker)
    output.say(checks_as_json(checks)) if as_json else output.show(checks_table(checks))
    failures = [check.failure for check in checks if check.failure]
    if failures:
        context.exit(failures[0].exit_code)
