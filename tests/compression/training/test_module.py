import copy
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import zoo
from kernels import Array, chain, images, layer
from low_pass import build_autoencoder, low_pass_weights, to_onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch.overrides import TorchFunctionMode

from compression.autoencoder import AutoencoderSpec
from compression.compress import compress
from compression.errors import ExternalWeightsError, UnsupportedOperatorError
from compression.feeds import session_of
from compression.training.module import OnnxModule, written_back


def small() -> ModelProto:
    """An autoencoder of ours at 32 x 32."""
    spec = AutoencoderSpec(32, (8, 16, 32))
    return to_onnx(spec, low_pass_weights(spec), images(3, 32, 32))


def outputs(module: OnnxModule, *inputs: Array) -> list[Array]:
    with torch.no_grad():
        return [made.numpy() for made in module(*map(torch.from_numpy, inputs))]


def assert_equal_to_ort(model: ModelProto, *inputs: Array, module: OnnxModule | None = None) -> None:
    got = outputs(module or OnnxModule(model), *inputs)
    listed = {tensor.name for tensor in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in listed]
    wanted = session_of(model).run(None, dict(zip(names, inputs, strict=True)))
    assert len(got) == len(wanted)
    for mine, theirs in zip(got, wanted, strict=True):
        assert (mine.shape, mine.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-5 * np.abs(theirs.astype(float)).max(initial=1e-3))


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """Names are parted by spaces; "_" is an input that is left out."""
    read = ["" if name == "_" else name for name in inputs.split()]
    return helper.make_node(
        operator, read, outputs.split(), name=f"{operator.lower()}_{outputs.split()[0]}", **attributes
    )


def constant(name: str, value: Array) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


# --- what it computes


@pytest.mark.parametrize("size", [32, 64])
def test_our_autoencoder_computes_what_onnx_runtime_does(size: int) -> None:
    assert_equal_to_ort(build_autoencoder(size=size), np.random.default_rng(1).random((1, 3, size, size), np.float32))


@pytest.mark.parametrize("rate", [0.5, 0.98])
def test_its_compressed_form_does_too(rate: float) -> None:
    compressed = compress(build_autoencoder(size=32), rate).model
    assert_equal_to_ort(compressed, np.random.default_rng(1).random((1, 3, 32, 32), np.float32))


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (zoo.identity(), [(1, 3, 4, 4)]),
        (zoo.convolution(), [(1, 3, 8, 8)]),
        (zoo.dynamic_batch(), [(3, 3, 8, 8)]),
        (zoo.dynamic_image(), [(2, 3, 9, 7)]),
        (zoo.masked(), [(2, 3, 4, 4), (2, 1, 4, 4)]),
        (zoo.classifier(), [(1, 3, 8, 8)]),
        (zoo.autoencoder(), [(1, 3, 16, 16)]),
        (zoo.default_input(), [(1, 4)]),
        (zoo.default_input(ir_version=3), [(1, 4)]),
    ],
)
def test_models_of_the_zoo(model: ModelProto, shapes: list[tuple[int, ...]]) -> None:
    assert_equal_to_ort(model, *(images(*shape, seed=seed) for seed, shape in enumerate(shapes)))


def test_inputs_of_every_element_type_and_outputs_in_the_graphs_order() -> None:
    model = zoo.mixed()
    dtypes = [helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type) for value in model.graph.input]
    inputs = [np.arange(size).reshape(1, size).astype(dtype) for size, dtype in enumerate(dtypes, start=2)]
    assert_equal_to_ort(model, *inputs)


