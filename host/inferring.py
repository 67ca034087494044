"""Files to a deployed model, and what it makes of them."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contract.api import ModelInfo
from host import images
from host.benching import find_model
from host.client import TENSORS, AgentClient, Inference
from host.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NPY = "application/x-npy"
_NPY_MAGIC = b"\x93NUMPY"


@dataclass(frozen=True)
class OutputSummary:
    """One output tensor, in short."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    least: float
    mean: float
    greatest: float


@dataclass(frozen=True)
class Answer:
    """What a model said of one file: a decision where it makes one, else its outputs in short."""

    file: Path
    run_ms: float
    total_ms: float
    score: float | None = None
    threshold: float | None = None
    decision: str | None = None
    outputs: tuple[OutputSummary, ...] = ()


def infer_all(
    client: AgentClient, name: str, files: Sequence[Path], maps: Path | None, output: Path | None
) -> list[Answer]:
    """One file after the other; anomaly maps into `maps`, output tensors into `output`. InputError, BoardError."""
    model = find_model(client, name)
    if maps and model.score is None:
        raise InputError(f"--maps: {name!r} has no score, so there are no anomaly maps", "use -o for its outputs")
    return [_infer(client, model, file, maps, output) for file in files]


def _infer(client: AgentClient, model: ModelInfo, file: Path, maps: Path | None, output: Path | None) -> Answer:
    content = images.read(file)
    media_type = images.media_type_of(content) or (_NPY if content.startswith(_NPY_MAGIC) else None)
    if media_type is None:
        raise InputError(f"{file} is neither a PNG or JPEG image nor a .npy file", "convert it to one of these")
    if output or model.score is None:
        return _tensors(client, model, file, content, media_type, output)
    reply = client.infer(model.name, content, media_type, "image/png" if maps else "application/json")
    if maps:
        _write(maps / f"{file.stem}.png", reply.body)
    verdict = _verdict_of_headers(reply) if maps else reply.json()
    return Answer(
        file, *_times_ms(reply), score=verdict["score"], threshold=verdict["threshold"], decision=verdict["decision"]
    )


def _tensors(
    client: AgentClient, model: ModelInfo, file: Path, content: bytes, media_type: str, folder: Path | None
) -> Answer:
    reply = client.infer(model.name, content, media_type, TENSORS)
    outputs = dict(_split(model, reply.body))
    if folder:
        for name, array in outputs.items():
            _write(folder / f"{file.stem}.{_file_name(name)}.npy", _as_npy(array))
    return Answer(file, *_times_ms(reply), outputs=tuple(_summary(name, array) for name, array in outputs.items()))


def _split(model: ModelInfo, body: bytes) -> Iterator[tuple[str, "NDArray[Any]"]]:
    import numpy as np

    start = 0
    for spec in model.signature.outputs:
        array = np.frombuffer(body[start : start + spec.size_bytes], spec.dtype).reshape(spec.shape)
        start += spec.size_bytes
        yield spec.name, array


def _summary(name: str, array: "NDArray[Any]") -> OutputSummary:
    values = array.astype("float64")
    return OutputSummary(
        name, array.dtype.name, array.shape, float(values.min()), float(values.mean()), float(values.max())
    )


def _verdict_of_headers(reply: Inference) -> dict[str, Any]:
    threshold = reply.headers["boardfit-threshold"]
    return {
        "score": float(reply.headers["boardfit-score"]),
        "threshold": None if threshold == "None" else float(threshold),
        "decision": reply.headers["boardfit-decision"],
    }


def _times_ms(reply: Inference) -> tuple[float, float]:
    """Of the run, and of the whole in the agent, as its Server-Timing header (W3C) says."""
    durations = {}
    for metric in reply.headers["server-timing"].split(","):
        name, _, duration = metric.strip().partition(";dur=")
        durations[name] = float(duration)
    return durations["run"], durations["total"]


def _as_npy(array: "NDArray[Any]") -> bytes:
    import numpy as np

    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _file_name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", "name another folder") from error
