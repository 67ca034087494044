"""Normalisations.

ONNX's own bodies find a variance as E[x^2] - E[x]^2, which cancels in half precision; here it is the mean of the
squared deviations.
"""

import numpy as np
from onnx import TensorProto

from converters.rewrites.rewrite import CannotRewriteError, Rewrite


def layer_normalisation(rewrite: Rewrite) -> None:
    """https://onnx.ai/onnx/operators/onnx__LayerNormalization.html"""
    if any(rewrite.node.output[1:]):
        raise CannotRewriteError("its outputs Mean and InvStdDev are used")
    x = _widened(rewrite)
    normal = _over_deviation(rewrite, rewrite.add("Sub", x, _mean(rewrite, x)))
    if bias := rewrite.input(2):
        rewrite.finish("Add", rewrite.add("Mul", normal, rewrite.input(1)), bias)
    else:
        rewrite.finish("Mul", normal, rewrite.input(1))


def rms_normalisation(rewrite: Rewrite) -> None:
    """https://onnx.ai/onnx/operators/onnx__RMSNormalization.html"""
    normal = _over_deviation(rewrite, _widened(rewrite))
    rewrite.finish("Mul", normal, rewrite.input(1))


def group_normalisation(rewrite: Rewrite) -> None:
    """https://onnx.ai/onnx/operators/onnx__GroupNormalization.html, by the InstanceNormalization of each group.

    So PyTorch writes it for the opsets that lack it; every TensorRT takes it.
    """
    x, groups, (channels,) = rewrite.input(0), rewrite.attribute("num_groups", 1), rewrite.shape(1)
    ones, zeros = rewrite.constant(np.ones(groups), x), rewrite.constant(np.zeros(groups), x)
    grouped = rewrite.add("Reshape", x, rewrite.constant(np.array([0, groups, -1])))
    even = rewrite.add("InstanceNormalization", grouped, ones, zeros, epsilon=rewrite.attribute("epsilon", 1e-5))
    flat = rewrite.add("Reshape", even, rewrite.constant(np.array([0, channels, -1])))
    column = rewrite.constant(np.array([channels, 1]))
    scale, bias = (rewrite.add("Reshape", rewrite.input(index), column) for index in (1, 2))
    normal = rewrite.add("Add", rewrite.add("Mul", flat, scale), bias)
    rewrite.finish("Reshape", normal, rewrite.add("Shape", x))


def _is_half(rewrite: Rewrite) -> bool:
    return rewrite.facts.element(rewrite.input(0)) == TensorProto.FLOAT16


def _widened(rewrite: Rewrite) -> str:
    """The input in the type that these operators compute in: float32 for half precision (their `stash_type`)."""
    x = rewrite.input(0)
    return rewrite.add("Cast", x, to=TensorProto.FLOAT) if _is_half(rewrite) else x


def _mean(rewrite: Rewrite, x: str) -> str:
    """Over the axes from `axis` to the last, which ReduceMean takes as an input from opset 18 on."""
    axis = rewrite.attribute("axis", -1)
    axes = list(range(axis, 0 if axis < 0 else len(rewrite.shape(0))))
    if rewrite.opset > 18:
        return rewrite.add("ReduceMean", x, rewrite.constant(np.array(axes)))
    return rewrite.add("ReduceMean", x, axes=axes)


def _over_deviation(rewrite: Rewrite, centred: str) -> str:
    """centred / sqrt(mean(centred^2) + epsilon), in the type of the input."""
    half, epsilon = _is_half(rewrite), np.float32(rewrite.attribute("epsilon", 1e-5))
    variance = _mean(rewrite, rewrite.add("Mul", centred, centred))
    stable = rewrite.add("Add", variance, rewrite.constant(epsilon, like="" if half else rewrite.input(0)))
    normal = rewrite.add("Div", centred, rewrite.add("Sqrt", stable))
    return rewrite.add("Cast", normal, to=TensorProto.FLOAT16) if half else normal
