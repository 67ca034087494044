"""The few calls of CUDA's driver that a runtime needs, as an interface; libcuda.py and pycuda.py have them.

One device, its primary context (the one that CUDA's runtime, and so TensorRT, uses), one thread: whoever opens it.
Sizes are in bytes, addresses and handles are plain integers.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Tuple

OUT_OF_MEMORY = 2
"""CUDA_ERROR_OUT_OF_MEMORY (cuda.h)."""

LOST = frozenset((214, 220, 700, 702, 710, 714, 715, 716, 717, 718, 719))
"""Of CUresult, those of which cuda.h says "the process must be terminated and relaunched": every later call gives the
same.
"""


class CudaError(Exception):
    """A call failed: which, with what number (cuda.h, CUresult) and under what name."""

    def __init__(self, call: str, status: int, name: str) -> None:
        super().__init__("%s failed: %s (%d)" % (call, name, status))
        self.call = call
        self.status = status
        self.name = name


class CudaMissingError(Exception):
    """There is no CUDA driver, no device, or no permission to use it; the message says which."""


class Device(NamedTuple):
    """`is_integrated`: it shares the memory of the CPU, as on a Jetson. `driver` is e.g. 12060 for CUDA 12.6."""

    name: str
    compute_capability: Tuple[int, int]
    is_integrated: bool
    total_bytes: int
    driver: int


class Cuda(ABC):
    """An open device. Every method raises CudaError; what was taken is given back by its own method, or by `close`."""

    binding = ""
    """"libcuda" or "pycuda": recorded with what was measured."""

    @abstractmethod
    def device(self) -> Device: ...

    @abstractmethod
    def free_bytes(self) -> int:
        """Of the device now (cuMemGetInfo)."""

    @abstractmethod
    def allocate(self, size: int) -> int:
        """The address of so much memory of the device."""

    @abstractmethod
    def free(self, address: int) -> None: ...

    @abstractmethod
    def pinned(self, size: int) -> Any:
        """A numpy array, uint8 [size], in page-locked memory of the host; it is gone after `unpin`."""

    @abstractmethod
    def unpin(self, array: Any) -> None: ...

    @abstractmethod
    def stream(self) -> int:
        """The handle of a new stream, which does not wait for the default one."""

    @abstractmethod
    def destroy_stream(self, stream: int) -> None: ...

    @abstractmethod
    def event(self) -> int:
        """The handle of a new event that takes the time."""

    @abstractmethod
    def destroy_event(self, event: int) -> None: ...

    @abstractmethod
    def record(self, event: int, stream: int) -> None: ...

    @abstractmethod
    def elapsed_s(self, start: int, end: int) -> float:
        """Seconds between two events that were recorded and have been passed."""

    @abstractmethod
    def copy_in(self, address: int, array: Any, stream: int) -> None:
        """Begins to copy a C-contiguous array to the device; it must stay as it is until `synchronise`."""

    @abstractmethod
    def copy_out(self, array: Any, address: int, stream: int) -> None:
        """Begins to copy from the device into a C-contiguous array."""

    @abstractmethod
    def synchronise(self, stream: int) -> None:
        """Waits until all that was begun on the stream is done."""

    @abstractmethod
    def close(self) -> None:
        """Lets the context go; once, when all else is given back."""


def open_cuda() -> Cuda:
    """PyCUDA where this Python has it, else the driver's library itself: no compiler is needed on the board.

    Raises CudaMissingError; CudaError, such as too little memory for a context.
    """
    from . import libcuda, pycuda

    return pycuda.open_device() if pycuda.is_installed() else libcuda.open_device()
