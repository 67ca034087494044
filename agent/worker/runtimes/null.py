"""Echoes: output i is a copy of input i. The suite's runtime without a runtime, and where faults come from.

A model is a JSON file: {"inputs": [[name, dtype, shape], ...], "outputs": [...]}, inputs and outputs alike in pairs.
Options, each a fault to test a supervisor with; run numbers count from 1, within one worker:

    delay_ms        every run takes so long                     load_delay_ms   so does loading
    crash_on_run    dies by SIGSEGV in run n                    crash_on_load   dies by SIGSEGV while loading
    kill_on_run     dies by SIGKILL in run n, as of an out-of-memory kill
    hang_on_run     never comes back from run n                 fail_on_run     raises RunFailedError in run n
    noise           prints rubbish to stdout and stderr, each run, from below Python
    grow_bytes      holds so much more memory after each run    wrong           the outputs are not the inputs
"""

import json
import os
import signal
import time
from typing import Any, List, Optional, Sequence, Tuple

from ..errors import BadOptionError, LoadFailedError, RunFailedError
from .base import Options, Runtime, Tensor

VERSION = "1"


class NullRuntime(Runtime):
    """Copies, and fails as it is told."""

    option_names = (
        "crash_on_load",
        "crash_on_run",
        "delay_ms",
        "fail_on_run",
        "grow_bytes",
        "hang_on_run",
        "kill_on_run",
        "load_delay_ms",
        "noise",
        "wrong",
    )

    def _open(self, options: Options) -> str:
        for name, value in options.items():
            if not isinstance(value, (int, float)) or value < 0:
                raise BadOptionError("%s is %r" % (name, value), "give a number from 0 on, or true")
        self._faults = options
        self._runs = 0
        self._grown: List[bytearray] = []
        return VERSION

    def load(self, path: str) -> Tuple[List[Tensor], List[Tensor]]:
        time.sleep(self._faults.get("load_delay_ms", 0) / 1000.0)
        if self._faults.get("crash_on_load"):
            os.kill(os.getpid(), signal.SIGSEGV)
        try:
            with open(path, encoding="utf-8") as file:
                model = json.load(file)
            inputs, outputs = _tensors(model["inputs"]), _tensors(model["outputs"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LoadFailedError(
                "not a null model: %r" % error, "see agent/worker/runtimes/null.py for its form"
            ) from error
        if [(i.dtype, i.shape) for i in inputs] != [(o.dtype, o.shape) for o in outputs]:
            raise LoadFailedError("inputs and outputs differ", "an echo has outputs like its inputs")
        return inputs, outputs

    def bind(self, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
        return list(zip(inputs, outputs))

    def run(self, binding: Any) -> Optional[float]:
        self._runs += 1
        faults = self._faults
        if faults:
            self._fail(faults)
        for source, target in binding:
            target[...] = source
            if faults.get("wrong"):
                target[...] = 1 - source
        return None

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


def create() -> Runtime:
    return NullRuntime()


def _tensors(declared: Any) -> List[Tensor]:
    return [Tensor(str(name), str(dtype), tuple(int(dim) for dim in shape)) for name, dtype, shape in declared]
