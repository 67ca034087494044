"""What a conversion has to know of TensorRT's versions: (major, minor, ...), or None where nobody has asked the board.

None is taken for a 10 before 10.9: what is written for it suits 8.6 and every later 10 as well, and 11 in fp32.
"""

from dataclasses import replace

from converters.artifact import Artifact, ArtifactTensor
from converters.signature import Signature, TensorSpec

Version = tuple[int, ...]

_ASSUMED: Version = (10,)

OLDEST_OPSET = 9
"""What the parsers of 10 and 11 promise to read at least (docs/operators.md: "inclusive range of opset 9 to ...")."""

_NEWEST_OPSET: tuple[tuple[Version, int], ...] = (
    ((11,), 24),
    ((10, 9), 20),
    ((8, 6), 17),
    ((8, 5), 16),
    ((0,), 13),
)
"""From which version on the parser may be given which opset; the first row that is not newer than the board holds.

Sources: docs/operators.md of https://github.com/onnx/onnx-tensorrt at its release branches, first line ("TensorRT 8.2
supports operators up to Opset 13", 8.5 and 8.6 "up to Opset 17", 10.0 "opset 9 to opset 20", 10.15 and 11.2 "opset 9 to
opset 24"), read together with what its Changelog mends later:

- 8.5 reads 17, but has no LayerNormalization (8.6 brought it), the one operator of 17 that an image model uses: 16.
- 10 reads 20, but the axes of Pad-18 only from 10.4 on, ScatterND-18 right only from 10.9 on, and takes every
  GroupNormalization for the older one until then (https://github.com/NVIDIA/TensorRT/issues/4336): 17 until 10.9.
"""


def newest_opset(version: Version | None) -> int:
    """The newest opset of ONNX's own operators that the parser of this version reads without gaps."""
    return next(opset for since, opset in _NEWEST_OPSET if (version or _ASSUMED) >= since)


def strongly_typed(version: Version | None) -> bool:
    """Whether the precision has to be in the model: from 11 on the builder takes no FP16 or INT8 flag.

    Source: https://docs.nvidia.com/deeplearning/tensorrt/11.4.1/api/migration/tensorrt-10x-to-11x-python-api-patterns.html
    """
    return (version or _ASSUMED) >= (11,)


def artifact_of(signature: Signature, version: Version | None) -> Artifact | None:
    """What an engine takes and gives, where that is not the signature: below 10 it has no 64-bit integers, and its
    parser makes int32 of them ("... generated with INT64 weights, while TensorRT does not natively support INT64.
    Attempting to cast down to INT32.": onnx-tensorrt, release/8.2-GA and 8.6-GA, onnx2trt_utils.cpp).
    """
    specs = (*signature.inputs, *signature.outputs)
    if (version or _ASSUMED) >= (10,) or all(spec.dtype != "int64" for spec in specs):
        return None
    return Artifact(tuple(map(_narrowed, signature.inputs)), tuple(map(_narrowed, signature.outputs)))


def _narrowed(spec: TensorSpec) -> ArtifactTensor:
    whole = ArtifactTensor(spec.name, spec.dtype, spec.shape)
    return replace(whole, dtype="int32") if spec.dtype == "int64" else whole
