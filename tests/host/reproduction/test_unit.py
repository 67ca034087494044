import json
import shutil
from pathlib import Path

import onnx
import pytest

from compression.autoencoder import SPECS, AutoencoderSpec
from compression.data.capsule import write_dataset
from compression.layers import count_weights
from compression.table import read_table
from host.errors import InputError
from host.reproduction.plan import Experiment, units_of
from host.reproduction.records import Job, Result
from host.reproduction.summary import summarise
from host.reproduction.unit import run

EXPERIMENT = Experiment("toy", (0,), (0.6, 0.98), True, 2, 2, precision="fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an experiment whose units are all done, in this process."""
    folder = tmp_path_factory.mktemp("experiment")
    write_dataset(folder / "data", train=10, good=3, bad=5, size=32)
    Job.of(EXPERIMENT, folder, folder / "data").write(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SPECS, "toy", AutoencoderSpec(32, (16, 32, 64), linear_bottleneck=True))
        for unit in units_of(EXPERIMENT):
            run(folder, unit)
    return folder


def found(folder: Path, name: str) -> Result:
    [unit] = [unit for unit in units_of(EXPERIMENT) if unit.name == name]
    return Result.read(folder, unit)


def test_the_job_is_read_as_it_was_written(folder: Path) -> None:
    job = Job.read(folder)
    assert job == Job.of(EXPERIMENT, folder, folder / "data")
    assert job.folder_of(folder) == folder / "data"
    assert job.data == "data"  # the folder may be moved


def test_other_images_make_another_job(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "data", tmp_path / "data")
    job = Job.of(EXPERIMENT, tmp_path, tmp_path / "data")
    assert job == Job.read(folder)
    picture = tmp_path / "data" / "test" / "good" / "000.png"
    picture.write_bytes((tmp_path / "data" / "test" / "good" / "001.png").read_bytes())
    assert Job.of(EXPERIMENT, tmp_path, tmp_path / "data") != job


def test_the_job_of_another_version_is_refused(folder: Path, tmp_path: Path) -> None:
    told = json.loads((folder / "experiment.json").read_text())
    del told["experiment"]["factor_learning_rate"]
    (tmp_path / "experiment.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match="another version"):
        Job.read(tmp_path)


def test_each_unit_leaves_a_model_and_its_result(folder: Path) -> None:
    for unit in units_of(EXPERIMENT):
        result = found(folder, unit.name)
        assert result.unit == unit
        assert count_weights(onnx.load(folder / f"{unit.name}.onnx")) == result.weights
        assert len(result.images) == len(result.smoothed) == len(result.normalised) == 8
        assert sum(result.defective) == 5
    assert not list(folder.glob("*.training"))


def test_all_epochs_are_counted(folder: Path) -> None:
    epochs = {unit.kind: found(folder, unit.name).epochs for unit in units_of(EXPERIMENT)}
    assert epochs == {"original": 2, "ordinary": 4, "continued": 2, "rate": 2, "random": 4, "narrow": 4}


def test_what_a_rate_is_compared_with_is_as_large(folder: Path) -> None:
    rate, random, narrow = (found(folder, f"seed-0-{kind}-0.98") for kind in ("rate", "random", "narrow"))
    assert rate.rate == pytest.approx(0.98, abs=2e-3)
    assert random.weights == rate.weights
    assert narrow.weights == pytest.approx(rate.weights, rel=0.3)
    ranks = [
        [layer.ranks for layer in read_table(onnx.load(folder / f"seed-0-{kind}-0.98.onnx")).layers]
        for kind in ("rate", "random")
    ]
    assert ranks[0] == ranks[1]


def test_the_summary_takes_them_all(folder: Path) -> None:
    results = [found(folder, unit.name) for unit in units_of(EXPERIMENT)]
    kinds = [(each.kind, each.rate) for each in summarise(results)]
    assert kinds == [("control", 0), ("rate", 0.6), ("rate", 0.98), ("random", 0.98), ("narrow", 0.98)]
