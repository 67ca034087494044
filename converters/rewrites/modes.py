"""Operators that got further modes: one that uses none of them stays, any other is a CannotRewriteError.

Where a new mode is an attribute of its own, converters/lowering.py sees it by itself.
"""

from collections.abc import Callable

from onnx import TensorProto

from converters.rewrites.rewrite import CannotRewriteError, Rewrite

_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)


def without(attribute: str, *modes: str) -> Callable[[Rewrite], None]:
    """The node stays unless its `attribute` is one of `modes`."""

    def rewriting(rewrite: Rewrite) -> None:
        mode = rewrite.attribute(attribute, b"").decode()
        if mode in modes:
            raise CannotRewriteError(f"{attribute}={mode!r}")
        rewrite.keep()

    return rewriting


def integer_remainder(rewrite: Rewrite) -> None:
    """With the divisor's sign of integers alone: https://onnx.ai/onnx/operators/onnx__Mod.html"""
    if not rewrite.attribute("fmod", 0) and rewrite.facts.element(rewrite.input(0)) in _FLOATS:
        raise CannotRewriteError("fmod=0 of floats")
    rewrite.keep()


def undilated(rewrite: Rewrite) -> None:
    """Pooling without dilations: https://onnx.ai/onnx/operators/onnx__AveragePool.html"""
    dilations = rewrite.attribute("dilations", [])
    if any(dilation != 1 for dilation in dilations):
        raise CannotRewriteError(f"dilations={dilations}")
    rewrite.keep(drop=["dilations"])


def grid_sample_in_a_plane(rewrite: Rewrite) -> None:
    """Of images alone, by the older names: https://onnx.ai/onnx/operators/onnx__GridSample.html"""
    if len(rewrite.shape(0)) != 4:
        raise CannotRewriteError(f"an input of {len(rewrite.shape(0))} dimensions")
    mode = rewrite.attribute("mode", b"linear").decode()
    rewrite.keep(mode={"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode))


def roi_align_from_the_corner(rewrite: Rewrite) -> None:
    """The older one knows no half pixel, which is the newer one's default: ONNX's RoiAlign page has both."""
    mode = rewrite.attribute("coordinate_transformation_mode", b"half_pixel").decode()
    if mode != "output_half_pixel":
        raise CannotRewriteError(f"coordinate_transformation_mode={mode!r}")
    rewrite.keep(drop=["coordinate_transformation_mode"])
