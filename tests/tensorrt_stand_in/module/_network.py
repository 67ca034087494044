"""INetworkDefinition, ITensor, ILayer: what a parsed model looks like, one layer for each node (pyGraph.cpp)."""

from ._api import Behaviour
from ._pybind import NotModelledError

# onnx2trt_utils.cpp, convertDtype: ONNX's number of a type -> TensorRT's, and the version since when.
_DTYPES = {
    1: (("8.2", "FLOAT"),),
    2: (("8.5", "UINT8"),),
    3: (("8.2", "INT8"),),
    6: (("8.2", "INT32"),),
    7: (("10.3", "INT64"), ("8.2", "INT32")),  # docs/Changelog.md, 9.0 EA: INT64 bindings; before, INT32
    9: (("8.2", "BOOL"),),
    10: (("8.2", "HALF"),),
    11: (("8.2", "FLOAT"),),  # cast down
}


def dtype_of(api, element):
    """TensorRT's type of an input or output, or None where it has none."""
    for since, name in _DTYPES.get(element, ()):
        if api.since(since):
            return api.enum("DataType." + name)
    return None


class INetworkDefinition(Behaviour):
    _STORED = {"name": "Unnamed Network 0"}

    num_layers = property(lambda self: len(self._layers))
    num_inputs = property(lambda self: len(self._inputs))
    num_outputs = property(lambda self: len(self._outputs))
    flags = property(lambda self: self._flags)
    builder = property(lambda self: self._builder)
    has_explicit_precision = property(lambda self: self._flag("EXPLICIT_PRECISION"))
    has_implicit_batch_dimension = property(lambda self: self._is_implicit())

    def _start(self, builder, flags):
        self._builder, self._flags = builder, flags
        self._model = None  # set by the parser
        self._inputs, self._outputs, self._layers = [], [], []

    def _flag(self, name):
        return bool(self._flags >> int(self._api.enum("NetworkDefinitionCreationFlag." + name)) & 1)

    def _is_implicit(self):
        """Never from 10 on (NvInfer.h 10, hasImplicitBatchDimension)."""
        return not self._api.since("10.3") and not self._flag("EXPLICIT_BATCH")

    def _is_strongly_typed(self):
        """Always in 11 (docs, migration from 10 to 11)."""
        return self._api.since("11") or (self._api.since("10.3") and self._flag("STRONGLY_TYPED"))

    def _fill(self, model):
        """Takes over a model that the parser found nothing wrong with."""
        self._model = model
        constants = {constant.name for constant in model.constants}
        inputs = [it for it in model.inputs if it.name not in constants]
        self._inputs = [self._api.new("ITensor", self, it) for it in inputs]
        self._outputs = [self._api.new("ITensor", self, it) for it in model.outputs]
        self._layers = [self._api.new("ILayer", self, index, node) for index, node in enumerate(model.nodes)]

    def get_flag(self, flag):
        return bool(self._flags >> int(flag) & 1)

    def get_layer(self, index):
        return _at(self._layers, index)

    def get_input(self, index):
        return _at(self._inputs, index)

    def get_output(self, index):
        return _at(self._outputs, index)

    def __len__(self):
        return len(self._layers)

    def __getitem__(self, index):
        if not -len(self._layers) <= index < len(self._layers):
            raise IndexError
        return self._layers[index]


def _at(items, index):
    return items[index] if 0 <= index < len(items) else None


class ITensor(Behaviour):
    _STORED = {"location": "TensorLocation.DEVICE"}

    is_network_input = property(lambda self: self in self._network._inputs)
    is_network_output = property(lambda self: self in self._network._outputs)
    is_shape_tensor = property(lambda self: False)
    is_execution_tensor = property(lambda self: True)

    def _start(self, network, kind):
        self._network, self._kind = network, kind
        self._name = kind.name
        self._dims = [-1 if dim is None else dim for dim in kind.dims or ()]
        self._dtype = dtype_of(self._api, kind.element)

    def _set_name(self, name):
        raise NotModelledError("another name for a tensor than the model's")

    def _set_shape(self, shape):
        self._dims = list(shape)

    def _set_dtype(self, dtype):
        self._dtype = dtype

    name = property(lambda self: self._name, _set_name)
    shape = property(lambda self: self._api.kind("Dims")(self._dims), _set_shape)
    dtype = property(lambda self: self._dtype, _set_dtype)


class ILayer(Behaviour):
    """Its tensors are those of the network alone: what is between layers is not kept."""

    num_inputs = property(lambda self: len(self._node.inputs))
    num_outputs = property(lambda self: len(self._node.outputs))

    def _start(self, network, index, node):
        self._network, self._node = network, node
        self._name = node.name or "(Unnamed Layer* %d) [%s]" % (index, node.operator)
        self._metadata = "[ONNX Layer: %s]" % node.name if node.name else ""

    def _set_name(self, name):
        self._name = name

    def _set_metadata(self, metadata):
        self._metadata = metadata

    name = property(lambda self: self._name, _set_name)
    metadata = property(lambda self: self._metadata, _set_metadata)

    def get_input(self, index):
        return self._tensor(_at(self._node.inputs, index))

    def get_output(self, index):
        return self._tensor(_at(self._node.outputs, index))

    def _tensor(self, name):
        tensors = self._network._inputs + self._network._outputs
        return next((it for it in tensors if it._kind.name == name), None)
