"""A TFLite file as ai-edge-litert computes it on the host: what its integers stand for, tensor by tensor."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.artifact import Artifact, ArtifactTensor
from converters.golden import Case

INSTALL = "pip install '.[coral]'"


class NotInstalledError(Exception):
    """ai-edge-litert is not there: nothing is compared, and the file is as good."""


@cache
def _litert() -> Any:
    try:
        return import_module("ai_edge_litert.interpreter")
    except ImportError as error:
        raise NotInstalledError(str(error)) from error


class Interpreter:
    """A file, loaded; no delegate, so that the kernels are TFLite's own.

    NotInstalledError; ValueError or RuntimeError of a file that it does not take.
    """

    def __init__(self, content: bytes, inputs: Sequence[ArtifactTensor], *, keep: bool = False) -> None:
        """`keep`: all tensors can be read after a run, not the outputs alone."""
        litert = _litert()
        self._inputs = inputs
        self._interpreter = litert.Interpreter(
            model_content=content,
            num_threads=1,
            experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=keep,
        )
        self._interpreter.allocate_tensors()
        self._details: Mapping[int, Any] = {
            detail["index"]: detail for detail in self._interpreter.get_tensor_details() if detail["index"] >= 0
        }
        self.input_numbers = [detail["index"] for detail in self._interpreter.get_input_details()]
        self.output_numbers = [detail["index"] for detail in self._interpreter.get_output_details()]

    def run(self, case: Case) -> None:
        """With the signature's own tensors."""
        for number, tensor, values in zip(self.input_numbers, self._inputs, case, strict=True):
            self._interpreter.set_tensor(number, to_artifact(values, tensor))
        self._interpreter.invoke()

    def integers(self, number: int) -> NDArray[Any]:
        """What a tensor holds after a run."""
        return np.asarray(self._interpreter.get_tensor(number))

    def reals(self, number: int) -> NDArray[np.float32]:
        """What it stands for, as it is stored."""
        scale, zero_point = self._details[number]["quantization"]
        steps = self.integers(number).astype(np.float32) - np.float32(zero_point)
        return np.asarray(np.float32(scale) * steps, np.float32)


def to_artifact(values: NDArray[Any], tensor: ArtifactTensor) -> NDArray[Any]:
    """A tensor of the signature as the file takes it."""
    if tensor.order:
        values = values.transpose(tensor.order)
    if tensor.scale is None or tensor.zero_point is None:
        return np.ascontiguousarray(values, tensor.dtype)
    ends = np.iinfo(tensor.dtype)
    steps = np.round(values / np.float32(tensor.scale)) + tensor.zero_point
    return np.ascontiguousarray(np.clip(steps, ends.min, ends.max).astype(tensor.dtype))


def from_artifact(values: NDArray[np.float32], tensor: ArtifactTensor) -> NDArray[np.float32]:
    """What a tensor of the file stands for, in the signature's order."""
    return np.ascontiguousarray(values.transpose(np.argsort(tensor.order)) if tensor.order else values)


def run(content: bytes, artifact: Artifact, cases: Sequence[Case]) -> list[Case]:
    """What the file gives for each case, as the signature has it. NotInstalledError."""
    interpreter = Interpreter(content, artifact.inputs)
    outputs: list[Case] = []
    for case in cases:
        interpreter.run(case)
        reals = [interpreter.reals(number) for number in interpreter.output_numbers]
        outputs.append([from_artifact(real, tensor) for real, tensor in zip(reals, artifact.outputs, strict=True)])
    return outputs
