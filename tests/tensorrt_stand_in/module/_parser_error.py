"""ParserError: why the parser refused a model (pyOnnx.cpp)."""

from ._api import Behaviour


class ParserError(Behaviour):
    def _start(self, code, desc, file, line, func, index, node):
        self._code, self._desc, self._place, self._node = code, desc, (file, line, func, index), node

    def code(self):
        return self._api.enum("ErrorCode." + self._code)

    def desc(self):
        return self._desc

    def file(self):
        return self._place[0]

    def line(self):
        return self._place[1]

    def func(self):
        return self._place[2]

    def node(self):
        return self._place[3]

    def node_name(self):
        return self._node.name if self._node else ""

    def node_operator(self):
        return self._node.operator if self._node else ""

    def local_function_stack(self):
        return []

    def local_function_stack_size(self):
        return 0

    def _text(self):
        """pyOnnx.cpp, parser_error_str; with name and operator since 9.1."""
        node = self._node
        named = (
            " with name: %s and operator: %s" % (node.name, node.operator) if node else " with name:  and operator: "
        )
        index, named = self._place[3], named if self._api.since("10.3") else ""
        return "In node %d%s (%s): %s: %s" % (index, named, self._place[2], self._code, self._desc)

    def __str__(self):
        return self._text()

    def __repr__(self):
        return self._text()
