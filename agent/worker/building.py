"""What a worker is asked before there is anything to load: identify, parse, build. It is gone afterwards."""

import os
from typing import Any, Callable, Dict, Optional, Tuple

from . import memory, runtimes, wire
from .errors import DiskError
from .runtimes.base import Order, Runtime

_LONGEST_LINE = 500  # characters: builders quote whole graphs

Say = Callable[[str], None]


class Building:
    """One open runtime, whatever is asked first."""

    def __init__(self) -> None:
        self._opened: Optional[Tuple[Runtime, str]] = None

    def identify(self, message: wire.Message) -> Dict[str, Any]:
        runtime, version = self._open(message)
        return {"runtime_version": version, "architecture": runtime.architecture()}

    def parse(self, message: wire.Message) -> Dict[str, Any]:
        runtime, _ = self._open(message)
        return {"problems": [list(problem) for problem in runtime.parse(message["source"])]}

    def build(self, message: wire.Message, say: Say) -> Dict[str, Any]:
        """`say` may be called from any of the builder's threads."""
        runtime, _ = self._open(message)
        order = Order(**message["order"])
        try:
            runtime.build(order, lambda line: say(line[:_LONGEST_LINE]))
        except OSError as error:
            raise DiskError("what was built cannot be kept: %s" % error, "free some of the board's disk") from error
        unmet: Dict[str, str] = {}
        return {
            "engine_bytes": os.path.getsize(order.target),
            "build_peak_bytes": memory.attempt(unmet, "build_peak_bytes", memory.peak_bytes),
            "unmet": unmet,
        }

    def _open(self, message: wire.Message) -> Tuple[Runtime, str]:
        if self._opened is None:
            runtime = runtimes.create(message["runtime"])
            self._opened = runtime, runtime.open(message["options"])
        return self._opened
