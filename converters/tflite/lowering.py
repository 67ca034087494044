"""From ONNX's operators to TFLite's: what each family of operators is given, and the walk over the graph."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.signature import Shape
from converters.tflite.layout import NHWC, Order, channels_last, same_elements, stored, straight, wanted
from converters.tflite.network import Network, Node
from converters.tflite.program import (
    Activation,
    Array,
    Constant,
    Correctable,
    Grid,
    Integers,
    Operator,
    Program,
    Tensor,
)

_FUSED = {(0.0, None): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}

_NO_REPLACEMENTS = {"Affine", "Cast", "Dropout", "Identity"}
_NOTHING = "int8 TFLite of 2021 has nothing for it that the Edge TPU runs"

MAX_RANK = 4
"""What the int8 kernels of 2021 take where an axis counts."""


@dataclass(frozen=True)
class Value:
    """An ONNX value: the tensor that holds it, and in which order of the value's own axes."""

    tensor: Activation
    shape: Shape
    order: Order
    scramble: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Clip:
    """What limits an output, and the node that does."""

    low: float
    high: float | None
    node: Node

    @property
    def fused(self) -> str:
        """The activation that TFLite has for it, or "NONE": the end of the output's range then does it."""
        return _FUSED.get((self.low, self.high), "NONE")


