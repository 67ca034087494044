"""Example images with the error map of each rate's model: the float models of a trial, run here by ONNX Runtime.

Bounded: one image of each kind, MOST_KINDS of them, each map some kilobytes, and no new model after BUDGET_S.
"""

import base64
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from host.report.html.conditions import kind_of
from host.report.html.texts import both
from host.report.values import percent
from host.study.records import ImageScores, Taught, model_path, taught_path
from host.study.results import StudyResults
from inspection.accuracy import GOOD

if TYPE_CHECKING:
    from markupsafe import Markup
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession
    from PIL.Image import Image

    from inspection.preprocess import Preprocessing
    from inspection.score import FloatMap

    Text = Markup | str

MOST_KINDS = 7
BUDGET_S = 20.0
SIDE = 112
"""Pixels of a thumbnail's longer side."""

_JPEG_QUALITY = 82
_FATAL = 4


@dataclass(frozen=True)
class Map:
    """What a model makes of an image: its error map as a data: URI. `score` in multiples of the threshold, None where
    there is none; `wrong` is the key of a text: it was missed, or a false alarm.
    """

    uri: str
    score: float | None
    wrong: str | None


@dataclass(frozen=True)
class Example:
    """A test image as a data: URI, and its maps in the order of `Examples.rates`."""

    name: str
    kind: str
    uri: str
    maps: tuple[Map, ...]


@dataclass(frozen=True)
class Examples:
    """`notes`: why there are none, or which rates have none. `scaled`: to the models' thresholds."""

    trial: int
    rates: tuple[float, ...]
    images: tuple[Example, ...]
    notes: tuple["Text", ...]
    scaled: bool = True


def examples_of(
    results: StudyResults, budget_s: float = BUDGET_S, clock: Callable[[], float] = time.monotonic
) -> Examples:
    """Of the first trial that has a control, or of the first there is. What cannot be shown is said in the notes."""
    trials = sorted({trial for _, trial in results.taught})
    if not trials:
        return Examples(0, (), (), (both("examples_none", reason=both("no_model_yet")),))
    trial = next((each for each in trials if (results.study.rates[0], each) in results.taught), trials[0])
    taught = {rate: results.taught[rate, trial] for rate in results.study.rates if (rate, trial) in results.taught}
    scores = next(iter(taught.values())).scores
    if scores is None:
        return Examples(trial, (), (), (both("examples_none", reason=both("no_reconstruction")),))
    try:
        pictures = {name: (results.study.data / name).read_bytes() for name in _chosen(scores)}
    except OSError as error:
        reason = both("no_data", folder=results.study.data, why=error.strerror or "")
        return Examples(trial, (), (), (both("examples_none", reason=reason),))
    return _drawn(results, trial, taught, pictures, clock() + budget_s, clock)


def left_out() -> Examples:
    """None, as asked."""
    return Examples(0, (), (), (both("examples_none", reason=both("no_examples_asked")),))


