"""A step of a study that needs a computer alone, in a process of its own: a model is taught, and judged as it is.

    python -m host.study.teach FOLDER NAME TRIAL RATE ""

What an interrupt leaves is taken up again; equal studies give equal models, for each is taught on one thread.
"""

import json
import sys
from pathlib import Path
from typing import Any

import onnx

from compression.calibrate import reconstructor_of
from compression.training.recipe import Recipe
from compression.training.record import METADATA_KEY
from contract.profile import read_profile
from host import boards, compressing, disk, training
from host.progress import Lines, Progress
from host.reconstructing import Place
from host.study import records
from host.study.judging import converted, images_of, scores_of
from host.study.plan import Step, step_of
from host.study.records import Opened, Taught, model_path, original_path, taught_path
from host.study.spec import CONTROL_RATE, Study
from host.teaching import Compute


def main() -> None:
    """FOLDER NAME TRIAL RATE. HostError."""
    folder, step = Path(sys.argv[1]), step_of((sys.argv[3], sys.argv[4], ""))
    study = records.read(Opened, folder / records.STUDY_FILE).study
    teach(folder, study, step, Lines(sys.stdout))


def teach(folder: Path, study: Study, step: Step, progress: Progress) -> None:
    """The model, then its record."""
    trial = 1 if step.trial is None else step.trial
    original = original_path(folder, trial if study.own_original else None)
    record = original if step.rate is None else taught_path(folder, trial, step.rate)
    model = model_path(record)
    model.parent.mkdir(parents=True, exist_ok=True)
    if not model.exists():
        if step.rate is None:
            _original(folder, study, trial, model, progress)
        elif step.rate == CONTROL_RATE:
            compressing.train_on(_request(folder, study, trial, model_path(original), model, None), progress)
        else:
            compressing.compress(_request(folder, study, trial, model_path(original), model, step.rate), progress)
    records.write(record, _judged(folder, study, trial, step.rate, model, progress))


def _original(folder: Path, study: Study, trial: int, model: Path, progress: Progress) -> None:
    if not study.trains_original:
        disk.replace(model, (folder / records.MODEL).read_bytes())
        return
    recipe = Recipe(
        epochs=study.epochs,
        learning_rate=study.learning_rate,
        weight_decay=study.weight_decay,
        seed=study.seed_of(trial),
        select=study.select,
    )
    request = training.Request(folder / records.DATA, model, study.model, recipe, _compute(study), restart=False)
    training.train(request, progress)


def _request(
    folder: Path, study: Study, trial: int, original: Path, model: Path, rate: float | None
) -> compressing.Request:
    recipe = Recipe(
        epochs=study.retrain_epochs,
        learning_rate=study.learning_rate if rate is None else study.factor_learning_rate,
        seed=study.seed_of(trial),
        select=study.select,
    )
    return compressing.Request(
        original, model, rate, None, folder / records.DATA, recipe, {}, {}, None, None, _compute(study), restart=False
    )


def _compute(study: Study) -> Compute:
    return Compute(study.device, threads=1, precision=study.precision)


def _judged(folder: Path, study: Study, trial: int, rate: float | None, model: Path, progress: Progress) -> Taught:
    bundle, subject = converted(model, folder / records.DATA, read_profile(boards.LOCAL), progress)
    manifest, told = bundle.manifest, _record_of(model)
    scores = None
    if subject is not None:
        run = reconstructor_of(onnx.load(model))  # on one thread, as it was taught
        images = images_of(folder / records.DATA, subject, progress)
        scores = scores_of(subject, Place("this machine", run), images, progress)
    return Taught(
        trial=trial,
        requested_rate=rate,
        rate=manifest.rate or 0.0,
        weights=manifest.weights or 0,
        macs=manifest.macs,
        seed=study.seed_of(trial),
        epochs=None if told is None else told["recipe"]["epochs"],
        kept_epoch=None if told is None else _kept_epoch(told),
        optimistic=told is not None and told["recipe"]["select"] == "test" and told["best"]["auc"] is not None,
        held_out_error=None if told is None else told["best"]["held_out_error"],
        threshold=manifest.score.threshold if manifest.score else None,
        scores=scores,
    )


def _kept_epoch(told: dict[str, Any]) -> int:
    """Of all stages: the record's own epochs are those of the last."""
    kept: int = told["recipe"]["epochs"] - len(told["history"]) + told["best"]["number"]
    return kept


def _record_of(model: Path) -> dict[str, Any] | None:
    """How it was trained, as it says itself; None of one that nobody here has trained."""
    metadata = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    told: dict[str, Any] = json.loads(metadata.get(METADATA_KEY, "{}"))
    return told if "best" in told else None


if __name__ == "__main__":
    main()
