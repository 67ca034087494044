import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from contract.version import __version__
from host import local_agent
from host.client import AgentClient
from host.errors import LocalAgentError
from host.local_agent import LocalAgent, start_of

# Stands in for an agent where how one starts and ends is looked at, not what it serves: a tenth of the time.
PRETENDER = """
import json, os, signal, sys, time
ready = next(word for word in sys.argv if word.startswith("--ready-file=")).partition("=")[2]
{before}
with open(ready + ".part", "w") as file:
    json.dump({{"pid": os.getpid(), "port": 1234}}, file)
os.rename(ready + ".part", ready)
time.sleep(60)
"""


def pretending(monkeypatch: pytest.MonkeyPatch, before: str = "") -> None:
    real = LocalAgent._command

    def command(self: LocalAgent) -> list[str]:
        serve = real(self)
        return [sys.executable, "-S", "-c", PRETENDER.format(before=before), *serve[serve.index("serve") :]]

    monkeypatch.setattr(LocalAgent, "_command", command)


def at(folder: Path, profile: str = "desktop") -> LocalAgent:
    return LocalAgent(folder / "state", folder / "data", profile)


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[LocalAgent]:
    """One that is ended afterwards."""
    agent = at(tmp_path)
    yield agent
    agent.stop()


def test_a_real_one_from_its_start_to_its_end(
    tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "agent.py").write_text("raise SystemExit('not the agent')")
    monkeypatch.chdir(tmp_path)
    assert agent.running() is None
    running: list[local_agent.Running] = []
    commands = [threading.Thread(target=lambda: running.append(at(tmp_path).ensure())) for _ in range(3)]
    for command in commands:
        command.start()
    for command in commands:
        command.join()
    assert len(running) == 3
    assert len(set(running)) == 1
    found = agent.running()
    assert found == running[0] == agent.ensure()
    assert found.version == __version__
    with AgentClient.connect("desktop", found.address, agent.token()) as client:
        assert client.agent().profile == "desktop"
    assert (tmp_path / "state" / "token").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert psutil.Process(found.pid).cwd() == "/"
    assert agent.stop()
    assert not psutil.pid_exists(found.pid)
    assert agent.running() is None
    assert not agent.stop()


