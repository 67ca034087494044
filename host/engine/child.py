"""Around a task's module, in the process that runs it.

    python -P -m host.engine.child DESCRIPTOR MODULE FOLDER NAME DONE [ARGUMENTS]

DESCRIPTOR is the reading end of a pipe whose other end the parent alone has open. It says nothing and closes when the
parent dies, of whatever: then this process ends as well, so that the parent's successor does not find it at work. (A
signal on the parent's death, PR_SET_PDEATHSIG, would come as soon as the thread that started this process ends, and
could not be followed by SIGKILL.) The lock is for the moment until then, DONE the file that says that nothing is left
to do.
"""

import json
import os
import runpy
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from filelock import FileLock

from host import disk, interrupts
from host.errors import HostError, InputError

END_WITHIN_S = 10.0


def main() -> int:
    """0 where it is done; else the exit code of what went wrong, whose words are in the failure file and the log."""
    descriptor, module, folder, name, done, *arguments = sys.argv[1:]
    os.set_inheritable(int(descriptor), False)
    threading.Thread(target=_end_with_parent, args=[int(descriptor)], daemon=True).start()
    path = Path(folder)
    try:
        with interrupts.listening(), FileLock(path / f".{name}.lock"):
            if not (path / done).exists():
                _run(module, [folder, name, *arguments])
    except HostError as error:
        return _told(path, name, error)
    except OSError as error:
        traceback.print_exc()
        hint = "make room there, or say where else; what is done is kept"
        return _told(path, name, InputError(f"cannot be written or read: {error}", hint))
    except interrupts.Terminated as interrupt:
        signal.signal(interrupt.number, signal.SIG_DFL)
        os.killpg(os.getpid(), interrupt.number)  # things are put back: now it ends by it, with what it has started
    return 0


def failure_file(folder: Path, name: str) -> Path:
    """What a HostError of the task `name` says: a JSON object of message, hint and code."""
    return folder / f".{name}.failure"


def _run(module: str, arguments: list[str]) -> None:
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if ended.code:
            raise


def _told(folder: Path, name: str, error: HostError) -> int:
    print(f"{error.message}\n{error.hint}", file=sys.stderr)  # noqa: T201  # its log
    told = {"message": error.message, "hint": error.hint, "code": error.code}
    disk.replace(failure_file(folder, name), json.dumps(told).encode(), durable=False)
    return error.exit_code


def _end_with_parent(descriptor: int) -> None:
    os.read(descriptor, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(END_WITHIN_S)
    os.killpg(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
