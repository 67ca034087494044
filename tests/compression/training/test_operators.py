from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import zoo
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels import images, layer
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from compression.feeds import session_of
from compression.training.module import OnnxModule
from compression.training.operators import products

INT_MIN, INT_MAX = -(2**63), 2**63 - 1


@dataclass(frozen=True)
class Case:
    """A node of `operator`: `given` are inputs of the graph, `constants` those in the file; None is left out."""

    operator: str
    given: Sequence[NDArray[Any]]
    constants: Sequence[NDArray[Any] | None] = ()
    opset: int = 13
    outputs: int = 1
    attributes: dict[str, Any] = field(default_factory=dict)

    def model(self) -> ModelProto:
        names = [f"x{place}" for place in range(len(self.given))]
        constants = {f"c{place}": value for place, value in enumerate(self.constants) if value is not None}
        read = [f"c{place}" if f"c{place}" in constants else "" for place in range(len(self.constants))]
        outputs = [f"y{place}" for place in range(self.outputs)]
        made = zoo.model(
            [helper.make_node(self.operator, names + read, outputs, name="node", **self.attributes)],
            [zoo.tensor(name, x.shape, element(x)) for name, x in zip(names, self.given, strict=True)],
            [helper.make_empty_tensor_value_info(name) for name in outputs],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
            opset=self.opset,
        )
        for place, output in enumerate(onnx.shape_inference.infer_shapes(made, data_prop=True).graph.output):
            unknown = zoo.tensor(output.name, None, element(self.given[0]))
            made.graph.output[place].CopyFrom(output if output.type.WhichOneof("value") else unknown)
        return made

    def feeds(self) -> dict[str, NDArray[Any]]:
        return {f"x{place}": x for place, x in enumerate(self.given)}


def case(operator: str, *given: NDArray[Any], **rest: Any) -> Any:
    """A parameter of pytest, called after what it tries."""
    known = {name: rest.pop(name) for name in ("constants", "opset", "outputs") if name in rest}
    made = Case(operator, given, attributes=rest, **known)
    said = [f"{name}={value}" for name, value in rest.items()]
    return pytest.param(made, id=" ".join([f"{operator}-{made.opset}", *said]))


def element(x: NDArray[Any]) -> int:
    return helper.np_dtype_to_tensor_dtype(x.dtype)


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def single(value: float) -> NDArray[np.float32]:
    return np.array(value, np.float32)


def assert_equal_to_ort(model: ModelProto, feeds: dict[str, NDArray[Any]], tolerance: float = 1e-5) -> None:
    wanted = session_of(model).run(None, feeds)
    with torch.no_grad():
        got = OnnxModule(model)(*(torch.from_numpy(x) for x in feeds.values()))
    assert len(got) == len(wanted)
    for mine, theirs in zip(got, wanted, strict=True):
        assert mine.numpy().dtype == theirs.dtype
        assert mine.shape == theirs.shape
        scale = np.abs(theirs.astype(float)).max(initial=1e-3)
        np.testing.assert_allclose(mine.numpy(), theirs, rtol=0, atol=tolerance * scale)


X = images(2, 3, 6, 5)
POSITIVE = np.abs(X) + np.float32(0.1)
CHANNELS = images(3), images(3, seed=1)
WHOLE = np.random.default_rng(0).integers(-9, 9, (2, 3, 4))

