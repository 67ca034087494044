"""A stand-in for the Edge TPU's library: a real libedgetpu.so.1 with the entry points that TensorFlow Lite asks for.

tflite_stand_in.library(folder)         compiles it there
tflite_stand_in.Apex(folder)            a device as the kernel shows it, and the variables for processes that use it

As the real one, its delegate takes the operators `edgetpu-custom-op` alone; they copy inputs to outputs. One process
has the device at a time, until it ends; another's load_delegate fails without a word.

BOARDFIT_APEX=          the folder of the Apex; without it no delegate is to be had
BOARDFIT_APEX_FAIL=     open      there is no delegate           crash   SIGSEGV as the model is loaded
                        runtime   the file needs a newer one     run     each run fails
                        datatype  the runtime is another's
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).with_name("delegate.c")


class NoCompilerError(Exception):
    """There is none on this machine; the message says which was looked for."""


@dataclass(frozen=True)
class Apex:
    """/dev/apex_0 and its folder in sysfs, under `folder`."""

    folder: Path

    def __post_init__(self) -> None:
        self.sysfs.mkdir(parents=True)
        self.device.parent.mkdir()
        self.device.touch()
        self.own(None)

    @property
    def device(self) -> Path:
        return self.folder / "dev" / "apex_0"

    @property
    def sysfs(self) -> Path:
        return self.folder / "class" / "apex_0"

    @property
    def owner(self) -> int | None:
        """The process that the kernel would show."""
        if (self.sysfs / "is_device_owned").read_text() == "0\n":
            return None
        return int((self.sysfs / "device_owner").read_text())

    def own(self, pid: int | None) -> None:
        """Shows it as its owner; the device itself is not locked."""
        (self.sysfs / "is_device_owned").write_text(f"{int(pid is not None)}\n")
        (self.sysfs / "device_owner").write_text(f"{pid or 0}\n")

    def variables(self, fail: str = "") -> dict[str, str]:
        return {"BOARDFIT_APEX": str(self.folder), "BOARDFIT_APEX_FAIL": fail}


def library(folder: Path) -> Path:
    """NoCompilerError."""
    made = folder / "libedgetpu.so.1"
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise NoCompilerError(f"there is no C compiler {os.environ.get('CC', 'cc')!r} on the PATH")
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-fPIC", "-shared", "-Wl,-soname,libedgetpu.so.1"]
    command = [compiler, *flags, "-o", str(made), str(_SOURCE)]
    compiled = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert compiled.returncode == 0, compiled.stderr
    assert compiled.stderr == ""
    return made


SITE = """
import ctypes, os

class Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]

libc, header, sets = ctypes.CDLL(None, use_errno=True), Header(0x20080522, 0), (ctypes.c_uint32 * 6)()
libc.capget(ctypes.byref(header), sets)
sets[0] &= ~(1 << 21)  # CAP_SYS_ADMIN, of those in effect
libc.capset(ctypes.byref(header), sets)
os.geteuid = lambda: 1000
"""
"""A sitecustomize.py: tests run as root in places, where a worker with the Edge TPU would refuse to."""


def place(folder: Path, apex: Apex, fail: str = "") -> dict[str, str]:
    """The library there and the variables of workers that find it and this Apex. NoCompilerError."""
    library(folder)
    (folder / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    return {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder), **apex.variables(fail)}
