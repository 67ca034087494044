"""Models of one node each, and on which TensorRT that node is refused, doubtful or taken."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import zoo
from onnx import ModelProto, TensorProto, helper, numpy_helper

from converters.tensorrt_operators.tables import Version

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
Shape = tuple[int, ...]


def constant(name: str, value: object, dtype: str = "float32") -> TensorProto:
    return numpy_helper.from_array(np.array(value, dtype), name)


def one_node(
    operator: str,
    shape: Shape = (1, 4, 8, 8),
    constants: Sequence[TensorProto] = (),
    *,
    inputs: str = "x",
    outputs: str = "y",
    opset: int = 13,
    element: int = FLOAT,
    made: int = FLOAT,
    **attributes: Any,
) -> ModelProto:
    """x of `shape` through one node called "node"; `inputs` and `outputs` as words, "-" for one left out."""
    node = helper.make_node(
        operator,
        [name.strip("-") for name in inputs.split()],
        outputs.split(),
        name="node",
        **attributes,
    )
    return zoo.model(
        [node],
        [zoo.tensor("x", shape, element)],
        [zoo.tensor(name, None, made) for name in outputs.split()],
        constants,
        opset=opset,
    )


def named(**values: tuple[object, str] | object) -> list[TensorProto]:
    """Constants by name: float32, or (value, dtype)."""
    return [
        constant(name, *value) if isinstance(value, tuple) else constant(name, value) for name, value in values.items()
    ]


ALL: tuple[Version, ...] = ((8, 2), (8, 5), (8, 6), (10, 3), (11, 0))
Q, DQ = "QuantizeLinear", "DequantizeLinear"


class Case(NamedTuple):
    """A model whose node "node" is refused (doubted) on these versions and parses on the others.

    `fits` is False where TensorRT-RTX cannot be asked about 11.
    """

    model: ModelProto
    says: str
    refused: tuple[Version, ...] = ALL
    doubted: tuple[Version, ...] = ()
    fits: bool = True


KERNEL = np.ones((2, 4, 3, 3))
RESIZED = named(scales=[1, 1, 2, 2])
BELOW_10 = ALL[:3]


def resized(opset: int = 13, scales: Sequence[int] = (1, 1, 2, 2), **attributes: Any) -> ModelProto:
    return one_node("Resize", inputs="x - scales", constants=named(scales=list(scales)), opset=opset, **attributes)


def quantised(zero_point: tuple[object, str] | None, scale: object = 0.1, opset: int = 13) -> ModelProto:
    """Quantised, by the node "node", and dequantised."""
    parts = ["scale"] + ["zero"] * (zero_point is not None)
    constants = named(scale=scale) + (named(zero=zero_point) if zero_point else [])
    nodes = [
        helper.make_node(Q, ["x", *parts], ["q"], name="node"),
        helper.make_node(DQ, ["q", *parts], ["y"], name="back"),
    ]
    return zoo.model(nodes, [zoo.tensor("x", (1, 4))], [zoo.tensor("y", (1, 4))], constants, opset=opset)


def with_computed(
    operator: str,
    inputs: str,
    name: str,
    value: Sequence[int],
    constants: Sequence[TensorProto] = (),
    **more: Any,
) -> ModelProto:
    """A node one input of which is a constant plus an input of the model: computed."""
    made = one_node(operator, inputs=inputs, constants=[*named(part=(value, "int64")), *constants], **more)
    made.graph.input.append(zoo.tensor("extra", (len(value),), INT64))
    made.graph.node.insert(0, helper.make_node("Add", ["part", "extra"], [name], name="sum"))
    return made


def with_input(model: ModelProto, name: str, shape: Shape, element: int = FLOAT) -> ModelProto:
    """The same with one more input of the model."""
    model.graph.input.append(zoo.tensor(name, shape, element))
    return model


def biased(*nodes: tuple[str, str]) -> ModelProto:
    """A convolution whose bias comes out of nodes: (operator, inputs)."""
    constants = named(kernel=KERNEL, raw=np.zeros(2), q=([0, 0], "int32"), s=0.1, z=(0, "int32"))
    made = one_node("Conv", inputs="x kernel bias", constants=constants)
    for operator, inputs in nodes:
        made.graph.node.insert(0, helper.make_node(operator, inputs.split(), ["bias"], name="before"))
    return made


CASES = {
    "a convolution over 4 dimensions": Case(
        one_node("Conv", (1, 1, 4, 4, 4, 4), named(w=np.ones((1, 1, 2, 2, 2, 2))), inputs="x w"),
        "6 dimensions, and can have 3 to 5",
    ),
    "a convolution over 1 dimension is none": Case(
        one_node("Conv", (1, 1, 8), named(w=np.ones((1, 1, 2))), inputs="x w"), "", refused=()
    ),
    "pooling over 4 dimensions": Case(one_node("MaxPool", (1, 1, 4, 4, 4, 4), kernel_shape=[2] * 4), "can have 3 to 5"),
    "dilated pooling": Case(one_node("MaxPool", kernel_shape=[2, 2], dilations=[1, 2]), "dilations is [1, 2]"),
    "the indices of a pooling": Case(one_node("MaxPool", outputs="y i", kernel_shape=[2, 2], made=FLOAT), "it has 'i'"),
    "a normalisation in training": Case(
        one_node(
            "BatchNormalization",
            inputs="x s s s s",
            outputs="y m v",
            constants=named(s=np.ones(4)),
            opset=15,
            training_mode=1,
        ),
        "first output",
    ),
    "a normalisation by the batch": Case(
        one_node("BatchNormalization", inputs="x s s s s", constants=named(s=np.ones(4)), opset=15, training_mode=1),
        "training_mode is 1",
    ),
    "an instance normalisation with computed scales": Case(
        with_input(one_node("InstanceNormalization", inputs="x s s"), "s", (4,)),
        "its scale or bias must be a constant",
        refused=BELOW_10,
    ),
    "the instance normalisation of a matrix": Case(
        one_node("InstanceNormalization", (2, 3), named(s=np.ones(3)), inputs="x s s"),
        "2 dimensions, and can have 3 to",
    ),
    "space to depth of 5 dimensions": Case(one_node("SpaceToDepth", (1, 1, 4, 4, 4), blocksize=2), "can have 4"),
    "an L3 norm": Case(one_node("LpNormalization", (1, 4), p=3), "p is 3"),
    "a cropping resize": Case(
        one_node(
            "Resize",
            inputs="x roi scales",
            constants=RESIZED + named(roi=[0, 0, 0, 0, 1, 1, 1, 1]),
            coordinate_transformation_mode="tf_crop_and_resize",
        ),
        "coordinate_transformation_mode is 'tf_crop_and_resize'",
    ),
    "an antialiased resize": Case(resized(18, mode="linear", antialias=1), "antialias is 1"),
    "a resize that keeps the aspect ratio": Case(
        one_node(
            "Resize",
            inputs="x - - sizes",
            constants=named(sizes=([1, 4, 16, 16], "int64")),
            opset=18,
            keep_aspect_ratio_policy="not_larger",
        ),
        "keep_aspect_ratio_policy",
    ),
    "tensorflow's nearest neighbour": Case(
        resized(coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor"), "nearest_mode is 'floor'"
    ),
    "a linear resize of the batch": Case(resized(scales=[2, 1, 2, 2], mode="linear"), "scales are [2.0, 1.0"),
    "a cubic resize": Case(resized(mode="cubic"), "mode is 'cubic'", refused=((8, 2),), doubted=((8, 5), (8, 6))),
    "a nearest resize is none": Case(resized(), "", refused=()),
    "a resize by computed scales": Case(
        with_input(one_node("Resize", inputs="x - s"), "s", (4,)),
        "scales must be a constant",
        refused=BELOW_10,
        fits=False,  # a shape that comes from an input needs a profile
    ),
    "a cubic upsample": Case(
        one_node("Upsample", inputs="x scales", constants=RESIZED, opset=9, mode="cubic"), "mode is 'cubic'"
    ),
    "an upsample by computed scales": Case(
        with_input(one_node("Upsample", inputs="x s", opset=9), "s", (4,)), "scales must be a constant"
    ),
    "a computed axis of a sum": Case(
        with_input(one_node("CumSum", inputs="x a"), "a", (), INT64), "axis must be a constant"
    ),
    "a dropout that may be in training": Case(
        with_input(one_node("Dropout", inputs="x r t", constants=named(r=0.5)), "t", (), TensorProto.BOOL),
        "training_mode must be a constant",
    ),
    "wrapping padding": Case(
        one_node("Pad", inputs="x p", constants=named(p=([0, 0, 1, 1] * 2, "int64")), opset=19, mode="wrap"),
        "mode is 'wrap'",
        refused=BELOW_10,
    ),
    "padding of some axes": Case(
        one_node("Pad", inputs="x p - a", constants=named(p=([1, 1] * 2, "int64"), a=([2, 3], "int64")), opset=18),
        "it has the input axes",
        refused=(),
        doubted=((8, 2), (8, 5), (8, 6), (10, 3)),
    ),
    "a scattered sum": Case(
        one_node(
            "ScatterND",
            (4,),
            named(i=([[0]], "int64"), u=[1]),
            inputs="x i u",
            opset=16,
            reduction="add",
        ),
        "reduction is 'add'",
    ),
    "elements scattered into a sum": Case(
        one_node("ScatterElements", (4,), named(i=([0], "int64"), u=[1]), inputs="x i u", opset=16, reduction="add"),
        "reduction is 'add'",
        refused=BELOW_10,
        fits=False,  # the plugin that does it is not part of TensorRT-RTX
    ),
    "computed axes of a squeeze": Case(
        with_computed("Squeeze", "x a", "a", [1], shape=(1, 1, 4)), "axes must be a constant, and is computed"
    ),
    "computed axes of a reduction": Case(
        with_computed("ReduceSum", "x a", "a", [1]), "axes must be a constant, and is computed"
    ),
    "computed axes of a slice": Case(
        with_computed("Slice", "x s e a", "a", [1], named(s=([0], "int64"), e=([2], "int64"))),
        "axes must be a constant",
        refused=BELOW_10,
        fits=False,  # a shape that comes from an input needs a profile
    ),
    "a computed K": Case(
        with_computed("TopK", "x k", "k", [2], shape=(1, 4), outputs="y i"),
        "K must be a constant",
        refused=((8, 2), (8, 5)),
        fits=False,  # as above
    ),
    "a large K": Case(
        one_node("TopK", (1, 5000), named(k=([4000], "int64")), inputs="x k", outputs="y i"), "K is 4000"
    ),
    "an unsorted top": Case(
        one_node("TopK", (1, 50), named(k=([4], "int64")), inputs="x k", outputs="y i", sorted=0),
        "sorted is 0",
        refused=(),
        doubted=((10, 3), (11, 0)),
    ),
    "an ellipsis": Case(one_node("Einsum", inputs="x x", equation="...ij,...ij->...i"), "ellipsis", refused=ALL[:4]),
    "a diagonal": Case(one_node("Einsum", (4, 4), equation="ii->i"), "diagonal", refused=ALL[:4]),
    "a plain product is none": Case(one_node("Einsum", (4, 4), inputs="x x", equation="ij,jk->ik"), "", refused=()),
    "two activations": Case(
        one_node(
            "RNN",
            (3, 1, 4),
            named(w=np.ones((2, 2, 4)), r=np.ones((2, 2, 2))),
            inputs="x w r",
            hidden_size=2,
            direction="bidirectional",
            activations=["Tanh", "Relu"],
        ),
        "activations differ",
    ),
    "coupled gates": Case(
        one_node(
            "LSTM",
            (3, 1, 4),
            named(w=np.ones((1, 8, 4)), r=np.ones((1, 8, 2))),
            inputs="x w r",
            hidden_size=2,
            input_forget=1,
        ),
        "input_forget is 1",
    ),
    "batch first": Case(
        one_node(
            "LSTM",
            (1, 3, 4),
            named(w=np.ones((1, 8, 4)), r=np.ones((1, 8, 2))),
            inputs="x w r",
            opset=14,
            hidden_size=2,
            layout=1,
        ),
        "layout is 1",
        refused=(),
        doubted=ALL,
    ),
    "a bias from an identity": Case(biased(("Identity", "raw")), "computed from constants", refused=(), doubted=ALL),
    "asymmetric quantisation": Case(quantised((3, "int8")), "zero point is not 0"),
    "asymmetric uint8": Case(quantised((128, "uint8")), "zero point is not 0"),
    "unsigned quantisation": Case(
        quantised((0, "uint8")), "uint8, and TensorRT to int8", refused=ALL[:4], doubted=((11, 0),)
    ),
    "no zero point": Case(quantised(None), "zero point", refused=BELOW_10, doubted=((10, 3), (11, 0))),
    "a scale of nothing": Case(quantised((0, "int8"), scale=0.0), "scale is not positive"),
    "symmetric quantisation is none": Case(quantised((0, "int8")), "", refused=()),
    "an operator for networks in training": Case(one_node("Det", (1, 3, 3)), "lacks the operator"),
    "an integer convolution": Case(
        one_node("ConvInteger", (1, 4, 8, 8), named(w=(KERNEL, "int8")), inputs="x w", element=TensorProto.UINT8),
        "lacks the operator",
    ),
    "16-bit integers": Case(
        one_node("Identity", (4,), element=TensorProto.INT16, made=TensorProto.INT16), "no element type int16"
    ),
    "8-bit images": Case(
        one_node("Cast", (4,), element=TensorProto.UINT8, to=FLOAT),
        "uint8",
        refused=((8, 2),),
        doubted=((8, 5), (8, 6)),
    ),
    "double precision is cast": Case(
        one_node("Relu", (4,), element=TensorProto.DOUBLE, made=TensorProto.DOUBLE), "", refused=()
    ),
    "64-bit integers become 32-bit ones": Case(
        one_node("Add", (4,), inputs="x x", element=INT64, made=INT64), "", refused=()
    ),
    "a type the row does not have": Case(
        one_node("ReduceMax", (4,), element=INT64, made=INT64), "computes int64", refused=(), doubted=BELOW_10
    ),
}
