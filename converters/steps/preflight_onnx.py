"""Run the model once on the host: what ONNX Runtime cannot load, run or size is refused before anything is pushed."""

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray
from onnx import GraphProto, NodeProto

from converters.draft import Draft
from converters.errors import DataDependentShapeError
from converters.noise import constant, noise
from converters.reference import OnnxReference
from converters.signature import Shape, Signature, TensorSpec
from converters.value_info import set_shape

_DATA_DEPENDENT = frozenset({"Compress", "NonMaxSuppression", "NonZero", "Unique"})
"""Operators whose output's size comes from the values of a tensor: https://onnx.ai/onnx/operators/"""


def apply(draft: Draft) -> None:
    """Add the outputs to ``draft.signature`` as a real run gives them, and declare their shapes in the model.

    Raises UnsupportedOperatorError, UnsupportedVersionError, InvalidModelError, RunFailedError or
    DataDependentShapeError.
    """
    graph = draft.model.graph
    outputs = _outputs(draft.opened(), draft.signature.inputs, graph)
    draft.close()
    for value, spec in zip(graph.output, outputs, strict=True):
        set_shape(value.type.tensor_type, spec.shape)
    draft.signature = Signature(draft.signature.inputs, outputs)


def _outputs(reference: OnnxReference, inputs: Sequence[TensorSpec], graph: GraphProto) -> tuple[TensorSpec, ...]:
    """As one run gives them; where ONNX Runtime cannot tell all shapes before, very different inputs have to agree."""
    first = _named(reference, noise(inputs, seed=0))
    for name, array in first.items():
        if 0 in array.shape:
            raise _refused(f"the output {name!r} was empty in a trial run, {_written(array.shape)}", name, graph)
    probes = (constant(inputs, 0), constant(inputs, 1), noise(inputs, seed=1)) if reference.undetermined_outputs else ()
    for probe in probes:
        for name, array in _named(reference, probe).items():
            if array.shape != first[name].shape:
                seen = " and ".join(_written(shape) for shape in sorted({array.shape, first[name].shape}))
                what = f"the shape of the output {name!r} depends on the input's values, {seen} in two trial runs"
                raise _refused(what, name, graph)
    return tuple(TensorSpec(name, str(array.dtype), array.shape) for name, array in first.items())


def _named(reference: OnnxReference, inputs: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return dict(zip(reference.output_names, reference(inputs), strict=True))


def _refused(what: str, output: str, graph: GraphProto) -> DataDependentShapeError:
    nodes = [
        f"{node.op_type}{f' (node {node.name!r})' if node.name else ''}"
        for node in _ancestors(graph, output)
        if node.op_type in _DATA_DEPENDENT
    ]
    return DataDependentShapeError(
        what + (f", because of {', '.join(nodes)}" if nodes else ""),
        "end the model before the operator that sizes it, and do the rest where the outputs are read",
    )


def _ancestors(graph: GraphProto, output: str) -> list[NodeProto]:
    """The nodes that `output` is computed from, in the order of the graph."""
    wanted, found = {output}, []
    for node in reversed(graph.node):  # sorted topologically, as onnx.checker has made sure
        if wanted.intersection(node.output):
            wanted.update(filter(None, node.input))  # "" stands for an input left out
            found.append(node)
    return found[::-1]


def _written(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "scalar"
