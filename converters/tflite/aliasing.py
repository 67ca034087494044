"""Tensors that TFLite would let share memory, and that must not.

Its memory planner lays the output of a RESHAPE over its input, and that of ADD, SUB, MUL and SOFTMAX over one of theirs
where nobody reads that later; of a tensor that came to be in place itself it counts the readers of the RESHAPE's output
alone, and the next such operator writes over what others still read (IdentifyInPlaceTensors in
https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/arena_planner.cc; seen with tflite-runtime 2.14 and
LiteRT 2.3).
"""

from converters.tflite.program import Activation, Operator, Program

_IN_PLACE = frozenset({"ADD", "SUB", "MUL", "SOFTMAX"})


def keep_apart(program: Program) -> None:
    """In front of each such RESHAPE a QUANTIZE from a grid to the same: a copy, in memory of its own."""
    made_in_place = {
        id(output) for operator in program.operators if operator.builtin in _IN_PLACE for output in operator.outputs
    }
    for operator in [operator for operator in program.operators if operator.builtin == "RESHAPE"]:
        source = operator.inputs[0]
        if isinstance(source, Activation) and id(source) in made_in_place and _readers(program, source) > 1:
            _copy_first(program, operator, source)


def _readers(program: Program, tensor: Activation) -> int:
    """Operators, and the user of an output."""
    operators = sum(tensor in operator.inputs for operator in program.operators)
    return operators + sum(output is tensor for output in program.outputs)


def _copy_first(program: Program, reshape: Operator, source: Activation) -> None:
    copy = Activation(f"{reshape.outputs[0].name}/apart", source.shape, None, source.order)
    copy.floor, copy.ceiling, copy.clipped = source.floor, source.ceiling, source.clipped
    copy.share(source)
    place = program.operators.index(reshape)
    program.operators.insert(place, Operator("QUANTIZE", [source], [copy], {}, reshape.node, reshape.operator))
    reshape.inputs = [copy, *reshape.inputs[1:]]
