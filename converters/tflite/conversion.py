"""An ONNX model and inputs like those that it will meet -> a TFLite file."""

from collections.abc import Sequence
from dataclasses import dataclass

from onnx import ModelProto

from converters.artifact import Artifact, ArtifactTensor
from converters.constants import check_values
from converters.golden import Case
from converters.int8_options import Int8Options
from converters.tflite.aliasing import keep_apart
from converters.tflite.calibration import mean_errors, ranges_of
from converters.tflite.fold import fold
from converters.tflite.joining import join
from converters.tflite.layout import Order, straight
from converters.tflite.lowering import Lowering
from converters.tflite.network import network_of
from converters.tflite.operators import OPERATORS, REWRITES
from converters.tflite.program import Program, Weights
from converters.tflite.quantising import Contents, differences_of, grids_of, quantised, with_bytes_outside
from converters.tflite.writer import write


@dataclass(frozen=True)
class Written:
    """A TFLite file, what is known of it, and how it came to be.

    places  by the name of each ONNX tensor that the file holds: the number of the tensor there
    """

    content: bytes
    artifact: Artifact
    program: Program
    places: dict[str, int]
    notices: tuple[str, ...]


def convert(model: ModelProto, cases: Sequence[Case], options: Int8Options) -> Written:
    """`model` is of float32, its inputs of static shapes; it is as before in the end.

    Raises NotInTfliteError, NotFiniteError, UnsupportedTypeError, DynamicShapeError or RunFailedError.
    """
    program = program_of(model)
    tensors = [tensor.source for tensor in program.activations if tensor.source is not None]
    ranges = ranges_of(model, tensors, cases, options)
    join(program, ranges)
    keep_apart(program)
    grids = grids_of(program, ranges)
    errors = mean_errors(model, differences_of(program, grids), cases) if options.bias_correction else {}
    contents = quantised(program, grids, errors)
    if options.io == "uint8":
        contents = with_bytes_outside(contents)
    return Written(write(contents), _artifact(program, contents), program, contents.places, tuple(program.notices))


def program_of(model: ModelProto) -> Program:
    """In TFLite's operators, before there are any numbers: whether it can be written at all. Raises as `convert`."""
    network = network_of(model)
    fold(network)
    program = Lowering(network).run(OPERATORS, REWRITES)
    for operator in program.operators:
        for tensor in operator.inputs:  # folding may have divided by 0
            values = tensor.onnx if isinstance(tensor, Weights) else getattr(tensor, "values", None)
            if values is not None:
                check_values(values, operator.operator, operator.node)
    return program


def _artifact(program: Program, contents: Contents) -> Artifact:
    inputs = [tensor.order for tensor in program.inputs]
    return Artifact(
        tuple(_tensor(contents, number, order) for number, order in zip(contents.inputs, inputs, strict=True)),
        tuple(
            _tensor(contents, number, order)
            for number, order in zip(contents.outputs, program.output_orders, strict=True)
        ),
    )


def _tensor(contents: Contents, number: int, order: Order) -> ArtifactTensor:
    stored = contents.tensors[number]
    kept = () if order == straight(len(order)) else order
    return ArtifactTensor(stored.name, stored.dtype, stored.shape, kept, stored.scales[0], stored.zero_points[0])
