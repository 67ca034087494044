"""Multiply-adds of an ONNX model's convolutions and matrix products in a run.

An operator that is in neither table (GRU, Einsum, one of another domain, one that came later) has some that nobody
counted, or may have: then neither its figure nor the model's is known. Additions and products of single elements
(normalisation, pooling, scaling) are by convention none.
"""

from collections.abc import Callable
from math import prod

from onnx import ModelProto, NodeProto
from onnx.inliner import inline_local_functions

from converters.anatomy.anatomy import total
from converters.facts import Facts, facts_of
from converters.proto import attribute_graphs

_Shape = tuple[int, ...]


def _of_conv(_node: NodeProto, _before: _Shape, kernel: _Shape, after: _Shape) -> int:
    return prod(after) * prod(kernel[1:])


def _of_conv_transpose(_node: NodeProto, before: _Shape, kernel: _Shape, _after: _Shape) -> int:
    return prod(before) * prod(kernel[1:])


def _of_product(node: NodeProto, before: _Shape, _kernel: _Shape, after: _Shape) -> int:
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return prod(after) * before[0 if turned else -1]


_COUNTED: dict[str, Callable[[NodeProto, _Shape, _Shape, _Shape], int]] = {
    "Conv": _of_conv,
    "ConvTranspose": _of_conv_transpose,
    "Gemm": _of_product,
    "MatMul": _of_product,
}
"""By the shapes of inputs 0 and 1 and of the output. https://onnx.ai/onnx/operators/"""

_WITH_BODIES = frozenset({"If", "Loop", "Scan", "SequenceMap"})
"""They have none of their own, and how often a body runs is known while it runs alone."""

_ELEMENTWISE = """
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BitCast BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast
    CastLike Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp Floor Gelu
    Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min
    Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear Reciprocal Relu RotaryEmbedding Round Selu Shrink Sigmoid Sign
    Sin Sinh Softplus Softsign Sqrt Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Where Xor
"""
_GATHERING = """
    ArgMax ArgMin AveragePool BatchNormalization CumProd CumSum GlobalAveragePool GlobalLpPool GlobalMaxPool
    GridSample GroupNormalization Hardmax InstanceNormalization LRN LayerNormalization LogSoftmax LpNormalization
    LpPool MaxPool MaxRoiPool MaxUnpool MeanVarianceNormalization NegativeLogLikelihoodLoss RMSNormalization
    ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Resize RoiAlign Softmax SoftmaxCrossEntropyLoss Upsample
"""
"""Normalisation, pooling, reduction, interpolation."""
_MOVING = """
    Bernoulli BlackmanWindow CenterCropPad Col2Im Compress Concat ConcatFromSequence Constant ConstantOfShape
    DepthToSpace Expand EyeLike Flatten Gather GatherElements GatherND HammingWindow HannWindow ImageDecoder
    Multinomial NonMaxSuppression NonZero OneHot Optional OptionalGetElement OptionalHasElement Pad RandomNormal
    RandomNormalLike RandomUniform RandomUniformLike Range RegexFullMatch Reshape ReverseSequence Scatter
    ScatterElements ScatterND SequenceAt SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength
    Shape Size Slice SpaceToDepth Split SplitToSequence Squeeze StringConcat StringNormalizer StringSplit
    TensorScatter Tile TopK Transpose Trilu Unique Unsqueeze
"""
"""Shapes, places, choices, sequences, texts, random and constant values."""
_NONE = frozenset(f"{_ELEMENTWISE} {_GATHERING} {_MOVING}".split())


def of_model(model: ModelProto) -> int | None:
    """Of one run of a model, local functions written out; None where an operator's are not known."""
    if model.functions:
        model = inline_local_functions(model)
    facts = facts_of(model)
    return total(of_node(node, facts) for node in model.graph.node)


def of_node(node: NodeProto, facts: Facts) -> int | None:
    """Of one operator; None where they are not counted, or a size is not known.

    One with a body has none where no operator of it has: how often it runs is not known.
    """
    operator = _own_operator(node)
    if operator in _WITH_BODIES:
        bodies = [of_node(inner, facts) for graph in attribute_graphs(node) for inner in graph.node]
        return None if any(figure != 0 for figure in bodies) else 0
    if operator not in _COUNTED:
        return 0 if operator in _NONE else None
    before, kernel, after = (facts.shape(name) for name in (node.input[0], node.input[1], node.output[0]))
    if before is None or kernel is None or after is None or not (before and kernel):
        return None
    return _COUNTED[operator](node, before, kernel, after)


def is_counted(node: NodeProto) -> bool:
    """Whether an operator's multiply-adds are known as soon as all sizes are."""
    return _own_operator(node) in _COUNTED.keys() | _NONE | _WITH_BODIES


def _own_operator(node: NodeProto) -> str:
    """ONNX's name for it; "" for one of another domain."""
    return node.op_type if node.domain in ("", "ai.onnx") else ""
