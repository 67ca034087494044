"""What a model knows of its inspection, checked and unpacked for a bundle: how its images become decisions."""

from dataclasses import dataclass, field
from pathlib import Path

from contract.manifest import Inspection, Preprocessing, Score
from contract.tensors import Signature
from host import preprocessing
from host.errors import InputError

TRAINING_ERROR, GOOD_IMAGE = "training_error.bin", "good/{:03d}.png"
_AGAIN = "make the model again with this boardfit, or take metadata_props['boardfit'] out of it"


@dataclass(frozen=True)
class Judging:
    """For a manifest, with the files it then names; `preprocessing` None: it takes tensors, `score` None: it decides
    nothing. `notices`: what was decided on the way, one sentence each.
    """

    preprocessing: Preprocessing | None = None
    score: Score | None = None
    training_error: bytes | None = None
    good_images: dict[str, bytes] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    @property
    def files(self) -> dict[str, bytes]:
        """By name."""
        maps = {} if self.training_error is None else {TRAINING_ERROR: self.training_error}
        return {**maps, **self.good_images}


def judging_of(metadata: str | None, signature: Signature, override: Path | None) -> Judging:
    """From a model's ``metadata_props["boardfit"]``; `override`: the user's preprocessing file. InputError."""
    known = preprocessing.inspection_of(metadata)
    if known.preprocessing and (override is None or known.training_error or known.good_images):
        preprocessing.check(known.preprocessing, signature, "what the model says of its preprocessing")
    if override:
        image, origin = preprocessing.read_file(override, signature), f"as {override.name} says"
    elif known.preprocessing:
        image, origin = known.preprocessing, "as the model itself says"
    elif usual := preprocessing.by_convention(signature):
        image, origin = usual, "by convention (--preprocess overrides)"
    else:
        return Judging(notices=("the input is no image: this model takes tensors",))
    notice = f"images are prepared {origin}: {preprocessing.in_words(image, signature.inputs[0].dtype)}"
    if known.score is None:
        return Judging(image, notices=(notice,))
    _check_reconstruction(signature)
    return Judging(
        image,
        known.score,
        _training_error(known),
        {GOOD_IMAGE.format(number): content for number, content in enumerate(_good_images(known))},
        (notice, *_doubts(known, known.score, image)),
    )


def _check_reconstruction(signature: Signature) -> None:
    before, after = signature.inputs[0], signature.outputs[0]
    if before.shape != after.shape:
        raise InputError(
            f"the model says it is scored by its reconstruction, but its output {after.name!r} is {list(after.shape)}, "
            f"its input {before.name!r} {list(before.shape)}",
            _AGAIN,
        )


def _training_error(known: Inspection) -> bytes | None:
    """Little-endian float32."""
    if known.training_error is None or known.preprocessing is None:
        return None
    from inspection.errors import InspectionError
    from inspection.score import decode_error_map

    size = known.preprocessing
    try:
        return decode_error_map(known.training_error, size.height, size.width).astype("<f4").tobytes()
    except InspectionError as error:
        raise InputError(f"of what the model says of its inspection, {error}", _AGAIN) from error


def _good_images(known: Inspection) -> tuple[bytes, ...]:
    """PNG files, each decoded once: better now than on the board."""
    from inspection.errors import InspectionError
    from inspection.preprocess import decode

    files = known.good_image_files()
    for number, content in enumerate(files):
        try:
            decode(content)
        except InspectionError as error:
            raise InputError(f"good image {number} in the model: {error}", _AGAIN, error.code) from error
    return files


def _doubts(known: Inspection, score: Score, image: Preprocessing) -> list[str]:
    """Where images are prepared in another way than the model was trained with."""
    if known.preprocessing in (None, image):
        return []
    if score.needs_training_error:
        return ["the model's training error map is of images prepared as the model says: check its decisions"]
    if score.threshold is not None and not known.good_images:
        return ["the model's threshold was set on images prepared as the model says: check its decisions"]
    return []
