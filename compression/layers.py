"""The layers of an ONNX model that have a kernel, whoever wrote it: what a rate counts and a decomposition replaces.

A kernel is an initializer or a Constant node's tensor, also one that reaches its layer through Identity or, of a
matrix, Transpose. Layers that share a kernel are one layer with several uses. Those in subgraphs (the branches of an
If, the body of a Loop) are layers like the others.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from compression.graph import SAME_ELEMENTS, Constant, attribute, inlined, operator_of, scopes
from compression.tucker import Floats, Kind, Sizes, sizes_of

_KERNEL_INPUTS = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (0, 1), "MatMul": (0, 1)}
"""Where each operator may take its kernel: a bias (input 2) is none. Of a product both sides may be constant."""

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)


@dataclass(frozen=True, eq=False)
class Use:
    """A node that takes the kernel as its input number `index`; `steps` are the operators that it came through."""

    graph: GraphProto
    node: NodeProto
    index: int
    steps: tuple[str, ...]
    alone: bool
    """The node's other input is no constant."""


@dataclass(frozen=True)
class Form:
    """How a node reads its kernel: turned first where `transposed`, then laid out as `kind` says."""

    kind: Kind
    groups: int = 1
    transposed: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """A kernel and where it is used. `obstacle` says why no decomposition can replace it; None where one can."""

    name: str
    operator: str
    constant: Constant
    shape: tuple[int, ...]
    uses: tuple[Use, ...]
    form: Form
    obstacle: str | None

    @property
    def weights(self) -> int:
        return self.constant.elements

    @property
    def sizes(self) -> Sizes:
        """Of a layer that has no obstacle."""
        shape = self.shape[::-1] if self.form.transposed else self.shape
        return sizes_of(shape, self.form.kind, self.form.groups)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the kernel in the file."""
        return helper.tensor_dtype_to_np_dtype(self.constant.element)

    def kernel(self) -> Floats:
        """As its nodes read it; `form.kind` says how. ExternalWeightsError."""
        values: Floats = self.constant.array()
        return values.T if self.form.transposed else values


def count_weights(model: ModelProto) -> int:
    """Elements of the kernels of Conv, ConvTranspose, Gemm and MatMul, subgraphs included, shared ones once.

    Biases, normalisation and other constants do not count.
    """
    return sum(layer.weights for layer in find_layers(inlined(model)))


def find_layers(model: ModelProto) -> tuple[Layer, ...]:
    """All layers with a kernel, in the order of the graph; `model` has no functions (`graph.inlined`)."""
    uses: dict[Constant, list[Use]] = {}
    others: Counter[Constant] = Counter()
    for graph, known in scopes(model.graph):
        for node in graph.node:
            constants = {index: known[name] for index, name in enumerate(node.input) if name in known}
            kernels = constants.keys() & _KERNEL_INPUTS.get(operator_of(node), ())
            for index, view in constants.items():
                if index in kernels:
                    use = Use(graph, node, index, view.steps, alone=len(kernels) == 1)
                    uses.setdefault(view.constant, []).append(use)
                elif operator_of(node) not in SAME_ELEMENTS:
                    others[view.constant] += 1
        others.update(known[output.name].constant for output in graph.output if output.name in known)
    names = _unique(users[0].node.name or constant.name for constant, users in uses.items())
    return tuple(
        _layer(name, constant, tuple(users), others[constant])
        for name, (constant, users) in zip(names, uses.items(), strict=True)
    )


def channels_of(use: Use, values: Floats, groups: int) -> NDArray[np.float64]:
    """The computed input of a use as (groups, channels, all else)."""
    last = values.ndim - 1
    if use.node.op_type in ("Conv", "ConvTranspose"):
        axis = 1
    elif use.index == 1:
        axis = 0 if attribute(use.node, "transA", 0) else last
    else:
        axis = last if attribute(use.node, "transB", 0) else max(last - 1, 0)
    rows = np.moveaxis(values.astype(np.float64), axis, 0)
    return rows.reshape(groups, len(rows) // groups, -1)


def _unique(names: Iterable[str]) -> list[str]:
    """The second of one name gets a number: ONNX asks neither for names of nodes nor for different ones."""
    seen: Counter[str] = Counter()
    unique = []
    for name in names:
        seen[name] += 1
        unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return unique


def _layer(name: str, constant: Constant, uses: tuple[Use, ...], others: int) -> Layer:
    shape = tuple(constant.tensor.dims) if constant.tensor else ()
    layer = Layer(name, uses[0].node.op_type, constant, shape, uses, _form(uses[0]), None)
    if others:
        return replace(layer, obstacle="its kernel is used for something else as well")
    if len({(_form(use), use.steps) for use in uses}) > 1:
        return replace(layer, obstacle="its kernel is shared by layers that read it in different ways")
    return replace(layer, obstacle=_obstacle(layer))


def _form(use: Use) -> Form:
    if use.node.op_type == "Conv":
        return Form("Conv", attribute(use.node, "group", 1))
    if use.node.op_type == "ConvTranspose":
        return Form("ConvTranspose", attribute(use.node, "group", 1))
    left = use.index == 0
    turned = use.node.op_type == "Gemm" and bool(attribute(use.node, "transA" if left else "transB", 0))
    return Form("Linear" if left != turned else "MatMul", transposed=use.steps == ("Transpose",))


def _obstacle(layer: Layer) -> str | None:
    tensor, steps = layer.constant.tensor, layer.uses[0].steps
    product = layer.form.kind in ("Linear", "MatMul")
    if tensor is None:
        return "its kernel is sparse"
    if steps and not (product and layer.form.transposed):
        return f"its kernel comes through {' and '.join(dict.fromkeys(steps))}"
    if layer.constant.element not in _FLOATS:
        return f"its kernel is of {TensorProto.DataType.Name(layer.constant.element).lower()}"
    if product and len(layer.shape) != 2:
        return f"its kernel is no matrix: {layer.shape}"
    if not all(use.alone for use in layer.uses):
        return "both sides of the product are constant"
    sizes = layer.sizes
    if sizes.outputs == sizes.inputs == 1:
        return "each of its groups has one channel (depthwise)"
    if _smallest(sizes) >= sizes.weights:
        return "not even ranks of 1 would make it smaller"
    return None


def _smallest(sizes: Sizes) -> int:
    """Weights at ranks of 1, with two factors or one."""
    both = sizes.outputs + sizes.inputs + sizes.positions
    one = min(sizes.outputs + sizes.inputs * sizes.positions, sizes.inputs + sizes.outputs * sizes.positions)
    return sizes.groups * min(both, one)
