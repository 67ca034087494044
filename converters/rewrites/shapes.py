"""Operators whose axes or sizes were told in another way: what an older one cannot say is a CannotRewriteError."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from converters.rewrites.rewrite import CannotRewriteError, Rewrite


def axes_to_attribute(rewrite: Rewrite) -> None:
    """ReduceMax and its like had their axes as an attribute: https://onnx.ai/onnx/operators/onnx__ReduceMean.html"""
    axes = rewrite.integers(1) if rewrite.input(1) else []
    if not axes and rewrite.attribute("noop_with_empty_axes", 0):
        raise CannotRewriteError("noop_with_empty_axes=1 without axes")
    rewrite.keep(rewrite.node.input[:1], drop=["noop_with_empty_axes"], **({"axes": axes} if axes else {}))


def split_sizes(rewrite: Rewrite) -> None:
    """`num_outputs` equal parts, the last one smaller: https://onnx.ai/onnx/operators/onnx__Split.html"""
    parts = rewrite.attribute("num_outputs", None)
    if parts is None:
        rewrite.keep()
    else:
        size = rewrite.shape(0)[rewrite.attribute("axis", 0)]
        most = -(-size // parts)
        sizes = np.minimum(most, size - most * np.arange(parts))
        rewrite.keep([rewrite.input(0), rewrite.constant(sizes)], drop=["num_outputs"])


def pad_all_axes(rewrite: Rewrite) -> None:
    """Pads of some axes alone become pads of all: https://onnx.ai/onnx/operators/onnx__Pad.html"""
    if not rewrite.input(3):
        rewrite.keep(rewrite.node.input[:3])
    else:
        axes = rewrite.integers(3)
        pads = np.zeros((2, len(rewrite.shape(0))), np.int64)  # before and after, by axis
        pads[:, axes] = np.reshape(rewrite.integers(1), (2, len(axes)))
        rewrite.keep([rewrite.input(0), rewrite.constant(pads.ravel()), *rewrite.node.input[2:3]])


def reshape_without_zero(rewrite: Rewrite) -> None:
    """A 0 in the shape used to copy a size, always: https://onnx.ai/onnx/operators/onnx__Reshape.html"""
    if rewrite.attribute("allowzero", 0) and 0 in rewrite.integers(1):
        raise CannotRewriteError("allowzero=1 with a 0 in the shape")
    rewrite.keep(drop=["allowzero"])


def resize_all_axes(rewrite: Rewrite) -> None:
    """Scales or sizes of some axes alone become those of all: https://onnx.ai/onnx/operators/onnx__Resize.html"""
    policy = rewrite.attribute("keep_aspect_ratio_policy", b"stretch")
    if policy != b"stretch" and rewrite.input(3):
        raise CannotRewriteError(f"keep_aspect_ratio_policy={policy.decode()!r}")
    if rewrite.attribute("antialias", 0) and _shrinks(rewrite):
        raise CannotRewriteError("antialias=1")
    inputs, axes = list(rewrite.node.input), rewrite.attribute("axes", None)
    if axes is not None:
        if rewrite.input(1):
            raise CannotRewriteError("axes with a region of interest")
        shape = rewrite.shape(0)
        for index, unchanged in ((2, np.ones(len(shape), np.float32)), (3, np.array(shape))):
            if rewrite.input(index):
                inputs[index] = rewrite.constant(_of_all_axes(rewrite, index, unchanged, axes))
    rewrite.keep(inputs, drop=["antialias", "axes", "keep_aspect_ratio_policy"])


def _of_all_axes(rewrite: Rewrite, index: int, unchanged: NDArray[Any], axes: list[int]) -> NDArray[Any]:
    named = rewrite.facts.constant(rewrite.input(index))
    if named is None:
        raise CannotRewriteError(f"axes, and {rewrite.input(index)!r} is computed")
    whole = unchanged.copy()
    whole[axes] = named
    return whole


def _shrinks(rewrite: Rewrite) -> bool:
    """Antialiasing changes nothing where a picture grows."""
    output = rewrite.facts.shape(rewrite.node.output[0])
    return output is None or any(after < before for before, after in zip(rewrite.shape(0), output, strict=True))
