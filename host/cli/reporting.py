"""report"""

from pathlib import Path

import click

from host.cli import options, output
from host.cli.choosing import different_environment
from host.report.html.texts import LANGUAGES

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("study", required=False)
@click.option("-o", "--output", "html", metavar="FILE", type=_FILE, help="The page. Default: STUDY.html, here.")
@click.option("--csv", metavar="FILE", type=_FILE, help="The rows for spreadsheets.")
@click.option("--json", "json_", metavar="FILE", type=_FILE, help="The rows for programs, with all that is known.")
@click.option("--parquet", metavar="FILE", type=_FILE, help="The same rows, for data frames: needs pyarrow.")
@click.option("--figures", metavar="DIR", type=options.FOLDER, help="The figures, each as SVG and PNG.")
@click.option(
    "--lang",
    "language",
    type=click.Choice(LANGUAGES),
    help="What the page begins in, and the figures are in. Default: the reader's browser's; English.",
)
@click.option(
    "--objective",
    metavar="KEY",
    default="latency_ms.mean",
    show_default=True,
    help="For the rate to name: what to be best in, as of `host choose`.",
)
@click.option(
    "--constraint",
    "constraints",
    multiple=True,
    metavar="'KEY<=N'",
    help="For the rate to name: a condition, as of `host choose`. Any number of them.",
)
@click.option("--point", is_flag=True, help="Judge by the estimates, whatever their intervals are.")
@different_environment
@click.option("--no-examples", is_flag=True, help="Without example images and their error maps.")
def report(
    study: str | None,
    html: Path | None,
    csv: Path | None,
    json_: Path | None,
    parquet: Path | None,
    figures: Path | None,
    language: str | None,
    objective: str,
    constraints: tuple[str, ...],
    point: bool,
    allow_different_environment: bool,
    no_examples: bool,
) -> None:
    """STUDY as one HTML file that opens without the internet. Default: the newest study.

    It has the conditions, the figures, which rate to take and why, example images and all rows, in English and
    Japanese. Asked for rows or figures alone, it leaves the page out, unless -o names it. Files that are there are
    replaced.
    """
    from host.choosing.choice import Request as Question
    from host.choosing.conditions import parse_constraint, parse_objective
    from host.progress import shown
    from host.reporting import Request
    from host.reporting import report as run

    question = Question(
        parse_objective(objective),
        tuple(parse_constraint(each) for each in constraints),
        point=point,
        allow_different_environment=allow_different_environment,
    )
    request = Request(
        study,
        question,
        html,
        csv,
        json_,
        parquet,
        figures,
        language,  # type: ignore[arg-type]  # click has checked it
        not no_examples,
    )
    with shown() as progress:
        written = run(request, progress)
    for path in written:
        output.say(f"wrote {path}")
