"""ONNX's operators, version 13 to 25 of the operator set, as int8 TFLite has them.

Each family is a module with a table `OPERATORS`: operator -> a function that reads the `Lowering`'s node and adds
TFLite's operators to its program. What would not be exact is refused, with what would help.
"""

from collections.abc import Callable

from converters.tflite.lowering import Lowering
from converters.tflite.operators import (
    arithmetic,
    convolution,
    movement,
    pointwise,
    pooling,
    product,
    resize,
    transposed,
)

OPERATORS: dict[str, Callable[[Lowering], None]] = {
    name: lower
    for family in (arithmetic, convolution, movement, pointwise, pooling, product, resize, transposed)
    for name, lower in family.OPERATORS.items()
}

_ACTIVATION = "replace it by Relu, LeakyRelu or Clip, and train the model with it"
_NORMALISATION = (
    "replace it by BatchNormalization, which is folded into the layer before it, and train the model with it"
)
_OUTSIDE = "end the model before it, and do it where the output is read"

REWRITES = {
    **dict.fromkeys(("Elu", "Gelu", "Mish", "Selu", "Celu", "Softplus", "Softsign", "ThresholdedRelu"), _ACTIVATION),
    **dict.fromkeys(("HardSigmoid", "HardSwish", "Swish"), _ACTIVATION),
    **dict.fromkeys(
        ("GroupNormalization", "InstanceNormalization", "LayerNormalization", "LRN", "RMSNormalization"), _NORMALISATION
    ),
    **dict.fromkeys(
        ("ArgMax", "ArgMin", "Cast", "Exp", "Log", "LogSoftmax", "NonMaxSuppression", "TopK", "ReduceSum", "Sqrt"),
        _OUTSIDE,
    ),
    **dict.fromkeys(
        ("DequantizeLinear", "QuantizeLinear", "QLinearConv", "ConvInteger"),
        "convert the float model: its int8 ranges are found from the calibration images",
    ),
    **dict.fromkeys(
        ("DepthToSpace", "SpaceToDepth", "Upsample"),
        "replace it by ConvTranspose, Conv with strides, or Resize, and train the model with it",
    ),
    **dict.fromkeys(("GRU", "LSTM", "RNN", "If", "Loop", "Scan"), "unroll it into convolutions and products"),
    "Div": "divide by a constant, or multiply",
    "Slice": "let the layer before it give the part alone",
    "Sum": "add two at a time",
    "Split": "let the layer before it be several, one for each part",
}
"""What helps a user with an operator that cannot be written; anything else is told what there is."""
