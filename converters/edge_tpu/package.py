"""What a compiled file holds for the chip, from the file itself.

The custom operator's bytes are a FlexBuffer map whose key "4" holds a package (libedgetpu's tflite/custom_op_data.cc;
"7" may hold alternatives for other chips, which libedgetpu never runs: tflite/custom_op_user_data_direct.cc). A package
is a FlatBuffer of executable/executable.fbs, whose field numbers are used here. All at
https://github.com/google-coral/libedgetpu.
"""

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

from converters.edge_tpu.errors import CompiledFileError
from converters.flatbuffer import BrokenFlatbufferError, Flatbuffer, Table
from converters.flexbuffer import strings_of_map
from converters.tflite_file import TfliteFile

CUSTOM_OPERATOR = "edgetpu-custom-op"
_PACKAGE = b"DWN1"
_MOST_EXECUTABLES = 3
_MOST_PARTS = 1000
"""The compiler makes one, unless it is asked for more; published outputs have some tens then."""


class Kind(IntEnum):
    """ExecutableType of the schema."""

    STAND_ALONE = 0
    PARAMETER_CACHING = 1
    EXECUTION_ONLY = 2


@dataclass(frozen=True)
class Packages:
    """All packages of a compiled file, one per part that runs on the chip, and what libedgetpu makes of them.

    cached_bytes         parameters that are loaded once and stay on the chip
    streamed_bytes       parameters that come over the bus at each inference
    stand_alone_bytes    parameters of packages that cache none: they come at each inference too
    min_runtime_version  the highest that a package asks for: the board's libedgetpu must have at least that
    """

    compiler_version: str
    min_runtime_version: int
    cached_bytes: int
    streamed_bytes: int
    stand_alone_bytes: int
    parts: int


def packages_of(file: TfliteFile) -> Packages | None:
    """None where the file is not compiled; CompiledFileError where what it holds for the chip is damaged."""
    operators = [operator for operator in file.operators if operator.custom and operator.name == CUSTOM_OPERATOR]
    if not operators:
        return None
    try:
        if len(operators) > _MOST_PARTS:
            raise BrokenFlatbufferError(f"it is in {len(operators):,} parts")
        packages = [_package(operator.options) for operator in operators]
        parameter_bytes = sum((_parameter_bytes(package) for package in packages), Counter[int]())
        return Packages(
            packages[0].text(4),
            max(package.whole(0, "i") for package in packages),
            parameter_bytes[Kind.PARAMETER_CACHING],
            parameter_bytes[Kind.EXECUTION_ONLY],
            parameter_bytes[Kind.STAND_ALONE],
            len(operators),
        )
    except BrokenFlatbufferError as error:
        raise CompiledFileError(
            f"what the file holds for the Edge TPU is damaged: {error}", "compile the model again, or copy it again"
        ) from error


def _package(options: memoryview) -> Table:
    held = strings_of_map(options)
    if "4" not in held:
        raise BrokenFlatbufferError("there is no package in it")
    return Flatbuffer(held["4"], _PACKAGE).root


def _parameter_bytes(package: Table) -> Counter[int]:
    """Of the executables that run, by their kind: as libedgetpu's driver/package_registry.cc chooses and refuses them.

    The only one is stand-alone, whatever its type; of three, the stand-alone one runs, and the other two never.
    """
    spans = islice(Flatbuffer(package.blob(1)).root.spans(0), _MOST_EXECUTABLES + 1)
    executables = [Flatbuffer(content).root for content in spans]
    kinds = [executable.whole(13, "h") for executable in executables]
    sizes = [len(executable.blob(6)) for executable in executables]
    if len(kinds) == 1:
        return Counter({Kind.STAND_ALONE: sizes[0]})
    if sorted(kinds) == [Kind.PARAMETER_CACHING, Kind.EXECUTION_ONLY]:
        return Counter(dict(zip(kinds, sizes, strict=True)))
    if sorted(kinds) == list(Kind):
        return Counter({Kind.STAND_ALONE: sizes[kinds.index(Kind.STAND_ALONE)]})
    raise BrokenFlatbufferError(f"a package has executables of the types {kinds}")
