"""What a compiled file holds for the chip, and that a damaged one is told, whatever is wrong with it."""

from collections.abc import Callable
from typing import Any

import edge_tpu_files
import numpy as np
import pytest
import tflite_models
from edge_tpu_files import COMPILER_VERSION, EXECUTION_ONLY, PARAMETER_CACHING, STAND_ALONE, compiled, source
from flatbuffers import flexbuffers
from tflite_models import Operator, T

from converters.anatomy.tflite import anatomy_of_tflite
from converters.edge_tpu.errors import CompiledFileError
from converters.edge_tpu.package import Packages, packages_of
from converters.errors import ConversionError
from converters.flatbuffer import BrokenFlatbufferError
from converters.flexbuffer import strings_of_map
from converters.tflite_file import read_tflite


def held(content: bytes) -> Packages | None:
    return packages_of(read_tflite(content))


def test_parameters_that_are_cached_and_streamed() -> None:
    content = compiled(source(), cached=5000, streamed=300)
    assert held(content) == Packages(COMPILER_VERSION, 14, 5000, 300, 0, 1)


@pytest.mark.parametrize("cached", [0, 200, 70_000, 1_200_000])
def test_offsets_of_every_width(cached: int) -> None:
    found = held(compiled(source(), cached=cached))
    assert found is not None
    assert found.cached_bytes == cached


def of_executables(*executables: tuple[int, int]) -> Packages | None:
    """Each a type and how many bytes of parameters."""
    return held(compiled(source(), options=edge_tpu_files.custom_data(edge_tpu_files.package(executables))))


def test_packages_for_other_chips_are_not_counted() -> None:
    """libedgetpu runs the first alone (tflite/custom_op_user_data_direct.cc)."""
    packages = (edge_tpu_files.package({PARAMETER_CACHING: size, EXECUTION_ONLY: 1}) for size in (500, 60, 7))
    found = held(compiled(source(), options=edge_tpu_files.custom_data(*packages)))
    assert found == Packages(COMPILER_VERSION, 14, 500, 1, 0, 1)


@pytest.mark.parametrize("kind", [STAND_ALONE, PARAMETER_CACHING, EXECUTION_ONLY, 9])
def test_the_only_executable_is_stand_alone_whatever_its_type(kind: int) -> None:
    assert of_executables((kind, 70)) == Packages(COMPILER_VERSION, 14, 0, 0, 70, 1)


def test_of_three_executables_the_stand_alone_one_runs() -> None:
    found = of_executables((EXECUTION_ONLY, 1), (STAND_ALONE, 20), (PARAMETER_CACHING, 300))
    assert found == Packages(COMPILER_VERSION, 14, 0, 0, 20, 1)


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        (STAND_ALONE, EXECUTION_ONLY),
        (STAND_ALONE, PARAMETER_CACHING),
        (PARAMETER_CACHING, PARAMETER_CACHING),
        (STAND_ALONE, EXECUTION_ONLY, EXECUTION_ONLY),
        (STAND_ALONE, PARAMETER_CACHING, EXECUTION_ONLY, 9),
    ],
)
def test_executables_that_libedgetpu_refuses(kinds: tuple[int, ...]) -> None:
    with pytest.raises(CompiledFileError, match="executables of the types"):
        of_executables(*((kind, 1) for kind in kinds))


def test_parts_are_added_up() -> None:
    x, y = (T(name, "int8", (1, 4), (0.5, 3)) for name in "xy")
    options = edge_tpu_files.custom_data(edge_tpu_files.package({PARAMETER_CACHING: 50, EXECUTION_ONLY: 6}))
    tensors = read_tflite(tflite_models.make([x, y], [Operator("ADD", (0,), (1,))], [0], [1])).tensors
    content = edge_tpu_files.in_parts(tensors, [options] * 3)
    assert held(content) == Packages(COMPILER_VERSION, 14, 150, 18, 0, 3)
    with pytest.raises(CompiledFileError, match="1,001 parts"):
        held(edge_tpu_files.in_parts(tensors, [options] * 1001))


def of_key_4(put: Callable[[Any], None]) -> bytes:
    """A map whose "4" is what `put` builds."""
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Key("4")
        put(builder)
    return bytes(builder.Finish())


def vector_of_strings(builder: Any) -> None:
    with builder.Vector():
        builder.String("one")


@pytest.mark.parametrize(
    "put",
    [
        lambda builder: builder.VectorFromElements([]),
        lambda builder: builder.VectorFromElements([1, 2, 3]),
        lambda builder: builder.TypedVectorFromElements([1, 2, 3]),
        lambda builder: builder.Int(4),
        lambda builder: builder.Null(),
        vector_of_strings,
    ],
)
def test_a_map_whose_package_is_something_else(put: Callable[[Any], None]) -> None:
    with pytest.raises(CompiledFileError, match="there is no package in it"):
        held(compiled(source(), options=of_key_4(put)))


def test_a_file_that_is_not_compiled_has_none() -> None:
    assert held(source()) is None


def test_a_map_without_a_package() -> None:
    with pytest.raises(CompiledFileError, match="has no DWN1"):
        held(compiled(source(), options=edge_tpu_files.custom_data(b"x" * 100)))


@pytest.mark.parametrize("content", [b"", b"\0", b"\0" * 40, b"\xff" * 40, bytes(range(60))])
def test_what_is_no_map(content: bytes) -> None:
    with pytest.raises(BrokenFlatbufferError):
        strings_of_map(memoryview(content))


def test_every_cut_and_every_changed_byte_is_an_answer_or_an_error_of_ours() -> None:
    """Never another exception, and never without end."""
    content = compiled(source(), cached=40, streamed=8)
    random = np.random.default_rng(0)
    broken = 0
    for end in range(0, len(content), 7):
        with pytest.raises(ConversionError):
            held(content[:end])
    for _ in range(1500):
        changed = bytearray(content)
        for place in random.integers(0, len(content), random.integers(1, 6)):
            changed[place] = random.choice([0, 1, 4, 127, 128, 255, random.integers(256)])
        try:
            held(bytes(changed))
        except ConversionError:
            broken += 1
    assert broken > 300


def test_every_changed_offset_is_an_answer_or_an_error_of_ours() -> None:
    """Words that lead to another place of the file, or stand for another count."""
    content = compiled(source(), cached=40, streamed=8)
    random = np.random.default_rng(0)
    broken = 0
    for _ in range(3000):
        changed = bytearray(content)
        size = int(random.choice([1, 2, 4]))
        place, target = random.integers(0, len(content) - 4, 2)
        word = random.choice([target - place, place - target, target, 0, 1, 2**31 - 1, -1])
        changed[place : place + size] = (int(word) % 2 ** (8 * size)).to_bytes(size, "little")
        try:
            anatomy_of_tflite(bytes(changed))
        except ConversionError:
            broken += 1
    assert broken > 600
