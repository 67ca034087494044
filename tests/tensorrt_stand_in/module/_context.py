"""IExecutionContext: shapes, addresses, runs, and the times of layers (pyCore.cpp; NvInferRuntime.h)."""

import numpy

from . import _device
from ._api import Behaviour
from ._computing import numpy_type
from ._logging import call_back, say
from ._pybind import NotModelledError

_LAYER_MS = 0.01  # the first layer's; the second takes twice as long, and so on


class IExecutionContext(Behaviour):
    _STORED = {
        "debug_sync": False,
        "enqueue_emits_profile": True,
        "name": "",
        "nvtx_verbosity": "ProfilingVerbosity.LAYER_NAMES_ONLY",
        "persistent_cache_limit": 0,
        "profiler": None,
    }

    engine = property(lambda self: self._engine)

    def _start(self, engine):
        self._engine = engine
        self._logger = engine._logger
        self._dims = {it["name"]: list(it["dims"]) for it in engine._about["inputs"]}
        self._addresses = {}
        self._outputs = None  # shapes at the inputs' present ones
        self._executions = 0
        self._event = 0
        self._has_profile = False

    def _set_profile(self, index):
        if not 0 <= index < self._engine.num_optimization_profiles:
            raise RuntimeError("Error in set optimization profile.")

    active_optimization_profile = property(lambda self: 0, _set_profile)

    def set_optimization_profile_async(self, profile_index, stream_handle):
        if not 0 <= profile_index < self._engine.num_optimization_profiles:
            raise RuntimeError("Error in set optimization profile async.")
        return True

    # Shapes

    all_binding_shapes_specified = property(lambda self: not self._unset())
    all_shape_inputs_specified = property(lambda self: True)

    def set_binding_shape(self, binding, shape):
        return self._set_shape(self._engine._binding(binding), shape, "setBindingDimensions")

    def set_input_shape(self, name, shape):
        return self._set_shape(self._tensor(name, "setInputShape"), shape, "setInputShape")

    def _set_shape(self, tensor, shape, call):
        """False and a message where the shape is not within the profile."""
        if tensor is None or not self._engine._is_input(tensor):
            return False
        shape = [int(dim) for dim in shape]
        least, _, most = tensor["profiles"][0]
        if len(shape) != len(least) or any(not low <= it <= high for low, it, high in zip(least, shape, most)):
            values = {"call": call, "name": tensor["name"], "got": shape, "least": least, "most": most}
            say(self._api, self._logger, "shape_outside_profile", **values)
            return False
        self._dims[tensor["name"]] = shape
        self._outputs = None
        return True

    def get_binding_shape(self, binding):
        return self._shape(self._engine._binding(binding))

    def get_strides(self, binding):
        return self._strides(self._engine._binding(binding))

    def get_tensor_shape(self, name):
        return self._shape(self._tensor(name, "getTensorShape"))

    def get_tensor_strides(self, name):
        return self._strides(self._tensor(name, "getTensorStrides"))

    def infer_shapes(self):
        """The inputs whose shape is not known."""
        return self._unset()

    def get_max_output_size(self, name):
        found = self._tensor(name, "getMaxOutputSize")
        dims = self._shape_of(found) if found else [-1]
        return -1 if -1 in dims else _count(dims) * numpy_type(found["dtype"]).itemsize

    def _unset(self):
        return [name for name, dims in self._dims.items() if -1 in dims]

    def _tensor(self, name, call):
        found = next((it for it in self._engine._tensors if it["name"] == name), None)
        if found is None:
            say(self._api, self._logger, "unknown_tensor", owner="IExecutionContext", call=call, name=name)
        return found

    def _shape(self, tensor):
        return self._api.kind("Dims")(self._shape_of(tensor) if tensor else [])

    def _strides(self, tensor):
        dims = self._shape_of(tensor) if tensor else []
        return self._api.kind("Dims")([_count(dims[place + 1 :]) for place in range(len(dims))])

    def _shape_of(self, tensor):
        """As it is now; of an output that depends on inputs, by trying."""
        if tensor["name"] in self._dims:
            return self._dims[tensor["name"]]
        if -1 not in tensor["dims"] or self._unset():
            return tensor["dims"]
        if self._outputs is None:
            zeros = {it["name"]: numpy.zeros(self._dims[it["name"]], numpy_type(it["dtype"])) for it in self._inputs()}
            self._outputs = {name: list(it.shape) for name, it in self._engine._computer.run(zeros).items()}
        return self._outputs[tensor["name"]]

    def _inputs(self):
        return self._engine._about["inputs"]

    # Addresses

    def set_tensor_address(self, name, memory):
        if self._tensor(name, "setTensorAddress") is None:
            return False
        self._addresses[name] = memory
        return True

    def get_tensor_address(self, name):
        self._tensor(name, "getTensorAddress")
        return self._addresses.get(name, 0)

    def set_input_consumed_event(self, event):
        self._event = event
        return True

    def get_input_consumed_event(self):
        return self._event

    # Runs

    def execute_v2(self, bindings):
        addresses = self._bound(bindings)
        if addresses is None or not self._may_run("executeV2"):
            return False
        self._compute(addresses)
        self._report_times(self._is_reported())
        return True

    def execute_async_v2(self, bindings, stream_handle, input_consumed):
        addresses = self._bound(bindings)
        return addresses is not None and self._enqueue(addresses, stream_handle, "enqueueV2")

    def execute_async_v3(self, stream_handle):
        for tensor in self._engine._tensors:
            if not self._addresses.get(tensor["name"]):
                key = "input_address_not_set" if self._engine._is_input(tensor) else "output_address_not_set"
                say(self._api, self._logger, key, name=tensor["name"])
                return False
        if not stream_handle:
            say(self._api, self._logger, "default_stream")
        return self._enqueue(dict(self._addresses), stream_handle, "enqueueV3")

    def _bound(self, bindings):
        """Addresses by name; None and a message for a null. With too few NVIDIA's reads past the end of the list."""
        tensors = self._engine._tensors
        if len(bindings) < len(tensors):
            raise NotModelledError("%d bindings for %d tensors" % (len(bindings), len(tensors)))
        for index, address in enumerate(bindings[: len(tensors)]):
            if not address:
                say(self._api, self._logger, "null_binding", index=index)
                return None
        return {tensor["name"]: address for tensor, address in zip(tensors, bindings)}

    def _may_run(self, call):
        """Whether shapes are known, and no fault was asked for."""
        if self._unset():
            say(self._api, self._logger, "shape_not_set", call=call)
            return False
        self._executions += 1
        fault = self._api.faults.get("execute_false")
        if fault is not None and self._executions >= int(fault or 1):
            say(self._api, self._logger, "cuda_failed", call=call)
            return False
        return True

    def _enqueue(self, addresses, stream, call):
        """Returns at once; with a profiler that is told of each run, when the run is over."""
        if not self._may_run(call):
            return False
        if not _device.launch(stream, lambda: self._compute(addresses)):
            say(self._api, self._logger, "cuda_failed", call=call)
            return False
        if self._is_reported():
            _device.wait(stream)
            self._report_times(True)
        else:
            self._has_profile = True
        return True

    def _compute(self, addresses):
        arrays = {}
        for tensor in self._inputs():
            dims, dtype = self._dims[tensor["name"]], numpy_type(tensor["dtype"])
            content = _device.read(addresses[tensor["name"]], _count(dims) * dtype.itemsize)
            arrays[tensor["name"]] = numpy.frombuffer(content, dtype).reshape(dims)
        computed = self._engine._computer.run(arrays)
        for tensor in self._engine._about["outputs"]:
            array = numpy.ascontiguousarray(computed[tensor["name"]].astype(numpy_type(tensor["dtype"])))
            _device.write(addresses[tensor["name"]], array.tobytes())

    # Times of layers

    def _is_reported(self):
        return self.profiler is not None and self.enqueue_emits_profile

    def report_to_profiler(self):
        """False and a message without a profiler, without a run since, and where each run reports by itself."""
        if self.profiler is None or self.enqueue_emits_profile or not self._has_profile:
            say(self._api, self._logger, "nothing_to_report")
            return False
        self._report_times(True)
        return True

    def _report_times(self, is_asked):
        self._has_profile = False
        for place, layer in enumerate(self._engine._about["layers"], start=1):
            if is_asked:
                report = self.profiler.report_layer_time
                call_back(self._api, "IProfiler", "report_layer_time", report, layer["name"], place * _LAYER_MS)


def _count(dims):
    count = 1
    for dim in dims:
        count *= dim
    return count
