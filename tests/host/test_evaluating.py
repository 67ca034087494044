import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import zoo
from onnx import ModelProto, TensorProto, helper
from PIL import Image
from told import Told

from compression.autoencoder import set_inspection
from compression.baselines import best_pca, mean_image
from compression.calibrate import reconstructor_of
from compression.data.mvtec import load_images, read_dataset, split
from contract.profile import Profile, read_profile
from host.accelerator import Use
from host.artifact import of_manifest, reference
from host.client import AgentClient
from host.converting import Request as ConversionRequest
from host.converting import make
from host.errors import HostError, InputError
from host.evaluating import Evaluation, Request, _picture, evaluate
from host.scoring import METHODS
from inspection.accuracy import auc, decisions
from inspection.preprocess import Preprocessing, prepare
from inspection.score import Score, anomaly_map

SMOOTHED, NORMALISED = METHODS
PROFILE = read_profile("desktop")


def evaluated(model: Path, data: Path, client: AgentClient | None = None) -> Evaluation:
    return evaluate(Request(model, data), PROFILE, client, Told())


@pytest.fixture(scope="module")
def found(untrained: Path, capsules: Path) -> Evaluation:
    return evaluated(untrained, capsules)


@pytest.fixture
def copy(capsules: Path, tmp_path: Path) -> Path:
    """The data set, to be changed."""
    return Path(shutil.copytree(capsules, tmp_path / "copy"))


def with_own_map(untrained: Path, folder: Path, judged: Score) -> Path:
    """The model, bringing a training error map that is not that of the data set."""
    model = onnx.load(untrained)
    usual = np.linspace(1e-4, 1e-2, 32 * 32, dtype=np.float32).reshape(32, 32)
    set_inspection(model, Preprocessing(height=32, width=32), judged, usual)
    return zoo.save(model, folder, "own.onnx")


def test_the_figures_are_those_of_the_models_own_reconstructions(
    found: Evaluation, untrained: Path, capsules: Path
) -> None:
    dataset, preprocessing = read_dataset(capsules), Preprocessing(height=32, width=32)
    reconstruct = reconstructor_of(onnx.load(untrained))
    test = load_images(dataset, [image.path for image in dataset.test], preprocessing)
    scores = [anomaly_map(image[None], reconstruct(image[None]), Score()).max() for image in test]
    smoothed = found.model.accuracies[SMOOTHED]
    assert np.allclose(smoothed.scores, scores, rtol=1e-4)
    assert smoothed.auc.auc == auc(scores, dataset.defective)
    [verdict] = found.verdicts
    assert (verdict.origin, verdict.threshold) == ("model", 0.01)
    assert verdict.decisions == decisions(scores, dataset.defective, 0.01)
    assert (found.place, found.model.name, found.model.weights) == ("this machine", "capsules.onnx", 1_394_176)
    assert not found.brings_training_error
    assert set(found.pixels) == set(METHODS)


def test_what_the_model_has_to_beat(found: Evaluation, capsules: Path) -> None:
    dataset, preprocessing = read_dataset(capsules), Preprocessing(height=32, width=32)
    train, held_out = split(dataset.train, seed=0)
    best = best_pca(load_images(dataset, train, preprocessing), load_images(dataset, held_out, preprocessing))
    test = load_images(dataset, [image.path for image in dataset.test], preprocessing)
    mean = mean_image(load_images(dataset, dataset.train, preprocessing))
    assert [(each.name, each.weights) for each in found.baselines] == [("mean image", 0), (best.name, best.weights)]
    for contender, baseline in zip(found.baselines, (mean, best), strict=True):
        made = baseline.reconstruct(test)
        scores = [anomaly_map(a[None], b[None], Score()).max() for a, b in zip(test, made, strict=True)]
        assert np.allclose(contender.accuracies[SMOOTHED].scores, scores, rtol=1e-3)


