"""Every runtime under every worker Python of this machine, through the real process boundary. Workers last a module.

`place`   one of them; skipped with the reason where the Python or the runtime is not there
`echo`    a worker there that has loaded an echo of every element type
`asked`   a worker there for loads that go wrong: it takes whatever it refuses, and stays
"""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import environments
import pytest
from bundles import Bundle
from conformance import workers
from conformance.models import MAKERS
from conformance.workers import Place, Worker

from agent import worker_folder
from agent.process import Launch
from agent.pythons import Pythons
from agent.worker import runtimes
from contract.api import RuntimeInfo
from contract.manifest import ITEM_BYTES, TensorSpec
from contract.profile import read_profile

RUNNING = environments.Environment("running", "{}.{}".format(*sys.version_info), ())

# Every element type, a scalar among them, in sizes that the alignment of each matters for.
EVERY_TYPE = (
    *(
        TensorSpec.model_validate({"name": dtype, "dtype": dtype, "shape": (1, 3, size)})
        for size, dtype in enumerate(ITEM_BYTES, start=3)
    ),
    TensorSpec(name="scalar", dtype="float32", shape=()),
)


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as made:
        yield made


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("conformance")


@pytest.fixture(scope="session")
def pythons() -> dict[str, str]:
    """The interpreters that are there, by the name of their environment."""
    return {RUNNING.name: sys.executable} | {
        environment.name: str(environments.interpreter(environment))
        for environment in environments.WORKERS
        if environments.missing(environment) is None
    }


@pytest.fixture(scope="session")
def offers(runner: asyncio.Runner, folder: Path, pythons: dict[str, str]) -> dict[tuple[str, str], RuntimeInfo]:
    """What the probes of all of them say, by interpreter and runtime."""
    profile = read_profile("desktop").model_copy(update={"pythons": tuple(pythons.values())})
    return {(info.python, info.key): info for info in runner.run(Pythons(profile, folder).runtimes())}


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((environment, runtime), id=f"{environment.name}-{runtime}")
        for environment in (RUNNING, *environments.WORKERS)
        for runtime in runtimes.names()
    ],
)
def place(
    request: pytest.FixtureRequest,
    runner: asyncio.Runner,
    folder: Path,
    pythons: dict[str, str],
    offers: dict[tuple[str, str], RuntimeInfo],
) -> Place:
    environment, runtime = request.param
    if environment.name not in pythons:
        pytest.skip(f"Python {environment.name}: {environments.missing(environment)}")
    python = pythons[environment.name]
    offer = offers[python, runtime]
    if runtime not in environment.runtimes and offer.unavailable is not None:
        pytest.skip(f"Python {environment.name}: {offer.unavailable}")
    assert offer.unavailable is None, "this Python was given the runtime"
    assert runtime in MAKERS, "it needs a maker in tests/conformance/models.py"
    launch = Launch(python, worker_folder.install(folder), worker_folder.environment({}))
    return Place(runtime, environment, offer, launch, MAKERS[runtime], runner, folder)


@pytest.fixture(scope="module")
def model(place: Place) -> Bundle:
    return place.maker.echo(*EVERY_TYPE)


@pytest.fixture(scope="module")
def echo(place: Place, model: Bundle) -> Iterator[Worker]:
    with workers.loaded(place, model) as worker:
        yield worker


@pytest.fixture(scope="module")
def asked(place: Place, model: Bundle) -> Iterator[Worker]:
    with workers.idle(place, model.manifest.signature) as worker:
        yield worker
