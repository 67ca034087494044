"""Operators that work on each element by itself, and the activations that come after a layer."""

from collections.abc import Callable
from functools import reduce

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from compression.training.operators.node import Node, Operator, Unsupported

_AXIS_ALONE = 13
"""Opset from which on a Softmax is over one axis, not over all from `axis` on."""

_LIMITS_AS_INPUTS = 11
"""Opset from which on a Clip has them so."""


def _plain(function: Operator) -> Callable[[Node], Operator]:
    """An operator without attributes."""
    return lambda _: function


def _divide(x: Tensor, y: Tensor) -> Tensor:
    """Of integers towards zero."""
    whole = not (x.is_floating_point() or y.is_floating_point())
    return torch.div(x, y, rounding_mode="trunc" if whole else None)


def _power(x: Tensor, y: Tensor) -> Tensor:
    """Of the type of `x`."""
    made = torch.pow(x, y)
    return made if x.is_floating_point() else made.to(x.dtype)


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    """The slope is broadcast from the last axis on, not over the channels as torch's is."""
    return torch.where(x < 0, x * slope, x)


def _clip(node: Node) -> Operator:
    """Limits that the file knows are numbers, so that they leave the element type as it is."""
    if node.opset < _LIMITS_AS_INPUTS:
        below, above = node.get("min", None), node.get("max", None)
        return lambda x: torch.clamp(x, below, above) if (below, above) != (None, None) else x
    if not (node.has(1) or node.has(2)):
        return lambda x, *_: x
    known = {place: node.constants[place].item() for place in (1, 2) if place in node.constants}
    if all(place in known for place in (1, 2) if node.has(place)):
        return lambda x, *_: torch.clamp(x, known.get(1), known.get(2))
    return lambda x, low=None, high=None: torch.clamp(x, low, high)


def _leaky_relu(node: Node) -> Operator:
    slope = node.get("alpha", 0.01)
    return lambda x: F.leaky_relu(x, slope)


def _elu(node: Node) -> Operator:
    alpha = node.get("alpha", 1.0)
    return lambda x: F.elu(x, alpha)


def _selu(node: Node) -> Operator:
    """The defaults are the attribute's in float32, from the specification."""
    alpha, gamma = node.get("alpha", 1.67326319217681884765625), node.get("gamma", 1.05070102214813232421875)
    return lambda x: gamma * F.elu(x, alpha)


def _hard_sigmoid(node: Node) -> Operator:
    alpha, beta = node.get("alpha", 0.2), node.get("beta", 0.5)
    return lambda x: torch.clamp(alpha * x + beta, 0, 1)


def _gelu(node: Node) -> Operator:
    form = node.get("approximate", b"none").decode()
    return lambda x: F.gelu(x, approximate=form)


def _softmax(node: Node) -> Operator:
    return _over_axis(node, torch.softmax)


def _log_softmax(node: Node) -> Operator:
    return _over_axis(node, torch.log_softmax)


def _over_axis(node: Node, function: Callable[[Tensor, int], Tensor]) -> Operator:
    if node.opset >= _AXIS_ALONE:
        axis = node.get("axis", -1)
        return lambda x: function(x, axis)
    first = node.get("axis", 1)
    return lambda x: function(x.flatten(first), -1).reshape(x.shape)


def _dropout(node: Node) -> Operator:
    """The image itself, as in inference."""
    if node.has(2) and not (2 in node.constants and not node.constants[2].any()):
        raise Unsupported("it drops in inference as well")
    return lambda x, *_: x


OPERATORS: dict[str, Callable[[Node], Operator]] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "Clip": _clip,
    "Div": _plain(_divide),
    "Dropout": _dropout,
    "Elu": _elu,
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Gelu": _gelu,
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(F.hardswish),
    "Identity": _plain(lambda x: x),
    "LeakyRelu": _leaky_relu,
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Log": _plain(torch.log),
    "LogSoftmax": _log_softmax,
    "Max": _plain(lambda *given: reduce(torch.maximum, given)),
    "Min": _plain(lambda *given: reduce(torch.minimum, given)),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not),
    "Or": _plain(torch.logical_or),
    "PRelu": _plain(_prelu),
    "Pow": _plain(_power),
    "Reciprocal": _plain(torch.reciprocal),
    "Relu": _plain(torch.relu),
    "Selu": _selu,
    "Sigmoid": _plain(torch.sigmoid),
    "Softmax": _softmax,
    "Softplus": _plain(F.softplus),
    "Sqrt": _plain(torch.sqrt),
    "Sub": _plain(torch.sub),
    "Sum": _plain(lambda *given: reduce(torch.add, given)),
    "Tanh": _plain(torch.tanh),
    "Where": _plain(torch.where),
}
