"""What an Edge TPU on PCIe needs of the board, and whose absence a runtime tells only once it loads a model.

Looked at from outside, as root or as the service's user, with the standard library alone: the library, the device, and
whether the service's user may open it.
"""

import grp
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

LIBRARY = "libedgetpu.so.1"
_FOLDERS = ("usr/lib", "usr/lib/*", "usr/local/lib", "lib", "lib/*")
# As Google's own package has it (google/gasket-driver, debian/gasket-dkms.udev); its users are to be in the group.
_RULE = """echo 'SUBSYSTEM=="apex", MODE="0660", GROUP="apex"' | sudo tee /etc/udev/rules.d/65-apex.rules"""


@dataclass(frozen=True)
class Lack:
    """One thing that is missing, and a command, mostly, that brings it."""

    what: str
    remedy: str


def lacks(device: str, user: str, groups: tuple[str, ...], root: Path = Path("/")) -> list[Lack]:
    """`device`: its folder in sysfs, from `root` on. `groups`: what the service has besides the user's own."""
    found = []
    if not any(True for folder in _FOLDERS for _ in root.glob(f"{folder}/{LIBRARY}")):
        # Not -max: both run at full speed on PCIe, and -max waits for consent (libedgetpu, edgetpu_context_direct.cc).
        found.append(Lack(f"no {LIBRARY}", "sudo apt install libedgetpu1-std"))
    node = root / "dev" / Path(device).name
    if not node.exists():
        has_driver = (root / device).exists()
        found.append(
            Lack(
                f"no /dev/{node.name}{', though its driver is there' if has_driver else ''}",
                "sudo udevadm trigger" if has_driver else "sudo modprobe apex    # and then: dmesg | grep -i apex",
            )
        )
    elif not _may_open(node, user, groups):
        found.append(_closed(node, user))
    return found


def _may_open(node: Path, user: str, groups: tuple[str, ...]) -> bool:
    """To read and write; root's own leave does not count, as the service is never root."""
    status, entry = node.stat(), pwd.getpwnam(user)
    ids = {*os.getgrouplist(user, entry.pw_gid), *(grp.getgrnam(group).gr_gid for group in groups)}
    needed = stat.S_IROTH | stat.S_IWOTH
    if status.st_uid == entry.pw_uid:
        return (status.st_mode >> 6) & needed == needed
    if status.st_gid in ids:
        return (status.st_mode >> 3) & needed == needed
    return status.st_mode & needed == needed


def _closed(node: Path, user: str) -> Lack:
    status = node.stat()
    group, mode = _group(status.st_gid), stat.filemode(status.st_mode)
    what = f"{user} may not open /dev/{node.name}, which is {mode} of the group {group}"
    if group == "apex" and status.st_mode & stat.S_IWGRP:
        return Lack(what, f"sudo usermod -aG apex {user}")
    return Lack(what, f"sudo groupadd -f apex; {_RULE}; sudo udevadm control --reload; sudo udevadm trigger")


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
