"""A model on its way through the host-site steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnx import ModelProto

from converters.artifact import Artifact, LayerError
from converters.edge_tpu.compiler import Compiler
from converters.edge_tpu.report import EdgeTpuReport
from converters.golden import Case
from converters.int8_options import Int8Options
from converters.plan import Target
from converters.signature import Shape, Signature


@dataclass
class Draft:
    """What every step is given and may change, in place: a model can take up to 2 GB, so none is copied.

    A step is a module in converters/steps/ with one public function, ``apply(draft: Draft) -> None``. `calibration` has
    inputs like those on the board, prepared as the model takes them; no step asks for all of them at once.

    content   the finished file, when it is ONNX no longer: `model` then stays what it was made from
    artifact  that file's inputs and outputs, where they are not the signature's
    layers    how far its layers are from the model's, where that was measured
    compiler  how it is compiled for an Edge TPU, and `edge_tpu` what came of that
    """

    source: Path
    input_shapes: Mapping[str, Shape]
    model: ModelProto = field(default_factory=ModelProto)
    signature: Signature = field(default_factory=lambda: Signature((), ()))
    notices: list[str] = field(default_factory=list)
    target: Target = field(default_factory=Target)
    calibration: Sequence[Case] = ()
    options: Int8Options = field(default_factory=Int8Options)
    content: bytes | None = None
    artifact: Artifact | None = None
    layers: tuple[LayerError, ...] = ()
    compiler: Compiler = field(default_factory=Compiler)
    edge_tpu: EdgeTpuReport | None = None
