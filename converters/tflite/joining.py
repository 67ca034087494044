"""Whether what is concatenated is brought to the output's grid, or is on it from the start.

An operator less is faster, but a grid that is wider than a tensor needs is coarse for all that reads it: in a DenseNet
every tensor of a block would have the grid of the widest.
"""

from collections.abc import Mapping

from converters.tflite.calibration import Range
from converters.tflite.program import Activation, Operator, Program

_COARSER = 2.0
"""How much wider a grid may get for an operator less: by one bit."""


def join(program: Program, ranges: Mapping[str, Range]) -> None:
    """Take out every QUANTIZE that may be (`Operator.optional`), where nothing else reads what it reads, or where that
    loses a bit at most. In the order in which they run: each changes the grids that the next is asked about.
    """
    for operator in [operator for operator in program.operators if operator.optional]:
        source, target = operator.inputs[0], operator.outputs[0]
        if isinstance(source, Activation) and _may_share(program, operator, source, target, ranges):
            source.share(target)
            program.operators.remove(operator)
            for reader in program.operators:
                reader.inputs = [source if tensor is target else tensor for tensor in reader.inputs]


def _may_share(
    program: Program, operator: Operator, source: Activation, target: Activation, ranges: Mapping[str, Range]
) -> bool:
    if source.root is target.root or not _read_elsewhere(program, operator, source):
        return True
    (low, high), (least, most) = (span_of(program, tensor, ranges) for tensor in (source, target))
    return max(high, most) - min(low, least) <= _COARSER * (high - low)


def _read_elsewhere(program: Program, operator: Operator, source: Activation) -> bool:
    """Whether an operator that is not on the grid itself, or a user, reads any of the tensors on the source's grid."""
    root = source.root
    if any(tensor.root is root for tensor in program.outputs):
        return True
    return any(
        isinstance(tensor, Activation) and tensor.root is root and reader.outputs[0].root is not root
        for reader in program.operators
        if reader is not operator
        for tensor in reader.inputs
    )


def span_of(program: Program, tensor: Activation, ranges: Mapping[str, Range]) -> Range:
    """What the grid of a tensor has to span, 0 included."""
    measured = [
        ranges[other.source] for other in program.activations if other.source is not None and other.root is tensor.root
    ]
    return min([0.0, *(low for low, _ in measured)]), max([0.0, *(high for _, high in measured)])
