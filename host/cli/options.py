"""Flags that several commands share: one spelling each."""

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contract.manifest import MODEL_NAME
from host.boards import Board, Boards
from host.errors import InputError
from host.last import Last

if TYPE_CHECKING:
    from contract.profile import Profile
    from host.progress import Progress
    from host.store import Store

Command = Callable[..., Any]

board = click.option("--board", "board_name", metavar="NAME", help="Default: the board of the last deploy.")
model = click.option("--model", "model_name", metavar="NAME", help="Default: what was deployed there last.")
as_json = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on stdout.")
stop_others = click.option(
    "--stop-others",
    is_flag=True,
    help="Where the whole board is needed: stop the other models meanwhile, without asking.",
)
replace = click.option(
    "--replace",
    is_flag=True,
    help="Where one model at a time has the accelerator: stop the one that has it, without asking.",
)
FOLDER = click.Path(path_type=Path, file_okay=False)


def conversion(command: Command) -> Command:
    """What `deploy` and `convert` know of a conversion."""
    for option in reversed(_CONVERSION):
        command = option(command)
    return command


def _shape(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for value in values:
        name, _, sizes = value.rpartition("=")
        if not name or not re.fullmatch(r"[1-9][0-9]*(,[1-9][0-9]*)*", sizes.replace(" ", ""), re.ASCII):
            raise click.BadParameter(f"{value!r} is not like image=1,3,256,256")
        if name in shapes:
            raise click.BadParameter(f"{name!r} is given twice")
        shapes[name] = tuple(int(size) for size in sizes.split(","))
    return shapes


def _runtime_options(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str | int | float | bool]:
    options = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{value!r} is not like threads=1")
        if name in options:
            raise click.BadParameter(f"{name!r} is given twice")
        options[name] = _scalar(text)
    return options


def _scalar(text: str) -> str | int | float | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text


def _finite(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value} is no finite number")
    return value


input_shapes = click.option(
    "--input-shape",
    "input_shapes",
    multiple=True,
    callback=_shape,
    metavar="NAME=N,C,H,W",
    help="The shape of an input whose sizes are not in the model.",
)
preprocess = click.option(
    "--preprocess",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML with color, layout, scale, mean, std: how images become the input.",
)

_CONVERSION = (
    input_shapes,
    click.option("--precision", metavar="P", help="Default: the first of the board's profile."),
    preprocess,
    click.option(
        "--calibrate",
        metavar="DIR",
        type=FOLDER,
        help="Images, or .npz and .npy files of the inputs by name: the first 8 become the golden inputs, up to 200 "
        "the ranges of int8. Default: noise.",
    ),
    click.option(
        "--tolerance-db",
        metavar="DB",
        type=float,
        callback=_finite,
        help="Least SQNR of the golden outputs. Default: of the profile.",
    ),
    click.option(
        "--option",
        "options",
        multiple=True,
        callback=_runtime_options,
        metavar="NAME=VALUE",
        help="Of the runtime, e.g. threads=1.",
    ),
    click.option(
        "--ranges",
        type=click.Choice(["minmax", "percentile", "squared_error"]),
        help="TFLite: which values an int8 tensor has to hold. Default: minmax, all that the images showed.",
    ),
    click.option(
        "--bias-correction",
        is_flag=True,
        default=None,
        help="TFLite: take off a layer's bias what its rounded weights add on average.",
    ),
    click.option("--io", type=click.Choice(["int8", "uint8"]), help="TFLite: the inputs and outputs. Default: int8."),
    click.option(
        "--trial-build-s",
        metavar="SECONDS",
        type=click.FloatRange(0, 86400),
        callback=_finite,
        help="Jetsons: how long TensorRT-RTX may try to build the model on this machine; 0: it parses it alone. "
        "Default: 20.",
    ),
    click.option("--cpu", is_flag=True, help="Coral: leave the Edge TPU out, and run the model on the board's CPU."),
    click.option("--docker", is_flag=True, help="Coral: run the Edge TPU's compiler in a container."),
    click.option(
        "--compiled",
        metavar="FILE",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Coral: the file that the Edge TPU's compiler has made elsewhere of this model.",
    ),
)


def asked(progress: "Progress", already: bool, question: str = "Stop them meanwhile?") -> Callable[[str], bool]:
    """Whether other models may be stopped: as the flag says, else by asking whoever sits at a terminal."""

    def ask(why: str) -> bool:
        if already or not sys.stdin.isatty():
            return already
        progress.note(why)
        with progress.aside():
            return click.confirm(question, err=True)

    return ask


def check_name(name: str) -> None:
    """InputError where it is no name for a model."""
    if not re.fullmatch(MODEL_NAME, name):
        raise InputError(
            f"{name!r} is no name for a model", "take letters, digits, dot, dash and underscore; 64 at most"
        )


def boards() -> Boards:
    """The user's boards file."""
    from host.places import config_dir

    return Boards(config_dir() / "boards.toml")


def last() -> Last:
    """What was deployed last."""
    from host.places import state_dir

    return Last(state_dir() / "last.json")


def chosen_board(name: str | None) -> Board:
    """The board named, or the one of the last deploy: which one is printed, on stderr."""
    if name is not None:
        return boards().get(name)
    found = boards().get(last().board())
    click.echo(f"board: {found.name} (of the last deploy)", err=True)
    return found


def chosen_facts(name: str | None) -> "Profile":
    """What is true of the board named, which need not be there yet: a profile's name does; or of the last deploy's."""
    return boards().facts(name) if name is not None else chosen_board(None).facts()


def chosen_model(board: Board, name: str | None) -> str:
    """The model named, or what was deployed there last: which one is printed, on stderr."""
    if name is not None:
        return name
    found = last().model(board.name)
    click.echo(f"model: {found} (deployed to {board.name} last)", err=True)
    return found


def remember(board: str, model: str) -> None:
    """What the next command takes by default."""
    _told_if_not(lambda: last().remember(board, model))


def forget(board: str, model: str) -> None:
    """A model that was removed is no default any more."""
    _told_if_not(lambda: last().forget(board, model))


def _told_if_not(write: Callable[[], None]) -> None:
    try:
        write()
    except OSError as error:  # the deploy itself has succeeded
        click.echo(f"host: the next command must be told --board and --model: {error}", err=True)


def store() -> "Store":
    """The user's results: ``BOARDFIT_RESULTS`` (a path or an SQLAlchemy URL), else one SQLite file."""
    from host.places import results
    from host.store import Store

    return Store.open(results())
