"""Every runtime under every worker Python of this machine, through the real process boundary. Workers last a module.

`place`   one of them; skipped with the reason where the Python or the runtime is not there
`echo`    a worker there that has loaded an echo of every element type
`asked`   a worker there for loads that go wrong: it takes whatever it refuses, and stays
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import environments
import pytest
from bundles import Bundle
from conformance import workers
from conformance.models import MAKERS
from conformance.settings import RUNNING, SETTINGS, Setting
from conformance.workers import Place, Worker

from agent import worker_folder
from agent.process import Launch
from agent.pythons import Pythons
from contract.api import RuntimeInfo
from contract.profile import read_profile

Variables = Mapping[str, str]
Offers = dict[tuple[str, str], RuntimeInfo]


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
        for environment in (*environments.WORKERS, environments.TFLITE)
        if environments.missing(environment) is None
    }


@pytest.fixture(scope="session")
def probed(runner: asyncio.Runner, folder: Path, pythons: dict[str, str]) -> Callable[[Variables], Offers]:
    """What the probes of all of them say, with these variables in their environment; each is asked once."""
    said: dict[tuple[tuple[str, str], ...], Offers] = {}

    def ask(variables: Variables) -> Offers:
        key = tuple(sorted(variables.items()))
        if key not in said:
            changes = {"pythons": tuple(pythons.values()), "worker_environment": dict(variables)}
            profile = read_profile("desktop").model_copy(update=changes)
            said[key] = {(info.python, info.key): info for info in runner.run(Pythons(profile, folder).runtimes())}
        return said[key]

    return ask


@pytest.fixture(scope="session")
def offers(probed: Callable[[Variables], Offers]) -> Offers:
    """Of the Pythons as they are, by interpreter and runtime."""
    return probed({})


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda setting: setting.name)
def place(
    request: pytest.FixtureRequest,
    runner: asyncio.Runner,
    folder: Path,
    pythons: dict[str, str],
    probed: Callable[[Variables], Offers],
) -> Place:
    setting: Setting = request.param
    environment, maker = setting.environment, MAKERS[setting.maker]
    if environment.name not in pythons:
        pytest.skip(f"Python {environment.name}: {environments.missing(environment)}")
    home = folder / setting.name
    home.mkdir(exist_ok=True)
    variables = setting.variables(home)
    offer = probed(variables)[pythons[environment.name], maker.runtime]
    if maker.runtime not in environment.runtimes and offer.unavailable is not None:
        pytest.skip(f"Python {environment.name}: {offer.unavailable}")
    assert offer.unavailable is None, "this Python was given the runtime"
    launch = Launch(offer.python, worker_folder.install(folder), worker_folder.environment(variables))
    return Place(environment, offer, launch, maker, runner, home)


@pytest.fixture(scope="module")
def model(place: Place) -> Bundle:
    return place.maker.echo(*place.maker.specs)


@pytest.fixture(scope="module")
def echo(place: Place, model: Bundle) -> Iterator[Worker]:
    with workers.loaded(place, model) as worker:
        yield worker


@pytest.fixture(scope="module")
def asked(place: Place, model: Bundle) -> Iterator[Worker]:
    with workers.idle(place, model.manifest.signature) as worker:
        yield worker