def test_the_training_error_map_is_the_models_where_it_brings_one(
    found: Evaluation, untrained: Path, capsules: Path, tmp_path: Path
) -> None:
    judged = Score(method="max_normalised_squared_error", threshold=3.0)
    own = evaluated(with_own_map(untrained, tmp_path, judged), capsules)
    assert own.brings_training_error
    assert np.allclose(own.model.accuracies[SMOOTHED].scores, found.model.accuracies[SMOOTHED].scores)
    assert not np.allclose(own.model.accuracies[NORMALISED].scores, found.model.accuracies[NORMALISED].scores, rtol=0.1)
    [verdict] = own.verdicts
    assert verdict.decisions == decisions(own.model.accuracies[NORMALISED].scores, own.dataset.defective, 3.0)


def test_the_threshold_is_the_artifacts_own_where_good_images_can_set_it(
    untrained: Path, capsules: Path, tmp_path: Path
) -> None:
    """A folder for a board has them, and its int8 scores are others than the model's."""
    model = onnx.load(untrained)
    good = tuple(path.read_bytes() for path in sorted((capsules / "train" / "good").iterdir()))
    set_inspection(model, Preprocessing(height=32, width=32), Score(threshold=1e-6), good_images=good)
    path = zoo.save(model, tmp_path, "capsules.onnx")
    coral = make(ConversionRequest(path, {}, use=Use(cpu=True)), read_profile("coral"), lambda _: None)
    coral.write(tmp_path / "coral")
    told = Told()
    own = evaluate(Request(tmp_path / "coral", capsules), None, None, told)
    stored, found_here = own.verdicts
    assert (stored.origin, stored.threshold, found_here.origin) == ("model", 1e-6, "artifact")
    dataset, preprocessing = read_dataset(capsules), Preprocessing(height=32, width=32)
    run = reference(coral.files["model.tflite"], of_manifest(coral.manifest.artifact))
    images = load_images(dataset, dataset.train, preprocessing)
    scores = [anomaly_map(each[None], run([each[None]])[0], Score()).max() for each in images]
    assert found_here.threshold == pytest.approx(max(scores), rel=1e-6)
    assert found_here.decisions == decisions(
        own.model.accuracies[SMOOTHED].scores, dataset.defective, found_here.threshold
    )
    assert "this machine: finding the threshold" in told.stages


def test_a_precision_that_only_the_board_has_is_not_claimed(untrained: Path, capsules: Path, tmp_path: Path) -> None:
    profile = read_profile("orin-nano")
    for precision, name in (("fp16", ", computed here in float32"), ("fp32", ""), ("int8", "")):
        asked = ConversionRequest(untrained, {}, precision=precision, calibrate=capsules / "train", trial_build_s=0)
        folder = tmp_path / precision
        make(asked, profile, lambda _: None).write(folder)
        own = evaluate(Request(folder, capsules), None, None, Told())
        assert own.model.name == f"{folder / 'model.onnx'}, {precision} of capsules.onnx{name}"
        what = f"this machine computes {folder / 'model.onnx'} in float32: fp16 is the board's to do"
        assert own.notices == ((f"{what}; --board NAME tells what it makes of it",) if name else ())


@pytest.mark.parametrize(
    ("given", "option"),
    [({"preprocess": Path("x.toml")}, "--preprocess"), ({"input_shapes": {"x": (1,)}}, "--input-shape")],
)
@pytest.mark.parametrize("profile", [None, PROFILE])
def test_options_of_a_conversion_come_too_late_for_a_folder(
    untrained: Path, capsules: Path, tmp_path: Path, given: dict[str, Any], option: str, profile: Profile | None
) -> None:
    make(ConversionRequest(untrained, {}), PROFILE, lambda _: None).write(tmp_path / "c")
    with pytest.raises(InputError, match=f"{option} comes too late"):
        evaluate(Request(tmp_path / "c", capsules, **given), profile, None, Told())


def test_an_option_that_this_command_lacks_is_said_to_be_anothers(
    untrained: Path, capsules: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError) as raised:
        evaluate(Request(untrained, capsules), read_profile("coral"), None, Told())
    assert "--" in raised.value.hint
    assert raised.value.hint.endswith(
        "; these are options of `host convert`: convert the model with it first, then name its folder here"
    )


