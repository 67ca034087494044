"""The evaluation, top to bottom: a model and what it has to beat reconstruct a data set's images, and are judged."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compression.baselines import Baseline, best_pca, mean_image
from compression.data.mvtec import Dataset, read_dataset, split
from contract.profile import Profile
from host import converting
from host.client import AgentClient
from host.errors import HostError, InputError, as_input_error
from host.progress import Progress
from host.reconstructing import Place, Subject, placed, read_subject, reconstruct
from host.scoring import Contender, Floats, Images, Judged, judge, load, pixels
from inspection.accuracy import GOOD, Decisions, decisions
from inspection.pixel_accuracy import PixelAccuracy
from inspection.preprocess import Preprocessing
from inspection.score import FloatMap, Method, Score

LEAST_TRAINING_IMAGES = 3
"""PCA needs two, and one that is held out."""

_OPTIONS = frozenset({"--data", "--board", "--input-shape", "--preprocess", "--stop-others", "--pictures", "--json"})
"""Of `host evaluate`: a conversion has more."""


@dataclass(frozen=True)
class Request:
    """What the user asks: an .onnx file or a folder of `host convert`, and a data set."""

    model: Path
    data: Path
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    preprocess: Path | None = None
    stop_others: bool = False


@dataclass(frozen=True)
class Verdict:
    """What one of the model's thresholds does to the test images, under the model's own score.

    `origin`: the model brings it, or its good images have set it: on the board, or with the artifact on this machine.
    """

    origin: Literal["model", "board", "artifact"]
    threshold: float
    decisions: Decisions


@dataclass(frozen=True, eq=False)
class Example:
    """A test image to look at: uint8 (H,W,3) pictures, the `map` (H,W) whose maximum is `score`, the `mask` (H,W)."""

    path: Path
    kind: str
    image: NDArray[np.uint8]
    reconstruction: NDArray[np.uint8]
    map: FloatMap
    score: float
    mask: NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """All that was found. `score` is how the model decides; of one that does not say, the smoothed one without a
    threshold, which makes no `verdicts`.

    `pixels` is empty of a data set without masks; `examples` has for each kind the image of the median score and the
    one that is hardest to decide rightly, by the model's own score.
    """

    place: str
    dataset: Dataset
    preprocessing: Preprocessing
    model: Contender
    rate: float | None
    score: Score
    brings_training_error: bool
    baselines: tuple[Contender, ...]
    pixels: dict[Method, PixelAccuracy]
    verdicts: tuple[Verdict, ...]
    examples: tuple[Example, ...]
    notices: tuple[str, ...]


def evaluate(request: Request, profile: Profile | None, client: AgentClient | None, progress: Progress) -> Evaluation:
    """On the board of `client`, which is of that profile; both None: on this machine.

    InputError, DoesNotRunError, BoardError.

    What the board serves it goes on serving: the model is deployed under another name, and taken off again.
    """
    with as_input_error():
        dataset = _data(request.data)
        subject = _subject(request, profile, progress)
        images = load(dataset, subject.preprocessing, progress)
        with placed(subject, client, progress, stop_others=request.stop_others) as place:
            judged = _judge(subject, place, images, progress)
        progress.stage("baselines: mean image, PCA")
        baselines = [_judge_baseline(each, images, subject.score.sigma) for each in _baselines(images)]
        return Evaluation(
            place=place.name,
            dataset=dataset,
            preprocessing=subject.preprocessing,
            model=judged.contender,
            rate=subject.rate,
            score=subject.score,
            brings_training_error=subject.training_error is not None,
            baselines=tuple(baselines),
            pixels=pixels(judged, images),
            verdicts=tuple(_verdicts(subject, place, judged, dataset)),
            examples=tuple(_examples(judged, images, subject.score.method)),
            notices=subject.bundle.notices,
        )


def _data(folder: Path) -> Dataset:
    dataset = read_dataset(folder)
    if len(dataset.train) < LEAST_TRAINING_IMAGES:
        raise InputError(
            f"{folder} has {len(dataset.train)} training images, the baselines need {LEAST_TRAINING_IMAGES}",
            "add good images to train/good",
            "too_few_images",
        )
    return dataset


def _subject(request: Request, profile: Profile | None, progress: Progress) -> Subject:
    """InputError, ProgramError; where an option would help that is a conversion's alone, the hint says whose it is."""
    asked = converting.Request(request.model, request.input_shapes, preprocess=request.preprocess)
    try:
        return read_subject(asked, profile, progress)
    except HostError as error:
        if not set(re.findall(r"--[a-z][a-z-]*", error.hint)) - _OPTIONS:
            raise
        whose = "these are options of `host convert`: convert the model with it first, then name its folder here"
        error.hint = f"{error.hint}; {whose}"
        raise


def _judge(subject: Subject, place: Place, images: Images, progress: Progress) -> Judged:
    def made(tensors: Floats, what: str) -> Floats:
        return reconstruct(subject, place, tensors, what, progress)

    return judge(subject.name, subject.manifest.weights, made, images, subject.score.sigma, subject.training_error)


def _baselines(images: Images) -> tuple[Baseline, ...]:
    """The training images that are held out choose the number of principal components."""
    _, held_out = split(images.dataset.train, seed=0)
    held = np.isin(np.array([str(path) for path in images.dataset.train]), [str(path) for path in held_out])
    return mean_image(images.train), best_pca(images.train[~held], images.train[held])


def _judge_baseline(baseline: Baseline, images: Images, sigma: float) -> Contender:
    return judge(
        baseline.name, baseline.weights, lambda tensors, _: baseline.reconstruct(tensors), images, sigma
    ).contender


def _verdicts(subject: Subject, place: Place, judged: Judged, dataset: Dataset) -> Iterator[Verdict]:
    scores = judged.contender.accuracies[subject.score.method].scores
    if subject.score.threshold is not None:
        threshold = subject.score.threshold
        yield Verdict("model", threshold, decisions(scores, dataset.defective, threshold))
    if place.threshold is not None:
        made = decisions(scores, dataset.defective, place.threshold)
        yield Verdict(place.threshold_from, place.threshold, made)


def _examples(judged: Judged, images: Images, method: Method) -> Iterator[Example]:
    scores, kinds = judged.contender.accuracies[method].scores, np.array(images.dataset.kinds)
    for kind in dict.fromkeys(images.dataset.kinds):
        ranked = sorted(np.flatnonzero(kinds == kind), key=lambda place: scores[place])
        typical, hardest = ranked[len(ranked) // 2], ranked[-1 if kind == GOOD else 0]
        for place in dict.fromkeys((typical, hardest)):
            yield Example(
                path=images.dataset.test[place].path,
                kind=kind,
                image=_picture(images.test[place], images.preprocessing),
                reconstruction=_picture(judged.reconstructions[place], images.preprocessing),
                map=judged.maps[method][place],
                score=float(scores[place]),
                mask=None if images.masks is None else images.masks[place],
            )


def _picture(tensor: Floats, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """uint8 (H,W,3) of a prepared image (C,H,W) or (H,W,C): the preprocessing undone."""
    values = tensor.transpose(1, 2, 0) if preprocessing.layout == "NCHW" else tensor
    values = values * np.asarray(preprocessing.std or 1, np.float32) + np.asarray(preprocessing.mean or 0, np.float32)
    pixels = (values / preprocessing.scale).round().clip(0, 255).astype(np.uint8)
    if preprocessing.color == "GRAY":
        return pixels.repeat(3, axis=2)
    return pixels[:, :, ::-1] if preprocessing.color == "BGR" else pixels