@dataclass
class Lowering:
    """The graph half done. Operator families read values by name and add operators.

    node  the one at hand; errors name it
    """

    network: Network
    program: Program = field(default_factory=Program)
    node: Node = field(default_factory=lambda: Node("", "", [], [], {}))
    _values: dict[str, Value] = field(default_factory=dict)
    _done: set[int] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)
    _reshaped: dict[tuple[int, Shape], Activation] = field(default_factory=dict)

    # What there is

    def constant(self, index: int, what: str) -> NDArray[Any]:
        """A constant input of the node; NotInTfliteError where it is computed."""
        name = self.node.input(index)
        if name not in self.network.constants:
            raise self.node.refuse(f"its {what} {name!r} is computed", "make it a constant, and export the model again")
        return self.network.constants[name]

    def optional(self, index: int, what: str) -> NDArray[Any] | None:
        """The same, None where it is left out."""
        return self.constant(index, what) if self.node.input(index) else None

    def is_constant(self, index: int) -> bool:
        return self.node.input(index) in self.network.constants

    def moving(self, index: int = 0) -> Value:
        """A computed input of the node; NotInTfliteError where it is a constant."""
        name = self.node.input(index)
        if name not in self._values:
            raise self.node.refuse(f"its input {name!r} is a constant", "compute it before the export")
        return self._values[name]

    def output_shape(self, clip: Clip | None = None) -> Shape:
        return self.network.shape((clip.node if clip else self.node).output)

    # Orders

    def ordered(self, value: Value, order: Order) -> Activation:
        """The value's tensor, stored in `order`; NotInTfliteError where its elements would have to be moved."""
        if value.scramble is None and value.order == order:
            return value.tensor
        if value.scramble is not None or not same_elements(value.shape, value.order, order):
            raise self.node.refuse(
                f"it would need its input {value.tensor.name!r} transposed on the board",
                "export the model without the Transpose or Reshape between channels and places before it",
            )
        return self.reshape(value.tensor, stored(value.shape, order))

    def image(self, index: int = 0) -> Activation:
        """An input of the node as [1, height, width, channels]; a line, [1, channels, width], gets the height 1."""
        value = self.moving(index)
        rank = len(value.shape)
        if rank not in (3, 4):
            raise self.node.refuse(
                f"its input has {rank} axes", "the Edge TPU computes images, [1, channels, height, width]"
            )
        tensor = self.ordered(value, channels_last(rank))
        if rank == 3:
            batch, width, channels = tensor.shape
            return self.reshape(tensor, (batch, 1, width, channels))
        return tensor

    def reshape(self, tensor: Activation, shape: Shape) -> Activation:
        """The same elements under another shape; no operator where it is the same."""
        if tensor.shape == shape:
            return tensor
        known = self._reshaped.get((id(tensor), shape))
        if known is not None:
            return known
        output = self._reshaped[id(tensor), shape] = self.between(
            f"{tensor.name}/{'x'.join(map(str, shape))}", shape, like=tensor
        )
        self._reshape(tensor, output)
        return output

    # What is made

    def clip(self) -> Clip | None:
        """The Relu or Clip that alone reads the node's output, to be done along with it; it is passed over later."""
        reader = self.network.only_reader(self.node.output)
        if reader is None or reader.inputs[0] != self.node.output or (bounds := self.bounds(reader)) is None:
            return None
        low, high = bounds
        if low > 0 or (high is not None and high < 0):  # no range without 0 can say it
            return None
        self._done.add(id(reader))
        return Clip(low, high, reader)

    def bounds(self, node: Node) -> tuple[float, float | None] | None:
        """Between what a Relu or Clip leaves its input; None of another node, or where they are computed."""
        if node.operator == "Relu":
            return 0.0, None
        if node.operator != "Clip":
            return None
        found = []
        for index, attribute in ((1, "min"), (2, "max")):
            name = node.input(index)
            if name and name not in self.network.constants:
                return None
            found.append(float(self.network.constants[name].ravel()[0]) if name else node.get(attribute, None))
        low = -np.inf if found[0] is None else found[0]
        return float(low), found[1]

    def give(
        self,
        order: Order,
        *,
        clip: Clip | None = None,
        like: Activation | None = None,
        grid: Grid | None = None,
        scramble: NDArray[np.int64] | None = None,
        shape: Shape | None = None,
        fusing: bool = True,
    ) -> Activation:
        """The tensor of the node's output, or of the Clip's that is done with it. `shape`: as stored, if not as the
        order says; `fusing`: whether the operator that writes it has an activation.
        """
        node = clip.node if clip else self.node
        onnx = self.network.shape(node.output)
        tensor = Activation(
            self._named(node.output), shape or stored(onnx, order), node.output, order, scramble, grid=grid
        )
        self._check(tensor)
        if like is not None:
            tensor.share(like)
            tensor.floor, tensor.ceiling, tensor.clipped = like.floor, like.ceiling, like.clipped
        if clip is not None:
            tensor.floor, tensor.ceiling = clip.low, np.inf if clip.high is None else clip.high
            tensor.clipped = not fusing or clip.fused == "NONE"
        if grid is not None:
            tensor.floor = (-128 - grid.zero_point) * grid.scale
        self._values[node.output] = Value(tensor, onnx, order, scramble)
        return tensor

    def give_image(
        self, shape: Shape, clip: Clip | None = None, like: Activation | None = None, fusing: bool = True
    ) -> Activation:
        """What an operator on an image writes to: the node's output, or before it is a line again, its image."""
        rank = len(self.output_shape(clip))
        if rank == 4:
            return self.give(NHWC, clip=clip, like=like, fusing=fusing)
        line = self.give(channels_last(rank), clip=clip, like=like, fusing=fusing)
        image = self.between(f"{line.name}/image", (line.shape[0], *shape[1:]), like=line)
        image.clipped = line.clipped
        return image

    def end_image(self, image: Activation, clip: Clip | None = None) -> None:
        """After the operator that wrote to what `give_image` gave."""
        node = clip.node if clip else self.node
        self.copy(image, self._values[node.output].tensor)

    def copy(self, tensor: Activation, output: Activation) -> None:
        """The same elements under the other's shape, where they are two."""
        if tensor is not output:
            self._reshape(tensor, output)

    def rename(self, output: str, value: Value) -> None:
        """Nothing is done: the value has one more name, and perhaps other axes."""
        self._values[output] = value

    def between(self, name: str, shape: Shape, like: Activation) -> Activation:
        """A tensor that ONNX does not have, on the grid of another."""
        tensor = Activation(self._named(name), shape, None, straight(len(shape)))
        tensor.floor, tensor.ceiling, tensor.clipped = like.floor, like.ceiling, like.clipped
        self._check(tensor)
        tensor.share(like)
        return tensor

    def integers(self, what: str, values: Sequence[int] | Array) -> Integers:
        return Integers(self._named(f"{self.node.output}/{what}"), np.array(values, np.int32))

    def operand(self, what: str, values: Array, like: Activation | None = None, lowest: bool = False) -> Constant:
        return Constant(self._named(f"{self.node.output}/{what}"), np.asarray(values, np.float32), like, lowest)

    def named(self, what: str) -> str:
        """A name for a further constant of the node."""
        return self._named(f"{self.node.output}/{what}")

    def emit(
        self,
        builtin: str,
        inputs: Sequence[Tensor],
        output: Activation | Sequence[Activation],
        correctable: Correctable | None = None,
        optional: bool = False,
        **options: int | float | bool | Sequence[int],
    ) -> None:
        outputs = [output] if isinstance(output, Activation) else list(output)
        was = self.node.get("was", self.node.operator)
        self.program.operators.append(
            Operator(builtin, inputs, outputs, options, self.node.label, was, correctable, optional)
        )

    # The walk

    def run(self, table: Mapping[str, Callable[["Lowering"], None]], rewrites: Mapping[str, str]) -> Program:
        """All nodes that an output needs, by `table`; NotInTfliteError names the first that cannot be written, and what
        `rewrites` has to say of it.
        """
        needed = self._needed()
        for node in self.network.nodes:
            if id(node) in needed and node.operator not in table:
                there_are = "replace it by one of " + ", ".join(sorted(table.keys() - _NO_REPLACEMENTS))
                raise node.refuse(_NOTHING, rewrites.get(node.operator, there_are))
        for name in self.network.inputs:
            self._input(name)
        for node in self.network.nodes:
            if id(node) in needed and id(node) not in self._done:
                self.node = node
                table[node.operator](self)
        for name in self.network.outputs:
            self._output(name)
        return self.program

    def _needed(self) -> set[int]:
        wanted_names, needed = set(self.network.outputs), set()
        for node in reversed(self.network.nodes):
            if wanted_names.intersection(node.outputs):
                needed.add(id(node))
                wanted_names.update(node.inputs)
        return needed

    def _input(self, name: str) -> None:
        shape = self.network.shape(name)
        self.node = Node("input", name, [], [name], {})
        if 0 in shape:
            raise self.node.refuse("it is empty", "give it a shape without 0")
        if len(shape) > 1 and shape[0] != 1 and len(shape) == MAX_RANK:
            raise self.node.refuse(f"its batch is {shape[0]}", "the Edge TPU takes one at a time: give it a batch of 1")
        order = wanted(self.network, name)
        tensor = self.give(order)
        self.program.inputs.append(tensor)

    def _output(self, name: str) -> None:
        self.node = Node("output", name, [name], [name], {})
        value = self.moving()
        if value.scramble is not None:
            raise self.node.refuse(
                "its elements are stored in an order that no order of its axes says",
                "end the model before the Reshape or Flatten, and reshape where the output is read",
            )
        tensor = value.tensor
        if tensor in self.program.inputs or tensor in self.program.outputs:
            copied = self.between(f"{name}/copy" if tensor.name == name else name, tensor.shape, like=tensor)
            self._reshape(tensor, copied)
            tensor = copied
        elif tensor.name != name and name not in self._names:
            tensor.name = self._named(name)
        self.program.outputs.append(tensor)
        self.program.output_orders.append(value.order)

    def _reshape(self, tensor: Activation, output: Activation) -> None:
        self.emit("RESHAPE", [tensor, self.integers("shape", output.shape)], output, new_shape=output.shape)

    def _check(self, tensor: Activation) -> None:
        if not tensor.shape:
            raise self.node.refuse("it gives one number without axes", "keep an axis of size 1")
        if sum(size > 1 for size in tensor.shape) > 3:
            raise self.node.refuse(
                f"a tensor of the shape {list(tensor.shape)} has more than three axes above 1",
                "the Edge TPU takes one at a time: give the model a batch of 1",
            )

    def _named(self, name: str) -> str:
        """The interpreter tells tensors apart by name: each has one of its own."""
        unique, number = name, 2
        while unique in self._names:
            unique, number = f"{name}:{number}", number + 1
        self._names.add(unique)
        return unique
