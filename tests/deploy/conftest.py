"""The wheel, the kits and the boards of these tests; tests/kits.py says what of them is real."""

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import kits
import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "board: on the root file system of a board; needs root and BOARDFIT_ROOTFS=DIR")
    config.addinivalue_line("markers", "network: asks PyPI; needs BOARDFIT_NETWORK=1")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kits.built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def quick_kit(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> kits.Kit:
    return kits.quick(tmp_path_factory.mktemp("quick") / "kit", wheel)


@pytest.fixture(scope="session")
def whole_kit(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> kits.Kit:
    return kits.whole(tmp_path_factory.mktemp("whole") / "kit", wheel)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[kits.Board]:
    """A new one."""
    with _switched_off(kits.Board.new(tmp_path / "board", _free_port())) as made:
        yield made


@pytest.fixture(scope="module")
def agent(quick_kit: kits.Kit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[kits.Board]:
    """A board that is an agent already, for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("agent")
    with _switched_off(kits.Board.new(folder / "board", _free_port())) as made:
        done = made.install(quick_kit)
        assert done.returncode == 0, done.stdout + done.stderr
        yield made


@contextlib.contextmanager
def _switched_off(board: kits.Board) -> Iterator[kits.Board]:
    """Afterwards."""
    yield board
    if (board.state / "pid").exists():
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(board.pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
