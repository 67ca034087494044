"""Engines on a disk: what is whole is found by all that it was made of, and the rest is built, with the reason."""

import contextlib
import json
import os
from pathlib import Path

import pytest

from agent.engines import ENGINE, Engine, Engines, Ingredients
from agent.errors import DiskFullError
from contract.api import Build

MODEL = "a" * 64
MADE = "made.json"


def of(**changes: object) -> Ingredients:
    made_of = {
        "model": MODEL,
        "runtime": "trt",
        "runtime_version": "10.3.0",
        "architecture": "sm_87",
        "release": "Ubuntu 22.04.5 LTS, L4T 36.4.4",
        "precision": "fp16",
        "typed": False,
        "workspace_bytes": 1 << 30,
    }
    return Ingredients.model_validate({**made_of, **changes})


def built(engines: Engines, ingredients: Ingredients, content: bytes = b"engine", reason: str = "none yet") -> Engine:
    """As a build does it."""
    target = engines.prepare(ingredients)
    target.write_bytes(content)
    build = Build(
        key=ingredients.key,
        reason=reason,
        build_s=12.5,
        engine_bytes=len(content),
        build_peak_bytes=None,
        runtime_version=ingredients.runtime_version,
        architecture=ingredients.architecture,
        unmet={"build_peak_bytes": "no VmHWM"},
    )
    return engines.keep(ingredients, build)


@pytest.fixture
def engines(tmp_path: Path) -> Engines:
    return Engines(tmp_path)


def folders(data_dir: Path) -> list[str]:
    return sorted(path.name for path in (data_dir / "engines").iterdir() if path.is_dir())


def test_nothing_is_there_until_it_is_kept(engines: Engines) -> None:
    assert engines.find(of()) is None
    engines.prepare(of()).write_bytes(b"engine")
    assert engines.find(of()) is None


def test_what_was_kept_is_found_with_how_it_was_built_but_without_the_reason(tmp_path: Path, engines: Engines) -> None:
    kept = built(engines, of(), reason="the board has none of this model yet")
    assert kept.path == tmp_path / "engines" / of().key / ENGINE
    assert kept.build.reason == "the board has none of this model yet"
    found = Engines(tmp_path).find(of())  # of another start of the agent, too
    assert found
    assert found.path.read_bytes() == b"engine"
    assert found.build == kept.build.model_copy(update={"reason": None})
    assert json.loads((kept.path.parent / MADE).read_bytes())["build"]["reason"] == kept.build.reason


CHANGES = {
    "runtime_version": ("10.7.0", "runtime version is 10.7.0, it was 10.3.0"),
    "architecture": ("sm_72", "architecture is sm_72, it was sm_87"),
    "release": ("R36.5", "release is R36.5, it was Ubuntu 22.04.5 LTS, L4T 36.4.4"),
    "precision": ("int8", "precision is int8, it was fp16"),
    "typed": (True, "typed is True, it was False"),
    "workspace_bytes": (5, "workspace bytes is 5, it was 1073741824"),
    "runtime": ("null", "runtime is null, it was trt"),
    "form": (3, "form is 3, it was 2"),
}


def test_these_are_all_of_the_ingredients_but_the_model() -> None:
    assert CHANGES.keys() == Ingredients.model_fields.keys() - {"model"}


@pytest.mark.parametrize("field", CHANGES)
def test_of_whatever_else_it_is_another_engine_and_the_difference_is_the_reason(engines: Engines, field: str) -> None:
    value, reason = CHANGES[field]
    built(engines, of())
    changed = of(**{field: value})
    assert engines.find(changed) is None
    assert engines.why(changed) == reason
    built(engines, changed, b"another")
    first, second = engines.find(of()), engines.find(changed)
    assert first
    assert second
    assert (first.path.read_bytes(), second.path.read_bytes()) == (b"engine", b"another")


def test_the_reason_is_what_differs_from_the_nearest(engines: Engines) -> None:
    built(engines, of())
    built(engines, of(precision="int8", release="R36.5"))
    assert engines.why(of(precision="int8")) in (
        "precision is int8, it was fp16",
        "release is Ubuntu 22.04.5 LTS, L4T 36.4.4, it was R36.5",
    )
    assert (
        engines.why(of(runtime_version="11", architecture="sm_110"))
        == "runtime version is 11, it was 10.3.0, architecture is sm_110, it was sm_87"
    )


