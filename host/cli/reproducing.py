"""reproduce"""

from contextlib import ExitStack
from pathlib import Path

import click
from click.core import ParameterSource

from host.cli import options, output


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", metavar="DIR", type=options.FOLDER, help="In MVTec AD's layout. Default: synthetic capsules.")
@click.option(
    "--seeds", default=3, show_default=True, type=click.IntRange(1, 100), help="Originals, each compressed anew."
)
@click.option(
    "--model",
    type=click.Choice(["tiny", "small", "medium", "large"]),
    default="medium",
    show_default=True,
    help="As of `host train`.",
)
@click.option("--processes", default=2, show_default=True, type=click.IntRange(1), help="At a time, one thread each.")
@click.option("--quick", is_flag=True, help="A small model and few epochs, in a minute: its figures say nothing.")
@click.option("--board", "board_name", metavar="NAME", default="desktop", show_default=True, help="Where to measure.")
@click.option("--interrupt", is_flag=True, help="Measure even if the board served requests in the last minute.")
@click.option("--no-bench", is_flag=True, help="Accuracy alone.")
@options.as_json
@click.pass_context
def reproduce(
    context: click.Context,
    folder: Path,
    data: Path | None,
    seeds: int,
    model: str,
    processes: int,
    quick: bool,
    board_name: str,
    interrupt: bool,
    no_bench: bool,
    as_json: bool,
) -> None:
    """The published experiment: every rate from 0 to 99.9 %, its AUC, latency and memory, into FOLDER.

    Interrupted, the same command goes on where it was.
    """
    from dataclasses import replace

    from host.connect import connect
    from host.progress import shown
    from host.report.reproduction import reproduction_record, reproduction_table
    from host.reproducing import Request
    from host.reproducing import reproduce as run
    from host.reproduction.measuring import Board
    from host.reproduction.plan import QUICK, Experiment

    for name in ("model", "seeds"):
        if quick and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--quick has its own --{name}: leave one of them out")
    board = options.boards().get(board_name)  # one that is not there is better known now
    experiment = QUICK if quick else replace(Experiment(), model=model, seeds=tuple(range(seeds)))
    with ExitStack() as stack:
        progress = stack.enter_context(shown())

        def connected() -> Board:
            return Board(stack.enter_context(connect(board)), board.facts(), options.store())

        request = Request(folder, experiment, data, processes, interrupt)
        made = run(request, None if no_bench else connected, progress)
    if as_json:
        output.say_json(reproduction_record(made.summaries, made.rows))
        return
    output.show(reproduction_table(made.summaries, made.rows))
    output.say(f"wrote {', '.join(map(str, made.written))}")
