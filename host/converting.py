"""From a model file to a bundle: the host's part of a deploy."""

import difflib
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from contract.manifest import Build, EdgeTpu, Golden, Manifest, Provenance, RuntimeSpec
from contract.profile import Profile, read_profile
from contract.version import __version__
from host import accelerator, artifact, calibration
from host.bundle import CONVERT_AGAIN, Bundle, entry_of, read_manifest
from host.errors import InputError, ModelFileError
from host.facts import version_of
from host.judging import TRAINING_ERROR, judging_of
from host.source import read_source

if TYPE_CHECKING:
    from converters.convert import Converted
    from converters.golden import Golden as GoldenData
    from converters.plan import Target

MODEL_FILES = {"tflite": "model.tflite"}
MODEL_FILE = "model.onnx"
"""By runtime, and what it is called where the runtime does not say."""

GOLDEN_INPUTS, GOLDEN_OUTPUTS = "golden/inputs.bin", "golden/outputs.bin"

_COMPRESS_AGAIN = "compress the original model again"
_CONVERSION_OPTIONS = {
    "input_shapes": "--input-shape",
    "precision": "--precision",
    "preprocess": "--preprocess",
    "calibrate": "--calibrate",
    "tolerance_db": "--tolerance-db",
    "options": "--option",
    "ranges": "--ranges",
    "bias_correction": "--bias-correction",
    "io": "--io",
    "use": "--cpu, --docker or --compiled",
    "trial_build_s": "--trial-build-s",
}
_HERE, _TFLITE = "desktop", "coral"
_OF_TFLITE = ("ranges", "bias_correction", "io")

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
    ranges: str | None = None
    bias_correction: bool | None = None
    io: str | None = None
    use: accelerator.Use = field(default_factory=accelerator.Use)
    trial_build_s: float | None = None


def make_for_here(request: Request, on_step: OnStep) -> Bundle:
    """Of a model file, for this machine: ONNX for ONNX Runtime, TFLite for a CPU. ModelFileError, InputError."""
    from converters.convert import format_of

    if format_of(request.model) != "tflite":
        return make(request, read_profile(_HERE), on_step)
    return make(replace(request, use=accelerator.Use(cpu=True)), read_profile(_TFLITE), on_step)


def make(request: Request, profile: Profile, on_step: OnStep) -> Bundle:
    """Converts the model for boards of this profile; a folder is taken as converted. ModelFileError, InputError."""
    if request.model.is_dir():
        return _converted_before(request, profile)
    precision = _precision(request.precision, profile)
    _check_options(request, profile)
    # The model as it came is what the board is held against, whatever is done to it for the board.
    original, signature = read_source(request.model, request.input_shapes, on_step, _as_it_came(request.model))
    judging = judging_of(original.inspection, signature, request.preprocess)
    examples, calibrated = calibration.examples(
        request.calibrate,
        judging,
        signature,
        _takes_ranges(request, precision, own=original.quantised and profile.runtime == "trt"),
    )
    converted = _converted(request, original, profile, precision, examples, on_step)
    tolerance_db = profile.tolerance_db[precision] if request.tolerance_db is None else request.tolerance_db
    _check_distance(request, converted, precision, tolerance_db)
    on_step("running the golden inputs on this machine")
    golden = _golden(request, original, examples)
    own_metadata = judging.files and converted.artifact is None
    model = _without_inspection(converted.model) if own_metadata else converted.model
    model_file = MODEL_FILES.get(profile.runtime, MODEL_FILE)
    files = {model_file: model, GOLDEN_INPUTS: golden.inputs, GOLDEN_OUTPUTS: golden.outputs, **judging.files}
    manifest = Manifest(
        runtime=RuntimeSpec(key=profile.runtime, file=model_file, options=_runtime_options(request, profile)),
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
        macs=original.macs,
        rate=_rate(original, request.model.name),
        build=Build(precision=precision, typed=converted.typed) if converted.board_steps else None,
        artifact=artifact.for_manifest(converted.artifact),
        edge_tpu=_edge_tpu(converted),
        provenance=Provenance(
            source_name=request.model.name,
            source_sha256=_sha256_of(request.model),
            boardfit_version=__version__,
            precision=precision,
            steps=converted.steps,
        ),
    )
    notices = (*_in_a_bundle(request.model), *calibrated, *converted.notices, *golden.notices, *judging.notices)
    return Bundle(manifest, files, notices)


def read_converted(request: Request) -> Bundle:
    """A folder of `host convert`, whatever boards it is for. InputError where an option of a conversion is given."""
    bundle = Bundle.read(request.model)
    for name, option in _CONVERSION_OPTIONS.items():
        if getattr(request, name) not in (None, {}, accelerator.Use()):
            raise InputError(f"{option} comes too late: {request.model} is converted already", CONVERT_AGAIN)
    return bundle


def _converted_before(request: Request, profile: Profile) -> Bundle:
    bundle = read_converted(request)
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


