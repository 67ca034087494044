"""The resident set as the kernel says it: recorded /proc/self/status, and this process's own."""

from pathlib import Path

import pytest

from agent.worker import memory

# Of Python 3.6 with numpy 1.13 on Linux 6.18, recorded and cut.
STATUS = """\
Name:	python
Umask:	0022
State:	R (running)
VmPeak:	  122304 kB
VmSize:	  121260 kB
VmHWM:	   29544 kB
VmRSS:	   29540 kB
RssAnon:	   13952 kB
VmLib:	   45552 kB
Threads:	2
"""


def _status(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "status"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_the_lines_are_read_in_bytes(tmp_path: Path) -> None:
    status = _status(tmp_path, STATUS)
    assert memory.resident_bytes(status) == 29540 * 1024
    assert memory.peak_bytes(status) == 29544 * 1024


def test_a_kernel_without_the_peak_is_a_reason(tmp_path: Path) -> None:
    status = _status(tmp_path, STATUS.replace("VmHWM", "VmPin"))
    assert memory.resident_bytes(status) == 29540 * 1024
    with pytest.raises(ValueError, match="has no VmHWM"):
        memory.peak_bytes(status)


def test_another_field_that_ends_like_it_is_not_taken(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no VmRSS"):
        memory.resident_bytes(_status(tmp_path, "XVmRSS:\t1 kB\nVmRSS:\tmuch\n"))


def test_a_name_of_any_bytes_does_not_matter(tmp_path: Path) -> None:
    status = _status(tmp_path, b"Name:\tpyth\xf6n\n" + STATUS.encode())
    assert memory.resident_bytes(status) == 29540 * 1024


def test_no_proc_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        memory.resident_bytes(str(tmp_path / "status"))
    with pytest.raises(OSError, match="nowhere"):
        memory.reset_peak(str(tmp_path / "nowhere" / "clear_refs"))


def test_a_reset_writes_what_linux_documents(tmp_path: Path) -> None:
    memory.reset_peak(str(tmp_path / "clear_refs"))
    assert (tmp_path / "clear_refs").read_text() == "5"


def test_of_this_process_the_peak_follows_what_it_held() -> None:
    size = 64_000_000
    held = bytearray(b"\x01") * size
    with_it, peak = memory.resident_bytes(), memory.peak_bytes()
    assert size < with_it <= peak
    del held
    memory.reset_peak()
    assert memory.resident_bytes() < with_it - size // 2
    assert memory.peak_bytes() < peak - size // 2


def test_what_the_board_has_left(tmp_path: Path) -> None:
    meminfo = _status(tmp_path, "MemTotal:        4051000 kB\nMemFree:  81000 kB\nMemAvailable:    1234567 kB\n")
    assert memory.available_bytes(meminfo) == 1234567 * 1024
    with pytest.raises(ValueError, match="has no MemAvailable"):  # before Linux 3.14
        memory.available_bytes(_status(tmp_path, "MemTotal:  4051000 kB\nMemFree:  81000 kB\n"))
    assert 1 << 20 < memory.available_bytes() < 1 << 50


@pytest.mark.parametrize("error", [OSError("no such file"), ValueError("has no VmHWM")])
def test_an_attempt_that_fails_leaves_its_reason(error: Exception) -> None:
    def read() -> int:
        raise error

    unmet = {"other": "reason"}
    assert memory.attempt(unmet, "peak", read) is None
    assert unmet == {"other": "reason", "peak": str(error)}
    assert memory.attempt(unmet, "more", lambda: 5) == 5
    assert "more" not in unmet


def test_an_attempt_does_not_hide_a_bug() -> None:
    with pytest.raises(ZeroDivisionError):
        memory.attempt({}, "peak", lambda: 1 // 0)
