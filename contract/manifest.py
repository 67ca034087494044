"""A bundle's manifest: all that an agent must know to serve one model, and nothing it has to guess.

A bundle is a manifest and the files it names. Its id is the sha256 of the manifest's canonical JSON, which holds the
sha256 of every file: equal content has an equal id, on every machine.
"""

import base64
import hashlib
import json
import re
import struct
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, StringConstraints, model_validator

from contract.base import Contract
from contract.tensors import Artifact, Signature

MANIFEST_FILE = "manifest.json"
"""Where an agent keeps the manifest, beside the bundle's own files."""

IMAGE_DTYPES = ("float16", "float32", "uint8")
"""What an image can become (inspection/preprocess.py)."""

MAX_GOOD_IMAGES = 64
MAX_GOOD_IMAGES_BYTES = 64 << 20
"""Of all good images of a model together, as PNG files."""

_LATER_FIELDS = ("training_error", "good_images", "rate", "build", "artifact", "edge_tpu", "macs")
"""Of a manifest, younger than its canonical form: left out where they say nothing, so that no bundle changes its id."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
ModelName = Annotated[str, StringConstraints(pattern=MODEL_NAME)]
# No component starts with a dot, so neither ".." nor a hidden file can be named; no absolute path, no backslash.
FilePath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$", max_length=200),
]


class FileEntry(Contract):
    """One file of a bundle."""

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]


class Preprocessing(Contract):
    """From a decoded image to the model's one input: resize, reorder, ``(pixel * scale - mean) / std``, lay out.

    `mean` and `std` have one value per channel, in the order of `color`, or are empty (0 and 1).
    """

    color: Literal["RGB", "BGR", "GRAY"] = "RGB"
    height: PositiveInt
    width: PositiveInt
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    scale: float = 1 / 255
    mean: tuple[float, ...] = ()
    std: tuple[Annotated[float, Field(gt=0)], ...] = ()

    @property
    def channels(self) -> int:
        return 1 if self.color == "GRAY" else 3

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the tensor that it makes."""
        size = self.height, self.width
        return (1, self.channels, *size) if self.layout == "NCHW" else (1, *size, self.channels)

    @model_validator(mode="after")
    def _one_value_per_channel(self) -> Self:
        for key, values in (("mean", self.mean), ("std", self.std)):
            if values and len(values) != self.channels:
                raise ValueError(f"{key} has {len(values)} values, {self.color} has {self.channels} channels")
        return self


class Score(Contract):
    """From a reconstruction to a decision: an image is defective when its score is above the threshold.

    `threshold` is null until good images have set it: the decision is then reported as uncalibrated. It is the one of
    the model where it was trained; an artifact with good images gets its own on its board (agent/calibration.py).
    `method`: inspection/score.py; the normalised one needs the model's training error map.
    """

    method: Literal["max_smoothed_squared_error", "max_normalised_squared_error"] = "max_smoothed_squared_error"
    sigma: Annotated[float, Field(gt=0, le=50)] = 1.0
    threshold: float | None = None

    @property
    def needs_training_error(self) -> bool:
        return self.method == "max_normalised_squared_error"


class Inspection(Contract):
    """What a model knows of its inspection: travels in the ONNX file's ``metadata_props["boardfit"]``.

    training_error  the mean anomaly map of good training images, as `inspection.score.encode_error_map` writes it:
                    base64 of little-endian float16 square roots, (height, width) of the preprocessing, row-major
    good_images     held-out good images: base64 of PNG files of the input's size, before any preprocessing
    """

    preprocessing: Preprocessing | None = None
    score: Score | None = None
    training_error: str | None = None
    good_images: Annotated[tuple[str, ...], Field(max_length=MAX_GOOD_IMAGES)] = ()

    @model_validator(mode="after")
    def _score_has_what_it_needs(self) -> Self:
        _check_score_parts(self.score, self.training_error is not None, bool(self.good_images))
        if self.preprocessing is None and (self.training_error is not None or self.good_images):
            raise ValueError("a training error map and good images need the preprocessing, which has their size")
        return self

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.preprocessing is None:
            return self
        height, width = self.preprocessing.height, self.preprocessing.width
        if self.training_error is not None:
            given, needed = len(_from_base64("training_error", self.training_error)), 2 * height * width
            if given != needed:
                raise ValueError(f"training_error has {given} bytes, {height} x {width} pixels need {needed}")
        files = self.good_image_files()
        for number, file in enumerate(files):
            if _png_size(file) != (width, height):
                raise ValueError(f"good_images.{number} is no PNG file of {width} x {height} pixels")
        _check_good_bytes(sum(map(len, files)))
        return self

    def good_image_files(self) -> tuple[bytes, ...]:
        """The PNG files."""
        return tuple(_from_base64(f"good_images.{number}", text) for number, text in enumerate(self.good_images))


