"""What a compiled file holds for the chip, and that a damaged one is told, whatever is wrong with it."""

import edge_tpu_files
import numpy as np
import pytest
from edge_tpu_files import COMPILER_VERSION, compiled, source

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


def test_packages_for_several_chips_are_all_counted() -> None:
    options = edge_tpu_files.custom_data(*(edge_tpu_files.package(cached, 1) for cached in (500, 60, 7)))
    found = held(compiled(source(), options=options))
    assert found == Packages(COMPILER_VERSION, 14, 567, 3, 0, 1)


def test_one_executable_for_both() -> None:
    assert held(compiled(source(), stand_alone=70)) == Packages(COMPILER_VERSION, 14, 0, 0, 70, 1)


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
