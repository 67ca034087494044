import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np
import onnx
import pytest
import zoo
from hypothesis import given
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

from converters.draft import Draft
from converters.errors import (
    ConversionError,
    ExternalDataError,
    InvalidModelError,
    ModelTooLargeError,
    NotFiniteError,
    NotOnnxError,
    UnreadableModelError,
    UnsupportedOperatorError,
    UnsupportedTypeError,
    UnsupportedVersionError,
)
from converters.steps import load_onnx

GIGABYTES_3 = 3 * 2**30


def load(path: Path) -> ModelProto:
    draft = Draft(path, {})
    load_onnx.apply(draft)
    return draft.model


def external_model(folder: Path, **entries: str) -> Path:
    """A model whose kernel lies outside it, where `entries` say."""
    made = zoo.convolution()
    kernel = made.graph.initializer[0]
    kernel.ClearField("raw_data")
    kernel.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        kernel.external_data.add(key=key, value=value)
    return zoo.save(made, folder)


def sparse_file(path: Path, size_bytes: int) -> Path:
    path.touch()
    os.truncate(path, size_bytes)
    return path


def test_a_damaged_weight_is_refused_whatever_the_board(tmp_path: Path) -> None:
    made = zoo.convolution()
    kernel = numpy_helper.to_array(made.graph.initializer[0]).copy()
    kernel[0, 0, 0, 0] = np.nan
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(kernel, "kernel"))
    with pytest.raises(NotFiniteError, match=r"^of the constants of Conv \(node 'conv'\), 1 of 108 is not finite$"):
        load(zoo.save(made, tmp_path))


def test_a_model_without_a_node(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelError, match="the model computes nothing: no node gives its output 'x'"):
        load(zoo.save(zoo.model([], [zoo.tensor("x", (1, 3))], [zoo.tensor("x", (1, 3))]), tmp_path))


def test_a_model_is_read_as_it_is(tmp_path: Path) -> None:
    made = zoo.autoencoder(metadata={"boardfit": "{}", "author": "x"})
    assert load(zoo.save(made, tmp_path)) == made


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableModelError, match=r"missing\.onnx: No such file"):
        load(tmp_path / "missing.onnx")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(UnreadableModelError, match="is a directory"):
        load(tmp_path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnreadableModelError, match="not a regular file"):
        load(tmp_path / "pipe")


