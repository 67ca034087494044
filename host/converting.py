"""From a model file to a bundle: the host's part of a deploy."""

import difflib
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contract.manifest import Build, Golden, Manifest, Preprocessing, Provenance, RuntimeSpec
from contract.profile import Profile
from contract.tensors import Signature
from contract.version import __version__
from host import images
from host.bundle import CONVERT_AGAIN, Bundle, entry_of
from host.errors import InputError, ModelFileError
from host.facts import version_of
from host.judging import TRAINING_ERROR, judging_of
from host.source import read_source

if TYPE_CHECKING:
    from converters.convert import Converted
    from converters.golden import Golden as GoldenData

MODEL_FILE = "model.onnx"
GOLDEN_INPUTS, GOLDEN_OUTPUTS = "golden/inputs.bin", "golden/outputs.bin"

GOLDEN_COUNT = 8
CALIBRATION_COUNT = 200
"""Images at most: more change the ranges of an int8 conversion no more, and each has to be run."""

_COMPRESS_AGAIN = "compress the original model again"
_CONVERSION_OPTIONS = {
    "input_shapes": "--input-shape",
    "precision": "--precision",
    "preprocess": "--preprocess",
    "calibrate": "--calibrate",
    "tolerance_db": "--tolerance-db",
    "options": "--option",
}

Options = Mapping[str, str | int | float | bool]
OnStep = Callable[[str], None]


@dataclass(frozen=True)
class Request:
    """What the user asks of a conversion. None: as the model or the profile says."""

    model: Path
    input_shapes: Mapping[str, tuple[int, ...]]
    precision: str | None = None
    preprocess: Path | None = None
    calibrate: Path | None = None
    tolerance_db: float | None = None
    options: Options | None = None


def make(request: Request, profile: Profile, on_step: OnStep) -> Bundle:
    """Converts the model for boards of this profile; a folder is taken as converted. ModelFileError, InputError."""
    if request.model.is_dir():
        return _converted_before(request, profile)
    precision = _precision(request.precision, profile)
    # The model as it came is what the board is held against, whatever is done to it for the board.
    original, signature = read_source(request.model, request.input_shapes, on_step)
    judging = judging_of(original.inspection, signature, request.preprocess)
    pictures = _pictures(request, judging.preprocessing, signature)
    converted = _converted(request, original, profile, precision, pictures, on_step)
    on_step("running the golden inputs on this machine")
    golden = _golden(request, original, pictures)
    model = _without_inspection(converted.model) if judging.files else converted.model
    files = {MODEL_FILE: model, GOLDEN_INPUTS: golden.inputs, GOLDEN_OUTPUTS: golden.outputs, **judging.files}
    tolerance_db = profile.tolerance_db[precision] if request.tolerance_db is None else request.tolerance_db
    manifest = Manifest(
        runtime=RuntimeSpec(
            key=profile.runtime, file=MODEL_FILE, options={**profile.runtime_options, **(request.options or {})}
        ),
        files={name: entry_of(content) for name, content in files.items()},
        signature=signature,
        preprocessing=judging.preprocessing,
        score=judging.score,
        training_error=None if judging.training_error is None else TRAINING_ERROR,
        good_images=tuple(judging.good_images),
        golden=Golden(
            count=golden.count,
            source=golden.source,
            inputs=GOLDEN_INPUTS,
            outputs=GOLDEN_OUTPUTS,
            tolerance_db=tolerance_db,
        ),
        weights=original.weights,
        rate=_rate(original.model, request.model.name),
        build=Build(precision=precision, typed=converted.typed) if converted.board_steps else None,
        provenance=Provenance(
            source_name=request.model.name,
            source_sha256=_sha256_of(request.model),
            boardfit_version=__version__,
            precision=precision,
            steps=converted.steps,
        ),
    )
    return Bundle(manifest, files, (*converted.notices, *judging.notices))


