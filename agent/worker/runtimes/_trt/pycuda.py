"""CUDA through PyCUDA (2020.1, the last that builds on a Jetson Nano without ado, or newer).

PyCUDA gives an error's description, no number: that is found again in the driver's library (driver.py). What fails
while something is given back it only prints (cuda.hpp, CUDAPP_CALL_GUARDED_CLEANUP).
"""

import functools
import importlib
from typing import Any, Callable, Dict

import numpy

from . import missing
from .cuda import Cuda, CudaError, Device
from .driver import Driver, open_driver
from .libcuda import NON_BLOCKING, start_of

_MODULE = "pycuda.driver"
_BROKEN = (ImportError, OSError, RuntimeError, AttributeError, SystemError)  # no libcuda; a numpy of another ABI
_HIGHEST = 999  # CUDA_ERROR_UNKNOWN, the last of CUresult


def is_installed() -> bool:
    """Whether it can be used: a PyCUDA that does not import, whatever the reason, is as none."""
    try:
        return hasattr(importlib.import_module(_MODULE).Device, "retain_primary_context")
    except _BROKEN:
        return False


class PyCuda(Cuda):
    """Device 0. PyCUDA's objects are kept here by address or handle: each lives until it is given back."""

    binding = "pycuda"

    def __init__(self, module: Any, driver: Driver, call: Callable[..., Any], device: Any, context: Any) -> None:
        self._cuda = module
        self._driver = driver
        self._call = call
        self._device = device
        self._context = context
        self._memory: Dict[int, Any] = {}
        self._streams: Dict[int, Any] = {}
        self._events: Dict[int, Any] = {}

    def device(self) -> Device:
        attribute, known = self._device.get_attribute, self._cuda.device_attribute
        major = self._call(attribute, known.COMPUTE_CAPABILITY_MAJOR)
        minor = self._call(attribute, known.COMPUTE_CAPABILITY_MINOR)
        return Device(
            self._call(self._device.name),
            (major, minor),
            bool(self._call(attribute, known.INTEGRATED)),
            self._call(self._device.total_memory),
            self._call(self._cuda.get_driver_version),
        )

    def free_bytes(self) -> int:
        free: int = self._call(self._cuda.mem_get_info)[0]
        return free

    def allocate(self, size: int) -> int:
        allocation = self._call(self._cuda.mem_alloc, size)
        address = int(allocation)
        self._memory[address] = allocation
        return address

    def free(self, address: int) -> None:
        self._call(self._memory.pop(address).free)

    def pinned(self, size: int) -> Any:
        return self._call(self._cuda.pagelocked_empty, size, numpy.uint8)

    def unpin(self, array: Any) -> None:
        self._call(array.base.free)

    def stream(self) -> int:
        stream = self._call(self._cuda.Stream, NON_BLOCKING)
        handle: int = stream.handle
        self._streams[handle] = stream
        return handle

    def destroy_stream(self, stream: int) -> None:
        del self._streams[stream]

    def event(self) -> int:
        """PyCUDA tells no handle of an event: this is the number of its object."""
        event = self._call(self._cuda.Event)
        self._events[id(event)] = event
        return id(event)

    def destroy_event(self, event: int) -> None:
        del self._events[event]

    def record(self, event: int, stream: int) -> None:
        self._call(self._events[event].record, self._streams[stream])

    def elapsed_s(self, start: int, end: int) -> float:
        milliseconds: float = self._call(self._events[end].time_since, self._events[start])
        return milliseconds / 1000.0

    def copy_in(self, address: int, array: Any, stream: int) -> None:
        start_of(array)  # PyCUDA takes other orders too
        self._call(self._cuda.memcpy_htod_async, address, array, self._streams[stream])

    def copy_out(self, array: Any, address: int, stream: int) -> None:
        start_of(array)
        self._call(self._cuda.memcpy_dtoh_async, array, address, self._streams[stream])

    def synchronise(self, stream: int) -> None:
        self._call(self._streams[stream].synchronize)

    def close(self) -> None:
        try:
            self._call(self._context.pop)
        finally:
            _let_go(self._driver, self._context)


def open_device() -> Cuda:
    """Device 0 with its primary context, current on this thread. Raises CudaMissingError, CudaError.

    Not by pycuda.autoinit: the context that it makes is not the primary one, which TensorRT uses.
    """
    module, driver = importlib.import_module(_MODULE), open_driver()
    call = functools.partial(_call, module.Error, driver)
    try:
        call(module.init)
        device = call(module.Device, 0)
    except CudaError as error:
        raise missing.refused(error.call, error.status, error.name) from error
    context = call(device.retain_primary_context)
    try:
        call(context.push)
    except CudaError:
        _let_go(driver, context)
        raise
    return PyCuda(module, driver, call, device, context)


def _call(failure: Any, driver: Driver, function: Callable[..., Any], *arguments: Any) -> Any:
    """`failure`: PyCUDA's own base of exceptions."""
    try:
        return function(*arguments)
    except failure as error:
        translated = _translated(driver, error)
    # Not `from error`, and nothing in this frame: a stream that a traceback still holds would not be destroyed.
    del function, arguments
    raise translated


def _translated(driver: Driver, error: Exception) -> CudaError:
    """Of e.g. "cuMemAlloc failed: out of memory"; a remark of PyCUDA's own comes after a dash."""
    call, _, said = str(error).partition(" failed: ")
    numbers = {driver.description_of(number): number for number in range(_HIGHEST, 0, -1)}
    for description in filter(None, (said, said.rpartition(" - ")[0])):
        if description in numbers:
            return CudaError(call, numbers[description], driver.name_of(numbers[description]))
    return CudaError(call, missing.UNKNOWN, said or str(error))


def _let_go(driver: Driver, context: Any) -> None:
    """PyCUDA's `detach` makes the context current and leaves it so: cuDevicePrimaryCtxRelease does not pop it."""
    context.detach()
    driver.call("cuCtxSetCurrent", None)
