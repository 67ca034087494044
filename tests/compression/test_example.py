from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from compression.autoencoder import reconstructor
from compression.data.capsule import photograph
from compression.example import DEFECTIVE_SERIES, write_example
from contract.manifest import Inspection
from inspection.preprocess import Preprocessing, decode, prepare
from inspection.score import Score, anomaly_map, decide, score


class Inspector:
    """What the agent does with an image, from the model's file alone."""

    def __init__(self, path: Path) -> None:
        model = onnx.load(path)
        known = Inspection.model_validate_json(model.metadata_props[0].value)
        assert known.preprocessing is not None
        assert known.score is not None
        self.preprocessing = Preprocessing(**known.preprocessing.model_dump())
        self.spec = Score(**known.score.model_dump())
        self.reconstruct = reconstructor(model)

    def anomaly(self, image: Image.Image) -> np.ndarray:
        tensor = prepare(image, self.preprocessing)
        return anomaly_map(tensor, self.reconstruct(tensor), self.spec)

    def decision(self, image: Image.Image) -> str:
        return decide(score(self.anomaly(image)), self.spec.threshold)


@pytest.fixture(scope="module")
def inspector(example) -> Inspector:
    return Inspector(example.paths.model)


def test_writes_what_it_says(example) -> None:
    paths = example.paths
    assert paths.model == example.folder / "autoencoder.onnx"
    assert (len(paths.good), len(paths.defective)) == (8, 4)
    written = {path for path in example.folder.rglob("*") if path.is_file()}
    assert written == {paths.model, *paths.good, *paths.defective}
    for path in (*paths.good, *paths.defective):
        assert decode(path.read_bytes()).size == (256, 256)
    assert example.seconds < 5


def test_the_good_ones_are_good(example, inspector: Inspector) -> None:
    assert {inspector.decision(decode(path.read_bytes())) for path in example.paths.good} == {"good"}


def test_most_defective_ones_are_found(example, inspector: Inspector) -> None:
    decisions = [inspector.decision(decode(path.read_bytes())) for path in example.paths.defective]
    assert decisions.count("defective") >= 3


def test_at_most_one_of_eight_unseen_good_ones_is_rejected(inspector: Inspector) -> None:
    decisions = [inspector.decision(photograph((0, 1000, number))) for number in range(8)]
    assert decisions.count("defective") <= 1


def test_the_anomaly_map_lights_up_at_the_defect(example, inspector: Inspector) -> None:
    for number, path in enumerate(example.paths.defective):
        picture = decode(path.read_bytes())
        twin = np.asarray(photograph((0, DEFECTIVE_SERIES, number)), int)
        defect = np.abs(np.asarray(picture, int) - twin).max(axis=2) > 20
        y, x = np.unravel_index(np.argmax(inspector.anomaly(picture)), defect.shape)
        assert defect[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3].any()


def test_a_seed_is_an_example_and_existing_files_are_overwritten(example, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    for name in ("autoencoder.onnx", "good/000.png"):
        (tmp_path / name).write_text("old")
    paths = write_example(tmp_path)
    for ours, theirs in ((paths.model, example.paths.model), (paths.good[0], example.paths.good[0])):
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_example(tmp_path / "file")
