"""Loads that are refused: with the worker's own code and words, and the worker is there for the next."""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import bundles
import environments
import pytest
from bundles import Bundle
from conformance import workers
from conformance.models import MAKERS
from conformance.workers import Place, Worker, random_tensors

from agent.errors import WorkerRefusedError
from contract.api import RuntimeInfo

Specs = list[dict[str, Any]]
NOT_LOADED = ("load_failed", "engine_mismatch")  # what another version has built is known as such by some
EDITS: dict[str, tuple[Callable[[Specs], Any], str]] = {
    "name": (lambda specs: specs[0].update(name="other"), "other"),
    "dtype": (lambda specs: specs[1].update(dtype="uint64"), "uint64"),
    "a dimension": (lambda specs: specs[1].update(shape=[1, 3, 999]), "999"),
    "rank": (lambda specs: specs[1].update(shape=[1, 1, 3, 4]), "[1, 1, 3, 4]"),
    "scalar": (lambda specs: specs[-1].update(shape=[1]), "[1]"),
    "one too few": (lambda specs: specs.pop(), "{count}"),
    "one too many": (lambda specs: specs.append({"name": "more", "dtype": "bool", "shape": [1]}), "{count}"),
    "order": (lambda specs: specs.insert(0, specs.pop(1)), "float32"),
}


@pytest.mark.parametrize("side", ["inputs", "outputs"])
@pytest.mark.parametrize("edit", EDITS)
def test_a_model_that_is_not_what_the_manifest_says(asked: Worker, model: Bundle, side: str, edit: str) -> None:
    specs = [spec.model_dump(mode="json") for spec in getattr(model.manifest.signature, side)]
    change, named = EDITS[edit]
    change(specs)
    with pytest.raises(WorkerRefusedError) as refusal:
        asked.load(model, **{side: specs})
    assert refusal.value.code == "signature_mismatch"
    assert refusal.value.message.startswith(f"the model's {side[:-1]} is ")
    assert named.format(count=len(specs)) in refusal.value.message


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x00" * 1000, b"{}", b"[1]", b"\xff\xfe{"])
def test_a_file_that_is_no_model(asked: Worker, model: Bundle, tmp_path: Path, content: bytes) -> None:
    _refused(asked, model, *NOT_LOADED, path=str(_instead(asked, model, tmp_path, content)))


def test_half_a_model(asked: Worker, model: Bundle, tmp_path: Path) -> None:
    whole = workers.deployment(asked.place, model).artifact.read_bytes()
    _refused(asked, model, *NOT_LOADED, path=str(_instead(asked, model, tmp_path, whole[: len(whole) // 2])))


def _instead(asked: Worker, model: Bundle, folder: Path, content: bytes) -> Path:
    """Another content of the file that is loaded, with all that lies beside it."""
    right = workers.deployment(asked.place, model).artifact
    shutil.copytree(right.parent, folder / "instead")
    path = folder / "instead" / right.name
    path.write_bytes(content)
    return path


def test_no_file_and_a_folder(asked: Worker, model: Bundle, tmp_path: Path) -> None:
    _refused(asked, model, "load_failed", path=str(tmp_path / "nowhere"))
    _refused(asked, model, "load_failed", path=str(tmp_path))


def test_an_option_it_does_not_have_names_the_nearest(place: Place, asked: Worker, model: Bundle) -> None:
    for name in place.maker.bad_options:
        refusal = _refused(asked, model, "bad_runtime_option", options={name[:-1]: 1})
        assert repr(name[:-1]) in refusal.message
        assert repr(name) in refusal.hint


def test_an_option_with_a_value_it_does_not_take(place: Place, asked: Worker, model: Bundle) -> None:
    for name, value in place.maker.bad_options.items():
        refusal = _refused(asked, model, "bad_runtime_option", options={name: value})
        assert f"{name} is {value!r}" in refusal.message


def test_a_runtime_there_is_no_code_for_names_the_nearest(place: Place, asked: Worker, model: Bundle) -> None:
    refusal = _refused(asked, model, "runtime_missing", runtime=f"{place.runtime}x")
    assert repr(place.runtime) in refusal.hint


def test_after_every_refusal_the_right_model_is_loaded_and_runs(asked: Worker, model: Bundle) -> None:
    _refused(asked, model, "runtime_missing", runtime="nonesuch")
    asked.load(model)
    tensors = random_tensors(model.manifest.signature, 7)
    assert asked.infer(asked.arena.slots[2], tensors) == [tensor.tobytes() for tensor in tensors]


def test_a_runtime_that_a_python_lacks_is_refused_in_the_words_of_the_probe(
    runner: asyncio.Runner, folder: Path, offers: dict[tuple[str, str], RuntimeInfo]
) -> None:
    lacking = [info for info in offers.values() if info.unavailable is not None and info.key == "ort"]
    if not lacking:
        pytest.skip("every Python here has ONNX Runtime: the environment 3.6-nano would have none")
    bundle = bundles.null()
    spawn = replace(bundles.launch(folder), python=lacking[0].python)
    place = Place(environments.AGENT, lacking[0], spawn, MAKERS["null"], runner, folder)
    with workers.idle(place, bundle.manifest.signature) as worker:
        refusal = _refused(worker, bundle, "runtime_missing", runtime=lacking[0].key)
    assert refusal.message == lacking[0].unavailable


def _refused(worker: Worker, model: Bundle, *codes: str, **changes: Any) -> WorkerRefusedError:
    with pytest.raises(WorkerRefusedError) as refusal:
        worker.load(model, **changes)
    assert refusal.value.code in codes
    assert refusal.value.message
    assert refusal.value.hint
    return refusal.value


def test_every_runtime_that_is_offered_here_has_a_maker(offers: dict[tuple[str, str], RuntimeInfo]) -> None:
    """Or it would not be tested at all: tests/conformance/models.py."""
    offered = {info.key for info in offers.values() if info.unavailable is None}
    assert {"null", "ort"} <= offered <= {maker.runtime for maker in MAKERS.values()}
