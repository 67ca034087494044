"""What is asked of a runtime that builds: what it is, what it refuses, and an engine, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path

import bundles
import numpy as np
import pytest
from bundles import Bundle
from conformance import workers
from conformance.models import BUILDERS, BuildingMaker
from conformance.settings import SETTINGS
from conformance.workers import Place, Worker

from agent.engines import ENGINE
from agent.errors import WorkerRefusedError

BUILDING = [pytest.param(setting, id=setting.name) for setting in SETTINGS if setting.maker in BUILDERS]
pytestmark = pytest.mark.parametrize("place", BUILDING, indirect=True, scope="module")


@pytest.fixture(scope="module")
def maker(place: Place) -> BuildingMaker:
    return next(maker for maker in BUILDERS.values() if maker is place.maker)


@pytest.fixture(scope="module")
def right(maker: BuildingMaker) -> Bundle:
    return maker.computing()


@pytest.fixture(scope="module")
def refused(maker: BuildingMaker) -> Bundle:
    return maker.refused()


@pytest.fixture
def builder(place: Place, right: Bundle) -> Iterator[Worker]:
    """A fresh worker, as for each build."""
    with workers.idle(place, right.manifest.signature) as worker:
        yield worker


def parsed(worker: Worker, bundle: Bundle, source: Path | None = None) -> list[tuple[str, str, str]]:
    """(node, operator, reason) of each problem."""
    path = source or bundles.deployment(worker.place.folder, bundle).artifact
    return [tuple(problem) for problem in worker.site("parse", bundle, source=str(path))["problems"]]


def test_it_is_what_the_probe_says_on_a_device_that_has_a_name(place: Place, builder: Worker, right: Bundle) -> None:
    said = builder.site("identify", right)
    assert said["runtime_version"] == place.offer.version
    assert said["architecture"].strip() == said["architecture"] != ""
    assert builder.site("identify", right) == said


def test_the_parser_takes_a_model_and_names_what_it_refuses_of_another(
    builder: Worker, maker: BuildingMaker, right: Bundle, refused: Bundle
) -> None:
    assert parsed(builder, right) == []
    problems = parsed(builder, refused)
    assert problems
    assert all(isinstance(text, str) for problem in problems for text in problem)
    assert all(reason for _, _, reason in problems)
    assert any(maker.refused_operator in " ".join(problem) for problem in problems)
    assert parsed(builder, right) == []  # and it is not put out by a refusal


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 1000, None], ids=["empty", "text", "zeros", "none"])
def test_what_is_no_model_is_refused_with_a_reason(
    builder: Worker, right: Bundle, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / right.manifest.runtime.file
    if content is not None:
        path.write_bytes(content)
    [(_, _, reason), *_] = parsed(builder, right, path)
    assert reason
    refusal = not_built(builder, right, tmp_path, source=str(path))
    assert refusal.code == "model_refused"
    assert {each.name for each in tmp_path.iterdir()} <= {path.name}


def test_a_build_leaves_an_engine_and_what_makes_the_next_one_shorter(
    builder: Worker, right: Bundle, tmp_path: Path
) -> None:
    lines: list[str] = []
    said = builder.build(right, tmp_path, lines)
    engine = tmp_path / ENGINE
    assert said["engine_bytes"] == engine.stat().st_size > 0
    assert said["unmet"] == {}
    assert 1_000_000 < said["build_peak_bytes"] < 10_000_000_000
    assert all(lines)
    assert (tmp_path / "timing.cache").stat().st_size > 0
    assert [each.name for each in tmp_path.iterdir() if "unfinished" in each.name] == []


def test_another_build_reads_what_the_first_one_measured(place: Place, right: Bundle, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with workers.idle(place, right.manifest.signature) as worker:
            worker.build(right, tmp_path / name, cache=str(tmp_path / "timing.cache"))
        assert (tmp_path / name / ENGINE).stat().st_size > 0


def test_a_model_that_is_refused_leaves_no_engine_and_the_worker_stays(
    builder: Worker, maker: BuildingMaker, right: Bundle, refused: Bundle, tmp_path: Path
) -> None:
    refusal = not_built(builder, refused, tmp_path)
    assert refusal.code == "model_refused"
    assert refusal.hint
    assert list(tmp_path.iterdir()) == []


def not_built(worker: Worker, bundle: Bundle, folder: Path, **order: str) -> WorkerRefusedError:
    with pytest.raises(WorkerRefusedError) as told:
        worker.build(bundle, folder, **order)
    assert told.value.message
    return told.value


def test_where_nothing_can_be_written_the_worker_says_so(builder: Worker, right: Bundle, tmp_path: Path) -> None:
    assert not_built(builder, right, tmp_path / "nowhere").code == "disk_failed"
    assert parsed(builder, right) == []


def test_what_was_built_computes_as_the_host_did_and_the_engine_is_all_it_needs(
    place: Place, builder: Worker, right: Bundle, tmp_path: Path
) -> None:
    builder.build(right, tmp_path)
    with workers.idle(place, right.manifest.signature) as worker:
        worker.load(right, path=str(tmp_path / ENGINE))
        expected = np.frombuffer(right.files["golden/outputs.bin"], np.float32)
        (output,) = worker.infer(worker.arena.slots[0], [np.frombuffer(right.golden_inputs()[0], np.float32)])
        np.testing.assert_allclose(
            np.frombuffer(output, np.float32), expected[: len(output) // 4], rtol=1e-4, atol=1e-5
        )
