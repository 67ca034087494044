"""What a started agent says of its board, with a remedy for whatever is missing; install.sh runs it, stdlib alone.

    python -m deploy.verdict --port 8470 --token-file FILE --runtime trt
    python -m deploy.verdict --port 8470 --token-file FILE --runtime tflite --device sys/class/apex/apex_0 --user edge

It asks the service itself, not a probe of its own: groups, environment and sandbox are those that models will run in.
Exit status: 0 the board can serve; 3 its runtime is missing, said with the remedy; 1 the agent is silent.
"""

# ruff: noqa: T201  (a program: what it prints is its result)
import argparse
import http.client
import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.edgetpu import Lack, lacks

MISSING = 3
_PROBE_S = 200.0  # its answer waits for the probes of its Pythons (agent/pythons.py, PROBE_DEADLINE_S)
_TENSORRT = "sudo apt install python3-libnvinfer    # or nvidia-jetpack, where Jetson Linux alone was flashed"
_OWN_NUMPY = "pip3 uninstall numpy; sudo apt install python3-numpy    # the board's own is the one its libraries know"
_REMEDIES = (
    ("no numpy", "sudo apt install python3-numpy"),
    # numpy 1.19.5 on a Cortex-A57, whose OpenBLAS misreads the CPU: github.com/numpy/numpy/issues/18131
    ("SIGILL", _OWN_NUMPY),
    # TensorRT 8.2 and 8.5 name numpy.bool, which numpy 1.24 has no more: python/packaging/tensorrt/__init__.py there
    ("module 'numpy'", _OWN_NUMPY),
    # The bindings are there, the libraries below them are not.
    ("libnvinfer", "sudo apt install nvidia-jetpack"),
    ("libcu", "sudo apt install nvidia-jetpack    # on a desktop: the NVIDIA driver"),
    ("ermission", "sudo usermod -aG video,render USER    # whom the service runs as; then: sudo systemctl restart"),
    ("no TensorRT", _TENSORRT),
    ("no TensorFlow Lite", "sudo apt install python3-tflite-runtime    # Mendel's: pip has none for its Python"),
    ("no ONNX Runtime", "pip3 install onnxruntime    # for the Python named before"),
    ("No such file", "sudo apt install python3"),
)
_OTHERWISE = "agent worker-probe    # with --profile, as the service's user: what each Python offers, at length"


class SilentError(Exception):
    """The agent did not answer in time, or not as one; the message says how."""


@dataclass(frozen=True)
class Verdict:
    """`lines` are for the board's owner."""

    can_serve: bool
    lines: tuple[str, ...]


def judge(runtimes: Iterable[Mapping[str, Any]], wanted: str) -> Verdict:
    """Of what ``GET /v1/agent`` has as `runtimes` (contract.api.RuntimeInfo), for a profile of the runtime `wanted`."""
    asked = [info for info in runtimes if info["key"] == wanted]
    for info in asked:
        if info["unavailable"] is None:
            what = " ".join(filter(None, (wanted, info["version"])))
            return Verdict(True, (f"runtime {what}: offered by {_python(info)}",))
    lines = [f"runtime {wanted}: missing, so no model can be served yet"]
    for info in asked:
        lines += [f"  {_python(info)}: {info['unavailable']}", f"    remedy: {remedy(info['unavailable'])}"]
    return Verdict(False, (*lines, "  then run this again"))


def remedy(reason: str) -> str:
    """A command, mostly, for why a Python does not offer a runtime."""
    return next((command for sign, command in _REMEDIES if sign in reason), _OTHERWISE)


def with_lacks(verdict: Verdict, lacks: Iterable[Lack]) -> Verdict:
    """The same where nothing is missing; else what is, with its remedy, though models for the CPU can be served."""
    lines = [line for lack in lacks for line in (f"  {lack.what}", f"    remedy: {lack.remedy}")]
    if not lines:
        return verdict
    head = "Edge TPU: cannot be used yet"
    return Verdict(False, (*verdict.lines, head, *lines, "  then run this again"))


def ask(port: int, token: str, deadline_s: float) -> Mapping[str, Any]:
    """What the agent on loopback says of itself, once it is up: it has `deadline_s` for that. SilentError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PROBE_S)
    try:
        _connect(connection, deadline_s)
        connection.request("GET", "/v1/agent", headers={"Authorization": f"Bearer {token}"})
        reply = connection.getresponse()
        body = reply.read()
    except (OSError, http.client.HTTPException) as error:
        raise SilentError(f"no agent answers on 127.0.0.1:{port}: {error}") from error
    finally:
        connection.close()
    if reply.status != http.client.OK:
        raise SilentError(f"127.0.0.1:{port} answers {reply.status}: is another service there? give another --port")
    return dict(json.loads(body))


def _connect(connection: http.client.HTTPConnection, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while True:
        try:
            return connection.connect()
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
        time.sleep(0.1)


def _python(info: Mapping[str, Any]) -> str:
    version = info["python_version"]
    return f"{info['python']} ({version})" if version else str(info["python"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.verdict")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token-file", type=Path, required=True)
    parser.add_argument("--runtime", required=True)
    parser.add_argument("--device", help="an Edge TPU's folder in sysfs, from --root on, where the profile has one")
    parser.add_argument("--user", help="whom the service runs as: with --device")
    parser.add_argument("--groups", default="", help="the service's own, with spaces between them")
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--deadline-s", type=float, default=2.0)
    options = parser.parse_args()
    try:
        agent = ask(options.port, options.token_file.read_text(encoding="ascii").strip(), options.deadline_s)
    except SilentError as error:
        print(f"  {error}")
        return 1
    verdict = judge(agent["runtimes"], options.runtime)
    if options.device:
        verdict = with_lacks(verdict, lacks(options.device, options.user, tuple(options.groups.split()), options.root))
    print(f"boardfit {agent['version']} answers as {agent['profile']}", *verdict.lines, sep="\n")
    return 0 if verdict.can_serve else MISSING


if __name__ == "__main__":
    sys.exit(main())
