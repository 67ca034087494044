"""Echoes: output i is a copy of input i. The suite's runtime without a runtime, and where faults come from.

A model is a JSON file: {"inputs": [[name, dtype, shape], ...], "outputs": [...]}, inputs and outputs alike in pairs.
What is built of one is a copy of it; it may have "nodes": [[name, operator], ...] too, which the parser refuses.
Options, each a fault to test a supervisor with, but for those of the board; run numbers count from 1, in each worker:

    delay_ms        every run takes so long                     load_delay_ms   so does loading
    crash_on_run    dies by SIGSEGV in run n                    crash_on_load   dies by SIGSEGV while loading
    kill_on_run     dies by SIGKILL in run n, as of an out-of-memory kill
    hang_on_run     never comes back from run n                 fail_on_run     raises RunFailedError in run n
    noise           prints rubbish to stdout and stderr, each run, from below Python
    grow_bytes      holds so much more memory after each run    wrong           the outputs are not the inputs
    fail_warm_up    raises LoadFailedError before it loads      no_layers       does not tell the times of layers

    version         the board: another runtime than VERSION     architecture    another accelerator than 0
    build_delay_ms  a build takes so long                       build_lines     and says so many lines, spread over it
    build_thread    these from a thread of its own              fail_build      raises BuildFailedError in the end
    crash_on_build  dies by SIGSEGV in the end                  kill_on_build   dies by SIGKILL in the end
    nvmap_full      as fail_build, or the same of a load, and prints what a Jetson prints then
"""

import json
import os
import signal
import threading
import time
from typing import Any, Callable, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import BadOptionError, BuildFailedError, LoadFailedError, ModelRefusedError, RunFailedError
from .base import Layer, Options, Order, Problem, Runtime, Tensor

VERSION = "1"
TINY_ENGINE = "tiny.engine"
"""Beside what is built, as TensorRT has it: to be there before the model is loaded."""

OUT_OF_NVMAP = b"NvMapMemAllocInternalTagged: 1075072515 error 12\n"
"""As it stands in reports of Jetsons whose GPU has no memory left."""

_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError)  # what reading raises where a file is no model


