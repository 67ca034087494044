"""What a model's constants hold that no board can compute with: no numbers, infinite weights, more than float16 has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from converters.errors import NotFiniteError
from converters.facts import constants_of
from converters.proto import walk_graphs, walk_nodes, walk_tensors
from converters.weights import SAME_ELEMENTS

FLOAT16_MAX = float(np.finfo(np.float16).max)

_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})
_WEIGHTED = frozenset(
    {
        "BatchNormalization",
        "Conv",
        "ConvTranspose",
        "Gemm",
        "GroupNormalization",
        "InstanceNormalization",
        "LayerNormalization",
        "MatMul",
        "PRelu",
    }
)
"""Operators that multiply by their constants or add them up: an infinite one makes all that it meets infinite, or NaN.

Elsewhere infinity is a way to say "none" or "not here": the bounds of a Clip, an attention's mask, a start for Max.
"""


@dataclass(frozen=True)
class _Damage:
    """Of how many values how many are not finite, and whether there is a NaN among them."""

    size: int
    wrong: int
    has_nan: bool


def check_finite(model: ModelProto) -> None:
    """NotFiniteError for the first node that reads a NaN, or that has an infinite weight (of `_WEIGHTED`).

    What a node carries itself (the value of ConstantOfShape, say) is left to a run of the model, and so is an infinite
    weight that a local function of the model is given from outside.
    """
    initialisers = [tensor for graph in walk_graphs(model.graph) for tensor in graph.initializer]
    _check(list(walk_nodes(model.graph.node)), initialisers)
    for function in model.functions:
        _check(list(walk_nodes(function.node)), [])


def check_values(values: NDArray[Any], operator: str, node: str) -> None:
    """Constants that a node is to compute with, in the form that it takes: NotFiniteError."""
    if damage := _damage_of(values):
        raise _not_finite(damage, operator, node)


def _check(nodes: Sequence[NodeProto], initialisers: Sequence[TensorProto]) -> None:
    damaged = dict(_damaged(constants_of(nodes, initialisers)))  # by name: no two graphs give one name two meanings
    for node in nodes if damaged else ():
        operator = node.op_type if node.domain in ("", "ai.onnx") else ""
        for name in node.input:
            if name in damaged and (damaged[name].has_nan or operator in _WEIGHTED):
                raise _not_finite(damaged[name], node.op_type, node.name or node.output[0])
        if operator in SAME_ELEMENTS and node.input[0] in damaged:  # a weight may come through a Transpose
            damaged[node.output[0]] = damaged[node.input[0]]


def _damaged(constants: Mapping[str, TensorProto]) -> Iterator[tuple[str, _Damage]]:
    for name, tensor in constants.items():
        if tensor.data_type in _FLOATS and (damage := _damage_of(numpy_helper.to_array(tensor))):
            yield name, damage


def _damage_of(values: NDArray[Any]) -> _Damage | None:
    wrong = values.size - int(np.count_nonzero(np.isfinite(values)))
    return _Damage(values.size, wrong, bool(np.isnan(values).any())) if wrong else None


def _not_finite(damage: _Damage, operator: str, node: str) -> NotFiniteError:
    return NotFiniteError(
        f"of the constants of {operator} (node {node!r}), {damage.wrong:,} of {damage.size:,} "
        f"{'is' if damage.wrong == 1 else 'are'} not finite",
        "train the model again, or export a state of it from before they were",
    )


def beyond_float16(model: ModelProto) -> list[str]:
    """Names, quoted, of the float32 constants that have a finite value which float16 has not."""
    return [
        repr(tensor.name) if tensor.name else "an unnamed one" for tensor in walk_tensors(model) if _is_beyond(tensor)
    ]


def _is_beyond(tensor: TensorProto) -> bool:
    if tensor.data_type != TensorProto.FLOAT:
        return False
    values = numpy_helper.to_array(tensor)
    finite = np.isfinite(values)
    return bool(np.abs(values, where=finite, out=np.zeros_like(values)).max(initial=0) > FLOAT16_MAX)
