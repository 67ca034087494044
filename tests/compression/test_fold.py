from typing import Any

import numpy as np
import pytest
import zoo
from kernels import chain, falling, images, relative_difference, run
from onnx import ModelProto, NodeProto, helper, numpy_helper

from compression.errors import NanWeightsError
from compression.fold import fold_batch_normalisation
from compression.graph import inlined

NORM = ("scale", "shift", "mean", "variance")


def statistics(channels: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(channels)
    rows = [
        rng.uniform(0.5, 2, channels),
        rng.normal(size=channels),
        rng.normal(size=channels),
        rng.uniform(0.1, 3, channels),
    ]
    return dict(zip(NORM, (row.astype(np.float32) for row in rows), strict=True))


def norm(source: str = "h", result: str = "y", **attributes: Any) -> NodeProto:
    return helper.make_node("BatchNormalization", [source, *NORM], [result], **attributes)


def conv(*more: str, **attributes: Any) -> NodeProto:
    return helper.make_node("Conv", ["x", "w", *more], ["h"], **attributes)


CASES = {
    "Conv": ([conv(pads=[1, 1, 1, 1]), norm()], (2, 4, 6, 6), {"w": falling(6, 4, 3, 3)}, 6),
    "Conv with bias": ([conv("b"), norm(epsilon=0.1)], (2, 4, 6, 6), {"w": falling(6, 4, 3, 3), "b": images(6)}, 6),
    "Conv in groups": ([conv(group=2), norm()], (2, 8, 6, 6), {"w": falling(6, 4, 3, 3)}, 6),
    "Conv in 1-D": ([conv(), norm()], (2, 4, 9), {"w": falling(6, 4, 3)}, 6),
    "ConvTranspose": (
        [helper.make_node("ConvTranspose", ["x", "w", "b"], ["h"], strides=[2, 2]), norm()],
        (2, 4, 5, 5),
        {"w": falling(4, 6, 3, 3), "b": images(6)},
        6,
    ),
    "ConvTranspose in groups": (
        [helper.make_node("ConvTranspose", ["x", "w"], ["h"], group=2), norm()],
        (2, 4, 5, 5),
        {"w": falling(4, 3, 3, 3)},
        6,
    ),
    "Gemm": (
        [helper.make_node("Gemm", ["x", "w", "b"], ["h"], alpha=0.5, beta=2.0), norm()],
        (5, 4),
        {"w": falling(4, 6), "b": images(6)},
        6,
    ),
    "Gemm turned": ([helper.make_node("Gemm", ["x", "w"], ["h"], transB=1), norm()], (5, 4), {"w": falling(6, 4)}, 6),
    "Gemm with one bias for all": (
        [helper.make_node("Gemm", ["x", "w", "b"], ["h"]), norm()],
        (5, 4),
        {"w": falling(4, 6), "b": images(1, 1)},
        6,
    ),
    "twice": ([conv(), norm(result="i"), norm("i")], (2, 4, 6, 6), {"w": falling(6, 4, 3, 3)}, 6),
}


def made(name: str) -> ModelProto:
    nodes, dims, constants, channels = CASES[name]
    return chain(nodes, dims, **constants, **statistics(channels))


@pytest.mark.parametrize("name", CASES)
def test_the_folded_model_computes_the_same(name: str) -> None:
    model = made(name)
    folded = inlined(model)
    assert fold_batch_normalisation(folded) == (2 if name == "twice" else 1)
    assert [node.op_type for node in folded.graph.node] == [model.graph.node[0].op_type]
    assert len(folded.graph.initializer) == 2  # kernel and bias: nothing unread is left
    x = images(*CASES[name][1])
    assert relative_difference(run(folded, x=x)[0], run(model, x=x)[0]) < 2e-6


def test_the_arithmetic_is_exact_to_rounding() -> None:
    model = made("Conv with bias")
    values = {tensor.name: numpy_helper.to_array(tensor).astype(float) for tensor in model.graph.initializer}
    fold_batch_normalisation(model)
    kernel, bias = (numpy_helper.to_array(tensor) for tensor in model.graph.initializer)
    gain = values["scale"] / np.sqrt(values["variance"] + 0.1)
    np.testing.assert_allclose(kernel, values["w"] * gain[:, None, None, None], rtol=1e-6)
    np.testing.assert_allclose(bias, (values["b"] - values["mean"]) * gain + values["shift"], rtol=1e-6, atol=1e-7)


UNSAFE = {
    "the output goes elsewhere too": [
        conv(pads=[1, 1, 1, 1]),
        norm(result="n"),
        helper.make_node("Add", ["h", "n"], ["y"]),
    ],
    "the kernel is shared": [conv(pads=[1, 1, 1, 1]), norm(result="n"), helper.make_node("Conv", ["n", "w"], ["y"])],
    "something stands between": [conv(), helper.make_node("Relu", ["h"], ["r"]), norm("r")],
    "the kernel is added as well": [
        conv(),
        norm(result="n"),
        helper.make_node("ReduceSum", ["w"], ["s"], keepdims=0),
        helper.make_node("Add", ["n", "s"], ["y"]),
    ],
    "it trains": [conv(), helper.make_node("BatchNormalization", ["h", *NORM], ["y", "m", "v"], training_mode=1)],
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_would_change_is_left(name: str) -> None:
    model = chain(UNSAFE[name], (2, 6, 6, 6), opset=14, w=falling(6, 6, 3, 3), **statistics(6))
    before = model.SerializeToString()
    assert fold_batch_normalisation(model) == 0
    assert model.SerializeToString() == before


def test_a_bias_per_row_is_left() -> None:
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["h"]), norm()]
    assert fold_batch_normalisation(chain(nodes, (5, 4), w=falling(4, 6), b=images(5, 1), **statistics(6))) == 0


def test_old_operators_are_left() -> None:
    assert (
        fold_batch_normalisation(chain([conv(), norm()], (2, 4, 6, 6), opset=8, w=falling(6, 4, 3, 3), **statistics(6)))
        == 0
    )


def test_a_variance_below_zero_is_refused() -> None:
    constants = {**statistics(6), "variance": np.full(6, -1, np.float32)}
    with np.errstate(invalid="ignore"), pytest.raises(NanWeightsError, match="batch normalisation"):
        fold_batch_normalisation(chain([conv(), norm()], (2, 4, 6, 6), w=falling(6, 4, 3, 3), **constants))


def test_stale_sizes_go() -> None:
    model = made("Conv")
    model.graph.value_info.append(zoo.tensor("h", (2, 6, 6, 6)))
    fold_batch_normalisation(model)
    assert not model.graph.value_info
