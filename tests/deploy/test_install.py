"""install.sh makes an agent of a board, upgrades it, leaves it as it was where that fails, and removes it."""

import fcntl
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import astuple, replace
from pathlib import Path

import kits
import live
import pytest
import shell
from kits import Board, Kit

from agent import tuning

pytestmark = pytest.mark.timeout(240)  # an installation takes seconds, on a busy machine many
BROKEN = {"agent/server.py": b"raise SystemExit('it does not even start')\n"}


def test_a_board_becomes_an_agent(agent: Board) -> None:
    assert agent.ask()[0] == 401
    status, answer = agent.ask(agent.token.read_text().strip())
    assert (status, answer["profile"]) == (200, kits.PROFILE)
    assert agent.calls[:4] == [
        "daemon-reload",
        "--quiet enable boardfit-agent",
        "reset-failed boardfit-agent",
        "restart boardfit-agent",
    ]


def test_token_and_data_are_the_users_alone(agent: Board) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}\n?", agent.token.read_text())
    for path, mode in ((agent.token, 0o600), (agent.data, 0o700)):
        assert (path.owner(), path.stat().st_mode & 0o777) == (kits.USER, mode)


def test_the_service_has_what_the_profile_says_of_the_environment(agent: Board) -> None:
    assert b"SHARE=50 % of 'it'\0" in Path(f"/proc/{agent.pid}/environ").read_bytes()


def test_systemd_takes_the_unit(agent: Board) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("no systemd-analyze here")
    done = subprocess.run([analyze, "verify", "--man=no", agent.unit], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if "boardfit-agent" in line]
    assert ours == []
    assert "@" not in re.sub(r"^#.*", "", agent.unit.read_text(), flags=re.MULTILINE)


def test_what_it_prints_adds_the_board(
    agent: Board, quick_kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = agent.run(quick_kit)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("  host boards add")]
    _, *words = shlex.split(line)
    words[words.index(kits.PROFILE)], words[-1] = "desktop", str(agent.token)  # what this host knows, and has here
    monkeypatch.setenv("BOARDFIT_HOME", str(tmp_path))
    added = shell.run(*words)
    assert added.exit_code == 0, added.output
    assert "answers: boardfit" in added.output
    assert f"ssh -N -L {agent.port}:127.0.0.1:{agent.port} {kits.USER}@" in done.stdout


def test_a_second_run_changes_nothing(agent: Board, quick_kit: Kit) -> None:
    files, calls, pid = agent.files(), agent.calls, agent.pid
    done = agent.run(quick_kit)  # nor need it be told again what it was told
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("unchanged") == 3
    assert f"boardfit {agent.version} answers as {kits.PROFILE}\nruntime null" in done.stdout
    assert (agent.files(), agent.calls, agent.pid) == (files, calls, pid)


def test_check_says_and_does_nothing(agent: Board, quick_kit: Kit, wheel: Path, tmp_path: Path) -> None:
    kit = quick_kit.copy(tmp_path / "kit", kits.upgraded(wheel, tmp_path, "9.9.9"))
    files, calls = agent.files(), agent.calls
    done = agent.run(kit, "--check")
    assert done.returncode == 0, done.stderr
    assert "boardfit-9.9.9-py3-none-any.whl would be installed" in done.stdout
    assert (agent.files(), agent.calls) == (files, calls)