class Golden(Contract):
    """Inputs whose right outputs are known (ONNX Runtime's on the host), to prove a freshly loaded model.

    `inputs` and `outputs` are files of the bundle: `count` cases one after the other, each the tensors of the
    signature in order, little-endian, row-major, without padding.
    """

    count: PositiveInt
    source: Literal["images", "tensors", "noise"]
    inputs: FilePath
    outputs: FilePath
    tolerance_db: float


class RuntimeSpec(Contract):
    """Which file of the bundle runs in which runtime (a file name in `agent/worker/runtimes/`)."""

    key: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*$")]
    file: FilePath
    options: dict[str, str | int | float | bool] = {}


class EdgeTpu(Contract):
    """What the Edge TPU's compiler says of the file.

    on_chip_bytes   parameters that stay on the chip from one inference to the next
    streamed_bytes  parameters that come over the bus at each inference
    """

    operators: Annotated[int, Field(ge=0)]
    operators_on_cpu: Annotated[int, Field(ge=0)]
    subgraphs: Annotated[int, Field(ge=0)]
    on_chip_bytes: Annotated[int, Field(ge=0)]
    streamed_bytes: Annotated[int, Field(ge=0)]


class Build(Contract):
    """A board-site step: of the runtime's file the board itself makes what it loads (an engine is of one board alone).

    precision  what the builder may use
    typed      the precision is in the model itself (TensorRT from 11 on takes no other way)
    """

    precision: Literal["fp32", "tf32", "fp16", "int8"]
    typed: bool = False


class Provenance(Contract):
    """Where the artifact came from. No time stamp: equal content must have an equal id."""

    source_name: str
    source_sha256: Sha256
    boardfit_version: str
    precision: str
    steps: tuple[str, ...]


