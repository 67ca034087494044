"""A model that reconstructs its input, run on prepared images: on this machine, or on a board it is deployed to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from contract.api import Activation
from contract.manifest import Manifest
from contract.profile import Profile
from contract.tensors import TensorSpec
from host import artifact, converting, images
from host.bundle import Bundle
from host.client import TENSORS, AgentClient
from host.errors import BoardError, InputError, ModelFileError
from host.progress import Progress
from host.temporary import temporarily
from inspection import preprocess, score
from inspection.accuracy import threshold_from_good
from inspection.errors import InspectionError
from inspection.score import FloatMap, Score

Floats = NDArray[np.float32]
Run = Callable[[NDArray[Any]], NDArray[Any]]
"""One input tensor -> the output of its shape, both of the model's own element type."""

_NOT_ONNX = "not_onnx"


@dataclass(frozen=True, eq=False)
class Subject:
    """A model that reconstructs images. `name`: in words, which file it is.

    `training_error`: float32 (height, width), None where the model does not bring it.
    """

    name: str
    bundle: Bundle
    preprocessing: preprocess.Preprocessing
    score: Score
    training_error: FloatMap | None

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    @property
    def rate(self) -> float | None:
        """The share of weights that a compression has removed, where one has."""
        return self.manifest.rate

    @property
    def spec(self) -> TensorSpec:
        return self.manifest.signature.inputs[0]


@dataclass(frozen=True)
class Place:
    """Where a subject runs. `threshold` is what its good images have set there, if it brings any: on the board, or on
    this machine with the artifact.
    """

    name: str
    run: Run
    threshold: float | None = None
    threshold_from: Literal["board", "artifact"] = "board"


def read_subject(request: converting.Request, profile: Profile | None, progress: Progress) -> Subject:
    """An .onnx or .tflite file, or a folder of `host convert`, for boards of the profile; None: for this machine.

    ModelFileError, InputError: it is none of them, or reconstructs nothing.
    """
    try:
        if profile is None and request.model.is_dir():
            bundle = _as_computed_here(converting.read_converted(request), request.model)
        elif profile is None:
            bundle = converting.make_for_here(request, progress.stage)
        else:
            bundle = converting.make(request, profile, progress.stage)
    except ModelFileError as error:
        if error.code != _NOT_ONNX:
            raise
        hint = "name an .onnx or .tflite file, or a folder that `host convert` wrote"
        raise ModelFileError(error.message, hint, error.code) from error
    manifest = bundle.manifest
    inputs, outputs = manifest.signature.inputs, manifest.signature.outputs
    if manifest.preprocessing is None or [spec.shape for spec in inputs] != [spec.shape for spec in outputs]:
        raise InputError(
            f"{request.model} reconstructs no image: it takes {_in_words(inputs)} and gives {_in_words(outputs)}",
            "evaluate an autoencoder: one image in, one of the same shape out",
            "no_reconstruction",
        )
    judged = manifest.score
    return Subject(
        _name(request.model, manifest, here=profile is None),
        bundle,
        _prepared_as(manifest.preprocessing.model_dump(), inputs[0].dtype),
        Score(**judged.model_dump()) if judged else Score(),
        _training_error(bundle, manifest.preprocessing.height, manifest.preprocessing.width),
    )


@contextmanager
def placed(
    subject: Subject, client: AgentClient | None, progress: Progress, *, stop_others: bool = False
) -> Iterator[Place]:
    """The subject ready to run: on the board of `client`, or on this machine. DoesNotRunError, BoardError.

    `stop_others`: where it needs the board, or its accelerator, for itself, what is served there may be stopped.
    """
    if client is None:
        run = _here(subject)
        yield Place("this machine", run, _threshold_here(subject, run, progress), "artifact")
        return
    with temporarily(client, subject.bundle, progress, stop_others=stop_others) as (name, activation):
        yield answering(subject, client, name, activation, progress)


def answering(subject: Subject, client: AgentClient, name: str, activation: Activation, progress: Progress) -> Place:
    """The subject where it is deployed already, as `name`; `activation`: how that went."""
    return Place(client.board, partial(_ask, subject, client, name, progress), activation.threshold_board)


def reconstruct(subject: Subject, place: Place, images: Floats, what: str, progress: Progress) -> Floats:
    """Of the prepared `images`, float32 (n,C,H,W) or (n,H,W,C), likewise; `what` they are, in words.

    BusyError, UnreachableError, BoardError; ModelFileError where the model does not run on this machine.
    """
    made = np.empty_like(images)
    for done, image in enumerate(images):
        progress.stage(f"{place.name}: reconstructing {what}")
        progress.advance(done, len(images))
        made[done] = place.run(image[np.newaxis].astype(subject.spec.dtype))[0]
    progress.advance(len(images), len(images))
    return made


