"""A model on its way through the host-site steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onnx import ModelProto

from converters.signature import Shape, Signature


@dataclass
class Draft:
    """What every step is given and may change, in place: a model can take up to 2 GB, so none is copied.

    A step is a module in converters/steps/ with one public function, ``apply(draft: Draft) -> None``.
    """

    source: Path
    input_shapes: Mapping[str, Shape]
    model: ModelProto = field(default_factory=ModelProto)
    signature: Signature = field(default_factory=lambda: Signature((), ()))
    notices: list[str] = field(default_factory=list)
