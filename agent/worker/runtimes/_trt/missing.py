"""Why there is no CUDA here, in words: what was found, and what to do.

That it was not allowed looks the same as that nothing is there: on a Jetson cuInit gives 100 or 999 for both
(NVIDIA/NemoClaw#4231, #5018), so the device files are looked at. A driver for PCs can hide a Jetson's own: Ubuntu's
package libnvidia-compute-* has a libcuda.so.1 that the loader finds first, and its cuInit gives 100.
"""

import glob
import grp
import os
import stat
from typing import Iterable, List, Optional, Sequence

from .cuda import CudaMissingError

LIBRARY = "libcuda.so.1"
FOLDERS = (
    "/usr/lib/aarch64-linux-gnu/tegra",  # L4T 32 and 35
    "/usr/lib/aarch64-linux-gnu/nvidia",  # L4T 36
    "/opt/nvidia/l4t-gpu-libs/nvgpu",  # L4T 39 on Orin
)
"""Where a Jetson's own libcuda.so.1.1 is; the loader is told by /etc/ld.so.conf.d, unless that was lost."""

DEVICES = ("/dev/nvmap", "/dev/nvhost-gpu", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu/*/ctrl", "/dev/nvidia[0-9]*")
"""What the driver opens: of a Jetson, and of a PC."""

STUB_LIBRARY = 34
NO_DEVICE = 100
INVALID_DEVICE = 101
NOT_SUPPORTED = 801
SYSTEM_DRIVER_MISMATCH = 803
COMPAT_NOT_SUPPORTED_ON_DEVICE = 804
UNKNOWN = 999
"""CUresult (cuda.h)."""

_INSUFFICIENT_DRIVER = 35  # cudaError (driver_types.h): the same mismatch, in the numbers of CUDA's runtime library
_MISMATCHES = (_INSUFFICIENT_DRIVER, NOT_SUPPORTED, SYSTEM_DRIVER_MISMATCH, COMPAT_NOT_SUPPORTED_ON_DEVICE)


def own_libraries() -> List[str]:
    """Those that are there."""
    return _existing(os.path.join(folder, LIBRARY + ".1") for folder in FOLDERS)


def no_library(reasons: Sequence[str]) -> CudaMissingError:
    """`reasons`: what the loader said of each place it was told to look."""
    broken = [reason for reason in reasons if not _is_absent(reason)]
    if broken:
        return CudaMissingError(
            "CUDA's driver does not load: %s; in a container its libraries come from the host: start it with "
            "`--runtime nvidia`, and an image made for the board's L4T release" % broken[0]
        )
    return CudaMissingError(
        "this machine has no CUDA driver: there is no %s; on a Jetson: sudo apt install --reinstall nvidia-l4t-cuda "
        "&& sudo ldconfig" % LIBRARY
    )


def _is_absent(reason: str) -> bool:
    """Of dlopen's message: it is the library itself that is not there, not one that it needs."""
    return "libcuda" in reason.partition(":")[0] and reason.endswith("No such file or directory")


def no_function(name: str) -> CudaMissingError:
    return CudaMissingError(
        "%s has no %s: it is not NVIDIA's driver, or one older than CUDA 7" % (_loaded_from() or LIBRARY, name)
    )


def refused(call: str, status: int, name: str) -> CudaMissingError:
    """`call`, one of those that begin, gave this status."""
    what = "%s gives %s (%d)" % (call, name, status)
    library = _loaded_from() or LIBRARY
    if status == STUB_LIBRARY:
        return CudaMissingError(
            "%s: %s is the toolkit's stub, made for linking; take its folder out of LD_LIBRARY_PATH" % (what, library)
        )
    if status in _MISMATCHES:
        return CudaMissingError(
            "%s: %s and the kernel's driver do not go together; restart the board after an update, take a cuda/compat "
            "folder out of LD_LIBRARY_PATH, and in a container use an image made for the board's L4T release"
            % (what, library)
        )
    if status in (NO_DEVICE, INVALID_DEVICE, UNKNOWN):
        return CudaMissingError("%s: %s" % (what, _closed_device() or _hidden_library(library) or _nothing(status)))
    return CudaMissingError("%s; the kernel's log may say more: sudo dmesg" % what)


def _loaded_from() -> Optional[str]:
    """The file that this process has as libcuda; None where it has none (proc(5), maps)."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        for line in maps:
            path = line.rstrip("\n").partition("/")
            if path[1] and path[2].rpartition("/")[2].startswith("libcuda.so"):
                return "/" + path[2]
    return None


def _closed_device() -> Optional[str]:
    """/dev/nvmap is `root:video`, 0440 from L4T 36 on: reading is what matters."""
    for path in _existing(DEVICES):
        if not os.access(path, os.R_OK):
            return "this user may not open %s; %s" % (path, _admission(os.stat(path)))
    return None


def _admission(file: os.stat_result) -> str:
    if not file.st_gid or not file.st_mode & stat.S_IRGRP:
        return "its owner and mode (ls -l) let no group of users do so"
    return (
        "its group %s may: sudo usermod -aG %s USER (and render, where there is one), then log in again or restart "
        "the agent's service"
    ) % ((_group(file.st_gid),) * 2)


def _hidden_library(library: str) -> Optional[str]:
    for own in own_libraries():
        # In NVIDIA's containers an empty file keeps the place of the host's.
        if os.path.getsize(own) and os.path.realpath(own) != os.path.realpath(library):
            return "%s hides the board's own %s; remove its package (dpkg -S %s tells which)" % (library, own, library)
    return None


def _nothing(status: int) -> str:
    if status == UNKNOWN:
        return "the driver does not start; restart the board, the kernel's log may say more: sudo dmesg"
    return "it finds no GPU; is CUDA_VISIBLE_DEVICES set, or the container started without `--runtime nvidia`?"


def _existing(patterns: Iterable[str]) -> List[str]:
    return [path for pattern in patterns for path in sorted(glob.glob(pattern))]


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)  # a container's own list of groups may not have it
