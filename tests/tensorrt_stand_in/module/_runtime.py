"""Runtime: a plan, loaded or refused (pyCore.cpp)."""

from . import _device
from ._api import Behaviour
from ._builder import start_cuda
from ._logging import say
from ._plan import NotAPlanError, Plan


class Runtime(Behaviour):
    _STORED = {"DLA_core": -1, "max_threads": 1, "engine_host_code_allowed": False}

    num_DLA_cores = property(lambda self: 0)
    logger = property(lambda self: self._logger)

    def __init__(self, logger):
        self._logger = logger
        start_cuda(self._api, logger)
        self._sm = _device.compute_capability(self._api.facts["sm"])

    def deserialize_cuda_engine(self, serialized_engine):
        """None, with the reason in the logger, for a plan of another version or device, and for what is no plan."""
        content = bytes(serialized_engine)
        try:
            if self._api.faults.get("truncated_plan") is not None:
                content = content[: len(content) // 2]
            plan = self._disguised(Plan.read(content))
        except NotAPlanError:
            say(self._api, self._logger, "not_a_plan")
            return None
        refusal = self._refusal(plan)
        if refusal is not None:
            say(self._api, self._logger, refusal[0], **refusal[1])
            return None
        say(self._api, self._logger, "engine_loaded", mib=len(content) >> 20)
        return self._api.new("ICudaEngine", plan, self._logger)

    def _disguised(self, plan):
        """The plan as a fault that was asked for has it."""
        for key, change in (("other_serialization", _set_tag), ("other_library", _set_library), ("other_sm", _set_sm)):
            value = self._api.faults.get(key)
            if value is not None:
                change(plan, value)
        return plan

    def _refusal(self, plan):
        """The message and its values, for a plan that this runtime does not load; None for one that it does."""
        facts = self._api.facts
        if self._api.faults.get("safe_serialization") is not None:
            return "safe_serialization", {}
        if plan.tag != facts["serialization"]:
            return "other_serialization", {"current": facts["serialization"], "serialized": plan.tag}
        if plan.library != facts["library"]:
            return "other_library", {"expected": facts["library"], "got": plan.library}
        if plan.sm != self._sm and not (plan.engine["hardware_level"] and min(plan.sm, self._sm) >= 80):
            return "other_sm", {"expected": _device.shown(self._sm), "got": _device.shown(plan.sm)}
        return None


def _set_tag(plan, value):
    plan.tag = int(value) if value else plan.tag - 1


def _set_library(plan, value):
    plan.library = value or "0.0.0"


def _set_sm(plan, value):
    plan.sm = int(value) if value else 86
