"""A model on its way through the host-site steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnx import ModelProto

from converters.artifact import Artifact, LayerError
from converters.edge_tpu.compiler import Compiler
from converters.edge_tpu.report import EdgeTpuReport
from converters.golden import Case
from converters.int8_options import Int8Options
from converters.plan import Target
from converters.proto import serialise
from converters.reference import OnnxReference
from converters.signature import Shape, Signature

TRIAL_BUILD_S = 20.0
"""A trial is to say in seconds what it can: the models of this project's tests take under 2 s, and TensorRT-RTX 1.7 has
not ended with a GRU of 4 units after minutes."""


@dataclass
class Draft:
    """What every step is given and may change, in place: a model can take up to 2 GB, so none is copied.

    A step is a module in converters/steps/ with one public function, ``apply(draft: Draft) -> None``. `calibration` has
    inputs like those on the board, prepared as the model takes them; no step asks for all of them at once.

    content   the finished file, when it is ONNX no longer: `model` then stays what it was made from
    artifact  that file's inputs and outputs, where they are not the signature's
    sqnr_db   how far what it computes is from the original's, after the last step that alters values, where measured
    layers    how far its layers are from the model's, where that was measured
    compiler  how it is compiled for an Edge TPU, and `edge_tpu` what came of that
    trial_build_s  how long TensorRT-RTX may try to build it; 0: it parses alone
    on_part   hears what a long step is at, in words
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
    sqnr_db: float | None = None
    layers: tuple[LayerError, ...] = ()
    compiler: Compiler = field(default_factory=Compiler)
    edge_tpu: EdgeTpuReport | None = None
    trial_build_s: float = TRIAL_BUILD_S
    on_part: Callable[[str], None] = lambda text: None
    _opened: OnnxReference | None = None

    def opened(self) -> OnnxReference:
        """The model in ONNX Runtime, opened once until `close`; raises as `OnnxReference`."""
        self._opened = self._opened or OnnxReference(serialise(self.model))
        return self._opened

    def close(self) -> None:
        """Before the model is changed, and where its memory is better used."""
        self._opened = None
