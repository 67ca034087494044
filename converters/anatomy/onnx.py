"""Of an ONNX file: the checks that a conversion makes, then counts; shapes are those that onnx's inference finds."""

from collections.abc import Iterator
from math import prod
from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto, helper
from onnx.inliner import inline_local_functions

from converters.anatomy import onnx_macs
from converters.anatomy.anatomy import Anatomy, Tally, TensorFigures, not_counted
from converters.anatomy.memory import peak_activations
from converters.draft import Draft
from converters.facts import Facts, facts_of
from converters.proto import real_inputs, walk_nodes
from converters.steps.load_onnx import apply as load
from converters.value_info import dims_of, dtype_of

_REAL = frozenset(
    {
        TensorProto.FLOAT,
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
        TensorProto.DOUBLE,
        TensorProto.INT8,
        TensorProto.UINT8,
    }
)
"""Element types of constants that stand for real numbers; 32- and 64-bit integers are sizes, axes and indices."""


def anatomy_of_onnx(path: Path) -> Anatomy:
    """What `load_onnx` raises for a file that cannot be converted either."""
    draft = Draft(path, {})
    load(draft)
    model = inline_local_functions(draft.model) if draft.model.functions else draft.model
    facts = facts_of(model)
    tally, parameters, parameter_bytes = _tally(model, facts)
    return Anatomy(
        "onnx",
        _version(model),
        path.stat().st_size,
        tally.figures(),
        parameters,
        parameter_bytes,
        tally.total_macs,
        _peak(model, facts),
        tuple(TensorFigures(value.name, dtype_of(value), dims_of(value)) for value in real_inputs(model.graph)),
        tuple(TensorFigures(value.name, dtype_of(value), dims_of(value)) for value in model.graph.output),
        notes=_notes(model),
    )


def _version(model: ModelProto) -> str:
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    own = opsets.pop("", None) or opsets.pop("ai.onnx", None)
    others = "".join(f", {domain} {version}" for domain, version in sorted(opsets.items()))
    return f"ONNX opset {own}{others}, IR {model.ir_version}"


def _tally(model: ModelProto, facts: Facts) -> tuple[Tally, int, int]:
    """Operators by kind; elements and bytes of all parameters, each once. Constant nodes are no operators of a run."""
    tally, seen = Tally(), set[str]()
    size_bytes = 0
    for node in _computing(model):
        own = 0
        for name in dict.fromkeys(node.input):
            constant = facts.constants.get(name)
            if constant is not None and name not in seen and constant.data_type in _REAL:
                seen.add(name)
                own += prod(constant.dims)
                size_bytes += prod(constant.dims) * _item_bytes(constant.data_type)
        tally.add(_name(node), (), own, onnx_macs.of_node(node, facts))
    return tally, sum(tally.parameters.values()), size_bytes


def _name(node: NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}"


def _computing(model: ModelProto) -> Iterator[NodeProto]:
    return (node for node in walk_nodes(model.graph.node) if node.op_type != "Constant")


def _peak(model: ModelProto, facts: Facts) -> int | None:
    """Of the main graph alone."""
    graph = model.graph
    steps = [(list(node.input), list(node.output)) for node in graph.node if node.op_type != "Constant"]
    inputs = [value.name for value in real_inputs(graph)]
    names = {*inputs, *(name for _, writes in steps for name in writes)} - {""}
    sizes = {name: _size_bytes(name, facts) for name in names}
    return peak_activations(steps, sizes, inputs, [value.name for value in graph.output])


def _size_bytes(name: str, facts: Facts) -> int | None:
    shape, element = facts.shape(name), facts.element(name)
    return None if shape is None or not element else prod(shape) * _item_bytes(element)


def _item_bytes(element: int) -> int:
    """Strings and 4-bit types count as one byte."""
    return 1 if element == TensorProto.STRING else int(helper.tensor_dtype_to_np_dtype(element).itemsize)


def _notes(model: ModelProto) -> tuple[str, ...]:
    notes = []
    if any(len(list(walk_nodes([node]))) > 1 for node in model.graph.node):
        notes.append("bodies of If, Loop and Scan are counted once, and not in the peak of activations")
    uncounted = {_name(node) for node in _computing(model) if not onnx_macs.is_counted(node)}
    return (*notes, *not_counted(uncounted))