def _rate(original: "Converted", name: str) -> float | None:
    """As the model's own table of what a compression did to it says, where it has one. InputError: it is damaged."""
    import onnx

    from compression.errors import NotCompressedError
    from compression.table import METADATA_KEY, read_table

    if original.artifact:
        return None
    proto = onnx.load_model_from_string(original.model)
    if all(entry.key != METADATA_KEY for entry in proto.metadata_props):
        return None
    try:
        rate = read_table(proto).rate
        if not (isinstance(rate, float) and -math.inf < rate <= 1):
            raise NotCompressedError(f"the model's {METADATA_KEY!r} says a rate of {rate!r:.50}", _COMPRESS_AGAIN)
    except NotCompressedError as error:
        raise InputError(f"{name}: {error.message}", error.hint, error.code) from error
    return rate


def _check_options(request: Request, profile: Profile) -> None:
    """InputError for one that a conversion for these boards has no use for."""
    request.use.check(profile)
    if request.trial_build_s is not None and profile.runtime != "trt":
        why = f"--trial-build-s is for TensorRT, and {profile.title} runs {profile.runtime}"
        raise InputError(why, "leave it out")
    for name in _OF_TFLITE:
        if getattr(request, name) is None:
            continue
        option = _CONVERSION_OPTIONS[name]
        if profile.runtime != "tflite":
            why = f"{option} is for int8 TFLite, and {profile.title} runs {profile.runtime}"
            raise InputError(why, "leave it out")
        if request.model.suffix.lower() == ".tflite":
            raise InputError(f"{option} comes too late: {request.model.name} is int8 already", "leave it out")


def _runtime_options(request: Request, profile: Profile) -> dict[str, str | int | float | bool]:
    return request.use.runtime_options(profile, request.options or {})


def _in_a_bundle(model: Path) -> tuple[str, ...]:
    """A notice where the file is one of a converted model, whose folder says more of it than the file alone."""
    try:
        files = read_manifest(model.parent).files
    except InputError:
        return ()
    if model.name not in files:
        return ()
    has = f"the folder {model.parent} has how its images are prepared and judged, too"
    return (f"{model.name} is taken by itself: {has}; name the folder to use that",)


def _takes_ranges(request: Request, precision: str, *, own: bool) -> bool:
    """Whether examples are what int8 takes its ranges from; not so where it keeps the model's `own`."""
    from converters.convert import format_of

    return precision == "int8" and not own and format_of(request.model) != "tflite"


def _converted(
    request: Request,
    original: "Converted",
    profile: Profile,
    precision: str,
    examples: calibration.Examples | None,
    on_step: OnStep,
) -> "Converted":
    from converters.int8_options import Int8Options
    from converters.plan import Target

    on_edge_tpu = accelerator.takes(profile, _runtime_options(request, profile))
    chip: Literal["edgetpu"] | None = "edgetpu" if on_edge_tpu else None
    target = Target(profile.runtime, precision, version_of(profile), chip, "int8" in profile.precisions)
    if target.runtime == _as_it_came(request.model).runtime and target.accelerator is None:
        return original
    given = {name: value for name in _OF_TFLITE if (value := getattr(request, name)) is not None}
    return read_source(
        request.model,
        request.input_shapes,
        on_step,
        target,
        examples or (),
        int8=Int8Options(**given),
        compiler=request.use.compiler(),
        begun=original,
        trial_build_s=request.trial_build_s,
    )[0]


def _check_distance(request: Request, converted: "Converted", precision: str, tolerance_db: float) -> None:
    """ModelFileError where the file is already here farther from the model than the board is allowed to be."""
    if converted.sqnr_db is None or converted.sqnr_db >= tolerance_db:
        return
    worst = min(converted.layers, key=lambda layer: layer.sqnr_db, default=None)
    layer = f"; the worst layer is {worst.name} ({worst.operator}), {worst.sqnr_db:.1f} dB" if worst else ""
    other = {"int8": "choose --precision fp16", "fp16": "choose --precision fp32"}[precision]
    if converted.layers:
        other = "try --ranges"
    more = "calibrate with more images (--calibrate DIR), " if precision == "int8" else ""
    raise ModelFileError(
        f"{request.model.name}: {precision} comes to {converted.sqnr_db:.1f} dB (SQNR) on this machine, "
        f"{tolerance_db:g} dB are asked for{layer}",
        f"{more}{other}, or allow it with --tolerance-db",
        "below_tolerance",
    )


def _edge_tpu(converted: "Converted") -> EdgeTpu | None:
    if converted.edge_tpu is None:
        return None
    return EdgeTpu(**{name: getattr(converted.edge_tpu, name) for name in EdgeTpu.model_fields})


def _as_it_came(model: Path) -> "Target":
    from converters.convert import format_of
    from converters.plan import Target

    return Target("tflite", "int8") if format_of(model) == "tflite" else Target()


def _golden(request: Request, original: "Converted", examples: calibration.Examples | None) -> "GoldenData":
    from converters.errors import ConversionError
    from converters.golden import make_golden

    try:
        reference = artifact.reference(original.model, original.artifact)
        if examples is None:
            return make_golden(original.signature, reference, count=calibration.GOLDEN_COUNT)
        return make_golden(original.signature, reference, examples, calibration.GOLDEN_COUNT, source=examples.source)
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
