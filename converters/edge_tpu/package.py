"""What a compiled file holds for the chip, from the file itself.

The custom operator's bytes are a FlexBuffer map whose keys "4" and "7" hold packages (libedgetpu's
tflite/custom_op_data.cc); a package is a FlatBuffer of libedgetpu's executable/executable.fbs, whose field numbers
are used here. Both at https://github.com/google-coral/libedgetpu.
"""

from dataclasses import dataclass
from enum import IntEnum

from converters.edge_tpu.errors import CompiledFileError
from converters.flatbuffer import BrokenFlatbufferError, Flatbuffer
from converters.flexbuffer import strings_of_map
from converters.tflite_file import TfliteFile

CUSTOM_OPERATOR = "edgetpu-custom-op"
_PACKAGE = b"DWN1"
_MOST_EXECUTABLES = 3
"""Of one package, one of each type: libedgetpu's driver/package_registry.cc."""


class Kind(IntEnum):
    """ExecutableType of the schema."""

    STAND_ALONE = 0
    PARAMETER_CACHING = 1
    EXECUTION_ONLY = 2


@dataclass(frozen=True)
class Packages:
    """All packages of a compiled file: one per part that runs on the chip.

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
        found = [package for operator in operators for package in _packages(operator.options)]
    except BrokenFlatbufferError as error:
        raise CompiledFileError(
            f"what the file holds for the Edge TPU is damaged: {error}", "compile the model again, or copy it again"
        ) from error
    return Packages(
        found[0].compiler_version,
        max(package.min_runtime_version for package in found),
        sum(package.cached_bytes for package in found),
        sum(package.streamed_bytes for package in found),
        sum(package.stand_alone_bytes for package in found),
        len(operators),
    )


def _packages(options: memoryview) -> list[Packages]:
    held = strings_of_map(options)
    if "4" not in held:
        raise BrokenFlatbufferError("there is no package in it")
    return [_package(content) for content in (*held["4"], *held.get("7", ()))]


def _package(content: memoryview) -> Packages:
    package = Flatbuffer(content, _PACKAGE).root
    executables = [*Flatbuffer(package.blob(1)).root.spans(0)]
    if not 1 <= len(executables) <= _MOST_EXECUTABLES:
        raise BrokenFlatbufferError(f"a package has {len(executables)} executables")
    parameter_bytes = dict.fromkeys(Kind, 0)
    for executable in (Flatbuffer(content).root for content in executables):
        kind = executable.whole(13, "h")
        if kind not in set(Kind):
            raise BrokenFlatbufferError(f"an executable is of the type {kind}")
        parameter_bytes[Kind(kind)] += len(executable.blob(6))
    return Packages(
        package.text(4),
        package.whole(0, "i"),
        parameter_bytes[Kind.PARAMETER_CACHING],
        parameter_bytes[Kind.EXECUTION_ONLY],
        parameter_bytes[Kind.STAND_ALONE],
        1,
    )
