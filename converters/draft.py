"""A model on its way through the host-site steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnx import ModelProto

from converters.golden import Case
from converters.plan import Target
from converters.signature import Shape, Signature


@dataclass
class Draft:
    """What every step is given and may change, in place: a model can take up to 2 GB, so none is copied.

    A step is a module in converters/steps/ with one public function, ``apply(draft: Draft) -> None``. `calibration` has
    inputs like those on the board, prepared as the model takes them; no step asks for all of them at once.
    """

    source: Path
    input_shapes: Mapping[str, Shape]
    model: ModelProto = field(default_factory=ModelProto)
    signature: Signature = field(default_factory=lambda: Signature((), ()))
    notices: list[str] = field(default_factory=list)
    target: Target = field(default_factory=Target)
    calibration: Sequence[Case] = ()
