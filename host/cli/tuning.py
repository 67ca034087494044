"""tune"""

import click

from host.cli import options, output


@click.command()
@options.board
@click.option("--apply", is_flag=True, help="Do what the agent can do about it, by sudo on the board.")
@options.as_json
@click.pass_context
def tune(context: click.Context, board_name: str | None, apply: bool, as_json: bool) -> None:
    """What would make a stable bench on a board: power mode, clocks, desktop, swap.

    Nothing is changed without --apply; what needs a reboot never is.
    """
    from host.connect import connect
    from host.errors import BoardError
    from host.report.tuning import tuning_table
    from host.tuning import all_done
    from host.tuning import tune as run

    with connect(options.chosen_board(board_name)) as client:
        tuning = run(client, apply=apply)
    output.say_json(tuning.model_dump(mode="json")) if as_json else output.show(tuning_table(tuning, applied=apply))
    if not all_done(tuning):
        context.exit(BoardError.exit_code)
