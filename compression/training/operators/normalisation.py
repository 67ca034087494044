"""Normalisations, and the means, sums and extremes over axes that they are made of where they are spelt out."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own name for it

from compression.training.operators.node import Node, Operator, Unsupported


def _batch_normalisation(node: Node) -> Operator:
    """With the stored mean and variance, as in inference: https://onnx.ai/onnx/operators/onnx__BatchNormalization.html."""
    if node.get("training_mode", 0):
        raise Unsupported("in training mode")
    if not node.get("spatial", 1):
        raise Unsupported("with statistics for every place")
    epsilon = node.get("epsilon", 1e-5)
    return lambda x, scale, bias, mean, variance: F.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def _instance_normalisation(node: Node) -> Operator:
    epsilon = node.get("epsilon", 1e-5)
    return lambda x, scale, bias: F.instance_norm(x, weight=scale, bias=bias, eps=epsilon)


def _layer_normalisation(node: Node) -> Operator:
    """The scale and bias may have fewer axes than what is normalised."""
    axis, epsilon = node.get("axis", -1), node.get("epsilon", 1e-5)

    def run(x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
        sizes = x.shape[axis:]
        wide = None if bias is None else bias.expand(sizes)
        return F.layer_norm(x, sizes, scale.expand(sizes), wide, epsilon)

    return run


def _reduction(function: Callable[..., Tensor], node: Node) -> Operator:
    """`axes` are an input from opset 13 (ReduceSum) or 18 on."""
    axes = node.integers("axes", 1) if node.is_given("axes", 1) else ()
    kept = bool(node.get("keepdims", 1))
    if not axes and node.get("noop_with_empty_axes", 0):
        return lambda x, *_: x
    return lambda x, *_: function(x, dim=axes or tuple(range(x.dim())), keepdim=kept)


OPERATORS: dict[str, Callable[[Node], Operator]] = {
    "BatchNormalization": _batch_normalisation,
    "InstanceNormalization": _instance_normalisation,
    "LayerNormalization": _layer_normalisation,
    "ReduceMax": partial(_reduction, torch.amax),
    "ReduceMean": partial(_reduction, torch.mean),
    "ReduceMin": partial(_reduction, torch.amin),
    "ReduceSum": partial(_reduction, torch.sum),
}
