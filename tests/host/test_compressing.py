import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import zoo
from kernels import falling
from onnx import ModelProto, helper, numpy_helper
from told import Told

from compression.autoencoder import SPECS, AutoencoderSpec
from compression.calibrate import reconstructor_of
from compression.data.capsule import write_dataset
from compression.layers import count_weights
from compression.table import read_table
from compression.training.recipe import Recipe
from contract.manifest import Inspection
from host.compressing import Outcome, Request, compress
from host.errors import InputError
from host.teaching import Compute
from host.training import Request as TrainRequest
from host.training import train

RECIPE = Recipe(epochs=3, batch=8, select="validation")
COMPUTE = Compute(threads=1, precision="fp32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a data set, `data`, and an autoencoder of it, `base.onnx`."""
    folder = tmp_path_factory.mktemp("compress")
    write_dataset(folder / "data", train=12, good=3, bad=5, size=32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SPECS, "toy", AutoencoderSpec(32, (8, 12, 16), linear_bottleneck=True))
        train(TrainRequest(folder / "data", folder / "base.onnx", "toy", RECIPE, COMPUTE, False), Told())
    return folder


def classifier(batch: int | str = 1, size: int | str = 16) -> ModelProto:
    """Two convolutions with a ReLU, then a mean over each channel."""
    nodes = [
        helper.make_node("Conv", ["x", "a"], ["u"], name="first", pads=[1] * 4),
        helper.make_node("Relu", ["u"], ["v"]),
        helper.make_node("Conv", ["v", "b"], ["w"], name="second", pads=[1] * 4),
        helper.make_node("GlobalAveragePool", ["w"], ["y"]),
    ]
    constants = [
        numpy_helper.from_array(falling(24, 3, 3, 3), "a"),
        numpy_helper.from_array(falling(16, 24, 3, 3), "b"),
    ]
    image = zoo.tensor("x", (batch, 3, size, size))
    return zoo.model(nodes, [image], [zoo.tensor("y", (batch, 16, 1, 1))], constants)


def run(model: Path, output: Path, told: Told | None = None, **changed: Any) -> Outcome:
    fields: dict[str, Any] = {
        "rate": 0.6,
        "ranks": None,
        "data": None,
        "recipe": RECIPE,
        "options": {},
        "input_shapes": {},
        "preprocess": None,
        "loss": None,
        "compute": COMPUTE,
        "restart": False,
    }
    return compress(Request(model, output, **{**fields, **changed}), told or Told())


def saved(model: ModelProto, path: Path) -> Path:
    onnx.save(model, path)
    return path


def known(path: Path) -> Inspection:
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return Inspection.model_validate_json(metadata["boardfit"])


def test_an_autoencoder_is_retrained_and_has_a_threshold_of_its_own(folder: Path, tmp_path: Path) -> None:
    made = run(folder / "base.onnx", tmp_path / "r60.onnx", data=folder / "data")
    model = onnx.load(tmp_path / "r60.onnx")
    assert count_weights(model) == made.table.weights_after
    assert made.table.rate == pytest.approx(0.6, abs=0.02)
    assert read_table(model) == made.table
    assert made.trained
    assert len(made.trained.history) == 3
    assert made.calibration
    before, after = known(folder / "base.onnx"), known(tmp_path / "r60.onnx")
    assert before.score
    assert after.score
    assert after.score.threshold == made.calibration.score.threshold != before.score.threshold
    assert after.training_error != before.training_error
    assert after.good_images == before.good_images
    assert [path.name for path in tmp_path.iterdir()] == ["r60.onnx"]


def test_without_retraining_the_factors_are_fitted_to_the_images(folder: Path, tmp_path: Path) -> None:
    fitted = run(folder / "base.onnx", tmp_path / "fitted.onnx", data=folder / "data", recipe=None)
    bare = run(folder / "base.onnx", tmp_path / "bare.onnx", recipe=None)
    assert fitted.trained is bare.trained is None
    assert (tmp_path / "fitted.onnx").read_bytes() != (tmp_path / "bare.onnx").read_bytes()
    assert fitted.table.rate == bare.table.rate


def test_without_images_the_threshold_is_found_from_those_that_travel_with_the_model(
    folder: Path, tmp_path: Path
) -> None:
    made = run(folder / "base.onnx", tmp_path / "bare.onnx")
    assert made.trained is None
    before, after = known(folder / "base.onnx"), known(tmp_path / "bare.onnx")
    assert before.score
    assert after.score
    assert made.calibration
    assert after.score.threshold == made.calibration.score.threshold != before.score.threshold
    assert after.good_images == before.good_images
    assert after.training_error == before.training_error


def test_a_threshold_of_the_original_does_not_outlive_it(folder: Path, tmp_path: Path) -> None:
    model = onnx.load(folder / "base.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    metadata["boardfit"] = known(folder / "base.onnx").model_copy(update={"good_images": ()}).model_dump_json()
    helper.set_model_props(model, metadata)
    made = run(saved(model, tmp_path / "no_images.onnx"), tmp_path / "out.onnx")
    score = known(tmp_path / "out.onnx").score
    assert made.calibration is None
    assert score
    assert score.threshold is None


def test_gradual_stages_are_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compression.training.gradual.AT_ONCE", 0.5)
    told = Told()
    made = run(folder / "base.onnx", tmp_path / "r75.onnx", told, rate=0.75, data=folder / "data")
    assert [stage for stage in told.stages if "retraining" in stage] == [
        "retraining at 0.5, stage 1 of 2",
        "retraining at 0.75, stage 2 of 2",
    ]
    assert made.table.rate == pytest.approx(0.75, abs=0.02)


def test_interrupted_it_goes_on_to_the_same_model(folder: Path, tmp_path: Path) -> None:
    class Stopped(Told):
        def advance(self, done: int, total: int, detail: str = "") -> None:
            if detail and done == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder / "base.onnx", tmp_path / "r.onnx", Stopped(), data=folder / "data")
    run(folder / "base.onnx", tmp_path / "r.onnx", data=folder / "data")
    run(folder / "base.onnx", tmp_path / "whole.onnx", data=folder / "data")
    assert (tmp_path / "r.onnx").read_bytes() == (tmp_path / "whole.onnx").read_bytes()


@pytest.mark.parametrize("layout", ["plain", "mvtec"])
def test_any_other_model_learns_from_what_it_did_before(folder: Path, tmp_path: Path, layout: str) -> None:
    images = folder / "data" / "train" / "good" if layout == "plain" else folder / "data"
    told = Told()
    path = saved(classifier(), tmp_path / "classifier.onnx")
    made = run(path, tmp_path / "out.onnx", told, data=images, recipe=Recipe(epochs=20, batch=4, select="validation"))
    assert told.done[:12] == [(number, 12) for number in range(1, 13)]
    assert made.trained
    assert made.trained.best.auc is None
    assert made.calibration is None
    bare = tmp_path / "bare.onnx"
    run(path, bare)
    x = np.random.default_rng(0).uniform(0, 1, (4, 3, 16, 16)).astype(np.float32)
    wanted = reconstructor_of(onnx.load(path))(x)

    def distance(compressed: Path) -> float:
        return float(np.abs(reconstructor_of(onnx.load(compressed))(x) - wanted).max())

    assert distance(tmp_path / "out.onnx") < distance(bare)


def test_open_sizes_are_given(tmp_path: Path) -> None:
    path = saved(classifier("batch", "size"), tmp_path / "open.onnx")
    with pytest.raises(InputError, match="size") as caught:
        run(path, tmp_path / "out.onnx")
    assert "--input-shape" in caught.value.hint
    made = run(path, tmp_path / "out.onnx", input_shapes={"x": (1, 3, 16, 16)})
    assert all(layer.macs_after for layer in made.table.layers)


def test_given_ranks(tmp_path: Path) -> None:
    path = saved(classifier(), tmp_path / "classifier.onnx")
    (tmp_path / "ranks.json").write_text(json.dumps({"second": [5, 6]}))
    made = run(path, tmp_path / "out.onnx", rate=None, ranks=tmp_path / "ranks.json")
    assert {layer.name: layer.ranks for layer in made.table.layers} == {"first": None, "second": (5, 6)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no JSON"),
        ("[1]", "does not say ranks by layer"),
        ("{}", "does not say ranks by layer"),
        ('{"second": 3}', "does not say ranks by layer"),
        ('{"third": [1, 1]}', "third"),
        ('{"second": [99, 1]}', "99"),
        ('{"second": [1.5, 1]}', "1.5"),
    ],
)
def test_ranks_that_cannot_be(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "ranks.json").write_text(content)
    path = saved(classifier(), tmp_path / "classifier.onnx")
    with pytest.raises(InputError, match=message):
        run(path, tmp_path / "out.onnx", rate=None, ranks=tmp_path / "ranks.json")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.parametrize(
    ("rate", "code"),
    [(0.0, "rate_out_of_range"), (1.0, "rate_out_of_range"), (-1, "rate_out_of_range"), (0.99999, "below_floor")],
)
def test_rates_that_cannot_be_are_told_before_anything_is_trained(
    folder: Path, tmp_path: Path, rate: float, code: str
) -> None:
    told = Told()
    with pytest.raises(InputError) as caught:
        run(folder / "base.onnx", tmp_path / "out.onnx", told, rate=rate, data=folder / "data")
    assert caught.value.code == code
    assert "reading the images" not in told.stages


