"""evaluate"""

from pathlib import Path

import click

from host.cli import options, output


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--data", required=True, metavar="DIR", type=options.FOLDER, help="A data set in MVTec AD's layout.")
@click.option(
    "--board",
    "board_name",
    metavar="NAME",
    help="What this board makes of it, through a temporary deploy. Default: this machine, without any.",
)
@options.input_shapes
@options.preprocess
@options.stop_others
@click.option("--pictures", metavar="DIR", type=options.FOLDER, help="Write roc.png, histogram.png and maps.png there.")
@options.as_json
def evaluate(
    model: Path,
    data: Path,
    board_name: str | None,
    input_shapes: dict[str, tuple[int, ...]],
    preprocess: Path | None,
    stop_others: bool,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """How well MODEL (.onnx, .tflite, or a folder of `host convert`) tells good images from defective ones.

    MODEL reconstructs its input; beside it the mean training image and PCA do, which need no training.
    """
    from contextlib import nullcontext

    from host.connect import connect
    from host.evaluating import Request
    from host.evaluating import evaluate as run
    from host.progress import shown
    from host.report import figures
    from host.report.accuracy import accuracy_as_json, accuracy_table

    board = options.boards().get(board_name) if board_name is not None else None
    profile = board.facts() if board else None
    if pictures:
        figures.claim(pictures)
    with shown() as progress, connect(board) if board else nullcontext() as client:
        found = run(Request(model, data, input_shapes, preprocess, stop_others), profile, client, progress)
        if pictures:
            progress.stage(f"{pictures}: drawing")
    written = figures.write(found, pictures) if pictures else ()
    if as_json:
        output.say(accuracy_as_json(found))
        return
    for notice in found.notices:
        output.say(f"note: {notice}")
    output.show(accuracy_table(found))
    if written:
        output.say(f"wrote {', '.join(map(str, written))}")
