import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import live
import numpy as np
import pytest
from shell import run

from host.client import AgentClient
from host.errors import UnreachableError
from host.interrupts import Terminated
from host.last import Last


@pytest.fixture(autouse=True)
def deployed(line: live.Agent, last: Last) -> None:
    """To `line-3`, last: the model `inspector`."""
    last.remember("line-3", "inspector")


def test_images(images: Path) -> None:
    done = run("infer", *sorted(images.iterdir()))
    assert done.exit_code == 0
    assert done.stderr.startswith("board: line-3 (of the last deploy)\nmodel: inspector (deployed to line-3 last)\n")
    assert "3 files: 3 good (defective above 0.5)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_tensors_and_what_is_written(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((1, 4), np.float32))
    done = run("infer", "--model", "echo", tmp_path / "a.npy", "-o", tmp_path / "out")
    assert done.exit_code == 0
    assert "x_out" in done.stdout
    assert np.load(tmp_path / "out" / "a.x_out.npy").tolist() == [[1, 1, 1, 1]]


def test_for_programs(images: Path) -> None:
    done = run("infer", images / "0.png", "--maps", images / "maps", "--json")
    [told] = json.loads(done.stdout)
    assert (told["file"], told["decision"], told["threshold"]) == (str(images / "0.png"), "good", 0.5)
    assert (images / "maps" / "0.png").exists()


def test_a_file_that_fails_and_the_others(images: Path) -> None:
    (images / "1.png").write_text("no image")
    files = sorted(images.iterdir())
    done = run("infer", *files)
    assert done.exit_code == 3
    assert "2 files: 2 good" in done.stdout
    assert f"host: {images / '1.png'} is neither a PNG or JPEG image nor a .npy file\n  hint: " in done.stderr
    assert done.stderr.endswith("host: 1 of 3 files have no answer\n")
    told = run("infer", *files, "--json")
    assert told.exit_code == 3
    assert [only.get("code") for only in json.loads(told.stdout)] == [None, "bad_input", None]


def test_one_file_that_fails(images: Path) -> None:
    done = run("infer", images / "gone.png")
    assert (done.exit_code, done.stdout.strip()) == (3, "")
    assert done.stderr.count("gone.png cannot be read: No such file or directory") == 1
    assert "files have no answer" not in done.stderr


def test_a_refusal_of_the_board(images: Path) -> None:
    (images / "1.png").write_bytes((images / "1.png").read_bytes()[:60])
    done = run("infer", images / "1.png", "--json")
    assert done.exit_code == 5
    assert json.loads(done.stdout)[0]["code"] == "broken_image"


def test_trouble_of_all_is_told_once(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_arguments: object) -> None:
        raise UnreachableError("the agent does not answer", "look")

    monkeypatch.setattr(AgentClient, "infer", gone)
    done = run("infer", *sorted(images.iterdir()))
    assert done.exit_code == 4
    assert done.stderr.count("the agent does not answer") == 1
    assert "3 of 3 files have no answer" in done.stderr


def test_the_request_as_a_whole_is_wrong(images: Path) -> None:
    done = run("infer", images / "0.png", "--maps", images)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "it would be lost" in done.stderr
    done = run("infer", images)
    assert done.exit_code == 2
    assert "is a directory" in done.stderr
    done = run("infer", images / "0.png", "--model", "inspecter")
    assert done.exit_code == 3
    assert "did you mean 'inspector'?" in done.stderr


def test_stats() -> None:
    done = run("stats")
    assert done.exit_code == 0
    assert "boardfit 0.1.0, profile desktop, up " in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    told = json.loads(run("stats", "--json").stdout)
    assert {model["name"] for model in told["models"]} == {"echo", "inspector"}
    assert run("stats", "--json").stdout.isascii()


def in_turn(*outcomes: Callable[[], Any]) -> Callable[[float], None]:
    """In the place of a rest: what happens at each."""
    waiting = list(outcomes)

    def rest(_seconds: float) -> None:
        waiting.pop(0)()

    return rest


def interrupt() -> None:
    raise KeyboardInterrupt


def terminate() -> None:
    raise Terminated(15)


def test_a_watch_ends_cleanly_on_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", in_turn(lambda: None, interrupt))
    done = run("stats", "--watch", "--board", "line-3")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.count("boardfit 0.1.0, profile desktop") == 2


def test_a_watch_for_programs_is_a_line_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", in_turn(lambda: None, interrupt))
    done = run("stats", "--watch", "--board", "line-3", "--json")
    assert done.exit_code == 0
    assert [json.loads(line)["profile"] for line in done.stdout.splitlines()] == ["desktop"] * 2


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_watch_goes_on_through_a_cut(monkeypatch: pytest.MonkeyPatch, form: list[str]) -> None:
    stats, asked = AgentClient.stats, []

    def cut(self: AgentClient) -> Any:
        asked.append(self)
        if len(asked) == 2:
            raise UnreachableError("the agent does not answer", "look")
        return stats(self)

    monkeypatch.setattr(AgentClient, "stats", cut)
    monkeypatch.setattr(time, "sleep", in_turn(lambda: None, lambda: None, interrupt))
    done = run("stats", "--watch", "--board", "line-3", *form)
    assert done.exit_code == 0
    if form:
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line.get("code") for line in lines] == [None, "board_unreachable", None]
    else:
        assert done.stdout.count("boardfit 0.1.0, profile desktop") == 2
        assert "the agent does not answer; asking again" in done.stdout


def test_a_watch_that_is_terminated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", in_turn(terminate))
    done = run("stats", "--watch", "--board", "line-3")
    assert done.exit_code == 143
    assert done.stderr.strip() == "Terminated"


def test_a_watch_of_nobody_is_an_error(home: Path) -> None:
    run("boards", "add", "gone", "--profile", "desktop", "--address", "http://127.0.0.1:1")
    assert run("stats", "--watch", "--board", "gone").exit_code == 4
