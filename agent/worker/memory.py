"""This process's resident set, from /proc (Linux Documentation/filesystems/proc.rst)."""

import re
from typing import Optional


def resident_bytes(field: str, path: str = "/proc/self/status") -> Optional[int]:
    """`VmRSS` (now) or `VmHWM` (peak since start or the last reset) in bytes; None where /proc lacks the line."""
    with open(path) as status:
        found = re.search(r"^%s:\s+(\d+) kB$" % field, status.read(), re.MULTILINE)
    return int(found.group(1)) * 1024 if found else None


def reset_peak(path: str = "/proc/self/clear_refs") -> Optional[str]:
    """Starts VmHWM anew ("5" since Linux 4.0); the reason where the kernel does not allow it, else None."""
    try:
        with open(path, "w") as clear_refs:
            clear_refs.write("5")
    except OSError as error:
        return "the peak cannot be reset after loading (%s: %s)" % (path, error.strerror)
    return None
