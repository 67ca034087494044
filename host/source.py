"""A model file of the user's, self-contained and of static shapes, with its signature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contract.tensors import Signature
from host import disk, places, preprocessing
from host.errors import ModelFileError, ProgramError

if TYPE_CHECKING:
    from converters.convert import Converted
    from converters.edge_tpu.compiler import Compiler
    from converters.edge_tpu.errors import EdgeTpuError
    from converters.golden import Case
    from converters.int8_options import Int8Options
    from converters.plan import Target


def read_source(
    path: Path,
    input_shapes: Mapping[str, tuple[int, ...]],
    on_step: Callable[[str], None],
    target: "Target | None" = None,
    calibration: "Sequence[Case]" = (),
    int8: "Int8Options | None" = None,
    compiler: "Compiler | None" = None,
    begun: "Converted | None" = None,
    trial_build_s: float | None = None,
) -> "tuple[Converted, Signature]":
    """Through the host-site steps for `target`, by default this machine's ONNX Runtime; `on_step` hears each, in words.

    `begun` is the file as it came, from a call without: what was done for that is not done again. `trial_build_s` None:
    as long as is usual. ModelFileError; ProgramError where the Edge TPU's compiler is not there, or does not end as it
    should. Where that compiler is at fault, the file that it was to compile is kept, and named.
    """
    from converters.convert import convert
    from converters.draft import TRIAL_BUILD_S
    from converters.edge_tpu.compiler import Compiler
    from converters.edge_tpu.errors import EdgeTpuError
    from converters.errors import ConversionError
    from converters.int8_options import Int8Options
    from converters.plan import Target

    def on_part(text: str) -> None:
        on_step(f"{'reading' if begun is None else 'converting'}: {text}")

    try:
        converted = convert(
            path,
            target or Target(),
            input_shapes,
            lambda name: on_part(name.replace("_", " ")),
            begun=begun,
            calibration=calibration,
            options=int8 or Int8Options(),
            compiler=compiler or Compiler(),
            trial_build_s=TRIAL_BUILD_S if trial_build_s is None else trial_build_s,
            on_part=on_part,
        )
        return converted, Signature.model_validate(asdict(converted.signature))
    except EdgeTpuError as error:
        kind = ProgramError if isinstance(error, _of_the_program()) else ModelFileError
        raise kind(f"{path.name}: {error.message}{_kept(path, error)}", error.hint, error.code) from error
    except ConversionError as error:
        of_it = error.message if path.name in error.message else f"{path.name}: {error.message}"
        raise ModelFileError(of_it, error.hint, error.code) from error
    except ValidationError as error:
        problem = preprocessing.first_problem(error)
        raise ModelFileError(f"{path.name}: its {problem}", "give the tensor another name or type") from error


def _of_the_program() -> "tuple[type[EdgeTpuError], ...]":
    """What another model would not mend."""
    from converters.edge_tpu import errors

    return errors.CompilerAbsentError, errors.ContainerError, errors.CompilerTimeoutError, errors.CompilerCrashedError


def _kept(model: Path, error: "EdgeTpuError") -> str:
    """Where the file is that was to be compiled, in words; it stays there until the next one of its name."""
    path = places.data_dir() / "uncompiled" / f"{model.stem}.tflite"
    try:
        disk.replace(path, error.uncompiled)
    except OSError as reason:
        return f"; the int8 file could not be kept: {reason}"
    return f"; the int8 file is {path}"
