"""Take a finished int8 TFLite file as it is: its own tensors are its signature, as float32."""

from collections.abc import Sequence

from converters.artifact import Artifact, ArtifactTensor
from converters.draft import Draft
from converters.edge_tpu.errors import AlreadyCompiledError
from converters.edge_tpu.package import CUSTOM_OPERATOR
from converters.errors import DynamicShapeError, UnreadableModelError, UnsupportedTypeError
from converters.signature import Signature, TensorSpec
from converters.tflite_file import Tensor, read_tflite

_TYPES = ("int8", "uint8")


def apply(draft: Draft) -> None:
    """Set ``draft.content``, ``draft.artifact`` and ``draft.signature``: the axes stay in the file's order.

    Raises UnreadableModelError, NotTfliteError, DynamicShapeError, AlreadyCompiledError, or UnsupportedTypeError where
    an input or output is not of 8-bit integers.
    """
    try:
        content = draft.source.read_bytes()
    except OSError as error:
        raise UnreadableModelError(f"{draft.source} cannot be read: {error.strerror}", "check the path") from error
    file = read_tflite(content)
    if any(operator.name == CUSTOM_OPERATOR for operator in file.operators):
        raise AlreadyCompiledError(
            f"{draft.source.name} is compiled for the Edge TPU, so that this machine cannot compute what is right",
            f"name the file that it was compiled from, and this one with --compiled {draft.source}",
        )
    draft.content = content
    draft.artifact = Artifact(_tensors(file.inputs), _tensors(file.outputs))
    draft.signature = Signature(_as_floats(draft.artifact.inputs), _as_floats(draft.artifact.outputs))


def _tensors(tensors: Sequence[Tensor]) -> tuple[ArtifactTensor, ...]:
    return tuple(_tensor(tensor) for tensor in tensors)


def _tensor(tensor: Tensor) -> ArtifactTensor:
    if tensor.dtype not in _TYPES or len(tensor.scales) != 1:
        raise UnsupportedTypeError(
            f"the tensor {tensor.name!r} is {tensor.dtype}, not of 8-bit integers with one scale",
            "convert the ONNX model instead, or convert to full-integer TFLite where the file was made",
        )
    if min(tensor.shape, default=1) < 1:
        raise DynamicShapeError(
            f"the tensor {tensor.name!r} has the shape {list(tensor.shape)}, a part of which is left open",
            "convert it again with the sizes fixed",
        )
    zero_point = tensor.zero_points[0] if tensor.zero_points else 0  # of a vector left out, as the interpreter has it
    return ArtifactTensor(tensor.name, tensor.dtype, tensor.shape, scale=tensor.scales[0], zero_point=zero_point)


def _as_floats(tensors: Sequence[ArtifactTensor]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(tensor.name, "float32", tensor.shape) for tensor in tensors)
