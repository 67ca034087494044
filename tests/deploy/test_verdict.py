"""What an agent says of its board, and what its owner is told to do about it."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import verdict

NANO = "/usr/bin/python3"
ABSENT = "cannot open shared object file: No such file or directory"  # ld.so's words


def info(**said: Any) -> dict[str, Any]:
    return {"key": "trt", "python": NANO, "python_version": "3.6.9", "version": None, "unavailable": None, **said}


def test_the_first_python_that_offers_the_runtime_is_named() -> None:
    found = [info(unavailable="no TensorRT"), info(python="/opt/python3", version="8.2.1.8"), info(key="null")]
    assert verdict.judge(found, "trt") == verdict.Verdict(
        True, ("runtime trt 8.2.1.8: offered by /opt/python3 (3.6.9)",)
    )


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        # the worker's own words (agent/worker/__main__.py, runtimes/_trt/module.py, runtimes/ort.py)
        ("this Python has no numpy", "sudo apt install python3-numpy"),
        ("this Python has no TensorRT that works: No module named 'tensorrt'", "sudo apt install python3-libnvinfer"),
        ("this Python has no ONNX Runtime that works: No module named 'onnxruntime'", "pip3 install onnxruntime"),
        # the agent's, of a probe (agent/pythons.py)
        ("its probe crashed (SIGILL): ", "pip3 uninstall numpy"),
        ("[Errno 2] No such file or directory: '/usr/bin/python3'", "sudo apt install python3"),
        # those of the libraries, within the worker's
        (f"this Python has no TensorRT that works: libnvinfer.so.8: {ABSENT}", "sudo apt install nvidia-jetpack"),
        (f"this Python has no TensorRT that works: libcudart.so.10.2: {ABSENT}", "sudo apt install nvidia-jetpack"),
        ("this Python has no TensorRT that works: module 'numpy' has no attribute 'bool'", "pip3 uninstall numpy"),
        ("NvRmMemInitNvmap failed: Permission denied", "sudo usermod -aG video,render"),
        ("something nobody has seen", "agent worker-probe"),
    ],
)
def test_each_thing_that_is_missing_has_its_remedy(reason: str, remedy: str) -> None:
    told = verdict.judge([info(unavailable=reason)], "trt")
    assert not told.can_serve
    assert told.lines[0] == "runtime trt: missing, so no model can be served yet"
    assert told.lines[1] == f"  {NANO} (3.6.9): {reason}"
    assert told.lines[2].startswith(f"    remedy: {remedy}")


def test_a_runtime_no_python_was_asked_for_is_missing() -> None:
    assert not verdict.judge([info(key="null", version="1")], "trt").can_serve


class _Agent(http.server.BaseHTTPRequestHandler):
    reply: tuple[int, dict[str, Any]]

    def do_GET(self) -> None:
        status, answer = self.reply if self.headers["Authorization"] == "Bearer secret" else (401, {})
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Agent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def run(port: int, folder: Path, token: str = "secret") -> "subprocess.CompletedProcess[str]":
    (folder / "token").write_text(f"{token}\n")
    options = [f"--port={port}", f"--token-file={folder / 'token'}", "--runtime=trt", "--deadline-s=0.1"]
    return subprocess.run([sys.executable, "-m", "deploy.verdict", *options], capture_output=True, text=True)


@pytest.mark.parametrize(
    ("found", "status", "said"),
    [
        (info(version="10.3.0"), 0, "runtime trt 10.3.0: offered by"),
        (info(unavailable="this Python has no numpy"), 3, "remedy: sudo apt install python3-numpy"),
    ],
)
def test_the_status_says_whether_it_can_serve(
    port: int, tmp_path: Path, found: dict[str, Any], status: int, said: str
) -> None:
    _Agent.reply = (200, {"version": "0.2", "profile": "jetson-nano", "runtimes": [found]})
    done = run(port, tmp_path)
    assert (done.returncode, done.stderr) == (status, "")
    assert done.stdout.startswith("boardfit 0.2 answers as jetson-nano\n")
    assert said in done.stdout


def test_another_service_on_its_port_is_told_apart(port: int, tmp_path: Path) -> None:
    done = run(port, tmp_path, token="another")
    assert done.returncode == 1
    assert "answers 401: is another service there?" in done.stdout


def test_silence_is_not_waited_for_longer_than_was_asked(tmp_path: Path) -> None:
    done = run(9, tmp_path)  # "discard": nothing listens there
    assert done.returncode == 1
    assert "no agent answers on 127.0.0.1:9" in done.stdout