def _chosen(scores: ImageScores) -> tuple[str, ...]:
    """Of each kind the image of the median score, a good one first."""
    by_kind: dict[str, list[tuple[float, str]]] = {}
    for name, score in zip(scores.images, scores.scores, strict=True):
        by_kind.setdefault(kind_of(name), []).append((score, name))
    kinds = sorted(by_kind, key=lambda kind: (kind != GOOD, kind))[:MOST_KINDS]
    return tuple(sorted(by_kind[kind])[len(by_kind[kind]) // 2][1] for kind in kinds)


def _drawn(
    results: StudyResults,
    trial: int,
    taught: dict[float, Taught],
    pictures: dict[str, bytes],
    until: float,
    clock: Callable[[], float],
) -> Examples:
    from host.errors import HostError
    from inspection.errors import InspectionError
    from inspection.preprocess import Preprocessing, decode, prepare

    @cache
    def prepared(picture: bytes, size: Preprocessing) -> "NDArray[Any]":
        return prepare(decode(picture), size)  # the models of a study mostly have one size

    columns: dict[float, list[Map]] = {}
    left_out: dict[str, tuple[Text, list[float]]] = {}
    for rate, record in taught.items():
        path = model_path(taught_path(results.study.folder, trial, rate))
        try:
            if clock() > until:
                raise TimeoutError
            columns[rate] = _maps(path, record, pictures, prepared)
        except TimeoutError:
            left_out.setdefault("time", (both("no_time"), []))[1].append(rate)
        except OSError:
            left_out.setdefault("gone", (both("no_models", folder=path.parent), []))[1].append(rate)
        except (HostError, InspectionError) as error:
            left_out.setdefault(str(error), (str(error), []))[1].append(rate)
    if not columns:
        return Examples(trial, (), (), tuple(both("examples_none", reason=reason) for reason, _ in left_out.values()))
    notes = tuple(
        both("examples_some", rates=", ".join(map(percent, rates)), reason=reason)
        for reason, rates in left_out.values()
    )
    images = tuple(
        Example(name, kind_of(name), _thumbnail(content), tuple(column[place] for column in columns.values()))
        for place, (name, content) in enumerate(pictures.items())
    )
    scaled = all(taught[rate].threshold is not None for rate in columns)
    return Examples(trial, tuple(columns), images, notes, scaled)


def _maps(
    path: Path,
    record: Taught,
    pictures: dict[str, bytes],
    prepared: Callable[[bytes, "Preprocessing"], "NDArray[Any]"],
) -> list[Map]:
    """Of one model. OSError where its file is gone; InspectionError, InputError."""
    from host.errors import InputError
    from host.preprocessing import inspection_of
    from inspection.preprocess import Preprocessing
    from inspection.score import Score, decode_error_map, judged_map

    session = _session(path)
    known = inspection_of(session.get_modelmeta().custom_metadata_map.get("boardfit"))
    if known.preprocessing is None or known.score is None:
        raise InputError(f"{path.name} does not say how an image is prepared and scored", "compress it again")
    size = Preprocessing(**known.preprocessing.model_dump())
    encoded = known.training_error
    usual = None if encoded is None else decode_error_map(encoded, size.height, size.width)
    spec = Score(**known.score.model_dump())
    made = []
    for name, picture in pictures.items():
        tensor = prepared(picture, size)
        anomaly = judged_map(tensor, _run(session, path, tensor), spec, size.layout, usual)
        made.append(_judged(anomaly, record.threshold, good=kind_of(name) == GOOD))
    return made


def _session(path: Path) -> "InferenceSession":
    """Not by converters.reference: a report is quick, and the import of onnx is not. OSError, InputError."""
    import onnxruntime

    from host.errors import InputError

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL  # what is worth saying is in the exception
    # A handful of images: optimising the graph, or starting threads, would take longer than it saves.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    content = path.read_bytes()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except _ort_errors() as error:
        raise InputError(
            f"{path.name} is no model that ONNX Runtime loads: {error}", "restore it from a copy"
        ) from error


def _run(session: "InferenceSession", path: Path, tensor: "NDArray[Any]") -> "NDArray[Any]":
    """The reconstruction. InputError."""
    from host.errors import InputError

    try:
        made: NDArray[Any] = session.run(None, {session.get_inputs()[0].name: tensor})[0]
    except _ort_errors() as error:
        raise InputError(f"{path.name} loads, but does not run: {error}", "restore it from a copy") from error
    return made


def _ort_errors() -> tuple[type[Exception], ...]:
    """They have no base in common but Exception. Other exceptions of C++ arrive as RuntimeError, wrong shapes as
    ValueError.
    """
    from onnxruntime.capi import onnxruntime_pybind11_state as states

    kinds = (kind for kind in vars(states).values() if isinstance(kind, type) and issubclass(kind, Exception))
    return (*kinds, RuntimeError, ValueError)


def _judged(anomaly: "FloatMap", threshold: float | None, *, good: bool) -> Map:
    from inspection.score import picture_of, score

    uri = _jpeg(picture_of(anomaly, None if threshold is None else 2 * threshold).convert("RGB"))
    if not threshold:
        return Map(uri, None, None)
    times = score(anomaly) / threshold
    return Map(uri, times, ("false_alarm" if good else "missed") if (times > 1) == good else None)


def _thumbnail(content: bytes) -> str:
    from inspection.preprocess import decode

    return _jpeg(decode(content).convert("RGB"))


def _jpeg(picture: "Image") -> str:
    """A data: URI, at most SIDE x SIDE, the ratio kept."""
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
