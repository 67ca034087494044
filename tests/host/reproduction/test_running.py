from pathlib import Path

import pytest
from filelock import FileLock
from running import children
from told import Told

from compression.data.capsule import write_dataset
from host.errors import HostError, InputError
from host.reproduction.plan import Experiment
from host.reproduction.records import Job
from host.reproduction.running import open_folder, run

EXPERIMENT = Experiment("tiny", (0,), (0.9,), False, 1, 1, precision="fp32")


@pytest.fixture
def job(tmp_path: Path) -> Job:
    write_dataset(tmp_path / "data", train=6, good=1, bad=1)
    return Job.of(EXPERIMENT, tmp_path / "run", tmp_path / "data")


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
    open_folder(tmp_path / "run", job)
    (tmp_path / "data" / "train" / "good" / "000.png").write_bytes(b"no picture")
    with pytest.raises(HostError, match="neither a PNG nor a JPEG file") as caught:
        run(tmp_path / "run", 1, Told())
    assert "Traceback" not in caught.value.message
    assert ".log" in caught.value.hint


def test_two_at_work_in_one_folder_do_not_get_in_each_others_way(job: Job, tmp_path: Path) -> None:
    open_folder(tmp_path / "run", job)
    with FileLock(tmp_path / "run" / ".lock"), pytest.raises(InputError, match="another process is at work"):
        run(tmp_path / "run", 1, Told())


def test_a_folder_is_of_one_experiment(job: Job, tmp_path: Path) -> None:
    open_folder(tmp_path / "run", job)
    open_folder(tmp_path / "run", job)
    with pytest.raises(InputError, match="another experiment"):
        open_folder(tmp_path / "run", Job(Experiment(), job.data, job.data_sha256))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    with pytest.raises(InputError, match="not empty"):
        open_folder(tmp_path / "taken", job)
