"""A study of one toy autoencoder whose models are all taught, in this process."""

from datetime import UTC, datetime
from pathlib import Path

import live
import pytest
from told import Told

from compression.autoencoder import SPECS, AutoencoderSpec
from host.boards import Board, Boards
from host.study import records
from host.study.plan import steps_of
from host.study.records import Opened
from host.study.spec import CONTROL_RATE, Study
from host.study.teach import teach

TOY = AutoencoderSpec(32, (16, 32, 64), linear_bottleneck=True)


@pytest.fixture(scope="session")
def toy_study(capsules: Path) -> Study:
    return Study(
        "toy-study",
        capsules,
        "toy",
        (CONTROL_RATE, 0.9),
        1,
        ("line-3", "nowhere"),
        epochs=2,
        retrain_epochs=2,
        runs=20,
    )


@pytest.fixture(scope="session")
def taught_folder(toy_study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of that study, to be copied by whoever changes it."""
    folder = tmp_path_factory.mktemp("study") / "toy-study"
    folder.mkdir()
    (folder / records.DATA).symlink_to(toy_study.data)
    records.write(folder / records.STUDY_FILE, Opened(toy_study, "0" * 64, datetime(2026, 12, 1, tzinfo=UTC)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SPECS, "toy", TOY)
        for step in steps_of(toy_study):
            if step.board is None:
                teach(folder, toy_study, step, Told())
    return folder


@pytest.fixture
def boards(home: Path, agent: live.Agent) -> Boards:
    """Of a user whose board `line-3` is the agent in this process."""
    token = home / "line-3.token"
    home.mkdir(parents=True)
    token.write_text(live.TOKEN)
    token.chmod(0o600)
    found = Boards(home / "config" / "boards.toml")
    found.add(Board("line-3", "desktop", f"http://127.0.0.1:{agent.port}", token))
    return found
