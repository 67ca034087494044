"""The gate, with files that are almost right: each is one change away from one that passes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tflite

from converters.errors import UnfitFileError
from converters.tflite import gate
from converters.tflite.program import VERSIONS
from converters.tflite.quantising import Call, Contents, Stored
from converters.tflite.writer import write

SHAPE = (1, 4, 4, 3)


def stored(name: str, shape: tuple[int, ...] = SHAPE, **more: Any) -> Stored:
    return Stored(name, "int8", shape, (0.5,), (3,), **more)


def contents(
    builtin: str = "RELU",
    version: int | None = None,
    *constants: Stored,
    inputs: tuple[int, ...] = (0,),
    result: Stored | None = None,
    **options: Any,
) -> Contents:
    """x -> the operator -> y; constants are tensors 2 and on."""
    tensors = [stored("x"), result or stored("y"), *constants]
    version = version or VERSIONS.get(builtin, 1)
    return Contents(tensors, [Call(builtin, version, inputs, (1,), options)], [0], [1])


def constant(name: str, shape: tuple[int, ...], data: np.ndarray, **more: Any) -> Stored:
    kept = {"dtype": str(data.dtype), "scales": (0.5,), "zero_points": (0,)} | more
    return replace(stored(name, shape, data=data.tobytes()), **kept)


def test_a_file_that_passes() -> None:
    gate.check(write(contents()))
    assert gate.will_not_map(write(contents())) == ()


def problem(content: bytes) -> str:
    with pytest.raises(UnfitFileError) as refusal:
        gate.check(content)
    assert "defect of boardfit" in refusal.value.hint
    return refusal.value.message


WEIGHTS = constant("w", (3, 1, 1, 3), np.ones(9, np.int8))
ROWS = constant("w", (3, 48), np.ones(144, np.int8), scales=(0.5,) * 3, zero_points=(0,) * 3)
BIAS = constant("b", (3,), np.ones(3, np.int32))
SIZE = constant("s", (2,), np.array([8, 8], np.int32), scales=(), zero_points=())


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (contents("LEAKY_RELU"), "LEAKY_RELU is none of those"),
        (contents("STRIDED_SLICE"), "STRIDED_SLICE is none of those"),
        (contents("CUSTOM"), "CUSTOM is none of those"),
        (contents("RELU", 3), "RELU has version 3, and 2 is the last"),
        (contents("CONV_2D", 6, WEIGHTS, BIAS, inputs=(0, 2, 3)), "CONV_2D has version 6, and 5 is the last"),
        (
            contents("TRANSPOSE_CONV", 4, SIZE, WEIGHTS, BIAS, inputs=(2, 3, 0, 4)),
            "TRANSPOSE_CONV has version 4, and 3 is the last",
        ),
        (
            contents("TRANSPOSE_CONV", 3, SIZE, WEIGHTS, BIAS, inputs=(2, 3, 0, 4), fused_activation_function=1),
            "has an activation, which is version 4",
        ),
        (contents("RESIZE_BILINEAR", 2, SIZE, inputs=(0, 2), half_pixel_centers=True), "half_pixel_centers"),
        (contents("RESIZE_NEAREST_NEIGHBOR", 2, SIZE, inputs=(0, 2), align_corners=True), "align_corners"),
        (contents("FULLY_CONNECTED", 4, ROWS, BIAS, inputs=(0, 2, 3)), "a scale for each channel"),
        (contents(result=stored("y", (2, 4, 4, 3))), "more than three axes above 1"),
        (contents(result=stored("y", (1, 0, 4, 3))), "which is not static"),
        (contents(result=replace(stored("y"), scales=(), zero_points=())), "'y' is not quantised"),
        (contents(result=replace(stored("y"), scales=(0.0,))), "a scale that is not above 0"),
        (contents(result=replace(stored("y"), scales=(float("inf"),))), "a scale that is not above 0"),
        (contents(result=replace(stored("y"), zero_points=(128,))), "a zero point that int8 has not"),
        (contents(result=replace(stored("y"), dtype="int32")), "'y' is computed as int32"),
        (replace(contents(), calls=[]), "it has no operator"),
    ],
)
def test_what_is_refused(made: Contents, said: str) -> None:
    assert said in problem(write(made))


def changed(change: Callable[[Any, bytearray], None]) -> bytes:
    content = bytearray(write(contents()))
    change(tflite.Model.GetRootAs(content), content)
    return bytes(content)


def set_field(table: Any, number: int, content: bytearray, value: bytes) -> None:
    """Write over the field `number` of a table of the schema: it has to be there."""
    offset = table._tab.Offset(4 + 2 * number)
    assert offset
    content[table._tab.Pos + offset : table._tab.Pos + offset + len(value)] = value


def test_floats_are_refused() -> None:
    content = changed(lambda model, content: set_field(model.Subgraphs(0).Tensors(1), 1, content, bytes([0])))
    assert "'y' is computed as float32" in problem(content)


def test_another_schema_is_refused() -> None:
    content = changed(lambda model, content: set_field(model, 0, content, (2).to_bytes(4, "little")))
    assert "its schema has version 2, not 3" in problem(content)


def test_two_codes_that_differ_are_refused() -> None:
    content = changed(lambda model, content: set_field(model.OperatorCodes(0), 0, content, bytes([1])))
    assert "RELU has two codes that differ" in problem(content)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x08\x00\x00\x00ONNX" + bytes(64)])
def test_other_files_are_refused(content: bytes) -> None:
    assert "it is no TFLite file" in problem(content)


def test_a_file_that_is_cut_off_is_refused() -> None:
    whole = write(contents())
    said = [problem(whole[:length]) for length in range(8, len(whole) - 64, 16)]
    assert all(said)


ZEROS = constant("z", SHAPE, np.full(48, 3, np.int8), zero_points=(3,))
ONES = constant("z", SHAPE, np.ones(48, np.int8))
LONG = stored("y", (1, 4, 4, 6))


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (contents("PADV2", 2, SIZE, SIZE, inputs=(0, 2, 3)), "pads with zeros alone"),
        (contents("PRELU", 1, ONES, inputs=(0, 2)), "its slopes differ between places"),
        (contents("CONCATENATION", 2, ONES, inputs=(0, 2), result=LONG), "has to be of zeros"),
        (contents("CONCATENATION", 2, ZEROS, inputs=(0, 0, 2), result=LONG), "has to be of zeros"),
        (contents("CONCATENATION", 2, ZEROS, inputs=(0, 2), result=LONG), ""),
        (contents("SOFTMAX"), "more than one row"),
        (contents("SOFTMAX", result=stored("y", (1, 20_000))), "more than 16,000 elements"),
        (contents("SOFTMAX", result=stored("y", (1, 200))), ""),
        (contents("MEAN", 2, constant("a", (1,), np.array([3], np.int32)), inputs=(0, 2)), "no multiple of 4"),
        (contents("MEAN", 2, constant("a", (2,), np.array([1, 2], np.int32)), inputs=(0, 2)), ""),
        (
            contents("CONV_2D", 3, WEIGHTS, BIAS, inputs=(0, 2, 3), dilation_h_factor=1, dilation_w_factor=2),
            "dilation differs",
        ),
        (
            contents("RESIZE_BILINEAR", 2, SIZE, inputs=(0, 2), result=stored("y", (1, 256, 256, 3))),
            "it may, for its output has a side of 256",
        ),
        (contents("FULLY_CONNECTED", 4, ROWS, BIAS, inputs=(0, 2, 3), result=stored("y", (4, 3))), "more than one row"),
    ],
)
def test_what_stays_on_the_cpu(made: Contents, reason: str) -> None:
    said = gate.will_not_map(write(made))
    assert len(said) == bool(reason)
    assert all(made.calls[0].builtin in sentence and reason in sentence for sentence in said)


def test_the_same_reason_is_said_once() -> None:
    made = contents("SOFTMAX")
    made.calls.append(made.calls[0])
    (said,) = gate.will_not_map(write(made))
    assert "2 of SOFTMAX" in said
