"""The compiler in a container: for machines other than x86-64 Debian and Ubuntu."""

import os
import secrets
import shutil
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

from converters.edge_tpu.compiler import PROGRAM, Run, flags, run
from converters.edge_tpu.errors import ContainerError
from converters.edge_tpu.output import ON_A_CPU

IMAGE = "boardfit-edgetpu-compiler:1"
"""Its number is that of DOCKERFILE below: change both."""
_PLATFORM = "linux/amd64"
_BUILD_TIMEOUT_S = 1200.0
_ASK_TIMEOUT_S = 60.0
_DOCKERS_OWN = frozenset({125, 126, 127})
"""Exit codes of `docker run` itself: https://docs.docker.com/reference/cli/docker/container/run/#exit-status"""

DOCKERFILE = f"""\
FROM debian:bookworm-slim
RUN apt-get update \\
 && apt-get install -y --no-install-recommends ca-certificates curl \\
 && mkdir -p /etc/apt/keyrings \\
 && curl -fsSL -o /tmp/key https://packages.cloud.google.com/apt/doc/apt-key.gpg \\
 && if grep -q BEGIN /tmp/key; then name=coral.asc; else name=coral.gpg; fi \\
 && install -m 644 /tmp/key /etc/apt/keyrings/$name \\
 && echo "deb [arch=amd64 signed-by=/etc/apt/keyrings/$name] \
https://packages.cloud.google.com/apt coral-edgetpu-stable main" > /etc/apt/sources.list.d/coral.list \\
 && apt-get update \\
 && apt-get install -y --no-install-recommends edgetpu-compiler \\
 && rm -rf /var/lib/apt/lists/* /tmp/key
ENTRYPOINT ["{PROGRAM}"]
"""
"""apt-key is gone from Debian 12 (google-coral/edgetpu#777, #915): the key is in a file of its own, which apt takes for
text or not by its name's end.
"""


def run_in_container(folder: Path, timeout_s: float) -> Run:
    """As from PATH, `folder` mounted, without a network. ContainerError, CompilerTimeoutError."""
    docker = shutil.which("docker")
    if docker is None:
        raise ContainerError("docker is not on PATH", f"install Docker, {ON_A_CPU}")
    _make_image(docker)
    name = f"boardfit-edgetpu-{secrets.token_hex(6)}"
    command = [docker, "run", "--rm", "--name", name, "--platform", _PLATFORM, "--network", "none"]
    command += ["--user", f"{os.getuid()}:{os.getgid()}", "--volume", f"{folder}:/w", "--workdir", "/w"]
    done = run([*command, IMAGE, *flags("/w", timeout_s)], folder, timeout_s, partial(_kill, docker, name))
    if done.exit_code in _DOCKERS_OWN:
        raise ContainerError(f"the container does not start: {_last(done.output)}", f"see `docker run {IMAGE} --help`")
    return done


def _make_image(docker: str) -> None:
    if _asked([docker, "image", "inspect", IMAGE], "", _ASK_TIMEOUT_S).returncode == 0:
        return
    made = _asked([docker, "build", "--platform", _PLATFORM, "--tag", IMAGE, "-"], DOCKERFILE, _BUILD_TIMEOUT_S)
    if made.returncode:
        raise ContainerError(
            f"the image with the Edge TPU's compiler cannot be made: {_last(made.stdout)}",
            f"check that Docker runs (`docker info`) and reaches the internet, {ON_A_CPU}",
        )


def _asked(command: list[str], said: str, timeout_s: float) -> "subprocess.CompletedProcess[str]":
    """ContainerError where Docker does not answer."""
    try:
        return subprocess.run(
            command,
            input=said,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as expired:
        raise ContainerError(
            f"docker {command[1]} did not end within {timeout_s:.0f} s", f"check `docker info`, {ON_A_CPU}"
        ) from expired


def _kill(docker: str, name: str) -> None:
    """Of the client that is killed, the container would live on."""
    with suppress(ContainerError):  # what ended it early is what is told
        _asked([docker, "kill", name], "", _ASK_TIMEOUT_S)


def _last(output: str) -> str:
    """The line that says what went wrong: those before it may be of what is deprecated."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "it says nothing"
