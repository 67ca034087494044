"""One suite over both bindings of CUDA, on the stand-in: facts, copies, time, errors, and nothing left behind."""

from pathlib import Path
from typing import Any

import cuda_stand_in
import pytest
from cuda_stand_in import scenarios
from cuda_stand_in.places import Place

GIVING_BACK = {
    "cuMemFree_v2": {"abandoned": 1},
    "cuMemFreeHost": {"abandoned": 1},
    "cuStreamDestroy_v2": {"abandoned": 1},
    "cuEventDestroy_v2": {"abandoned": 1},
    "cuDevicePrimaryCtxRelease_v2": {"contexts": 1},
}
"""What is left where one of these fails: that one thing, and no other."""


def _failed(error: Any, call: str, status: int, name: str) -> bool:
    wanted = {"type": "CudaError", "call": call, "status": status, "name": name}
    return bool(error == wanted | {"message": f"{call} failed: {name} ({status})"})


def test_the_device_s_facts(place: Place) -> None:
    facts = place.run("facts")
    assert facts.pop("before") - facts.pop("after") == 1_000_000
    assert facts == {
        "name": "Stand-in",
        "compute_capability": [8, 7],
        "is_integrated": True,
        "total_bytes": 8_000_000_000,
        "driver": 13000,
        "binding": place.binding,
    }


def test_another_device_s_facts(place: Place) -> None:
    other = {"NAME": "NVIDIA Tegra X1", "SM": "53", "INTEGRATED": "0", "TOTAL_BYTES": str(30 << 30)}
    facts = place.run("facts", **{f"BOARDFIT_CUDA_{name}": value for name, value in other.items()})
    assert (facts["name"], facts["compute_capability"]) == ("NVIDIA Tegra X1", [5, 3])
    assert (facts["is_integrated"], facts["total_bytes"]) == (False, 30 << 30)


def test_every_type_and_size_comes_back_bit_by_bit_and_not_before_it_is_waited_for(place: Place) -> None:
    seen = place.run("round_trip")
    assert seen["tensors"] > 60
    assert seen["wrong"] == []
    assert seen["early"] == []


def test_what_is_begun_on_a_stream_is_done_in_order(place: Place) -> None:
    assert place.run("order") == [[1], [2]]


def test_the_stream_does_not_wait_for_the_default_one(place: Place) -> None:
    assert place.run("apart") == [0, 7]


@pytest.fixture(scope="session")
def timing(place: Place) -> Any:
    return place.run("timing")


def test_the_time_between_two_events_is_in_seconds(timing: Any) -> None:
    assert scenarios.SLEEP_S <= timing["elapsed_s"] <= timing["wall_s"]


def test_events_that_cannot_tell_the_time(timing: Any) -> None:
    assert _failed(timing["never_recorded"], "cuEventElapsedTime", 400, "CUDA_ERROR_INVALID_HANDLE")
    assert _failed(timing["not_passed"], "cuEventElapsedTime", 600, "CUDA_ERROR_NOT_READY")


@pytest.fixture(scope="session")
def misuse(place: Place) -> Any:
    return place.run("misuse")


def test_misuse_is_refused_with_the_driver_s_number_and_name(place: Place, misuse: Any) -> None:
    assert _failed(misuse["beyond"], "cuMemcpyHtoDAsync", 1, "CUDA_ERROR_INVALID_VALUE")
    assert _failed(misuse["none"], "cuMemAlloc", 1, "CUDA_ERROR_INVALID_VALUE")
    assert _failed(misuse["too much"], "cuMemAlloc", 2, "CUDA_ERROR_OUT_OF_MEMORY")
    assert _failed(misuse["too much pinned"], "cuMemHostAlloc", 2, "CUDA_ERROR_OUT_OF_MEMORY")
    call = "explicit_context_dependent" if place.binding == "pycuda" else "cuStreamCreate"
    assert _failed(misuse["thread"], call, 201, "CUDA_ERROR_INVALID_CONTEXT")


@pytest.mark.parametrize("case", ["transposed in", "strided out"])
def test_an_array_with_holes_is_no_array_of_bytes(misuse: Any, case: str) -> None:
    assert misuse[case]["type"] == "ValueError"
    assert "not C-contiguous" in misuse[case]["message"]


def test_a_thousand_times_open_and_closed_nothing_is_left(place: Place, tmp_path: Path) -> None:
    place.run("cycles", BOARDFIT_CUDA_COUNTERS=str(tmp_path))
    (counters,) = cuda_stand_in.counters(tmp_path).values()
    assert counters["cuMemAlloc_v2"] == counters["cuDevicePrimaryCtxRetain"] == scenarios.CYCLES == 1000
    assert {name: counters[name] for name in cuda_stand_in.LEFT} == dict.fromkeys(cuda_stand_in.LEFT, 0)


def test_a_call_that_fails_is_told_and_what_was_taken_given_back(place: Place) -> None:
    seen, printed = place.heard("failures")
    assert len(seen) > 25
    for function, call, error, left, next_error in seen:
        which, name = f"{function}, call {call}", function.removesuffix("_v2")
        assert next_error is None, which
        if place.binding == "pycuda" and (function in GIVING_BACK or (function, call) == ("cuCtxPushCurrent_v2", 2)):
            assert error is None, which
            assert f"{name} failed: unspecified launch failure" in printed
        elif function in {"cuInit", "cuDeviceGet"}:
            assert error["type"] == "CudaMissingError", which
            assert f"{name} gives CUDA_ERROR_LAUNCH_FAILED (719)" in error["message"]
        else:
            assert _failed(error, name, 719, "CUDA_ERROR_LAUNCH_FAILED"), which
        assert left == (GIVING_BACK.get(function) or _still_current(place, function, call)), which


def _still_current(place: Place, function: str, call: int) -> dict[str, int]:
    """What is left where the context could not be unbound from the thread: that alone."""
    is_last = call == (1 if place.binding == "pycuda" else 2)
    return {"pushed": 1} if function == "cuCtxSetCurrent" and is_last else {}
