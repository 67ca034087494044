"""Files to a deployed model, and what it makes of them."""

import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.api import ModelInfo
from host import disk, images
from host.benching import find_model, loaded
from host.client import JSON, TENSORS, AgentClient, Inference
from host.errors import BoardError, BusyError, HostError, InputError, UnreachableError
from host.progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PNG = "image/png"
_NPY = "application/x-npy"
_NPY_MAGIC = b"\x93NUMPY"
_CUTS = (UnreachableError, BusyError)  # the next file would fare no better


@dataclass(frozen=True)
class Request:
    """What the user asks: anomaly maps go into `maps`, output tensors into `output`."""

    model: str
    files: Sequence[Path]
    maps: Path | None = None
    output: Path | None = None


@dataclass(frozen=True)
class OutputSummary:
    """One output tensor, in short; None where that is not finite."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    least: float | None
    mean: float | None
    greatest: float | None


@dataclass(frozen=True)
class Answer:
    """What a model said of one file: a decision where it makes one, and else, or if asked for, its outputs in short.

    `convert_ms`: between the signature's tensors and the file's own; None where there is nothing to convert.
    """

    file: Path
    run_ms: float
    total_ms: float
    score: float | None = None
    threshold: float | None = None
    decision: str | None = None
    outputs: tuple[OutputSummary, ...] = ()
    convert_ms: float | None = None


@dataclass(frozen=True)
class Failure:
    """Why there is no answer for one file."""

    file: Path
    error: HostError


def infer_all(client: AgentClient, request: Request, progress: Progress) -> list[Answer | Failure]:
    """One file after the other, in their order. A file that fails does not keep the others from their answers.

    InputError before the first where the request as a whole is wrong; BoardError where the model cannot answer.
    """
    model = loaded(find_model(client, request.model), client.board)
    if request.maps and model.score is None:
        raise InputError(
            f"--maps: {model.name!r} has no score, so there are no anomaly maps", "use -o DIR for its outputs"
        )
    places = _places(request, model)
    answers: list[Answer | Failure] = []
    cut: HostError | None = None
    for done, file in enumerate(request.files):
        progress.stage(f"{client.board}: asking {model.name}")
        progress.advance(done, len(request.files))
        try:
            answers.append(Failure(file, cut) if cut else _infer(client, model, file, places[done], progress))
        except HostError as error:
            answers.append(Failure(file, error))
            cut = error if isinstance(error, _CUTS) else None
    return answers


@dataclass(frozen=True)
class _Places:
    """Where what belongs to one file is written: its map, and its outputs in the order of the signature."""

    map: Path | None
    outputs: tuple[Path, ...]


def _infer(client: AgentClient, model: ModelInfo, file: Path, places: _Places, progress: Progress) -> Answer:
    content = images.read(file)
    media_type = images.media_type_of(content) or (_NPY if content.startswith(_NPY_MAGIC) else None)
    if media_type is None:
        raise InputError(f"{file} is neither a PNG or JPEG image nor a .npy file", "convert it to one of these")

    def ask(accept: str) -> Inference:
        return client.patiently(lambda: client.infer(model.name, content, media_type, accept), progress.stage)

    try:
        if model.score is None:
            reply = ask(TENSORS)
            return Answer(file, **_times_ms(reply), outputs=_outputs(model, reply, places))
        reply = ask(_PNG if places.map else JSON)
        outputs = _outputs(model, ask(TENSORS), places) if places.outputs else ()
    except BusyError:
        raise
    except BoardError as error:
        raise BoardError(f"{file}: {error.message}", error.hint, error.code) from error
    if places.map:
        _write(places.map, reply.body)
    verdict = _verdict_of_headers(reply) if places.map else reply.json()
    said = {key: verdict[key] for key in ("score", "threshold", "decision")}
    return Answer(file, **_times_ms(reply), **said, outputs=outputs)


def _places(request: Request, model: ModelInfo) -> list[_Places]:
    """For every file. InputError where two would be written to the same place, or one over a file that is read."""
    read = {file.resolve() for file in request.files}
    taken: dict[Path, Path] = {}
    found = []
    for file, stem in zip(request.files, _stems(request.files), strict=True):
        places = _Places(
            request.maps / f"{stem}.png" if request.maps else None,
            tuple(request.output / f"{stem}.{_file_name(spec.name)}.npy" for spec in model.signature.outputs)
            if request.output
            else (),
        )
        for place in filter(None, (places.map, *places.outputs)):
            if place.resolve() in read:
                raise InputError(f"{place} is one of the files to read: it would be lost", "name another folder")
            if taken.setdefault(place, file.absolute()) != file.absolute():
                raise InputError(f"{taken[place]} and {file} would both be written to {place}", "infer them in turn")
        found.append(places)
    return found


def _stems(files: Sequence[Path]) -> list[Path]:
    """Each file's name without its suffix; where two have the same, below the folders that tell the files apart."""
    whole = [file.absolute() for file in files]
    if len({file.stem for file in whole}) == len(set(whole)):
        return [Path(file.stem) for file in whole]
    common = os.path.commonpath([file.parent for file in whole])
    return [file.relative_to(common).with_suffix("") for file in whole]


def _outputs(model: ModelInfo, reply: Inference, places: _Places) -> tuple[OutputSummary, ...]:
    arrays = list(_split(model, reply.body))
    for (_, array), place in zip(arrays, places.outputs, strict=False):
        _write(place, _as_npy(array))
    return tuple(_summary(name, array) for name, array in arrays)


def _split(model: ModelInfo, body: bytes) -> Iterator[tuple[str, "NDArray[Any]"]]:
    import numpy as np

    if len(body) != model.signature.output_bytes:
        raise BoardError(
            f"{model.name!r} gives {len(body)} bytes, {model.signature.output_bytes} were expected: it was changed",
            "start again",
            "model_changed",
        )
    start = 0
    for spec in model.signature.outputs:
        array = np.frombuffer(body[start : start + spec.size_bytes], spec.dtype).reshape(spec.shape)
        start += spec.size_bytes
        yield spec.name, array


def _summary(name: str, array: "NDArray[Any]") -> OutputSummary:
    values = array.astype("float64")
    figures = (
        float(figure) if math.isfinite(figure) else None for figure in (values.min(), values.mean(), values.max())
    )
    return OutputSummary(name, array.dtype.name, array.shape, *figures)


def _verdict_of_headers(reply: Inference) -> dict[str, Any]:
    threshold = reply.headers.get("boardfit-threshold")  # left out where there is none
    return {
        "score": float(reply.headers["boardfit-score"]),
        "threshold": None if threshold is None else float(threshold),
        "decision": reply.headers["boardfit-decision"],
    }


def _times_ms(reply: Inference) -> dict[str, Any]:
    """Fields of an `Answer`, as the agent's Server-Timing header (W3C) says."""
    durations = {}
    for metric in reply.headers["server-timing"].split(","):
        name, _, duration = metric.strip().partition(";dur=")
        durations[name] = float(duration)
    return {"run_ms": durations["run"], "total_ms": durations["total"], "convert_ms": durations.get("convert")}


def _as_npy(array: "NDArray[Any]") -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)


def _write(path: Path, content: bytes) -> None:
    try:
        disk.replace(path, content, durable=False)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", "name another folder") from error
