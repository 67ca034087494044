"""Who may import whom (pyproject.toml, [tool.importlinter]), how long a module may be, what loads when."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("agent", "compression", "contract", "converters", "deploy", "host", "inspection")
MOST_LINES = 400
HEAVY = {
    "alembic",
    "fastapi",
    "httpx",
    "matplotlib",
    "numpy",
    "onnx",
    "onnxruntime",
    "PIL",
    "rich",
    "scipy",
    "sqlalchemy",
}


def test_rooms_import_only_whom_they_may() -> None:
    linter = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert linter.returncode == 0, linter.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_no_module_has_grown_too_long(room: str) -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / room).rglob("*.py")}
    assert lengths
    assert {path: length for path, length in lengths.items() if length > MOST_LINES} == {}


def loaded_by(statement: str) -> set[str]:
    script = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    )


def test_the_command_line_loads_nothing_heavy_for_its_help() -> None:
    assert loaded_by("import host.cli") & HEAVY == set()


def test_the_agent_loads_no_runtime_and_no_numpy_before_it_needs_them() -> None:
    loaded = loaded_by("import agent.server, agent.app, agent.service")
    assert "fastapi" in loaded
    assert loaded & {"numpy", "onnx", "onnxruntime", "PIL", "scipy", "tensorrt", "tflite_runtime", "pycuda"} == set()


def test_every_module_can_be_imported_by_itself() -> None:
    names = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        # Programs, not modules; and alembic's own way to run migrations.
        if path.name not in ("__main__.py", "env.py")
    )
    script = f"import importlib\nfor name in {names}: importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