def test_nothing_is_decided_without_a_threshold(capsules: Path, untrained: Path, tmp_path: Path) -> None:
    model = onnx.load(untrained)
    del model.metadata_props[:]
    bare = evaluated(zoo.save(model, tmp_path), capsules)
    assert bare.verdicts == ()
    assert bare.score == Score()


def test_on_a_board_the_figures_are_the_boards(found: Evaluation, client: AgentClient, untrained: Path) -> None:
    on_board = evaluated(untrained, found.dataset.folder, client)
    assert on_board.place == "board"
    for method in METHODS:
        assert np.allclose(on_board.model.accuracies[method].scores, found.model.accuracies[method].scores, rtol=1e-4)
    assert client.models() == []


def test_examples_are_the_median_and_the_hardest_of_each_kind(found: Evaluation) -> None:
    scores = found.model.accuracies[SMOOTHED].scores
    kinds = np.array(found.dataset.kinds)
    assert [example.kind for example in found.examples] == [kind for kind in dict.fromkeys(kinds) for _ in range(2)]
    for kind in dict.fromkeys(kinds):
        of_kind = [example for example in found.examples if example.kind == kind]
        mine = scores[kinds == kind]
        assert of_kind[1].score == (mine.max() if kind == "good" else mine.min())
        for example in of_kind:
            assert example.map.max() == example.score
            assert example.mask is not None
            assert example.mask.any() == (kind != "good")
            assert np.array_equal(example.image, np.asarray(Image.open(example.path)))


def test_a_kind_of_one_image_is_shown_once(copy: Path, untrained: Path) -> None:
    for part, name in (("test", "001.png"), ("ground_truth", "001_mask.png")):
        (copy / part / "crack" / name).unlink()
    assert [example.kind for example in evaluated(untrained, copy).examples].count("crack") == 1


def test_without_masks(copy: Path, untrained: Path) -> None:
    shutil.rmtree(copy / "ground_truth")
    blind = evaluated(untrained, copy)
    assert blind.pixels == {}
    assert {example.mask is None for example in blind.examples} == {True}


@pytest.mark.parametrize(
    "preprocessing",
    [
        Preprocessing(height=6, width=4),
        Preprocessing(height=6, width=4, layout="NHWC", color="BGR", mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)),
        Preprocessing(height=6, width=4, scale=1.0),
    ],
)
def test_a_prepared_image_can_be_looked_at(preprocessing: Preprocessing) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)
    assert np.array_equal(_picture(prepare(Image.fromarray(pixels), preprocessing)[0], preprocessing), pixels)


def test_a_grey_one_too() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4), np.uint8)
    preprocessing = Preprocessing(height=6, width=4, color="GRAY")
    shown = _picture(prepare(Image.fromarray(pixels), preprocessing)[0], preprocessing)
    assert np.array_equal(shown, pixels[:, :, None].repeat(3, axis=2))


def emptied(folder: Path) -> None:
    for path in (folder / "train" / "good").iterdir():
        path.unlink()


def mixed(folder: Path) -> None:
    Image.new("RGB", (16, 16)).save(folder / "test" / "poke" / "000.png")


def truncated(folder: Path) -> None:
    path = folder / "test" / "good" / "000.png"
    path.write_bytes(path.read_bytes()[:-300])


def good_only(folder: Path) -> None:
    for place in (folder / "test").iterdir():
        if place.name != "good":
            shutil.rmtree(place)


def defective_only(folder: Path) -> None:
    shutil.rmtree(folder / "test" / "good")


def maskless(folder: Path) -> None:
    (folder / "ground_truth" / "poke" / "000_mask.png").unlink()


def hardly_any(folder: Path) -> None:
    for path in sorted((folder / "train" / "good").iterdir())[2:]:
        path.unlink()


