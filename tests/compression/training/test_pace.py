import time

import pytest
import torch

from compression.errors import DeviceError
from compression.training import pace
from compression.training.pace import Pace, checked_device, fastest


def taking(seconds: dict[tuple[int, str], float], monkeypatch: pytest.MonkeyPatch) -> list[Pace]:
    """Steps take what the table says, on a clock of their own; all that ran."""
    ran: list[Pace] = []
    now = [0.0]

    def step(candidate: Pace) -> None:
        assert torch.get_num_threads() == candidate.threads
        ran.append(candidate)
        now[0] += seconds[candidate.threads, candidate.precision]

    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(pace, "_counts", lambda: [1, 2])
    ran.append(fastest(step, "cpu", None, None))
    return ran


def test_the_fastest_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {(1, "fp32"): 4.0, (2, "fp32"): 3.0, (1, "bf16"): 2.0, (2, "bf16"): 1.0}
    assert taking(table, monkeypatch)[-1] == Pace("cpu", 2, "bf16")


def test_threads_that_bring_nothing_are_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {(1, "fp32"): 1.0, (2, "fp32"): 0.95, (1, "bf16"): 3.0, (2, "bf16"): 8.0}
    assert taking(table, monkeypatch)[-1] == Pace("cpu", 1, "fp32")


def test_what_is_given_is_not_measured() -> None:
    def never(_: Pace) -> None:
        raise AssertionError

    assert fastest(never, "cpu", 3, "bf16") == Pace("cpu", 3, "bf16")


def test_what_is_given_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Pace] = []
    monkeypatch.setattr(pace, "_counts", lambda: [1, 2])
    fastest(ran.append, "cpu", None, "fp32")
    assert {candidate.precision for candidate in ran} == {"fp32"}
    assert {candidate.threads for candidate in ran} == {1, 2}


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()

    def fail() -> None:
        with Pace(threads=before + 1).kept():
            assert torch.get_num_threads() == before + 1
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert torch.get_num_threads() == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_an_error() -> None:
    assert checked_device("cpu") == "cpu"
    with pytest.raises(DeviceError, match="CUDA") as caught:
        checked_device("cuda")
    assert "--device cpu" in caught.value.hint
