"""Shared-memory slots."""

import gc
import os
import resource
from pathlib import Path

import numpy as np
import pytest
import running

from agent.arena import ALIGNMENT, Arena, InputWriter
from agent.errors import BadTensorError, DiskFullError
from contract.tensors import Signature, TensorSpec


def spec(name: str, *shape: int, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name=name, dtype=dtype, shape=shape)


ODD = Signature(
    inputs=(spec("a", 1, 3, dtype="uint8"), spec("b", 5), spec("scalar", dtype="int64")),
    outputs=(spec("c", 7, dtype="float16"), spec("d", 1, dtype="bool")),
)


def test_tensors_are_aligned_apart_and_of_their_sizes() -> None:
    arena = Arena(ODD, 3, extra_bytes=100)
    offsets = [offset for slot in arena.slots for offset in (*slot.inputs, *slot.outputs)]
    sizes = [tensor.size_bytes for tensor in (*ODD.inputs, *ODD.outputs)] * 3
    assert all(offset % ALIGNMENT == 0 for offset in (*offsets, arena.extra_offset))
    ends = [*offsets[1:], arena.extra_offset]
    assert all(start + size <= end for start, size, end in zip(offsets, sizes, ends, strict=True))
    assert arena.extra_offset + 100 <= arena.size_bytes
    assert [len(view) for view in arena.inputs(arena.slots[2])] == [3, 20, 8]
    assert [len(view) for view in arena.outputs(arena.slots[2])] == [14, 1]
    arena.close()


def test_a_slot_holds_what_was_written_to_it_and_no_other_does() -> None:
    arena = Arena(ODD, 2, extra_bytes=8)
    for value, slot in enumerate(arena.slots, start=1):
        for view in (*arena.inputs(slot), *arena.outputs(slot)):
            view[:] = bytes([value]) * len(view)
    arena.extra(8)[:] = b"samples!"
    for value, slot in enumerate(arena.slots, start=1):
        for view in (*arena.inputs(slot), *arena.outputs(slot)):
            assert bytes(view) == bytes([value]) * len(view)
    assert bytes(arena.extra(8)) == b"samples!"
    arena.close()


def test_the_file_has_no_name_and_its_memory_is_reserved() -> None:
    arena = Arena(ODD, 4)
    assert str(Path(f"/proc/self/fd/{arena.fd}").readlink()).endswith("(deleted)")
    assert os.fstat(arena.fd).st_blocks * 512 >= arena.size_bytes
    arena.close()


def test_closing_gives_all_back_even_while_a_view_is_held() -> None:
    before = running.open_files()
    arena = Arena(ODD, 1)
    array = np.frombuffer(arena.inputs(arena.slots[0])[1], np.float32)
    arena.close()
    assert array.tolist() == [0.0] * 5  # still mapped
    del array
    gc.collect()
    assert running.open_files() == before


def test_no_room_in_shared_memory_is_told() -> None:
    free = os.statvfs("/dev/shm")
    elements = free.f_blocks * free.f_frsize  # of float32: four times what there is
    before = running.open_files()
    with pytest.raises(DiskFullError, match=r"/dev/shm has no \d+ bytes left"):
        Arena(Signature(inputs=(spec("a", elements),), outputs=(spec("b", 1),)), 1)
    assert running.open_files() == before


def test_too_little_address_space_leaves_no_descriptor() -> None:
    """mmap fails after the file is there: a 32-bit board, or a limit of the service."""
    before = running.open_files()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (32 << 20), hard))
    try:
        with pytest.raises(DiskFullError, match="cannot be mapped"):
            Arena(Signature(inputs=(spec("a", 16 << 20),), outputs=(spec("b", 1),)), 1)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    assert running.open_files() == before


@pytest.mark.parametrize("chunk_bytes", [1, 3, 4, 7, 31, 1000])
def test_a_stream_fills_the_inputs_one_after_the_other(chunk_bytes: int) -> None:
    arena = Arena(ODD, 1)
    content = bytes(range(31))
    writer = InputWriter(arena.inputs(arena.slots[0]))
    for start in range(0, 31, chunk_bytes):
        writer.write(content[start : start + chunk_bytes])
        writer.write(b"")  # as an HTTP body's last chunk
    writer.finish()
    assert b"".join(arena.inputs(arena.slots[0])) == content
    arena.close()


@pytest.mark.parametrize(("sent", "told"), [(0, "has 0 bytes"), (30, "has 30 bytes")])
def test_missing_bytes_are_told(sent: int, told: str) -> None:
    writer = InputWriter([memoryview(bytearray(31))])
    writer.write(bytes(sent))
    with pytest.raises(BadTensorError, match=rf"{told}, the model's inputs take 31"):
        writer.finish()


def test_bytes_beyond_the_inputs_are_told_at_once_and_written_nowhere() -> None:
    memory = bytearray(40)
    writer = InputWriter([memoryview(memory)[:31]])
    writer.write(bytes(30))
    with pytest.raises(BadTensorError, match="has at least 34 bytes, the model's inputs take 31"):
        writer.write(b"\xff" * 4)
    assert memory == bytes(40)
