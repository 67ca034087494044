import numpy as np
import pytest
from kernels import chain, falling, images, mixed, run
from onnx import ModelProto, helper, numpy_helper

from compression.feeds import session_of
from compression.graph import inlined
from compression.layers import find_layers
from compression.refit import refit
from compression.surgery import replace_layers
from compression.tucker import decompose


def cut(model: ModelProto, rank: int = 3) -> tuple[ModelProto, list[str]]:
    """All layers at one output rank, and their output factors."""
    draft = inlined(model)
    found = find_layers(draft)
    factors = {
        each: decompose(
            each.kernel(), (min(rank, each.sizes.outputs), each.sizes.inputs), each.form.kind, each.form.groups
        )
        for each in found
    }
    parts = replace_layers(draft, factors)
    return draft, [each.last for each in parts.values() if each.last is not None]


def two_layers(**second: int) -> ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["h"], name="one", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("ConvTranspose", ["r", "v"], ["y"], name="two", strides=[2, 2], **second),
    ]
    v = falling(8, 8 // second.get("group", 1), 3, 3, seed=1)
    return chain(nodes, ("N", 4, 8, 8), w=falling(8, 4, 3, 3), b=images(8), v=v)


def error(model: ModelProto, other: ModelProto, x: np.ndarray) -> float:
    return float(np.mean((run(model, x=x)[0] - run(other, x=x)[0]) ** 2))


@pytest.mark.parametrize("groups", [1, 2])
def test_comes_closer_to_the_original_on_images_it_has_not_seen(groups: int) -> None:
    original = two_layers(group=groups)
    model, kernels = cut(original)
    before = inlined(model)
    seen, unseen = mixed(40, 4, 8, 8, sources=2), mixed(10, 4, 8, 8, seed=1, sources=2)
    refit(model, original, kernels, seen)
    assert error(model, original, unseen) < 0.9 * error(before, original, unseen)


def single(
    node: str, rows: tuple[int, ...], kernel: np.ndarray, bias: np.ndarray | None = None, **attributes: object
) -> ModelProto:
    left = attributes.pop("left", False)
    inputs = (["w", "x"] if left else ["x", "w"]) + ([] if bias is None else ["b"])
    constants = {"w": kernel} | ({} if bias is None else {"b": bias})
    return chain([helper.make_node(node, inputs, ["y"], name="layer", **attributes)], rows, **constants)


CASES = {
    "Conv": single("Conv", ("N", 6, 5, 5), falling(8, 6, 1, 1), images(8)),
    "Conv without bias": single("Conv", ("N", 6, 5, 5), falling(8, 6, 1, 1)),
    "Gemm": single("Gemm", ("N", 12), falling(12, 10), images(10), alpha=0.5, beta=2.0),
    "Gemm turned": single("Gemm", ("N", 12), falling(10, 12), images(1, 10), transB=1),
    "Gemm without bias": single("Gemm", ("N", 12), falling(12, 10)),
    "Gemm on the left": single("Gemm", (12, "N"), falling(10, 12), images(10, 1), left=True, alpha=0.5),
    "MatMul": single("MatMul", ("N", 3, 12), falling(12, 10)),
    "MatMul on the left": single("MatMul", ("N", 12, 5), falling(10, 12), left=True),
}


@pytest.mark.parametrize("name", CASES)
def test_is_the_least_squares_solution(name: str) -> None:
    """Against numpy's lstsq on the factor's inputs, a column of ones beside them where there can be a bias."""
    original = CASES[name]
    model, kernels = cut(original)
    dims = [dim.dim_value or 400 for dim in original.graph.input[0].type.tensor_type.shape.dim]
    x = 1 + images(*dims)
    hidden = inlined(model)
    del hidden.graph.output[:]
    hidden.graph.output.append(helper.make_tensor_value_info(model.graph.node[0].output[0], 1, None))
    axis = 1 if "Conv" in name else (len(dims) - 2 if "left" in name else len(dims) - 1)
    h, y = (
        np.moveaxis(values.astype(float), axis, -1).reshape(-1, values.shape[axis])
        for values in (session_of(hidden).run(None, {"x": x})[0], run(original, x=x)[0])
    )
    free = name.startswith(("Conv", "Gemm")) and "left" not in name
    if free:
        h = np.concatenate([h, np.ones((len(h), 1))], 1)
    elif "Gemm" in name:
        y = y - numpy_helper.to_array(original.graph.initializer[1]).reshape(1, -1)
    solution = np.linalg.lstsq(h, y, rcond=None)[0]
    refit(model, original, kernels, lambda: iter([{"x": x}]), ridge=0)
    got = np.moveaxis(run(model, x=x)[0].astype(float), axis, -1).reshape(y.shape)
    if not free and "Gemm" in name:
        got = got - numpy_helper.to_array(original.graph.initializer[1]).reshape(1, -1)
    np.testing.assert_allclose(got, h @ solution, atol=2e-4 * np.abs(y).max())


def test_a_shared_kernel_is_fitted_for_all_its_users_and_each_has_its_own_bias() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["h"], name="one", pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["h", "w", "b"], ["y"], name="two", pads=[1, 1, 1, 1]),
    ]
    original = chain(nodes, ("N", 8, 6, 6), w=falling(8, 8, 3, 3), b=images(8))
    model, kernels = cut(original)
    before, x = inlined(model), images(30, 8, 6, 6)
    refit(model, original, kernels, x)
    assert error(model, original, x) < 0.9 * error(before, original, x)
    biases = [node.input[2] for node in model.graph.node if node.name.endswith(".last")]
    assert len(set(biases)) == 2
    assert "b" not in {tensor.name for tensor in model.graph.initializer}


def test_no_image_moves_what_it_does_not_show() -> None:
    """One image has fewer places than the factor has inputs: the ridge keeps the rest."""
    original = CASES["Gemm"]
    model, kernels = cut(original, rank=8)
    before = inlined(model)
    refit(model, original, kernels, images(1, 12), ridge=1e-3)
    unseen = images(50, 12, seed=3)
    assert error(model, original, unseen) < 4 * error(before, original, unseen)
    refit(before, original, kernels, np.zeros((5, 12), np.float32))
    assert np.isfinite(run(before, x=unseen)[0]).all()


def test_equal_images_give_equal_factors() -> None:
    original = two_layers()
    models = []
    for _ in range(2):
        model, kernels = cut(original)
        refit(model, original, kernels, images(20, 4, 8, 8))
        models.append(model.SerializeToString(deterministic=True))
    assert models[0] == models[1]
