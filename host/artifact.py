"""What a runtime's file takes and gives: as a conversion has it, as the manifest has it, and run on this machine."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from contract.tensors import Artifact, ArtifactTensor, Quantisation

if TYPE_CHECKING:
    from converters.artifact import Artifact as FileArtifact
    from converters.artifact import ArtifactTensor as FileTensor
    from converters.golden import Case


def for_manifest(artifact: "FileArtifact | None") -> Artifact | None:
    """As the contract has it."""
    if artifact is None:
        return None
    return Artifact(inputs=tuple(map(_described, artifact.inputs)), outputs=tuple(map(_described, artifact.outputs)))


def of_manifest(artifact: Artifact | None) -> "FileArtifact | None":
    """As a conversion has it."""
    if artifact is None:
        return None
    from converters.artifact import Artifact as FileArtifact

    return FileArtifact(tuple(map(_plain, artifact.inputs)), tuple(map(_plain, artifact.outputs)))


def reference(content: bytes, artifact: "FileArtifact | None") -> "Callable[[Case], Case]":
    """The file on this machine: inputs and outputs of the signature. ConversionError, also when it is called."""
    if artifact is None:
        from converters.reference import OnnxReference

        return OnnxReference(content)
    from converters.tflite.reference import TfliteReference

    return TfliteReference(content, artifact)


def _described(tensor: "FileTensor") -> ArtifactTensor:
    quantised = None
    if tensor.scale is not None and tensor.zero_point is not None:
        quantised = Quantisation(scale=tensor.scale, zero_point=tensor.zero_point)
    return ArtifactTensor(
        name=tensor.name, dtype=tensor.dtype, shape=tensor.shape, order=tensor.order, quantisation=quantised
    )


def _plain(tensor: ArtifactTensor) -> "FileTensor":
    from converters.artifact import ArtifactTensor as FileTensor

    plain = FileTensor(tensor.name, tensor.dtype, tensor.shape, tensor.order)
    if tensor.quantisation is None:
        return plain
    return replace(plain, scale=tensor.quantisation.scale, zero_point=tensor.quantisation.zero_point)
