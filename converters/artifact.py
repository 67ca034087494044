"""What a runtime's own file takes and gives in the place of a signature's tensors; contract/tensors.py has it too."""

from dataclasses import dataclass

from converters.signature import Shape


@dataclass(frozen=True)
class ArtifactTensor:
    """One input or output, by the name that the file has for it.

    dtype       of its elements, as numpy names them
    shape       in the file's order
    order       the signature's axes in the file's order, (0, 2, 3, 1) from NCHW to NHWC; empty: they are the same
    scale, zero_point  ``real = scale * (integer - zero_point)``; None where it is not quantised
    """

    name: str
    dtype: str
    shape: Shape
    order: tuple[int, ...] = ()
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class Artifact:
    """The tensors of the file, in the signature's order."""

    inputs: tuple[ArtifactTensor, ...]
    outputs: tuple[ArtifactTensor, ...]


@dataclass(frozen=True)
class LayerError:
    """How far one tensor of a quantised file is from the model's.

    name      the node that gives the tensor, or the tensor where the node has no name
    operator  of the node, as ONNX names it
    sqnr_db   signal-to-quantisation-noise ratio over the compared inputs; inf where they are equal
    """

    name: str
    operator: str
    sqnr_db: float
