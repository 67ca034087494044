"""Tiny ONNX models, one per thing that a model can do to a converter, an agent or a runtime.

Built with onnx.helper, opset 13 and IR version 8 (what TensorRT 8.2 still reads); weights are seeded.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 13
IR_VERSION = 8

Dims = Sequence[int | str | None] | None


def tensor(name: str, dims: Dims, element: int = TensorProto.FLOAT) -> ValueInfoProto:
    """The declaration of an input or output."""
    return helper.make_tensor_value_info(name, element, dims)


def weights(name: str, *shape: int, seed: int = 0) -> TensorProto:
    """A float32 constant of seeded normal values."""
    return numpy_helper.from_array(np.random.default_rng(seed).standard_normal(shape, dtype=np.float32), name)


def model(
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    outputs: Sequence[ValueInfoProto],
    constants: Sequence[TensorProto] = (),
    *,
    metadata: Mapping[str, str] | None = None,
    domains: Mapping[str, int] | None = None,
    ir_version: int = IR_VERSION,
    opset: int = OPSET,
) -> ModelProto:
    """A model of one graph."""
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(constants))
    opsets = [helper.make_opsetid(domain, version) for domain, version in {"": opset, **(domains or {})}.items()]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, producer_name="zoo")
    helper.set_model_props(made, dict(metadata or {}))
    return made


def graph(
    name: str, nodes: Sequence[NodeProto], outputs: Sequence[ValueInfoProto], *constants: TensorProto
) -> GraphProto:
    """A branch of an If."""
    return helper.make_graph(list(nodes), name, [], list(outputs), list(constants))


def identity(dims: Dims = (1, 3, 4, 4), element: int = TensorProto.FLOAT) -> ModelProto:
    """x -> y = x."""
    return model(
        [helper.make_node("Identity", ["x"], ["y"])], [tensor("x", dims, element)], [tensor("y", dims, element)]
    )


def mixed() -> ModelProto:
    """Six inputs of six element types; the outputs are the inputs in reverse order, the float32 one negated."""
    elements = {
        "single": TensorProto.FLOAT,
        "half": TensorProto.FLOAT16,
        "byte": TensorProto.UINT8,
        "signed": TensorProto.INT8,
        "index": TensorProto.INT64,
        "flag": TensorProto.BOOL,
    }
    dims = {name: (1, size) for size, name in enumerate(elements, start=2)}
    nodes = [
        helper.make_node("Neg" if name == "single" else "Identity", [name], [f"{name}_out"], name=f"{name}_node")
        for name in elements
    ]
    return model(
        nodes,
        [tensor(name, dims[name], element) for name, element in elements.items()],
        [tensor(f"{name}_out", dims[name], element) for name, element in reversed(elements.items())],
    )


def convolution(dims: Dims = (1, 3, 8, 8), metadata: Mapping[str, str] | None = None) -> ModelProto:
    """image -> 3 x 3 convolution to 4 channels -> ReLU: 108 weights and 4 biases."""
    batch, _, height, width = dims or (None,) * 4
    return model(
        [
            helper.make_node("Conv", ["image", "kernel", "bias"], ["features"], name="conv", pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["features"], ["map"], name="relu"),
        ],
        [tensor("image", dims)],
        [tensor("map", (batch, 4, height, width))],
        [weights("kernel", 4, 3, 3, 3), weights("bias", 4)],
        metadata=metadata,
    )


def dynamic_batch() -> ModelProto:
    """A convolution on [N, 3, 8, 8]."""
    return convolution(("N", 3, 8, 8))


def dynamic_image() -> ModelProto:
    """A convolution on [N, 3, H, W]."""
    return convolution(("N", 3, "H", "W"))


def masked() -> ModelProto:
    """image [N, 3, H, W] times mask [N, 1, H, W]: two inputs with the same symbols."""
    return model(
        [helper.make_node("Mul", ["image", "mask"], ["masked"], name="mul")],
        [tensor("image", ("N", 3, "H", "W")), tensor("mask", ("N", 1, "H", "W"))],
        [tensor("masked", ("N", 3, "H", "W"))],
    )


def classifier(classes: int = 10) -> ModelProto:
    """image [1, 3, 8, 8] -> class scores [1, classes]: 192 weights per class."""
    return model(
        [
            helper.make_node("Flatten", ["image"], ["flat"], name="flatten"),
            helper.make_node("Gemm", ["flat", "kernel", "bias"], ["logits"], name="gemm"),
            helper.make_node("Softmax", ["logits"], ["scores"], name="softmax", axis=1),
        ],
        [tensor("image", (1, 3, 8, 8))],
        [tensor("scores", (1, classes))],
        [weights("kernel", 192, classes), weights("bias", classes)],
    )


def autoencoder(metadata: Mapping[str, str] | None = None) -> ModelProto:
    """image [1, 3, 16, 16] -> its reconstruction: one convolution down, one transposed convolution up; 768 weights."""
    return model(
        [
            helper.make_node("Conv", ["image", "down"], ["code"], name="encoder", strides=[2, 2], pads=[1, 1, 1, 1]),
            helper.make_node("Relu", ["code"], ["positive"], name="relu"),
            helper.make_node(
                "ConvTranspose", ["positive", "up"], ["raw"], name="decoder", strides=[2, 2], pads=[1, 1, 1, 1]
            ),
            helper.make_node("Sigmoid", ["raw"], ["reconstruction"], name="sigmoid"),
        ],
        [tensor("image", (1, 3, 16, 16))],
        [tensor("reconstruction", (1, 3, 16, 16))],
        [weights("down", 8, 3, 4, 4), weights("up", 8, 3, 4, 4, seed=1)],
        metadata=metadata,
    )


def unknown_operator() -> ModelProto:
    """An operator that ONNX does not have."""
    node = helper.make_node("Frobnicate", ["x"], ["y"], name="odd")
    return model([node], [tensor("x", (1, 4))], [tensor("y", (1, 4))])


def custom_operator() -> ModelProto:
    """An operator of a company's own domain."""
    node = helper.make_node("Frobnicate", ["x"], ["y"], name="odd", domain="com.acme")
    return model([node], [tensor("x", (1, 4))], [tensor("y", (1, 4))], domains={"com.acme": 1})


