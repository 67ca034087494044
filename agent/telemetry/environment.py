"""What a row was measured on, as far as it does not move: the static part of `contract.results.Environment`."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from agent.telemetry.l4t import describe_release, read_release
from agent.telemetry.procfs import read_memory
from agent.telemetry.readings import attempt, read_text
from contract.profile import Profile
from contract.results import Conditions, Environment
from contract.version import __version__

# As platform.freedesktop_os_release reads it, which knows no other root.
_PRETTY_NAME = re.compile(r"""^PRETTY_NAME=(["']?)(.*)\1[ \t]*$""", re.MULTILINE)
_ESCAPED = re.compile(r"""\\([$"'`\\])""")
_CPUINFO_LINE = re.compile(r"^([^:\t\n]+?)[ \t]*:[ \t]*(.+?)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class BoardDescription:
    """A board, read once. `machine` and `kernel` are the running kernel's; `unmet` has what could not be read.

    `os_image` of a Jetson names its L4T too: the same Ubuntu comes with several.
    """

    profile: str
    machine: str
    os_image: str
    kernel: str
    cpu: str
    cpu_count: int
    memory_total_bytes: int | None
    unmet: dict[str, str]

    def environment(
        self,
        *,
        python: str,
        runtime: str,
        runtime_version: str,
        runtime_options: dict[str, str | int | float | bool],
        runtime_details: dict[str, str],
        before: Conditions,
        after: Conditions | None,
    ) -> Environment:
        """A row's environment: this board, with the worker's runtime and what moved."""
        return Environment(
            profile=self.profile,
            machine=self.machine,
            os_image=self.os_image,
            kernel=self.kernel,
            cpu=self.cpu,
            cpu_count=self.cpu_count,
            memory_total_bytes=self.memory_total_bytes,
            python=python,
            runtime=runtime,
            runtime_version=runtime_version,
            runtime_options=runtime_options,
            runtime_details=runtime_details,
            agent_version=__version__,
            before=before,
            after=after,
        )


def describe(profile: Profile, root: Path | str = "/") -> BoardDescription:
    """The board the agent runs on. Where its image or CPU does not say what it is, the plainest true name stands in."""
    unmet: dict[str, str] = {}
    memory = attempt(unmet, "memory_total_bytes", read_memory, root)
    image = attempt(unmet, "os_image", _os_image, Path(root)) or platform.system()
    release = attempt(unmet, "os_image", read_release, root)
    return BoardDescription(
        profile=profile.name,
        machine=platform.machine(),
        os_image=f"{image}, {describe_release(release)}" if release else image,
        kernel=platform.release(),
        cpu=attempt(unmet, "cpu", _cpu, Path(root)) or platform.machine(),
        cpu_count=os.cpu_count() or 1,
        memory_total_bytes=memory.total_bytes if memory else None,
        unmet=unmet,
    )


def parse_os_release(text: str) -> str:
    """PRETTY_NAME of /etc/os-release; "Linux" where it has none, as os-release(5) says."""
    names = _PRETTY_NAME.findall(text)
    return _ESCAPED.sub(r"\1", names[-1][1]) if names else "Linux"


def parse_cpu_name(text: str) -> str:
    """What /proc/cpuinfo calls the CPU: its model name, or on ARM the numbers of who made it and which part it is."""
    fields: dict[str, str] = dict(reversed(_CPUINFO_LINE.findall(text)))  # the first CPU's
    if name := fields.get("model name"):
        return name
    if "CPU implementer" in fields and "CPU part" in fields:
        return f"ARM implementer {fields['CPU implementer']} part {fields['CPU part']}"
    raise ValueError("/proc/cpuinfo has neither a model name nor CPU implementer and part")


def _os_image(root: Path) -> str:
    path = root / "etc/os-release"
    return parse_os_release(read_text(path if path.exists() else root / "usr/lib/os-release"))


def _cpu(root: Path) -> str:
    """The device tree first: on ARM, L4T's cpuinfo has a model name too, but it is "ARMv8 Processor rev 1 (v8l)"."""
    model = root / "sys/firmware/devicetree/base/model"
    if model.exists() and (name := read_text(model).rstrip("\0").strip()):
        return name
    return parse_cpu_name(read_text(root / "proc/cpuinfo"))
