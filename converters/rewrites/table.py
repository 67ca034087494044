"""Which operator changed at which opset in more than its element types, and how to go back."""

from collections.abc import Callable

from converters.rewrites import activations, modes, normalisations, shapes
from converters.rewrites.rewrite import Rewrite

_REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
)

REWRITES: dict[tuple[str, int], Callable[[Rewrite], None]] = {
    ("HardSwish", 14): activations.hard_swish,
    ("Reshape", 14): shapes.reshape_without_zero,
    ("CastLike", 15): activations.cast_like,
    ("RoiAlign", 16): modes.roi_align_from_the_corner,
    ("LayerNormalization", 17): normalisations.layer_normalisation,
    ("LpPool", 18): modes.undilated,
    ("Mish", 18): activations.mish,
    ("Pad", 18): shapes.pad_all_axes,
    ("Resize", 18): shapes.resize_all_axes,
    ("ScatterElements", 18): modes.without("reduction", "max", "min"),
    ("ScatterND", 18): modes.without("reduction", "max", "min"),
    ("Split", 18): shapes.split_sizes,
    **{(operator, 18): shapes.axes_to_attribute for operator in _REDUCTIONS},
    ("AveragePool", 19): modes.undilated,
    ("Pad", 19): modes.without("mode", "wrap"),
    ("Resize", 19): modes.without("coordinate_transformation_mode", "half_pixel_symmetric"),
    ("Gelu", 20): activations.gelu,
    ("GridSample", 20): modes.grid_sample_in_a_plane,
    ("GroupNormalization", 21): normalisations.group_normalisation,
    ("RMSNormalization", 23): normalisations.rms_normalisation,
    ("Swish", 24): activations.swish,
    ("Mod", 28): modes.integer_remainder,
}
"""A rewrite takes a node of that opset to nodes of the opset before it.

Found by comparing ONNX's own history of each operator (onnx.defs.get_all_schemas_with_history); tests hold the table
against it, so that an operator which changes in a later ONNX is noticed.
"""
