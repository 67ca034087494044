"""What a Jetson has besides: GPU, power rails, power mode, throttling, and memory of its GPU driver.

From sysfs and procfs; its parts are in _jetson/. Programs are asked where files do not tell: ``nvpmodel -q`` for the
power mode, one line of tegrastats for rails or a GPU clock. In a profile it comes before `thermal`, whose power mode is
the CPUs' governor.
"""

import math
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from agent.telemetry import commands, nvpmodel
from agent.telemetry._jetson import tegrastats
from agent.telemetry._jetson.gpu import GpuClock, find_gpu, read_clock, read_load, read_memory_clock
from agent.telemetry._jetson.rails import read_rails
from agent.telemetry._jetson.throttling import read_throttle_events
from agent.telemetry.commands import Ask
from agent.telemetry.readings import Readings, attempt, read_text

TEGRASTATS = ("tegrastats", "--interval", "100")
MIN_AGE_S = 1.0
"""How long an answer of a program is good: readers every second or more share one, before and after a bench do not."""

RETRY_S = 60.0
"""After which tegrastats is asked again where it failed: that costs a reader up to two seconds."""

_NVMAP_LINE = re.compile(r"^NvMapMemUsed: +(\d+) kB$", re.MULTILINE | re.ASCII)


def parse_nvmap(text: str) -> int:
    """Bytes the GPU driver holds, of /proc/meminfo. ValueError where the kernel does not say."""
    found = _NVMAP_LINE.search(text)
    if not found:
        raise ValueError("/proc/meminfo has no line NvMapMemUsed")
    return int(found[1]) * 1024


class Jetson:
    """The source. `query` and `line` ask programs; on another root than the board's own, nobody is asked."""

    def __init__(self, root: Path, query: Ask | None = None, line: Ask | None = None) -> None:
        on_board = root == Path("/")
        self._root = root
        self._query = _Remembered(query or (commands.output if on_board else _nobody), nvpmodel.QUERY)
        self._line = _Remembered(line or (commands.first_line if on_board else _nobody), TEGRASTATS)
        self._line_from_s = -math.inf

    def read(self) -> Readings:
        told = self._from_files()
        if time.monotonic() < self._line_from_s or (told.power_mw and "gpu" in told.clocks_mhz):
            return told
        try:
            filled = self._filled(told, tegrastats.parse_line(self._line()))
        except FileNotFoundError:  # it is not there
            self._line_from_s = math.inf
            return told
        except (OSError, ValueError):
            self._line_from_s = time.monotonic() + RETRY_S
            return told
        if filled == told:  # what one line does not say the next will not tell either
            self._line_from_s = math.inf
        return filled

    def settings(self) -> Readings:
        """Of all this, how it is set: power mode, and whether its clock is held. It reads no rail, no tegrastats."""
        unmet: dict[str, str] = {}
        _, clock = self._gpu(unmet)
        return Readings(
            power_mode=attempt(unmet, "power_mode", self._power_mode),
            clocks_held=clock.held if clock else None,
            unmet=unmet,
        )

    def _gpu(self, unmet: dict[str, str]) -> tuple[Path | None, GpuClock | None]:
        of_clock = ("clocks_mhz.gpu", "clock_limits_mhz.gpu", "clocks_held")
        gpu = attempt(unmet, (*of_clock, "gpu_percent"), find_gpu, self._root)
        return gpu, attempt(unmet, of_clock, read_clock, gpu) if gpu else None

    def _from_files(self) -> Readings:
        unmet: dict[str, str] = {}
        gpu, clock = self._gpu(unmet)
        memory_mhz = attempt(unmet, "clocks_mhz.emc", read_memory_clock, self._root)
        return Readings(
            gpu_percent=attempt(unmet, "gpu_percent", read_load, self._root, gpu) if gpu else None,
            nvmap_used_bytes=attempt(unmet, "nvmap_used_bytes", self._nvmap),
            power_mode=attempt(unmet, "power_mode", self._power_mode),
            clocks_held=clock.held if clock else None,
            throttle_events=attempt(unmet, "throttle_events", read_throttle_events, self._root),
            clocks_mhz=({"gpu": clock.mhz} if clock else {}) | ({} if memory_mhz is None else {"emc": memory_mhz}),
            clock_limits_mhz={"gpu": clock.limit_mhz} if clock else {},
            power_mw=attempt(unmet, "power_mw", read_rails, self._root) or {},
            unmet=unmet,
        )

    def _nvmap(self) -> int:
        return parse_nvmap(read_text(self._root / "proc/meminfo"))

    def _power_mode(self) -> str:
        try:
            return nvpmodel.read_mode(self._root)
        except (OSError, ValueError) as unreadable:
            try:
                return nvpmodel.parse_query(self._query())[0]
            except (OSError, ValueError) as error:
                raise ValueError(f"{unreadable}; {error}") from error

    def _filled(self, told: Readings, line: tegrastats.Line) -> Readings:
        """With what tegrastats says where files say nothing; its temperatures have names of their own."""
        has_zones = any((self._root / "sys/class/thermal").glob("thermal_zone*"))
        clocks = {"gpu": line.gpu_mhz, "emc": line.memory_mhz}
        return replace(
            told,
            gpu_percent=line.gpu_percent if told.gpu_percent is None else told.gpu_percent,
            temperatures_c={} if has_zones else line.temperatures_c,
            clocks_mhz={name: mhz for name, mhz in clocks.items() if mhz is not None} | told.clocks_mhz,
            power_mw=told.power_mw or line.power_mw,
        )


class _Remembered:
    """What a program answers, asked again once the answer is MIN_AGE_S old. OSError, ValueError."""

    def __init__(self, ask: Ask, command: Sequence[str]) -> None:
        self._ask = ask
        self._command = command
        self._answer: tuple[float, str] | None = None

    def __call__(self) -> str:
        now = time.monotonic()
        if self._answer is None or now - self._answer[0] >= MIN_AGE_S:
            self._answer = now, self._ask(self._command)
        return self._answer[1]


def _nobody(command: Sequence[str]) -> str:
    raise ValueError(f"{command[0]} was not asked")
