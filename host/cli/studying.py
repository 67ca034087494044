"""study run, study resume, study status, study show, study list"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from host.cli import options, output
from host.cli.group import Group

if TYPE_CHECKING:
    from host.engine.engine import Engine
    from host.progress import Progress
    from host.study.records import Opened

_WHERE = (
    click.option("--processes", type=click.IntRange(1), help="At a time on this machine. Default: one for each core."),
    click.option(
        "--ray", "ray_address", metavar="ADDRESS", help="Teach on a Ray cluster that is there: HOST:PORT, or auto."
    ),
    click.option("--interrupt", is_flag=True, help="Measure on boards that serve requests, their models stopped."),
    options.as_json,
)


def _where(command: Any) -> Any:
    for option in reversed(_WHERE):
        command = option(command)
    return command


def _list(_context: click.Context, parameter: click.Parameter, value: str | None) -> list[Any] | None:
    if value is None:
        return None
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if parameter.name != "rates":
        return parts
    try:
        return [float(part) for part in parts]
    except ValueError:
        raise click.BadParameter(f"{value!r} is not like 0.9,0.99") from None


@click.group(cls=Group)
def study() -> None:
    """Which compression rate, on which board: every rate measured on every board, resumable at any point."""


@study.command()
@click.argument("file", required=False, metavar="[STUDY.toml]", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", help="Default: that of STUDY.toml, else of the images' folder.")
@click.option(
    "--data",
    metavar="DIR",
    type=options.FOLDER,
    help="In MVTec AD's layout; for a model that reconstructs nothing, any images.",
)
@click.option("--model", metavar="MODEL", help="tiny, small, medium or large, trained here; or an .onnx file.")
@click.option(
    "--rates", metavar="R,R,...", callback=_list, help="Default: 0.5 to 0.999. 0, the control, is always there."
)
@click.option("--trials", type=int, help="Each compresses and retrains anew. Default: 3.")
@click.option("--boards", metavar="NAME,...", callback=_list, help="Default: desktop.")
@click.option("--epochs", type=int, help="Of an original that is trained here. Default: 200.")
@click.option("--retrain-epochs", type=int, help="Of every rate, and of the control. Default: 200.")
@click.option(
    "--select",
    type=click.Choice(["test", "validation"]),
    help="Which epoch is kept, see `host train`. Default: validation; by the test images AUCs are flattered.",
)
@click.option("--seed", type=int, help="Of the first trial, the next ones count on. Default: 0.")
@click.option("--own-original", is_flag=True, default=None, help="Each trial trains its original anew.")
@click.option("--runs", type=int, help="Of each bench, the first is not counted. Default: 1000.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), help="What torch computes on. Default: cpu.")
@click.option("--training-precision", "precision", type=click.Choice(["fp32", "bf16"]), help="Default: fp32.")
@click.option("--quick", is_flag=True, help="Few epochs, to see that everything works: its AUCs say little.")
@_where
@click.pass_context
def run(
    context: click.Context,
    /,
    file: Path | None,
    quick: bool,
    processes: int | None,
    ray_address: str | None,
    interrupt: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Teach, compress, deploy and measure all of a study; what is done is never done again.

    A study is a STUDY.toml, or these options alone; an option goes before the file. Its keys are the names of the
    options from --name to --runs, and device, with _ for -: retrain_epochs; precision for --training-precision; and
    learning_rate, factor_learning_rate and weight_decay, which have no option. The other options are of this run alone.

    Asked for more boards, rates or trials than before, a study grows: what is done stays. Interrupted, `host study
    resume` goes on with it.
    """
    from host.study.opening import open_study, with_free_name
    from host.study.spec import QUICK, name_of, read_toml, study_of

    for key in QUICK:
        if quick and context.get_parameter_source(key) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--quick has its own --{key.replace('_', '-')}: leave one of them out")
    told: dict[str, Any] = read_toml(file) if file else {}
    told |= {key: value for key, value in given.items() if value is not None} | (QUICK if quick else {})
    is_named = "name" in told
    if not is_named and (after := file.with_suffix("") if file else told.get("data")):
        told["name"] = name_of(Path(after).resolve())
    asked = study_of(told)

    def opened(progress: "Progress") -> "Opened":
        return open_study(asked if is_named else with_free_name(asked, progress), progress)

    _go(opened, processes, ray_address, interrupt, as_json)


@study.command()
@click.argument("name", required=False, metavar="[STUDY]")
@_where
def resume(name: str | None, processes: int | None, ray_address: str | None, interrupt: bool, as_json: bool) -> None:
    """Go on with a study. Default: the newest. What failed because of a board is tried again."""
    from host.study.results import find_study

    found = find_study(name)
    _go(lambda _: found, processes, ray_address, interrupt, as_json)


@study.command()
@click.argument("name", required=False, metavar="[STUDY]")
@options.as_json
def status(name: str | None, as_json: bool) -> None:
    """How far a study is. Default: the newest."""
    from host.report.study import status_table
    from host.study.results import read_study
    from host.study.status import status_of

    found = status_of(read_study(name))
    output.say_json(found.as_json()) if as_json else output.show(status_table(found))


@study.command()
@click.argument("name", required=False, metavar="[STUDY]")
@options.as_json
def show(name: str | None, as_json: bool) -> None:
    """What a study has found so far, by board and rate. Default: the newest."""
    _show(name, as_json)


@study.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """The studies there are, the newest first."""
    from host.report.study import list_record, list_table
    from host.study.results import read_studies

    found = read_studies()
    output.say_json(list_record(found)) if as_json else output.show(list_table(found))


def _go(
    opened_by: "Callable[[Progress], Opened]",
    processes: int | None,
    ray_address: str | None,
    interrupt: bool,
    as_json: bool,
) -> None:
    from host.progress import shown
    from host.study.running import default_processes
    from host.study.running import run as run_all

    # The engine first: where it does not answer, no study is left behind that has begun with nothing.
    with shown() as progress, _engine(ray_address, processes or default_processes()) as engine:
        opened = opened_by(progress)
        name = opened.study.name
        progress.note(f"study {name}: {opened.study.folder}")
        try:
            run_all(opened, engine, options.store(), progress, interrupt=interrupt)
        except KeyboardInterrupt:
            progress.note(f"interrupted: host study resume {name} goes on with it")
            raise
    _show(name, as_json)


@contextmanager
def _engine(ray_address: str | None, processes: int) -> "Iterator[Engine]":
    if ray_address is None:
        from host.engine.local import Local

        yield Local(processes)
        return
    from host.engine import ray

    with ray.connected(ray_address) as engine:
        yield engine


def _show(name: str | None, as_json: bool) -> None:
    from host.report.study import study_record, study_table
    from host.study.results import read_study

    found = read_study(name)
    output.say_json(study_record(found)) if as_json else output.show(study_table(found))
