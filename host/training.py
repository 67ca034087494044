"""The train flow: images -> a reference autoencoder that knows its preprocessing, its score and its threshold."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from host import teaching
from host.errors import as_input_error
from host.progress import Progress

if TYPE_CHECKING:
    from compression.calibrate import Calibration
    from compression.training.loop import Trained
    from compression.training.recipe import Recipe


@dataclass(frozen=True)
class Request:
    """`model` is a key of `compression.autoencoder.SPECS`; `restart` forgets an unfinished training."""

    data: Path
    output: Path
    model: str
    recipe: "Recipe"
    compute: teaching.Compute
    restart: bool


@dataclass(frozen=True, eq=False)
class Outcome:
    """A model that was written to `path`."""

    path: Path
    weights: int
    trained: "Trained"
    calibration: "Calibration"


def train(request: Request, progress: Progress) -> Outcome:
    """Train and write; Ctrl-C leaves a checkpoint that the same request goes on with. InputError."""
    from compression.autoencoder import SPECS, reference_model
    from compression.calibrate import calibrated
    from compression.data.mvtec import read_dataset
    from compression.data.prepared import prepare_dataset
    from inspection.preprocess import Preprocessing

    teaching.check_output(request.output)
    with as_input_error():
        dataset = read_dataset(request.data)  # what a user can mend at once, before torch is imported
        teaching.check_torch()
        from compression.training import lessons, loop
        from compression.training.checkpoint import Checkpoint, fingerprint
        from compression.training.record import write_record

        spec, recipe = SPECS[request.model], request.recipe
        preprocessing = Preprocessing(height=spec.size, width=spec.size)
        reading = teaching.images_told(progress, "reading the images")
        images = prepare_dataset(dataset, preprocessing, recipe.seed, reading)
        model = reference_model(spec, images.train, recipe.seed)
        lesson = lessons.reconstruction(images)
        parts = images.train, images.held_out, images.test, images.defective
        belongs_to = fingerprint(model.SerializeToString(), *parts)
        asked = {"model": request.model, **asdict(recipe)}
        checkpoint = Checkpoint(teaching.checkpoint_path(request.output), belongs_to, asked)
        if request.restart:
            checkpoint.remove()
        with teaching.resumable(checkpoint, progress):
            pace = teaching.pace_of(checkpoint, model, lesson, recipe, request.compute, progress)
            progress.stage("training")
            trained = loop.train(model, lesson, recipe, pace, checkpoint, teaching.told(progress))
        judging = teaching.images_told(progress, "finding the threshold")
        calibration = calibrated(trained.model, preprocessing, images, on_image=judging)
        write_record(trained.model, recipe.seed, recipe, pace, trained)
        teaching.write_model(request.output, trained.model)
        checkpoint.remove()
    return Outcome(request.output, spec.weight_count, trained, calibration)
