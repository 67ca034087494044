"""Python 3.6, numpy and a runtime are all a worker needs: its language, its imports, and that these checks check."""

import ast
import subprocess
import sys
from pathlib import Path

import environments
import pytest

import agent.worker

WORKER = Path(agent.worker.__file__).parent
MODULES = sorted(WORKER.rglob("*.py"))
OLDEST = next(environment for environment in environments.WORKERS if environment.python == "3.6")
# What of others a module may import. TensorRT and PyCUDA are imported by their names, which are data (importlib).
THIRD_PARTY = {
    "loop.py": {"numpy"},
    "quantise.py": {"numpy"},
    "runtimes/ort.py": {"numpy", "onnxruntime"},
    "runtimes/tflite.py": {"numpy"},
}
NUMPY_TOO = ("runtimes/_trt/",)
COMPILE = "import sys; [compile(open(path, 'rb').read(), path, 'exec') for path in sys.argv[1:]]"


def _vermin(*paths: Path) -> "subprocess.CompletedProcess[str]":
    """`--eval-annotations`: 3.6 evaluates those of functions as it defines them."""
    flags = ["--target=3.6-", "--violations", "--eval-annotations", "--no-tips", "--quiet"]
    command = [str(Path(sys.executable).with_name("vermin")), *flags, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def _compiled_by_3_6(*paths: Path) -> "subprocess.CompletedProcess[str]":
    reason = environments.missing(OLDEST)
    if reason is not None:
        pytest.skip(f"Python {OLDEST.name}: {reason}")
    command = [str(environments.interpreter(OLDEST)), "-c", COMPILE, *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_nothing_of_the_worker_needs_more_than_3_6() -> None:
    checked = _vermin(WORKER)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    "source",
    [
        "import dataclasses\n",
        "from __future__ import annotations\n",
        "import time\n\n\ndef now():\n    return time.perf_counter_ns()\n",
        "import subprocess\n\nsubprocess.run(['true'], capture_output=True)\n",
        "def size(parts: list[int]) -> int:\n    return len(parts)\n",
        "def size(parts: 'int | None', /) -> int:\n    return 0\n",
    ],
)
def test_the_check_finds_what_3_6_has_not(tmp_path: Path, source: str) -> None:
    newer = tmp_path / "newer.py"
    newer.write_text(source)
    checked = _vermin(newer)
    assert checked.returncode == 1
    assert str(newer) in checked.stdout


def test_python_3_6_itself_compiles_every_module() -> None:
    compiled = _compiled_by_3_6(*MODULES)
    assert compiled.returncode == 0, compiled.stderr


def test_python_3_6_itself_refuses_a_later_syntax(tmp_path: Path) -> None:
    newer = tmp_path / "newer.py"
    newer.write_text("if (size := 1):\n    pass\n")
    compiled = _compiled_by_3_6(newer)
    assert compiled.returncode == 1
    assert "SyntaxError" in compiled.stderr


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(WORKER).as_posix())
def test_a_module_imports_the_standard_library_numpy_its_runtime_and_its_own_package_relatively(module: Path) -> None:
    name = module.relative_to(WORKER).as_posix()
    allowed = sys.stdlib_module_names | THIRD_PARTY.get(name, {"numpy"} if name.startswith(NUMPY_TOO) else set())
    depth = name.count("/") + 1
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                assert alias.name.partition(".")[0] in allowed, f"{name}:{node.lineno} imports {alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert str(node.module).partition(".")[0] in allowed, f"{name}:{node.lineno} imports from {node.module}"
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= depth, f"{name}:{node.lineno} reaches out of its package"


def test_the_agent_s_own_imports_of_the_worker_s_wire_pull_in_nothing() -> None:
    """agent.channel imports it: numpy in an agent that serves nothing would cost 20 MB."""
    source = "import sys, agent.worker.wire; print(*sorted(sys.modules))"
    listed = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=30)
    ours = {name for name in listed.stdout.split() if name.startswith("agent")}
    assert ours == {"agent", "agent.worker", "agent.worker.wire"}
    assert "numpy" not in listed.stdout.split()
