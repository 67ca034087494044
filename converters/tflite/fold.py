"""What can be done before there are integers, exactly: names for the same value go, and constants that scale and shift
each channel go into the kernel beside them.

In between stands a node of our own, Affine: ``y = x * scale + shift`` along `axis`, or for all elements alike.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from converters.tflite.network import Network, Node

_FLOAT = 1  # TensorProto.FLOAT


def fold(network: Network) -> None:
    """In place. NotInTfliteError for a BatchNormalization whose constants are computed, or that is in training."""
    _drop_names(network)
    for node in network.nodes:
        _as_affine(network, node)
    while _merged(network):
        network.nodes = [node for node in network.nodes if node.operator != "Gone"]
        network.index()


def _drop_names(network: Network) -> None:
    """Identity, Dropout and Cast to float32 give their input another name; where a user knows both they stay."""
    makers = {name: node for node in network.nodes for name in node.outputs}
    kept: list[Node] = []
    for node in network.nodes:
        if not _only_names(network, node):
            kept.append(node)
            continue
        old, new = node.inputs[0], node.output
        if old in network.constants:
            network.constants[new] = network.constants[old]
        elif new not in network.outputs:
            _rename(network, new, old)
            makers.pop(new)
        elif old in network.inputs or old in network.outputs:
            kept.append(node)
            continue
        else:
            _rename(network, old, new)
            maker = makers.pop(old)
            maker.outputs = [new if name == old else name for name in maker.outputs]
            makers[new] = maker
        if new in network.outputs and new in network.constants:
            kept.append(node)
    network.nodes = kept
    network.index()


def _only_names(network: Network, node: Node) -> bool:
    if node.operator == "Dropout":
        trains = node.input(2) and np.any(network.constants.get(node.input(2), np.array(True)))
        if trains:
            raise node.refuse("it drops values, as in training", "export the model in evaluation mode: model.eval()")
        return not any(node.outputs[1:])
    return node.operator == "Identity" or (node.operator == "Cast" and node.get("to", 0) == _FLOAT)


def _rename(network: Network, old: str, new: str) -> None:
    for node in network.nodes:
        node.inputs = [new if name == old else name for name in node.inputs]


def _as_affine(network: Network, node: Node) -> None:
    """Make an Affine of what is one, and an Add of a Sum of two; anything else is left as it is."""
    if node.operator == "Sum" and len(node.inputs) == 2:
        node.operator = "Add"
    if node.operator == "BatchNormalization":
        scale, shift = _normalisation(network, node)
        _become_affine(network, node, node.inputs[0], 1, scale, shift)
    elif node.operator == "Neg":
        _become_affine(network, node, node.inputs[0], None, np.array(-1.0), np.array(0.0))
    elif node.operator in ("Add", "Sub", "Mul", "Div") and len(node.inputs) == 2:
        _arithmetic(network, node)


def _normalisation(network: Network, node: Node) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """https://onnx.ai/onnx/operators/onnx__BatchNormalization.html."""
    given = [network.constants.get(name) for name in node.inputs[1:5]]
    if node.get("training_mode", 0) or any(value is None for value in given):
        raise node.refuse(
            "its scale, bias, mean or variance is computed", "export the model in evaluation mode: model.eval()"
        )
    scale, bias, mean, variance = (np.asarray(value, np.float64) for value in given)
    factor = scale / np.sqrt(variance + node.get("epsilon", 1e-5))
    return factor, bias - mean * factor


def _arithmetic(network: Network, node: Node) -> None:
    constants = [network.constants.get(name) for name in node.inputs]
    side = 1 if constants[1] is not None else 0
    constant, moving = constants[side], node.inputs[1 - side]
    if constant is None or constants[1 - side] is not None or (node.operator == "Div" and side == 0):
        return
    if node.operator == "Div" and not np.all(constant):
        raise node.refuse("it divides by 0", "check the constant, or export the model again")
    along = _along_one_axis(constant, network.shape(moving))
    if along is None:
        if node.operator == "Div":  # of other numbers for other places: the Edge TPU divides by none, but multiplies
            _set_constant(network, node, 1, 1 / constant.astype(np.float64))
            node.operator = "Mul"
        return
    axis, value = along
    scale, shift = {
        "Add": (1.0, value),
        "Sub": (1.0, -value) if side else (-1.0, value),
        "Mul": (value, 0.0),
        "Div": (1 / value if node.operator == "Div" else value, 0.0),
    }[node.operator]
    _become_affine(network, node, moving, axis, np.asarray(scale), np.asarray(shift))


def _along_one_axis(
    constant: NDArray[np.float32], shape: tuple[int, ...]
) -> tuple[int | None, NDArray[np.float64]] | None:
    """The axis of channels and the constant along it, where it differs along no other; no axis where it is one number.

    None where it is not so.
    """
    value = constant.astype(np.float64)
    if value.size == 1:
        return (None, value.reshape(())) if value.ndim <= len(shape) else None
    if value.ndim > len(shape):
        return None
    sizes = (1,) * (len(shape) - value.ndim) + value.shape
    long = [axis for axis, size in enumerate(sizes) if size > 1]
    channels = 1 if len(shape) == 4 else len(shape) - 1
    fits = long == [channels] and shape[channels] == sizes[channels]
    return (channels, value.ravel()) if fits else None


def _become_affine(
    network: Network, node: Node, moving: str, axis: int | None, scale: NDArray[np.float64], shift: NDArray[np.float64]
) -> None:
    node.attributes = {"axis": axis, "scale": np.asarray(scale, np.float64), "shift": np.asarray(shift, np.float64)}
    node.attributes["was"] = node.operator
    node.operator, node.inputs = "Affine", [moving]
    network.index()


