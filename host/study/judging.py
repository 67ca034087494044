"""What a model makes of a data set's test images, wherever it runs."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compression.data.mvtec import Dataset, load_images, read_dataset
from contract.profile import Profile
from host import converting
from host.bundle import Bundle
from host.errors import InputError, as_input_error
from host.progress import Progress
from host.reconstructing import Floats, Place, Subject, read_subject, reconstruct
from host.study.records import ImageScores
from inspection.score import judged_map, score

NO_RECONSTRUCTION = "no_reconstruction"
"""The code of `read_subject` for a model that is judged by no reconstruction."""


@dataclass(frozen=True, eq=False)
class Images:
    """Prepared for a model, float32 (n,C,H,W) or (n,H,W,C), in the order of the data set."""

    dataset: Dataset
    prepared: Floats


def has_labels(data: Path) -> bool:
    """Whether the images are a data set in MVTec AD's layout: of any others there is no AUC."""
    return (data / "train" / "good").is_dir()


def converted(model: Path, data: Path, profile: Profile, progress: Progress) -> tuple[Bundle, Subject | None]:
    """For boards of the profile; the subject None where there is nothing to judge it by. ModelFileError, InputError.

    Golden inputs and an int8 conversion's ranges are of good images.
    """
    labelled = has_labels(data)
    request = converting.Request(model, {}, calibrate=data / "train" / "good" if labelled else data)
    if labelled:
        try:
            subject = read_subject(request, profile, progress)
        except InputError as error:
            if error.code != NO_RECONSTRUCTION:
                raise
        else:
            return subject.bundle, subject
    return converting.make(request, profile, progress.stage), None


def images_of(data: Path, subject: Subject, progress: Progress) -> Images:
    """InputError."""
    with as_input_error():
        dataset = read_dataset(data)
        progress.stage("reading the test images")
        paths = [image.path for image in dataset.test]
        return Images(dataset, load_images(dataset, paths, subject.preprocessing, progress.advance))


def scores_of(subject: Subject, place: Place, images: Images, progress: Progress) -> ImageScores:
    """By the subject's own score. InputError where a reconstruction is not finite."""
    made = reconstruct(subject, place, images.prepared, "test images", progress)
    layout, dataset = subject.preprocessing.layout, images.dataset
    with as_input_error():
        scores = [
            score(judged_map(before[np.newaxis], after[np.newaxis], subject.score, layout, subject.training_error))
            for before, after in zip(images.prepared, made, strict=True)
        ]
    return ImageScores(
        subject.score.method,
        tuple(str(image.path.relative_to(dataset.folder)) for image in dataset.test),
        tuple(image.defective for image in dataset.test),
        tuple(scores),
    )
