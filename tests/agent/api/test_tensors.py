"""Tensors as JSON and raw: every type comes back exactly, and whatever else is sent is an error that says why."""

import contextlib
import json
import math
from typing import Any

import numpy as np
import pytest
from arrays import Array, every_dtype, on_a_busy_machine, refusal, signature, small_shapes, some, spec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agent.api import tensors
from agent.arena import InputWriter
from agent.errors import BadTensorError
from contract.tensors import TensorSpec

DATATYPES = {
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "bool": "BOOL",
}


def request(array: Array, **changes: Any) -> dict[str, Any]:
    """A tensor of the Open Inference Protocol."""
    return {
        "name": "x",
        "shape": list(array.shape),
        "datatype": DATATYPES[array.dtype.name],
        "data": array.tolist(),
    } | changes


def body(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": inputs, **more}).encode()


def read_json(content: bytes, *specs: TensorSpec) -> tuple[list[bytes], str | None]:
    views, request_id = tensors.read_json(content, signature(*specs or (spec(),)))
    return [bytes(view) for view in views], request_id


class TestJson:
    @every_dtype
    @pytest.mark.parametrize("flat", [False, True])
    def test_every_dtype_is_exact(self, dtype: str, flat: bool) -> None:
        array = some(dtype)
        data = array.ravel().tolist() if flat else array.tolist()
        assert read_json(body(request(array, data=data)), spec(dtype)) == ([array.tobytes()], None)

    def test_whole_numbers_are_floats_too(self) -> None:
        array = np.array([1, 2, 3], np.float32)
        assert read_json(body(request(array, data=[1, 2.0, 3])), spec(shape=(3,))) == ([array.tobytes()], None)

    def test_whole_numbers_beyond_a_float_stay_exact(self) -> None:
        for dtype, values in (("int64", [2**63 - 1, -(2**63), 2**53 + 1]), ("uint64", [2**64 - 1, 1, 2**63])):
            array = np.array(values, dtype)
            assert read_json(body(request(array)), spec(dtype, (3,)))[0] == [array.tobytes()]

    def test_a_scalar(self) -> None:
        array = np.array(2.5, np.float32)
        for data in (2.5, [2.5]):
            assert read_json(body(request(array, data=data)), spec(shape=()))[0] == [array.tobytes()]

    def test_inputs_are_matched_by_name(self) -> None:
        a, b = np.array([1], np.uint8), np.array([2.5], np.float64)
        specs = spec("uint8", (1,), "a"), spec("float64", (1,), "b")
        content = body(request(b, name="b"), request(a, name="a"))
        assert read_json(content, *specs)[0] == [a.tobytes(), b.tobytes()]

    @pytest.mark.parametrize("request_id", ["", "42", "ü", "a" * 1000, None])
    def test_the_id_comes_back(self, request_id: str | None) -> None:
        assert read_json(body(request(some("float32")), id=request_id))[1] == request_id

    @pytest.mark.parametrize("request_id", [42, True, 1.5, [], {}])
    def test_an_id_is_a_string(self, request_id: object) -> None:
        assert "the id is" in refusal(read_json, body(request(some("float32")), id=request_id)).message

    def test_what_else_the_protocol_allows_is_passed_over(self) -> None:
        content = body(request(some("float32"), parameters={}), parameters={"a": 1}, outputs=[{"name": "y"}])
        assert read_json(content)[0] == [some("float32").tobytes()]

    def test_an_unknown_input_is_named(self) -> None:
        error = refusal(read_json, body(request(some("float32"), name="y")))
        assert (error.message, error.hint) == ("the model has no input 'y'", "its inputs are 'x'")

    def test_a_missing_input_is_named(self) -> None:
        error = refusal(read_json, body(request(some("float32"))), spec(), spec("int8", (1,), "mask"))
        assert (error.message, error.hint) == ("the input 'mask' is missing", "it is int8 [1]")

    def test_an_input_that_comes_twice_is_named(self) -> None:
        tensor = request(some("float32"))
        assert refusal(read_json, body(tensor, tensor)).message == "the input 'x' is sent more than once"

    @pytest.mark.parametrize("name", [None, 1, True, 1.5, "X", "", "ü" * 500])
    def test_odd_names_are_no_input(self, name: object) -> None:
        assert "the model has no input" in refusal(read_json, body(request(some("float32"), name=name))).message

    @pytest.mark.parametrize("datatype", ["FP16", "fp32", "BYTES", "", None, 1, ["FP32"], {}])
    def test_another_datatype(self, datatype: object) -> None:
        error = refusal(read_json, body(request(some("float32"), datatype=datatype)))
        assert repr(datatype) in error.message
        assert error.hint == "the model takes FP32 (float32)"

    @pytest.mark.parametrize("shape", [[3, 2], [2, 3, 1], [6], [], None, 6, "2,3", {"0": 2}, [[2], [3]]])
    def test_another_shape(self, shape: object) -> None:
        error = refusal(read_json, body(request(some("float32"), shape=shape)))
        assert str(shape) in error.message
        assert error.hint == "the model takes [2, 3]"

    @pytest.mark.parametrize(
        ("dtype", "data", "reason"),
        [
            ("float32", [1, 2], "shape [2]"),
            ("float32", [[1, 2], [3, 4], [5, 6]], "shape [3, 2]"),
            ("float32", [[[1, 2, 3], [4, 5, 6]]], "shape [1, 2, 3]"),
            ("float32", [], "shape [0]"),
            ("float32", 5, "shape []"),
            ("float32", [[1, 2, 3], [4, 5]], "list among them"),
            ("float32", [[1, 2, 3], 4], "list among them"),
            ("float32", None, "NoneType among them"),
            ("float32", [1, 2, 3, 4, 5, None], "NoneType among them"),
            ("float32", "123456", "str among them"),
            ("float32", ["1"] * 6, "str among them"),
            ("float32", ["NaN"] * 6, "str among them"),
            ("float32", [True] * 6, "bool among them"),
            ("float32", {"0": 1}, "dict among them"),
            ("float32", [[{}] * 3] * 2, "dict among them"),
            ("float32", [1e39, 0, 0, 0, 0, 0], "too large a number"),
            ("float32", [10**400, 0, 0, 0, 0, 0], "too large to convert"),
            ("float16", [0, 0, 0, 0, 0, 65520], "too large a number"),
            ("int8", [1.5, 0, 0, 0, 0, 0], "float among them"),
            ("int8", [1.0, 0, 0, 0, 0, 0], "float among them"),
            ("int8", [True, 0, 0, 0, 0, 0], "bool among them"),
            ("int8", [128, 0, 0, 0, 0, 0], "128 out of bounds for int8"),
            ("int8", [-129, 0, 0, 0, 0, 0], "-129 out of bounds for int8"),
            ("uint8", [-1, 0, 0, 0, 0, 0], "-1 out of bounds for uint8"),
            ("uint8", [256, 0, 0, 0, 0, 0], "256 out of bounds for uint8"),
            ("int64", [2**63, 0, 0, 0, 0, 0], "too large"),
            ("uint64", [2**64, 0, 0, 0, 0, 0], "too large"),
            ("bool", [1, 0, 0, 0, 0, 0], "int among them"),
            ("bool", ["true"] * 6, "str among them"),
        ],
    )
    def test_other_data(self, dtype: str, data: object, reason: str) -> None:
        assert reason in refusal(read_json, body(request(some(dtype), data=data)), spec(dtype)).message

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "bool"])
    def test_json_has_finite_numbers_alone(self, dtype: str, number: str) -> None:
        content = body(request(some(dtype), data=[0] * 6)).replace(b"[0,", f"[{number},".encode())
        assert number.encode() in content
        assert f"are not {dtype}" in refusal(read_json, content, spec(dtype)).message

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"nonsense",
            b"\xff\xfe\xfd",
            b"null",
            b"1",
            b'"inputs"',
            b"[]",
            b"{}",
            b'{"inputs": null}',
            b'{"inputs": 5}',
            b'{"inputs": [null]}',
            b'{"inputs": ["x"]}',
            b'{"inputs": [[]]}',
            b'{"inputs": [{}]}',
            b'{"inputs": {"name": "x"}}',
            b'{"inputs": [{"name": []}]}',
            b'{"inputs": [{"name": {}}]}',
            b"[" * 100_000,
            b'{"inputs": [{"name": "x", "data": ' + b"[" * 100_000,
            b'{"inputs": [{"name": "x", "data": ' + b"9" * 10_000 + b"}]}",
        ],
    )
    def test_no_request_at_all(self, content: bytes) -> None:
        error = refusal(read_json, content)
        assert "not a request of the Open Inference Protocol" in error.message
        assert len(error.message) < 400

    def test_no_inputs(self) -> None:
        assert refusal(read_json, body()).message == "the input 'x' is missing"

    def test_data_that_is_nested_deeper_than_numpy_goes(self) -> None:
        data: list[Any] = [1]
        for _ in range(100):
            data = [data]
        assert "list among them" in refusal(read_json, body(request(some("float32"), data=data))).message

    @on_a_busy_machine
    @given(st.binary())
    def test_arbitrary_bytes(self, content: bytes) -> None:
        refusal(read_json, content)

    @on_a_busy_machine
    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just("x"),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(st.sampled_from(["inputs", "name", "shape", "datatype", "data", "id"]), inner)
            ),
            max_leaves=15,
        ),
        st.sampled_from(["whole", "inputs", "tensor", "data", "shape"]),
    )
    def test_arbitrary_json(self, value: object, place: str) -> None:
        tensor = request(some("float32"))
        if place in tensor:
            tensor[place] = value
        content = {"whole": value, "inputs": {"inputs": value}, "tensor": {"inputs": [value]}}.get(
            place, {"inputs": [tensor]}
        )
        with contextlib.suppress(BadTensorError):  # any other error fails the test
            (read,), _ = read_json(json.dumps(content).encode())
            assert len(read) == spec().size_bytes

    @on_a_busy_machine
    @given(st.data())
    def test_what_was_written_is_read_again(self, data: st.DataObject) -> None:
        dtype = data.draw(st.sampled_from(sorted(DATATYPES)))
        shape = data.draw(small_shapes)
        array = data.draw(
            hnp.arrays(
                dtype, shape, elements={"allow_nan": False, "allow_infinity": False} if dtype.startswith("f") else None
            )
        )
        wanted = spec(dtype, shape)
        reply = json.loads(tensors.write_json([memoryview(array.tobytes())], signature(wanted), "m", "7", {}))
        assert (reply["model_name"], reply["id"]) == ("m", "7")
        assert read_json(json.dumps({"inputs": reply["outputs"]}).encode(), wanted)[0] == [array.tobytes()]


