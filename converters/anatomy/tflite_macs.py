"""Multiply-adds of a TFLite file's convolutions and matrix products in a run; see onnx_macs.py."""

from math import prod

from converters.anatomy.anatomy import total
from converters.tflite_file import Operator, TfliteFile

_COUNTED = {
    "CONV_2D": ("outputs", slice(1, None)),
    "DEPTHWISE_CONV_2D": ("outputs", slice(None, -1)),
    "FULLY_CONNECTED": ("outputs", slice(1, None)),
    "TRANSPOSE_CONV": ("inputs", slice(None, -1)),
}
"""The feature map to whose every element the kernel (input 1) is applied, and by which of the kernel's axes: these are
output, height, width, input, of DEPTHWISE_CONV_2D 1, height, width, output. https://www.tensorflow.org/mlir/tfl_ops
"""

_ELEMENTWISE = """
    ABS ADD ADD_N ATAN2 BITCAST BITWISE_XOR CAST CEIL COMPLEX_ABS COS DEQUANTIZE DIV ELU EQUAL EXP FAKE_QUANT FLOOR
    FLOOR_DIV FLOOR_MOD GELU GREATER GREATER_EQUAL HARD_SWISH IMAG LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND
    LOGICAL_NOT LOGICAL_OR LOGISTIC MAXIMUM MINIMUM MUL NEG NOT_EQUAL POW PRELU QUANTIZE REAL RELU RELU6 RELU_0_TO_1
    RELU_N1_TO_1 RIGHT_SHIFT ROUND RSQRT SELECT SELECT_V2 SIGN SIN SQRT SQUARE SQUARED_DIFFERENCE SUB TANH
    ZEROS_LIKE
"""
_GATHERING = """
    ARG_MAX ARG_MIN AVERAGE_POOL_2D CUMSUM L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOG_SOFTMAX
    MAX_POOL_2D MEAN REDUCE_ALL REDUCE_ANY REDUCE_MAX REDUCE_MIN REDUCE_PROD RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR
    SEGMENT_SUM SOFTMAX SUM UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_SUM
"""
"""Normalisation, pooling, reduction, interpolation."""
_MOVING = """
    ASSIGN_VARIABLE BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO BUCKETIZE CONCATENATION DENSIFY DEPTH_TO_SPACE
    DILATE DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP EXPAND_DIMS FILL GATHER GATHER_ND HASHTABLE HASHTABLE_FIND
    HASHTABLE_IMPORT HASHTABLE_LOOKUP HASHTABLE_SIZE MATRIX_DIAG MATRIX_SET_DIAG MIRROR_PAD MULTINOMIAL
    NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 ONE_HOT PACK PAD PADV2 RANDOM_STANDARD_NORMAL RANDOM_UNIFORM RANGE
    RANK READ_VARIABLE RESHAPE REVERSE_SEQUENCE REVERSE_V2 SCATTER_ND SHAPE SLICE SPACE_TO_BATCH_ND SPACE_TO_DEPTH
    SPARSE_TO_DENSE SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE TOPK_V2 TRANSPOSE UNIQUE UNPACK VAR_HANDLE WHERE
"""
"""Shapes, places, choices, variables, random values."""
_NONE = frozenset(f"{_ELEMENTWISE} {_GATHERING} {_MOVING}".split())


def of_file(file: TfliteFile) -> int | None:
    """Of one run; None where an operator's are not known."""
    return total(of_operator(operator, file) for operator in file.operators)


def of_operator(operator: Operator, file: TfliteFile) -> int | None:
    """Of one operator; None where they are not counted, or a size is not known."""
    if operator.custom or operator.name not in _COUNTED:
        return 0 if is_counted(operator) else None
    spread, axes = _COUNTED[operator.name]
    places = (*operator.inputs[1:2], *(operator.outputs[:1] if spread == "outputs" else operator.inputs[2:3]))
    if len(places) < 2 or min(places) < 0:
        return None
    kernel, map_ = (file.tensors[place] for place in places)
    return None if kernel.elements is None or map_.elements is None else map_.elements * prod(kernel.shape[axes])


def is_counted(operator: Operator) -> bool:
    """Whether an operator's multiply-adds are known as soon as its sizes are."""
    return not operator.custom and operator.name in _COUNTED.keys() | _NONE