class NullRuntime(Runtime):
    """Copies, and fails as it is told."""

    option_names = (
        "architecture",
        "build_delay_ms",
        "build_lines",
        "build_thread",
        "crash_on_build",
        "crash_on_load",
        "crash_on_run",
        "delay_ms",
        "fail_build",
        "fail_on_run",
        "fail_warm_up",
        "grow_bytes",
        "hang_on_run",
        "kill_on_build",
        "kill_on_run",
        "load_delay_ms",
        "no_layers",
        "noise",
        "nvmap_full",
        "version",
        "wrong",
    )

    def _open(self, options: Options) -> str:
        for name, value in options.items():
            if not isinstance(value, (int, float)) or value < 0:
                raise BadOptionError("%s is %r" % (name, value), "give a number from 0 on, or true")
        self._faults = options
        self._runs = 0
        self._grown: List[bytearray] = []
        return str(options.get("version", VERSION))

    def architecture(self) -> str:
        return "null_%d" % self._faults.get("architecture", 0)

    def parse(self, source: str) -> List[Problem]:
        try:
            model = _read(source)
        except _BROKEN as error:
            return [Problem("", "", "not a null model: %r" % error)]
        return [Problem(name, operator, "an echo has no nodes") for name, operator in model.nodes]

    def build(self, order: Order, say: Callable[[str], None]) -> None:
        problems = self.parse(order.source)
        if problems:
            raise ModelRefusedError("refused: %s" % problems[0].reason, "parse names every node")
        _write(order.cache, b"measured\n")
        _write(os.path.join(os.path.dirname(order.target), TINY_ENGINE), b"tiny\n")
        self._work(say)
        self._fail_build()
        with open(order.source, "rb") as file:
            _write(order.target, file.read())

    def _work(self, say: Callable[[str], None]) -> None:
        lines = int(self._faults.get("build_lines", 0))
        pause_s = self._faults.get("build_delay_ms", 0) / 1000.0 / (lines + 1)

        def work() -> None:
            for number in range(1, lines + 1):
                time.sleep(pause_s)
                say("line %d of %d" % (number, lines))
            time.sleep(pause_s)

        if self._faults.get("build_thread"):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        else:
            work()

    def _fail_build(self) -> None:
        if self._faults.get("crash_on_build"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if self._faults.get("kill_on_build"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._faults.get("nvmap_full"):
            os.write(2, OUT_OF_NVMAP)
            raise BuildFailedError("nothing was built", "take the option nvmap_full away")
        if self._faults.get("fail_build"):
            raise BuildFailedError("told to fail", "take the option fail_build away")

    def warm_up(self, path: str) -> None:
        if self._faults.get("fail_warm_up"):
            raise LoadFailedError("told to fail before loading", "take the option fail_warm_up away")

    def load(self, path: str) -> Tuple[List[Tensor], List[Tensor]]:
        time.sleep(self._faults.get("load_delay_ms", 0) / 1000.0)
        if self._faults.get("crash_on_load"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if self._faults.get("nvmap_full"):
            os.write(2, OUT_OF_NVMAP)
            raise LoadFailedError("nothing was loaded", "take the option nvmap_full away")
        try:
            model = _read(path)
        except _BROKEN as error:
            raise LoadFailedError(
                "not a null model: %r" % error, "see agent/worker/runtimes/null.py for its form"
            ) from error
        if [(i.dtype, i.shape) for i in model.inputs] != [(o.dtype, o.shape) for o in model.outputs]:
            raise LoadFailedError("inputs and outputs differ", "an echo has outputs like its inputs")
        self._outputs = model.outputs
        return model.inputs, model.outputs

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        return list(zip(inputs, outputs))

    def run(self, binding: Any) -> Optional[float]:
        self._runs += 1
        faults = self._faults
        if faults:
            self._fail(faults)
        for source, target in binding:
            self._copy(source, target)
        return None

    def profile(self, binding: Any, runs: int) -> List[Layer]:
        if self._faults.get("no_layers"):
            return super().profile(binding, runs)
        total_s = [0.0] * len(binding)
        for _ in range(runs):
            for index, (source, target) in enumerate(binding):
                began = time.perf_counter()
                self._copy(source, target)
                total_s[index] += time.perf_counter() - began
        return [
            Layer("copy to %s" % output.name, 1000.0 * each_s / runs) for output, each_s in zip(self._outputs, total_s)
        ]

    def _copy(self, source: Any, target: Any) -> None:
        target[...] = source
        if self._faults.get("wrong"):
            target[...] = 1 - source

    def _fail(self, faults: Options) -> None:
        if faults.get("noise"):
            for descriptor in (1, 2):
                os.write(descriptor, b"\x00\xff{rubbish}\n" * 8)
        time.sleep(faults.get("delay_ms", 0) / 1000.0)
        if faults.get("crash_on_run") == self._runs:
            os.kill(os.getpid(), signal.SIGSEGV)
        if faults.get("kill_on_run") == self._runs:
            os.kill(os.getpid(), signal.SIGKILL)
        if faults.get("fail_on_run") == self._runs:
            raise RunFailedError("told to fail in run %d" % self._runs, "take the option fail_on_run away")
        while faults.get("hang_on_run") == self._runs:
            time.sleep(3600)
        if faults.get("grow_bytes"):
            self._grown.append(bytearray(b"\x01") * faults["grow_bytes"])


class _Model(NamedTuple):
    inputs: List[Tensor]
    outputs: List[Tensor]
    nodes: List[Tuple[str, str]]


def create() -> Runtime:
    return NullRuntime()


def _read(path: str) -> _Model:
    """One of _BROKEN where the file is none."""
    with open(path, encoding="utf-8") as file:
        model = json.load(file)
    nodes = [(str(name), str(operator)) for name, operator in model.get("nodes", ())]
    return _Model(_tensors(model["inputs"]), _tensors(model["outputs"]), nodes)


def _tensors(declared: Any) -> List[Tensor]:
    return [Tensor(str(name), str(dtype), tuple(int(dim) for dim in shape)) for name, dtype, shape in declared]


def _write(path: str, content: bytes) -> None:
    """Whole or not at all."""
    unfinished = path + ".unfinished"
    with open(unfinished, "wb") as file:
        file.write(content)
    os.rename(unfinished, path)