class TestWrittenJson:
    def test_every_output_in_order_with_what_else_is_said(self) -> None:
        specs = spec("uint8", (2,), "a"), spec("bool", (1, 1), "b")
        reply = json.loads(
            tensors.write_json(
                [memoryview(b"\x01\xff"), memoryview(b"\x01")], signature(*specs), "m", None, {"score": 1}
            )
        )
        assert reply == {
            "model_name": "m",
            "parameters": {"score": 1},
            "outputs": [
                {"name": "a", "shape": [2], "datatype": "UINT8", "data": [1, 255]},
                {"name": "b", "shape": [1, 1], "datatype": "BOOL", "data": [True]},
            ],
        }

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_what_json_has_no_number_for_is_a_string(self, dtype: str) -> None:
        array = np.array([1.5, math.nan, math.inf, -math.inf, 0.0], dtype)

        def no_constant(name: str) -> None:
            raise AssertionError(name)

        content = tensors.write_json([memoryview(array.tobytes())], signature(spec(dtype, (5,))), "m", None, {})
        reply = json.loads(content, parse_constant=no_constant)
        assert reply["outputs"][0]["data"] == [1.5, "NaN", "Infinity", "-Infinity", 0.0]


class TestInputWriter:
    """Raw bytes, in whatever portions they come."""

    @on_a_busy_machine
    @given(
        sizes=st.lists(st.integers(1, 20), min_size=1), cuts=st.lists(st.integers(0, 30)), surplus=st.integers(-5, 5)
    )
    def test_any_portions(self, sizes: list[int], cuts: list[int], surplus: int) -> None:
        stores = [bytearray(size) for size in sizes]
        total = sum(sizes)
        content = bytes(index % 251 for index in range(max(0, total + surplus)))
        writer = InputWriter([memoryview(store) for store in stores])

        def send() -> None:
            start = 0
            for cut in cuts:
                writer.write(content[start : start + cut])
                start += cut
            writer.write(content[start:])
            writer.finish()

        if len(content) == total:
            send()
            assert b"".join(stores) == content
        else:
            with pytest.raises(BadTensorError, match=f"the model's inputs take {total}"):
                send()