def resized_like_torch_exports() -> ModelProto:
    """Twice the size that the image has, and a row for each image."""
    return chain(
        [
            node("Shape", "x", "shape"),
            node("Slice", "shape from upto", "places"),
            node("Mul", "places two", "larger"),
            node("Slice", "shape zero from", "batch_channels"),
            node("Concat", "batch_channels larger", "sizes", axis=0),
            node("Resize", "x _ _ sizes", "resized", mode="linear"),
            node("Gather", "shape zero", "batch"),
            node("Concat", "batch minus", "rows", axis=0),
            node("Reshape", "resized rows", "flat"),
            node("ConstantOfShape", "rows_of", "ones", value=numpy_helper.from_array(np.ones(1, np.float32))),
            node("Expand", "ones shape_of_flat", "many"),
            node("Add", "flat many", "y"),
        ],
        ("N", 3, "H", "W"),
        **{"from": ints(2), "upto": ints(4)},
        two=ints(2),
        zero=ints(0),
        minus=ints(-1),
        rows_of=ints(1),
        shape_of_flat=ints(1),
    )


def test_shapes_that_the_graph_computes() -> None:
    assert_equal_to_ort(resized_like_torch_exports(), images(2, 3, 5, 7))


def test_operators_at_the_newest_opset() -> None:
    model = chain(
        [
            node("Conv", "x kernel", "a", pads=[1, 1, 1, 1]),
            node("InstanceNormalization", "a scale bias", "b"),
            node("MaxPool", "b", "c", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
            node("AveragePool", "c", "d", kernel_shape=[2, 2], pads=[1, 0, 1, 0]),
            node("ConvTranspose", "d kernel", "e", strides=[2, 2]),
            node("Selu", "e", "f"),
            node("Pad", "f pads", "g", mode="reflect"),
            node("Transpose", "g", "h", perm=[0, 2, 3, 1]),
            node("Flatten", "h", "i"),
            node("Unsqueeze", "i axes", "j"),
            node("Squeeze", "j axes", "k"),
            node("Softplus", "k", "y"),
        ],
        (1, 3, 7, 7),
        opset=25,
        kernel=images(3, 3, 3, 3),
        scale=images(3),
        bias=images(3),
        pads=ints(0, 0, 1, 1, 0, 0, 1, 1),
        axes=ints(1),
    )
    model.ir_version = 11
    assert_equal_to_ort(model, images(1, 3, 7, 7))


def test_functions_of_the_model() -> None:
    """Which a model may define for itself."""
    body = [node("Conv", "a k", "b"), node("Relu", "b", "c")]
    function = helper.make_function("ours", "block", ["a", "k"], ["c"], body, [helper.make_opsetid("", 13)])
    model = zoo.model(
        [helper.make_node("block", ["x", "kernel"], ["y"], domain="ours", name="call")],
        [zoo.tensor("x", (1, 3, 5, 5))],
        [zoo.tensor("y", (1, 4, 3, 3))],
        [zoo.weights("kernel", 4, 3, 3, 3)],
        domains={"ours": 1},
    )
    model.functions.append(function)
    module = OnnxModule(model)
    assert list(module.weights()) == ["kernel"]
    assert_equal_to_ort(model, images(1, 3, 5, 5), module=module)


# --- batches


def shuffled() -> ModelProto:
    """Channel shuffle and a classifier, exported for one image: every shape in the file begins with 1."""
    return chain(
        [
            node("Reshape", "x grouped", "a"),
            node("Transpose", "a", "b", perm=[0, 2, 1, 3, 4]),
            node("Reshape", "b whole", "c"),
            node("Reshape", "c flat", "d"),
            node("Gemm", "d kernel", "e"),
            node("Reshape", "e square", "f"),
            node("Mul", "f f", "y"),
        ],
        (1, 4, 2, 2),
        grouped=ints(1, 2, 2, 2, 2),
        whole=ints(1, 4, 2, 2),
        flat=ints(1, -1),
        kernel=images(16, 9),
        square=ints(1, 1, 3, 3),
    )


def windowed() -> ModelProto:
    """Windows of 2 x 2 as a batch of their own, as a transformer over windows has them, and back."""
    return chain(
        [
            node("Reshape", "x cut", "a"),
            node("Transpose", "a", "b", perm=[0, 2, 4, 1, 3, 5]),
            node("Reshape", "b windows", "c"),
            node("Softmax", "c", "d"),
            node("MatMul", "d kernel", "e"),
            node("Reshape", "e back", "f"),
            node("Transpose", "f", "y", perm=[0, 3, 1, 4, 2, 5]),
        ],
        (1, 3, 4, 4),
        cut=ints(1, 3, 2, 2, 2, 2),
        windows=ints(4, 3, 4),
        kernel=images(4, 4),
        back=ints(1, 2, 2, 3, 2, 2),
    )


@pytest.mark.parametrize("made", [shuffled, windowed, small, zoo.classifier, zoo.autoencoder])
def test_a_model_for_one_image_takes_many(made: Callable[[], ModelProto]) -> None:
    model = made()
    module = OnnxModule(model)
    sizes = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    batch = images(5, *sizes[1:])
    one_by_one = [session_of(model).run(None, {model.graph.input[0].name: image[np.newaxis]})[0] for image in batch]
    np.testing.assert_allclose(outputs(module, batch)[0], np.concatenate(one_by_one), rtol=1e-4, atol=1e-5)


def test_a_model_for_four_images_takes_eight() -> None:
    model = chain([node("Reshape", "x sizes", "y")], (4, 2, 3), sizes=ints(4, -1))
    x = images(8, 2, 3)
    np.testing.assert_array_equal(outputs(OnnxModule(model), x)[0], x.reshape(8, 6))


def test_a_shape_that_would_mix_images_is_refused() -> None:
    """The sequence comes first, the batch second, and both make rows."""
    nodes = [node("Transpose", "x", "a", perm=[1, 0, 2]), node("Reshape", "a heads", "y")]
    module = OnnxModule(chain(nodes, (1, 6, 4), heads=ints(6, 2, 2)))
    with pytest.raises(RuntimeError, match="invalid for input of size"):
        outputs(module, images(3, 6, 4))


# --- what may change


def every_weight() -> ModelProto:
    """All operators that have weights, and constants that are none."""
    return chain(
        [
            node("Sub", "x mean", "centred"),
            node("Conv", "centred conv.weight conv.bias", "a", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "a scale shift moving variance", "b"),
            node("PRelu", "b slope", "c"),
            node("ConvTranspose", "c up up.bias", "d"),
            node("InstanceNormalization", "d scale shift", "e"),
            constant("half", np.full((1,), 0.5, np.float32)),
            node("Mul", "e half", "f"),
            node("LayerNormalization", "f layer.scale layer.bias", "g"),
            node("Flatten", "g", "h"),
            constant("matrix", images(4 * 36, 6)),
            node("MatMul", "h matrix", "i"),
            node("Transpose", "turned", "straight", perm=[1, 0]),
            node("Gemm", "i straight gemm.bias", "j"),
            node("Gemm", "j straight", "k", transB=1),
            node("Add", "k offset", "y"),
        ],
        (1, 3, 6, 6),
        opset=17,
        mean=images(1, 3, 6, 6),
        slope=images(4, 1, 1),
        scale=images(4),
        shift=images(4, seed=1),
        moving=images(4, seed=2),
        variance=np.ones(4, np.float32),
        up=images(4, 4, 1, 1),
        turned=images(5, 6),
        offset=images(6),
        **{
            "conv.weight": images(4, 3, 3, 3),
            "conv.bias": images(4),
            "up.bias": images(4),
            "layer.scale": images(6),
            "layer.bias": images(6),
            "gemm.bias": images(5),
        },
    )


KERNELS = ["conv.weight", "up", "turned", "matrix"]


def test_kernels_biases_scales_and_slopes_are_parameters_and_all_else_is_not() -> None:
    module = OnnxModule(every_weight())
    weights = module.weights()
    others = ["conv.bias", "scale", "shift", "slope", "up.bias", "layer.scale", "layer.bias", "gemm.bias"]
    assert sorted(weights) == sorted(KERNELS + others)
    assert {id(each) for each in module.kernels()} == {id(weights[name]) for name in KERNELS}
    assert {id(each) for each in module.parameters()} == {id(each) for each in weights.values()}
    assert len(list(module.buffers())) == len(["mean", "moving", "variance", "half", "offset"])
    assert set(module.state_dict()) == set(module.parameter_names.values())


def test_every_weight_has_a_gradient() -> None:
    """A shared one, of what all its uses did."""
    module = OnnxModule(every_weight())
    module(torch.from_numpy(images(4, 3, 6, 6)))[0].square().mean().backward()
    for name, weight in module.weights().items():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0, name


def trained(model: ModelProto, *shape: int) -> OnnxModule:
    """After one step of SGD."""
    module = OnnxModule(model)
    optimiser = torch.optim.SGD(module.parameters(), lr=1e-2)
    module(torch.from_numpy(images(*shape, seed=7)))[0].square().mean().backward()
    optimiser.step()
    return module


@pytest.mark.parametrize(("made", "size"), [(every_weight, 6), (small, 32), (lambda: compress(small(), 0.9).model, 32)])
def test_what_is_written_back_computes_in_onnx_runtime_what_the_module_does(
    made: Callable[[], ModelProto], size: int
) -> None:
    model = made()
    module = trained(model, 4, 3, size, size)
    x = images(1, 3, size, size)
    before = session_of(model).run(None, {model.graph.input[0].name: x})[0]
    written = written_back(module, model)
    onnx.checker.check_model(written, full_check=True)
    assert_equal_to_ort(written, x, module=module)
    assert np.abs(outputs(module, x)[0] - before).max() > 1e-4 * np.abs(before).max()


def without_weights(model: ModelProto, names: set[str]) -> bytes:
    rest = ModelProto()
    rest.CopyFrom(model)
    for tensor in (*rest.graph.initializer, *(each.attribute[0].t for each in rest.graph.node if each.attribute)):
        if tensor.name in names or tensor.dims == [4 * 36, 6]:
            tensor.ClearField("raw_data")
    return rest.SerializeToString(deterministic=True)


def test_nothing_but_the_weights_is_written() -> None:
    model = every_weight()
    model.graph.initializer[0].doc_string = "as it was"
    helper.set_model_props(model, {"boardfit": "{}"})
    before = model.SerializeToString(deterministic=True)
    module = trained(model, 2, 3, 6, 6)
    written = written_back(module, model)
    assert model.SerializeToString(deterministic=True) == before
    names = set(module.parameter_names)
    assert written.SerializeToString(deterministic=True) != before
    assert without_weights(written, names) == without_weights(model, names)


def test_an_untrained_module_writes_the_same_file() -> None:
    model = small()
    assert written_back(OnnxModule(model), model).SerializeToString(deterministic=True) == model.SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("raw", [True, False])
def test_weights_keep_their_element_type_however_the_file_stores_them(dtype: type, raw: bool) -> None:
    kernel = images(5, 3).astype(dtype)
    element = helper.np_dtype_to_tensor_dtype(kernel.dtype)
    stored = kernel.tobytes() if raw else kernel.ravel()
    tensor = helper.make_tensor("kernel", element, kernel.shape, stored, raw=raw)
    nodes, dims = [node("MatMul", "x kernel", "y")], (1, 5)
    model = zoo.model(nodes, [zoo.tensor("x", dims, element)], [zoo.tensor("y", (1, 3), element)], [tensor])
    module = OnnxModule(model)
    with torch.no_grad():
        module.weights()["kernel"].add_(1)
    [written] = written_back(module, model).graph.initializer
    assert written.data_type == element
    np.testing.assert_array_equal(numpy_helper.to_array(written), kernel + dtype(1))


def test_a_copy_is_trained_by_itself() -> None:
    model = small()
    module = OnnxModule(model)
    before = outputs(module, images(1, 3, 32, 32))
    twin = copy.deepcopy(module)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(2)
    np.testing.assert_array_equal(outputs(module, images(1, 3, 32, 32)), before)
    assert np.abs(outputs(twin, images(1, 3, 32, 32))[0] - before[0]).max() > 0.1


def test_a_checkpoint_holds_the_weights() -> None:
    model = small()
    module = trained(model, 2, 3, 32, 32)
    other = OnnxModule(model)
    other.load_state_dict(module.state_dict())
    np.testing.assert_array_equal(outputs(other, images(1, 3, 32, 32)), outputs(module, images(1, 3, 32, 32)))


def test_names_that_torch_does_not_take() -> None:
    """Dots, and what a module has already."""
    names = ["training", "a.b", "a%2Eb", "_steps"]
    nodes = [node("Conv", f"{given} {name}", made) for given, name, made in zip("xpqr", names, "pqry", strict=True)]
    model = chain(nodes, (1, 2, 3, 3), **{name: images(2, 2, 1, 1, seed=seed) for seed, name in enumerate(names)})
    module = OnnxModule(model)
    assert list(module.weights()) == names
    assert_equal_to_ort(model, images(1, 2, 3, 3), module=module)


# --- how it runs


def test_bfloat16_and_channels_last_pass_through() -> None:
    model = small()
    module = OnnxModule(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    x = torch.from_numpy(images(2, 3, 32, 32)).contiguous(memory_format=torch.channels_last)
    seen: list[tuple[torch.dtype, bool]] = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            if func in (torch.conv2d, torch.conv_transpose2d):
                seen.append((made.dtype, made.is_contiguous(memory_format=torch.channels_last)))
            return made

    with torch.no_grad():
        [exact] = module(x)
        with torch.autocast("cpu", torch.bfloat16), Watch():
            [rough] = module(x)
    assert seen == [(torch.bfloat16, True)] * 6
    assert rough.dtype == torch.float32  # the mean image is added in float32
    assert (rough - exact).abs().max() < 0.05 * exact.abs().max()


def test_values_go_after_their_last_use() -> None:
    nodes = [node("Relu", f"v{place}", f"v{place + 1}") for place in range(20)]
    nodes[0].input[0], nodes[-1].output[0] = "x", "y"
    module = OnnxModule(chain(nodes, (1, 4)))
    made: list[weakref.ref[torch.Tensor]] = []
    most = 0

    class Count(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal most
            result = func(*args, **(kwargs or {}))
            made.append(weakref.ref(result))
            most = max(most, sum(each() is not None for each in made))
            return result

    x = torch.ones(1, 4)
    with torch.no_grad(), Count():
        module(x)
    assert len(made) == 20
    assert most == 2


# --- what it cannot run


def refused(model: ModelProto) -> str:
    with pytest.raises(UnsupportedOperatorError) as caught:
        OnnxModule(model)
    assert caught.value.code == "unsupported_operator"
    assert caught.value.hint
    return caught.value.message


def test_every_node_that_cannot_run_is_named_before_anything_runs() -> None:
    model = chain(
        [
            node("Det", "x", "a"),
            node("Det", "x", "b"),
            node("Relu", "x", "unused"),
            node("Resize", "x _ scales", "c", mode="cubic"),
            node("Sum", "a b", "y"),
        ],
        (1, 1, 4, 4),
        scales=np.array((1, 1, 2, 2), np.float32),
    )
    assert refused(model) == (
        "the model cannot be trained with these operators: Det ('det_a' and 1 more); Resize ('resize_c': cubic)"
    )


def test_operators_of_others_and_control_flow() -> None:
    assert "Frobnicate of com.acme ('odd')" in refused(zoo.custom_operator())
    assert "NonZero ('nonzero')" in refused(zoo.data_dependent())
    branch = zoo.graph("branch", [node("Identity", "x", "z")], [zoo.tensor("z", (1, 4))])
    choice = helper.make_node("If", ["flag"], ["y"], name="choice", then_branch=branch, else_branch=branch)
    inputs = [zoo.tensor("x", (1, 4)), zoo.tensor("flag", (), TensorProto.BOOL)]
    assert "If ('choice')" in refused(zoo.model([choice], inputs, [zoo.tensor("y", (1, 4))]))


PAIR = {"scale": images(3), "bias": images(3)}


@pytest.mark.parametrize(
    ("nodes", "constants", "opset", "said"),
    [
        ([node("Dropout", "x", "y mask"), node("Not", "mask", "z")], {}, 13, "more than its first output is read"),
        ([node("Dropout", "x _ yes", "y")], {"yes": np.array(True)}, 13, "it drops in inference as well"),
        (
            [node("BatchNormalization", "x scale bias scale bias", "y a b", training_mode=1)],
            PAIR,
            15,
            "in training mode",
        ),
        (
            [node("BatchNormalization", "x scale bias scale bias", "y", spatial=0)],
            PAIR,
            7,
            "statistics for every place",
        ),
        ([node("AveragePool", "x", "y", kernel_shape=[2, 2], dilations=[2, 2])], {}, 19, "a dilated mean"),
        ([node("Resize", "x _ s", "y", antialias=1, mode="linear")], {"s": np.ones(4, np.float32)}, 18, "antialias"),
        (
            [node("Resize", "x x s", "y", coordinate_transformation_mode="tf_crop_and_resize")],
            {"s": np.ones(4, np.float32)},
            13,
            "tf_crop_and_resize",
        ),
        ([node("Cast", "x", "y", to=TensorProto.UINT64)], {}, 13, "elements of uint64"),
        ([node("Shape", "x", "s"), node("ReduceSum", "x s", "y")], {}, 13, "its axes are computed by the graph"),
    ],
)
def test_a_form_of_an_operator_that_cannot_run_is_said(
    nodes: list[onnx.NodeProto], constants: dict[str, Array], opset: int, said: str
) -> None:
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    outputs = [zoo.tensor(nodes[-1].output[0], None)]
    assert said in refused(zoo.model(nodes, [zoo.tensor("x", (1, 3, 4, 4))], outputs, tensors, opset=opset))


@pytest.mark.parametrize("opset", [6, 26])
def test_an_opset_that_it_does_not_know(opset: int) -> None:
    model = zoo.model([node("Relu", "x", "y")], [zoo.tensor("x", (1, 4))], [zoo.tensor("y", (1, 4))], opset=opset)
    assert f"opset {opset}" in refused(model)


def test_constants_that_torch_does_not_have() -> None:
    text = helper.make_node("Constant", [], ["text"], value_string="abc")
    model = zoo.model([text, node("Identity", "text", "y")], [], [zoo.tensor("y", (), TensorProto.STRING)])
    assert "'text' is of bytes" in refused(model)
    values, places = helper.make_tensor("thin", TensorProto.FLOAT, [1], [2.0]), helper.make_tensor("", 7, [1], [3])
    model = zoo.model([node("Add", "x thin", "y")], [zoo.tensor("x", (4,))], [zoo.tensor("y", (4,))])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [4]))
    assert "'thin' is sparse" in refused(model)
    short = helper.make_tensor("short", TensorProto.BFLOAT16, [4], [1.0] * 4)
    model = zoo.model([node("Add", "x short", "y")], [zoo.tensor("x", (4,))], [zoo.tensor("y", (4,))], [short])
    assert "'short' is of bfloat16" in refused(model)


def test_lists_and_numbers_as_constants() -> None:
    nodes = [
        helper.make_node("Constant", [], ["axes"], value_ints=[2, 3]),
        helper.make_node("Constant", [], ["factor"], value_float=0.5),
        node("ReduceSum", "x axes", "a"),
        node("Mul", "a factor", "y"),
    ]
    assert_equal_to_ort(chain(nodes, (1, 3, 4, 4)), images(1, 3, 4, 4))


def test_weights_that_were_not_loaded(tmp_path: Any) -> None:
    path = zoo.save_external(layer("Conv", images(4, 3, 3, 3), (1, 3, 5, 5)), tmp_path)
    with pytest.raises(ExternalWeightsError):
        OnnxModule(onnx.load(path, load_external_data=False))
