"""Which binding is taken, and what differs between drivers."""

from pathlib import Path

import cuda_stand_in
import pytest
from cuda_stand_in.places import Place, compiled


def test_pycuda_is_taken_where_this_python_has_it(place: Place) -> None:
    assert place.run("choice") == place.binding


@pytest.mark.parametrize(
    "module",
    [
        "raise ImportError('libcurand.so.10: cannot open shared object file')",
        "raise OSError('libcuda.so.1: file too short')",
        "raise RuntimeError('module compiled against API version 0xe but this version of numpy is 0xd')",
        "class Device: pass  # 2019.1.2 and older know no primary context",
        "",
    ],
)
def test_a_pycuda_that_cannot_be_used_is_as_none(libcuda: Place, tmp_path: Path, module: str) -> None:
    assert libcuda.run("choice", PYTHONPATH=_with_pycuda(libcuda, tmp_path, module)) == "libcuda"


def test_what_pycuda_says_in_words_that_the_driver_does_not_know_is_passed_on(libcuda: Place, tmp_path: Path) -> None:
    module = """
class Error(Exception): pass
class Device:
    def retain_primary_context(self): pass
def init(): raise Error("cuInit failed: something new - really")
"""
    error = libcuda.run("opening", "cuda", PYTHONPATH=_with_pycuda(libcuda, tmp_path, module))
    assert error["message"].startswith("cuInit gives something new - really (999): the driver does not start")


def _with_pycuda(place: Place, folder: Path, module: str) -> str:
    (folder / "pycuda").mkdir()
    (folder / "pycuda" / "__init__.py").touch()
    (folder / "pycuda" / "driver.py").write_text(module)
    return f"{place.code}:{folder}"


@pytest.mark.parametrize(
    ("driver", "release"),
    [(10020, "cuDevicePrimaryCtxRelease"), (11040, "cuDevicePrimaryCtxRelease_v2")],
    ids=["Jetson Nano", "JetPack 5"],
)
def test_the_function_that_the_driver_has(libcuda: Place, tmp_path: Path, driver: int, release: str) -> None:
    counts = tmp_path / "counts"
    counts.mkdir()
    variables = cuda_stand_in.environment(compiled(tmp_path, driver), counts)
    assert libcuda.run("facts", **variables)["driver"] == driver
    (counters,) = cuda_stand_in.counters(counts).values()
    assert counters[release] == 1
    assert counters["contexts"] == 0
