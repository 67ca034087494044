import json
import time
from pathlib import Path

import live
import pytest
from shell import run

from host.local_agent import LocalAgent


def test_the_boards_there_are(home: Path) -> None:
    done = run("boards")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[2].split(maxsplit=4) == [
        "desktop",
        "desktop",
        "this",
        "machine",
        "not running: started when it is needed",
    ]
    assert not home.exists()  # to look changes nothing


def test_each_says_whether_it_answers(line: live.Agent, home: Path) -> None:
    run("boards", "add", "gone", "--profile", "desktop", "--address", "http://127.0.0.1:1")
    told = {board["name"]: board for board in json.loads(run("boards", "--json").stdout)}
    assert told["line-3"] == {
        "name": "line-3",
        "profile": "desktop",
        "address": f"http://127.0.0.1:{line.port}",
        "answers": True,
        "state": "answers: boardfit 0.1.0, 2 models",
    }
    assert not told["gone"]["answers"]
    assert "does not answer" in told["gone"]["state"]
    assert (told["desktop"]["address"], told["desktop"]["answers"]) == (None, False)
    table = run("boards").stdout
    assert max(map(len, table.splitlines())) <= 80
    assert "line-3" in table


def test_what_is_wrong_with_one_is_told_in_its_row(line: live.Agent, home: Path) -> None:
    (home / "line-3.token").chmod(0o644)
    with (home / "config" / "boards.toml").open("a") as file:
        file.write('\n[odd]\nprofile = "desktpo"\naddress = "http://127.0.0.1:1"\n')
    done = run("boards", "--json")
    told = {board["name"]: board["state"] for board in json.loads(done.stdout)}
    assert done.exit_code == 0
    assert "can be read by others" in told["line-3"]
    assert "did you mean 'desktop'" in told["odd"]


def test_one_that_does_not_answer_keeps_nobody_waiting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from host.client import AgentClient
    from host.errors import UnreachableError

    def slow(*_arguments: object) -> None:
        time.sleep(0.2)
        raise UnreachableError("does not answer", "-")

    for number in range(8):
        run("boards", "add", f"line-{number}", "--profile", "desktop", "--address", "http://127.0.0.1:1")
    monkeypatch.setattr(AgentClient, "connect", slow)
    began = time.monotonic()
    assert len(json.loads(run("boards", "--json").stdout)) == 9
    assert time.monotonic() - began < 8 * 0.2


def test_a_board_is_added_changed_and_forgotten(line: live.Agent, home: Path) -> None:
    add = ["boards", "add", "line-4", "--profile", "desktop", "--token-file", home / "line-3.token", "--address"]
    assert run(*add, f"http://127.0.0.1:{line.port}").stdout == ("added line-4: answers: boardfit 0.1.0, 2 models\n")
    changed = run(*add, "http://127.0.0.1:1")
    assert changed.stdout.startswith("changed line-4: the agent of 'line-4' at http://127.0.0.1:1 does not answer")
    assert "unencrypted" not in changed.stdout
    assert run("boards", "remove", "line-4").stdout == "forgot line-4\n"
    assert "line-4" not in run("boards").stdout


def test_a_token_that_crosses_a_network_unencrypted(
    line: live.Agent, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from host.client import AgentClient
    from host.errors import UnreachableError

    def nobody(*_arguments: object) -> None:
        raise UnreachableError("does not answer", "-")

    monkeypatch.setattr(AgentClient, "connect", nobody)
    add = ["boards", "add", "far", "--profile", "desktop", "--address"]
    assert "unencrypted" in run(*add, "http://10.0.0.1:8470", "--token-file", home / "line-3.token").stdout
    assert "unencrypted" not in run(*add, "https://10.0.0.1:8470", "--token-file", home / "line-3.token").stdout
    assert "unencrypted" not in run(*add, "http://10.0.0.1:8470").stdout


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["add", "line-4", "--profile", "desktpo", "--address", "http://a"], "did you mean 'desktop'?"),
        (["add", "line-4", "--profile", "desktop", "--address", "a:1"], "'a:1' is no address of an agent"),
        (["add", "Line 4", "--profile", "desktop", "--address", "http://a"], "'Line 4' is no name for a board"),
        (["remove", "desktop"], "'desktop' is this machine, which is always there"),
        (["remove", "lin-3"], "there is no board 'lin-3'"),
        (["stop", "dekstop"], "there is no board 'dekstop'; did you mean 'desktop'?"),
    ],
)
def test_what_cannot_be(home: Path, words: list[str], what: str) -> None:
    done = run("boards", *words)
    assert (done.exit_code, done.stdout) == (3, "")
    assert what in done.stderr


def test_a_boards_file_that_is_broken(line: live.Agent, home: Path) -> None:
    path = home / "config" / "boards.toml"
    path.write_text("[line-3]\nprofle = 'desktop'\n")
    for words in (["boards"], ["models", "--board", "desktop"], ["boards", "remove", "line-3"]):
        done = run(*words)
        if words[-1] == "line-3":
            assert done.exit_code == 0  # it is how one mends it
        else:
            assert done.exit_code == 3
            assert "unknown key 'profle'; did you mean 'profile'?" in done.stderr


def test_an_end(line: live.Agent, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("boards", "stop").stdout == "desktop was not running\n"
    remote = run("boards", "stop", "line-3")
    assert remote.exit_code == 3
    assert "not one of this machine" in remote.stderr
    monkeypatch.setattr(LocalAgent, "stop", lambda _self: True)
    assert run("boards", "stop", "desktop").stdout == "stopped desktop\n"


def test_desktop_may_be_elsewhere_and_still_be_stopped_here(
    line: live.Agent, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = home / "line-3.token"
    address = f"http://127.0.0.1:{line.port}"
    run("boards", "add", "desktop", "--profile", "desktop", "--address", address, "--token-file", token)
    assert run("models", "--board", "desktop").exit_code == 0
    monkeypatch.setattr(LocalAgent, "stop", lambda _self: True)
    assert run("boards", "stop", "desktop").stdout == "stopped desktop\n"
    run("boards", "remove", "desktop")
    assert "this machine" in run("boards").stdout
