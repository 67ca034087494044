"""An ONNX graph as a torch module, to be trained, and its weights back in the file.

Our own, since the two libraries that do it (onnx2torch 1.5.15, onnx2pytorch 0.6.0) import torchvision at once, and
PyPI's does not import beside a CPU build of torch ("operator torchvision::nms does not exist").

What may change are the weights of layers: floating-point constants that are the kernel or bias of Conv, ConvTranspose
and Gemm, the kernel of MatMul, the scale and bias of a normalisation and the slope of PRelu. All others are constants
of the module: a mean image, the stored mean and variance of a BatchNormalization, which runs as in inference.

A model that was exported for one batch size takes others where its operators do. Reshape and Flatten, whose constants
hold that size, make `times` as many of their leading axis when their input has `times` as many (`operators/shape.py`).
"""

import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn

from compression.graph import inlined
from compression.training.steps import KERNELS, WEIGHTS, constants_of, steps_of, trained


class OnnxModule(nn.Module):
    """An ONNX graph whose weights are parameters; the other constants are buffers, which no checkpoint holds.

    `input_names` and `output_names` are the graph's, without the initializers that are listed as inputs. A shared
    weight is one parameter. `parameter_names` has torch's name, which may have no dots, by the constant's name in the
    file: that of the initializer, or of the output of a Constant node.
    """

    def __init__(self, model: ModelProto) -> None:
        """The model is not changed. UnsupportedOperatorError names every node that cannot run; ExternalWeightsError."""
        super().__init__()
        model = inlined(model)
        constants = constants_of(model)
        self._steps = steps_of(model, constants)
        listed = {tensor.name for tensor in model.graph.initializer}
        self.input_names = tuple(value.name for value in model.graph.input if value.name not in listed)
        self.output_names = tuple(value.name for value in model.graph.output)
        weights, kernels = trained(model, WEIGHTS), trained(model, KERNELS)
        self.parameter_names = {name: _torch_name(name) for name in constants if name in weights}
        self._kernels = tuple(name for name in self.parameter_names if name in kernels)
        self._buffer_names = {name: _torch_name(name) for name in constants if name not in weights}
        for name, key in self.parameter_names.items():
            self.register_parameter(key, nn.Parameter(torch.tensor(constants[name])))
        for name, key in self._buffer_names.items():
            self.register_buffer(key, torch.tensor(constants[name]), persistent=False)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """All outputs of the graph, in its order, for its inputs in their order."""
        values = dict(zip(self.input_names, inputs, strict=True))
        values.update((name, self.get_parameter(key)) for name, key in self.parameter_names.items())
        values.update((name, self.get_buffer(key)) for name, key in self._buffer_names.items())
        for step in self._steps:
            made = step.run(*[values[name] if name else None for name in step.inputs])
            values.update(zip(step.outputs, (made,) if isinstance(made, Tensor) else made, strict=True))
            for name in step.last:
                del values[name]
        return tuple(values[name] for name in self.output_names)

    def weights(self) -> dict[str, nn.Parameter]:
        """The parameters by their name in the file."""
        return {name: self.get_parameter(key) for name, key in self.parameter_names.items()}

    def kernels(self) -> list[nn.Parameter]:
        """Those that are kernels of Conv, ConvTranspose, Gemm or MatMul: weight decay is for them alone."""
        return [self.get_parameter(self.parameter_names[name]) for name in self._kernels]


def written_back(module: OnnxModule, model: ModelProto) -> ModelProto:
    """A copy of the `model` that `module` was made from, with the module's parameters; all else stays as it is.

    They are rounded to the element types of the file. Functions are inlined.
    """
    copy = inlined(model)
    for name, tensor in trained(copy, WEIGHTS).items():
        if name in module.parameter_names:
            _set_values(tensor, module.get_parameter(module.parameter_names[name]))
    return copy


def _set_values(tensor: TensorProto, values: Tensor) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    made = numpy_helper.from_array(values.detach().cpu().contiguous().numpy().astype(dtype, copy=False))
    for field in ("float_data", "int32_data", "double_data"):  # where the file may have them instead
        tensor.ClearField(field)
    tensor.raw_data = made.raw_data


def _torch_name(name: str) -> str:
    """Without dots, and none that the module has for something else."""
    return "onnx:" + name.replace("%", "%25").replace(".", "%2E")
