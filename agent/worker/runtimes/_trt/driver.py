"""The library of CUDA's driver, by ctypes: nothing to install, no compiler, on any Jetson and PC.

The names are those that CUDA 10.2 to 13 all have. Of a function with a `_v2` the bare name is another, older one, with
sizes and addresses of 32 bits (cuda.h has #defines from one to the other); without argtypes ctypes would cut them too.
"""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_size_t, c_uint, c_uint64, c_void_p
from typing import Any, Tuple

from . import missing
from .cuda import CudaError

_FUNCTIONS: Any = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuGetErrorName": (c_int, POINTER(c_char_p)),
    "cuGetErrorString": (c_int, POINTER(c_char_p)),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
    "cuDeviceTotalMem_v2": (POINTER(c_size_t), c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuDevicePrimaryCtxRelease": (c_int,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuMemGetInfo_v2": (POINTER(c_size_t), POINTER(c_size_t)),
    "cuMemAlloc_v2": (POINTER(c_uint64), c_size_t),
    "cuMemFree_v2": (c_uint64,),
    "cuMemHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cuMemFreeHost": (c_void_p,),
    "cuMemcpyHtoDAsync_v2": (c_uint64, c_void_p, c_size_t, c_void_p),
    "cuMemcpyDtoHAsync_v2": (c_void_p, c_uint64, c_size_t, c_void_p),
    "cuStreamCreate": (POINTER(c_void_p), c_uint),
    "cuStreamSynchronize": (c_void_p,),
    "cuStreamDestroy_v2": (c_void_p,),
    "cuEventCreate": (POINTER(c_void_p), c_uint),
    "cuEventRecord": (c_void_p, c_void_p),
    "cuEventElapsedTime": (POINTER(c_float), c_void_p, c_void_p),
    "cuEventDestroy_v2": (c_void_p,),
}
"""By the name it is exported under; all return CUresult, an int."""

_NEWER = {"cuDevicePrimaryCtxRelease": "cuDevicePrimaryCtxRelease_v2"}  # from CUDA 11 on; the older one stays beside it


class Driver:
    """Each function with its types, and every status looked at."""

    def __init__(self, library: Any) -> None:
        self._functions = {name: _typed(library, name, types) for name, types in _FUNCTIONS.items()}

    def call(self, name: str, *arguments: Any) -> None:
        """CudaError where it does not give CUDA_SUCCESS."""
        status = self.status(name, *arguments)
        if status:
            raise CudaError(bare(name), status, self.name_of(status))

    def begin(self, name: str, *arguments: Any) -> None:
        """As `call`, but CudaMissingError: without this one there is no CUDA here."""
        status = self.status(name, *arguments)
        if status:
            raise missing.refused(name, status, self.name_of(status))

    def status(self, name: str, *arguments: Any) -> int:
        status: int = self._functions[name](*arguments)
        return status

    def name_of(self, status: int) -> str:
        """E.g. "CUDA_ERROR_OUT_OF_MEMORY"."""
        return self._text("cuGetErrorName", status) or "a status unknown to this driver"

    def description_of(self, status: int) -> str:
        """E.g. "out of memory"; "" for a number that the driver does not know."""
        return self._text("cuGetErrorString", status)

    def _text(self, function: str, status: int) -> str:
        text = c_char_p()
        self.status(function, status, byref(text))  # one it does not know leaves NULL
        return (text.value or b"").decode("ascii", "replace")


def open_driver() -> Driver:
    """The library that the loader finds, as it does for TensorRT: a process has one. CudaMissingError."""
    reasons = []
    for place in [missing.LIBRARY] + missing.own_libraries():
        try:
            library = ctypes.CDLL(place)
        except OSError as error:
            reasons.append(str(error))
        else:
            return Driver(library)
    raise missing.no_library(reasons)


def bare(name: str) -> str:
    """As it is called in cuda.h and in NVIDIA's documentation."""
    return name[: -len("_v2")] if name.endswith("_v2") else name


def _typed(library: Any, name: str, types: Tuple[Any, ...]) -> Any:
    for exported in (_NEWER.get(name, name), name):
        try:
            function = getattr(library, exported)
        except AttributeError:
            continue
        function.argtypes, function.restype = types, c_int
        return function
    raise missing.no_function(name)
