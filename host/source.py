"""A model file of the user's, self-contained and of static shapes, with its signature."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from contract.tensors import Signature
from host import preprocessing
from host.errors import ModelFileError

if TYPE_CHECKING:
    from converters.convert import Converted
    from converters.golden import Case
    from converters.plan import Target


def read_source(
    path: Path,
    input_shapes: Mapping[str, tuple[int, ...]],
    on_step: Callable[[str], None],
    target: "Target | None" = None,
    calibration: "Sequence[Case]" = (),
) -> "tuple[Converted, Signature]":
    """Through the host-site steps for `target`, by default this machine's ONNX Runtime; `on_step` hears each, in words.

    ModelFileError.
    """
    from converters.convert import convert
    from converters.errors import ConversionError
    from converters.plan import Target

    def on_conversion_step(name: str) -> None:
        on_step(f"converting: {name.replace('_', ' ')}")

    try:
        converted = convert(path, target or Target(), input_shapes, on_conversion_step, calibration=calibration)
        return converted, Signature.model_validate(asdict(converted.signature))
    except ConversionError as error:
        of_it = error.message if path.name in error.message else f"{path.name}: {error.message}"
        raise ModelFileError(of_it, error.hint, error.code) from error
    except ValidationError as error:
        problem = preprocessing.first_problem(error)
        raise ModelFileError(f"{path.name}: its {problem}", "give the tensor another name or type") from error
