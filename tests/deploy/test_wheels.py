"""The lock of an agent's wheels suits the oldest board and the requirements; a wheel that does not suit is refused."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

from deploy import wheels

LOCK = wheels.LOCK.read_text(encoding="utf-8")
FILES = re.findall(r"^# (\S+\.whl)", LOCK, re.MULTILINE)
PINS = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", LOCK, re.MULTILINE))


def test_it_pins_every_requirement_of_the_agent_and_pip() -> None:
    lines = wheels.REQUIREMENTS.read_text(encoding="utf-8").splitlines()
    required = [Requirement(line) for line in lines if line and not line.startswith("#")]
    assert len(required) >= 8
    assert [str(asked) for asked in required if not asked.specifier.contains(PINS.get(asked.name, "0"))] == []
    assert "pip" in PINS


def test_every_wheel_installs_on_the_oldest_board_under_a_python_of_an_agent() -> None:
    """By its tags: one of those that pip accepts under glibc 2.27 (PEP 600)."""
    platforms = {"any", "manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 28))}
    assert FILES
    unfit = [name for name in FILES if not platforms & {tag.platform for tag in parse_wheel_filename(name)[3]}]
    assert unfit == []


@pytest.mark.parametrize("python", wheels.PYTHONS)
def test_there_is_a_wheel_of_each_distribution_for_each_python(python: str) -> None:
    ours = {f"cp{python.replace('.', '')}", "py3"}
    parsed = [parse_wheel_filename(name) for name in FILES]
    assert {str(name) for name, _, _, tags in parsed if ours & {tag.interpreter for tag in tags}} == set(PINS)


def test_what_their_libraries_need_is_there() -> None:
    needs = re.findall(r" needs (.+)$", LOCK, re.MULTILINE)
    native = [name for name in FILES if not name.endswith("-none-any.whl")]
    assert len(needs) == len(native) > 0
    for need in needs:
        glibc, _, rest = need.removeprefix("glibc ").partition(", libstdc++ ")
        assert tuple(map(int, glibc.split("."))) <= wheels.GLIBC
        assert tuple(map(int, (rest or "0").split("."))) <= wheels.LIBSTDCXX


def test_each_wheel_has_its_digest() -> None:
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}", LOCK)) == len(FILES)


def test_a_wheel_whose_library_is_too_new_is_refused_whatever_its_tag_says(tmp_path: Path) -> None:
    wheel = _wheel(tmp_path, b"\0GLIBC_2.17\0GLIBC_2.29\0")
    with pytest.raises(
        wheels.TooNewError, match=r"lite-1-cp312-cp312-manylinux_2_17_aarch64.whl needs glibc 2.29, .* 2.27"
    ):
        wheels.inspect(wheel)


def test_what_a_library_needs_is_found_in_it(tmp_path: Path) -> None:
    inspected = wheels.inspect(_wheel(tmp_path, b"\0GLIBC_2.4\0GLIBC_2.17\0GLIBC_PRIVATE\0GLIBCXX_3.4.21\0"))
    assert (inspected.glibc, inspected.libstdcxx) == ((2, 17), (3, 4, 21))
    assert inspected.requirement == "lite==1"


def test_the_lock_is_a_requirements_file_with_the_wheels_above_each_requirement(tmp_path: Path) -> None:
    wheel = wheels.inspect(_wheel(tmp_path, b"\0GLIBC_2.17\0"))
    text = wheels.lock([wheel, wheel])
    assert text.endswith(
        "\n# lite-1-cp312-cp312-manylinux_2_17_aarch64.whl needs glibc 2.17\n"
        f"lite==1 \\\n    --hash=sha256:{wheel.sha256}\n"
    )


@pytest.mark.network
@pytest.mark.timeout(600)
@pytest.mark.skipif("BOARDFIT_NETWORK" not in os.environ, reason="asks PyPI: set BOARDFIT_NETWORK=1")
@pytest.mark.parametrize("python", wheels.PYTHONS)
def test_the_lock_resolves_at_the_registry(python: str, tmp_path: Path) -> None:
    """With its digests, on the oldest board, and without anything that is not in it."""
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", f"--target={tmp_path}"]
    subprocess.run([*pip, *wheels.target(python), "--require-hashes", "-r", str(wheels.LOCK)], check=True)


@pytest.mark.network
@pytest.mark.timeout(600)
@pytest.mark.skipif("BOARDFIT_NETWORK" not in os.environ, reason="asks PyPI: set BOARDFIT_NETWORK=1")
@pytest.mark.parametrize("python", wheels.PYTHONS)
def test_the_newest_of_what_an_agent_requires_still_suits_the_oldest_board(python: str, tmp_path: Path) -> None:
    for wheel in wheels.download(tmp_path, python, "-r", str(wheels.REQUIREMENTS)):
        wheels.inspect(wheel)


def _wheel(folder: Path, library: bytes) -> Path:
    path = folder / "lite-1-cp312-cp312-manylinux_2_17_aarch64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lite/_native.cpython-312-aarch64-linux-gnu.so", library)
        archive.writestr("lite/__init__.py", b"GLIBC_9.9\0")
    return path
