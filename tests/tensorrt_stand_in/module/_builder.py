"""Builder: from a network to a plan (pyCore.cpp; NvInfer.h)."""

import os
import signal
import sys
import threading
import time

import numpy

from . import _device
from ._api import Behaviour
from ._computing import CannotComputeError, Computer, numpy_type
from ._logging import call_back, say, write
from ._plan import Plan
from ._values import host_memory

_PHASE = "Building Engine"
_PRECISIONS = ("FP16", "INT8", "BF16", "FP8", "INT4", "FP4")
_SIZE_KNOWN_LATE = ("NonZero", "NonMaxSuppression")


def start_cuda(api, logger):
    """What Builder() and Runtime() do first. TypeError, as of a constructor that gives no object."""
    status = _device.start()
    if api.faults.get("no_permission") is not None:
        sys.stderr.write("NvRmMemInitNvmap failed: Permission denied\n")
        sys.stderr.flush()
        status = 999
    if status:
        say(api, logger, "cuda_not_started", status=status)
        raise TypeError("pybind11::init(): factory function returned nullptr")
    say(api, logger, "cuda_started")


class Builder(Behaviour):
    _STORED = {"max_batch_size": 1, "max_threads": 1}
    _device_bytes = 4 << 30

    logger = property(lambda self: self._logger)
    num_DLA_cores = property(lambda self: 0)
    max_DLA_batch_size = property(lambda self: 1)
    platform_has_tf32 = property(lambda self: _device.has_tf32(self._sm))
    platform_has_fast_fp16 = property(lambda self: _device.has_fast_fp16(self._sm))
    platform_has_fast_int8 = property(lambda self: _device.has_fast_int8(self._sm))

    def __init__(self, logger):
        self._logger = logger
        start_cuda(self._api, logger)
        self._sm = _device.compute_capability(self._api.facts["sm"])

    def reset(self):
        self._values = {}

    def create_network(self, flags):
        return self._api.new("INetworkDefinition", self, flags)

    def create_builder_config(self):
        return self._api.new("IBuilderConfig", self)

    def create_optimization_profile(self):
        return self._api.new("IOptimizationProfile")

    def is_network_supported(self, network, config):
        return self._refusal(network, config) is None

    def build_serialized_network(self, network, config):
        plan = self._build(network, config)
        return None if plan is None else host_memory(self._api, plan.to_bytes())

    def build_engine(self, network, config):
        return _engine(self, network, config)

    def build_engine_with_config(self, network, config):
        return _engine(self, network, config)

    def _build(self, network, config):
        """The plan; None where it fails, with the reason in the logger."""
        refusal = self._refusal(network, config)
        if refusal is None:
            refusal = self._failure(network, config)
        if refusal is not None:
            self._say_all(refusal)
            return None
        self._warn(config)
        if not self._time_tactics(network, config):
            return None
        try:
            engine = self._described(network, config)
        except CannotComputeError:
            self._say_all([("no_implementation", {"node": network._layers[0].name})])
            return None
        facts = self._api.facts
        return Plan(facts["serialization"], self._sm, facts["library"], engine, network._model.content)

    def _say_all(self, messages):
        for key, values in messages:
            say(self._api, self._logger, key, **values)
        if messages and self._api.table.says("build_failed"):
            say(self._api, self._logger, "build_failed")

    def _refusal(self, network, config):
        """What the network or the configuration has that this builder refuses, as messages; None for nothing."""
        asked = [flag for flag in _PRECISIONS if config._is_set(flag)]
        if network._is_strongly_typed():
            if asked:
                return [("precision_of_typed_network", {"flag": asked[0]})]
        elif _is_quantised(network) and "INT8" not in asked:
            return [("int8_not_configured", {})]
        elif "INT8" in asked and not _is_quantised(network):
            return [("no_scaling_factors", {})]
        if any(-1 in it._dims for it in network._inputs) and not config._profiles:
            return [("no_profile", {})]
        return None if network._layers else [("no_implementation", {"node": "(empty)"})]

    def _failure(self, network, config):
        """A fault that was asked for, as messages; None where none was."""
        faults = self._api.faults
        if faults.get("build_none") is not None:
            return []
        if faults.get("build_memory_fatal") is not None:
            say(self._api, self._logger, "tactic_without_memory")
            return [("no_implementation", {"node": network._layers[-1].name})]
        if faults.get("nvmap_exhausted") is not None:
            sys.stderr.write("NvMapMemAllocInternalTagged: 1075072515 error 12\n")
            sys.stderr.flush()
            return [("out_of_memory", {"bytes": 1075072515})]
        return None

    def _warn(self, config):
        if self._api.faults.get("build_memory_warning") is not None:
            say(self._api, self._logger, "tactic_without_memory")
        if config._is_set("INT8") and not _device.has_fast_int8(self._sm):
            say(self._api, self._logger, "no_native_int8")
        if config._is_set("FP16") and not _device.has_fast_fp16(self._sm):
            say(self._api, self._logger, "no_native_fp16")
        if self._api.faults.get("log_from_thread") is not None:
            text = "Local timing cache in use. Profiling results in this builder pass will not be stored."
            thread = threading.Thread(target=write, args=(self._api, self._logger, "INFO", text))
            thread.start()
            thread.join()

    def _time_tactics(self, network, config):
        """The long part: a step for each layer. False where the progress monitor stops it."""
        monitor = config.progress_monitor if self._api.since("10.3") else None
        pause_s = float(self._api.faults.get("build_slow") or 0) / len(network._layers)
        self._report(monitor, "phase_start", _PHASE, None, len(network._layers))
        goes_on = True
        for step, layer in enumerate(network._layers):
            write(self._api, self._logger, "VERBOSE", "*************** Autotuning Reformat: %s" % layer.name)
            time.sleep(pause_s)
            if self._api.faults.get("build_killed") is not None and 2 * step >= len(network._layers) - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if config._cache is not None:
                config._cache._entries[layer.name] = config._cache._entries.get(layer.name, 0) + 1
            if monitor is not None and not self._report(monitor, "step_complete", _PHASE, step):
                goes_on = False
                break
        self._report(monitor, "phase_finish", _PHASE)
        return goes_on

    def _report(self, monitor, name, *args):
        return monitor is not None and call_back(self._api, "IProgressMonitor", name, getattr(monitor, name), *args)

    def _described(self, network, config):
        """The engine as plain data. CannotComputeError where ONNX Runtime does not run the model."""
        inputs = [_tensor(it) for it in network._inputs]
        outputs = [_tensor(it) for it in network._outputs]
        shapes = [profile._shapes for profile in config._profiles]
        for it in inputs:
            it["profiles"] = [shape.get(it["name"], [it["dims"]] * 3) for shape in shapes] or [[it["dims"]] * 3]
        precision = self._precision(network, config)
        ran = Computer(network._model.content, precision).run(
            {it["name"]: numpy.zeros(it["profiles"][0][1], numpy_type(it["dtype"])) for it in inputs}
        )
        layers = network._layers
        is_fixed = not any(-1 in it["dims"] for it in inputs)
        is_late = any(name in _SIZE_KNOWN_LATE for layer in layers for name in layer._node.operators())
        for it in outputs:
            if is_fixed and not (is_late and -1 in it["dims"]):
                it["dims"] = list(ran[it["name"]].shape)
        return {
            "name": network.name,
            "inputs": inputs,
            "outputs": outputs,
            "layers": [{"name": it.name, "type": it._node.operator, "outputs": it._node.outputs} for it in layers],
            "precision": precision,
            "verbosity": config.profiling_verbosity.value,
            "sources": config.get_tactic_sources(),
            "profiles": max(1, len(shapes)),
            "has_implicit_batch": bool(network.has_implicit_batch_dimension),
            "hardware_level": config.hardware_compatibility_level.value if self._api.since("8.6") else 0,
        }

    def _precision(self, network, config):
        if config._is_set("FP16"):
            return "fp16"
        return "tf32" if config._is_set("TF32") and _device.has_tf32(self._sm) else "fp32"


def _engine(builder, network, config):
    plan = builder._build(network, config)
    return None if plan is None else builder._api.new("ICudaEngine", plan, builder._logger)


def _is_quantised(network):
    names = {name for layer in network._layers for name in layer._node.operators()}
    return bool(names & {"QuantizeLinear", "DequantizeLinear"})


def _tensor(tensor):
    return {"name": tensor._name, "dtype": tensor._dtype.name, "dims": list(tensor._dims)}
