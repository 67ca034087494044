"""Of each node of a model: refused, unknown or parses, by the table of operators and the traps of one TensorRT."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from onnx import ModelProto, TensorProto, ValueInfoProto

from converters.proto import real_inputs
from converters.tensorrt_operators.sites import Site, opset_of, sites
from converters.tensorrt_operators.tables import Row, Table, Version, has_operator, release, table_for, tables, written
from converters.tensorrt_operators.traps import JUDGED, spring
from converters.value_info import dims_of

Verdict = Literal["refused", "unknown", "parses"]


@dataclass(frozen=True)
class Finding:
    """What is expected of one node; `operator` is "" where it is about the model, `reason` where a node parses.

    `domain` is "" for ONNX's own operators.
    """

    operator: str
    node: str
    verdict: Verdict
    reason: str = ""
    domain: str = ""

    @property
    def where(self) -> str:
        name = f"{self.domain}.{self.operator}" if self.domain else self.operator
        return f"{name} (node {self.node!r})" if self.operator else ""


_T = TensorProto
_TYPES: dict[int, str] = {
    _T.FLOAT: "FP32",
    _T.DOUBLE: "FP32",  # cast down: "TensorRT will attempt to cast DOUBLE down to FLOAT"
    _T.FLOAT16: "FP16",
    _T.BFLOAT16: "BF16",
    _T.INT8: "INT8",
    _T.INT32: "INT32",
    _T.INT64: "INT64",
    _T.UINT8: "UINT8",
    _T.BOOL: "BOOL",
}
"""What the tables call an element type. convertDtype refuses those that are not here, but for some of 4 and 8 bits."""

_NONE: frozenset[int] = frozenset({_T.INT16, _T.UINT16, _T.UINT32, _T.UINT64, _T.STRING, _T.COMPLEX64, _T.COMPLEX128})
"""What no TensorRT has."""

_SINCE: dict[int, Version] = {_T.UINT8: (8, 5), _T.BFLOAT16: (9, 0)}
"""docs/Changelog.md of onnx-tensorrt: uint8 inputs and outputs from 8.5 GA, bfloat16 from 9.0 GA."""

_INT64_SINCE: Version = (9, 0)
"""Before, int64 becomes int32: docs/Changelog.md of onnx-tensorrt, 9.0 EA."""

_FUNCTIONS_SINCE: Version = (9, 0)
"""docs/Changelog.md of onnx-tensorrt, 9.0 EA: local functions."""


def judge(model: ModelProto, version: Version | None) -> list[Finding]:
    """One finding for each node, subgraphs and local functions included, after those about the model as a whole.

    A refusal stands only up to the newest table: beyond it, and without any table, a node is unknown at the worst.
    """
    nodes = sites(model)
    table = table_for(version)
    if table is None or version is None:
        why = "which TensorRT the board has is not known" if version is None else "no table is of a TensorRT that old"
        return [Finding(site.operator, site.name, "unknown", why, site.domain) for site in nodes]
    version = release(version)
    functions = {(function.domain, function.name) for function in model.functions}
    found = [*_of_model(model, table), *(_of_node(site, version, table, functions) for site in nodes)]
    if version <= tables()[-1].version:
        return found
    newest = f" (the newest table is of {tables()[-1].name})"
    return [
        replace(one, verdict="unknown", reason=one.reason + newest) if one.verdict == "refused" else one
        for one in found
    ]


def _of_model(model: ModelProto, table: Table) -> Iterator[Finding]:
    opset = opset_of(model)
    if opset > table.opset:
        yield Finding("", "", "unknown", f"the model is of opset {opset}; {table.name} is made for up to {table.opset}")
    for value in real_inputs(model.graph):
        if _is_open(value):
            reason = f"the input {value.name!r} has no static shape, and engines are built for one shape alone"
            yield Finding("", value.name, "refused", reason)


def _is_open(value: ValueInfoProto) -> bool:
    dims = dims_of(value)
    return dims is None or not all(isinstance(dim, int) for dim in dims)


def _of_node(site: Site, version: Version, table: Table, functions: set[tuple[str, str]]) -> Finding:
    """The first refusal, else the first doubt."""
    found = list(_doubts(site, version, table, functions))
    verdict, reason = next((one for one in found if one[0] == "refused"), found[0] if found else ("parses", ""))
    return Finding(site.operator, site.name, verdict, reason, site.domain)


def _doubts(
    site: Site, version: Version, table: Table, functions: set[tuple[str, str]]
) -> Iterator[tuple[Verdict, str]]:
    node = site.node
    if (node.domain, node.op_type) in functions:
        if version < _FUNCTIONS_SINCE:
            yield "refused", "it is a local function of the model, which this version does not know: inline it"
    elif site.domain:
        yield "unknown", f"it is an operator of {site.domain}: only a plugin on the board can take it"
    else:
        there = has_operator(site.operator, version)
        if there:
            yield from spring(site, version)
            yield from _unlisted(site, version, table.rows.get(site.operator, Row()))
        else:
            doubt: Verdict = "unknown" if there is None else "refused"
            yield doubt, f"TensorRT {written(version)} {'may lack' if there is None else 'lacks'} the operator"
    yield from _foreign_types(site, version)


def _unlisted(site: Site, version: Version, row: Row) -> Iterator[tuple[Verdict, str]]:
    """What NVIDIA's row does not promise."""
    if row.restriction and site.operator not in JUDGED:
        yield "unknown", f"NVIDIA restricts it: {row.restriction}"
    element = _leading_type(site)
    word = _TYPES.get(element, "") if element is not None else ""
    if word == "INT64" and version < _INT64_SINCE:
        word = "INT32"
    if row.types and element is not None and word not in row.types:
        yield "unknown", f"NVIDIA lists it for {', '.join(sorted(row.types))}, and it computes {_word(element)}"


def _leading_type(site: Site) -> int | None:
    """The type a row's types are about: of the data, which for Where comes after the condition, or of what is made."""
    if site.operator == "If":
        return None  # its input is the condition
    if site.operator == "ConstantOfShape" or not site.node.input:
        return site.made()
    return site.element(1 if site.operator == "Where" else 0)


def _foreign_types(site: Site, version: Version) -> Iterator[tuple[Verdict, str]]:
    """Of inputs and outputs. A constant of a type that came later may be converted when it is read, or may not."""
    for name in dict.fromkeys((*site.node.input, *site.node.output)):
        element = site.facts.element(name)
        if element in _NONE or (element and version < _SINCE.get(element, (0,))):
            doubt: Verdict = "unknown" if element not in _NONE and name in site.facts.constants else "refused"
            yield doubt, f"TensorRT {written(version)} has no element type {_word(element)}"


def _word(element: int | None) -> str:
    return str(TensorProto.DataType.Name(element)).lower() if element in TensorProto.DataType.values() else "?"
