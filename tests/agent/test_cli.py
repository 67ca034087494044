"""`agent serve` and `agent worker-probe`: exit codes and messages; a user's mistake has no traceback."""

import json
import logging
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bundles
import pytest
from click.testing import CliRunner, Result

from agent import cli, pythons
from agent.settings import Settings
from contract.api import RuntimeInfo
from contract.version import __version__

Agent = Callable[..., Result]


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """Runs the command line in this process, with a data directory of its own where none is given."""
    monkeypatch.setattr(cli, "_default_data_dir", lambda: tmp_path / "default")
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli.main, arguments)

    return run


def mistake(result: Result, status: int, *words: str) -> None:
    """A message for the user, and nothing else."""
    assert result.exit_code == status, result.output
    assert isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for word in words:
        assert word in result.stderr


@pytest.fixture
def token(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_text("0123456789abcdef\n")
    return path


class TestServe:
    def test_the_network_without_a_token(self, agent: Agent) -> None:
        mistake(agent("serve", "--host", "0.0.0.0"), 1, "agent: --host 0.0.0.0", "hint: give --token-file FILE")

    def test_a_token_that_others_can_read(self, agent: Agent, token: Path) -> None:
        token.chmod(0o644)
        mistake(agent("serve", "--token-file", str(token)), 1, "can be read by others", f"hint: chmod 600 {token}")

    def test_a_token_that_is_not_there(self, agent: Agent, tmp_path: Path) -> None:
        mistake(agent("serve", "--token-file", str(tmp_path / "none")), 1, "cannot be read", "openssl rand")

    def test_a_port_in_use(self, agent: Agent, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            mistake(agent("serve", "--port", str(port)), 1, f"127.0.0.1:{port} cannot be served", "--port")
        assert not (tmp_path / "default").exists()

    def test_a_host_that_is_none(self, agent: Agent, token: Path) -> None:
        result = agent("serve", "--host", "no-such-host.invalid", "--token-file", str(token))
        mistake(result, 1, "no-such-host.invalid", "cannot be served")

    def test_a_data_directory_that_another_agent_has(self, agent: Agent, tmp_path: Path) -> None:
        other = bundles.service(tmp_path / "data")
        try:
            result = agent("serve", "--port=0", "--data-dir", str(tmp_path / "data"))
        finally:
            other.repository.close()
        mistake(result, 1, f"another agent uses the data directory {tmp_path / 'data'}", "--data-dir")

    @pytest.mark.parametrize("folder", ["/proc/none", "/dev/null/none", "/sys/none"])
    def test_a_data_directory_that_cannot_be_written(self, agent: Agent, folder: str) -> None:
        mistake(agent("serve", "--port=0", "--data-dir", folder), 1, f"the data directory {folder} cannot be used")

    @pytest.mark.parametrize("kind", ["folder of its own", "folder that is not there"])
    def test_a_ready_file_that_cannot_be_written(self, agent: Agent, tmp_path: Path, kind: str) -> None:
        path = tmp_path if kind == "folder of its own" else tmp_path / "none" / "ready.json"
        mistake(agent("serve", "--port=0", "--ready-file", str(path)), 1, f"the ready file {path} cannot be written")

    def test_an_unknown_profile(self, agent: Agent) -> None:
        mistake(
            agent("serve", "--port=0", "--profile", "desktp"), 2, "no board profile 'desktp'; did you mean 'desktop'?"
        )

    @pytest.mark.parametrize(
        ("arguments", "word"),
        [
            (["--port", "65536"], "0<=x<=65535"),
            (["--port", "x"], "not a valid integer"),
            (["--max-file-mib", "0"], "x>=1"),
            (["--data-dir", __file__], "is a file"),
            (["--prot", "1"], "--port"),
            (["more"], "unexpected extra argument"),
        ],
    )
    def test_what_is_no_option(self, agent: Agent, arguments: list[str], word: str) -> None:
        mistake(agent("serve", *arguments), 2, "Usage: ", word)

    def test_what_it_serves(self, agent: Agent, tmp_path: Path, token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        served: list[Settings] = []
        monkeypatch.setattr("agent.server.serve", served.append)
        monkeypatch.chdir(tmp_path)
        options = [
            "--host=0.0.0.0",
            "--port=7",
            "--token-file=token",
            "--data-dir=d",
            "--ready-file=r",
            "--max-file-mib=3",
        ]
        assert agent("serve", *options).exit_code == 0
        assert agent("serve").exit_code == 0
        assert served == [
            Settings(
                host="0.0.0.0",
                port=7,
                data_dir=tmp_path / "d",
                profile="desktop",
                token="0123456789abcdef",
                max_file_bytes=3 << 20,
                ready_file=tmp_path / "r",
            ),
            Settings(host="127.0.0.1", port=cli.DEFAULT_PORT, data_dir=tmp_path / "default", profile="desktop"),
        ]

    def test_a_bug_keeps_its_traceback(self, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("agent.server.serve", lambda _settings: 1 / 0)
        assert isinstance(agent("serve").exception, ZeroDivisionError)


FOUND = (
    RuntimeInfo(key="null", python="/usr/bin/python3", python_version="3.6.9", version="1"),
    RuntimeInfo(
        key="ort", python="/usr/bin/python3", python_version="3.6.9", unavailable="this Python has no onnxruntime"
    ),
    RuntimeInfo(key="ort", python="python3.99", unavailable="No such file or directory"),
)


class TestWorkerProbe:
    @pytest.fixture
    def found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def runtimes(_self: pythons.Pythons) -> tuple[RuntimeInfo, ...]:
            return FOUND

        monkeypatch.setattr(pythons.Pythons, "runtimes", runtimes)

    @pytest.mark.usefixtures("found")
    def test_a_table(self, agent: Agent) -> None:
        result = agent("worker-probe")
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "PYTHON            VERSION  RUNTIME  OFFERED",
            "/usr/bin/python3  3.6.9    null     1",
            "/usr/bin/python3  3.6.9    ort      no: this Python has no onnxruntime",
            "python3.99        ?        ort      no: No such file or directory",
        ]

    @pytest.mark.usefixtures("found")
    def test_for_programs(self, agent: Agent) -> None:
        told = json.loads(agent("worker-probe", "--json").stdout)
        assert tuple(RuntimeInfo.model_validate(info) for info in told) == FOUND

    def test_this_machine(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "agent", "worker-probe", "--json", f"--data-dir={tmp_path}"]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=50).stdout)
        assert {"null", "ort"} <= {info["key"] for info in told if info["unavailable"] is None}
        assert {info["python"] for info in told} == {sys.executable}

    def test_an_unknown_profile(self, agent: Agent) -> None:
        mistake(agent("worker-probe", "--profile", "nano"), 2, "no board profile 'nano'")

    def test_a_data_directory_that_cannot_be_written(self, agent: Agent) -> None:
        mistake(agent("worker-probe", "--data-dir", "/proc/none"), 1, "/proc/none", "--data-dir")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["serve", "-h"], ["worker-probe", "--help"]])
def test_help(agent: Agent, arguments: list[str]) -> None:
    result = agent(*arguments)
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_version(agent: Agent) -> None:
    assert agent("--version").stdout == f"boardfit agent, version {__version__}\n"


def test_help_imports_no_more_than_it_needs() -> None:
    """It is also what a board's agent begins with."""
    heavy = "{'fastapi', 'uvicorn', 'uvloop', 'numpy', 'ddsketch', 'PIL', 'onnxruntime', 'psutil'}"
    script = f"import sys, agent.cli; print({heavy} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=50)
    assert result.stdout == "set()\n"
