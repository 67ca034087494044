"""An accelerator that one process has at a time: which model it is, and whether a stranger has it.

The Edge TPU's driver refuses the second process that opens it to write, unless that one has CAP_SYS_ADMIN: two workers
of root would both be let in, and spoil each other's results (google/gasket-driver, src/gasket_core.c, gasket_open). So
it is asked before each start, and root starts none.

DATA/accelerator    the name of the model that had it last: of several, the one an agent starts again
"""

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from agent import disk
from agent.dataplane import Dataplane
from agent.errors import AcceleratorHeldError, AcceleratorTakenError, AgentError, RootWorkerError
from agent.loading import Deployment
from agent.supervisor import Supervisor
from agent.telemetry.readings import attempt, read_text
from contract.profile import OneOwner

SHOWN_CHARS = 200
"""Of a stranger's command line."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ownership:
    """Of one board's accelerator. `facts` None: its models can share what they run on, and all here is free.

    `root` is the board's own, but for tests.
    """

    facts: OneOwner | None
    dataplane: Dataplane
    note: Path
    root: Path = Path("/")

    def takes(self, deployment: Deployment) -> bool:
        """Whether this model needs the accelerator: one for the CPU of the same board does not."""
        return self.facts is not None and _options(deployment).get(self.facts.option) == self.facts.value

    def rivals(self, deployment: Deployment) -> list[Supervisor]:
        """The models of other names that have what this one needs, or will have it again by themselves."""
        if not self.takes(deployment):
            return []
        supervisors = [served.supervisor for served in self.dataplane.models.values()]
        return [
            each
            for each in supervisors
            if each.is_on and each.deployment.name != deployment.name and self.takes(each.deployment)
        ]

    def check_rivals(self, deployment: Deployment, replace: bool) -> list[Supervisor]:
        """Those of them that are to be stopped. AcceleratorTakenError where they are not to be."""
        rivals = self.rivals(deployment)
        if rivals and not replace:
            has = ", ".join(repr(each.deployment.name) for each in rivals)
            raise AcceleratorTakenError(
                f"{deployment.name!r} needs this board's accelerator ({_said(self.facts)}), which one model has at a "
                f"time, and {has} has it",
                f"host deploy --replace: {has} is stopped, and stays on the board; or remove it: host remove",
            )
        return rivals

    async def check_start(self, deployment: Deployment) -> None:
        """Before a worker of this model is started. RootWorkerError, AcceleratorHeldError.

        Where the files that tell who has it are not there, the worker is left to find out.
        """
        if not self.takes(deployment):
            return
        assert self.facts
        if os.geteuid() == 0:
            raise RootWorkerError(
                f"the agent runs as root, whom the kernel lets use an accelerator that is in use: {deployment.name!r} "
                "is not started",
                "run the agent as a user of the group apex: install.sh --user NAME",
            )
        owner = await asyncio.to_thread(read_owner, self.root / self.facts.device)
        if owner is not None and owner not in {each.supervisor.pid for each in self.dataplane.models.values()}:
            await asyncio.to_thread(self._check_stranger, owner)

    def _check_stranger(self, pid: int) -> None:
        """One that has just ended is nobody: the kernel lets go as it closes its files."""
        proc = self.root / "proc" / str(pid)
        if not proc.exists():
            return
        command = (attempt({}, "cmdline", read_text, proc / "cmdline") or "").replace("\0", " ").strip()
        what = command[:SHOWN_CHARS] or "which does not say what it is"
        raise AcceleratorHeldError(
            f"another process has this board's accelerator: {pid}, {what}",
            f"end it, on the board: kill {pid}    # with sudo where it is not yours",
        )

    def remember(self, deployment: Deployment) -> None:
        """That this model has it now. A temporary one is forgotten with the agent: whoever was before it comes again.

        What cannot be written is no reason to undo a switch: it is in the log.
        """
        if deployment.temporary or not self.takes(deployment):
            return
        try:
            disk.replace(self.note, deployment.name.encode())
        except (AgentError, OSError) as error:
            _log.warning("after a restart of the agent it may not be %s that starts: %s", deployment.name, error)

    def choose(self, deployments: list[Deployment]) -> Deployment | None:
        """Of the models of the last run, which is to have it: the one that had it, else the first that needs it."""
        able = [deployment for deployment in deployments if self.takes(deployment)]
        last = (attempt({}, "note", read_text, self.note) or "").strip()
        return next((each for each in able if each.name == last), able[0] if able else None)


def read_owner(device: Path) -> int | None:
    """The process that has the device of this folder in sysfs; None where nobody has, or the files do not tell.

    `is_device_owned` is 0 or 1 and `device_owner` a process id, 0 or an old one where nobody has it
    (google/gasket-driver, src/gasket_core.c, gasket_sysfs_data_show).
    """
    owned = attempt({}, "owned", read_text, device / "is_device_owned")
    owner = attempt({}, "owner", read_text, device / "device_owner")
    if owned is None or owner is None or owned.strip() != "1" or not owner.strip().isdecimal():
        return None
    return int(owner)


def _options(deployment: Deployment) -> dict[str, str | int | float | bool]:
    return dict(deployment.manifest.runtime.options)


def _said(facts: OneOwner | None) -> str:
    return f"{facts.option}={facts.value}" if facts else ""
