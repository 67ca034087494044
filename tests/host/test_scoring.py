import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from told import Told

from compression.data.errors import ImageFileError, MixedSizesError
from compression.data.mvtec import read_dataset
from host.errors import InputError
from host.scoring import METHODS, Floats, Images, judge, load, pixels
from inspection.accuracy import auc
from inspection.preprocess import Preprocessing
from inspection.score import FloatMap

SMOOTHED, NORMALISED = METHODS
SIZE = 32


@pytest.fixture
def images(capsules: Path) -> Images:
    return load(read_dataset(capsules), Preprocessing(height=SIZE, width=SIZE), Told())


def mean_of(images: Images) -> Floats:
    mean: Floats = images.train.mean(axis=0)
    return mean


def around_mean(images: Images, tensors: Floats) -> Floats:
    return np.broadcast_to(mean_of(images), tensors.shape)


def test_what_is_loaded(capsules: Path) -> None:
    told = Told()
    images = load(read_dataset(capsules), Preprocessing(height=SIZE, width=SIZE), told)
    assert (images.train.shape, images.test.shape) == ((8, 3, SIZE, SIZE), (14, 3, SIZE, SIZE))
    assert images.masks is not None
    assert images.masks.any(axis=(1, 2)).tolist() == [False] * 4 + [True] * 10
    assert told.done[-1] == (22, 22)
    assert told.stages == [f"{capsules}: reading images"]


def test_both_scores_of_each_image(images: Images) -> None:
    usual = np.full((SIZE, SIZE), 0.5, np.float32)
    usual[:, : SIZE // 2] = 0.25
    judged = judge("mean", 0, lambda tensors, _: around_mean(images, tensors), images, 1.0, usual)
    smoothed, normalised = (judged.contender.accuracies[method].scores for method in METHODS)
    assert np.array_equal(smoothed, judged.maps[SMOOTHED].max(axis=(1, 2)))
    assert np.allclose(judged.maps[NORMALISED], judged.maps[SMOOTHED] / usual)
    assert np.array_equal(normalised, judged.maps[NORMALISED].max(axis=(1, 2)))
    for method in METHODS:
        accuracy = judged.contender.accuracies[method]
        assert accuracy.auc.auc == auc(accuracy.scores, images.dataset.defective)
        assert (accuracy.auc.good, accuracy.auc.defective) == (4, 10)
        assert {kind: each.defective for kind, each in accuracy.by_kind.items()} == dict.fromkeys(
            ("crack", "faulty_imprint", "poke", "scratch", "squeeze"), 2
        )


def test_the_training_error_is_found_where_none_is_brought(images: Images) -> None:
    asked = []

    def reconstruct(tensors: Floats, what: str) -> Floats:
        asked.append((what, len(tensors)))
        return around_mean(images, tensors)

    judged = judge("mean", 0, reconstruct, images, 1.0)
    assert asked == [("training images", 8), ("test images", 14)]
    again: list[FloatMap] = []
    for image in images.train:
        swapped = Images(images.dataset, images.train, np.stack([image] * 14), images.masks, images.preprocessing)
        again.append(judge("mean", 0, reconstruct, swapped, 1.0, np.ones((SIZE, SIZE), np.float32)).maps[SMOOTHED][0])
    ratio = judged.maps[SMOOTHED] / judged.maps[NORMALISED]
    expected = np.mean(again, axis=0)
    usual = expected > 0.01 * expected.mean()  # below, the map has a floor
    assert usual.mean() > 0.5
    assert np.allclose(ratio[:, usual], expected[usual], rtol=1e-4)


def test_a_wider_gaussian_lowers_the_peak(images: Images) -> None:
    narrow, wide = (
        judge("mean", 0, lambda tensors, _: around_mean(images, tensors), images, sigma).contender
        for sigma in (1.0, 4.0)
    )
    assert (wide.accuracies[SMOOTHED].scores < narrow.accuracies[SMOOTHED].scores).all()


def test_pixels_by_both_maps(images: Images) -> None:
    judged = judge("mean", 0, lambda tensors, _: around_mean(images, tensors), images, 1.0)
    found = pixels(judged, images)
    assert set(found) == set(METHODS)
    assert all(0 < each.auroc <= 1 and each.regions >= 10 for each in found.values())
    without = Images(images.dataset, images.train, images.test, None, images.preprocessing)
    assert pixels(judged, without) == {}


def test_the_image_whose_reconstruction_is_not_finite(images: Images) -> None:
    def broken(tensors: Floats, what: str) -> Floats:
        made = around_mean(images, tensors).copy()
        if what == "test images":
            made[5, 0, 3, 3] = np.nan
        return made

    with pytest.raises(InputError) as error:
        judge("model.onnx", 0, broken, images, 1.0)
    assert error.value.code == "non_finite"
    assert error.value.message.startswith(f"model.onnx: of {images.dataset.test[5].path} ")


def test_a_perfect_reconstruction_cannot_be_normalised(images: Images) -> None:
    with pytest.raises(InputError) as error:
        judge("echo.onnx", 0, lambda tensors, _: tensors, images, 1.0)
    assert error.value.code == "non_finite"
    assert error.value.message.startswith("echo.onnx: the training error map has the mean 0")


def test_rows_last(capsules: Path) -> None:
    """NHWC and grey: the same maps as of grey NCHW."""
    dataset = read_dataset(capsules)
    first, last = (
        load(dataset, Preprocessing(color="GRAY", height=SIZE, width=SIZE, layout=layout), Told())
        for layout in ("NCHW", "NHWC")
    )
    assert last.test.shape == (14, SIZE, SIZE, 1)
    maps = [
        judge("mean", 0, lambda tensors, _, each=each: around_mean(each, tensors), each, 1.0).maps[SMOOTHED]
        for each in (first, last)
    ]
    assert np.allclose(*maps)


def test_an_image_that_is_broken_is_named(capsules: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(capsules, tmp_path / "copy")
    path = copy / "test" / "poke" / "000.png"
    whole = path.read_bytes()
    path.write_bytes(whole[:200])
    with pytest.raises(ImageFileError, match=str(path)):
        load(read_dataset(copy), Preprocessing(height=SIZE, width=SIZE), Told())
    Image.new("RGB", (16, 16)).save(path)
    with pytest.raises(MixedSizesError, match=str(path)):
        load(read_dataset(copy), Preprocessing(height=SIZE, width=SIZE), Told())
