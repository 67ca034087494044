"""Asking a program of the board: with a time limit, no input, no shell, and nothing of it left behind."""

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence

DEADLINE_S = 2.0
SYSTEM_FOLDERS = "/usr/sbin:/usr/bin:/sbin:/bin"
"""Where a Jetson has nvpmodel, jetson_clocks and tegrastats: a service's PATH may lack the first."""

Ask = Callable[[Sequence[str]], str]
"""A command -> what it prints. OSError where it is not there; ValueError where it fails or says nothing in time."""


def find(program: str) -> str:
    """Its path. FileNotFoundError."""
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:{SYSTEM_FOLDERS}")
    if path is None:
        raise FileNotFoundError(f"this board has no {program}")
    return path


def output(command: Sequence[str], deadline_s: float = DEADLINE_S) -> str:
    """All that a command prints until it ends. OSError, ValueError."""
    try:
        done = subprocess.run(
            [find(command[0]), *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=deadline_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"{command[0]} did not end within {deadline_s:g} s") from error
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise ValueError(f"{command[0]} ended with status {done.returncode}: {text.strip()[-200:]}")
    return text


def first_line(command: Sequence[str], deadline_s: float = DEADLINE_S) -> str:
    """The first line of a command that goes on for ever, and is ended then: tegrastats outlives a reader that leaves.

    OSError, ValueError.
    """
    give_up_at = time.monotonic() + deadline_s
    said = b""
    with subprocess.Popen(
        [find(command[0]), *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    ) as process:
        assert process.stdout is not None
        readable = select.poll()  # select() takes no descriptor above 1023, and an agent may have as many
        readable.register(process.stdout, select.POLLIN)
        try:
            while b"\n" not in said:
                ready = readable.poll(max(0.0, give_up_at - time.monotonic()) * 1000)
                chunk = process.stdout.read(1 << 16) if ready else b""
                if not chunk:
                    raise ValueError(f"{command[0]} said no line within {deadline_s:g} s")
                said += chunk
        finally:
            process.kill()
    return said.partition(b"\n")[0].decode(errors="replace")
