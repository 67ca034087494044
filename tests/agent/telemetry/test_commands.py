"""Programs that are asked."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import Programs, played

from agent.telemetry import commands


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    with played(tmp_path, monkeypatch) as board:
        yield board


def test_what_it_prints(programs: Programs) -> None:
    programs.write("nvpmodel", 'echo "got $1"; echo "complaint" >&2; if read line; then echo "was fed"; fi')
    assert commands.output(("nvpmodel", "-q")) == "got -q\ncomplaint\n"


def test_one_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError, match="this board has no no-such-program"):
        commands.output(("no-such-program",))
    with pytest.raises(FileNotFoundError, match="this board has no no-such-program"):
        commands.first_line(("no-such-program",))


def test_the_system_s_folders_are_searched_whatever_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert commands.find("sh").endswith("/bin/sh")
    monkeypatch.delenv("PATH")
    assert commands.find("sh").endswith("/bin/sh")


def test_one_that_fails(programs: Programs) -> None:
    programs.write("nvpmodel", "echo no configuration; exit 3")
    with pytest.raises(ValueError, match="nvpmodel ended with status 3: no configuration"):
        commands.output(("nvpmodel",))


def test_one_that_does_not_end(programs: Programs) -> None:
    programs.write("nvpmodel", "exec sleep 60")
    with pytest.raises(ValueError, match=r"nvpmodel did not end within 0\.2 s"):
        commands.output(("nvpmodel",), 0.2)


def test_the_first_line_of_one_that_goes_on(programs: Programs) -> None:
    programs.write("tegrastats", 'printf "RAM "; sleep 0.1; while echo "1504/3956MB $2"; do sleep 0.05; done')
    began = time.monotonic()
    assert commands.first_line(("tegrastats", "--interval", "100")) == "RAM 1504/3956MB 100"
    assert time.monotonic() - began < commands.DEADLINE_S


@pytest.mark.parametrize("text", ["exec sleep 60", "printf 'RAM without an end'; exec sleep 60", "exit 0"])
def test_one_that_says_no_line(programs: Programs, text: str) -> None:
    programs.write("tegrastats", text)
    with pytest.raises(ValueError, match=r"tegrastats said no line within 0\.3 s"):
        commands.first_line(("tegrastats",), 0.3)
