"""IBuilderConfig, ITimingCache, IOptimizationProfile (pyCore.cpp; defaults: NvInfer.h)."""

import json
import struct

from . import _device
from ._api import Behaviour
from ._logging import say
from ._pybind import NotModelledError
from ._values import host_memory

_CACHE_MAGIC = b"ttim"
_CACHE_HEAD = struct.Struct("<4sII")  # magic, serialization tag, SM


class IBuilderConfig(Behaviour):
    _STORED = {
        "avg_timing_iterations": 1,
        "min_timing_iterations": 1,
        "engine_capability": "EngineCapability.STANDARD",
        "default_device_type": "DeviceType.GPU",
        "DLA_core": -1,
        "profiling_verbosity": "ProfilingVerbosity.LAYER_NAMES_ONLY",
        "builder_optimization_level": 3,
        "hardware_compatibility_level": "HardwareCompatibilityLevel.NONE",
        "max_aux_streams": -1,
        "progress_monitor": None,
        "profile_stream": 0,
    }

    def _start(self, builder):
        self._builder = builder
        self.reset()

    def reset(self):
        self._values = {}
        self._flags = 1 << int(self._api.enum("BuilderFlag.TF32"))  # NvInfer.h: TF32 is enabled by default
        self._pools = {}
        self._sources = None
        self._previews = {}
        self._profiles = []
        self._cache = None

    def _is_set(self, flag):
        """By name; False for a flag that the version does not have."""
        has = flag in self._api.enums["BuilderFlag"].__members__
        return has and bool(self._flags >> int(self._api.enum("BuilderFlag." + flag)) & 1)

    def _set_flags(self, flags):
        self._flags = flags

    flags = property(lambda self: self._flags, _set_flags)
    num_optimization_profiles = property(lambda self: len(self._profiles))

    def set_flag(self, flag):
        self._flags |= 1 << int(flag)

    def clear_flag(self, flag):
        self._flags &= ~(1 << int(flag))

    def get_flag(self, flag):
        return bool(self._flags >> int(flag) & 1)

    def _set_workspace(self, size):
        self._pools[0] = size

    # The default: 16 MiB in 8.2 (docs, max_workspace_size: 0 and a warning), all of the device's memory from 8.4 on.
    max_workspace_size = property(lambda self: self._pools.get(0, 0), _set_workspace)

    def set_memory_pool_limit(self, pool, pool_size):
        self._pools[int(pool)] = pool_size

    def get_memory_pool_limit(self, pool):
        return self._pools.get(int(pool), 0 if int(pool) else self._builder._device_bytes)

    def set_tactic_sources(self, tactic_sources):
        known = self._all_sources()
        if tactic_sources & ~known:
            return False
        self._sources = tactic_sources
        return True

    def get_tactic_sources(self):
        return self._all_sources() if self._sources is None else self._sources

    def _all_sources(self):
        return sum(1 << int(it) for it in self._api.enums["TacticSource"].__members__.values())

    def set_preview_feature(self, feature, enable):
        self._previews[int(feature)] = enable

    def get_preview_feature(self, feature):
        return self._previews.get(int(feature), False)

    def create_timing_cache(self, serialized_timing_cache):
        """An empty one for b""; None, and why, for what is no cache of this version."""
        content = bytes(serialized_timing_cache)
        if not content:
            return self._api.new("ITimingCache", self._builder, self._builder._sm, {})
        try:
            magic, tag, sm = _CACHE_HEAD.unpack_from(content)
            entries = json.loads(content[_CACHE_HEAD.size :].decode())
        except (struct.error, ValueError):
            magic = tag = None
        if magic != _CACHE_MAGIC or tag != self._api.facts["serialization"]:
            say(self._api, self._builder.logger, "cache_unreadable")
            return None
        return self._api.new("ITimingCache", self._builder, sm, entries)

    def set_timing_cache(self, cache, ignore_mismatch):
        if not cache._fits(self._builder._sm, ignore_mismatch):
            return False
        self._cache = cache
        return True

    def get_timing_cache(self):
        return self._cache

    def add_optimization_profile(self, profile):
        """Its index: one is all that the stand-in can do with."""
        if self._profiles:
            raise NotModelledError("a second optimization profile")
        self._profiles.append(profile)
        return len(self._profiles) - 1


class ITimingCache(Behaviour):
    """What was measured of each kind of layer. The stand-in measures nothing; it keeps how often a layer was met."""

    def _start(self, builder, sm, entries):
        self._builder, self._sm, self._entries = builder, sm, dict(entries)

    def _fits(self, sm, ignore_mismatch):
        if self._sm == sm or ignore_mismatch:
            return True
        got, expected = _device.shown(self._sm), _device.shown(sm)
        say(self._api, self._builder.logger, "cache_of_other_device", got=got, expected=expected)
        return False

    def serialize(self):
        head = _CACHE_HEAD.pack(_CACHE_MAGIC, self._api.facts["serialization"], self._sm)
        return host_memory(self._api, head + json.dumps(self._entries, sort_keys=True).encode())

    def combine(self, input_cache, ignore_mismatch):
        if not input_cache._fits(self._sm, ignore_mismatch):
            return False
        self._entries.update(input_cache._entries)
        return True

    def reset(self):
        self._entries = {}
        return True


class IOptimizationProfile(Behaviour):
    _STORED = {"extra_memory_target": 1.0}

    def _start(self):
        self._shapes = {}

    def set_shape(self, input, min, opt, max):
        shapes = [list(it) for it in (min, opt, max)]
        for word, shape in zip(("min", "opt", "max"), shapes):
            if len(shape) != len(shapes[0]) or any(dim < 0 for dim in shape):
                raise RuntimeError("Shape provided for %s is inconsistent with other shapes." % word)
        if any(not low <= middle <= high for low, middle, high in zip(*shapes)):
            raise RuntimeError("Shape provided for opt is inconsistent with other shapes.")
        self._shapes[input] = shapes

    def get_shape(self, input):
        return [self._api.kind("Dims")(shape) for shape in self._shapes.get(input, [])]

    def __bool__(self):
        return True

    def __nonzero__(self):
        return True
