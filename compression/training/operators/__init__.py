"""ONNX's operators, version 7 to 25 of the operator set, as functions of torch tensors.

Each family is a module with a table `OPERATORS`: operator -> a function that reads the attributes of a `Node`, once,
and gives the function that runs. No function forces an element type or a memory format: autocast and channels_last
pass through.
"""

from collections.abc import Callable

from compression.training.operators import convolution, layout, normalisation, pointwise, pooling, resize, shape
from compression.training.operators.node import Node, Operator, Unsupported

__all__ = ["Node", "Operator", "Unsupported", "operator"]

_FAMILIES = (convolution, layout, normalisation, pointwise, pooling, resize, shape)
_OPERATORS: dict[str, Callable[[Node], Operator]] = {
    name: build for family in _FAMILIES for name, build in family.OPERATORS.items()
}


def operator(node: Node) -> Operator:
    """What computes the node's outputs. Unsupported."""
    if node.operator not in _OPERATORS:
        raise Unsupported("")
    if node.outputs > 1 and node.operator != "Split":
        raise Unsupported("more than its first output is read")
    return _OPERATORS[node.operator](node)
