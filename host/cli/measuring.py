"""bench, profile, results"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from contract.api import MAX_PROFILE_RUNS, MAX_RUNS
from host.cli import options, output
from host.load.conveyor import Conveyor, read_conveyor, read_deadline

MAX_COOL_DOWN_S = 3600.0

T = TypeVar("T")


def _spoken(read: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """The callback of an option whose value `read` takes apart; what is wrong with it is a ValueError."""

    def value(_context: click.Context, _parameter: click.Parameter, text: str | None) -> T | None:
        try:
            return None if text is None else read(text)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return value


def _under_load(conveyor: Conveyor | None, deadline_s: float | None, through: str) -> Conveyor | None:
    """What --rate and --deadline come to."""
    if conveyor is None:
        if deadline_s is not None:
            raise click.UsageError("--deadline is of a conveyor: give its --rate too, like 20/s")
        return None
    if through != "http":
        raise click.UsageError("--rate is of requests: give --through http too")
    return replace(conveyor, deadline_s=deadline_s)


@click.command()
@options.board
@options.model
@click.option(
    "--runs", default=1000, show_default=True, type=click.IntRange(2, MAX_RUNS), help="The first is not counted."
)
@click.option("--trials", default=1, show_default=True, type=click.IntRange(1, 1000), help="Each in a fresh worker.")
@click.option(
    "--through",
    type=click.Choice(["worker", "http"]),
    default="worker",
    show_default=True,
    help="worker: the model alone; http: what a client of /infer waits for.",
)
@click.option("--inputs", metavar="DIR", type=options.FOLDER, help="Images to run on. Default: the golden inputs.")
@click.option(
    "--rate",
    "conveyor",
    metavar="RATE",
    callback=_spoken(read_conveyor),
    help="Through http: requests come like parts on a conveyor, whether or not the one before is done: 20/s, 1200/min, "
    "or a period, 50ms. max: find the highest rate at which p99 keeps the deadline.",
)
@click.option(
    "--deadline",
    "deadline_s",
    metavar="TIME",
    callback=_spoken(read_deadline),
    help="With --rate: the time a part has, like 40ms. Default: until the next one comes.",
)
@click.option("--interrupt", is_flag=True, help="Even if the board served requests in the last minute.")
@click.option(
    "--strict",
    is_flag=True,
    help="Measure nothing where the board is not fit for it: other load, clocks that follow the load, throttling, "
    "swap, a battery, a low power mode. What comes up during it is stored, and ends with exit code 5.",
)
@click.option(
    "--cool-down",
    "cool_down_s",
    metavar="SECONDS",
    type=click.FloatRange(0, MAX_COOL_DOWN_S),
    help="The most to wait before each further trial until the board is as cool as before the first; 0: never. "
    "[default: 60]",
)
@options.as_json
@click.pass_context
def bench(
    context: click.Context,
    board_name: str | None,
    model_name: str | None,
    runs: int,
    trials: int,
    through: str,
    inputs: Path | None,
    conveyor: Conveyor | None,
    deadline_s: float | None,
    interrupt: bool,
    strict: bool,
    cool_down_s: float | None,
    as_json: bool,
) -> None:
    """Measure latency over RUNS runs and peak memory on a board; every trial is stored.

    Meanwhile the board serves nothing else: requests get 503 until it is over.
    """
    from host.benching import Request
    from host.benching import bench as run
    from host.connect import connect
    from host.errors import DoesNotRunError
    from host.preflight import unfit
    from host.progress import shown
    from host.report.records import rows_as_json
    from host.report.tables import bench_table

    conveyor = _under_load(conveyor, deadline_s, through)
    board = options.chosen_board(board_name)
    request = Request(
        options.chosen_model(board, model_name),
        runs,
        trials,
        through,  # type: ignore[arg-type]  # click has checked it
        inputs,
        interrupt,
        conveyor=conveyor,
        strict=strict,
        cool_down_s=cool_down_s,
    )
    store = options.store()
    with shown() as progress, connect(board) as client:
        rows = run(client, store, request, progress)
    if as_json:
        output.say(rows_as_json(rows))
    else:
        output.show(bench_table(rows))
    if rows[-1].failure:
        context.exit(DoesNotRunError.exit_code)
    if strict and (error := unfit(rows)):
        output.tell(error, as_json=False)  # stdout has the rows already
        context.exit(error.exit_code)


@click.command()
@options.board
@options.model
@click.option(
    "--runs",
    default=100,
    show_default=True,
    type=click.IntRange(1, MAX_PROFILE_RUNS),
    help="The mean is over them. Runtimes keep a trace of all of them: 1000 at most.",
)
@click.option("--interrupt", is_flag=True, help="Even if the board served requests in the last minute.")
@options.as_json
def profile(board_name: str | None, model_name: str | None, runs: int, interrupt: bool, as_json: bool) -> None:
    """The time of each layer of a model, by its share of a run.

    Taken apart from every other measurement: a run that is profiled is slower.
    """
    from host.connect import connect
    from host.profiling import profile_layers
    from host.progress import shown
    from host.report.layers import layers_table

    board = options.chosen_board(board_name)
    model = options.chosen_model(board, model_name)
    with shown() as progress, connect(board) as client:
        taken = profile_layers(client, model, runs, interrupt, progress)
    if as_json:
        output.say_json(taken.model_dump(mode="json"))
    else:
        output.show(layers_table(taken))


@click.command()
@options.as_json
@click.option("--csv", "as_csv", is_flag=True, help="For spreadsheets, on stdout.")
@click.option("--board", "board_name", metavar="NAME", help="Of this board alone.")
@click.option("--model", "model_name", metavar="NAME", help="Of this model alone.")
@click.option("--limit", metavar="N", type=click.IntRange(1), help="The newest N alone.")
def results(as_json: bool, as_csv: bool, board_name: str | None, model_name: str | None, limit: int | None) -> None:
    """Every bench ever run, newest first."""
    import io

    from host.report.records import rows_as_csv, rows_as_json
    from host.report.tables import results_table

    if as_json and as_csv:
        raise click.UsageError("--json and --csv are two forms of the same: take one")
    rows = options.store().rows(limit, board=board_name, model=model_name)
    if as_json:
        output.say(rows_as_json(rows))
    elif as_csv:
        rows_as_csv(rows, file := io.StringIO(newline=""))
        output.say(file.getvalue().removesuffix("\n"))
    else:
        output.show(results_table(rows))
