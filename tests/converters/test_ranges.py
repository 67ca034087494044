import numpy as np
import pytest
import zoo
from onnx import parser

from converters.errors import RunFailedError
from converters.ranges import peaks


def test_the_largest_absolute_value_over_all_cases() -> None:
    made = parser.parse_model(
        '<ir_version: 8, opset_import: ["": 13]> g (float[1,2] x) => (float[1,2] y) { a = Neg(x) y = Relu(a) }'
    )
    cases = [[np.array([values], np.float32)] for values in ((1, -2), (3, 0.5), (0, -0.1))]
    assert peaks(made, {"x", "a", "y"}, cases) == {"a": 3, "x": 3, "y": 2}


@pytest.mark.parametrize("opset", [13, 17, 18, 20])
def test_in_every_opset(opset: int) -> None:
    made = zoo.autoencoder()
    made.opset_import[0].version = opset
    assert peaks(made, {"image"}, [[np.full((1, 3, 16, 16), -0.25, np.float32)]]) == {"image": 0.25}


def test_the_model_is_as_before() -> None:
    made = zoo.autoencoder()
    before = made.SerializeToString()
    peaks(made, {"image"}, [[np.zeros((1, 3, 16, 16), np.float32)]])
    assert made.SerializeToString() == before


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named(value: float) -> None:
    with pytest.raises(RunFailedError, match=r"'image' reaches (nan|inf) on a calibration input"):
        peaks(zoo.autoencoder(), {"image"}, [[np.full((1, 3, 16, 16), value, np.float32)]])


def test_one_case_is_asked_for_at_a_time() -> None:
    class Folder:
        """Reads a case when it is asked for it, and counts those still held."""

        def __init__(self) -> None:
            self.asked: list[int] = []

        def __len__(self) -> int:
            return 300

        def __getitem__(self, index: int) -> list[np.ndarray]:
            if index >= len(self):
                raise IndexError(index)
            self.asked.append(index)
            return [np.full((1, 3, 16, 16), index, np.float32)]

    folder = Folder()
    assert peaks(zoo.autoencoder(), {"image"}, folder)["image"] == 299
    assert folder.asked == list(range(300))
