"""The Edge TPU of a Coral board (PCIe): its library, and why it cannot be had.

The library's delegate says nothing where it fails (google-coral/libedgetpu,
tflite/edgetpu_delegate_for_custom_op_tflite_plugin.cc gives a null pointer), so what the kernel shows is looked at.
The kernel keeps a device for the process that opened it, but not from one with CAP_SYS_ADMIN, whose work and the
owner's then destroy each other (gasket_open in gasket_core.c): such a worker is refused.
"""

import ctypes
import glob
import os
import re
from typing import Any, List, Optional

from ...errors import AcceleratorError

LIBRARY = "libedgetpu.so.1"
DEVICES = "/dev/apex_*"
SYSFS = "/sys/class/apex"
PROC = "/proc"

_DEVICE = {"device": "pci"}
_CAP_SYS_ADMIN = 21  # linux/capability.h


class EdgeTpu:
    """One that this process owns until it is closed. `version`: of the library, as it says."""

    def __init__(self, delegate: Any, version: str) -> None:
        self.delegate = delegate
        self.version = version

    @property
    def runtime_version(self) -> str:
        """The number that a compiled file asks for at least: "14" of BuildLabel(...), RuntimeVersion(14)."""
        found = re.search(r"RuntimeVersion\((\d+)\)", self.version)
        return found.group(1) if found else self.version


def open_edgetpu(load_delegate: Any) -> EdgeTpu:
    """`load_delegate`: the interpreter's. AcceleratorError says which of the things it needs is missing."""
    privilege = _privilege()
    if privilege is not None:
        raise AcceleratorError(
            "this worker %s: the kernel would give it an Edge TPU that another process uses" % privilege,
            "run the agent as a user of its own, in the group of /dev/apex_0",
        )
    version = _version()
    try:
        return EdgeTpu(load_delegate(LIBRARY, _DEVICE), version)
    except (ValueError, OSError) as error:
        raise _refused(str(error).strip()) from error


def _version() -> str:
    """Loads the library first by itself: a failed `load_delegate` of TensorFlow Lite complains on stderr as well."""
    try:
        library = ctypes.CDLL(LIBRARY)
        library.edgetpu_version.restype = ctypes.c_char_p
        return bytes(library.edgetpu_version()).decode("utf-8", "replace")
    except OSError as error:
        absent = "cannot open shared object file" in str(error) and str(error).startswith(LIBRARY)
        raise AcceleratorError(
            "the Edge TPU's library %s: %s" % ("is not here" if absent else "does not load", error),
            "sudo apt install libedgetpu1-std"
            if absent
            else "install the libedgetpu1-std that was built for this system, not one for a newer glibc",
        ) from error
    except AttributeError as error:
        raise AcceleratorError(
            "%s is not the Edge TPU's library: %s" % (LIBRARY, error), "sudo apt install --reinstall libedgetpu1-std"
        ) from error


def _refused(said: str) -> AcceleratorError:
    """Why there is no delegate, by the first of the things it needs that is missing."""
    devices = sorted(glob.glob(DEVICES))
    if not devices:
        return AcceleratorError(
            "there is no Edge TPU here: no %s" % DEVICES,
            "lspci -nn | grep 1ac1 shows whether the board sees it, `sudo modprobe apex` loads its driver",
        )
    allowed = [device for device in devices if os.access(device, os.R_OK | os.W_OK)]
    if not allowed:
        return AcceleratorError(
            "no permission to open %s as the user %d" % (devices[0], os.geteuid()),
            "sudo usermod -aG apex USER for the agent's user (`ls -l %s` shows the group), then start the agent again"
            % devices[0],
        )
    owners = [owner for owner in map(_owner, allowed) if owner is not None]
    if len(owners) == len(allowed):
        return AcceleratorError(
            "the Edge TPU is taken: %s has %s" % (owners[0], allowed[0]),
            "one process at a time can have it: stop that one first",
        )
    return AcceleratorError(
        "the Edge TPU's library did not open %s: %s" % (allowed[0], said or "it does not say why"),
        "`dmesg | grep -i apex` may tell; taking the board's power away for a moment helps a device that hangs",
    )


def _owner(device: str) -> Optional[str]:
    """The process that has it, in words; None where nobody has."""
    folder = os.path.join(SYSFS, os.path.basename(device))
    if _read(os.path.join(folder, "is_device_owned")) in ("", "0"):
        return None
    pid = _read(os.path.join(folder, "device_owner"))
    name = _read(os.path.join(PROC, pid, "comm"))
    return "process %s%s" % (pid, " (%s)" % name if name else "")


def _privilege() -> Optional[str]:
    """What puts this process above the kernel's rule of one owner; None where nothing does."""
    if os.geteuid() == 0:
        return "runs as root"
    status: List[str] = _read(os.path.join(PROC, "self", "status")).splitlines()
    effective = [int(line.split()[1], 16) for line in status if line.startswith("CapEff:")]
    return "has CAP_SYS_ADMIN" if any(bits >> _CAP_SYS_ADMIN & 1 for bits in effective) else None


def _read(path: str) -> str:
    """Its text without white space around; "" where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