def unimplemented() -> ModelProto:
    """An operator of ONNX that ONNX Runtime has no code for on the CPU: a convolution in float64."""
    node = helper.make_node("Conv", ["x", "w"], ["y"], name="conv")
    dims = (1, 1, 4, 4)
    kernel = numpy_helper.from_array(np.ones((1, 1, 1, 1)), "w")
    return model([node], [tensor("x", dims, TensorProto.DOUBLE)], [tensor("y", dims, TensorProto.DOUBLE)], [kernel])


def data_dependent() -> ModelProto:
    """The places of all values above 0.5: as many as there happen to be."""
    return model(
        [
            helper.make_node("Greater", ["x", "half"], ["above"], name="greater"),
            helper.make_node("NonZero", ["above"], ["places"], name="nonzero"),
        ],
        [tensor("x", (1, 16))],
        [tensor("places", (2, "count"), TensorProto.INT64)],
        [numpy_helper.from_array(np.float32(0.5), "half")],
    )


def default_input(ir_version: int = IR_VERSION) -> ModelProto:
    """image times factor, where the constant `factor` is listed as an input too."""
    return model(
        [helper.make_node("Mul", ["image", "factor"], ["scaled"], name="mul")],
        [tensor("image", (1, 4)), tensor("factor", (1, 4))],
        [tensor("scaled", (1, 4))],
        [numpy_helper.from_array(np.full((1, 4), 3, np.float32), "factor")],
        ir_version=ir_version,
    )


def save(made: ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    """Write a model as one file."""
    path = folder / name
    path.write_bytes(made.SerializeToString(deterministic=True))
    return path


def save_external(made: ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    """Write a model with its constants in ``<name>.data`` beside it. Changes `made`."""
    path = folder / name
    onnx.save_model(made, path, save_as_external_data=True, location=f"{name}.data", size_threshold=0)
    return path
