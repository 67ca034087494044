"""From a newer opset to an older one, in place.

onnx.version_converter would be the library for it. Of 51 networks that PyTorch 2.13 exported with opsets 18, 20 and 23
(ResNet, MobileNet V3, EfficientNet, DenseNet, SqueezeNet, ConvNeXt, U-Nets, a YOLO head ...), that of onnx 1.23 brings
4 to opset 17 and none to opset 13: it lacks the way back even from Relu-14, takes neither GroupNormalization nor Gelu
nor Pad-18, names no node in its errors, and copies the weights several times. Here an operator goes back by ONNX's own
schemas where it says nothing new, and by a rewrite (converters/rewrites/) where it does.
"""

from dataclasses import dataclass

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, defs, helper

from converters.errors import OpsetTooNewError
from converters.facts import Facts, facts_of
from converters.proto import walk_graphs
from converters.rewrites.rewrite import CannotRewriteError, Rewrite
from converters.rewrites.table import REWRITES

_OWN_DOMAINS = ("", "ai.onnx")
"""Both mean ONNX's own operators."""


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators that the model uses."""
    return max((int(entry.version) for entry in model.opset_import if entry.domain in _OWN_DOMAINS), default=1)


def lower(model: ModelProto, opset: int) -> None:
    """Make `model` one of `opset`, which is older than its own and at least 13. Raises OpsetTooNewError.

    By one change of operators after the other: what is known of shapes is found anew after each.
    """
    while (newer := opset_of(model)) > opset:
        graphs = list(walk_graphs(model.graph))[::-1]  # the inner ones first: replacing a node replaces what is in it
        operators = {node.op_type for graph in graphs for node in graph.node if node.domain in _OWN_DOMAINS}
        changes = (change for operator, change in REWRITES if operator in operators and opset < change <= newer)
        older = max(changes, default=opset + 1) - 1
        stage = _Stage(newer, older, opset, facts_of(model))
        for graph in graphs:
            stage.lower(graph)
        for entry in model.opset_import:
            if entry.domain in _OWN_DOMAINS:
                entry.version = older


@dataclass(frozen=True)
class _Stage:
    """From `newer` to `older`, between which only the last change needs rewrites, on the way to `target`."""

    newer: int
    older: int
    target: int
    facts: Facts

    def lower(self, graph: GraphProto) -> None:
        """Replace the graph's nodes; the constants that they need go among its initialisers."""
        nodes: list[NodeProto] = []
        for node in graph.node:
            if node.domain in _OWN_DOMAINS and (node.op_type, self.older + 1) in REWRITES:
                self._fit(node, self.newer, self.older + 1)
                rewritten = self._rewritten(node)
                for part in rewritten.nodes:
                    self._fit(part, self.older + 1, self.older)
                nodes += rewritten.nodes
                graph.initializer.extend(rewritten.constants)
            else:
                self._fit(node, self.newer, self.older)
                nodes.append(node)
        del graph.node[:]
        graph.node.extend(nodes)

    def _rewritten(self, node: NodeProto) -> Rewrite:
        rewrite = Rewrite(node, self.older + 1, self.facts)
        try:
            REWRITES[node.op_type, rewrite.opset](rewrite)
        except CannotRewriteError as error:
            raise OpsetTooNewError(node.op_type, node.name, rewrite.opset, self.target, str(error)) from error
        return rewrite

    def _fit(self, node: NodeProto, newer: int, older: int) -> None:
        """Drop what `node` says of defaults that `older` does not know; OpsetTooNewError if it says more than these."""
        new, old = _schema(node, newer), _schema(node, older)
        if new is None or (old is not None and old.since_version == new.since_version):
            return
        problem = "the operator is new" if old is None else self._misfit(node, new, old)
        if old is None or problem:
            raise OpsetTooNewError(node.op_type, node.name, new.since_version, self.target, problem)
        stay = [attribute for attribute in node.attribute if attribute.name in old.attributes]
        del node.attribute[:]
        node.attribute.extend(stay)

    def _misfit(self, node: NodeProto, new: defs.OpSchema, old: defs.OpSchema) -> str:
        """What `node` says that the older schema cannot; "" if nothing."""
        for attribute in node.attribute:
            if attribute.name not in old.attributes and not _is_default(attribute, new):
                return f"{attribute.name}={helper.get_attribute_value(attribute)!r}"
        for kind, names, most in (("input", node.input, old.max_input), ("output", node.output, old.max_output)):
            if further := [name for name in names[most:] if name]:
                return f"its {kind} {further[0]!r}"
            del names[most:]
        for index, name in enumerate(node.input):
            written = f"tensor({TensorProto.DataType.Name(self.facts.element(name) or 0).lower()})"
            allowed = old.inputs[min(index, len(old.inputs) - 1)].types
            if self.facts.element(name) and written not in allowed:
                return f"its input {name!r} is a {written}"
        return ""


def _schema(node: NodeProto, opset: int) -> defs.OpSchema | None:
    """The operator as `opset` defines it; None where it does not exist, or not any more."""
    if node.domain not in _OWN_DOMAINS or not defs.has(node.op_type):
        return None
    try:
        schema = defs.get_schema(node.op_type, opset, "")
    except defs.SchemaError:
        return None
    return None if schema.deprecated else schema


def _is_default(attribute: AttributeProto, schema: defs.OpSchema) -> bool:
    """Whether the attribute says what its absence would."""
    default = schema.attributes[attribute.name].default_value
    return bool(default.type) and helper.get_attribute_value(attribute) == helper.get_attribute_value(default)
