"""TensorRT 8.2 to 11, and TensorRT-RTX: builds engines on the board that runs them, and runs them.

What versions do differently is in _trt/versions.py. Inputs and outputs are in host memory: a run copies them to the
device and back, which is part of its time.
"""

import os
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from ..errors import (
    AcceleratorError,
    AcceleratorLostError,
    LoadFailedError,
    OutOfMemoryError,
    RunFailedError,
    WorkerError,
)
from ._trt.building import TINY_ENGINE, build, names_of, parse
from ._trt.cuda import LOST, OUT_OF_MEMORY, Cuda, CudaError, CudaMissingError, open_cuda
from ._trt.execution import Execution
from ._trt.module import TensorRt, open_tensorrt
from .base import Layer, Options, Order, Problem, Runtime, Tensor


class TensorRtRuntime(Runtime):
    """No options: what a build may do is in its order."""

    def _open(self, options: Options) -> str:
        # Before the driver is first called: later it is not read (CUDA 11.7 and later; 10.2 does not know it).
        os.environ.setdefault("CUDA_MODULE_LOADING", "LAZY")
        self._tensorrt: TensorRt = open_tensorrt()
        try:
            self._cuda: Cuda = open_cuda()
            self._device = self._cuda.device()
            self._free_bytes = self._cuda.free_bytes()
        except CudaMissingError as error:
            raise AcceleratorError(str(error), "deploy/README.md says what a board needs") from error
        except CudaError as error:
            raise _failed("the GPU cannot be used", error, AcceleratorError) from error
        self._execution: Optional[Execution] = None
        return self._tensorrt.version

    def architecture(self) -> str:
        # Of PCs, other GPUs of one capability may not take each other's engines (NVIDIA/TensorRT#3829).
        return self._capability if self._device.is_integrated else "%s %s" % (self._capability, self._device.name)

    @property
    def _capability(self) -> str:
        return "sm_%d%d" % self._device.compute_capability

    def parse(self, source: str) -> List[Problem]:
        return parse(self._tensorrt, source)

    def build(self, order: Order, say: Callable[[str], None]) -> None:
        build(self._tensorrt, order, say)

    def warm_up(self, path: str) -> None:
        beside = os.path.join(os.path.dirname(path), TINY_ENGINE)
        tiny = self._loaded(beside)
        try:
            tiny.run(tiny.bind([port.pinned for port in tiny.inputs], [port.pinned for port in tiny.outputs]))
        except CudaError as error:
            raise _failed("a tiny engine did not run", error, LoadFailedError) from error
        finally:
            tiny.close()

    def load(self, path: str) -> Tuple[List[Tensor], List[Tensor]]:
        self._execution = self._loaded(path)
        return [port.tensor for port in self._execution.inputs], [port.tensor for port in self._execution.outputs]

    def _loaded(self, path: str) -> Execution:
        execution = Execution(self._tensorrt, self._cuda)
        try:
            with open(path, "rb") as file:
                execution.open(file.read(), names_of(path))
        except OSError as error:
            raise LoadFailedError("the engine cannot be read: %s" % error, "deploy the model again") from error
        except CudaError as error:
            raise _failed("the engine did not load", error, LoadFailedError) from error
        return execution

    def details(self) -> Dict[str, str]:
        assert self._execution is not None, "load comes first"
        return {
            "device": "%s, %s, CUDA %d.%d"
            % (self._device.name, self._capability, self._device.driver // 1000, self._device.driver % 1000 // 10),
            "cuda_binding": self._cuda.binding,
            "host_buffers": str(self._execution.choice),
            "scratch_bytes": str(self._execution.scratch_bytes),
        }

    def accelerator_bytes(self) -> Optional[int]:
        if self._device.is_integrated:
            return None  # it is the board's own memory, and what is free of it changes for many reasons
        return max(0, self._free_bytes - self._cuda.free_bytes())

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        assert self._execution is not None, "load comes first"
        return self._execution.bind(inputs, outputs)

    def run(self, binding: Any) -> Optional[float]:
        assert self._execution is not None, "load comes first"
        try:
            return self._execution.run(binding)
        except CudaError as error:
            raise _failed("a run failed on the GPU", error, RunFailedError) from error

    def profile(self, binding: Any, runs: int) -> List[Layer]:
        assert self._execution is not None, "load comes first"
        try:
            return self._execution.profile(binding, runs)
        except CudaError as error:
            raise _failed("a run failed on the GPU", error, RunFailedError) from error

    def close(self) -> None:
        execution, self._execution = self._execution, None
        try:
            if execution is not None:
                execution.close()
        finally:
            self._cuda.close()


def create() -> Runtime:
    return TensorRtRuntime()


def _failed(what: str, error: CudaError, otherwise: Callable[[str, str], WorkerError]) -> WorkerError:
    if error.status == OUT_OF_MEMORY:
        return OutOfMemoryError("%s: %s" % (what, error), "stop other models and programs of the board")
    if error.status in LOST and otherwise is RunFailedError:
        otherwise = AcceleratorLostError
    return otherwise("%s: %s" % (what, error), "the kernel's log (dmesg) may say more")
