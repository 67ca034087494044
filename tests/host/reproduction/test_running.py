from pathlib import Path

import pytest
from running import children
from told import Told

from compression.data.capsule import write_dataset
from host.errors import HostError, InputError
from host.reproduction.plan import Experiment, Unit
from host.reproduction.running import open_folder, run
from host.reproduction.unit import Job

EXPERIMENT = Experiment("tiny", (0,), (0.9,), False, 1, 1, precision="fp32")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    write_dataset(tmp_path / "data", train=6, good=1, bad=1)
    return Job(EXPERIMENT, str(tmp_path / "data"))


def test_interrupted_it_goes_on_with_what_is_left(job: Job, tmp_path: Path) -> None:
    class Stopped(Told):
        def note(self, text: str) -> None:
            raise KeyboardInterrupt

    before = children()
    open_folder(tmp_path / "run", job)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "run", 2, Stopped())
    assert children() == before
    done = {path.name for path in (tmp_path / "run").glob("seed-*.json")}
    assert done
    told = Told()
    results = run(tmp_path / "run", 2, told)
    assert [result.unit.kind for result in results] == ["original", "ordinary", "continued", "rate"]
    assert len(told.notes) == 4 - len(done)
    assert children() == before


def test_a_unit_that_fails_ends_it_with_the_end_of_its_log(job: Job, tmp_path: Path) -> None:
    open_folder(tmp_path / "run", Job(EXPERIMENT, str(tmp_path / "gone")))
    with pytest.raises(HostError, match="gone is no folder") as caught:
        run(tmp_path / "run", 1, Told())
    assert ".log" in caught.value.hint


def test_a_folder_is_of_one_experiment(job: Job, tmp_path: Path) -> None:
    open_folder(tmp_path / "run", job)
    open_folder(tmp_path / "run", job)
    with pytest.raises(InputError, match="other options"):
        open_folder(tmp_path / "run", Job(Experiment(), job.data))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(InputError, match="not empty"):
        open_folder(tmp_path / "taken", job)
    assert Unit(0, "original").needs is None
