"""infer, stats"""

from pathlib import Path

import click

from host.cli import options


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@options.board
@options.model
@click.option("--maps", type=click.Path(path_type=Path, file_okay=False), help="Folder for the anomaly maps, as PNG.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for outputs, .npy.")
@options.as_json
def infer(
    files: tuple[Path, ...],
    board_name: str | None,
    model_name: str | None,
    maps: Path | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Ask a deployed model about FILES: PNG, JPEG or .npy. Score and decision, or tensors."""
    from host.connect import connect
    from host.inferring import infer_all
    from host.report.inferences import inferences_as_json, inferences_table

    board = options.chosen_board(board_name)
    name = options.chosen_model(board, model_name)
    with connect(board) as client:
        inferences = infer_all(client, name, files, maps, output)
    if as_json:
        click.echo(inferences_as_json(inferences))
        return
    from host.cli.output import show

    show(inferences_table(inferences))


@click.command()
@options.board
@click.option("--watch", is_flag=True, help="Every second, until Ctrl-C.")
@options.as_json
def stats(board_name: str | None, watch: bool, as_json: bool) -> None:
    """What the agent's /stats says: requests, latency, restarts, memory, the board."""
    import time

    from host.cli.output import live, show
    from host.connect import connect
    from host.report.stats import stats_table

    with connect(options.chosen_board(board_name)) as client:
        if as_json:
            click.echo(client.stats().model_dump_json())
            while watch:
                time.sleep(1)
                click.echo(client.stats().model_dump_json())
        elif watch:
            live(lambda: stats_table(client.stats()))
        else:
            show(stats_table(client.stats()))
