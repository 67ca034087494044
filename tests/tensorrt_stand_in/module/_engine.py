"""ICudaEngine: a loaded plan, and what may be asked of its tensors (pyCore.cpp; NvInferRuntime.h)."""

from ._api import Behaviour
from ._computing import Computer, numpy_type
from ._logging import say
from ._values import host_memory

_LAYER_BYTES = 64 << 10  # of working memory, so that there is a figure


class ICudaEngine(Behaviour):
    """Tensors are numbered inputs first, each in the network's order."""

    def _start(self, plan, logger):
        self._plan, self._logger = plan, logger
        self._about = plan.engine
        self._tensors = self._about["inputs"] + self._about["outputs"]
        self._computer = Computer(plan.model, self._about["precision"])
        self._bytes = _LAYER_BYTES * len(self._about["layers"])

    num_bindings = property(lambda self: len(self._tensors))
    num_io_tensors = property(lambda self: len(self._tensors))
    num_layers = property(lambda self: len(self._about["layers"]))
    num_optimization_profiles = property(lambda self: self._about["profiles"])
    num_aux_streams = property(lambda self: 0)
    name = property(lambda self: self._about["name"])
    max_batch_size = property(lambda self: 1)
    has_implicit_batch_dimension = property(lambda self: self._about["has_implicit_batch"])
    device_memory_size = property(lambda self: self._bytes)
    device_memory_size_v2 = property(lambda self: self._bytes)
    refittable = property(lambda self: False)
    tactic_sources = property(lambda self: self._about["sources"])
    engine_capability = property(lambda self: self._api.enum("EngineCapability.STANDARD"))
    profiling_verbosity = property(lambda self: self._api.kind("ProfilingVerbosity")(self._about["verbosity"]))
    hardware_compatibility_level = property(
        lambda self: self._api.kind("HardwareCompatibilityLevel")(self._about["hardware_level"])
    )

    def __len__(self):
        return len(self._tensors)

    def __getitem__(self, key):
        if isinstance(key, str):
            return self._index(key)
        if not -len(self._tensors) <= key < len(self._tensors):
            raise IndexError("Out of bounds")
        return self._tensors[key]["name"]

    def serialize(self):
        return host_memory(self._api, self._plan.to_bytes())

    def create_execution_context(self, strategy=None):
        if self._api.faults.get("context_none") is not None:
            say(self._api, self._logger, "context_without_memory", bytes=self._bytes)
            return None
        mib = -(-self._bytes >> 20)
        say(self._api, self._logger, "context_allocated", mib=mib, total_mib=mib + (len(self._plan.model) >> 20))
        return self._api.new("IExecutionContext", self)

    def create_engine_inspector(self):
        return self._api.new("EngineInspector", self)

    def get_device_memory_size_for_profile(self, profile_index):
        return self._bytes if profile_index < self._about["profiles"] else 0

    def get_device_memory_size_for_profile_v2(self, profile_index):
        return self._bytes if profile_index < self._about["profiles"] else 0

    # Bindings, by number or by name; until 8.6.

    def _binding(self, key):
        """The tensor, or None and a message."""
        if isinstance(key, str):
            key = self._index(key)
        return self._tensors[key] if 0 <= key < len(self._tensors) else None

    def _index(self, name):
        """The number of a binding; -1 and a message where there is none."""
        names = [it["name"] for it in self._tensors]
        if name not in names:
            say(self._api, self._logger, "unknown_binding", name=name)
            return -1
        return names.index(name)

    def get_binding_name(self, index):
        found = self._binding(index)
        return found["name"] if found else None

    def get_binding_index(self, name):
        return self._index(name)

    def binding_is_input(self, key):
        return self._is_input(self._binding(key))

    def get_binding_shape(self, key):
        return self._shape(self._binding(key))

    def get_binding_dtype(self, key):
        return self._dtype(self._binding(key))

    def get_location(self, key):
        return self._api.enum("TensorLocation.DEVICE")

    def is_shape_binding(self, binding):
        return False

    def is_execution_binding(self, binding):
        return True

    def get_binding_bytes_per_component(self, index):
        return _item_bytes(self._binding(index))

    def get_binding_components_per_element(self, index):
        return -1

    def get_binding_format(self, index):
        return self._api.enum("TensorFormat.LINEAR")

    def get_binding_format_desc(self, index):
        return _format(self._binding(index))

    def get_binding_vectorized_dim(self, index):
        return -1

    def get_profile_shape(self, profile_index, binding):
        return self._profile(self._binding(binding), profile_index)

    # Tensors, by name; from 8.5 on.

    def _tensor(self, name, call):
        """The tensor, or None and a message."""
        found = next((it for it in self._tensors if it["name"] == name), None)
        if found is None:
            say(self._api, self._logger, "unknown_tensor", owner="ICudaEngine", call=call, name=name)
        return found

    def get_tensor_name(self, index):
        return self._tensors[index]["name"] if 0 <= index < len(self._tensors) else None

    def get_tensor_mode(self, name):
        found = self._tensor(name, "getTensorIOMode")
        mode = "NONE" if found is None else "INPUT" if self._is_input(found) else "OUTPUT"
        return self._api.enum("TensorIOMode." + mode)

    def get_tensor_shape(self, name):
        return self._shape(self._tensor(name, "getTensorShape"))

    def get_tensor_dtype(self, name):
        return self._dtype(self._tensor(name, "getTensorDataType"))

    def get_tensor_location(self, name):
        self._tensor(name, "getTensorLocation")
        return self._api.enum("TensorLocation.DEVICE")

    def get_tensor_bytes_per_component(self, name, profile_index=0):
        return _item_bytes(self._tensor(name, "getTensorBytesPerComponent"))

    def get_tensor_components_per_element(self, name, profile_index=0):
        self._tensor(name, "getTensorComponentsPerElement")
        return -1

    def get_tensor_format(self, name, profile_index=0):
        self._tensor(name, "getTensorFormat")
        return self._api.enum("TensorFormat.LINEAR")

    def get_tensor_format_desc(self, name, profile_index=0):
        return _format(self._tensor(name, "getTensorFormatDesc"))

    def get_tensor_vectorized_dim(self, name, profile_index=0):
        self._tensor(name, "getTensorVectorizedDim")
        return -1

    def get_tensor_profile_shape(self, name, profile_index):
        return self._profile(self._tensor(name, "getProfileShape"), profile_index)

    def is_shape_inference_io(self, name):
        return False

    def _is_input(self, tensor):
        return tensor in self._about["inputs"]

    def _shape(self, tensor):
        return self._api.kind("Dims")(tensor["dims"] if tensor else [])

    def _dtype(self, tensor):
        return self._api.enum("DataType." + (tensor["dtype"] if tensor else "FLOAT"))

    def _profile(self, tensor, index):
        shapes = tensor["profiles"][index] if tensor and "profiles" in tensor else [[], [], []]
        return [self._api.kind("Dims")(shape) for shape in shapes]


def _item_bytes(tensor):
    return numpy_type(tensor["dtype"]).itemsize if tensor else -1


def _format(tensor):
    return "Row major linear %s format (kLINEAR)" % tensor["dtype"].replace("FLOAT", "FP32") if tensor else ""
