"""train, compress"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from host.cli import options, output

if TYPE_CHECKING:
    from compression.training.recipe import Recipe
    from host.teaching import Compute

Command = Callable[..., Any]

MODEL_FILE = click.Path(path_type=Path, dir_okay=False)
_OUTPUT = click.option(
    "-o", "--output", "model_file", required=True, metavar="FILE", type=MODEL_FILE, help="The .onnx file to write."
)
_TEACHING = (
    click.option(
        "--select",
        type=click.Choice(["test", "validation"]),
        default="test",
        show_default=True,
        help="Which epoch is kept: test = that with the highest AUC of the test images, as published, which flatters; "
        "validation = that with the least error on a tenth of the training images, held out.",
    ),
    click.option(
        "--seed", default=0, show_default=True, type=click.IntRange(0), help="Of weights, order, held-out images."
    ),
    click.option("--batch", default=16, show_default=True, type=click.IntRange(1), help="Images of a step."),
    click.option(
        "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="What torch computes on."
    ),
    click.option("--threads", type=click.IntRange(1), help="Default: as many as are fastest, measured."),
    click.option(
        "--training-precision", type=click.Choice(["fp32", "bf16"]), help="Default: whichever is faster, measured."
    ),
    click.option("--restart", is_flag=True, help="Forget an unfinished training of this output."),
)


def teaching(learning_rate: float) -> Callable[[Command], Command]:
    """What `train` and `compress` know of a training; factors learn best at a higher rate than kernels."""
    rate = click.option(
        "--learning-rate",
        default=learning_rate,
        show_default=True,
        type=click.FloatRange(0, 1, min_open=True),
        help="At its highest.",
    )

    def with_options(command: Command) -> Command:
        for option in (*reversed(_TEACHING), rate):
            command = option(command)
        return command

    return with_options


@click.command()
@click.option("--data", required=True, metavar="DIR", type=options.FOLDER, help="A data set in MVTec AD's layout.")
@_OUTPUT
@click.option(
    "--model",
    "size",
    type=click.Choice(["tiny", "small", "medium", "large"]),
    default="medium",
    show_default=True,
    help="1.9, 7.7, 18.7 or 31.8 million weights; images of 128 x 128, large of 256 x 256.",
)
@click.option("--epochs", default=200, show_default=True, type=click.IntRange(1), help="At most.")
@click.option(
    "--weight-decay",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 100),
    help="Decoupled, of the kernels: more makes a model that can be compressed further.",
)
@teaching(1e-3)
@options.as_json
def train(data: Path, model_file: Path, size: str, as_json: bool, restart: bool, **chosen: Any) -> None:
    """Train a reference autoencoder on good images; it is written with its score and its threshold.

    Interrupted, the same command goes on where it was.
    """
    from host.progress import shown
    from host.report.compression import calibration_line, calibration_record, training_lines, training_record
    from host.training import Request
    from host.training import train as run

    recipe, compute = _recipe(chosen), _compute(chosen)
    with shown() as progress:
        made = run(Request(data, model_file, size, recipe, compute, restart), progress)
    if as_json:
        output.say_json(
            {
                "model": str(made.path),
                "weights": made.weights,
                "training": training_record(made.trained),
                "score": calibration_record(made.calibration),
            }
        )
        return
    output.say(f"wrote {made.path}: {made.weights:,} weights")
    for line in (*training_lines(made.trained, recipe.select), calibration_line(made.calibration)):
        output.show(line)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--rate", type=float, metavar="R", help="Share of the weights to remove: 0.99 leaves one in a hundred.")
@_OUTPUT
@click.option(
    "--data",
    metavar="DIR",
    type=options.FOLDER,
    help="Images to retrain with: a data set in MVTec AD's layout; for a model that reconstructs nothing, any.",
)
@click.option(
    "--retrain-epochs", "epochs", default=200, show_default=True, type=click.IntRange(1), help="At most, in all stages."
)
@click.option("--no-retrain", is_flag=True, help="Decompose alone; with --data the factors are fitted to the images.")
@click.option("--ranks", metavar="FILE", type=MODEL_FILE, help='JSON, {"layer": [output rank, input rank]}.')
@click.option(
    "--allocation",
    type=click.Choice(["log", "equal", "energy", "activation"]),
    default="log",
    show_default=True,
    help="How the rate is shared among the layers; activation needs --data.",
)
@click.option(
    "--budget",
    type=click.Choice(["weights", "macs", "bytes"]),
    default="weights",
    show_default=True,
    help="What the rate is a share of.",
)
@click.option("--weight-decay", default=0.0, show_default=True, type=click.FloatRange(0, 100), help="Of the factors.")
@click.option(
    "--loss",
    type=click.Choice(["reconstruction", "distillation"]),
    help="What is learned from the images: to reconstruct them, or to do as the original does. Default: the former "
    "where the output has the input's shape and DIR is a data set in MVTec AD's layout.",
)
@options.input_shapes
@options.preprocess
@teaching(3e-3)
@options.as_json
def compress(
    model: Path,
    rate: float | None,
    model_file: Path,
    data: Path | None,
    no_retrain: bool,
    ranks: Path | None,
    allocation: str,
    budget: str,
    loss: Any,
    input_shapes: dict[str, tuple[int, ...]],
    preprocess: Path | None,
    as_json: bool,
    restart: bool,
    **chosen: Any,
) -> None:
    """Remove a share of the weights of MODEL (.onnx) by Tucker decomposition, and retrain what is left.

    An autoencoder learns from the images, any other model from what the original makes of them. Interrupted, the same
    command goes on where it was.
    """
    from host.compressing import Request
    from host.compressing import compress as run
    from host.progress import shown
    from host.report import compression as report

    if rate is None and ranks is None:
        raise click.UsageError("--rate or --ranks: one of them is needed")
    if allocation == "activation" and data is None:
        raise click.UsageError("--allocation activation needs images: --data")
    recipe, compute = None if no_retrain else _recipe(chosen), _compute(chosen)
    how = {"allocation": allocation, "budget": budget}
    request = Request(
        model, model_file, rate, ranks, data, recipe, how, input_shapes, preprocess, loss, compute, restart
    )
    with shown() as progress:
        made = run(request, progress)
    if as_json:
        output.say_json(
            {
                "model": str(made.path),
                "compression": report.compression_record(made.table),
                "training": report.training_record(made.trained),
                "score": report.calibration_record(made.calibration),
            }
        )
        return
    output.show(report.compression_table(made.table))
    output.say(
        f"wrote {made.path}"
        + ("" if made.trained else ", not retrained" + ("" if data else ": --data gives it images to learn from"))
    )
    if made.trained and recipe:
        for line in report.training_lines(made.trained, recipe.select, made.stages):
            output.show(line)
    if made.calibration or made.decides:
        output.show(report.calibration_line(made.calibration))


def _recipe(chosen: dict[str, Any]) -> "Recipe":
    from compression.training.recipe import Recipe

    names = ("epochs", "batch", "learning_rate", "weight_decay", "seed", "select")
    return Recipe(**{name: chosen[name] for name in names})


def _compute(chosen: dict[str, Any]) -> "Compute":
    from host.teaching import Compute

    return Compute(chosen["device"], chosen["threads"], chosen["training_precision"])
