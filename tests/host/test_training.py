import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from told import Told

from compression.autoencoder import SPECS, AutoencoderSpec
from compression.calibrate import reconstructor_of
from compression.data.capsule import write_dataset
from compression.data.mvtec import read_dataset
from compression.data.prepared import prepare_dataset
from compression.training.recipe import Epoch, Recipe
from contract.manifest import Inspection
from contract.profile import read_profile
from host.converting import Request as BundleRequest
from host.converting import make
from host.errors import InputError
from host.teaching import Compute
from host.training import Outcome, Request, train
from inspection.preprocess import Preprocessing
from inspection.score import Score, anomaly_map

RECIPE = Recipe(epochs=3, batch=8, select="validation")
COMPUTE = Compute(threads=1, precision="fp32")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "capsules"
    write_dataset(folder, train=12, good=3, bad=5, size=32)
    return folder


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPECS, "toy", AutoencoderSpec(32, (8, 12, 16), linear_bottleneck=True))


def request(data: Path, output: Path, recipe: Recipe = RECIPE, restart: bool = False) -> Request:
    return Request(data, output, "toy", recipe, COMPUTE, restart)


def trained(data: Path, output: Path, told: Told | None = None) -> Outcome:
    return train(request(data, output), told or Told())


def test_the_model_knows_how_to_decide(data: Path, tmp_path: Path) -> None:
    made = trained(data, tmp_path / "base.onnx")
    model = onnx.load(tmp_path / "base.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    known = Inspection.model_validate_json(metadata["boardfit"])
    assert known.preprocessing
    assert (known.preprocessing.height, known.preprocessing.width) == (32, 32)
    assert known.score
    assert known.score.method == "max_normalised_squared_error"
    assert known.score.threshold == made.calibration.score.threshold
    assert known.training_error
    assert len(known.good_images) == 2  # a tenth of 12, rounded up
    record = json.loads(metadata["boardfit.training"])
    assert record["recipe"]["select"] == "validation"
    assert [epoch["number"] for epoch in record["history"]] == [1, 2, 3]
    assert made.weights == SPECS["toy"].weight_count


def test_a_board_takes_it_as_it_is(data: Path, tmp_path: Path) -> None:
    trained(data, tmp_path / "base.onnx")
    bundle = make(BundleRequest(tmp_path / "base.onnx", {}), read_profile("desktop"), lambda _: None)
    assert bundle.manifest.score
    assert bundle.manifest.score.threshold
    assert len(bundle.manifest.good_images) == 2


def test_each_epoch_is_told_with_its_error_and_auc(data: Path, tmp_path: Path) -> None:
    told = Told()
    trained(data, tmp_path / "base.onnx", told)
    assert [done for done in told.done if done[1] == 3] == [(1, 3), (2, 3), (3, 3)]
    assert all("held-out error" in detail and "AUC" in detail for detail in told.details)
    assert "training" in told.stages


def test_interrupted_it_goes_on_to_the_same_model(data: Path, tmp_path: Path) -> None:
    class Stopped(Told):
        def advance(self, done: int, total: int, detail: str = "") -> None:
            super().advance(done, total, detail)
            if detail and done == 2:
                raise KeyboardInterrupt

    stopped = Stopped()
    with pytest.raises(KeyboardInterrupt):
        trained(data, tmp_path / "base.onnx", stopped)
    assert not (tmp_path / "base.onnx").exists()
    assert any("the same command goes on" in note for note in stopped.notes)
    told = Told()
    trained(data, tmp_path / "base.onnx", told)
    trained(data, tmp_path / "whole.onnx")
    assert any("going on" in note for note in told.notes)
    assert (1, 3) not in told.done
    assert (tmp_path / "base.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.onnx", "whole.onnx"]


def test_other_options_do_not_go_on_with_it_and_restart_forgets_it(data: Path, tmp_path: Path) -> None:
    class Stopped(Told):
        def advance(self, done: int, total: int, detail: str = "") -> None:
            if detail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(data, tmp_path / "base.onnx", Stopped())
    other = Recipe(epochs=4, batch=8, select="validation")
    with pytest.raises(InputError, match=r"epochs [0-9]+, not 4") as caught:
        train(request(data, tmp_path / "base.onnx", other), Told())
    assert caught.value.code == "bad_checkpoint"
    made = train(request(data, tmp_path / "base.onnx", other, restart=True), Told())
    assert len(made.trained.history) == 4


def test_the_kept_epoch_is_that_of_the_highest_auc_as_published(data: Path, tmp_path: Path) -> None:
    made = train(request(data, tmp_path / "base.onnx", Recipe(epochs=5, batch=8)), Told())

    def auc(epoch: Epoch) -> float:
        assert epoch.auc is not None
        return epoch.auc

    assert auc(made.trained.best) == max(map(auc, made.trained.history))


def test_what_cannot_be_written_is_known_before_an_epoch_is_lost(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    told = Told()
    with pytest.raises(InputError, match="cannot be written"):
        trained(data, tmp_path / "file" / "base.onnx", told)
    assert len(told.details) <= 1


def test_the_training_error_map_is_of_the_images_trained_on(data: Path, tmp_path: Path) -> None:
    made = trained(data, tmp_path / "base.onnx")
    reconstruct = reconstructor_of(onnx.load(tmp_path / "base.onnx"))
    images = prepare_dataset(read_dataset(data), Preprocessing(height=32, width=32), RECIPE.seed).train
    maps = [anomaly_map(image[np.newaxis], reconstruct(image[np.newaxis]), Score()) for image in images]
    np.testing.assert_allclose(made.calibration.training_error, np.mean(maps, axis=0), rtol=5e-3)


def test_without_torch_it_says_what_to_install(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(InputError, match="needs torch") as caught:
        trained(data, tmp_path / "base.onnx")
    assert "boardfit[train]" in caught.value.hint


def test_a_folder_that_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train/good is no folder") as caught:
        trained(tmp_path, tmp_path / "base.onnx")
    assert "MVTec AD" in caught.value.hint


def test_too_few_images_are_known_before_anything_is_trained(tmp_path: Path) -> None:
    write_dataset(tmp_path / "few", train=2, good=1, bad=1, size=32)
    told = Told()
    with pytest.raises(InputError, match="2 training images") as caught:
        trained(tmp_path / "few", tmp_path / "base.onnx", told)
    assert "add training images" in caught.value.hint
    assert not (tmp_path / "base.onnx.training").exists()


def test_an_output_that_is_not_named_as_a_model_is_refused_before_anything(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"not named \.onnx") as caught:
        train(request(data, tmp_path / "base.model", Recipe(epochs=1)), Told())
    assert caught.value.hint == f"-o {tmp_path / 'base.onnx'}"
    assert list(tmp_path.iterdir()) == []