def test_a_model_without_convolutions(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        run(saved(zoo.identity(), tmp_path / "identity.onnx"), tmp_path / "out.onnx")
    assert caught.value.code == "no_compressible_layer"


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    model = classifier()
    broken = numpy_helper.to_array(model.graph.initializer[0]).copy()
    broken[0, 0, 0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(broken, "a"))
    with pytest.raises(InputError) as caught:
        run(saved(model, tmp_path / "nan.onnx"), tmp_path / "out.onnx")
    assert caught.value.code == "not_finite"


def test_an_operator_that_cannot_be_trained_names_itself(folder: Path, tmp_path: Path) -> None:
    model = classifier()
    model.graph.node[1].op_type = "Softsign"
    path = saved(model, tmp_path / "softsign.onnx")
    with pytest.raises(InputError, match="Softsign") as caught:
        run(path, tmp_path / "out.onnx", data=folder / "data" / "train")
    assert caught.value.code == "unsupported_operator"
    assert run(path, tmp_path / "out.onnx", recipe=None).trained is None


def test_what_the_original_was_not_trained_on_stays_held_out(folder: Path, tmp_path: Path) -> None:
    other = Recipe(epochs=1, batch=8, select="validation", seed=7)
    run(folder / "base.onnx", tmp_path / "r60.onnx", data=folder / "data", recipe=other)
    assert known(tmp_path / "r60.onnx").good_images == known(folder / "base.onnx").good_images
    run(tmp_path / "r60.onnx", tmp_path / "r70.onnx", data=folder / "data", recipe=None, rate=0.7)
    run(tmp_path / "r70.onnx", tmp_path / "r80.onnx", data=folder / "data", recipe=other, rate=0.8)
    assert known(tmp_path / "r80.onnx").good_images == known(folder / "base.onnx").good_images


def test_a_compressed_model_is_compressed_further_by_the_rate_of_the_original(folder: Path, tmp_path: Path) -> None:
    run(folder / "base.onnx", tmp_path / "r60.onnx")
    made = run(tmp_path / "r60.onnx", tmp_path / "r80.onnx", rate=0.8)
    assert made.table.weights_before == count_weights(onnx.load(folder / "base.onnx"))
    assert made.table.rate == pytest.approx(0.8, abs=0.02)


def test_a_lower_rate_than_a_model_has_is_refused(folder: Path, tmp_path: Path) -> None:
    run(folder / "base.onnx", tmp_path / "r80.onnx", rate=0.8)
    with pytest.raises(InputError, match="already") as caught:
        run(tmp_path / "r80.onnx", tmp_path / "r60.onnx", rate=0.6)
    assert "higher rate" in caught.value.hint
    assert not (tmp_path / "r60.onnx").exists()


def test_percent_are_told_from_a_share(folder: Path, tmp_path: Path) -> None:
    told = Told()
    with pytest.raises(InputError, match="a rate of 99") as caught:
        run(folder / "base.onnx", tmp_path / "r99.onnx", told, rate=99.0)
    assert "give 0.99" in caught.value.hint
    assert told.stages == []


def test_how_images_are_prepared_and_what_is_learned_is_told(folder: Path, tmp_path: Path) -> None:
    told = Told()
    path = saved(classifier(), tmp_path / "classifier.onnx")
    run(path, tmp_path / "out.onnx", told, data=folder / "data", recipe=Recipe(epochs=1, batch=4))
    assert any("divided by 255" in note and "--preprocess changes it" in note for note in told.notes)
    assert any("as the original does" in note for note in told.notes)


def test_a_look_without_retraining_leaves_an_unfinished_training(folder: Path, tmp_path: Path) -> None:
    class Stopped(Told):
        def advance(self, done: int, total: int, detail: str = "") -> None:
            if detail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder / "base.onnx", tmp_path / "r.onnx", Stopped(), data=folder / "data")
    run(folder / "base.onnx", tmp_path / "r.onnx", recipe=None)
    assert (tmp_path / "r.onnx.training").exists()


