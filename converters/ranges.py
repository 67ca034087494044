"""The largest values a model's tensors take on given inputs."""

from collections.abc import Collection, Sequence

from onnx import ModelProto, TensorProto, helper

from converters.errors import RunFailedError
from converters.golden import Case
from converters.proto import serialise
from converters.reference import OnnxReference


def peaks(model: ModelProto, tensors: Collection[str], cases: Sequence[Case]) -> dict[str, float]:
    """The largest absolute value of each of `tensors` (float32, of the main graph) over all cases.

    One case is held at a time, and of its tensors one number each: ONNX Runtime reduces them where they are computed.
    Raises RunFailedError, also where a value is not finite.
    """
    measured = sorted(tensors)
    found = dict.fromkeys(measured, 0.0)
    reference = OnnxReference(_with_peaks(model, measured))
    for case in cases:
        values = [float(output) for output in reference(case)[len(model.graph.output) :]]
        for name, value in zip(measured, values, strict=True):
            if not value < float("inf"):  # NaN is not, either
                raise RunFailedError(
                    f"the tensor {name!r} reaches {value} on a calibration input",
                    "check the model in ONNX Runtime, and that the inputs are prepared as it was trained",
                )
            found[name] = max(found[name], value)
    return found


def _with_peaks(model: ModelProto, tensors: Sequence[str]) -> bytes:
    """The model as bytes, with max(abs(tensor)) of each as a further output; `model` itself is as before in the end."""
    graph, nodes, outputs = model.graph, len(model.graph.node), len(model.graph.output)
    for name in tensors:
        graph.node.append(helper.make_node("Abs", [name], [f"{name}/abs"]))
        graph.node.append(helper.make_node("ReduceMax", [f"{name}/abs"], [f"{name}/peak"], keepdims=0))
        graph.output.append(helper.make_tensor_value_info(f"{name}/peak", TensorProto.FLOAT, []))
    try:
        return serialise(model)
    finally:
        del graph.node[nodes:]
        del graph.output[outputs:]
