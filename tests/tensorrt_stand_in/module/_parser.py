"""OnnxParser: from an ONNX file to a network (pyOnnx.cpp; onnx-tensorrt's ModelImporter.cpp at 8.4 and 10)."""

import os

from . import _onnx
from ._api import Behaviour
from ._logging import say, write
from ._network import dtype_of

_PLUGIN = 'creator && "Plugin not found, are the plugin name, version, and namespace correct?"'
_IMPLICIT = (
    'Assertion failed: !_importer_ctx.network()->hasImplicitBatchDimension() && "This version of the ONNX parser '
    "only supports TensorRT INetworkDefinitions with an explicit batch dimension. Please ensure the network was "
    'created using the EXPLICIT_BATCH NetworkDefinitionCreationFlag."'
)
_SYMMETRIC = 'shiftIsAllZeros(zeroPoint) && "TRT only supports symmetric quantization - zeroPt must be all zeros"'
_DATE_TYPE = (  # (sic)
    'convertDtype(onnxDtype.elem_type(), &trtDtype) && "Failed to convert ONNX date type to TensorRT data type."'
)
_QUANTISING = ("QuantizeLinear", "DequantizeLinear")


class OnnxParser(Behaviour):
    # kNATIVE_INSTANCENORM is on by default since 10 (docs/Changelog.md, 10.0 EA).
    num_errors = property(lambda self: len(self._errors))
    num_subgraphs = property(lambda self: len(self._subgraphs))
    flags = property(lambda self: self._flags, lambda self, flags: setattr(self, "_flags", flags))

    def __init__(self, network, logger):
        self._network, self._logger = network, logger
        self._errors, self._subgraphs = [], []
        self._flags = 1 if self._api.since("10.3") else 0

    def parse(self, model, path):
        if self._api.since("10.3") and self._network._layers:
            say(self._api, self._logger, "network_not_empty")
            return False
        return self._import(model, os.path.dirname(path) if path else None) is not None

    def parse_from_file(self, path):
        """Unlike parse() it writes each error to the logger too."""
        try:
            with open(path, "rb") as file:
                content = file.read()
            _onnx.Model(content)
        except (IOError, OSError, _onnx.NotOnnxError):
            say(self._api, self._logger, "not_a_model_file", path=path)
            return False
        if self._import(content, os.path.dirname(os.path.abspath(path))) is not None:
            return True
        for error in self._errors:
            self._write(error)
        return False

    def _write(self, error):
        if error._node is not None:
            node = error._node
            head = 'While parsing node number %d [%s -> "%s"]:' % (error.node(), node.operator, node.outputs[0])
            write(self._api, self._logger, "ERROR", "ModelImporter.cpp:773: " + head)
            write(self._api, self._logger, "ERROR", "ModelImporter.cpp:774: --- Begin node ---\n" + _shown(node))
            write(self._api, self._logger, "ERROR", "ModelImporter.cpp:775: --- End node ---")
        place = "%s:%d In function %s:\n[%d] " % (error.file(), error.line(), error.func(), int(error.code()))
        write(self._api, self._logger, "ERROR", "ModelImporter.cpp:779: ERROR: " + place + error.desc())

    def _import(self, content, folder):
        """The model, now in the network; None and errors where the parser refuses it. `folder`: of its other files."""
        self._is_refused = False
        try:
            model = _onnx.Model(content)
        except _onnx.NotOnnxError:
            function = "deserializeOnnxModel" if self._api.since("10.3") else "deserialize_onnx_model"
            text = self._assertion('(model->ParseFromCodedStream(&coded_input)) && "Failed to parse the ONNX model."')
            self._fail("MODEL_DESERIALIZE_FAILED", text, "ModelImporter.cpp", 309, function)
            return None
        if self._network.has_implicit_batch_dimension:
            self._fail("INVALID_VALUE", _IMPLICIT, "ModelImporter.cpp", 566, "importModel")
            return None
        if any(domain in ("", "ai.onnx") and opset < 7 for domain, opset in model.opsets.items()):
            say(self._api, self._logger, "old_opset")
        for check in (self._check_tensors, self._check_constants, self._check_nodes):
            if not self._is_over():
                check(model, folder)
        if self._is_refused:
            return None
        model.content = model.with_constants_inside(folder or "")
        self._network._fill(model)
        return model

    def _is_over(self):
        """8 stops at the first error; the static checks of 9.1 and later find them all."""
        return self._is_refused and not self._api.since("10.3")

    def _check_tensors(self, model, folder):
        for tensor in model.inputs + model.outputs:
            dtype = dtype_of(self._api, tensor.element)
            if dtype is None:
                self._fail("UNSUPPORTED_NODE", self._assertion(_DATE_TYPE), tensor.name, 238, "importInput")
            elif dtype.name == "INT64" and tensor in model.outputs:
                say(self._api, self._logger, "int64_output", name=tensor.name)

    def _check_constants(self, model, folder):
        if any(it.element == _onnx.INT64 for it in model.constants) and self._api.table.says("int64_weights"):
            say(self._api, self._logger, "int64_weights")
        try:
            model.with_constants_inside(folder or "")
        except _onnx.ExternalFileError as error:
            say(self._api, self._logger, "external_file_missing", path=error.path)
            text = 'convertOnnxWeights(initializer, &weights, ctx) && "Failed to import initializer."'
            self._fail("UNSUPPORTED_NODE", self._assertion(text), "ModelImporter.cpp", 86, "parseGraph")

    def _check_nodes(self, model, folder):
        for index, node in enumerate(model.nodes):
            for check in (self._check_operators, self._check_zero_point):
                if not self._is_over():
                    check(model, index, node)

    def _check_operators(self, model, index, node):
        lacking = [name for name in node.operators() if not self.supports_operator(name)]
        if not lacking:
            return
        say(self._api, self._logger, "unsupported_operator", operator=lacking[0])
        if self._api.since("10.3"):
            place = ("INVALID_NODE", _PLUGIN, "onnxOpCheckers.cpp", 781, "checkFallbackPluginImporter")
        else:
            text = self._assertion(_PLUGIN)
            place = ("UNSUPPORTED_NODE", text, "builtin_op_importers.cpp", 4643, "importFallbackPluginImporter")
        self._fail(*place, index=index, node=node)

    def _check_zero_point(self, model, index, node):
        """NVIDIA/TensorRT#2774."""
        if node.operator not in _QUANTISING or len(node.inputs) < 3:
            return
        zero = next((it for it in model.constants if it.name == node.inputs[2]), None)
        if zero is not None and not zero.is_external and not zero.is_all_zeros():
            text, file = self._assertion(_SYMMETRIC), "builtin_op_importers.cpp"
            self._fail("UNSUPPORTED_NODE", text, file, 1192, "QuantDequantLinearHelper", index, node)

    def _assertion(self, text):
        """8 says "Assertion failed: " first."""
        return text if self._api.since("10.3") else "Assertion failed: " + text

    def _fail(self, code, desc, file, line, func, index=-1, node=None):
        self._is_refused = True
        self._errors.append(self._api.new("ParserError", code, desc, file, line, func, index, node))

    def supports_operator(self, name):
        return name in self._api.table.importers and name != self._api.faults.get("unsupported_operator")

    def supports_model(self, model, path):
        supported = self._supports(model, path)
        return supported, [(list(nodes), it) for nodes, it in self._subgraphs]

    def supports_model_v2(self, model, path):
        return self._supports(model, path)

    def _supports(self, model, path):
        """Parses it too, as NVIDIA's does: the network is filled."""
        supported = self._import(model, os.path.dirname(path) if path else None) is not None
        self._partition(_nodes_of(model))
        return supported

    def _partition(self, nodes):
        """Runs of nodes that nothing is wrong with; marked as supported only where that is the whole model."""
        failed = {error.node() for error in self._errors}
        self._subgraphs = []
        for index, _ in enumerate(nodes):
            if index in failed:
                self._subgraphs.append(([], False))
            elif self._subgraphs and self._subgraphs[-1][0]:
                self._subgraphs[-1][0].append(index)
            else:
                self._subgraphs.append(([index], not self._errors))
        self._subgraphs = [it for it in self._subgraphs if it[0]]

    def is_subgraph_supported(self, index):
        return 0 <= index < len(self._subgraphs) and self._subgraphs[index][1]

    def get_subgraph_nodes(self, index):
        return list(self._subgraphs[index][0]) if 0 <= index < len(self._subgraphs) else []

    def get_error(self, index):
        return self._errors[index] if 0 <= index < len(self._errors) else None

    def clear_errors(self):
        self._errors = []

    def set_flag(self, flag):
        self._flags |= 1 << int(flag)

    def clear_flag(self, flag):
        self._flags &= ~(1 << int(flag))

    def get_flag(self, flag):
        return bool(self._flags >> int(flag) & 1)

    def get_used_vc_plugin_libraries(self):
        return []


def _nodes_of(content):
    try:
        return _onnx.Model(content).nodes
    except _onnx.NotOnnxError:
        return []


def _shown(node):
    """A node as protobuf prints it, without its attributes."""
    lines = ['input: "%s"' % name for name in node.inputs] + ['output: "%s"' % name for name in node.outputs]
    named = ['name: "%s"' % node.name] if node.name else []
    return "\n".join(lines + named + ['op_type: "%s"' % node.operator]) + "\n"
