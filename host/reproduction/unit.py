"""One unit of an experiment, in a process of its own: a trained model and what it makes of the test images.

    python -m host.reproduction.unit FOLDER NAME

FOLDER has experiment.json (records.py) and the models of the units before; NAME.onnx and then NAME.json are written.
What an interrupt leaves is taken up again.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host import disk
from host.errors import as_input_error
from host.reproduction.plan import Experiment, Kind, Unit, units_of
from host.reproduction.records import Job, Result, Scores

if TYPE_CHECKING:
    from onnx import ModelProto

    from compression.calibrate import Floats, Reconstruct
    from compression.data.prepared import Prepared
    from compression.training.loop import Trained
    from compression.training.recipe import Recipe
    from inspection.score import FloatMap


def run(folder: Path, unit: Unit) -> None:
    """Train, judge, write."""
    from compression.autoencoder import SPECS
    from compression.calibrate import calibrated, reconstructor_of
    from compression.data.mvtec import read_dataset
    from compression.data.prepared import prepare_dataset
    from compression.layers import count_weights
    from inspection.preprocess import Preprocessing

    job, began = Job.read(folder), time.process_time()
    spec, dataset = SPECS[job.experiment.model], read_dataset(job.folder_of(folder))
    preprocessing = Preprocessing(height=spec.size, width=spec.size)
    images = prepare_dataset(dataset, preprocessing, unit.seed)
    trained = _Work(folder, job.experiment, unit, images).trained()
    spent_s = time.process_time() - began
    calibration = calibrated(trained.model, preprocessing, images)
    assert calibration.training_error is not None
    smoothed, normalised = scores_of(reconstructor_of(trained.model), images.test, calibration.training_error)
    weights = count_weights(trained.model)
    result = Result(
        unit,
        weights,
        1 - weights / spec.weight_count,
        trained.best.held_out_error,
        len(trained.history),
        spent_s,
        tuple(str(image.path.relative_to(dataset.folder)) for image in dataset.test),
        tuple(image.defective for image in dataset.test),
        smoothed,
        normalised,
        calibration.score.threshold or 0.0,
    )
    disk.replace(folder / f"{unit.name}.onnx", trained.model.SerializeToString(deterministic=True))
    result.write(folder)
    (folder / f"{unit.name}.training").unlink(missing_ok=True)


class _Work:
    """How each kind of unit is trained."""

    def __init__(self, folder: Path, experiment: Experiment, unit: Unit, images: "Prepared") -> None:
        self.folder, self.experiment, self.unit, self.images = folder, experiment, unit, images

    def trained(self) -> "Trained":
        experiment, unit = self.experiment, self.unit
        from compression.autoencoder import SPECS, reference_model
        from compression.training.controls import narrowed, with_random_weights

        spec, whole = SPECS[experiment.model], experiment.epochs + experiment.retrain_epochs
        train = self.images.train
        match unit.kind:
            case "original":
                decayed = replace(self._recipe(experiment.epochs), weight_decay=experiment.weight_decay)
                return self._train(reference_model(spec, train, unit.seed), decayed)
            case "ordinary":
                return self._train(reference_model(spec, train, unit.seed), self._recipe(whole))
            case "continued":
                return self._train(self._model("original"), self._recipe(experiment.retrain_epochs))
            case "rate":
                return self._compressed(unit.rate or 0.0)
            case "random":
                return self._train(with_random_weights(self._model("rate"), unit.seed), self._recipe(whole))
            case "narrow":
                narrow = narrowed(spec, Result.read(self.folder, Unit(self.unit.seed, "rate", self.unit.rate)).weights)
                return self._train(reference_model(narrow, train, unit.seed), self._recipe(whole))

    def _compressed(self, rate: float) -> "Trained":
        from compression.training.gradual import Plan, compress_and_retrain, rates_to

        recipe = self._recipe(self.experiment.retrain_epochs)
        plan = Plan(rates_to(rate))
        checkpoint = self._checkpoint(repr(plan), repr(recipe))
        made = compress_and_retrain(self._model("original"), plan, self._lesson(), recipe, self._pace(), checkpoint)
        return made.trained

    def _train(self, model: "ModelProto", recipe: "Recipe") -> "Trained":
        from compression.training.loop import train

        return train(model, self._lesson(), recipe, self._pace(), self._checkpoint(repr(recipe)))

    def _lesson(self) -> Any:
        """The test images play no part in it."""
        from compression.training.lessons import reconstruction

        return replace(reconstruction(self.images), judge=None)

    def _recipe(self, epochs: int) -> "Recipe":
        from compression.training.recipe import Recipe

        factors = self.unit.kind in ("rate", "random")
        rate = self.experiment.factor_learning_rate if factors else self.experiment.learning_rate
        return Recipe(epochs=epochs, learning_rate=rate, seed=self.unit.seed, select="validation")

    def _pace(self) -> Any:
        from compression.training.pace import Pace

        return Pace("cpu", 1, self.experiment.precision)

    def _checkpoint(self, *options: str) -> Any:
        from compression.training.checkpoint import Checkpoint, fingerprint

        belongs_to = fingerprint(repr(self.experiment), self.unit.name, self.images.train, *options)
        return Checkpoint(self.folder / f"{self.unit.name}.training", belongs_to)

    def _model(self, kind: Kind) -> "ModelProto":
        import onnx

        return onnx.load(self._path(kind, ".onnx"))

    def _path(self, kind: Kind, suffix: str) -> Path:
        rate = self.unit.rate if kind == "rate" else None
        return self.folder / f"{Unit(self.unit.seed, kind, rate).name}{suffix}"


def scores_of(reconstruct: "Reconstruct", test: "Floats", usual: "FloatMap") -> tuple[Scores, Scores]:
    """Of each test image: by the maximum of the smoothed squared error, and of that divided by the usual one."""
    import numpy as np

    from inspection.score import Score, anomaly_map, normalised_map, score

    maps = [anomaly_map(image[np.newaxis], reconstruct(image[np.newaxis]), Score()) for image in test]
    return tuple(map(score, maps)), tuple(score(normalised_map(each, usual)) for each in maps)


def main() -> None:
    """FOLDER NAME. HostError, OSError where it cannot be done, for a reason that is nobody's bug."""
    folder, name = Path(sys.argv[1]), sys.argv[2]
    with as_input_error():
        [unit] = [unit for unit in units_of(Job.read(folder).experiment) if unit.name == name]
        run(folder, unit)


if __name__ == "__main__":
    main()
