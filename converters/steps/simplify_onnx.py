"""Fold what is constant and drop what does nothing, by ONNX Runtime's own optimiser.

It is here already, and it is well kept. onnxslim (MIT) and onnxsim (Apache-2.0) do much the same; each would be one
more dependency with an optimiser of its own, and onnxsim a compiled one.
"""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime
from onnx import ModelProto

from converters.draft import Draft
from converters.naming import Names
from converters.proto import real_inputs, serialise, walk_nodes
from converters.reference import open_session


def apply(draft: Draft) -> None:
    """Replace ``draft.model`` by a simpler one: the same inputs, outputs, opset and metadata, ONNX's own operators.

    The model is left as it is where ONNX Runtime would put Casts into it: so it does around operators that it can only
    compute in float32 (those of a model in half precision), and with the bodies of operators it has no kernel for. And
    where it is quantised: weights folded into int8 constants are not what every TensorRT reads.

    Raises InvalidModelError, UnsupportedOperatorError or UnsupportedVersionError.
    """
    _list_real_inputs_alone(draft.model)
    before = _operators(draft.model)
    if before["", "QuantizeLinear"]:
        return
    names = Names.of(draft.model)
    simple = _optimised(draft.model)
    after = _operators(simple)
    domains = {domain for domain, _ in after} - {domain for domain, _ in before}
    if domains or after["", "Cast"] > before["", "Cast"]:
        draft.notices.append("the graph is not simplified: ONNX Runtime would put operators of its own into it")
    else:
        _import_used_domains_alone(simple, {domain for domain, _ in after})
        names.restore(simple)
        draft.model = simple


def _optimised(model: ModelProto) -> ModelProto:
    """The BASIC level: which optimisations it has is the same on every machine, and they keep to ONNX's operators.

    Source: https://onnxruntime.ai/docs/performance/model-optimizations/graph-optimizations.html
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.disable_prepacking", "1")  # the weights once, not twice
    with TemporaryDirectory(prefix="boardfit-") as folder:
        path = Path(folder) / "simple.onnx"
        options.optimized_model_filepath = str(path)
        open_session(serialise(model), options)
        return onnx.load_model_from_string(path.read_bytes())


def _list_real_inputs_alone(model: ModelProto) -> None:
    """Up to IR version 3 constants had to be listed as inputs; the optimiser makes constants that are not."""
    inputs = real_inputs(model.graph)
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, 4)


def _operators(model: ModelProto) -> Counter[tuple[str, str]]:
    """How often each is used, by domain and name."""
    nodes = walk_nodes(model.graph.node)
    return Counter(("" if node.domain == "ai.onnx" else node.domain, node.op_type) for node in nodes)


def _import_used_domains_alone(model: ModelProto, domains: set[str]) -> None:
    """ONNX Runtime lists every domain it knows."""
    used = [entry for entry in model.opset_import if entry.domain in domains | {"", "ai.onnx"}]
    del model.opset_import[:]
    model.opset_import.extend(used)