POINTWISE = [
    *(case(name, X) for name in ("Abs", "Erf", "Exp", "HardSigmoid", "Identity", "LeakyRelu", "Neg", "Elu", "Selu")),
    *(case(name, X) for name in ("Relu", "Sigmoid", "Softplus", "Tanh")),
    *(case(name, POSITIVE) for name in ("Log", "Sqrt", "Reciprocal")),
    *(case(name, X, images(3, 1, 1, seed=1)) for name in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Sum")),
    *(case(name, X, X[:, :1].repeat(3, 1)) for name in ("Equal", "Greater", "Less")),
    *(case(name, X, X[:, :1].repeat(3, 1), opset=16) for name in ("GreaterOrEqual", "LessOrEqual")),
    *(case(name, X > 0, X < 1) for name in ("And", "Or")),
    case("Not", X > 0),
    case("Max", X, -X, images(1, seed=2)),
    case("Min", X),
    case("Div", WHOLE, np.full((1,), 4)),
    case("Pow", POSITIVE, constants=[single(2.5)]),
    case("Pow", X, constants=[ints(2)]),
    case("Pow", WHOLE, constants=[single(2)]),
    case("Where", X > 0, X, images(5, seed=3)),
    case("LeakyRelu", X, alpha=0.3),
    case("Elu", X, alpha=0.5),
    case("Selu", X, alpha=1.5, gamma=0.7),
    case("HardSigmoid", X, alpha=0.3, beta=0.4),
    case("HardSwish", X, opset=14),
    case("Gelu", X, opset=20),
    case("Gelu", X, opset=20, approximate="tanh"),
    case("PRelu", X, constants=[images(3, 1, 1, seed=4)]),
    case("PRelu", X, constants=[images(1, seed=4)]),
    case("Clip", X, opset=7, min=-0.5, max=0.5),
    case("Clip", X, opset=7, max=0.5),
    case("Clip", X, opset=7),
    case("Clip", X),
    case("Clip", X, constants=[single(-0.5), single(0.5)]),
    case("Clip", X, constants=[None, single(0.5)]),
    case("Clip", X, single(-0.5)),
    case("Dropout", X, opset=7),
    case("Dropout", X, constants=[single(0.5)]),
    case("Dropout", X, constants=[single(0.5), np.array(False)]),
    *(case(name, X, opset=opset) for name in ("Softmax", "LogSoftmax") for opset in (11, 13)),
    *(case("Softmax", X, opset=opset, axis=axis) for opset in (7, 13) for axis in (0, 1, 2, 3)),
    case("Softmax", X, opset=11, axis=-2),
]

NORMALISATION = [
    case("BatchNormalization", X, constants=[*CHANNELS, images(3, seed=2), POSITIVE[0, :, 0, 0]], opset=9),
    case(
        "BatchNormalization", X, constants=[*CHANNELS, images(3, seed=2), POSITIVE[0, :, 0, 0]], opset=15, epsilon=0.1
    ),
    case("BatchNormalization", X[..., 0, 0], constants=[*CHANNELS, images(3, seed=2), POSITIVE[0, :, 0, 0]]),
    case("InstanceNormalization", X, constants=CHANNELS, epsilon=0.01),
    case("InstanceNormalization", X[..., 0], constants=CHANNELS),
    case("LayerNormalization", X, constants=[images(5), images(5, seed=1)], opset=17),
    case("LayerNormalization", X, constants=[images(3, 6, 5)], opset=17, axis=1, epsilon=0.1),
    case("LayerNormalization", X, constants=[images(5), images(6, 1)], opset=17, axis=-2),
    *(case(f"Reduce{name}", X) for name in ("Mean", "Sum", "Max", "Min")),
    *(case(f"Reduce{name}", X, opset=11, axes=[2, -1], keepdims=0) for name in ("Mean", "Sum", "Max", "Min")),
    *(case(f"Reduce{name}", X, opset=18, constants=[ints(-1, 1)]) for name in ("Mean", "Sum", "Max", "Min")),
    *(case("ReduceSum", X, noop_with_empty_axes=noop) for noop in (0, 1)),
    case("ReduceSum", WHOLE, constants=[ints(1)]),
]

VOLUME = images(1, 2, 5, 6, 7)
POOLING = [
    *(case(name, each) for name in ("GlobalAveragePool", "GlobalMaxPool") for each in (X, X[..., 0], VOLUME)),
    *(
        case(name, each, kernel_shape=[2] * (each.ndim - 2), strides=[2] * (each.ndim - 2))
        for name in ("AveragePool", "MaxPool")
        for each in (X, X[..., 0], VOLUME)
    ),
    *(
        case(name, X, kernel_shape=[3, 2], auto_pad=auto_pad, strides=strides)
        for name in ("AveragePool", "MaxPool")
        for auto_pad in ("SAME_UPPER", "SAME_LOWER", "VALID")
        for strides in ([1, 1], [2, 3])
    ),
    *(
        case("MaxPool", X, kernel_shape=[3, 2], pads=pads, strides=[2, 2], ceil_mode=ceil)
        for pads in ([0, 0, 0, 0], [1, 1, 1, 1], [2, 0, 1, 1])
        for ceil in (0, 1)
    ),
    *(
        case(
            "AveragePool",
            X,
            opset=19,
            kernel_shape=[3, 2],
            pads=pads,
            strides=[2, 2],
            ceil_mode=ceil,
            count_include_pad=count,
        )
        for pads in ([0, 0, 0, 0], [1, 1, 1, 1], [2, 0, 1, 1])
        for ceil in (0, 1)
        for count in (0, 1)
    ),
    case("MaxPool", X, kernel_shape=[2, 2], dilations=[2, 2], pads=[1, 1, 0, 0]),
    case("MaxPool", X, kernel_shape=[2, 2], dilations=[3, 2]),
    case("AveragePool", X, kernel_shape=[3, 3], pads=[2, 2, 2, 2]),
]

LAYOUT = [
    *(case("Concat", X, -X, axis=axis) for axis in (0, 1, -1)),
    case("Split", X, opset=11, outputs=2, axis=2),
    case("Split", X, opset=11, outputs=2, axis=1, split=[1, 2]),
    case("Split", X, constants=[ints(1, 2)], outputs=2, axis=-3),
    case("Split", X, outputs=3, axis=1),
    case("Split", X, opset=18, outputs=2, axis=1, num_outputs=2),
    case("Slice", X, opset=9, starts=[1, -3], ends=[9, -1], axes=[1, 3]),
    case("Slice", X, opset=9, starts=[0, 1], ends=[1, INT_MAX]),
    case("Slice", X, constants=[ints(1), ints(INT_MAX), ints(-1), ints(2)]),
    case("Slice", X, constants=[ints(-1, 4), ints(INT_MIN, 0), ints(2, 3), ints(-1, -2)]),
    case("Slice", X, constants=[ints(4), ints(2), ints(2)]),
    case("Slice", X, ints(1), ints(3), constants=[ints(2)]),
    *(
        case("Gather", X, constants=[index], axis=axis)
        for index in (ints(2, -1, 0), np.array(1), ints(1).reshape(1, 1))
        for axis in (1, -1)
    ),
    case("Pad", X, opset=9, pads=[0, 0, 1, 2, 0, 0, 2, 0], value=0.5),
    case("Pad", X, opset=9, pads=[0, 0, 1, 2, 0, 0, 2, 0], mode="reflect"),
    case("Pad", X, constants=[ints(0, 1, -1, 2, 0, 0, 2, -1), single(0.5)]),
    case("Pad", X, opset=18, constants=[ints(1, 0, 0, 1), None, ints(1, -1)]),
    *(case("Pad", X, constants=[ints(0, 0, 3, 2, 0, 0, 1, 4)], mode=mode) for mode in ("reflect", "edge")),
    case("Pad", X, constants=[ints(0, 0, -1, 2, 0, 0, 1, -2)], mode="edge"),
    case("Pad", X, opset=19, constants=[ints(0, 0, 3, 2, 0, 0, 1, 4)], mode="wrap"),
    case("Pad", X, ints(0, 0, 1, 1, 0, 0, 1, 1)),
    case("Transpose", X),
    case("Transpose", X, perm=[0, 2, 3, 1]),
    *(case("DepthToSpace", images(2, 8, 3, 2), blocksize=2, mode=mode) for mode in ("DCR", "CRD")),
    case("SpaceToDepth", images(2, 3, 4, 6), blocksize=2),
]

SHAPE = [
    *(case("Reshape", X, constants=[ints(*sizes)]) for sizes in ((2, 90), (0, -1, 5), (-1,), (0, 0, 30))),
    case("Reshape", X, ints(2, -1)),
    case("Reshape", X[:0], constants=[ints(0, 3, 30)], opset=14, allowzero=1),
    *(case("Flatten", X, axis=axis) for axis in (0, 1, 2, -1, 4)),
    case("Squeeze", X[:, :1, :, :1], opset=11, axes=[1, -1]),
    case("Squeeze", X[:, :1, :, :1], constants=[ints(3)]),
    case("Squeeze", X[:1, :1]),
    case("Unsqueeze", X, opset=11, axes=[0, -1, 3]),
    case("Unsqueeze", X, constants=[ints(-1, 0)]),
    case("Shape", X),
    case("Shape", X, opset=15, start=1, end=-1),
    case("Expand", X[:, :1], constants=[ints(1, 2, 3, 6, 5)]),
    case("Expand", X[:, :1], constants=[ints(3, 1, 1)]),
    case("Expand", X[:, :1], ints(2, 3, 1, 1)),
    case("ConstantOfShape", ints(2, 3)),
    case("ConstantOfShape", ints(2, 3), value=numpy_helper.from_array(ints(7))),
    *(
        case("Cast", X * 3, to=to)
        for to in (TensorProto.INT64, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BOOL)
    ),
    case("Cast", WHOLE, to=TensorProto.FLOAT),
]


def resized(x: NDArray[Any], scales: Sequence[float], opset: int = 13, **attributes: Any) -> Any:
    constants = [None, np.array(scales, np.float32)] if opset > 10 else [np.array(scales, np.float32)]
    made: Any = case("Resize" if opset > 9 else "Upsample", x, constants=constants, opset=opset, **attributes)
    return pytest.param(*made.values, id=f"{made.id} {scales}")


COORDINATES = ("asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel")
RESIZE = [
    case("Upsample", X, opset=7, scales=[1.0, 1.0, 2.0, 3.0]),
    case("Upsample", X, opset=7, scales=[1.0, 1.0, 2.0, 3.0], mode="linear"),
    *(resized(X, [1, 1, 2, 2], opset, mode=mode) for opset in (9, 10) for mode in ("nearest", "linear")),
    resized(X, [1, 1, 0.5, 0.6], 10),
    *(resized(images(1, 1, 10, 6), [1, 1, 0.7, 1.1], mode=mode) for mode in ("nearest", "linear")),
    *(
        resized(X, scales, mode="linear", coordinate_transformation_mode=coordinates)
        for coordinates in COORDINATES
        for scales in ([1, 1, 2, 2], [1, 1, 1.7, 0.6], [1, 1, 0.2, 3])
    ),
    *(
        resized(X, scales, coordinate_transformation_mode=coordinates, nearest_mode=rounding)
        for coordinates in COORDINATES
        for rounding in ("floor", "round_prefer_floor", "ceil", "round_prefer_ceil")
        for scales in ([1, 1, 2, 2], [1, 1, 1.7, 0.6])
    ),
    *(case("Resize", X, constants=[None, None, ints(2, 3, 12, 9)], mode=mode) for mode in ("nearest", "linear")),
    *(
        case("Resize", X, constants=[None, None, ints(9, 12)], opset=18, axes=[3, 2], mode=mode)
        for mode in ("nearest", "linear")
    ),
    *(resized(X[..., 0], [1, 1, 2.5], mode=mode) for mode in ("nearest", "linear")),
    *(resized(VOLUME, [1, 1, 2, 2, 2], mode=mode) for mode in ("nearest", "linear")),
]

PRODUCTS = [
    case("Gemm", images(4, 5), constants=[images(5, 3), images(3)]),
    case("Gemm", images(5, 4), constants=[images(3, 5), images(4, 1)], transA=1, transB=1, alpha=0.5, beta=2.0),
    case("Gemm", images(4, 5), constants=[images(5, 3)], alpha=0.5),
    case("Gemm", images(4, 5), constants=[images(5, 3), single(0.3)]),
    case("MatMul", images(2, 4, 5), constants=[images(5, 3)]),
    case("MatMul", images(2, 3, 4, 5), images(3, 5, 2)),
    case("MatMul", images(5), images(5, 2)),
]

CASES = [*POINTWISE, *NORMALISATION, *POOLING, *LAYOUT, *SHAPE, *RESIZE, *PRODUCTS]


@pytest.mark.parametrize("each", CASES)
def test_an_operator_computes_what_onnx_runtime_does(each: Case) -> None:
    assert_equal_to_ort(each.model(), each.feeds())


@pytest.mark.parametrize("each", [each for each in CASES if each.values[0].given[0].dtype == np.float32])
def test_an_operator_takes_what_autocast_makes_of_its_inputs(each: Case) -> None:
    """bfloat16 beside constants of float32."""
    module, x = OnnxModule(each.model()), [torch.from_numpy(x) for x in each.given]
    rough = [given.bfloat16() if given.is_floating_point() else given for given in x]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        got = module(*rough)
    with torch.no_grad():
        wanted = module(*x)
    for mine, exact in zip(got, wanted, strict=True):
        assert mine.shape == exact.shape
        if exact.is_floating_point() and exact.numel():
            assert (mine - exact).abs().max() < 0.05 * exact.abs().max()


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[ModelProto, NDArray[Any]]:
    """A Conv or ConvTranspose of any sort, and an input for it."""
    operator, groups, places = (
        draw(st.sampled_from(["Conv", "ConvTranspose"])),
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
    )
    window, strides, dilations = (tuple(draw(st.integers(1, top)) for _ in range(places)) for top in (4, 3, 2))
    outputs, inputs = draw(st.integers(1, 3)) * groups, draw(st.integers(1, 3)) * groups
    channels = (outputs, inputs // groups) if operator == "Conv" else (inputs, outputs // groups)
    x = images(draw(st.integers(1, 2)), inputs, *(draw(st.integers(7, 9)) for _ in range(places)))
    attributes: dict[str, Any] = {"group": groups, "strides": strides, "dilations": dilations}
    padding = draw(st.sampled_from(["none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if padding == "pads":
        attributes["pads"] = [draw(st.integers(0, size - 1)) for _ in range(2) for size in window]
    elif padding != "none" and (operator == "ConvTranspose" or max(dilations) == 1):  # else ONNX Runtime has none
        attributes["auto_pad"] = padding
    if operator == "ConvTranspose" and draw(st.booleans()):
        attributes["output_padding"] = [draw(st.integers(0, stride - 1)) for stride in strides]
    if operator == "ConvTranspose" and padding != "pads" and draw(st.booleans()):
        attributes["output_shape"] = [size * step for size, step in zip(x.shape[2:], strides, strict=True)]
    bias = images(outputs) if draw(st.booleans()) else None
    return layer(operator, images(*channels, *window, seed=1), x.shape, bias, **attributes), x


@given(convolutions(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_convolution_of_any_sort_computes_what_onnx_runtime_does(
    case: tuple[ModelProto, NDArray[Any]], as_product: bool
) -> None:
    model, x = case
    with pytest.MonkeyPatch.context() as patched:
        if as_product:
            patched.setattr(products, "WEIGHTS_PER_PLACE", 0)
            patched.setattr(products, "LEAST_WEIGHTS", 0)
        assert_equal_to_ort(model, {"x": x})


@st.composite
def pools(draw: st.DrawFn) -> Case:
    operator, places = draw(st.sampled_from(["AveragePool", "MaxPool"])), draw(st.integers(1, 3))
    window = [draw(st.integers(1, 4)) for _ in range(places)]
    strides = [draw(st.integers(1, size)) for size in window]  # ONNX Runtime takes no SAME with larger ones
    attributes: dict[str, Any] = {"kernel_shape": window, "strides": strides}
    padding = draw(st.sampled_from(["none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if padding == "pads":
        attributes["pads"] = [draw(st.integers(0, size - 1)) for _ in range(2) for size in window]
    elif padding != "none":
        attributes["auto_pad"] = padding
    if not padding.startswith("SAME"):
        attributes["ceil_mode"] = draw(st.integers(0, 1))
    if operator == "AveragePool":
        attributes["count_include_pad"] = draw(st.integers(0, 1))
    elif not padding.startswith("SAME"):
        attributes["dilations"] = [draw(st.integers(1, 2)) for _ in window]
    x = images(1, 2, *(draw(st.integers(7, 9)) for _ in window))
    return Case(operator, [x], opset=19, attributes=attributes)


@given(pools())
@settings(max_examples=60, deadline=None)
def test_a_pool_of_any_sort_computes_what_onnx_runtime_does(case: Case) -> None:
    assert_equal_to_ort(case.model(), case.feeds())