def test_what_an_agent_says_as_it_dies_is_shown(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(LocalAgentError, match=r"does not come up\. The last it said:\n") as raised:
        at(tmp_path).ensure()
    assert str(tmp_path / "data") in raised.value.message
    assert raised.value.hint == f"its whole log: {tmp_path / 'state' / 'agent.log'}"
    assert raised.value.exit_code == 4


def test_one_that_says_nothing_as_it_dies(agent: LocalAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending(monkeypatch, "sys.exit(3)")
    with pytest.raises(LocalAgentError, match=r"does not come up\. The last it said: nothing"):
        agent.ensure()


def test_one_that_never_answers_is_ended(tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending(monkeypatch, "time.sleep(60)")
    monkeypatch.setattr(local_agent, "START_DEADLINE_S", 0.2)
    with pytest.raises(LocalAgentError, match=r"does not answer within 0\.2 s"):
        agent.ensure()
    assert not psutil.pid_exists(json.loads((tmp_path / "state" / "agent.json").read_text())["pid"])


def test_one_that_does_not_end_is_killed(agent: LocalAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending(monkeypatch, "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    monkeypatch.setattr(local_agent, "STOP_DEADLINE_S", 0.2)
    running = agent.ensure()
    assert agent.stop()
    assert not psutil.pid_exists(running.pid)


def test_one_that_was_killed_is_started_again(agent: LocalAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending(monkeypatch)
    first = agent.ensure()
    process = psutil.Process(first.pid)
    process.kill()
    process.wait()
    assert agent.running() is None
    assert agent.ensure().pid != first.pid


def test_a_zombie_is_dead(agent: LocalAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending(monkeypatch)
    running = agent.ensure()
    os.kill(running.pid, 9)
    os.waitid(os.P_PID, running.pid, os.WEXITED | os.WNOWAIT)  # it has died, and nobody has taken note
    assert agent.running() is None


def test_a_pid_that_is_used_again_is_not_believed(
    tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretending(monkeypatch)
    stranger = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        state = tmp_path / "state"
        state.mkdir()
        told = {"pid": stranger.pid, "start": "another boot:1", "version": __version__}
        (state / "agent.json").write_text(json.dumps(told))
        (state / "ready.json").write_text(json.dumps({"pid": stranger.pid, "port": 1}))
        assert agent.running() is None
        assert not agent.stop()
        (state / "agent.json").write_text(json.dumps(told))
        assert agent.ensure().pid != stranger.pid
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_ready_file_of_another_agent_is_not_believed(
    tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretending(monkeypatch)
    running = agent.ensure()
    ready = tmp_path / "state" / "ready.json"
    ready.write_text(json.dumps({"pid": running.pid + 1, "port": 1}))
    assert agent.running() is None


def test_one_that_a_killed_command_has_started_is_found(
    tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C, or worse, while it comes up: the next command waits for it, and starts no second one."""
    pretending(monkeypatch, f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)")

    class Killed(BaseException):
        pass

    def killed(_seconds: float) -> None:
        raise Killed

    monkeypatch.setattr(time, "sleep", killed)
    with pytest.raises(Killed):
        agent.ensure()
    monkeypatch.undo()
    pid = json.loads((tmp_path / "state" / "agent.json").read_text())["pid"]
    assert agent.running() is None
    (tmp_path / "go").touch()
    assert at(tmp_path).ensure().pid == pid


def test_one_of_another_version_is_replaced(agent: LocalAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending(monkeypatch)
    old = agent.ensure()
    monkeypatch.setattr(local_agent, "__version__", "9.9")
    new = agent.ensure()
    assert (old.version, new.version) == (__version__, "9.9")
    assert not psutil.pid_exists(old.pid)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", "{}", '{"pid": "x", "start": "", "version": ""}', '{"pid": -1}']
)
def test_a_broken_state_is_as_good_as_none(
    tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    pretending(monkeypatch)
    (tmp_path / "state").mkdir()
    for name in ("agent.json", "ready.json"):
        (tmp_path / "state" / name).write_text(content)
    assert agent.running() is None
    assert agent.ensure().port == 1234


def test_what_a_newer_version_adds_to_its_state_is_passed_over(
    tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretending(monkeypatch)
    running = agent.ensure()
    path = tmp_path / "state" / "agent.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "mood": "fine"}))
    assert agent.running() == running


def test_each_has_a_token_of_its_own_for_its_owner_alone(
    tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretending(monkeypatch)
    path = tmp_path / "state" / "token"
    path.parent.mkdir()
    path.write_text("open to all")
    path.chmod(0o666)
    agent.ensure()
    first = agent.token()
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(first) == 64
    agent.stop()
    agent.ensure()
    assert agent.token() != first


def test_a_token_that_is_gone(tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    pretending(monkeypatch)
    agent.ensure()
    (tmp_path / "state" / "token").unlink()
    with pytest.raises(LocalAgentError, match="the token of this machine's agent cannot be read") as raised:
        agent.token()
    assert "host boards stop" in raised.value.hint


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(LocalAgentError, match=r"keeps its state in .*state, and that fails") as raised:
        at(tmp_path).ensure()
    assert "BOARDFIT_HOME" in raised.value.hint
    assert at(tmp_path).running() is None
    assert not at(tmp_path).stop()


def test_to_stop_one_that_never_was_leaves_nothing(tmp_path: Path) -> None:
    assert not at(tmp_path).stop()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(secrets, "token_hex", full)
    with pytest.raises(LocalAgentError, match="No space left on device"):
        agent.ensure()
    assert agent.running() is None


def test_another_command_that_holds_the_lock(
    tmp_path: Path, agent: LocalAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    from filelock import FileLock

    monkeypatch.setattr(local_agent, "LOCK_DEADLINE_S", 0.1)
    (tmp_path / "state").mkdir()
    with FileLock(tmp_path / "state" / "lock"), pytest.raises(LocalAgentError, match="another command has held"):
        agent.ensure()


def test_which_process_a_pid_is() -> None:
    mine = start_of(os.getpid())
    assert mine is not None
    assert mine == start_of(os.getpid())
    assert mine != start_of(1)
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert start_of(child.pid) is None
    child.wait()
    assert start_of(child.pid) is None
    assert start_of(2**22 + 1) is None
