"""Running one command of a fixed list as root: through ``sudo -n``, with a time limit, never with a shell.

The commands come from agent/tuning.py and from nowhere else: no request says what is run.
"""

import os
import pwd
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

from agent.telemetry import commands
from contract.tuning import TuningStep

DEADLINE_S = 30.0
SUDOERS_FILE = "/etc/sudoers.d/boardfit-agent"
"""As `install.sh --allow-tuning` writes it."""

# English, whatever the board speaks; and jetson_clocks keeps the fan's state in its HOME, which is to be root's.
_ENVIRONMENT = {"LC_ALL": "C", "HOME": "/root"}
_LONGEST = 4000


@dataclass(frozen=True)
class Command:
    """A program and its arguments. `answer`: what it gets on its standard input, should it ask."""

    words: tuple[str, ...]
    answer: str = ""

    def __str__(self) -> str:
        return shlex.join(("sudo", *self.words))


def run(command: Command, allowed: Sequence[Command], deadline_s: float = DEADLINE_S) -> TuningStep:
    """Runs it, and says how that went. `allowed` is what a sudoers line should have, where sudo wants a password."""
    try:
        sudo, program = commands.find("sudo"), commands.find(command.words[0])
    except FileNotFoundError as missing:
        return TuningStep(command=str(command), state="failed", detail=str(missing))
    status, printed = _run([sudo, "-n", program, *command.words[1:]], command.answer, deadline_s)
    if status is None:
        detail = f"it did not end within {deadline_s:g} s; as root's, it may still be running"
        return TuningStep(command=str(command), state="failed", detail=detail)
    # nvpmodel that would have to boot the board anew, and was told not to; its status differs by release.
    if "Reboot required" in printed:
        detail = f"it takes effect with a reboot: run `{command}` on the board yourself, and answer yes"
        return TuningStep(command=str(command), state="needs_reboot", detail=detail)
    if status == 0 and "Error" not in printed:  # jetson_clocks goes on after an error, and ends well
        return TuningStep(command=str(command), state="done")
    return TuningStep(command=str(command), state="failed", detail=_remedy(printed, allowed) or _last(printed, status))


def _run(words: list[str], answer: str, deadline_s: float) -> tuple[int | None, str]:
    """Its exit status, None where it was not over in time, and what it printed.

    Files, not pipes: what outlives the deadline is root's, cannot be ended by us, and would hold a pipe open.
    """
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as printed:
        asked.write(answer.encode())
        asked.seek(0)
        process = subprocess.Popen(
            words,
            stdin=asked,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env={**os.environ, **_ENVIRONMENT},
            start_new_session=True,
        )
        try:
            return process.wait(deadline_s), _read(printed)
        except subprocess.TimeoutExpired:
            _try_to_end(process)
            return None, _read(printed)


def _try_to_end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.kill()
    except PermissionError:  # sudo is root's as soon as it runs
        return
    process.wait()


def _read(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), _LONGEST, 0).decode(errors="replace")


def _remedy(printed: str, allowed: Sequence[Command]) -> str | None:
    """What to do about a sudo that does not let us; None where it is not sudo that refuses."""
    if "no new privileges" in printed or "effective uid is not 0" in printed:  # the second: sudo 1.8
        return (
            "the agent's service forbids sudo (NoNewPrivileges=yes): install it with --allow-tuning, "
            "or run the command on the board yourself"
        )
    if "password is required" in printed or "not allowed to execute" in printed or "not in the sudoers" in printed:
        return f"sudo wants a password. Add to {SUDOERS_FILE} (with sudo visudo -f): {sudoers_line(allowed)}"
    return None


def sudoers_line(allowed: Sequence[Command]) -> str:
    """Lets the agent's user run these commands, with these arguments alone, without a password (sudoers(5))."""
    return f"{_user()} ALL=(root) NOPASSWD: {', '.join(_in_sudoers(command.words) for command in allowed)}"


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # one without a name, as in a container
        return f"#{os.geteuid()}"


def _in_sudoers(words: tuple[str, ...]) -> str:
    """A command without arguments would be allowed with any: "" says there are none."""
    try:
        program = commands.find(words[0])
    except FileNotFoundError:
        program = f"/usr/bin/{words[0]}"
    return " ".join((program, *(words[1:] or ('""',))))


def _last(printed: str, status: int) -> str:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    return f"it ended with status {status}: {'; '.join(lines[-2:]) or 'it said nothing'}"
