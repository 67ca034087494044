import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from shell import run

from contract.version import __version__
from host.cli import group, options
from host.cli.group import main
from host.errors import HostError

HEAVY = {
    "numpy",
    "onnx",
    "onnxruntime",
    "sqlalchemy",
    "alembic",
    "scipy",
    "httpx",
    "rich",
    "PIL",
    "pydantic",
    "tomlkit",
}
NAMES = list(group._COMMANDS)


def commands() -> Iterator[list[str]]:
    context = click.Context(main)
    for name in main.list_commands(context):
        yield [name]
        command = main.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ([name, under] for under in command.list_commands(context))


def test_help_is_there_at_once_and_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom host.cli import main\n"
        "try:\n    main(['--help'], prog_name='host')\nexcept SystemExit:\n    pass\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert not HEAVY & set(done.stderr.split())
    assert all(f"\n  {name} " in done.stdout for name in NAMES)


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_command_has_its_help(words: list[str]) -> None:
    for option in ("--help", "-h"):
        done = run(*words, option)
        assert done.exit_code == 0
        assert done.stdout.startswith(f"Usage: host {' '.join(words)}")
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert done.stderr == ""


def test_every_option_says_what_it_is() -> None:
    context = click.Context(main)
    for words in commands():
        command: click.Command | None = main
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(context, word)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option) and parameter.name not in ("seed",):
                assert parameter.help, (words, parameter.name)


def test_flags_that_commands_share_have_one_spelling() -> None:
    context = click.Context(main)
    spellings: dict[str, set[tuple[str, ...]]] = {}
    for words in commands():
        command: click.Command | None = main
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(context, word)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                spellings.setdefault(parameter.opts[-1], set()).add(tuple(parameter.opts))
    assert {flag: forms for flag, forms in spellings.items() if len(forms) > 1} == {}
    assert {
        "--board",
        "--model",
        "--json",
        "--name",
        "--input-shape",
        "--calibrate",
        "--preprocess",
        "--precision",
    } <= set(spellings)


def test_the_version() -> None:
    assert run("--version").stdout == f"boardfit, version {__version__}\n"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["bech"], "No such command 'bech': did you mean 'bench'?"),
        (["xyz"], "No such command 'xyz': there are boards, deploy, convert,"),
        (["boards", "ad"], "No such command 'ad': did you mean 'add'?"),
        (["bench", "--rusn", "3"], "No such option '--rusn'"),
        (["deploy", "m.onnx", "--precison", "fp32"], "'--precision'"),
        (["bench", "--runs", "1"], "1 is not in the range 2<=x<=1000000"),
        (["bench", "--runs", "many"], "'many' is not a valid integer"),
        (["bench", "--through", "htp"], "'htp' is not one of 'worker', 'http'"),
        (["infer"], "Missing argument 'FILES...'"),
        (["convert", "m.onnx"], "Missing option '-o' / '--output'"),
        (["results", "--json", "--csv"], "--json and --csv are two forms of the same"),
        (["--bogus"], "No such option '--bogus'"),
    ],
)
def test_a_wrong_command_line(words: list[str], what: str, home: Path) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert what in " ".join(done.stderr.split())
    if "--json" not in words:
        assert done.stdout == ""
        assert "Try 'host" in done.stderr
        told = run(*words, "--json")
        assert told.exit_code == 2
        assert json.loads(told.stdout)["code"] == "usage"


def test_nothing_to_do_shows_the_help() -> None:
    assert "Commands:" in run().output


def errors() -> Iterator[type[HostError]]:
    waiting: list[type[HostError]] = [HostError]
    while waiting:
        kind = waiting.pop()
        yield kind
        waiting += kind.__subclasses__()


@pytest.mark.parametrize("kind", [kind for kind in errors() if kind.__init__ is HostError.__init__])
def test_every_error_has_its_exit_code_and_its_form(
    kind: type[HostError], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise kind("what it is: 7", "what to do", "its_code")

    monkeypatch.setattr(options, "boards", fail)
    done = run("boards")
    assert (done.exit_code, done.stdout) == (kind.exit_code, "")
    assert done.stderr == "host: what it is: 7\n  hint: what to do\n"
    told = run("boards", "--json")
    assert told.exit_code == kind.exit_code
    assert json.loads(told.stdout) == {"error": "what it is: 7", "code": "its_code", "hint": "what to do"}
    assert told.stderr == done.stderr


def test_a_file_that_is_called_json_is_no_flag(home: Path) -> None:
    done = run("infer", "--board", "nowhere", "--model", "m", "--", "--json")
    assert (done.exit_code, done.stdout) == (3, "")


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def bug() -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(options, "boards", bug)
    with pytest.raises(ZeroDivisionError):
        run("boards")


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (MemoryError("Unable to allocate 2.00 GiB for an array"), "memory for that: Unable to allocate 2.00 GiB for"),
        (MemoryError(), "memory for that: no more could be had"),
    ],
)
def test_too_little_memory_is_no_bug(
    error: MemoryError, what: str, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    def exhaust() -> None:
        raise error

    monkeypatch.setattr(options, "boards", exhaust)
    done = run("boards", "--json")
    assert (done.exit_code, json.loads(done.stdout)["code"]) == (1, "out_of_memory")
    assert what in done.stderr
    assert "take a machine with more memory" in done.stderr


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(options, "boards", interrupt)
    done = run("boards")
    assert done.exit_code == 130
    assert done.stderr.strip() == "interrupted"
