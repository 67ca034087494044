"""deploy, convert, models, rollback, remove"""

import json
from pathlib import Path
from typing import Any

import click

from contract.api import Activation
from contract.manifest import model_name_from
from host.cli import options


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@options.board
@click.option("--name", metavar="NAME", help="What to call it on the board. Default: the file's name.")
@options.conversion
@options.as_json
def deploy(model: Path, board_name: str | None, name: str | None, as_json: bool, **conversion: Any) -> None:
    """Fit MODEL (.onnx, or a folder of `host convert`) onto a board and serve it there."""
    from host.connect import connect
    from host.deploying import deploy as run
    from host.progress import shown

    board = options.chosen_board(board_name)
    name = options.valid_name(name or model_name_from(model.stem))
    with shown() as progress:
        bundle = _bundle(model, board.facts(), progress.stage, conversion)
        with connect(board) as client:
            activation = run(client, name, bundle, progress, options.store)
    options.last().remember(board.name, name)
    _tell(activation, board.name, bundle.notices, as_json)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@options.board
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder.")
@options.conversion
@options.as_json
def convert(model: Path, board_name: str | None, output: Path, as_json: bool, **conversion: Any) -> None:
    """Do the host's part of a deploy alone: what would be pushed, into a folder."""
    from host.progress import shown

    board = options.chosen_board(board_name)
    with shown() as progress:
        bundle = _bundle(model, board.facts(), progress.stage, conversion)
        bundle.write(output)
    if as_json:
        click.echo(bundle.manifest.model_dump_json())
        return
    for notice in bundle.notices:
        click.echo(f"note: {notice}")
    click.echo(f"wrote {output}: bundle {bundle.manifest.bundle_id[:12]} for {board.facts().title}")


@click.command()
@options.board
@options.as_json
def models(board_name: str | None, as_json: bool) -> None:
    """The models of a board: state, version, size."""
    from host.cli.output import show
    from host.connect import connect
    from host.report.tables import models_table

    with connect(options.chosen_board(board_name)) as client:
        found = client.models()
    if as_json:
        click.echo(json.dumps([model.model_dump(mode="json") for model in found]))
    else:
        show(models_table(found))


@click.command()
@options.board
@options.model
@options.as_json
def rollback(board_name: str | None, model_name: str | None, as_json: bool) -> None:
    """Serve the version before this one again."""
    from host.connect import connect
    from host.deploying import rollback as run
    from host.progress import shown

    board = options.chosen_board(board_name)
    name = options.chosen_model(board, model_name)
    with shown() as progress, connect(board) as client:
        activation = run(client, name, progress)
    _tell(activation, board.name, (), as_json)


@click.command()
@options.board
@options.model
def remove(board_name: str | None, model_name: str | None) -> None:
    """Stop a model and take it off the board, its previous version too."""
    from host.connect import connect

    board = options.chosen_board(board_name)
    name = options.chosen_model(board, model_name)
    with connect(board) as client:
        client.remove(name)
    click.echo(f"removed {name} from {board.name}")


def _bundle(model: Path, profile: Any, on_step: Any, conversion: dict[str, Any]) -> Any:
    from host.bundle import Request, make

    conversion["options"] = conversion.pop("runtime_options")
    return make(Request(model=model, **conversion), profile, on_step)


def _tell(activation: Activation, board: str, notices: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"board": board, "notices": notices, **activation.model_dump(mode="json")}))
        return
    for notice in notices:
        click.echo(f"note: {notice}")
    sqnr = "bit-equal" if activation.sqnr_db is None else f"{activation.sqnr_db:.1f} dB SQNR"
    click.echo(
        f"{'already served' if activation.unchanged else 'deployed'}: {activation.model} on {board}, "
        f"bundle {activation.bundle[:12]}"
    )
    click.echo(
        f"golden outputs: {sqnr} against ONNX Runtime on the host, at least {activation.tolerance_db:g} dB asked for "
        f"({activation.golden_count} inputs: {activation.golden_source})"
    )
    outage = f", outage {activation.outage_s:.1f} s" if activation.outage_s else ", no outage"
    click.echo(f"loaded in {activation.load_s:.2f} s{outage}")
