"""choose, compare"""

import secrets

import click

from host.cli import options, output

different_environment = click.option(
    "--allow-different-environment",
    is_flag=True,
    help="Compare rows of other power modes, systems or runtimes, and of throttled runs, all the same.",
)


@click.command()
@click.argument("study", required=False)
@click.option(
    "--objective",
    metavar="KEY",
    default="latency_ms.mean",
    show_default=True,
    help="What to be best in: the least of a time, of bytes or energy, the most of an AUC or a rate; min:KEY, max:KEY.",
)
@click.option(
    "--constraint",
    "constraints",
    multiple=True,
    metavar="'KEY<=N'",
    help="In quotes, with <=, <, >= or >: 'auc_drop<=0.01', 'model_peak_bytes<=300MiB'. Any number of them.",
)
@click.option(
    "--board", "boards", multiple=True, metavar="NAME", help="Of this board alone. Default: all of the study."
)
@click.option("--point", is_flag=True, help="Judge by the estimates, whatever their intervals are.")
@different_environment
@options.as_json
@click.pass_context
def choose(
    context: click.Context,
    study: str | None,
    objective: str,
    constraints: tuple[str, ...],
    boards: tuple[str, ...],
    point: bool,
    allow_different_environment: bool,
    as_json: bool,
) -> None:
    """Which compression rate of STUDY to take on each board. Default: the newest study.

    The keys are those of `host results --json`. A condition is met when the worse end of its 95 % interval meets it,
    failed when the better end does not, and undecided between. Without one, it is the knee of AUC against the
    objective. Ends with 1 where no board has an answer.
    """
    from host.choosing.choice import Request
    from host.choosing.choose import choose as run
    from host.choosing.conditions import parse_constraint, parse_objective
    from host.report.choice import choice_table
    from host.report.choice_record import choice_record
    from host.study.results import read_study

    request = Request(
        parse_objective(objective),
        tuple(parse_constraint(each) for each in constraints),
        tuple(dict.fromkeys(boards)),
        point,
        allow_different_environment,
    )
    choice = run(read_study(study), request)
    output.say_json(choice_record(choice)) if as_json else output.show(choice_table(choice))
    if not choice.found:
        context.exit(1)


@click.command()
@click.argument("run_a")
@click.argument("run_b")
@click.option("--anew", is_flag=True, help="Measure both again first, in pairs, on the board where they are.")
@click.option("--trials", metavar="N", type=click.IntRange(2, 1000), help="With --anew: so many pairs. Default: 5.")
@click.option("--seed", metavar="N", type=click.IntRange(0), help="With --anew: of the order in the pairs.")
@click.option("--interrupt", is_flag=True, help="With --anew: even if the board served requests in the last minute.")
@different_environment
@options.as_json
def compare(
    run_a: str,
    run_b: str,
    anew: bool,
    trials: int | None,
    seed: int | None,
    interrupt: bool,
    allow_different_environment: bool,
    as_json: bool,
) -> None:
    """How many times as fast RUN_B is as RUN_A, with its 95 % interval, or that it cannot be told.

    A run is the id of a result, or its start: all trials of its session, or of its rate in a study, belong to it.
    Trials of both tell most when measured in turn: --anew.
    """
    from host.comparing.anew import Anew, compare_anew, find_pair
    from host.comparing.comparison import compare as run
    from host.comparing.runs import find_runs
    from host.connect import connect
    from host.progress import shown
    from host.report.comparison import comparison_record, comparison_table

    if not anew and (trials, seed, interrupt) != (None, None, False):
        raise click.UsageError("--trials, --seed and --interrupt are of --anew")
    store = options.store()
    if anew:
        pair = find_pair(store, run_a, run_b)
        asked = Anew(trials or 5, secrets.randbelow(10**6) if seed is None else seed, interrupt)
        with shown() as progress, connect(options.boards().get(pair[0].board)) as client:
            compared = compare_anew(
                client, store, pair, asked, progress, allow_different_environment=allow_different_environment
            )
    else:
        a, b = find_runs(store, run_a, run_b, allow_invalid=allow_different_environment)
        compared = run(a, b, allow_different_environment=allow_different_environment)
    output.say_json(comparison_record(compared)) if as_json else output.show(comparison_table(compared))
