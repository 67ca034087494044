"""What onnx and ONNX Runtime say when they refuse a model, in our terms.

Both tell the cause in the text alone. tests/converters/test_diagnosis.py holds these patterns against the installed
versions, so that an upgrade which changes a text is noticed.
"""

import re

import onnx

from converters.errors import ConversionError, InvalidModelError, UnsupportedOperatorError, UnsupportedVersionError
from converters.proto import walk_nodes

_VERSION = re.compile(
    r"(?P<kind>Opset) (?P<found>\d+) is under development.* for domain (?P<domain>\S+) is till opset (?P<known>\d+)"
    r"|Your model (?P<ir>ir_version) (?P<ir_found>\d+) is higher than the checker's \((?P<ir_known>\d+)\)",
    re.DOTALL,
)
_OPERATOR = (
    re.compile(r"(?P<reason>No Op registered for (?P<operator>\w+) with domain_version of \d+)"),
    re.compile(r"(?P<reason>No opset import for domain '(?P<domain>[^']*)')"),
    re.compile(r"(?:(?P<domain>[\w.]+):)?(?P<operator>\w+)\(-?\d+\) (?P<reason>is not a registered function/op)"),
    re.compile(
        r"(?P<reason>Could not find an implementation) for (?:(?P<domain>[\w.]+)[.:])?(?P<operator>\w+)\(\d+\)"
        r" node with name '(?P<node>.*?)'"
    ),
)
"""The first two are onnx.checker's and, within a longer text, ONNX Runtime's; the others are ONNX Runtime's alone."""
_REASON = {
    "is not a registered function/op": "it is not registered",
    "Could not find an implementation": "it has no implementation on the CPU for these element types",
}
_CLUTTER = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |/\S+\.(?:cc|h):\d+ .*?\) (?!const)")
"""ONNX Runtime's status in front of a text, and a place in its C++ source anywhere in it."""


def refusal(error: Exception, model: onnx.ModelProto) -> ConversionError:
    """Why onnx.checker or ONNX Runtime did not take `model`."""
    text = str(error)
    if version := _VERSION.search(text):
        return _version_error(version)
    for pattern in _OPERATOR:
        if found := pattern.search(text):
            return _operator_error(found.groupdict(), model)
    return InvalidModelError(
        f"the model is not valid: {plain(error)}",
        "export it again; if shapes were given with --input-shape, check that the model can take them",
    )


def plain(error: Exception) -> str:
    """The text of an onnx or ONNX Runtime error on one line, without status and source location."""
    return " ".join(_CLUTTER.sub("", str(error)).split())


def _version_error(found: re.Match[str]) -> UnsupportedVersionError:
    if found["ir"]:
        what, known = f"IR version {found['ir_found']}", f"IR version {found['ir_known']}"
    else:
        what, known = f"opset {found['found']} of {found['domain']}", f"opset {found['known']}"
    return UnsupportedVersionError(
        f"the model uses {what}; the installed version knows up to {known}",
        "export the model for an older opset, or upgrade onnx and onnxruntime",
    )


def _operator_error(said: dict[str, str | None], model: onnx.ModelProto) -> UnsupportedOperatorError:
    """What the text leaves out comes from the first node that fits it."""
    reason, operator, domain, name = (said.get(key) or "" for key in ("reason", "operator", "domain", "node"))
    nodes = (node for group in (model.graph, *model.functions) for node in walk_nodes(group.node))
    fitting = (
        node
        for node in nodes
        if operator in ("", node.op_type) and domain in ("", node.domain) and name in ("", node.name)
    )
    node = next(fitting, onnx.NodeProto())
    return UnsupportedOperatorError(
        operator or node.op_type, domain or node.domain, name or node.name, _REASON.get(reason, reason)
    )