def test_of_two_as_near_the_newest_is_compared(engines: Engines) -> None:
    for precision in ("fp32", "int8", "fp16"):
        engine = built(engines, of(precision=precision))
        at = {"fp32": 3000, "int8": 9000, "fp16": 6000}[precision]
        os.utime(engine.path.parent, (at, at))
    assert engines.why(of(precision="tf32")) == "precision is tf32, it was int8"


def test_of_another_model_there_is_nothing_to_compare(engines: Engines) -> None:
    built(engines, of(model="b" * 64))
    assert engines.why(of()) == "the board has none of this model yet"


@pytest.mark.parametrize("left", [None, b"", b"engin", b"engine and more"])
def test_a_damaged_one_is_built_again(engines: Engines, left: bytes | None) -> None:
    path = built(engines, of()).path
    path.unlink() if left is None else path.write_bytes(left)
    assert engines.find(of()) is None
    assert engines.why(of()) == "the one that was there is damaged"
    assert built(engines, of()).build.key == of().key
    assert engines.find(of())


def test_what_the_runtime_does_not_take_is_built_again(engines: Engines) -> None:
    engine = built(engines, of())
    engines.reject(engine)
    engines.reject(engine)  # again does not matter
    assert engines.find(of()) is None
    assert engines.why(of()) == "the one that was there is damaged"


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b'{"ingredients": {}, "build": {}}', b'{"ingredients": 1, "build": 2, "signed": 3}'],
)
def test_what_another_version_of_the_agent_has_written_is_built_again(engines: Engines, content: bytes) -> None:
    (built(engines, of()).path.parent / MADE).write_bytes(content)
    assert engines.find(of()) is None
    assert engines.why(of()) == "the board has none of this model yet"


def test_an_ingredient_we_do_not_know_makes_it_another_engine(engines: Engines) -> None:
    path = built(engines, of()).path.parent / MADE
    made = json.loads(path.read_bytes())
    made["ingredients"]["sparsity"] = True
    path.write_text(json.dumps(made))
    assert engines.find(of()) is None


def test_a_figure_we_do_not_know_of_a_build_does_not_matter(engines: Engines) -> None:
    path = built(engines, of()).path.parent / MADE
    made = json.loads(path.read_bytes())
    made["build"]["energy_j"] = 5
    path.write_text(json.dumps(made))
    assert engines.find(of())


def test_a_build_begins_with_an_empty_folder(engines: Engines) -> None:
    folder = built(engines, of()).path.parent
    (folder / "model.engine.unfinished").write_bytes(b"half")
    assert engines.prepare(of()) == folder / ENGINE
    assert list(folder.iterdir()) == []
    assert engines.find(of()) is None


def test_a_full_disk_is_told(small_disk: Path) -> None:
    engines = Engines(small_disk)
    with (small_disk / "log").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1024))
    with pytest.raises(DiskFullError):
        built(engines, of(), content=b"")
    assert engines.find(of()) is None


def test_the_builders_measurements_are_of_a_runtime_version_on_a_device(tmp_path: Path, engines: Engines) -> None:
    cache = engines.timing_cache(of())
    assert cache.parent == tmp_path / "engines"
    assert engines.timing_cache(of(model="b" * 64, precision="int8", release="R36.5", workspace_bytes=1)) == cache
    assert engines.timing_cache(of(runtime_version="10.7.0")) != cache
    assert engines.timing_cache(of(architecture="sm_72")) != cache
    assert engines.timing_cache(of(runtime="null")) != cache


def test_engines_of_models_that_are_gone_go_and_so_does_what_a_kill_has_left(tmp_path: Path, engines: Engines) -> None:
    other = of(model="b" * 64)
    cache = engines.timing_cache(of())
    cache.write_bytes(b"measured")
    built(engines, of())
    built(engines, of(precision="int8"))
    built(engines, other)
    engines.prepare(of(precision="fp32")).write_bytes(b"half")
    engines.remove_unused({MODEL, "c" * 64})
    assert folders(tmp_path) == sorted([of().key, of(precision="int8").key])
    assert engines.find(other) is None
    engines.remove_unused(set())
    assert folders(tmp_path) == []
    assert cache.read_bytes() == b"measured"


def test_a_key_is_a_folders_name_and_stays_what_it_is() -> None:
    """Recorded: with another key every board would build all of its engines anew."""
    assert of().key == "6622e3fa239a4ba6649a8cdf2183f608"
