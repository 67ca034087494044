"""One command as root, with a sudo that the test plays. What programs say here is what they are documented to say."""

import getpass
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import Programs, played

from agent import as_root
from agent.as_root import Command

CLOCKS = Command(("jetson_clocks",))
MODE = Command(("nvpmodel", "-m", "2"), answer="NO\n")

# sudo(8): -n, "if a password is required, sudo will display an error message and exit"; then it runs what follows.
LETS = '[ "$1" = -n ] || exit 7; shift; exec "$@"'


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Programs]:
    """A sudo that lets, and a jetson_clocks that does nothing."""
    with played(tmp_path, monkeypatch) as board:
        board.write("sudo", LETS)
        board.write("jetson_clocks", "exit 0")
        yield board


def test_a_command_that_is_done(programs: Programs) -> None:
    programs.write("sudo", 'echo "$#: $*" >> "$NOTES"')
    step = as_root.run(Command(("jetson_clocks", "--store", "/a file; $HOME")), ())
    assert programs.notes == [f"4: -n {programs.folder}/jetson_clocks --store /a file; $HOME"]  # no shell has read it
    assert (step.state, step.detail) == ("done", "")
    assert step.command == "sudo jetson_clocks --store '/a file; $HOME'"


def test_what_it_gets(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """sudo keeps little of an environment, and may be told to keep more; jetson_clocks writes to its HOME."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    programs.write("jetson_clocks", 'cat >> "$NOTES"; echo "$HOME $LC_ALL" >> "$NOTES"')
    as_root.run(Command(("jetson_clocks",), answer="y\n"), ())
    assert programs.notes == ["y", "/root C"]


@pytest.mark.parametrize("missing", ["sudo", "jetson_clocks"])
def test_a_board_without_it(programs: Programs, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    (programs.folder / missing).unlink()
    monkeypatch.setenv("PATH", str(programs.folder))
    monkeypatch.setattr(as_root.commands, "SYSTEM_FOLDERS", "/nowhere")
    step = as_root.run(CLOCKS, ())
    assert (step.state, step.detail) == ("failed", f"this board has no {missing}")


@pytest.mark.parametrize(
    ("said", "status", "detail"),
    [
        # jetson_clocks of R32 goes on after an error, and ends well
        ("Error: Failed to max GPU frequency!", 0, "it ended with status 0: Error: Failed to max GPU frequency!"),
        ("Error! GPU frequency scaling not supported!", 1, "it ended with status 1: Error! GPU frequency scaling"),
        ("", 3, "it ended with status 3: it said nothing"),
        ("one\\n\\ntwo\\nthree", 1, "it ended with status 1: two; three"),
    ],
)
def test_a_command_that_fails(programs: Programs, said: str, status: int, detail: str) -> None:
    programs.write("jetson_clocks", f"printf '{said}'; exit {status}")
    step = as_root.run(CLOCKS, ())
    assert step.state == "failed"
    assert step.detail.startswith(detail)


def test_what_it_says_in_between_is_no_failure(programs: Programs) -> None:
    """NVIDIA's jetson_clocks in the first minute after a start."""
    programs.write("jetson_clocks", "echo 'Warning: The nvpmodel init script may override the clock settings!' >&2")
    assert as_root.run(CLOCKS, ()).state == "done"


# What nvpmodel prints where a mode needs a reboot, and gets no YES: as captured from a device by a public test of a
# power mode's module (TestIsRebootRequiredOutput), and by owners of an AGX Thor whose script gave no answer at all.
ASKS = """
echo "NVPM WARN: Golden image context is already created"
echo "NVPM WARN: Reboot required for changing to this power mode: $2"
echo "NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:"
if read answer; then
    case $answer in
        YES|yes) echo "rebooted" >> "$NOTES" ;;
    esac
else
    echo "NVPM ERROR: bad input!"
fi
echo "NVPM ERROR: optMask is 1, no request for power mode"
"""


@pytest.mark.parametrize("status", [0, 234])
def test_a_mode_that_needs_a_reboot_is_declined(programs: Programs, status: int) -> None:
    programs.write("nvpmodel", f"{ASKS}\nexit {status}")
    step = as_root.run(MODE, ())
    assert programs.notes == []
    assert step.state == "needs_reboot"
    assert (
        step.detail == "it takes effect with a reboot: run `sudo nvpmodel -m 2` on the board yourself, and answer yes"
    )


# sudo 1.8 is Ubuntu 18.04's and 20.04's, i.e. of JetPack 4 and 5; src/sudo.c and plugins/sudoers/auth/sudo_auth.c.
FORBIDDEN = [
    'sudo: effective uid is not 0, is /usr/bin/sudo on a file system with the "nosuid" option set?',
    'sudo: The "no new privileges" flag is set, which prevents sudo from running as root.',
]
PASSWORD = [
    "sudo: a password is required",
    "Sorry, user boardfit is not allowed to execute '/usr/bin/jetson_clocks' as root on nano.",
    "boardfit is not in the sudoers file.  This incident will be reported.",
]


@pytest.mark.parametrize("said", FORBIDDEN)
def test_a_service_that_may_not_become_root(programs: Programs, said: str) -> None:
    programs.write("sudo", f"echo '{said}' >&2; exit 1")
    step = as_root.run(CLOCKS, (CLOCKS,))
    assert step.state == "failed"
    assert "NoNewPrivileges=yes" in step.detail
    assert "--allow-tuning, or run the command on the board yourself" in step.detail


@pytest.mark.parametrize("said", PASSWORD)
def test_a_sudo_that_wants_a_password_is_told_what_to_add(programs: Programs, said: str) -> None:
    programs.write("sudo", f'echo "{said}" >&2; exit 1')
    step = as_root.run(CLOCKS, (MODE, CLOCKS))
    assert step.state == "failed"
    assert "Add to /etc/sudoers.d/boardfit-agent (with sudo visudo -f): " in step.detail
    assert step.detail.endswith(as_root.sudoers_line((MODE, CLOCKS)))


def test_the_line_allows_these_arguments_alone(programs: Programs) -> None:
    """sudoers(5): a command without arguments may be run with any; "" says with none."""
    folder = programs.folder
    programs.write("nvpmodel", "")
    assert as_root.sudoers_line((MODE, CLOCKS)) == (
        f'{getpass.getuser()} ALL=(root) NOPASSWD: {folder}/nvpmodel -m 2, {folder}/jetson_clocks ""'
    )


def test_the_line_of_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(as_root.os, "geteuid", lambda: 987654)
    assert as_root.sudoers_line((CLOCKS,)).startswith("#987654 ALL=(root) NOPASSWD: ")


def test_the_line_of_what_is_not_here(programs: Programs) -> None:
    assert as_root.sudoers_line((Command(("no-such-program",)),)).endswith(' NOPASSWD: /usr/bin/no-such-program ""')


def test_one_that_does_not_end_is_left_in_time(programs: Programs) -> None:
    programs.write("jetson_clocks", "echo begun; exec sleep 30")
    began = time.monotonic()
    step = as_root.run(CLOCKS, (), deadline_s=0.3)
    assert time.monotonic() - began < 20
    assert (step.state, step.detail) == ("failed", "it did not end within 0.3 s; as root's, it may still be running")


def test_one_that_cannot_be_ended_is_left_to_itself(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What sudo runs is root's: a user may not end it."""
    programs.write("jetson_clocks", "exec sleep 0.6")
    ours = []

    def refuse(process: as_root.subprocess.Popen[bytes]) -> None:
        ours.append(process)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(as_root.subprocess.Popen, "kill", refuse)
    assert as_root.run(CLOCKS, (), deadline_s=0.2).state == "failed"
    assert ours[0].wait(20) == 0
