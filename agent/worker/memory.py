"""This process's resident set, and what the board has left, from /proc (Linux Documentation/filesystems/proc.rst)."""

import re
from typing import Callable, Dict, Optional, TypeVar

_STATUS = "/proc/self/status"
_MEMINFO = "/proc/meminfo"
_CLEAR_REFS = "/proc/self/clear_refs"

Result = TypeVar("Result")


def resident_bytes(status: str = _STATUS) -> int:
    """What it holds now. OSError or ValueError where the kernel does not say."""
    return _bytes("VmRSS", status)


def peak_bytes(status: str = _STATUS) -> int:
    """The most it held since its start, or since the last reset_peak(). OSError or ValueError likewise."""
    return _bytes("VmHWM", status)


def available_bytes(meminfo: str = _MEMINFO) -> int:
    """What the whole board has left (Linux 3.14 and later). OSError or ValueError likewise."""
    return _bytes("MemAvailable", meminfo)


def reset_peak(clear_refs: str = _CLEAR_REFS) -> None:
    """Starts the peak anew from what is held now ("5" since Linux 4.0). OSError where the kernel does not allow it."""
    with open(clear_refs, "w") as file:
        file.write("5")


def attempt(unmet: Dict[str, str], figure: str, read: Callable[[], Result]) -> Optional[Result]:
    """What `read` returns; or None, with the reason in `unmet`."""
    try:
        return read()
    except (OSError, ValueError) as error:
        unmet[figure] = str(error)
        return None


def _bytes(field: str, path: str) -> int:
    with open(path, "rb") as file:  # the line "Name:" has bytes of any kind
        found = re.search(("^%s:\\s+(\\d+) kB$" % field).encode(), file.read(), re.MULTILINE)
    if found is None:
        raise ValueError("%s has no %s" % (path, field))
    return int(found.group(1)) * 1024