def _here(subject: Subject) -> Run:
    """In ONNX Runtime, on as many threads as it takes for itself; a TFLite file in TFLite.

    One thread for each of several images at a time would be little faster (11.7 instead of 13.4 ms an image, 18.7 M
    weights on 2 cores) and hold the intermediate tensors of each.
    """
    from converters.errors import ConversionError

    def told(error: ConversionError) -> ModelFileError:
        return ModelFileError(f"{subject.name}: {error.message}", error.hint, error.code)

    try:
        model = artifact.reference(
            subject.bundle.files[subject.manifest.runtime.file], artifact.of_manifest(subject.manifest.artifact)
        )
    except ConversionError as error:
        raise told(error) from error

    def run(tensor: NDArray[Any]) -> NDArray[Any]:
        try:
            return model([tensor])[0]
        except ConversionError as error:
            raise told(error) from error

    return run


def _threshold_here(subject: Subject, run: Run, progress: Progress) -> float | None:
    """As a board finds it (agent/calibration.py); None without a good image. InputError names one it cannot judge."""
    scores, manifest = [], subject.manifest
    for done, path in enumerate(manifest.good_images):
        progress.stage("this machine: finding the threshold")
        progress.advance(done, len(manifest.good_images))
        assert manifest.preprocessing is not None, "a manifest with good images has their preparation"
        prepared = images.prepared(subject.bundle.files[path], manifest.preprocessing, subject.spec.dtype)
        try:
            judged = score.judged_map(
                prepared, run(prepared), subject.score, subject.preprocessing.layout, subject.training_error
            )
        except InspectionError as error:
            raise InputError(f"{subject.name}: of {path} {error}", error.hint, error.code) from error
        scores.append(score.score(judged))
    return threshold_from_good(scores) if scores else None


def _ask(subject: Subject, client: AgentClient, name: str, progress: Progress, tensor: NDArray[Any]) -> NDArray[Any]:
    body = tensor.tobytes()
    reply = client.patiently(lambda: client.infer(name, body, accept=TENSORS), progress.stage)
    spec = subject.manifest.signature.outputs[0]
    if len(reply.body) != spec.size_bytes:
        raise BoardError(
            f"{client.board!r} gives {len(reply.body)} bytes, {spec.size_bytes} were expected", "start again"
        )
    return np.frombuffer(reply.body, spec.dtype).reshape(spec.shape)


def _prepared_as(fields: dict[str, Any], dtype: str) -> preprocess.Preprocessing:
    """For images that are prepared as float32: a model of bytes takes the pixels as they are, whatever is said."""
    return preprocess.Preprocessing(**{**fields, "scale": 1.0, "mean": (), "std": ()} if dtype == "uint8" else fields)


def _training_error(bundle: Bundle, height: int, width: int) -> FloatMap | None:
    path = bundle.manifest.training_error
    return None if path is None else np.frombuffer(bundle.files[path], "<f4").reshape(height, width)


def _name(model: Path, manifest: Manifest, *, here: bool) -> str:
    """Of a converted model's folder, the file in it and what that was made of."""
    source = manifest.provenance.source_name
    if not model.is_dir():
        return source
    computed = ", computed here in float32" if here and _left_to_the_board(manifest) else ""
    return f"{model / manifest.runtime.file}, {manifest.provenance.precision} of {source}{computed}"


def _left_to_the_board(manifest: Manifest) -> str | None:
    """The precision, where it is not in the file: its board builds with it, and this machine computes in float32.

    TF32 is never in a file; float16 is where the model is typed, and int8 always.
    """
    build = manifest.build
    if build is None or not (build.precision == "tf32" or (build.precision == "fp16" and not build.typed)):
        return None
    return build.precision


def _as_computed_here(bundle: Bundle, folder: Path) -> Bundle:
    """With a notice where its board computes otherwise."""
    precision = _left_to_the_board(bundle.manifest)
    if precision is None:
        return bundle
    what = f"this machine computes {folder / bundle.manifest.runtime.file} in float32: {precision} is the board's to do"
    return replace(bundle, notices=(*bundle.notices, f"{what}; --board NAME tells what it makes of it"))


def _in_words(specs: tuple[TensorSpec, ...]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in specs)
