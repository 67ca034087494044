"""Stands for systemctl in a sandbox: `systemctl.py STATE UNIT ARGUMENTS...`; it knows one service, whose unit is UNIT.

It runs ExecStart with the unit's Environment= and nothing else, and the unit as it was at the last daemon-reload, as
systemd does. STATE/calls has every call, STATE/pid the service's process, STATE/journal what it printed.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

BURST = 5


def main(state: Path, unit: Path, arguments: list[str]) -> int:
    with (state / "calls").open("a") as calls:
        calls.write(" ".join(arguments) + "\n")
    verb = next(word for word in arguments if not word.startswith("-"))
    return answer(state, verb) if verb.startswith("is-") else do(state, unit, verb)


def answer(state: Path, question: str) -> int:
    if question == "is-system-running":
        print("running")
        return 0
    known = {
        "is-enabled": (state / "enabled").exists(),
        "is-active": runs(state / "pid"),
        "is-failed": (state / "pid").exists() and not runs(state / "pid"),
    }
    return int(not known[question])


def do(state: Path, unit: Path, verb: str) -> int:
    match verb:
        case "daemon-reload":
            (state / "loaded").write_text(unit.read_text() if unit.exists() else "")
        case "enable":
            (state / "enabled").write_text(str(unit.resolve(strict=True)))
        case "disable":
            (state / "enabled").unlink(missing_ok=True)
        case "stop":
            stop(state / "pid")
        case "reset-failed":
            (state / "starts").unlink(missing_ok=True)
        case "restart":
            stop(state / "pid")
            if given_up(state / "starts"):
                return 1
            start(state / "pid", (state / "loaded").read_text(), state / "journal")
        case _:
            return 64
    return 0


def given_up(starts: Path) -> bool:
    """Whether it was started as often as StartLimitBurst allows; by hand counts too (systemd.unit(5))."""
    count = int(starts.read_text()) if starts.exists() else 0
    starts.write_text(str(count + 1))
    return count >= BURST


def runs(pid: Path) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid.read_text()}/status").read_text()
    except FileNotFoundError:
        return False


def stop(pid: Path) -> None:
    if runs(pid):
        os.kill(int(pid.read_text()), signal.SIGTERM)
        while runs(pid):
            time.sleep(0.01)
    pid.unlink(missing_ok=True)


def start(pid: Path, unit: str, journal: Path) -> None:
    lines = [line.partition("=")[::2] for line in unit.splitlines() if "=" in line and not line.startswith("#")]
    words = [word for key, value in lines if key == "Environment" for word in shlex.split(value.replace("%%", "%"))]
    [command] = [value for key, value in lines if key == "ExecStart"]
    with journal.open("ab") as log:
        process = subprocess.Popen(
            shlex.split(command),
            env=dict(word.split("=", 1) for word in words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    pid.write_text(str(process.pid))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