def test_a_name_with_a_nul() -> None:
    with pytest.raises(UnreadableModelError, match="null byte"):
        load(Path("a\0b"))


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "is empty", "export"),
        (b"hello", "not an ONNX file", "compare its size"),
        (b"\x08\x08", "not an ONNX file", "compare its size"),
        (b"PK\x03\x04rest", "zip archive", r"torch\.onnx\.export"),
        (b"\x89HDF\r\n", "HDF5", "tf2onnx"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer", "git lfs pull"),
        (b"\n\n<!DOCTYPE html>", "web page", "download"),
    ],
)
def test_something_else(tmp_path: Path, content: bytes, message: str, hint: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(NotOnnxError, match=message) as caught:
        load(path)
    assert hint.replace("\\", "") in caught.value.hint


@given(share=st.floats(0, 1, exclude_max=True))
def test_wherever_a_file_is_cut_off_it_is_refused(tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    content = zoo.classifier().SerializeToString()
    path = tmp_path_factory.getbasetemp() / "cut.onnx"
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises((NotOnnxError, InvalidModelError)):
        load(path)


@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_damaged_file_loads_or_is_refused(tmp_path_factory: pytest.TempPathFactory, position: int, byte: int) -> None:
    content = bytearray(zoo.mixed().SerializeToString())
    content[position % len(content)] = byte
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content)
    with contextlib.suppress(ConversionError):
        assert load(path).graph.output


def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(zoo.unknown_operator().SerializeToString().replace(b"Frobnicate", b"Frobnicat\xe9"))
    with pytest.raises(InvalidModelError, match=r"no text"):
        load(path)


def test_a_file_of_3_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = sparse_file(tmp_path / "model.onnx", GIGABYTES_3)
    start = time.process_time()
    with pytest.raises(ModelTooLargeError, match="3,221,225,472 bytes"):
        load(path)
    assert time.process_time() - start < 0.5  # reading it takes seconds


def test_weights_of_3_gigabytes_are_refused_unread(tmp_path: Path) -> None:
    sparse_file(tmp_path / "weights", GIGABYTES_3)
    start = time.process_time()
    with pytest.raises(ModelTooLargeError, match="bytes of model and weights"):
        load(external_model(tmp_path, location="weights"))
    assert time.process_time() - start < 0.5


def test_one_region_named_often_is_counted_as_often(tmp_path: Path) -> None:
    sparse_file(tmp_path / "weights", 2**28)
    made = zoo.identity()
    for index in range(9):
        constant = made.graph.initializer.add(name=f"c{index}", data_type=TensorProto.UINT8, dims=[2**28])
        constant.data_location = TensorProto.EXTERNAL
        constant.external_data.add(key="location", value="weights")
    with pytest.raises(ModelTooLargeError):
        load(zoo.save(made, tmp_path))


def test_external_data_comes_into_the_model(tmp_path: Path) -> None:
    path = zoo.save_external(zoo.autoencoder(), tmp_path)
    assert (tmp_path / "model.onnx.data").stat().st_size > 0
    assert load(path) == zoo.autoencoder()


def test_external_data_of_attributes_and_subgraphs_comes_into_the_model(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(np.float32([7]).tobytes())
    constant = TensorProto(name="c", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    constant.external_data.add(key="location", value="weights")
    in_attribute = zoo.graph("then", [helper.make_node("Constant", [], ["a"], value=constant)], [zoo.tensor("a", (1,))])
    initialiser = TensorProto()
    initialiser.CopyFrom(constant)
    initialiser.name = "b"
    in_subgraph = zoo.graph("else", [], [zoo.tensor("b", (1,))], initialiser)
    node = helper.make_node("If", ["flag"], ["y"], then_branch=in_attribute, else_branch=in_subgraph)
    path = zoo.save(zoo.model([node], [zoo.tensor("flag", (), TensorProto.BOOL)], [zoo.tensor("y", (1,))]), tmp_path)
    branches = {attribute.name: attribute.g for attribute in load(path).graph.node[0].attribute}
    assert numpy_helper.to_array(branches["then_branch"].node[0].attribute[0].t) == 7
    assert numpy_helper.to_array(branches["else_branch"].initializer[0]) == 7


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": "../secret"}, "outside the model's folder"),
        ({"location": "deeper/../../secret"}, "outside the model's folder"),
        ({"location": "{folder}/weights"}, "outside the model's folder"),
        ({"location": "/etc/passwd"}, "outside the model's folder"),
        ({"location": "link_to_secret"}, "outside the model's folder"),
        ({"location": "link_to_parent/secret"}, "outside the model's folder"),
        ({"location": "loop"}, "loop"),
        ({"location": ""}, "not a file"),
        ({"location": "deeper"}, "not a file"),
        ({"location": "missing"}, "not a file"),
        ({"location": "nul\0"}, "null byte"),
        ({"location": "weights", "length": "433"}, "too short: 433 bytes from 0 on are needed, 432 are there"),
        ({"location": "weights", "offset": "8", "length": "432"}, "too short"),
        ({"location": "weights", "offset": "433"}, "too short"),
        ({"location": "weights", "offset": "-1"}, "too short"),
        ({"location": "weights", "length": "-1"}, "too short"),
        ({"location": "weights", "length": "many"}, "'many'"),
        ({}, "not a file"),
    ],
)
def test_bad_external_data(tmp_path: Path, entries: Mapping[str, str], message: str) -> None:
    folder = tmp_path / "model"
    (folder / "deeper").mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(432))
    (folder / "weights").write_bytes(bytes(432))
    (folder / "link_to_secret").symlink_to(tmp_path / "secret")
    (folder / "link_to_parent").symlink_to("..")
    (folder / "loop").symlink_to("loop")
    placed = {key: value.format(folder=folder) for key, value in entries.items()}
    with pytest.raises(ExternalDataError, match=message) as caught:
        load(external_model(folder, **placed))
    assert "'kernel'" in caught.value.message


