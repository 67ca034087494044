"""Of a TFLite file, also one that the Edge TPU's compiler has gone over."""

import struct

from converters.anatomy import tflite_macs
from converters.anatomy.anatomy import Anatomy, Tally, TensorFigures, not_counted
from converters.anatomy.cache import estimate_cache
from converters.anatomy.memory import peak_activations
from converters.edge_tpu.package import packages_of
from converters.tflite_file import NotTfliteError, Operator, Tensor, TfliteFile, read_tflite

_EIGHT_BITS = 8


def anatomy_of_tflite(content: bytes) -> Anatomy:
    """NotTfliteError; CompiledFileError where what it holds for the chip is damaged."""
    file = read_tflite(content)
    packages = packages_of(file)
    tally, parameters, parameter_bytes = _tally(file)
    quantised = _is_quantised(file)
    return Anatomy(
        "edgetpu" if packages else "tflite",
        f"TFLite schema {file.schema_version}",
        len(content),
        tally.figures(),
        parameters,
        parameter_bytes,
        None if packages else tally.total_macs,
        _peak(file),
        tuple(map(_figures, file.inputs)),
        tuple(map(_figures, file.outputs)),
        packages,
        None if packages or not quantised else estimate_cache(parameter_bytes),
        _will_not_map(content) if quantised and not packages else (),
        _notes(file, compiled=packages is not None),
    )


def is_parameter(tensor: Tensor) -> bool:
    """Whether a constant stands for real numbers."""
    return tensor.is_constant and (tensor.dtype.startswith(("float", "bfloat")) or bool(tensor.scales))


def _tally(file: TfliteFile) -> tuple[Tally, int, int]:
    """Operators by kind; elements and bytes of all parameters, each buffer once."""
    tally, seen = Tally(), set[int]()
    elements = size_bytes = 0
    for operator in file.operators:
        own = 0
        for tensor in (file.tensors[place] for place in operator.inputs if place >= 0):
            if is_parameter(tensor) and tensor.buffer not in seen:
                seen.add(tensor.buffer)
                own += tensor.elements or 0
                size_bytes += len(tensor.data)
        elements += own
        tally.add(_name(operator), (operator.version,), own, tflite_macs.of_operator(operator, file))
    return tally, elements, size_bytes


def _name(operator: Operator) -> str:
    return operator.name or "CUSTOM"


def _peak(file: TfliteFile) -> int | None:
    sizes = {place: tensor.size_bytes for place, tensor in enumerate(file.tensors) if not tensor.is_constant}
    steps = [(operator.inputs, operator.outputs) for operator in file.operators]
    return peak_activations(steps, sizes, file.input_places, file.output_places)


def _is_quantised(file: TfliteFile) -> bool:
    """Whether every operator computes 8-bit tensors: no other file is one for an Edge TPU."""
    computed = [file.tensors[place] for operator in file.operators for place in operator.outputs]
    return bool(computed) and all(tensor.bits == _EIGHT_BITS and tensor.scales for tensor in computed)


def _will_not_map(content: bytes) -> tuple[str, ...]:
    """As our own writer's gate knows it, which reads options that were not looked at yet."""
    from converters.tflite.gate import will_not_map

    try:
        return will_not_map(content)
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError, struct.error) as error:
        raise NotTfliteError(
            f"this TFLite file is damaged: {type(error).__name__}: {error}", "copy or convert it again"
        ) from error


def _figures(tensor: Tensor) -> TensorFigures:
    scale = tensor.scales[0] if len(tensor.scales) == 1 else None
    zero_point = tensor.zero_points[0] if scale is not None and tensor.zero_points else None
    shape = tuple(None if size < 0 else size for size in tensor.shape)
    return TensorFigures(tensor.name, tensor.dtype, shape, scale, zero_point)


def _notes(file: TfliteFile, *, compiled: bool) -> tuple[str, ...]:
    notes = []
    if compiled:
        notes.append("what runs inside the Edge TPU's operator is not in its multiply-adds and parameters")
    if file.bodies:
        further = "1 further graph (a body" if file.bodies == 1 else f"{file.bodies} further graphs (bodies"
        notes.append(f"{further} of WHILE, IF, CALL_ONCE) {'is' if file.bodies == 1 else 'are'} not counted")
    uncounted = {_name(operator) for operator in file.operators if not tflite_macs.is_counted(operator)}
    return (*notes, *(() if compiled else not_counted(uncounted)))
