"""CUDA by the driver's library alone (driver.py)."""

import ctypes
from ctypes import byref, c_float, c_int, c_size_t, c_uint64, c_void_p
from typing import Any

import numpy

from .cuda import Cuda, CudaError, Device
from .driver import Driver, open_driver

NON_BLOCKING = 1
"""CU_STREAM_NON_BLOCKING (cuda.h), as are the numbers below."""

_INTEGRATED = 18  # CU_DEVICE_ATTRIBUTE_..., these three
_COMPUTE_CAPABILITY_MAJOR = 75
_COMPUTE_CAPABILITY_MINOR = 76
_NAME_BYTES = 256


class LibCuda(Cuda):
    """Device 0: the only one of a board; on a PC, the first that CUDA_VISIBLE_DEVICES leaves."""

    binding = "libcuda"

    def __init__(self, driver: Driver, device: int) -> None:
        self._driver = driver
        self._device = device

    def device(self) -> Device:
        name = ctypes.create_string_buffer(_NAME_BYTES)
        total_bytes, version = c_size_t(), c_int()
        self._driver.call("cuDeviceGetName", name, _NAME_BYTES, self._device)
        self._driver.call("cuDeviceTotalMem_v2", byref(total_bytes), self._device)
        self._driver.call("cuDriverGetVersion", byref(version))
        return Device(
            name.value.decode("utf-8", "replace"),
            (self._attribute(_COMPUTE_CAPABILITY_MAJOR), self._attribute(_COMPUTE_CAPABILITY_MINOR)),
            bool(self._attribute(_INTEGRATED)),
            total_bytes.value,
            version.value,
        )

    def _attribute(self, number: int) -> int:
        value = c_int()
        self._driver.call("cuDeviceGetAttribute", byref(value), number, self._device)
        return value.value

    def free_bytes(self) -> int:
        free, total = c_size_t(), c_size_t()
        self._driver.call("cuMemGetInfo_v2", byref(free), byref(total))
        return free.value

    def allocate(self, size: int) -> int:
        address = c_uint64()
        self._driver.call("cuMemAlloc_v2", byref(address), size)
        return address.value

    def free(self, address: int) -> None:
        self._driver.call("cuMemFree_v2", address)

    def pinned(self, size: int) -> Any:
        memory: Any = (ctypes.c_uint8 * size).from_address(self._made("cuMemHostAlloc", size, 0))
        return numpy.frombuffer(memory, numpy.uint8)

    def unpin(self, array: Any) -> None:
        self._driver.call("cuMemFreeHost", array.ctypes.data)

    def stream(self) -> int:
        return self._made("cuStreamCreate", NON_BLOCKING)

    def destroy_stream(self, stream: int) -> None:
        self._driver.call("cuStreamDestroy_v2", stream)

    def event(self) -> int:
        return self._made("cuEventCreate", 0)  # CU_EVENT_DEFAULT: it takes the time

    def destroy_event(self, event: int) -> None:
        self._driver.call("cuEventDestroy_v2", event)

    def _made(self, function: str, *arguments: int) -> int:
        """The handle or the address that the function gives by its first argument."""
        made = c_void_p()
        self._driver.call(function, byref(made), *arguments)
        return made.value or 0

    def record(self, event: int, stream: int) -> None:
        self._driver.call("cuEventRecord", event, stream)

    def elapsed_s(self, start: int, end: int) -> float:
        milliseconds = c_float()
        self._driver.call("cuEventElapsedTime", byref(milliseconds), start, end)
        return milliseconds.value / 1000.0

    def copy_in(self, address: int, array: Any, stream: int) -> None:
        self._driver.call("cuMemcpyHtoDAsync_v2", address, start_of(array), array.nbytes, stream)

    def copy_out(self, array: Any, address: int, stream: int) -> None:
        self._driver.call("cuMemcpyDtoHAsync_v2", start_of(array), address, array.nbytes, stream)

    def synchronise(self, stream: int) -> None:
        self._driver.call("cuStreamSynchronize", stream)

    def close(self) -> None:
        try:
            self._driver.call("cuCtxSetCurrent", None)
        finally:
            self._driver.call("cuDevicePrimaryCtxRelease", self._device)


def open_device() -> Cuda:
    """Device 0 with its primary context, current on this thread. Raises CudaMissingError, CudaError."""
    driver = open_driver()
    device, context = c_int(), c_void_p()
    driver.begin("cuInit", 0)
    driver.begin("cuDeviceGet", byref(device), 0)
    driver.call("cuDevicePrimaryCtxRetain", byref(context), device)
    try:
        driver.call("cuCtxSetCurrent", context)
    except CudaError:
        driver.status("cuDevicePrimaryCtxRelease", device)
        raise
    return LibCuda(driver, device.value)


def start_of(array: Any) -> int:
    """The address of a C-contiguous array. ValueError: of another one a copy would take the wrong bytes."""
    if not array.flags.c_contiguous:
        raise ValueError("the array of shape %s and strides %s is not C-contiguous" % (array.shape, array.strides))
    address: int = array.ctypes.data
    return address
