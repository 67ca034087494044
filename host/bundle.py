"""From a model file to a bundle: the host's part of a deploy. A bundle is the same on every machine, byte for byte."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from contract.manifest import (
    MANIFEST_FILE,
    FileEntry,
    Golden,
    Manifest,
    Preprocessing,
    Provenance,
    RuntimeSpec,
    Score,
    Signature,
)
from contract.profile import Profile
from contract.version import __version__
from host import images, preprocessing
from host.errors import InputError, ModelFileError

if TYPE_CHECKING:
    from converters.convert import Converted
    from converters.golden import Golden as GoldenData

MODEL_FILE = "model.onnx"
GOLDEN_INPUTS, GOLDEN_OUTPUTS = "golden/inputs.bin", "golden/outputs.bin"

GOLDEN_COUNT = 8

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


@dataclass(frozen=True)
class Bundle:
    """A manifest, the content of its files, and what was decided on the way, one sentence each."""

    manifest: Manifest
    files: Mapping[str, bytes]
    notices: tuple[str, ...] = ()

    def write(self, folder: Path) -> None:
        """Into a folder, made where it does not exist; the manifest last. InputError where it cannot be written."""
        try:
            for name, content in (*self.files.items(), (MANIFEST_FILE, self.manifest.canonical_json())):
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        except OSError as error:
            raise InputError(f"{folder} cannot be written: {error}", "name another folder with -o") from error

    @classmethod
    def read(cls, folder: Path) -> "Bundle":
        """What `write` wrote, its hashes checked. InputError."""
        try:
            manifest = Manifest.model_validate_json((folder / MANIFEST_FILE).read_bytes())
            files = {name: (folder / name).read_bytes() for name in manifest.files}
        except (OSError, ValidationError) as error:
            raise InputError(
                f"{folder} is no converted model: {error}", "make it with `host convert -o DIR`"
            ) from error
        for name, content in files.items():
            if hashlib.sha256(content).hexdigest() != manifest.files[name].sha256:
                raise InputError(f"{folder / name} is not the file the manifest names", "convert the model again")
        return cls(manifest, files)


def make(request: Request, profile: Profile, on_step: OnStep) -> Bundle:
    """Converts the model for boards of this profile. ModelFileError, InputError."""
    if request.model.is_dir():
        return Bundle.read(request.model)
    precision = _precision(request.precision, profile)
    converted = _convert(request, profile.runtime, precision, on_step)
    signature = Signature.model_validate(asdict(converted.signature))
    image, score, notices = _inspection(request, converted, signature)
    on_step("running the golden inputs on the host")
    golden = _golden(request, converted, image, signature)
    files = {MODEL_FILE: converted.model, GOLDEN_INPUTS: golden.inputs, GOLDEN_OUTPUTS: golden.outputs}
    tolerance_db = profile.tolerance_db[precision] if request.tolerance_db is None else request.tolerance_db
    manifest = Manifest(
        runtime=RuntimeSpec(
            key=profile.runtime, file=MODEL_FILE, options={**profile.runtime_options, **(request.options or {})}
        ),
        files={name: _entry(content) for name, content in files.items()},
        signature=signature,
        preprocessing=image,
        score=score,
        golden=Golden(
            count=golden.count,
            source=golden.source,
            inputs=GOLDEN_INPUTS,
            outputs=GOLDEN_OUTPUTS,
            tolerance_db=tolerance_db,
        ),
        weights=converted.weights,
        provenance=Provenance(
            source_name=request.model.name,
            source_sha256=hashlib.sha256(images.read(request.model)).hexdigest(),
            boardfit_version=__version__,
            precision=precision,
            steps=converted.steps,
        ),
    )
    return Bundle(manifest, files, (*converted.notices, *notices))


def _convert(request: Request, runtime: str, precision: str, on_step: OnStep) -> "Converted":
    from converters.convert import convert
    from converters.errors import ConversionError
    from converters.plan import Target

    try:
        return convert(request.model, Target(runtime, precision), request.input_shapes, on_step)
    except ConversionError as error:
        raise ModelFileError(f"{request.model.name}: {error.message}", error.hint, error.code) from error


def _inspection(
    request: Request, converted: "Converted", signature: Signature
) -> tuple[Preprocessing | None, Score | None, list[str]]:
    """Preprocessing, score, and the notices they deserve."""
    known = preprocessing.inspection_of(converted.inspection)
    image: Preprocessing | None
    if request.preprocess:
        image, origin = preprocessing.read_file(request.preprocess, signature), f"as {request.preprocess.name} says"
    elif known.preprocessing:
        image, origin = known.preprocessing, "as the model itself says"
    else:
        image, origin = preprocessing.by_convention(signature), "by convention (--preprocess overrides)"
    if image is None:
        return None, None, ["the input is no image: the agent takes tensors"]
    preprocessing.check(image, signature)
    notices = [f"images are prepared {origin}: {preprocessing.in_words(image)}"]
    if known.score and known.score.threshold is None:
        notices.append("the model has no threshold: its decisions are uncalibrated")
    return image, known.score, notices


def _golden(
    request: Request, converted: "Converted", image: Preprocessing | None, signature: Signature
) -> "GoldenData":
    from converters.errors import ConversionError
    from converters.golden import make_golden
    from converters.reference import OnnxReference

    pictures: list[Any] = []
    if request.calibrate:
        if image is None:
            raise InputError("--calibrate gives images, the model takes none", "leave it out")
        chosen = images.image_files(request.calibrate)[:GOLDEN_COUNT]
        pictures = [images.prepared(path, image, signature.inputs[0].dtype) for path in chosen]
    try:
        return make_golden(converted.signature, OnnxReference(converted.model), pictures, GOLDEN_COUNT)
    except ConversionError as error:
        raise ModelFileError(f"{request.model.name}: {error.message}", error.hint, error.code) from error


def _precision(asked: str | None, profile: Profile) -> str:
    precision = asked or profile.precisions[0]
    if precision not in profile.precisions:
        raise InputError(
            f"{profile.title} takes no precision {precision!r}", f"take one of {', '.join(profile.precisions)}"
        )
    return precision


def _entry(content: bytes) -> FileEntry:
    return FileEntry(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
