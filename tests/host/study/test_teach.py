import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from told import Told

from compression.layers import count_weights
from host.errors import InputError
from host.study import records
from host.study.plan import Step
from host.study.records import Taught, model_path, original_path, taught_path
from host.study.spec import CONTROL_RATE, Study
from host.study.teach import teach


def test_each_model_has_a_record(taught_folder: Path, toy_study: Study) -> None:
    original = records.read(Taught, original_path(taught_folder, None))
    control = records.read(Taught, taught_path(taught_folder, 1, CONTROL_RATE))
    compressed = records.read(Taught, taught_path(taught_folder, 1, 0.9))
    assert (original.requested_rate, original.rate, original.epochs) == (None, 0.0, 2)
    assert control.weights == original.weights
    assert compressed.rate == pytest.approx(0.9, abs=2e-2)
    assert compressed.weights == pytest.approx(0.1 * original.weights, rel=0.2)
    assert compressed.macs is not None
    assert control.macs is not None
    assert compressed.macs < control.macs
    for taught, path in (
        (control, taught_path(taught_folder, 1, CONTROL_RATE)),
        (compressed, taught_path(taught_folder, 1, 0.9)),
    ):
        assert taught.weights == count_weights(onnx.load(model_path(path)))
        assert not taught.optimistic  # chosen by the training images that are held out
        assert taught.kept_epoch in (1, 2)
        assert taught.scores is not None
        assert len(taught.scores.scores) == 14
        assert sum(taught.scores.defective) == 10
        assert 0 <= taught.scores.auc <= 1


def test_the_control_has_learned_on(taught_folder: Path) -> None:
    """Its weights are no copy of the original's, and it reconstructs no worse what it was not shown."""
    original = records.read(Taught, original_path(taught_folder, None))
    control = records.read(Taught, taught_path(taught_folder, 1, CONTROL_RATE))
    assert control.held_out_error is not None
    assert original.held_out_error is not None
    assert control.held_out_error < original.held_out_error


def test_a_model_that_is_there_is_not_taught_again(taught_folder: Path, toy_study: Study, tmp_path: Path) -> None:
    """Killed between a model and its record, a step goes on with what it has."""
    folder = tmp_path / "copy"
    shutil.copytree(taught_folder, folder, symlinks=True)
    path = taught_path(folder, 1, 0.9)
    record, model = path.read_bytes(), model_path(path).read_bytes()
    path.unlink()
    told = Told()
    teach(folder, toy_study, Step(1, 0.9), told)
    assert path.read_bytes() == record
    assert model_path(path).read_bytes() == model
    assert not any("training" in stage for stage in told.stages)


def test_taught_twice_it_is_the_same(taught_folder: Path, toy_study: Study, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(taught_folder, folder, symlinks=True)
    for rate in toy_study.rates:
        path = taught_path(folder, 1, rate)
        record, model = path.read_bytes(), model_path(path).read_bytes()
        path.unlink()
        model_path(path).unlink()
        teach(folder, toy_study, Step(1, rate), Told())
        assert model_path(path).read_bytes() == model
        assert path.read_bytes() == record


def test_a_users_own_model_is_taken_as_it_is(untrained: Path, toy_study: Study, tmp_path: Path) -> None:
    (tmp_path / records.DATA).symlink_to(toy_study.data)
    (tmp_path / records.MODEL).write_bytes(untrained.read_bytes())
    teach(tmp_path, replace(toy_study, model=str(untrained)), Step(None), Told())
    original = records.read(Taught, original_path(tmp_path, None))
    assert (original.epochs, original.kept_epoch, original.held_out_error) == (None, None, None)
    assert original.threshold == 0.01
    assert original.scores is not None
    assert model_path(original_path(tmp_path, None)).read_bytes() == untrained.read_bytes()


def test_a_record_of_another_version_is_told(taught_folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "rate-0.9.json"
    path.write_text('{"trial": 1}')
    with pytest.raises(InputError, match="is no record of this version"):
        records.read(Taught, path)


def test_images_without_labels_give_no_score(untrained: Path, capsules: Path, tmp_path: Path) -> None:
    """The compressed model learns to do as the original does, which has nothing to learn itself."""
    study = Study("s", capsules / "train" / "good", str(untrained), (CONTROL_RATE, 0.5), retrain_epochs=1)
    (tmp_path / records.DATA).symlink_to(study.data)
    shutil.copy(untrained, tmp_path / records.MODEL)
    for step in (Step(None), Step(1, CONTROL_RATE), Step(1, 0.5)):
        teach(tmp_path, study, step, Told())
    original, control, half = (
        records.read(Taught, path)
        for path in (original_path(tmp_path, None), *(taught_path(tmp_path, 1, rate) for rate in study.rates))
    )
    assert (original.scores, control.scores, half.scores) == (None, None, None)
    assert (control.epochs, half.epochs) == (None, 1)
    assert (control.weights, half.rate) == (original.weights, pytest.approx(0.5, abs=0.01))
    weights = [
        {each.name: each.raw_data for each in onnx.load(model_path(path)).graph.initializer}
        for path in (original_path(tmp_path, None), taught_path(tmp_path, 1, CONTROL_RATE))
    ]
    assert weights[0] == weights[1]
