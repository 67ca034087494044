"""Everything the README shows runs: its commands in order, in one shell, in an empty folder, on a home of its own."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
SMALLER = {
    "host dataset capsule ": "host dataset capsule --train 30 --good 5 --bad 10 ",
    "host reproduce experiment --quick": "host reproduce experiment --quick --data capsules",
    "--model small": "--model tiny",
    'model = "small"': 'model = "tiny"',
    "rates = [0.9, 0.99]": "rates = [0.9]",
    "trials = 3": "trials = 1",
    "host study run study.toml": "host study run --interrupt study.toml",
}
"""What the README shows takes hours: it is tried with less."""
MADE_BY_MAKE = (Path(sys.prefix) / ".dev").exists()


def environment(home: Path) -> dict[str, str]:
    """The user's, with this Python's commands first and nothing of the checkout in it."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "BOARDFIT_HOME": str(home), "COLUMNS": "120"}


@pytest.mark.timeout(600)  # a minute or two on a quiet machine
def test_every_command_of_the_readme_runs(tmp_path: Path) -> None:
    script = "\n".join(block for block in COMMANDS if not block.startswith("make "))
    script = re.sub(r"epochs( =)? [0-9]+", r"epochs\1 2", script)
    for shown, tried in SMALLER.items():
        assert shown in script
        script = script.replace(shown, tried)
    # The agent the README starts in the background must answer before the next command asks for it.
    script = script.replace(
        "agent.token &\n", "agent.token &\nuntil curl -sf 127.0.0.1:8470/health/live; do sleep .1; done\n"
    )
    shell = subprocess.Popen(
        ["bash", "-euo", "pipefail", "-c", f"trap 'host boards stop desktop; kill %1' EXIT\n{script}"],
        cwd=tmp_path,
        env=environment(tmp_path / "home"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = shell.communicate(timeout=580)
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, output
    assert (tmp_path / "maps" / "003_scratch.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "pictures" / "maps.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "experiment" / "latency.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    assert '"decision": "defective"' in output  # what curl got
    assert (tmp_path / "report.html").read_bytes().startswith(b"<!doctype html>")
    assert (tmp_path / "figures").is_dir()
    rows = (tmp_path / "results.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 + 2 + 5  # of `reproduce`, of the study, of the benches above it


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)\b", README))
    assert {"demo", "test"} <= named <= targets


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not link.startswith("https://") and not (ROOT / link).exists()] == []


@pytest.mark.skipif(not MADE_BY_MAKE, reason="not the environment that make made: it would make another one")
@pytest.mark.timeout(180)
def test_make_demo(tmp_path: Path) -> None:
    done = subprocess.run(
        ["make", "demo", f"VENV={sys.prefix}", f"DEMO={tmp_path / 'demo'}", f"BOARDFIT_HOME={tmp_path / 'home'}"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Mean latency [\d.]+ ms .*of 999 counted runs; peak memory [\d.]+ MiB", done.stdout), done.stdout
    assert done.stdout.count(" defective ") >= 8
    assert done.stdout.count("Mean latency") == 2
    assert len(re.findall(r"^AUC (0\.9|1\.0)", done.stdout, re.MULTILINE)) == 2
    assert re.search(r"autoencoder-95 .* 95 %", done.stdout), done.stdout
