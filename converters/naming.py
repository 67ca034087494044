"""Names of nodes that a library puts in the place of others: whoever made the model has to know them again."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from onnx import GraphProto, ModelProto, NodeProto

from converters.proto import walk_graphs, walk_nodes


class _Origin(NamedTuple):
    """A node as it came; the name may be ""."""

    name: str
    output: str
    operator: str


@dataclass(frozen=True)
class Names:
    """The nodes of a model before it is changed."""

    by_name: dict[str, _Origin]
    by_output: dict[str, _Origin]

    @classmethod
    def of(cls, model: ModelProto) -> "Names":
        names = cls({}, {})
        for node in walk_nodes(model.graph.node):
            origin = _Origin(node.name, next(filter(None, node.output), ""), node.op_type)
            names.by_name[node.name] = origin
            names.by_output.update(dict.fromkeys(node.output, origin))
        for known in (names.by_name, names.by_output):
            known.pop("", None)
        return names

    def restore(self, model: ModelProto) -> None:
        """Name each node that is new in `model` after the one that it is a part of: "act/HardSwish/0" is of a HardSwish
        with the name "act". The node that gives what the old one gave has its name, unless another kept that.
        """
        taken = {node.name for node in walk_nodes(model.graph.node)} - {""}
        counts: Counter[_Origin] = Counter()
        for graph in walk_graphs(model.graph):
            for node, origin in self._new_nodes(graph):
                node.name = origin.name
                if origin.output not in node.output or origin.name in taken:
                    node.name = f"{origin.name or origin.output}/{origin.operator}/{counts[origin]}"
                    counts[origin] += 1

    def _new_nodes(self, graph: GraphProto) -> Iterator[tuple[NodeProto, _Origin]]:
        """In the order of the graph. A part is known by where its values go: the old nodes' values keep their names."""
        found: list[tuple[NodeProto, _Origin]] = []
        goes_into: dict[str, _Origin] = {}
        for node in reversed(graph.node):
            ends = [known[name] for known in (self.by_output, goes_into) for name in node.output if name in known]
            origin = self.by_name.get(node.name) or next(iter(ends), None)
            if origin is None:
                continue  # nobody reads it
            if node.name not in self.by_name:
                found.append((node, origin))
            for name in node.input:
                goes_into.setdefault(name, origin)
        return reversed(found)
