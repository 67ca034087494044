"""A study is begun: whether it can be done at all, and its folder."""

import hashlib
import itertools
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from host import disk, places
from host.boards import Boards
from host.errors import InputError, as_input_error
from host.images import read
from host.progress import Progress
from host.reproduction.records import digest
from host.source import read_source
from host.study import records, spec
from host.study.records import Opened
from host.study.spec import Study


def open_study(study: Study, progress: Progress) -> Opened:
    """Its folder, made where there is none. InputError where it cannot be done, or is another study's already."""
    with as_input_error():
        spec.check(study)
    path = study.folder / records.STUDY_FILE
    if path.is_file():
        return _the_same(study, records.read(Opened, path))
    boards = Boards(places.config_dir() / "boards.toml")
    for board in study.boards:
        boards.get(board)  # one that is there no more when its turn comes is a row, a misspelt one is not
    _check_data(study)
    with as_input_error():
        model = None if study.trains_original else read_source(Path(study.model), {}, progress.stage)[0].model
        _check_floor(study, model, progress)
    progress.stage("reading the images' names")
    opened = Opened(study, digest(study.data), datetime.now(UTC), _model_sha256(study))
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        link = study.folder / records.DATA
        link.unlink(missing_ok=True)
        link.symlink_to(study.data)
        if model is not None:
            disk.replace(study.folder / records.MODEL, model)
        records.write(path, opened)
    except OSError as error:
        raise InputError(f"{study.folder} cannot be written: {error.strerror}", "make room there") from error
    return opened


def with_free_name(study: Study) -> Study:
    """Its name, or NAME-2 and so on, whichever is first not that of a study that asks for something else."""
    for number in itertools.count(1):
        named = replace(study, name=study.name if number == 1 else f"{study.name}-{number}")
        path = named.folder / records.STUDY_FILE
        if not path.is_file() or not spec.differing(named, records.read(Opened, path).study):
            return named
    raise AssertionError


def _the_same(study: Study, opened: Opened) -> Opened:
    if differ := spec.differing(study, opened.study):
        what = ", ".join(f"{key} {getattr(opened.study, key)} there, {getattr(study, key)} here" for key in differ)
        raise InputError(
            f"there is a study {study.name!r} that asks for something else: {what}",
            f"host study resume {study.name}, or take another --name",
            "other_study",
        )
    if _model_sha256(study) != opened.model_sha256:
        raise InputError(
            f"{study.model} is another model than the study {study.name!r} began with",
            f"host study resume {study.name} goes on with that one; or take another --name",
            "other_study",
        )
    return opened


def _model_sha256(study: Study) -> str | None:
    """Of the user's file, where it is one."""
    return None if study.trains_original else hashlib.sha256(read(Path(study.model))).hexdigest()


def _check_data(study: Study) -> None:
    from compression.data.mvtec import read_dataset

    if study.trains_original or (study.data / "train").is_dir():
        with as_input_error():
            read_dataset(study.data)
    elif not study.data.is_dir():
        raise InputError(f"{study.data} is no folder of images", "name one with --data")


def _check_floor(study: Study, model: bytes | None, progress: Progress) -> None:
    """BelowFloorError now, rather than when the original has been trained."""
    import numpy as np
    import onnx

    from compression.autoencoder import COLOURS, SPECS, reference_model
    from compression.compress import compress
    from compression.table import is_compressed, read_table

    _, *rates = study.rates
    if not rates:
        return
    progress.stage("choosing ranks")
    if model is None:
        size = SPECS[study.model].size
        original = reference_model(SPECS[study.model], np.full((2, COLOURS, size, size), 0.5, np.float32), seed=0)
    else:
        original = onnx.load_model_from_string(model)
        if is_compressed(original) and rates[0] <= (already := read_table(original).rate):
            raise InputError(
                f"{study.model} has a rate of {already:.4g} already, {rates[0]:g} is no more",
                "leave such rates out, or take the original",
            )
    compress(original, rates[-1])
