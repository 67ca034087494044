"""No CUDA, and why: each cause has its own words, with what to do."""

import grp
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cuda_stand_in.places import Place

NOBODY = 65534


def _message(place: Place, binding: str | None = None, **variables: str) -> str:
    error = place.run("opening", binding, **variables)
    assert error["type"] == "CudaMissingError", error
    return str(error["message"])


@pytest.fixture(scope="session")
def refusals(place: Place) -> Any:
    """How it ends by the status of cuInit, a text."""
    return place.run("refusals")


@pytest.mark.parametrize(
    ("status", "name", "words"),
    [
        ("34", "CUDA_ERROR_STUB_LIBRARY", "the toolkit's stub"),
        ("46", "CUDA_ERROR_DEVICE_UNAVAILABLE", "sudo dmesg"),
        ("100", "CUDA_ERROR_NO_DEVICE", "it finds no GPU"),
        ("801", "CUDA_ERROR_NOT_SUPPORTED", "do not go together"),
        ("803", "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "do not go together"),
        ("804", "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "do not go together"),
        ("999", "CUDA_ERROR_UNKNOWN", "the driver does not start"),
    ],
)
def test_a_driver_that_does_not_begin(refusals: Any, status: str, name: str, words: str) -> None:
    assert refusals[status]["type"] == "CudaMissingError"
    assert refusals[status]["message"].startswith(f"cuInit gives {name} ({status})")
    assert words in refusals[status]["message"]


@pytest.mark.parametrize("status", ["34", "803"])
def test_the_library_that_it_is_about_is_named(place: Place, refusals: Any, status: str) -> None:
    assert str(place.library) in refusals[status]["message"]


def test_a_number_of_the_runtime_library_is_understood(libcuda: Place) -> None:
    message = _message(libcuda, BOARDFIT_CUDA_FAIL="cuInit:1+:35")
    assert message.startswith("cuInit gives a status unknown to this driver (35)")
    assert "do not go together" in message


def test_there_is_no_device(place: Place) -> None:
    assert _message(place, BOARDFIT_CUDA_DEVICES="0").startswith("cuInit gives CUDA_ERROR_NO_DEVICE (100): it finds no")


def test_the_first_device_is_not_there(place: Place) -> None:
    message = _message(place, BOARDFIT_CUDA_FAIL="cuDeviceGet:1+:101")
    assert message.startswith("cuDeviceGet gives CUDA_ERROR_INVALID_DEVICE (101): it finds no GPU")


@pytest.mark.parametrize("status", [2, 46])
def test_too_little_memory_for_a_context_is_not_missing_cuda(place: Place, status: int) -> None:
    error = place.run("opening", BOARDFIT_CUDA_FAIL=f"cuDevicePrimaryCtxRetain:1+:{status}")
    assert (error["type"], error["call"], error["status"]) == ("CudaError", "cuDevicePrimaryCtxRetain", status)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file that its group alone may read, in a folder that all may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "nvmap")
        path.touch()
        path.chmod(request.param)
        if os.getuid() == 0:
            os.chown(path, 0, grp.getgrnam("video").gr_gid)
        yield path


def _as_nobody() -> dict[str, str]:
    """Root may open everything."""
    return {"TEST_USER": str(NOBODY)} if os.getuid() == 0 else {}


@pytest.mark.parametrize("status", [100, 999])
@pytest.mark.parametrize("device", [0o040], indirect=True)
def test_a_device_file_that_this_user_may_not_open(place: Place, device: Path, status: int) -> None:
    fail = f"cuInit:1+:{status}"
    message = _message(place, BOARDFIT_CUDA_FAIL=fail, TEST_DEVICE=f"{device.parent}/nv*", **_as_nobody())
    group = device.group()
    assert f"this user may not open {device}; its group {group} may: sudo usermod -aG {group} USER" in message


@pytest.mark.parametrize("device", [0o000], indirect=True)
def test_a_device_file_that_no_group_may_open(libcuda: Place, device: Path) -> None:
    message = _message(libcuda, BOARDFIT_CUDA_DEVICES="0", TEST_DEVICE=str(device), **_as_nobody())
    assert message.endswith(f"this user may not open {device}; its owner and mode (ls -l) let no group of users do so")


@pytest.mark.parametrize("device", [0o444], indirect=True)
def test_a_device_file_that_all_may_open_is_not_the_reason(libcuda: Place, device: Path) -> None:
    message = _message(libcuda, BOARDFIT_CUDA_DEVICES="0", TEST_DEVICE=str(device), **_as_nobody())
    assert "it finds no GPU" in message


def test_another_driver_hides_the_board_s_own(place: Place, tmp_path: Path) -> None:
    own = tmp_path / "libcuda.so.1.1"
    own.write_bytes(b"the board's")
    message = _message(place, BOARDFIT_CUDA_DEVICES="0", TEST_FOLDER=str(tmp_path))
    assert f"{place.library} hides the board's own {own}" in message


@pytest.mark.parametrize("kind", ["a container's place-holder", "the same library"])
def test_no_other_driver_hides_the_board_s_own(libcuda: Place, tmp_path: Path, kind: str) -> None:
    own = tmp_path / "libcuda.so.1.1"
    own.touch() if "place-holder" in kind else own.symlink_to(libcuda.library)
    assert "it finds no GPU" in _message(libcuda, BOARDFIT_CUDA_DEVICES="0", TEST_FOLDER=str(tmp_path))


def test_there_is_no_library(libcuda: Place) -> None:
    message = _message(libcuda, "cuda", TEST_LIBRARY="libcuda-of-nobody.so.1")
    assert message.startswith(
        "this machine has no CUDA driver: there is no libcuda-of-nobody.so.1; on a Jetson: sudo apt"
    )


def test_a_library_that_the_loader_does_not_find_is_looked_for_where_a_jetson_has_it(
    libcuda: Place, tmp_path: Path
) -> None:
    shutil.copy(libcuda.library, tmp_path / "libcuda-moved.so.1.1")
    assert libcuda.run("opening", TEST_LIBRARY="libcuda-moved.so.1", TEST_FOLDER=str(tmp_path)) is None


@pytest.mark.parametrize(("content", "words"), [(b"", "file too short"), (b"text" * 100, "invalid ELF header")])
def test_a_library_that_does_not_load(libcuda: Place, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "libcuda.so.1").write_bytes(content)
    message = _message(libcuda, "cuda", LD_LIBRARY_PATH=str(tmp_path))
    assert message.startswith("CUDA's driver does not load: ")
    assert words in message


def test_a_library_whose_own_needs_are_not_there(libcuda: Place, tmp_path: Path) -> None:
    needed, library = tmp_path / "libnvrm_gpu.so", tmp_path / "libcuda.so.1"
    _compile(needed, "int needed;")
    _compile(library, "extern int needed; int *boardfit = &needed;", str(needed))
    needed.unlink()
    message = _message(libcuda, "cuda", LD_LIBRARY_PATH=str(tmp_path))
    assert message.startswith("CUDA's driver does not load: ")
    assert "libnvrm_gpu.so" in message


def test_a_library_that_is_not_the_driver_s(libcuda: Place, tmp_path: Path) -> None:
    library = tmp_path / "libcuda.so.1"
    _compile(library, "int boardfit;")
    message = _message(libcuda, "cuda", LD_LIBRARY_PATH=str(tmp_path))
    assert message.startswith(f"{library} has no cuInit")


def _compile(library: Path, source: str, *more: str) -> None:
    command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{library.name}", "-xc", "-", "-xnone", *more, "-o", str(library)]
    subprocess.run(command, input=source, text=True, check=True)
