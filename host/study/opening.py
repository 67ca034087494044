"""A study is begun: whether it can be done at all, and its folder."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from host import disk, places
from host.boards import Boards
from host.engine import lock
from host.errors import InputError, as_input_error
from host.images import read
from host.progress import Progress
from host.reproduction.records import digest
from host.source import read_source
from host.study import records, spec
from host.study.growing import differences, grown, in_words
from host.study.records import Opened
from host.study.spec import Study


def open_study(study: Study, progress: Progress) -> Opened:
    """Its folder, made where there is none; one that is there grows by the boards, rates and trials that are new.

    InputError where it cannot be done, or is another study's already.
    """
    with as_input_error():
        spec.check(study)
    path = study.folder / records.STUDY_FILE
    if path.is_file():
        return _the_same(study, path, progress)
    _check_boards(study.boards)
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
        raise _no_room(study, error) from error
    return opened


def with_free_name(study: Study, progress: Progress) -> Study:
    """Under its name, or NAME-2 and so on: that of a study that asks for the same, else the first that can grow to it,
    else the first that is free, with the reason told.
    """
    first = why = None
    for number in itertools.count(1):
        named = replace(study, name=study.name if number == 1 else f"{study.name}-{number}")
        path = named.folder / records.STUDY_FILE
        if not path.is_file():
            break
        there = records.read(Opened, path).study
        more = grown(there, named)
        if more == there:
            return named
        first = first or (named if more else None)
        why = why or f"{study.name} asks for something else: {differences(there, named)}"
    if first:
        return first
    if why:
        progress.note(f"this is a new study, {named.name}, for {why}")
    return named


def _the_same(study: Study, path: Path, progress: Progress) -> Opened:
    """The one that is there, with what is new."""
    opened = records.read(Opened, path)
    more = _more(study, opened)
    if more == opened.study:
        return opened
    _check_boards([board for board in more.boards if board not in opened.study.boards])
    if set(more.rates) > set(opened.study.rates):
        try:
            model = None if study.trains_original else (study.folder / records.MODEL).read_bytes()
        except OSError as error:
            raise InputError(
                f"{study.folder / records.MODEL} cannot be read: {error.strerror}", "begin another study: --name"
            ) from error
        with as_input_error():
            _check_floor(more, model, progress)
    with lock.held(study.folder):  # nobody is at work on it
        opened = records.read(Opened, path)
        before, more = opened.study, _more(study, opened)
        try:
            records.write(path, replace(opened, study=more))
        except OSError as error:
            raise _no_room(study, error) from error
    progress.note(f"study {study.name} grows: {in_words(before, more)}")
    return replace(opened, study=more)


def _more(study: Study, opened: Opened) -> Study:
    """What is asked of it now. InputError where it is another."""
    more = grown(opened.study, study)
    if more is None:
        raise InputError(
            f"there is a study {study.name!r} that asks for something else: {differences(opened.study, study)}",
            f"host study resume {study.name}, or take another --name",
            "other_study",
        )
    if _model_sha256(study) != opened.model_sha256:
        raise InputError(
            f"{study.model} is another model than the study {study.name!r} began with",
            f"host study resume {study.name} goes on with that one; or take another --name",
            "other_study",
        )
    return more


def _no_room(study: Study, error: OSError) -> InputError:
    return InputError(f"{study.folder} cannot be written: {error.strerror}", "make room there")


def _check_boards(names: Sequence[str]) -> None:
    """One that is there no more when its turn comes is a row, a misspelt one is not. UnknownBoardError."""
    boards = Boards(places.config_dir() / "boards.toml")
    for name in names:
        boards.get(name)


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
