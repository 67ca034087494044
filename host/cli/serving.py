"""infer, stats"""

from pathlib import Path

import click

from host.cli import options, output


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@options.board
@options.model
@click.option("--maps", metavar="DIR", type=options.FOLDER, help="Write the anomaly maps there, as PNG.")
@click.option("-o", "--output", "outputs", metavar="DIR", type=options.FOLDER, help="Write the outputs there, as .npy.")
@options.as_json
@click.pass_context
def infer(
    context: click.Context,
    files: tuple[Path, ...],
    board_name: str | None,
    model_name: str | None,
    maps: Path | None,
    outputs: Path | None,
    as_json: bool,
) -> None:
    """Ask a deployed model about FILES: PNG, JPEG or .npy.

    The answer is score and decision of a model that decides, else its outputs in short.
    """
    from host.connect import connect
    from host.inferring import Answer, Failure, Request, infer_all
    from host.progress import shown
    from host.report.inferences import inferences_as_json, inferences_table

    board = options.chosen_board(board_name)
    request = Request(options.chosen_model(board, model_name), files, maps, outputs)
    with shown() as progress, connect(board) as client:
        answers = infer_all(client, request, progress)
    if as_json:
        output.say(inferences_as_json(answers))
    else:
        output.show(inferences_table([answer for answer in answers if isinstance(answer, Answer)]))
    failures = [answer.error for answer in answers if isinstance(answer, Failure)]
    for error in {error.message: error for error in failures}.values():
        output.tell(error, as_json=False)
    if failures:
        if len(files) > 1:
            click.echo(f"host: {len(failures):,} of {len(files):,} files have no answer", err=True)
        context.exit(failures[0].exit_code)


@click.command()
@options.board
@click.option("--watch", is_flag=True, help="Every second, until Ctrl-C.")
@options.as_json
def stats(board_name: str | None, watch: bool, as_json: bool) -> None:
    """What a board's agent counts: requests, latency, restarts, memory."""
    from host.connect import connect
    from host.report.stats import stats_table

    with connect(options.chosen_board(board_name)) as client:
        if not watch:
            read = client.stats()
            output.say_json(read.model_dump(mode="json")) if as_json else output.show(stats_table(read))
            return
        try:
            output.watch_json(client.stats) if as_json else output.watch(client.stats, stats_table)
        except KeyboardInterrupt as interrupt:
            if type(interrupt) is not KeyboardInterrupt:  # SIGTERM is not how one ends a watch
                raise
