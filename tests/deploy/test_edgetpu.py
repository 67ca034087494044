"""What an Edge TPU needs of the board, with the remedy of each: looked at in folders that stand for /."""

import grp
import os
import pwd
from pathlib import Path

import kits
import pytest
from kits import Board, Kit

from contract.profile import read_profile
from deploy import edgetpu, verdict
from deploy.edgetpu import LIBRARY, lacks

DEVICE = "sys/class/apex/apex_0"
ME = pwd.getpwuid(os.geteuid()).pw_name
STRANGER = next(
    entry for entry in pwd.getpwall() if entry.pw_uid not in (0, os.geteuid()) and entry.pw_gid != os.getegid()
)
MY_GROUP = grp.getgrgid(os.getegid()).gr_name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A board that has all of it."""
    provide(tmp_path)
    return tmp_path


def provide(root: Path) -> None:
    for path in (f"usr/lib/aarch64-linux-gnu/{LIBRARY}", f"{DEVICE}/temp", "dev/apex_0"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    (root / "dev/apex_0").chmod(0o660)


def test_a_board_that_has_all_of_it(root: Path) -> None:
    assert lacks(DEVICE, ME, (), root) == []


def test_the_service_s_groups_count(root: Path) -> None:
    assert lacks(DEVICE, STRANGER.pw_name, (), root) != []
    assert lacks(DEVICE, STRANGER.pw_name, (MY_GROUP,), root) == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o440])
def test_a_group_that_may_not_write_is_not_enough(root: Path, mode: int) -> None:
    (root / "dev/apex_0").chmod(mode)
    [lack] = lacks(DEVICE, STRANGER.pw_name, (MY_GROUP,), root)
    assert lack.what.startswith(f"{STRANGER.pw_name} may not open /dev/apex_0, which is -r")
    assert f"of the group {MY_GROUP}" in lack.what
    assert 'GROUP="apex"' in lack.remedy
    assert "udevadm" in lack.remedy


def test_whom_all_may_open_it_for(root: Path) -> None:
    (root / "dev/apex_0").chmod(0o666)
    assert lacks(DEVICE, STRANGER.pw_name, (), root) == []


def test_a_user_who_is_not_in_the_group_is_told_to_join_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edgetpu, "_group", lambda _number: "apex")
    [lack] = lacks(DEVICE, STRANGER.pw_name, (), root)
    assert lack.remedy == f"sudo usermod -aG apex {STRANGER.pw_name}"


@pytest.mark.parametrize(
    ("gone", "what", "remedy"),
    [
        (f"usr/lib/aarch64-linux-gnu/{LIBRARY}", f"no {LIBRARY}", "sudo apt install libedgetpu1-std"),
        ("dev/apex_0", "no /dev/apex_0, though its driver is there", "sudo udevadm trigger"),
    ],
)
def test_each_thing_that_is_missing_has_its_remedy(root: Path, gone: str, what: str, remedy: str) -> None:
    (root / gone).unlink()
    [lack] = lacks(DEVICE, ME, (), root)
    assert (lack.what, lack.remedy) == (what, remedy)


def test_a_board_that_has_none_of_it(tmp_path: Path) -> None:
    assert [lack.what for lack in lacks(DEVICE, ME, (), tmp_path)] == [f"no {LIBRARY}", "no /dev/apex_0"]


def test_a_runtime_that_is_there_and_an_edge_tpu_that_is_not(tmp_path: Path) -> None:
    offered = verdict.Verdict(True, ("runtime tflite 2.5.0: offered by /usr/bin/python3 (3.7.3)",))
    assert verdict.with_lacks(offered, []) is offered
    told = verdict.with_lacks(offered, lacks(DEVICE, ME, (), tmp_path))
    assert not told.can_serve
    assert told.lines[0] == offered.lines[0]
    assert told.lines[1:4] == (
        "Edge TPU: cannot be used yet",
        f"  no {LIBRARY}",
        "    remedy: sudo apt install libedgetpu1-std",
    )


@pytest.mark.timeout(240)  # an installation takes seconds, on a busy machine many
def test_the_installer_of_a_coral_names_what_is_missing_until_it_is_there(
    board: Board, quick_kit: Kit, wheel: Path, tmp_path: Path
) -> None:
    """Its profile, with a runtime that every machine has."""
    facts = (kits.ROOT / "deploy/boards/coral.toml").read_text(encoding="utf-8")
    facts = facts.replace('runtime = "tflite"', 'runtime = "null"').replace('"/usr/bin/python3"', '"agent"')
    kit = quick_kit.copy(tmp_path / "kit", kits.changed(wheel, tmp_path, {"deploy/boards/tpu.toml": facts.encode()}))
    done = board.install(kit, "--profile", "tpu")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "runtime null" in done.stdout
    for line in (f"  no {LIBRARY}", "    remedy: sudo apt install libedgetpu1-std", "  no /dev/apex_0"):
        assert f"\n{line}" in done.stdout
    assert "host boards add" in done.stdout  # it is installed all the same
    provide(board.root)
    (board.root / "dev/apex_0").chmod(0o666)
    again = board.run(kit)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Edge TPU" not in again.stdout


def test_the_unit_has_the_group_of_the_device(board: Board, quick_kit: Kit) -> None:
    """Where the board has that group: the service needs no other leave."""
    board.provide("getent", '[ "$2" = apex ]')
    done = board.install(quick_kit, "--check")
    assert "groups: apex" in done.stdout, done.stdout + done.stderr


def test_the_profile_s_device_is_what_is_looked_at() -> None:
    facts = read_profile("coral").one_owner
    assert facts
    assert facts.device == DEVICE


def test_the_remedy_for_a_python_without_tensorflow_lite() -> None:
    reason = "this Python has no TensorFlow Lite that works: No module named 'tflite_runtime'"  # runtimes/tflite.py
    assert verdict.remedy(reason).startswith("sudo apt install python3-tflite-runtime")
