"""bench, results"""

import sys
from pathlib import Path

import click

from contract.api import MAX_RUNS
from host.cli import options


@click.command()
@options.board
@options.model
@click.option("--runs", default=1000, show_default=True, type=click.IntRange(2, MAX_RUNS), help="One is not counted.")
@click.option("--trials", default=1, show_default=True, type=click.IntRange(1, 1000), help="Each in a fresh worker.")
@click.option(
    "--through",
    type=click.Choice(["worker", "http"]),
    default="worker",
    show_default=True,
    help="worker: the model alone; http: what a client of /infer waits for.",
)
@click.option("--inputs", type=click.Path(path_type=Path, file_okay=False), help="Folder of images.")
@click.option("--interrupt", is_flag=True, help="Also where the board served requests in the last minute.")
@options.as_json
def bench(
    board_name: str | None,
    model_name: str | None,
    runs: int,
    trials: int,
    through: str,
    inputs: Path | None,
    interrupt: bool,
    as_json: bool,
) -> None:
    """Measure latency over RUNS runs and peak memory on a board; every trial is stored."""
    from host.benching import Request
    from host.benching import bench as run
    from host.connect import connect
    from host.errors import DoesNotRunError
    from host.progress import shown
    from host.report.records import rows_as_json
    from host.report.tables import bench_table

    board = options.chosen_board(board_name)
    request = Request(options.chosen_model(board, model_name), runs, trials, through, inputs, interrupt)  # type: ignore[arg-type]  # click has checked it
    store = options.store()
    with shown() as progress, connect(board) as client:
        rows = run(client, store, request, progress)
    if as_json:
        click.echo(rows_as_json(rows))
    else:
        from host.cli.output import show

        show(bench_table(rows))
    if rows[-1].failure:
        sys.exit(DoesNotRunError.exit_code)


@click.command()
@options.as_json
@click.option("--csv", "as_csv", is_flag=True, help="For spreadsheets, on stdout.")
@click.option("--board", "board_name", metavar="NAME", help="Of this board alone.")
@click.option("--model", "model_name", metavar="NAME", help="Of this model alone.")
@click.option("--limit", type=click.IntRange(1), help="At most so many.")
def results(as_json: bool, as_csv: bool, board_name: str | None, model_name: str | None, limit: int | None) -> None:
    """Every bench ever run, newest first."""
    from host.report.records import rows_as_csv, rows_as_json
    from host.report.tables import results_table

    if as_json and as_csv:
        raise click.UsageError("--json and --csv are two forms of the same: take one")
    rows = options.store().rows(limit, board=board_name, model=model_name)
    if as_json:
        click.echo(rows_as_json(rows))
    elif as_csv:
        rows_as_csv(rows, sys.stdout)
    else:
        from host.cli.output import show

        show(results_table(rows))