class Manifest(Contract):
    """All that an agent must know to serve one model.

    training_error  a file: float32, little-endian, row-major, (height, width) of the preprocessing
    good_images     files: PNG, from which an agent finds the artifact's own threshold
    build           what the board makes of the runtime's file before it loads it; null where it loads the file itself
    artifact        what the runtime's file takes and gives; null where that is the signature
    edge_tpu        null where the file is not compiled for one
    macs            multiply-adds of one inference of the model; null where it has an operator whose are not counted
    rate            the share of weights that a compression has removed; below 0 where ranks that a user gave took more
                    weights than the layers had; null where the model tells of no compression
    """

    schema_version: Literal[1] = 1
    runtime: RuntimeSpec
    files: dict[FilePath, FileEntry]
    signature: Signature
    preprocessing: Preprocessing | None = None
    score: Score | None = None
    training_error: FilePath | None = None
    good_images: Annotated[tuple[FilePath, ...], Field(max_length=MAX_GOOD_IMAGES)] = ()
    golden: Golden
    weights: Annotated[int, Field(ge=0)] | None = None
    macs: Annotated[int, Field(ge=0)] | None = None
    rate: Annotated[float, Field(le=1)] | None = None
    build: Build | None = None
    artifact: Artifact | None = None
    edge_tpu: EdgeTpu | None = None
    provenance: Provenance

    @model_validator(mode="after")
    def _files_do_not_clash(self) -> Self:
        taken = {MANIFEST_FILE, *self.files}
        for path in self.files:
            folders = {"/".join(path.split("/")[:depth]) for depth in range(1, path.count("/") + 1)}
            if path == MANIFEST_FILE or folders & taken:
                raise ValueError(f"{path!r} clashes with another file of the bundle")
        return self

    @model_validator(mode="after")
    def _names_its_own_files(self) -> Self:
        maps = () if self.training_error is None else (self.training_error,)
        for path in (self.runtime.file, self.golden.inputs, self.golden.outputs, *maps, *self.good_images):
            if path not in self.files:
                raise ValueError(f"{path!r} is not among the bundle's files")
        for path, count, size in (
            (self.golden.inputs, self.golden.count, self.signature.input_bytes),
            (self.golden.outputs, self.golden.count, self.signature.output_bytes),
        ):
            if self.files[path].size_bytes != count * size:
                raise ValueError(f"{path!r} has {self.files[path].size_bytes} bytes, {count} cases need {count * size}")
        return self

    @model_validator(mode="after")
    def _artifact_fits(self) -> Self:
        if self.artifact:
            self.artifact.check(self.signature)
        return self

    @model_validator(mode="after")
    def _images_fit(self) -> Self:
        """Whatever is prepared is the model's input, and whatever is judged is a reconstruction of it."""
        first, *others = self.signature.inputs
        if self.preprocessing and (others or first.shape != self.preprocessing.shape):
            raise ValueError(f"the preprocessing makes one input of shape {list(self.preprocessing.shape)}")
        if self.preprocessing and first.dtype not in IMAGE_DTYPES:
            raise ValueError(f"an image cannot become {first.dtype}, only {', '.join(IMAGE_DTYPES)}")
        if self.score and not self.preprocessing:
            raise ValueError("a score needs the preprocessing of the images it judges")
        if self.score and self.signature.outputs[0].shape != first.shape:
            raise ValueError(
                f"a score needs a first output of the input's shape {list(first.shape)}, "
                f"not {list(self.signature.outputs[0].shape)}"
            )
        return self

    @model_validator(mode="after")
    def _score_has_what_it_needs(self) -> Self:
        _check_score_parts(self.score, self.training_error is not None, bool(self.good_images))
        if self.training_error is not None and self.preprocessing:
            height, width = self.preprocessing.height, self.preprocessing.width
            given, needed = self.files[self.training_error].size_bytes, 4 * height * width
            if given != needed:
                raise ValueError(
                    f"{self.training_error!r} has {given} bytes, a training error map of {height} x {width} "
                    f"pixels needs {needed}"
                )
        _check_good_bytes(sum(self.files[path].size_bytes for path in self.good_images))
        return self

    def canonical_json(self) -> bytes:
        """The bytes whose sha256 is the bundle's id: keys sorted, no white space, defaults written out.

        But for those of `_LATER_FIELDS`.
        """
        content = self.model_dump(mode="json")
        for field in _LATER_FIELDS:
            if content[field] in (None, []):
                del content[field]
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

    @property
    def bundle_id(self) -> str:
        return hashlib.sha256(self.canonical_json()).hexdigest()


def _check_score_parts(score: Score | None, has_training_error: bool, has_good_images: bool) -> None:
    if score is None and (has_training_error or has_good_images):
        raise ValueError("a training error map and good images are of no use without a score")
    if score and score.needs_training_error and not has_training_error:
        raise ValueError(f"the score {score.method} needs a training error map")


def _check_good_bytes(size_bytes: int) -> None:
    if size_bytes > MAX_GOOD_IMAGES_BYTES:
        raise ValueError(f"the good images have {size_bytes} bytes, at most {MAX_GOOD_IMAGES_BYTES} are taken")


def _from_base64(field: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ValueError(f"{field} is not base64: {error}") from error


def _png_size(content: bytes) -> tuple[int, int] | None:
    """Width and height by its header, which is always the first chunk (PNG 1.2, 5.6); None where it is no PNG."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n") or content[12:16] != b"IHDR" or len(content) < 24:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def model_name_from(text: str) -> str:
    """The nearest valid model name: what `--name` defaults to for a file's stem."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:64]
    return name or "model"