def test_the_record_of_a_training_does_not_outlive_its_weights(folder: Path, tmp_path: Path) -> None:
    run(folder / "base.onnx", tmp_path / "bare.onnx", recipe=None)
    metadata = {entry.key: entry.value for entry in onnx.load(tmp_path / "bare.onnx").metadata_props}
    assert json.loads(metadata["boardfit.training"]) == {"held_out_seed": 0}


def test_the_original_is_not_overwritten(folder: Path, tmp_path: Path) -> None:
    path = saved(classifier(), tmp_path / "classifier.onnx")
    before = path.read_bytes()
    with pytest.raises(InputError, match="is the model itself"):
        run(path, tmp_path / "." / "classifier.onnx")
    assert path.read_bytes() == before


def test_half_precision_is_compressed_but_not_retrained(folder: Path, tmp_path: Path) -> None:
    model = classifier()
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for tensor in model.graph.initializer:
        halves = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(halves, tensor.name))
    path = saved(model, tmp_path / "half.onnx")
    with pytest.raises(InputError, match="float16") as caught:
        run(path, tmp_path / "out.onnx", data=folder / "data")
    assert "leave it out" in caught.value.hint
    assert run(path, tmp_path / "out.onnx").trained is None


def test_a_reconstructing_model_may_learn_from_the_original_instead(folder: Path, tmp_path: Path) -> None:
    made = run(folder / "base.onnx", tmp_path / "out.onnx", data=folder / "data", loss="distillation")
    assert made.trained
    assert made.trained.best.auc is None
    assert made.calibration  # from the good images that travel with it
    path = saved(classifier(), tmp_path / "classifier.onnx")
    with pytest.raises(InputError, match="not its input's shape") as caught:
        run(path, tmp_path / "out.onnx", data=folder / "data", loss="reconstruction")
    assert "--loss distillation" in caught.value.hint


def test_a_training_goes_on_as_it_began(folder: Path, tmp_path: Path) -> None:
    class Stopped(Told):
        def advance(self, done: int, total: int, detail: str = "") -> None:
            if detail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder / "base.onnx", tmp_path / "r.onnx", Stopped(), data=folder / "data")
    with pytest.raises(InputError, match="threads 1, not 2") as caught:
        run(folder / "base.onnx", tmp_path / "r.onnx", data=folder / "data", compute=Compute(threads=2))
    assert "--restart" in caught.value.hint
    run(folder / "base.onnx", tmp_path / "r.onnx", data=folder / "data", compute=Compute())