def test_check_leaves_a_new_board_alone(board: Board, quick_kit: Kit) -> None:
    done = board.install(quick_kit, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert board.files().keys() == {str(board.root / "home")}


def test_an_upgrade_keeps_models_and_token(board: Board, quick_kit: Kit, wheel: Path, tmp_path: Path) -> None:
    board.install(quick_kit)
    token, pid, before = board.token.read_text(), board.pid, board.release
    (board.data / "mine").write_text("a model")
    done = board.run(quick_kit.copy(tmp_path / "kit", kits.upgraded(wheel, tmp_path, "9.9.9")))
    assert done.returncode == 0, done.stderr
    assert board.version == "9.9.9"
    assert board.token.read_text() == token
    assert (board.data / "mine").read_text() == "a model"
    assert board.pid != pid
    assert board.release != before
    assert [f"releases/{folder.name}" for folder in (board.home / "releases").iterdir()] == [board.release]


def test_an_upgrade_whose_service_does_not_come_up_is_undone(
    agent: Board, quick_kit: Kit, wheel: Path, tmp_path: Path
) -> None:
    files, version = agent.files(), agent.version
    done = agent.run(quick_kit.copy(tmp_path / "kit", kits.changed(wheel, tmp_path, BROKEN)))
    assert done.returncode == 1
    assert "the service does not answer as it should" in done.stderr
    assert "it does not even start" in done.stdout  # its journal
    assert agent.files().keys() == files.keys()
    live.eventually(lambda: _answers(agent))
    assert agent.version == version


def test_a_first_install_whose_service_does_not_come_up_leaves_none(
    board: Board, quick_kit: Kit, wheel: Path, tmp_path: Path
) -> None:
    done = board.install(quick_kit.copy(tmp_path / "kit", kits.changed(wheel, tmp_path, BROKEN)))
    assert done.returncode == 1
    assert not board.unit.exists()
    assert not (board.home / "current").is_symlink()
    assert board.calls[-3:] == ["--quiet disable boardfit-agent", "stop boardfit-agent", "daemon-reload"]


def test_an_upgrade_that_cannot_be_installed_touches_nothing(agent: Board, quick_kit: Kit, tmp_path: Path) -> None:
    kit = quick_kit.copy(tmp_path / "kit")
    (kit.folder / "agent-requirements.txt").write_text("no-such-thing\n")
    files, pid = agent.files(), agent.pid
    done = agent.run(kit)
    assert done.returncode == 1
    assert "what the agent needs cannot be installed" in done.stderr
    assert "no-such-thing" in done.stderr
    assert (agent.files().keys(), agent.pid) == (files.keys(), pid)


def test_one_that_is_ended_half_way_leaves_no_half(agent: Board, quick_kit: Kit, tmp_path: Path) -> None:
    kit = quick_kit.copy(tmp_path / "kit")
    (kit.folder / "agent-requirements.txt").write_text("this-site  # another release\n")
    files, pid = agent.files(), agent.pid
    releases = len(list((agent.home / "releases").iterdir()))
    command, quiet = agent.command(kit), subprocess.DEVNULL
    process = subprocess.Popen(command, env=agent.environment, stdout=quiet, stderr=quiet, start_new_session=True)
    live.eventually(lambda: len(list((agent.home / "releases").iterdir())) > releases, within_s=30)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 143
    assert (agent.files().keys(), agent.pid) == (files.keys(), pid)


def test_two_at_once(agent: Board, quick_kit: Kit) -> None:
    with (agent.home / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = agent.run(quick_kit)
    assert done.returncode == 1
    assert "another install.sh is at work" in done.stderr


def test_a_release_that_was_damaged_is_made_anew(agent: Board, quick_kit: Kit) -> None:
    (agent.home / "current" / "bin" / "agent").unlink()
    done = agent.run(quick_kit)
    assert done.returncode == 0, done.stderr
    assert (agent.home / "current" / "bin" / "agent").exists()
    assert len(list((agent.home / "releases").iterdir())) == 1
    assert agent.run(quick_kit).stdout.count("unchanged") == 3


def test_a_missing_runtime_is_named_with_its_remedy(board: Board, quick_kit: Kit, wheel: Path, tmp_path: Path) -> None:
    facts = b'pythons = ["/nowhere/python3"]'
    profile = (kits.ROOT / "deploy" / "boards" / "desktop.toml").read_bytes().replace(b'pythons = ["agent"]', facts)
    kit = quick_kit.copy(tmp_path / "kit", kits.changed(wheel, tmp_path, {"deploy/boards/bare.toml": profile}))
    done = board.install(kit, "--profile", "bare")
    assert done.returncode == 3, done.stderr
    assert "runtime ort: missing" in done.stdout
    assert "remedy: sudo apt install python3" in done.stdout
    assert board.ask()[0] == 401  # it runs all the same
    again = board.run(kit)
    assert again.returncode == 3
    assert "asking again" in again.stdout  # what was missing may be there by now


def test_an_unknown_profile_is_told_before_anything_is_installed(board: Board, quick_kit: Kit) -> None:
    done = board.install(quick_kit, "--profile", "test-borad")
    assert done.returncode == 1
    assert re.search(r"there is no profile test-borad\n  hint: there are: .*desktop.* test-board", done.stderr)
    assert list((board.home / "releases").iterdir()) == []


@pytest.mark.parametrize("shell", [("sh",), ("bash", "--posix")], ids=" ".join)
def test_whatever_shell_it_is_given_to(board: Board, quick_kit: Kit, shell: tuple[str, ...]) -> None:
    """Ubuntu's and Debian's sh is dash, which knows no pipefail."""
    _, *words = board.command(quick_kit, "--profile", kits.PROFILE, "--check")
    done = subprocess.run([*shell, *words], env=board.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"profile {kits.PROFILE}" in done.stdout


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ((), 2, "what kind of board this is must be said once"),
        (("--profile", "test-borad"), 1, "there is no profile test-borad"),
        (("--profile", kits.PROFILE, "--python", "nowhere.tar.gz"), 1, "nowhere.tar.gz cannot be read"),
        (("--profile", kits.PROFILE, "--wheelhouse", "nowhere"), 1, "nowhere cannot be read"),
        (("--profile", kits.PROFILE), 1, "the service must not run as root"),
    ],
)
def test_root_without_sudo_is_told_what_else_is_wrong_first(
    board: Board, quick_kit: Kit, options: tuple[str, ...], status: int, message: str
) -> None:
    root = replace(board, variables={})
    done = root.run(quick_kit, "--check", *options)
    assert (done.returncode, message in done.stderr) == (status, True), done.stderr


def test_uninstall_keeps_models_and_token_unless_told(board: Board, quick_kit: Kit) -> None:
    board.install(quick_kit)
    done = board.run(quick_kit, "--uninstall")
    assert done.returncode == 0, done.stderr
    assert not (board.state / "pid").exists()
    assert not (board.state / "enabled").exists()
    assert [path.exists() for path in (board.home, board.unit, board.data, board.token)] == [False, False, True, True]
    assert str(board.token) in done.stdout
    assert board.run(quick_kit, "--uninstall", "--purge").returncode == 0
    assert [path.exists() for path in (board.data, board.token)] == [False, False]


def test_tuning_is_allowed_by_exact_commands_and_stays_allowed(agent: Board, quick_kit: Kit) -> None:
    agent.provide("visudo", '[ "$1" = -cqf ] && grep -q "ALL=(root) NOPASSWD: " "$2"')
    done = agent.run(quick_kit, "--allow-tuning")
    assert done.returncode == 0, done.stderr
    assert agent.sudoers.stat().st_mode & 0o777 == 0o440
    user, _, allowed = agent.sudoers.read_text().rstrip("\n").partition(" ALL=(root) NOPASSWD: ")
    commands = [" ".join([f"/usr/bin/{words[0]}", *(words[1:] or ['""'])]) for words, _ in map(astuple, tuning.CLOCKS)]
    assert (user, allowed.split(", ")) == (kits.USER, ["/usr/sbin/nvpmodel -m [0-9]", *commands])
    assert "\nNoNewPrivileges=no\n" in agent.unit.read_text()
    assert agent.run(quick_kit).stdout.count("unchanged") == 3
    agent.sudoers.unlink()
    assert agent.run(quick_kit).returncode == 0
    assert "\nNoNewPrivileges=yes\n" in agent.unit.read_text()


def test_without_root_it_is_a_service_of_the_user(board: Board, quick_kit: Kit) -> None:
    mine = board.as_user()
    done = mine.install(quick_kit)
    assert done.returncode == 0, done.stderr
    assert mine.version
    unit = mine.unit.read_text()
    assert "User=" not in unit
    assert "OOMScoreAdjust" not in unit
    assert "\nWantedBy=default.target\n" in unit
    assert "loginctl enable-linger" in done.stdout
    assert mine.run(quick_kit).stdout.count("unchanged") == 3


def test_without_pip_in_the_kit_it_is_the_pythons_own(agent: Board, quick_kit: Kit, tmp_path: Path) -> None:
    kit = quick_kit.copy(tmp_path / "kit")
    [pip] = kit.wheels.glob("pip-*.whl")
    pip.unlink()
    before = agent.release
    done = agent.run(kit)
    assert done.returncode == 0, done.stderr
    assert agent.release != before
    agent.provide("python3", f'[ "$1$2" = -mpip ] && exit 1; exec {Path(sys.executable).resolve()} "$@"')
    (kit.folder / "agent-requirements.txt").write_text("this-site  # yet another release\n")
    done = agent.run(kit)
    assert done.returncode == 1
    assert "has no pip, and the wheelhouse neither\n  hint: sudo apt install python3-pip" in done.stderr


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--unknown",), 2, "there is no option --unknown"),
        (("--profile",), 2, "--profile needs a value"),
        (("--purge",), 2, "--purge goes with --uninstall"),
        ((), 2, "what kind of board this is must be said once"),
        (("--profile", "desktop", "--port", "http"), 2, "http is no port"),
        (("--profile", "desktop", "--user", "root"), 1, "the service must not run as root"),
        (("--profile", "desktop", "--user", "no-such-user"), 1, "there is no user no-such-user"),
        (("--profile", "desktop", "--wheel", "nowhere.whl"), 1, "nowhere.whl cannot be read"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(
    board: Board, quick_kit: Kit, options: tuple[str, ...], status: int, message: str
) -> None:
    done = board.run(quick_kit, *options)
    assert done.returncode == status
    assert message in done.stderr
    assert ("usage:" if status == 2 else "hint:") in done.stderr
    assert board.files().keys() == {str(board.root / "home")}


def test_without_systemd_it_says_so(board: Board, quick_kit: Kit) -> None:
    board.provide("systemctl", "echo offline; exit 1")
    done = board.install(quick_kit)
    assert (done.returncode, "systemd does not run here" in done.stderr) == (1, True)


def test_a_full_card_is_told_before_it_is_filled(board: Board, quick_kit: Kit) -> None:
    board.provide("df", "echo Filesystem; echo /dev/mmcblk0p1 14000000 13900000 100000 99% /")
    done = board.install(quick_kit)
    assert done.returncode == 1
    assert "97 MiB free of 600" in done.stderr


def test_a_wheel_that_is_not_the_one_in_the_lock_is_refused(agent: Board, quick_kit: Kit, tmp_path: Path) -> None:
    kit = quick_kit.copy(tmp_path / "kit")
    (kit.folder / f"wheels-{os.uname().machine}.lock").write_text(f"this-site==1 --hash=sha256:{'0' * 64}\n")
    pid = agent.pid
    done = agent.run(kit)
    assert done.returncode == 1
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert agent.pid == pid


def test_all_an_agent_needs_comes_from_the_kit(board: Board, whole_kit: Kit) -> None:
    done = board.install(whole_kit)
    assert done.returncode == 0, done.stderr
    python = board.home / "current" / "bin" / "python"
    where = "import numpy, fastapi, PIL, uvloop; print(numpy.__file__, fastapi.__file__, PIL.__file__, uvloop.__file__)"
    found = subprocess.run([python, "-I", "-c", where], check=True, capture_output=True, text=True).stdout.split()
    assert [path for path in found if not path.startswith(str(board.home))] == []
    assert board.version


def _answers(board: Board) -> bool:
    try:
        return board.ask()[0] == 401
    except ConnectionRefusedError:
        return False
