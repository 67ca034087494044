"""The compress flow: a model -> the same with fewer weights, retrained where there are images, its threshold anew."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from contract.manifest import Inspection, Preprocessing
from contract.tensors import Signature
from host import preprocessing, teaching
from host.errors import InputError, as_input_error
from host.material import Material, read_material
from host.progress import Progress
from host.source import read_source

if TYPE_CHECKING:
    from onnx import ModelProto

    from compression.calibrate import Calibration
    from compression.table import Table
    from compression.training.checkpoint import Checkpoint
    from compression.training.gradual import Plan, Retrained
    from compression.training.loop import Lesson, Trained
    from compression.training.recipe import Recipe


Loss = Literal["reconstruction", "distillation"]


@dataclass(frozen=True)
class Request:
    """`rate` None: `ranks` alone, a JSON file of layer name -> [output rank, input rank]; `recipe` None: no retraining.

    `options` go to `compression.compress.compress` as they are. `loss` None: a model whose output has its input's shape
    learns from a data set to reconstruct its images, any other to do as it did before.
    """

    model: Path
    output: Path
    rate: float | None
    ranks: Path | None
    data: Path | None
    recipe: "Recipe | None"
    options: dict[str, Any]
    input_shapes: dict[str, tuple[int, ...]]
    preprocess: Path | None
    loss: Loss | None
    compute: teaching.Compute
    restart: bool


@dataclass(frozen=True, eq=False)
class Outcome:
    """A model that was written to `path`. `trained`, `calibration`: None where there were no images for it; `decides`:
    whether the original had a score; `stages` of the retraining.
    """

    path: Path
    table: "Table"
    trained: "Trained | None"
    calibration: "Calibration | None"
    decides: bool
    stages: int


@dataclass(frozen=True, eq=False)
class _Subject:
    """What is compressed, self-contained and of static shapes."""

    model: "ModelProto"
    signature: Signature
    known: Inspection
    preprocessing: Preprocessing | None

    @property
    def has_equal_shapes(self) -> bool:
        """Whether its output may be a reconstruction of its input."""
        inputs, outputs = self.signature.inputs, self.signature.outputs
        return [spec.shape for spec in inputs] == [spec.shape for spec in outputs]


def compress(request: Request, progress: Progress) -> Outcome:
    """Compress and write; Ctrl-C leaves a checkpoint that the same request goes on with. InputError."""
    from compression.compress import check_rate
    from compression.compress import compress as decompose
    from compression.training.record import forget_record

    _check_output(request)
    with as_input_error():
        if request.rate is not None:
            check_rate(request.rate)
        subject = _read(request, progress)
        _check_further(request, subject)
        options = {**request.options, **({"ranks": _read_ranks(request.ranks)} if request.ranks else {})}
        progress.stage("choosing ranks")
        draft = decompose(subject.model, request.rate, **_without_images(options))  # what cannot be, before any image
        material = _material(request, subject, progress)
        trained = checkpoint = None
        if material is None:
            model, table = draft.model, draft.table
        elif request.recipe is None:
            progress.stage("fitting the factors to the images")
            made = decompose(subject.model, request.rate, data=material.train, **options)
            model, table = made.model, made.table
        else:
            checkpoint = _checkpoint(request, request.recipe, subject, material, options)
            retrained = _retrained(request, request.recipe, subject, material, options, checkpoint, progress)
            model, table, trained = retrained.trained.model, retrained.table, retrained.trained
        if trained is None:
            forget_record(model)
        calibration = _calibrated(model, subject, material, progress)
        teaching.write_model(request.output, model)
        if checkpoint:
            checkpoint.remove()
    stages = len(_plan(request, request.recipe, options).rates) if trained and request.recipe else 0
    return Outcome(request.output, table, trained, calibration, subject.known.score is not None, stages)


def train_on(request: Request, progress: Progress) -> None:
    """What compressed models are compared with: nothing is removed, all else is done as to them. `request` has images
    and a recipe; its rate, ranks and options play no part. InputError; Ctrl-C leaves a checkpoint.

    A model that a compressed one learns from has nothing to learn itself: it is written as it is.
    """
    from compression.fold import fold_batch_normalisation
    from compression.graph import inlined
    from compression.training.record import forget_record

    assert request.recipe is not None, "it is trained"
    _check_output(request)
    with as_input_error():
        subject = _read(request, progress)
        material = _material(request, subject, progress)
        assert material is not None, "there are images"
        model = inlined(subject.model)
        fold_batch_normalisation(model)
        subject = replace(subject, model=model)
        if material.prepared is None:
            forget_record(model)
            _calibrated(model, subject, material, progress)
            teaching.write_model(request.output, model)
        else:
            _train_on(request, request.recipe, subject, material, progress)


def _train_on(request: Request, recipe: "Recipe", subject: _Subject, material: Material, progress: Progress) -> None:
    from compression.training.loop import train
    from compression.training.record import write_record

    checkpoint = _checkpoint(replace(request, rate=None), recipe, subject, material, {})
    with teaching.resumable(checkpoint, progress):
        lesson = _lesson(subject, material, request.compute.device, recipe.batch)
        pace = teaching.pace_of(checkpoint, subject.model, lesson, recipe, request.compute, progress)
        progress.stage("training on")
        trained = train(subject.model, lesson, recipe, pace, checkpoint, teaching.told(progress))
    write_record(trained.model, _held_out_seed(request, subject), recipe, pace, trained)
    _calibrated(trained.model, subject, material, progress)
    teaching.write_model(request.output, trained.model)
    checkpoint.remove()


def _check_output(request: Request) -> None:
    """InputError: the original is not to be lost, and a model is to be known by its name."""
    teaching.check_output(request.output)
    if request.output.exists() and request.model.exists() and request.output.samefile(request.model):
        raise InputError(f"{request.output} is the model itself", "name another output with -o")


def _check_further(request: Request, subject: _Subject) -> None:
    """InputError: a lower rate would give back weights that have nothing in them."""
    from compression.table import is_compressed, read_table

    if request.rate is not None and is_compressed(subject.model):
        rate = read_table(subject.model).rate
        if request.rate <= rate:
            raise InputError(
                f"{request.model} has a rate of {rate:.4g} already, {request.rate:g} is no more",
                "ask for a higher rate, or compress the original",
            )


def _read(request: Request, progress: Progress) -> _Subject:
    import onnx

    converted, signature = read_source(request.model, request.input_shapes, progress.stage)
    known = preprocessing.inspection_of(converted.inspection)
    if request.preprocess:
        image: Preprocessing | None = preprocessing.read_file(request.preprocess, signature)
    else:
        image = known.preprocessing or preprocessing.by_convention(signature)
    return _Subject(onnx.load_model_from_string(converted.model), signature, known, image)


def _read_ranks(path: Path) -> dict[str, list[int]]:
    example = 'a JSON object like {"encode4": [45, 64]}: output rank, input rank'
    try:
        ranks = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--ranks {path} cannot be read: {error.strerror}", "check the path") from error
    except ValueError as error:
        raise InputError(f"--ranks {path} is no JSON: {error}", example) from error
    if not isinstance(ranks, dict) or not all(isinstance(pair, list) for pair in ranks.values()) or not ranks:
        raise InputError(f"--ranks {path} does not say ranks by layer", example)
    return ranks


def _without_images(options: dict[str, Any]) -> dict[str, Any]:
    """An allocation by activations needs them; whether a rate can be reached does not depend on it."""
    return {**options, "allocation": "log"} if options.get("allocation") == "activation" else options


def _material(request: Request, subject: _Subject, progress: Progress) -> Material | None:
    if request.data is None:
        return None
    if subject.preprocessing is None:
        specs = ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in subject.signature.inputs)
        raise InputError(
            f"--data gives images, but the model takes {specs}", "leave it out: the model is not retrained"
        )
    (spec,) = subject.signature.inputs
    if spec.dtype != "float32":
        raise InputError(
            f"--data is for models of float32, this one takes {spec.dtype}",
            "leave it out: the model is not retrained; or compress the float32 model it was made from",
        )
    said = "as the model says" if subject.known.preprocessing and not request.preprocess else "--preprocess changes it"
    progress.note(f"images are prepared: {preprocessing.in_words(subject.preprocessing, spec.dtype)} ({said})")
    reading = teaching.images_told(progress, "reading the images")
    seed = _held_out_seed(request, subject)
    found = read_material(request.data, subject.preprocessing, seed, _reconstructs(request, subject), reading)
    if found.prepared is None and request.recipe:
        progress.note("the model learns to do as the original does; only a data set in MVTec AD's layout gives an AUC")
    return found


def _held_out_seed(request: Request, subject: _Subject) -> int:
    """As the original held them out: what it was trained on cannot choose an epoch or a threshold."""
    from compression.training.record import held_out_seed

    seed = held_out_seed(subject.model)
    return seed if seed is not None else request.recipe.seed if request.recipe else 0


def _reconstructs(request: Request, subject: _Subject) -> bool:
    if request.loss == "reconstruction" and not subject.has_equal_shapes:
        raise InputError(
            "--loss reconstruction: the model's output has not its input's shape", "take --loss distillation"
        )
    return subject.has_equal_shapes if request.loss is None else request.loss == "reconstruction"


def _checkpoint(
    request: Request, recipe: "Recipe", subject: _Subject, material: Material, options: dict[str, Any]
) -> "Checkpoint":
    teaching.check_torch()
    from compression.training.checkpoint import Checkpoint, fingerprint

    test = (material.prepared.test, material.prepared.defective) if material.prepared else ()
    images = (material.train, material.held_out, *test)
    asked = {**asdict(_plan(request, recipe, options)), "loss": request.loss, **asdict(recipe)}
    checkpoint = Checkpoint(
        teaching.checkpoint_path(request.output), fingerprint(subject.model.SerializeToString(), *images), asked
    )
    if request.restart:
        checkpoint.remove()
    return checkpoint


def _retrained(
    request: Request,
    recipe: "Recipe",
    subject: _Subject,
    material: Material,
    options: dict[str, Any],
    checkpoint: "Checkpoint",
    progress: Progress,
) -> "Retrained":
    from compression.training.gradual import compress_and_retrain
    from compression.training.record import write_record

    def on_stage(rate: float | None, number: int, count: int) -> None:
        to = "" if rate is None else f" at {rate:.4g}"
        progress.stage(f"retraining{to}" + (f", stage {number} of {count}" if count > 1 else ""))

    with teaching.resumable(checkpoint, progress):
        lesson = _lesson(subject, material, request.compute.device, recipe.batch)
        pace = teaching.pace_of(checkpoint, subject.model, lesson, recipe, request.compute, progress)
        plan, on_epoch = _plan(request, recipe, options), teaching.told(progress)
        made = compress_and_retrain(subject.model, plan, lesson, recipe, pace, checkpoint, on_stage, on_epoch)
    write_record(made.trained.model, _held_out_seed(request, subject), recipe, pace, made.trained)
    return made


def _plan(request: Request, recipe: "Recipe", options: dict[str, Any]) -> "Plan":
    """In stages, where there are no given ranks and enough epochs for it."""
    from compression.training.gradual import Plan, rates_to

    if request.rate is None or request.ranks:
        return Plan((request.rate,), options)
    rates = rates_to(request.rate)
    return Plan(rates if recipe.epochs >= len(rates) else (request.rate,), options)


def _lesson(subject: _Subject, material: Material, device: str, batch: int) -> "Lesson":
    from compression.training import lessons

    if material.prepared and subject.preprocessing:
        return lessons.reconstruction(material.prepared, subject.preprocessing.layout)
    return lessons.distillation(subject.model, material.train, material.held_out, device, batch)


def _calibrated(
    model: "ModelProto", subject: _Subject, material: Material | None, progress: Progress
) -> "Calibration | None":
    """The threshold of the new model: from the held-out images, else from the good images that travel with it."""
    from compression.calibrate import calibrated, recalibrated
    from inspection.preprocess import Preprocessing as Preparing
    from inspection.score import Score

    score = None if subject.known.score is None else Score(**subject.known.score.model_dump())
    prepared = material.prepared if material else None
    if subject.preprocessing is None or (score is None and prepared is None):
        return None
    how = Preparing(**subject.preprocessing.model_dump())
    judging = teaching.images_told(progress, "finding the threshold")
    if prepared:
        usual = {} if score is None else {"judged": replace(score, threshold=None)}
        return calibrated(model, how, prepared, on_image=judging, **usual)
    assert score is not None
    return recalibrated(model, how, score)
