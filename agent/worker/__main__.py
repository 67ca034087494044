"""python -m boardfit_worker serve --parent PID --channel FD --arena FD --arena-bytes N | probe --parent PID"""

import argparse
import ctypes
import importlib
import json
import mmap
import os
import signal
import socket
import sys
from typing import Any, Dict, List, Optional

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_OOM_SCORE = b"800"


def main(arguments: List[str]) -> None:
    """Runs one verb. argparse leaves with status 2 where it is not one."""
    parser = argparse.ArgumentParser(prog="boardfit_worker")
    verbs = parser.add_subparsers(dest="verb", metavar="serve|probe")
    serve_parser = verbs.add_parser("serve")
    for name in ("--parent", "--channel", "--arena", "--arena-bytes"):
        serve_parser.add_argument(name, type=int, required=True)
    verbs.add_parser("probe").add_argument("--parent", type=int, required=True)
    options = parser.parse_args(arguments)
    if options.verb is None:
        parser.error("say serve or probe")
    die_with(options.parent)
    if options.verb == "serve":
        serve(options.channel, options.arena, options.arena_bytes)
    else:
        answer(probe())
    # Not a return: a runtime's own clean-up at interpreter exit can abort (PyCUDA) or hang, and all is said and done.
    os._exit(0)


def serve(channel_fd: int, arena_fd: int, arena_bytes: int) -> None:
    """Serves one model over the socket until the agent closes it."""
    volunteer_for_oom_kill()
    leave_signals_to_the_agent()
    from .loop import Channel, Loop, hello

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=channel_fd)
    connection.set_inheritable(False)  # what a runtime starts must not keep the channel open when the worker is gone
    arena = mmap.mmap(arena_fd, arena_bytes)
    os.close(arena_fd)
    channel = Channel(connection)
    try:
        channel.send(hello())
        Loop(channel, arena).serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the agent is gone: nobody is left to tell


def die_with(parent: int) -> None:
    """Has the kernel kill this process when its agent dies, however it dies (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above, or the interpreter is started by a script
        sys.exit("the agent, process %d, is not the parent of this worker: process %d is" % (parent, os.getppid()))


def volunteer_for_oom_kill() -> None:
    """Short of memory, the kernel should end the model, not the agent that can report it."""
    try:
        with open("/proc/self/oom_score_adj", "wb") as score:
            score.write(_OOM_SCORE)
    except OSError:
        pass  # a sandbox may forbid it: the kernel then chooses by size, which is mostly the model too


def leave_signals_to_the_agent() -> None:
    """systemd sends SIGTERM to all of a service; the agent first lets requests end, then ends its workers itself."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def probe() -> Dict[str, Any]:
    """Which runtimes this Python offers: {"python": .., "runtimes": [{"key", "version"} | {"key", "unavailable"}]}."""
    found = {"python": "%d.%d.%d" % sys.version_info[:3], "numpy": _numpy_version(), "runtimes": []}  # type: Any
    if found["numpy"] is None:
        return dict(found, unavailable="this Python has no numpy")
    from . import runtimes
    from .errors import WorkerError

    for key in runtimes.names():
        try:
            found["runtimes"].append({"key": key, "version": runtimes.create(key).open({})})
        except WorkerError as error:
            found["runtimes"].append({"key": key, "unavailable": error.message})
    return dict(found)


def answer(found: Dict[str, Any]) -> None:
    """As the last line of stdout, below whatever libraries have printed: the agent has buffers switched off."""
    os.write(1, b"\n" + json.dumps(found).encode("ascii") + b"\n")


def _numpy_version() -> Optional[str]:
    try:
        return str(importlib.import_module("numpy").__version__)
    except ImportError:
        return None


if __name__ == "__main__":
    main(sys.argv[1:])
