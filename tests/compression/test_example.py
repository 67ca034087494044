from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from compression.calibrate import reconstructor_of
from compression.data.capsule import STUDIO, photograph
from compression.example import DEFECTIVE_SERIES, SIZE, ExamplePaths, write_example
from compression.layers import count_weights
from compression.table import read_table
from contract.manifest import Inspection
from inspection.preprocess import Preprocessing, decode, prepare
from inspection.score import Score, decide, decode_error_map, judged_map, score


class Inspector:
    """What the agent does with an image, from the model's file alone."""

    def __init__(self, path: Path) -> None:
        model = onnx.load(path)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        known = Inspection.model_validate_json(metadata["boardfit"])
        assert known.preprocessing is not None
        assert known.score is not None
        assert known.training_error is not None
        self.preprocessing = Preprocessing(**known.preprocessing.model_dump())
        self.spec = Score(**known.score.model_dump())
        self.usual = decode_error_map(known.training_error, SIZE, SIZE)
        self.reconstruct = reconstructor_of(model)

    def judged(self, image: Image.Image) -> np.ndarray:
        tensor = prepare(image, self.preprocessing)
        return judged_map(tensor, self.reconstruct(tensor), self.spec, "NCHW", self.usual)

    def decision(self, image: Image.Image) -> str:
        return decide(score(self.judged(image)), self.spec.threshold)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> ExamplePaths:
    return write_example(tmp_path_factory.mktemp("example") / "made" / "here")


@pytest.fixture(scope="module", params=["model", "compressed"])
def inspector(request: pytest.FixtureRequest, example: ExamplePaths) -> Inspector:
    return Inspector(getattr(example, request.param))


def test_writes_what_it_says(example: ExamplePaths) -> None:
    folder = example.model.parent
    assert (len(example.good), len(example.defective)) == (8, 5)
    written = {path for path in folder.rglob("*") if path.is_file()}
    assert written == {example.model, example.compressed, *example.good, *example.defective}
    for path in (*example.good, *example.defective):
        assert decode(path.read_bytes()).size == (SIZE, SIZE)


def test_the_compressed_one_has_a_twentieth_of_the_weights(example: ExamplePaths) -> None:
    whole, compressed = onnx.load(example.model), onnx.load(example.compressed)
    assert count_weights(whole) <= 2_000_000
    assert count_weights(compressed) / count_weights(whole) == pytest.approx(0.05, abs=2e-4)
    assert read_table(compressed).rate == pytest.approx(0.95, abs=2e-4)


def test_the_repository_can_carry_both(example: ExamplePaths) -> None:
    assert example.model.stat().st_size + example.compressed.stat().st_size < 12e6


def test_the_good_ones_are_good(example: ExamplePaths, inspector: Inspector) -> None:
    decisions = [inspector.decision(decode(path.read_bytes())) for path in example.good]
    assert decisions.count("good") >= 7


def test_the_defective_ones_are_found(example: ExamplePaths, inspector: Inspector) -> None:
    decisions = {path.stem: inspector.decision(decode(path.read_bytes())) for path in example.defective}
    assert set(decisions.values()) == {"defective"}, decisions


def test_at_most_three_of_24_unseen_good_ones_are_rejected(inspector: Inspector) -> None:
    decisions = [inspector.decision(photograph((0, 1000, number), None, SIZE, STUDIO)) for number in range(24)]
    assert decisions.count("defective") <= 3


def test_the_map_lights_up_at_the_defect(example: ExamplePaths, inspector: Inspector) -> None:
    for number, path in enumerate(example.defective):
        picture = decode(path.read_bytes())
        twin = np.asarray(photograph((0, DEFECTIVE_SERIES, number), None, SIZE, STUDIO), int)
        defect = np.abs(np.asarray(picture, int) - twin).max(axis=2) > 20
        y, x = np.unravel_index(np.argmax(inspector.judged(picture)), defect.shape)
        assert defect[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4].any(), path.stem


def test_a_seed_is_an_example_and_existing_files_are_overwritten(example: ExamplePaths, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    for name in ("autoencoder.onnx", "good/000.png"):
        (tmp_path / name).write_text("old")
    paths = write_example(tmp_path)
    for ours, theirs in ((paths.model, example.model), (paths.good[0], example.good[0])):
        assert ours.read_bytes() == theirs.read_bytes()
    assert write_example(tmp_path, seed=1).good[0].read_bytes() != example.good[0].read_bytes()


def test_a_folder_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_example(tmp_path / "file")