def _merged(network: Network) -> bool:
    """Whether two nodes have become one; the other is then of the operator "Gone"."""
    for node in network.nodes:
        reader = network.only_reader(node.output) if node.outputs else None
        if reader is None:
            continue
        merge: Callable[[Network, Node, Node], bool] | None = None
        if reader.operator == "Affine":
            merge = _AFTER.get(node.operator)
        elif node.operator == "Affine" and reader.inputs[0] == node.output:
            merge = _BEFORE.get(reader.operator)
        if merge is not None and merge(network, node, reader):
            return True
    return False


def _affines(network: Network, first: Node, second: Node) -> bool:
    axes = {node.attributes["axis"] for node in (first, second)} - {None}
    if len(axes) > 1:
        return False
    (a, b), (c, d) = ((node.attributes["scale"], node.attributes["shift"]) for node in (first, second))
    _replace(second, first.inputs, scale=a * c, shift=b * c + d, axis=next(iter(axes), None))
    _vanish(first)
    return True


def _after_kernel(network: Network, layer: Node, affine: Node) -> bool:
    """Scale the output channels of a Conv, ConvTranspose, Gemm or MatMul with constants."""
    kernel = network.constants.get(layer.input(1))
    rank = len(network.shape(affine.output))
    channels = 1 if layer.operator in ("Conv", "ConvTranspose") else rank - 1
    if kernel is None or kernel.ndim < 2 or affine.attributes["axis"] not in (None, channels):
        return False
    bias = network.constants.get(layer.input(2)) if layer.input(2) else np.float32(0)
    width = network.shape(affine.output)[channels]
    if bias is None or (np.ndim(bias) and np.shape(bias)[-1] != np.size(bias)):  # computed, or not one for each channel
        return False
    scale, shift = (np.broadcast_to(affine.attributes[key], width) for key in ("scale", "shift"))
    alpha = layer.get("beta", 1.0) if layer.operator == "Gemm" else 1.0
    if layer.operator == "Gemm":
        layer.attributes["beta"] = 1.0
    _set_constant(network, layer, 1, _scaled_outputs(layer, kernel, scale))
    _set_constant(network, layer, 2, alpha * np.broadcast_to(np.ravel(bias), width) * scale + shift)
    affine.operator, affine.inputs, affine.attributes = layer.operator, layer.inputs, layer.attributes
    affine.name = layer.name or affine.name
    _vanish(layer)
    return True


def _scaled_outputs(layer: Node, kernel: NDArray[np.float32], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    rest = (1,) * (kernel.ndim - 2)
    if layer.operator == "Conv" or (layer.operator == "Gemm" and layer.get("transB", 0)):
        return kernel * scale.reshape(-1, *(1,) * (kernel.ndim - 1))
    if layer.operator == "ConvTranspose":  # [inputs, outputs of a group, ...]
        groups = layer.get("group", 1)
        by_group = kernel.reshape(groups, -1, *kernel.shape[1:]) * scale.reshape(groups, 1, kernel.shape[1], *rest)
        return np.asarray(by_group.reshape(kernel.shape))
    return kernel * scale  # [..., outputs]


def _before_conv(network: Network, affine: Node, conv: Node) -> bool:
    """Scale the input channels of a Conv; a shift only where no zeros are padded to what it was given."""
    kernel = network.constants.get(conv.input(1))
    scale, shift = affine.attributes["scale"], affine.attributes["shift"]
    padded = any(conv.get("pads", ())) or conv.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    if kernel is None or affine.attributes["axis"] not in (None, 1) or (np.any(shift) and padded):
        return False
    bias = network.constants.get(conv.input(2)) if conv.input(2) else np.float32(0)
    if bias is None:
        return False
    groups, outputs, inputs = conv.get("group", 1), kernel.shape[0], kernel.shape[1]
    channels = groups * inputs
    spread = (math.prod(kernel.shape[2:]),)
    by_group = kernel.astype(np.float64).reshape(groups, outputs // groups, inputs, *spread)
    scale, shift = (np.broadcast_to(value, channels).reshape(groups, 1, inputs, 1) for value in (scale, shift))
    _set_constant(network, conv, 2, bias + (by_group * shift).sum(axis=(2, 3)).ravel())
    _set_constant(network, conv, 1, (by_group * scale).reshape(kernel.shape))
    conv.inputs[0] = affine.inputs[0]
    _vanish(affine)
    return True


def _set_constant(network: Network, node: Node, index: int, value: NDArray[np.float64]) -> None:
    """The node's own: others may share the one that it had."""
    name = f"{node.label}/{'operand' if node.operator == 'Div' else 'kernel' if index == 1 else 'bias'}"
    while name in network.shapes or name in network.constants:
        name += "'"
    network.constants[name] = np.asarray(value, np.float32)
    network.shapes[name] = network.constants[name].shape
    node.inputs = [*node.inputs, ""][: max(len(node.inputs), index + 1)]
    node.inputs[index] = name


def _replace(node: Node, inputs: list[str], **attributes: object) -> None:
    node.inputs = list(inputs)
    node.attributes = {**node.attributes, **attributes}


def _vanish(node: Node) -> None:
    node.operator, node.inputs, node.outputs = "Gone", [], []


_AFTER = {
    "Affine": _affines,
    "Conv": _after_kernel,
    "ConvTranspose": _after_kernel,
    "Gemm": _after_kernel,
    "MatMul": _after_kernel,
}
"""What an Affine is taken into that reads what the operator gives."""

_BEFORE = {"Conv": _before_conv}
"""What an Affine is taken into that gives what the operator reads."""
