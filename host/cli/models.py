"""deploy, convert, models, rollback, remove"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from contract.manifest import model_name_from
from host.cli import options, output

if TYPE_CHECKING:
    from contract.api import Activation, Build
    from contract.profile import Profile
    from host.bundle import Bundle
    from host.deploying import MayDo
    from host.progress import Progress

_UNCALIBRATED = "decisions are uncalibrated: the model has no threshold, and no good images to find one from"


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@options.board
@click.option("--name", metavar="NAME", help="What to call it on the board. Default: the file's name.")
@options.conversion
@options.stop_others
@options.replace
@options.as_json
def deploy(
    model: Path,
    board_name: str | None,
    name: str | None,
    stop_others: bool,
    replace: bool,
    as_json: bool,
    **conversion: Any,
) -> None:
    """Fit MODEL (.onnx, or a folder of `host convert`) onto a board and serve it there."""
    from host.connect import connect
    from host.deploying import deploy as run
    from host.facts import on_board
    from host.progress import shown

    board = options.chosen_board(board_name)
    profile = board.facts()
    if name is not None:
        options.check_name(name)
    with shown() as progress, connect(board) as client:
        bundle = _bundle(model, on_board(profile, client), progress, conversion)
        name = name or model_name_from(Path(bundle.manifest.provenance.source_name).stem)
        may_stop_others, may_replace = _asked(progress, stop_others, replace)
        activation = run(client, name, bundle, progress, options.store, may_stop_others, may_replace)
    options.remember(board.name, name)
    _tell(activation, board.name, bundle.notices, as_json)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@options.board
@click.option(
    "-o", "--output", "folder", required=True, metavar="DIR", type=options.FOLDER, help="Where to put it: a new folder."
)
@options.conversion
@options.as_json
def convert(model: Path, board_name: str | None, folder: Path, as_json: bool, **conversion: Any) -> None:
    """Do the host's part of a deploy alone: what would be pushed, into a folder. `host deploy` takes it from there."""
    from host.bundle import claim
    from host.progress import shown

    profile = options.chosen_facts(board_name)
    claim(folder)
    with shown() as progress:
        bundle = _bundle(model, profile, progress, conversion)
        bundle.write(folder)
    if as_json:
        manifest = bundle.manifest.model_dump(mode="json")
        output.say_json(
            {
                "folder": str(folder),
                "bundle": bundle.manifest.bundle_id,
                "notices": bundle.notices,
                "manifest": manifest,
            }
        )
        return
    _tell_notices(bundle.notices)
    score = bundle.manifest.score
    if score and score.threshold is None and not bundle.manifest.good_images:
        _tell_notices((_UNCALIBRATED,))
    output.say(f"wrote {folder}: bundle {bundle.manifest.bundle_id[:12]} for {profile.title}")


@click.command()
@options.board
@options.as_json
def models(board_name: str | None, as_json: bool) -> None:
    """The models of a board: state, version, size."""
    from host.connect import connect
    from host.report.tables import models_table

    with connect(options.chosen_board(board_name)) as client:
        found = client.models()
    if as_json:
        output.say_json([model.model_dump(mode="json") for model in found])
    else:
        output.show(models_table(found))


@click.command()
@options.board
@options.model
@options.stop_others
@options.replace
@options.as_json
def rollback(board_name: str | None, model_name: str | None, stop_others: bool, replace: bool, as_json: bool) -> None:
    """Serve the version before this one again."""
    from host.connect import connect
    from host.deploying import rollback as run
    from host.progress import shown

    board = options.chosen_board(board_name)
    name = options.chosen_model(board, model_name)
    with shown() as progress, connect(board) as client:
        activation = run(client, name, progress, *_asked(progress, stop_others, replace))
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
    options.forget(board.name, name)
    output.say(f"removed {name} from {board.name}")


def _bundle(model: Path, profile: "Profile", progress: "Progress", conversion: dict[str, Any]) -> "Bundle":
    from host.accelerator import Use
    from host.converting import Request, make

    use = Use(**{wish: conversion.pop(wish) for wish in ("cpu", "docker", "compiled")})
    return make(Request(model=model, use=use, **conversion), profile, progress.stage)


def _asked(progress: "Progress", stop_others: bool, replace: bool) -> tuple["MayDo", "MayDo"]:
    return options.asked(progress, stop_others), options.asked(progress, replace, "Replace it?")


def _tell(activation: "Activation", board: str, notices: tuple[str, ...], as_json: bool) -> None:
    from host.deploying import doubts

    notices = (*notices, *doubts(activation))
    if as_json:
        output.say_json({"board": board, "notices": notices, **activation.model_dump(mode="json")})
        return
    _tell_notices(notices)
    what = "already served" if activation.unchanged else "deployed"
    output.say(f"{what}: {activation.model} on {board}, bundle {activation.bundle[:12]}")
    count = f"{activation.golden_count} golden {'input' if activation.golden_count == 1 else 'inputs'}"
    agreement = "no difference" if activation.sqnr_db is None else f"{activation.sqnr_db:.1f} dB SQNR"
    output.say(
        f"proven on {count} ({activation.golden_source}): {agreement} to this machine's ONNX Runtime, "
        f"{activation.tolerance_db:g} dB needed"
    )
    if activation.score_method:
        output.say(_decides(activation))
    if activation.build:
        output.say(_built(activation.build))
    if not activation.unchanged:
        outage = f"{activation.outage_s:.1f} s without service" if activation.outage_s else "no outage"
        output.say(f"loaded in {activation.load_s:.2f} s, {outage}")
    if activation.replaced:
        output.say(f"replaced, and stopped until it is loaded or deployed again: {', '.join(activation.replaced)}")


def _built(build: "Build") -> str:
    size = f"{build.engine_bytes / 2**20:.1f} MiB for {build.runtime_version} on {build.architecture}"
    if build.reason is None:
        return f"the engine was there already: {size}"
    return f"engine built in {build.build_s:.1f} s, as {build.reason}: {size}"


def _decides(activation: "Activation") -> str:
    here, there = activation.threshold_board, activation.threshold_model
    if here is not None:
        trained = "" if there is None else f" ({there:.4g} where it was trained)"
        count = f"{activation.good_count} good {'image' if activation.good_count == 1 else 'images'}"
        return f"decides above {here:.4g} on this board{trained}, from {count}"
    if there is not None:
        return f"decides above {there:.4g}, as where it was trained: it has no good images to find its own from"
    return _UNCALIBRATED


def _tell_notices(notices: tuple[str, ...]) -> None:
    for notice in notices:
        output.say(f"note: {notice}")