@pytest.mark.parametrize(
    ("harm", "code", "what"),
    [
        (emptied, "empty_folder", "train/good has no image in it"),
        (shutil.rmtree, "missing_folder", "copy is no folder"),
        (mixed, "mixed_sizes", "poke/000.png has 16 x 16 pixels"),
        (truncated, "bad_image_file", "good/000.png"),
        (good_only, "one_class", "no defective image (test/KIND) to test with: the AUC is undefined"),
        (defective_only, "one_class", "no good image (test/good) to test with: the AUC is undefined"),
        (maskless, "missing_mask", "000_mask.png is missing"),
        (hardly_any, "too_few_images", "has 2 training images, the baselines need 3"),
    ],
)
def test_data_that_cannot_be_used(
    copy: Path, untrained: Path, harm: Callable[[Path], None], code: str, what: str
) -> None:
    harm(copy)
    with pytest.raises(InputError) as error:
        evaluated(untrained, copy)
    assert error.value.code == code
    assert what in error.value.message
    assert error.value.exit_code == 3


def test_bad_data_never_reaches_a_board(copy: Path, untrained: Path, client: AgentClient) -> None:
    truncated(copy)
    told = Told()
    with pytest.raises(InputError):
        evaluate(Request(untrained, copy), PROFILE, client, told)
    assert not [stage for stage in told.stages if stage.startswith("board:")]


def not_a_number() -> ModelProto:
    """x -> x * (greatest of x / greatest of x): NaN for an image that is all black, and nothing else."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["greatest"], keepdims=1),
        helper.make_node("Div", ["greatest", "greatest"], ["one"]),
        helper.make_node("Mul", ["x", "one"], ["y"]),
    ]
    return zoo.model(nodes, [zoo.tensor("x", (1, 3, 32, 32))], [zoo.tensor("y", (1, 3, 32, 32))])


def test_a_model_that_gives_no_numbers(copy: Path, tmp_path: Path) -> None:
    path = copy / "train" / "good" / "003.png"
    Image.new("RGB", (32, 32)).save(path)
    with pytest.raises(InputError) as error:
        evaluated(zoo.save(not_a_number(), tmp_path), copy)
    assert error.value.code == "non_finite"
    assert error.value.message.startswith(f"model.onnx: of {path} the error of 1024 of 1024 pixels")


def test_one_on_a_board_is_taken_off_again(copy: Path, tmp_path: Path, client: AgentClient) -> None:
    Image.new("RGB", (32, 32)).save(copy / "test" / "good" / "001.png")
    with pytest.raises(InputError, match="of 1024 pixels"):
        evaluated(zoo.save(not_a_number(), tmp_path), copy, client)
    assert client.models() == []


def test_a_damaged_table_of_layers(capsules: Path, tmp_path: Path, untrained: Path) -> None:
    model = onnx.load(untrained)
    helper.set_model_props(model, {"boardfit.compression": '{"layers": 7}'})
    with pytest.raises(InputError) as error:
        evaluated(zoo.save(model, tmp_path), capsules)
    assert error.value.code == "not_compressed"


def test_half_precision_and_rows_last(capsules: Path, tmp_path: Path) -> None:
    """A model of another element type and layout has the figures of its float32 twin, within its precision."""
    half = helper.make_tensor("half", TensorProto.FLOAT16, (), [0.5])
    whole = helper.make_tensor("half", TensorProto.FLOAT, (), [0.5])
    found = []
    for name, dims, element, factor in (
        ("a", (1, 32, 32, 3), TensorProto.FLOAT16, half),
        ("b", (1, 3, 32, 32), TensorProto.FLOAT, whole),
    ):
        model = zoo.model(
            [helper.make_node("Mul", ["x", "half"], ["y"])],
            [zoo.tensor("x", dims, element)],
            [zoo.tensor("y", dims, element)],
            [factor],
        )
        found.append(evaluated(zoo.save(model, tmp_path, f"{name}.onnx"), capsules).model.accuracies[SMOOTHED].scores)
    assert np.allclose(*found, rtol=5e-3)
