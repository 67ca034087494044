"""python -m boardfit_worker serve --channel FD --arena FD --arena-bytes N | probe"""

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


def main(arguments: List[str]) -> int:
    """Runs one verb; the exit status."""
    parser = argparse.ArgumentParser(prog="boardfit_worker")
    verbs = parser.add_subparsers(dest="verb")
    serve_parser = verbs.add_parser("serve")
    for name in ("--channel", "--arena", "--arena-bytes", "--parent"):
        serve_parser.add_argument(name, type=int, required=True)
    verbs.add_parser("probe")
    options = parser.parse_args(arguments)
    if options.verb == "serve":
        return serve(options.channel, options.arena, options.arena_bytes, options.parent)
    if options.verb == "probe":
        json.dump(probe(), sys.stdout)
        return 0
    parser.print_help(sys.stderr)
    return 2


def serve(channel_fd: int, arena_fd: int, arena_bytes: int, parent: int) -> int:
    """Serves one model over the socket until the agent closes it."""
    die_with(parent)
    volunteer_for_oom_kill()
    from .loop import Channel, Loop, hello

    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=channel_fd)
    arena = mmap.mmap(arena_fd, arena_bytes)
    os.close(arena_fd)
    channel = Channel(connection)
    try:
        channel.send(hello())
        Loop(channel, arena).serve()
    except (BrokenPipeError, ConnectionResetError):
        pass  # the agent is gone: nobody is left to tell
    # Not a return: a runtime's own clean-up at interpreter exit can abort (PyCUDA) or hang, and all is said and done.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def die_with(parent: int) -> None:
    """Has the kernel kill this process when its agent dies, however it dies (prctl(2), PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def volunteer_for_oom_kill() -> None:
    """Short of memory, the kernel should end the model, not the agent that can report it."""
    try:
        with open("/proc/self/oom_score_adj", "wb") as score:
            score.write(_OOM_SCORE)
    except OSError:
        pass  # a sandbox may forbid it: the kernel then chooses by size, which is mostly the model too


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


def _numpy_version() -> Optional[str]:
    try:
        return str(importlib.import_module("numpy").__version__)
    except ImportError:
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
