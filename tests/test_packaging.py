"""The wheel, away from the checkout: it deploys and benches; and a board needs deploy/agent-requirements.txt alone."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import environments
import pytest
import zoo

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
AGENT_MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for room in ("agent", "contract", "inspection")
    for path in (ROOT / room).rglob("*.py")
    if path.name != "__main__.py" and "worker/runtimes" not in path.as_posix()
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content, as pip lays it out."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def away(installed: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a user who has the wheel and no checkout; the agent it started is ended."""
    user = {**os.environ, "PYTHONPATH": str(installed), "BOARDFIT_HOME": str(tmp_path / "home"), "COLUMNS": "120"}
    yield user
    subprocess.run([sys.executable, "-m", "host", "boards", "stop", "desktop"], cwd=tmp_path, env=user, check=True)


def test_the_wheel_has_what_is_no_python_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "deploy/boards/desktop.toml" in names
    assert {
        "deploy/agent-requirements.txt",
        "deploy/boardfit-agent.service",
        "deploy/boards/jetson-nano.toml",
        "deploy/install.sh",
        "deploy/install/service.sh",
        "deploy/standalone-pythons.txt",
        "deploy/wheels-aarch64.lock",
    } <= set(names)
    assert "agent/worker/__main__.py" in names
    assert any(name.startswith("host/store/migrations/versions/") for name in names)
    assert [name for name in names if name.startswith(("tests/", "benchmarks/", "build/", "."))] == []


@pytest.mark.timeout(120)
def test_the_wheel_deploys_and_benches_outside_the_checkout(
    away: dict[str, str], installed: Path, tmp_path: Path
) -> None:
    def host(*arguments: str) -> str:
        command = [sys.executable, "-m", "host", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=away, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import host; print(host.__file__)"],
        cwd=tmp_path,
        env=away,
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(installed))
    (tmp_path / "identity.onnx").write_bytes(zoo.identity().SerializeToString())
    host("deploy", "--board", "desktop", "identity.onnx")
    [row] = json.loads(host("bench", "--runs", "20", "--json"))
    assert row["counted_runs"] == 19
    assert row["peak_memory_bytes"] > row["model_peak_bytes"] > 0


def test_the_agent_needs_no_more_than_its_requirements(installed: Path) -> None:
    reason = environments.missing(environments.AGENT)
    if reason:
        pytest.skip(reason)
    script = (
        f"import importlib, sys\nfor name in {AGENT_MODULES}: importlib.import_module(name)\nprint(sys.modules.keys())"
    )
    done = subprocess.run(
        [str(environments.interpreter(environments.AGENT)), "-c", script],
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for absent in ("onnx", "onnxruntime", "sqlalchemy", "httpx", "rich", "scipy", "host", "converters"):
        assert f"'{absent}'" not in done.stdout


def test_the_agents_requirements_are_the_projects() -> None:
    declared = {re.split(r"[>=]", line)[0]: line for line in PYPROJECT["project"]["dependencies"]}
    lines = (ROOT / "deploy" / "agent-requirements.txt").read_text(encoding="utf-8").splitlines()
    required = [line for line in lines if line and not line.startswith("#")]
    assert len(required) >= 8
    assert [line for line in required if declared[re.split(r"[>=]", line)[0]] != line] == []
