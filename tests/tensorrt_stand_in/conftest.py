"""The stand-ins in this process, each under a name of its own, and what the tests build with them.

`trt`       one version after the other; `version` says which
`every`     all of them, by version
"""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tensorrt_stand_in.placing import VERSIONS, place


@pytest.fixture(scope="session")
def every(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    folder = tmp_path_factory.mktemp("tensorrt")
    names = {version: f"tensorrt_{version.replace('.', '_')}" for version in VERSIONS}
    yield {version: _imported(place(folder / version, version) / "tensorrt", name) for version, name in names.items()}
    for loaded in [name for name in sys.modules if name.split(".")[0] in names.values()]:
        del sys.modules[loaded]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def trt(every: dict[str, ModuleType], version: str) -> ModuleType:
    return every[version]


def _imported(package: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return sys.modules[name]
