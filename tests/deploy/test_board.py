"""install.sh on a root file system of its own, with a real systemd, sudo and system Python.

    mmdebstrap --variant=minbase --include=systemd-sysv,dbus,udev,python3,sudo,procps,curl,openssl bookworm DIR
    BOARDFIT_ROOTFS=DIR pytest -m board tests/deploy

Its Python must be of this one's version, as its wheels are those that are installed here. DIR is left as it is.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import kits
import pytest
from kits import Kit

INSIDE = Path(__file__).with_name("on_board.sh")
UNIT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /on_board.sh
"""

pytestmark = [
    pytest.mark.board,
    pytest.mark.timeout(900),
    pytest.mark.skipif("BOARDFIT_ROOTFS" not in os.environ, reason="needs a root file system: set BOARDFIT_ROOTFS=DIR"),
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("systemd-nspawn") is None, reason="needs root, systemd-nspawn"
    ),
]


@pytest.fixture(scope="module")
def found(wheel: Path, whole_kit: Kit, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What on_board.sh found."""
    folder = tmp_path_factory.mktemp("board")
    broken = kits.changed(wheel, folder, {"agent/server.py": b"raise SystemExit('it does not even start')\n"})
    whole_kit.copy(folder / "kits" / "first")
    whole_kit.copy(folder / "kits" / "second", kits.upgraded(wheel, folder, "9.9.9"))
    whole_kit.copy(folder / "kits" / "broken", broken)
    (folder / "found").mkdir()
    (folder / "unit").write_text(UNIT)
    binds = {"kits": "/kits", "unit": "/run/systemd/system/on-board.service"}
    command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--volatile=overlay", "--console=pipe"]
    command += [f"--bind-ro={folder / ours}:{theirs}" for ours, theirs in binds.items()]
    command += [f"--bind-ro={INSIDE}:/on_board.sh", f"--bind={folder / 'found'}:/found"]
    command += [f"--directory={os.environ['BOARDFIT_ROOTFS']}", "--boot", "systemd.wants=on-board.service"]
    with (folder / "console").open("wb") as console:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=800)
    log = folder / "found" / "log"
    assert log.exists(), (folder / "console").read_text(errors="replace")
    assert (folder / "found" / "status").read_text() == "0\n", log.read_text()
    lines = (folder / "found" / "facts").read_text().splitlines()
    return dict(line.split("\t", 1) for line in lines)


def test_the_service_runs_as_the_owner_with_what_a_gpu_needs_and_no_more(found: dict[str, str]) -> None:
    assert found["enabled"] == "enabled"
    assert found["user"] == "owner"
    assert "video" in found["groups"]
    assert found["groups"] == found["groups_there"]
    assert found["oom_score_adj"] == found["oom_score_adj_allowed"]
    assert found["no_new_privileges"] == "1"
    assert [found[f"writes_{where}"] for where in ("etc", "home", "data")] == ["no", "no", "yes"]
    assert "mine" not in found["sees_tmp"]


def test_only_who_has_the_token_is_answered(found: dict[str, str]) -> None:
    assert found["token"] == "owner 600"
    assert (found["without_token"], found["with_token"]) == ("401", "200")


def test_a_second_run_leaves_the_service_alone(found: dict[str, str]) -> None:
    assert found["unchanged"] == "yes"


def test_systemd_starts_it_again_when_it_was_killed(found: dict[str, str]) -> None:
    assert found["killed"] == "restarted"


def test_an_upgrade_is_served_and_a_broken_one_undone(found: dict[str, str]) -> None:
    assert json.loads(found["upgraded"])["version"] == "9.9.9"
    assert found["broken"] == "1"
    assert found["after_broken"] == "active"


def test_tuning_is_allowed_when_it_is_asked_for(found: dict[str, str]) -> None:
    assert found["tuning"] == "1"
    assert found["no_new_privileges_then"] == "0"


def test_uninstalled_it_is_gone_and_its_token_kept(found: dict[str, str]) -> None:
    assert found["uninstalled"] == "inactive"
    assert found["kept"] == "/etc/boardfit/token"
