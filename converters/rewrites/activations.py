"""Activations, and what they need of a type.

The bodies that ONNX itself gives say the same, in chains of CastLike and Constant that would have to be folded after.
"""

import math

from converters.rewrites.rewrite import CannotRewriteError, Rewrite


def hard_swish(rewrite: Rewrite) -> None:
    """https://onnx.ai/onnx/operators/onnx__HardSwish.html"""
    x = rewrite.input(0)
    rewrite.finish("Mul", x, rewrite.add("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def mish(rewrite: Rewrite) -> None:
    """https://onnx.ai/onnx/operators/onnx__Mish.html"""
    x = rewrite.input(0)
    rewrite.finish("Mul", x, rewrite.add("Tanh", rewrite.add("Softplus", x)))


def swish(rewrite: Rewrite) -> None:
    """https://onnx.ai/onnx/operators/onnx__Swish.html"""
    x, alpha = rewrite.input(0), rewrite.attribute("alpha", 1.0)
    scaled = x if alpha == 1 else rewrite.add("Mul", x, rewrite.constant(alpha, x))
    rewrite.finish("Mul", x, rewrite.add("Sigmoid", scaled))


def gelu(rewrite: Rewrite) -> None:
    """https://onnx.ai/onnx/operators/onnx__Gelu.html"""
    x = rewrite.input(0)
    if rewrite.attribute("approximate", b"none") == b"tanh":
        cube = rewrite.add("Mul", rewrite.add("Mul", x, x), x)
        inner = rewrite.add("Add", x, rewrite.add("Mul", cube, rewrite.constant(0.044715, x)))
        bend = rewrite.add("Tanh", rewrite.add("Mul", inner, rewrite.constant(math.sqrt(2 / math.pi), x)))
    else:
        bend = rewrite.add("Erf", rewrite.add("Div", x, rewrite.constant(math.sqrt(2), x)))
    share = rewrite.add("Add", bend, rewrite.constant(1.0, x))
    rewrite.finish("Mul", rewrite.add("Mul", x, share), rewrite.constant(0.5, x))


def cast_like(rewrite: Rewrite) -> None:
    """https://onnx.ai/onnx/operators/onnx__CastLike.html"""
    element = rewrite.facts.element(rewrite.input(1))
    if element is None:
        raise CannotRewriteError(f"the type of its input {rewrite.input(1)!r} is not known")
    rewrite.finish("Cast", rewrite.input(0), to=element)
