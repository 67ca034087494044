"""The output factors of a decomposed model, fitted to what the original makes of real images. No gradients.

Layer by layer in the order of the graph, all layers before already decomposed and refitted: the last factor and the
bias that bring the layer's output closest, by least squares, to the original's. On one model at 98 % this raised the
AUC from .821 to .865 before any training. The normal equations are summed up batch by batch, in float64.
"""

from collections.abc import Callable, Iterable, Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

from compression.feeds import Data, Feed, feeds_of, session_of
from compression.graph import Names, add_initializer, attribute, opset_of, readers, remove_unread, up_to
from compression.surgery import BIAS_OPTIONAL

Doubles = NDArray[np.float64]
_Products = tuple[Doubles, Doubles]
"""Of a factor's inputs, a 1 behind them, with themselves (groups, r + 1, r + 1) and with the errors of its outputs
(groups, r + 1, O), over all images and places."""


def refit(model: ModelProto, original: ModelProto, kernels: Iterable[str], data: Data, ridge: float = 1e-6) -> None:
    """Fit, in place, the output factors `kernels`: initializers of `model`, which names its values as `original` does.

    Factors that a subgraph uses stay as they are. `ridge`, relative to the mean square of a factor's inputs, holds a
    factor where it was in the directions that the images do not show. BadDataError.
    """
    feeds, counts, wanted = feeds_of(original, data), readers(model), set(kernels)
    users: dict[str, list[_User]] = {}
    for node in model.graph.node:
        for index, name in enumerate(node.input[:2]):
            if name in wanted:
                users.setdefault(name, []).append(_User(model, node, index))
    for kernel, each in users.items():
        if counts[kernel] == len(each):
            _fit(model, kernel, each, _observed(model, original, each, feeds), ridge)


class _User:
    """A node that takes an output factor as its input number `index`."""

    def __init__(self, model: ModelProto, node: NodeProto, index: int) -> None:
        self.node, self.index = node, index
        self.hidden, self.output = node.input[1 - index], node.output[0]
        self.groups = attribute(node, "group", 1)
        self.has_free_bias = index == 1 and _has_free_bias(model, node)

    def channels(self, values: NDArray[Any]) -> Doubles:
        """(groups, channels of a group, all places)."""
        axis = 1 if self.node.op_type == "Conv" else -1 if self.index == 1 else max(values.ndim - 2, 0)
        rows = np.moveaxis(values.astype(np.float64), axis, 0)
        return rows.reshape(self.groups, len(rows) // self.groups, -1)


def _has_free_bias(model: ModelProto, node: NodeProto) -> bool:
    """Whether the node adds a constant of its own to each output channel, or could."""
    if node.op_type == "MatMul" or attribute(node, "beta", 1.0) == 0:
        return False
    if len(node.input) < 3 or not node.input[2]:
        return node.op_type == "Conv" or opset_of(model) >= BIAS_OPTIONAL
    return any(tensor.name == node.input[2] and prod(tensor.dims[:-1]) == 1 for tensor in model.graph.initializer)


def _observed(
    model: ModelProto, original: ModelProto, users: list[_User], feeds: Callable[[], Iterator[Feed]]
) -> list[_Products]:
    outputs = [user.output for user in users]
    wanted = list(dict.fromkeys([*outputs, *(user.hidden for user in users)]))
    ours, theirs = session_of(up_to(model, wanted)), session_of(up_to(original, outputs))
    sums: list[_Products] = []
    for feed in feeds():
        made = dict(zip(wanted, ours.run(wanted, feed), strict=True))
        products = [
            _products(user, made[user.hidden], target - made[user.output])
            for user, target in zip(users, theirs.run(outputs, feed), strict=True)
        ]
        sums = [(a + c, b + d) for (a, b), (c, d) in zip(sums, products, strict=True)] if sums else products
    return sums


def _products(user: _User, hidden: NDArray[Any], errors: NDArray[Any]) -> _Products:
    inputs = user.channels(hidden) * attribute(user.node, "alpha", 1.0)
    inputs = np.concatenate([inputs, np.ones_like(inputs[:, :1])], axis=1)
    return inputs @ inputs.swapaxes(1, 2), inputs @ user.channels(errors).swapaxes(1, 2)


def _fit(model: ModelProto, kernel: str, users: list[_User], sums: list[_Products], ridge: float) -> None:
    """The change (groups, r, O) is the same for all users, that of the bias each one's own."""
    parts = [
        _about_mean(*each) if user.has_free_bias else _as_is(*each) for user, each in zip(users, sums, strict=True)
    ]
    gram: Doubles = np.sum([part[0] for part in parts], axis=0)
    cross: Doubles = np.sum([part[1] for part in parts], axis=0)
    rank = gram.shape[1]
    penalty = ridge * np.trace(gram, axis1=1, axis2=2) / rank + np.finfo(np.float64).tiny  # of dead inputs too
    change = np.linalg.solve(gram + penalty[:, np.newaxis, np.newaxis] * np.eye(rank), cross)
    _add_to_kernel(model, kernel, users[0], change)
    for user, (whole, errors) in zip(users, sums, strict=True):
        if user.has_free_bias:
            left = (errors[:, -1] - (whole[:, -1:, :-1] @ change)[:, 0]) / whole[:, -1:, -1]
            _add_to_bias(model, user, left.reshape(-1))


def _about_mean(gram: Doubles, cross: Doubles) -> _Products:
    """What the factor has to do where a bias does the rest."""
    total, count = gram[:, :-1, -1:], gram[:, -1:, -1:]
    return gram[:, :-1, :-1] - total @ total.swapaxes(1, 2) / count, cross[:, :-1] - total @ cross[:, -1:] / count


def _as_is(gram: Doubles, cross: Doubles) -> _Products:
    return gram[:, :-1, :-1], cross[:, :-1]


def _add_to_kernel(model: ModelProto, name: str, user: _User, change: Doubles) -> None:
    tensor = _initializer(model, name)
    values = numpy_helper.to_array(tensor)
    turned = bool(attribute(user.node, "transB" if user.index == 1 else "transA", 0))
    inputs_first = user.node.op_type != "Conv" and (user.index == 1) != turned
    laid_out = change[0] if inputs_first else change.swapaxes(1, 2).reshape(values.shape)
    tensor.CopyFrom(numpy_helper.from_array((values + laid_out).astype(values.dtype), name))


def _add_to_bias(model: ModelProto, user: _User, change: Doubles) -> None:
    node = user.node
    old = [name for name in node.input[2:] if name]
    values = numpy_helper.to_array(_initializer(model, old[0])).reshape(-1) if old else np.zeros(1)
    dtype = numpy_helper.to_array(_initializer(model, node.input[1])).dtype
    name = Names(model).fresh(f"{node.name}.bias")
    add_initializer(model, name, (values + change / attribute(node, "beta", 1.0)).astype(dtype))
    del node.input[2:]
    node.input.append(name)
    remove_unread(model, old)


def _initializer(model: ModelProto, name: str) -> TensorProto:
    tensors: dict[str, TensorProto] = {tensor.name: tensor for tensor in model.graph.initializer}
    return tensors[name]