def test_external_data_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").write_bytes(bytes(432))
    model = external_model(tmp_path, location="weights")

    def refuse(path: Path, mode: str = "r", *rest: object) -> IO[bytes]:  # root, who may run this, may read everything
        if path.name == "weights":
            raise PermissionError(13, "Permission denied")
        return open(path, mode)  # noqa: PTH123

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ExternalDataError, match=r"'kernel': .*Permission denied"):
        load(model)


def test_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(np.arange(110, dtype=np.float32).tobytes())
    (tmp_path / "link").symlink_to("weights")
    kernel = load(external_model(tmp_path, location="link", offset="8", length="432")).graph.initializer[0]
    np.testing.assert_array_equal(numpy_helper.to_array(kernel).ravel(), np.arange(2, 110))


def test_further_keys_of_external_data_pass_silently(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(bytes(432))
    assert load(external_model(tmp_path, location="weights", prepacked="x"))


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedOperatorError) as caught:
        load(zoo.save(zoo.unknown_operator(), tmp_path))
    error = caught.value
    assert (error.operator, error.domain, error.node) == ("Frobnicate", "", "odd")


def test_a_node_that_reads_what_nobody_writes(tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["nobody"], ["y"], name="relu")
    with pytest.raises(InvalidModelError, match="'nobody'"):
        load(zoo.save(zoo.model([node], [zoo.tensor("x", (1,))], [zoo.tensor("y", (1,))]), tmp_path))


def test_a_model_without_outputs(tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(InvalidModelError, match="no output"):
        load(zoo.save(zoo.model([node], [zoo.tensor("x", (1,))], []), tmp_path))


@pytest.mark.parametrize("end", ["input", "output"])
def test_a_name_listed_twice(tmp_path: Path, end: str) -> None:
    made = zoo.identity((1, 4))
    values = getattr(made.graph, end)
    values.append(values[0])
    with pytest.raises(InvalidModelError, match=f"'{values[0].name}'"):
        load(zoo.save(made, tmp_path))


def test_an_ir_version_from_the_future(tmp_path: Path) -> None:
    made = zoo.identity()
    made.ir_version = 999
    with pytest.raises(UnsupportedVersionError, match="IR version 999"):
        load(zoo.save(made, tmp_path))


@pytest.mark.parametrize(
    ("element", "name"),
    [
        (TensorProto.STRING, "string"),
        (TensorProto.COMPLEX64, "complex64"),
        (TensorProto.BFLOAT16, "bfloat16"),
        (TensorProto.FLOAT8E4M3FN, "float8e4m3fn"),
    ],
)
def test_a_type_no_board_takes(tmp_path: Path, element: int, name: str) -> None:
    with pytest.raises(UnsupportedTypeError, match=f"'x' is of {name};"):
        load(zoo.save(zoo.identity((1, 4), element), tmp_path))


def test_an_output_that_is_a_sequence(tmp_path: Path) -> None:
    node = helper.make_node("SequenceConstruct", ["x"], ["y"])
    output = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    with pytest.raises(UnsupportedTypeError, match="'y' is a sequence;"):
        load(zoo.save(zoo.model([node], [zoo.tensor("x", (1,))], [output]), tmp_path))


def test_shapes_may_be_missing(tmp_path: Path) -> None:
    loaded = load(zoo.save(zoo.identity(None), tmp_path))
    assert not loaded.graph.input[0].type.tensor_type.HasField("shape")
    assert not loaded.graph.output[0].type.tensor_type.HasField("shape")


def test_the_zoo_is_valid() -> None:
    for made in (zoo.mixed(), zoo.dynamic_image(), zoo.masked(), zoo.classifier(), zoo.autoencoder()):
        onnx.checker.check_model(made, full_check=True)