def _converted_before(request: Request, profile: Profile) -> Bundle:
    for field, option in _CONVERSION_OPTIONS.items():
        if getattr(request, field) not in (None, {}):
            raise InputError(f"{option} comes too late: {request.model} is converted already", CONVERT_AGAIN)
    bundle = Bundle.read(request.model)
    runtime, precision = bundle.manifest.runtime.key, bundle.manifest.provenance.precision
    if runtime != profile.runtime or precision not in profile.precisions:
        raise InputError(
            f"{request.model} was converted for {runtime}, {precision}; {profile.title} takes {profile.runtime}, "
            + " or ".join(profile.precisions),
            "convert the model for this board",
        )
    return bundle


def _without_inspection(model: bytes) -> bytes:
    """The model without what it knows of its inspection.

    The manifest says it all, and what is in the model's metadata is memory of the worker: 1.9 MB with 22 good images
    of 128 x 128 in ONNX Runtime 1.32, of a model that has 2 MB itself.
    """
    import onnx

    from compression.autoencoder import METADATA_KEY

    light = onnx.load_model_from_string(model)
    kept = {entry.key: entry.value for entry in light.metadata_props if entry.key != METADATA_KEY}
    onnx.helper.set_model_props(light, kept)
    return bytes(light.SerializeToString(deterministic=True))


def _rate(model: bytes, name: str) -> float | None:
    """As the model's own table of what a compression did to it says, where it has one. InputError: it is damaged."""
    import onnx

    from compression.errors import NotCompressedError
    from compression.table import METADATA_KEY, read_table

    proto = onnx.load_model_from_string(model)
    if all(entry.key != METADATA_KEY for entry in proto.metadata_props):
        return None
    try:
        rate = read_table(proto).rate
        if not (isinstance(rate, float) and -math.inf < rate <= 1):
            raise NotCompressedError(f"the model's {METADATA_KEY!r} says a rate of {rate!r:.50}", _COMPRESS_AGAIN)
    except NotCompressedError as error:
        raise InputError(f"{name}: {error.message}", error.hint, error.code) from error
    return rate


def _pictures(request: Request, image: Preprocessing | None, signature: Signature) -> images.Cases | None:
    if request.calibrate is None:
        return None
    if image is None:
        raise InputError("--calibrate gives images, but the model takes tensors", "leave it out: noise is used")
    chosen = images.image_files(request.calibrate)[:CALIBRATION_COUNT]
    return images.Cases(tuple(chosen), image, signature.inputs[0].dtype)


def _converted(
    request: Request,
    original: "Converted",
    profile: Profile,
    precision: str,
    pictures: images.Cases | None,
    on_step: OnStep,
) -> "Converted":
    from converters.plan import Target

    target = Target(profile.runtime, precision, version_of(profile))
    if target.runtime == Target().runtime:
        return original
    return read_source(request.model, request.input_shapes, on_step, target, pictures or ())[0]


def _golden(request: Request, original: "Converted", pictures: images.Cases | None) -> "GoldenData":
    from converters.errors import ConversionError
    from converters.golden import make_golden
    from converters.reference import OnnxReference

    chosen = [case[0] for case in pictures[:GOLDEN_COUNT]] if pictures else []
    try:
        return make_golden(original.signature, OnnxReference(original.model), chosen, GOLDEN_COUNT)
    except ConversionError as error:
        raise ModelFileError(f"{request.model.name}: {error.message}", error.hint, error.code) from error


def _precision(asked: str | None, profile: Profile) -> str:
    precision = asked or profile.precisions[0]
    if precision in profile.refused_precisions:
        raise InputError(
            f"{profile.title} cannot do {precision}: {profile.refused_precisions[precision]}",
            f"it takes {', '.join(profile.precisions)}",
            "refused_precision",
        )
    if precision not in profile.precisions:
        near = difflib.get_close_matches(precision, profile.precisions, n=1)
        raise InputError(
            f"{profile.title} takes no precision {precision!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            f"it takes {', '.join(profile.precisions)}",
            "unknown_precision",
        )
    return precision


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # piece by piece: a model may have 2 GB
    except OSError as error:
        raise InputError(
            f"{path} cannot be read any more: {error.strerror}", "leave it where it is meanwhile"
        ) from error
