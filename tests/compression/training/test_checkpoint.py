from pathlib import Path

import numpy as np
import pytest

from compression.errors import CheckpointError
from compression.training.checkpoint import Checkpoint, State, fingerprint
from compression.training.pace import Pace
from compression.training.recipe import Epoch

EPOCH = Epoch(1, 0.5, 0.25, None)
STATE = State(2, b"\x00model\xff", Pace("cpu", 2, "bf16"), (EPOCH,), EPOCH, {"now/a.b": np.arange(3.0)})


def test_it_gives_back_what_was_written(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "new" / "state", "mine").write(STATE)
    found = Checkpoint(tmp_path / "new" / "state", "mine").read()
    assert found is not None
    assert (found.stage, found.start, found.pace, found.history, found.best) == (
        2,
        STATE.start,
        STATE.pace,
        (EPOCH,),
        EPOCH,
    )
    np.testing.assert_array_equal(found.arrays["now/a.b"], [0, 1, 2])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["state"]


def test_without_a_file_there_is_no_state_and_removing_is_no_error(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", "mine")
    assert checkpoint.read() is None
    checkpoint.remove()


def test_that_of_another_training_is_refused_and_stays(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "state", "another").write(STATE)
    with pytest.raises(CheckpointError, match="another model") as caught:
        Checkpoint(tmp_path / "state", "mine").read()
    assert "--restart" in caught.value.hint
    assert (tmp_path / "state").exists()


def test_options_that_differ_are_named(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "state", "mine", {"seed": 1, "batch": 16, "learning_rate": 0.1}).write(STATE)
    assert Checkpoint(tmp_path / "state", "mine", {"batch": 16, "learning_rate": 0.1, "seed": 1}).read()
    with pytest.raises(CheckpointError) as caught:
        Checkpoint(tmp_path / "state", "mine", {"seed": 2, "batch": 16, "learning_rate": 0.2}).read()
    assert str(caught.value) == f"{tmp_path / 'state'} is of a training with seed 1, not 2; learning rate 0.1, not 0.2"


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04half a zip"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        Checkpoint(tmp_path / "state", "mine").read()


def test_half_of_a_file_is_refused(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "state", "mine")
    checkpoint.write(STATE)
    whole = checkpoint.path.read_bytes()
    checkpoint.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.read()


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    with (tmp_path / "state").open("wb") as file:
        np.savez(file, about=np.array([{"belongs_to": "mine"}], object))
    with pytest.raises(CheckpointError, match="no checkpoint"):
        Checkpoint(tmp_path / "state", "mine").read()


def test_writing_that_fails_leaves_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = Checkpoint(tmp_path / "state", "mine")
    checkpoint.write(STATE)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(STATE)
    monkeypatch.undo()
    assert checkpoint.read() is not None


def test_every_part_and_its_place_make_the_fingerprint() -> None:
    values = np.arange(6, dtype=np.float32)
    parts = [("a", "b"), ("ab", ""), ("b", "a"), (b"a", values), (b"a", values.reshape(2, 3)), (b"a", values + 1)]
    assert len({fingerprint(*each) for each in parts}) == len(parts)
    assert fingerprint("a", values) == fingerprint(b"a", values.copy())
