"""Which processes use the CPU, by name: `read_processes` twice, then `busiest`. From /proc/PID/stat, see proc(5)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.telemetry.procfs import ProcessTimes, parse_process_times
from agent.telemetry.readings import attempt, read_text


@dataclass(frozen=True)
class Process:
    """One process at one moment; its name is the kernel's, of 15 characters at most."""

    name: str
    parent: int
    times: ProcessTimes


@dataclass(frozen=True)
class Busy:
    """CPU seconds per second of all processes of one name."""

    name: str
    cores: float


def parse_process(text: str) -> Process:
    """/proc/PID/stat; ValueError."""
    times = parse_process_times(text)
    opened, closed = text.index("("), text.rindex(")")
    return Process(text[opened + 1 : closed], int(text[closed + 2 :].split()[1]), times)


def read_processes(root: Path | str = "/") -> dict[int, Process]:
    """By number, those that can be seen; one that ends meanwhile is left out."""
    found = {}
    for path in Path(root, "proc").glob("[0-9]*/stat"):
        process = attempt({}, "stat", _read, path)
        if process is not None:
            found[int(path.parent.name)] = process
    return found


def _read(path: Path) -> Process:
    return parse_process(read_text(path))


def family(processes: Mapping[int, Process], pid: int) -> set[int]:
    """A process and all that descend from it; nobody where it is not there."""
    members = {pid} & processes.keys()
    while born := {child for child, process in processes.items() if process.parent in members} - members:
        members |= born
    return members


def busiest(
    before: Mapping[int, Process], after: Mapping[int, Process], elapsed_s: float, apart_from: Collection[int]
) -> list[Busy]:
    """The busiest first, those of one name together; one that began meanwhile counts from there."""
    cores: dict[str, float] = {}
    for pid, process in after.items():
        if pid in apart_from:
            continue
        then = before.get(pid)
        known = then is not None and then.times.start_ticks == process.times.start_ticks
        used_s = process.times.cpu_s - (then.times.cpu_s if then and known else 0.0)
        if used_s > 0:
            cores[process.name] = cores.get(process.name, 0.0) + used_s / elapsed_s
    return [Busy(name, used) for name, used in sorted(cores.items(), key=lambda each: -each[1])]
