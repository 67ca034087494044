"""Bundles and models on disk."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bundles
import pytest

from agent.errors import (
    BadQueryError,
    CorruptUploadError,
    DiskFullError,
    IncompleteBundleError,
    NotFoundError,
    StartError,
    TooLargeError,
)
from agent.repository import Record, Repository
from contract.tensors import TensorSpec

LIMIT = 1 << 20
KILLED_DEPLOYS = Path(__file__).parent / "killed_deploys.py"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    repository = Repository(tmp_path, LIMIT)
    yield repository
    repository.close()


def age(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (time.time() - 7200,) * 2)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_bundle_is_complete_once_its_last_file_is_here(repository: Repository, tmp_path: Path) -> None:
    bundle = bundles.null(wrong=True)  # an echo's golden inputs and outputs would be one file
    wanted = list(bundle.manifest.files.values())
    contents = {hashlib.sha256(content).hexdigest(): content for content in bundle.files.values()}
    while missing := repository.offer(bundle.manifest).missing:
        assert [entry.sha256 for entry in missing] == [entry.sha256 for entry in wanted]
        with pytest.raises(IncompleteBundleError, match=f"{len(missing)} files of the bundle {bundle.id} are missing"):
            repository.deployment("m", bundle.id)
        entry = wanted.pop(0)
        with repository.blobs.upload(entry.sha256, entry.size_bytes, 0) as upload:
            upload.write(contents[entry.sha256])
        repository.blobs.finish(entry.sha256, entry.size_bytes)
    deployment = repository.deployment("m", bundle.id)
    assert (deployment.name, deployment.bundle, deployment.manifest) == ("m", bundle.id, bundle.manifest)
    assert {path: (deployment.folder / path).read_bytes() for path in bundle.files} == bundle.files
    assert names(tmp_path / "incoming") == []
    assert repository.offer(bundle.manifest).missing == ()


def test_a_bundle_whose_last_file_came_without_another_offer_is_complete_too(repository: Repository) -> None:
    """A host that was cut off between the last PUT and its next question."""
    bundle = bundles.null()
    for entry in repository.offer(bundle.manifest).missing:
        content = next(c for c in bundle.files.values() if hashlib.sha256(c).hexdigest() == entry.sha256)
        with repository.blobs.upload(entry.sha256, entry.size_bytes, 0) as upload:
            upload.write(content)
        repository.blobs.finish(entry.sha256, entry.size_bytes)
    assert repository.deployment("m", bundle.id).manifest == bundle.manifest


def test_files_that_two_bundles_share_are_sent_and_stored_once(repository: Repository, tmp_path: Path) -> None:
    first = bundles.null()
    second = first.with_file("golden/inputs.bin", bytes(32))
    bundles.put(repository, first)
    missing = repository.offer(second.manifest).missing
    assert [entry.sha256 for entry in missing] == [hashlib.sha256(bytes(32)).hexdigest()]
    bundles.put(repository, second)
    paths = [tmp_path / "bundles" / bundle.id / "model.json" for bundle in (first, second)]
    assert paths[0].stat().st_ino == paths[1].stat().st_ino


def test_an_unknown_bundle_and_an_unknown_model(repository: Repository) -> None:
    with pytest.raises(NotFoundError, match="there is no bundle 0000") as bundle:
        repository.deployment("m", "0" * 64)
    assert bundle.value.code == "unknown_bundle"
    repository.set_record("capsule", Record(active="a" * 64))
    with pytest.raises(NotFoundError, match="no model 'capsul'") as model:
        repository.record("capsul")
    assert "did you mean 'capsule'" in model.value.hint


@pytest.mark.parametrize("bundle", ["..", "../models", "", ".", "A" * 64, "a" * 63 + "/"])
def test_a_bundle_id_that_is_none_reaches_no_folder(repository: Repository, bundle: str) -> None:
    with pytest.raises(BadQueryError, match="is no sha256"):
        repository.deployment("m", bundle)


@pytest.mark.parametrize("name", ["..", "../lock", "", "a/b", ".hidden", "a\n", "x" * 65])
def test_a_model_name_that_is_none_reaches_no_file(repository: Repository, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadQueryError, match="is no name of a model"):
        repository.set_record(name, Record(active="a" * 64))
    with pytest.raises(BadQueryError, match="is no name of a model"):
        repository.remove_record(name)
    with pytest.raises(BadQueryError, match="is no name of a model"):
        repository.deployment(name, bundles.put(repository, bundles.null()))
    assert names(tmp_path / "models") == []


def test_a_file_above_the_limit_is_refused_with_its_name(repository: Repository) -> None:
    bundle = bundles.null().with_file("model.json", bytes(LIMIT + 1))
    with pytest.raises(TooLargeError, match=r"'model\.json' has 1048577 bytes"):
        repository.offer(bundle.manifest)


@pytest.mark.parametrize("lie_bytes", [-1, 1])
def test_a_manifest_whose_sizes_lie_makes_no_bundle(repository: Repository, tmp_path: Path, lie_bytes: int) -> None:
    honest = bundles.null()
    bundles.put(repository, honest)
    files = dict(honest.manifest.files)
    entry = files["model.json"]
    files["model.json"] = entry.model_copy(update={"size_bytes": entry.size_bytes + lie_bytes})
    liar = honest.manifest.model_copy(update={"files": files})
    with pytest.raises(CorruptUploadError, match=rf"'model\.json' has {entry.size_bytes} bytes, its manifest says"):
        repository.offer(liar)
    assert names(tmp_path / "bundles") == [honest.id]


def test_records_survive_a_restart_and_names_with_dots(tmp_path: Path) -> None:
    records = {
        "a": Record(active="a" * 64),
        "a.json": Record(active="b" * 64, previous="a" * 64),
        "v1.2-b_C": Record(active="c" * 64, threshold=0.1 + 0.2),
    }
    first = Repository(tmp_path, LIMIT)
    for name, record in records.items():
        first.set_record(name, record)
    first.close()
    second = Repository(tmp_path, LIMIT)
    assert second.records() == records
    second.remove_record("a")
    second.remove_record("a")  # again is no error
    second.close()
    third = Repository(tmp_path, LIMIT)
    assert sorted(third.records()) == ["a.json", "v1.2-b_C"]
    third.close()


def test_one_agent_has_the_directory(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(StartError, match=f"another agent uses the data directory {tmp_path}"):
        Repository(tmp_path, LIMIT)
    repository.blobs.status("0" * 64)


def test_a_directory_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"the data directory .*file/data cannot be used: .*Not a directory"):
        Repository(tmp_path / "file" / "data", LIMIT)


@pytest.mark.parametrize("content", ["", "{", '{"active": "x"}', f'{{"active": "{"a" * 64}", "newer": 1}}'])
def test_a_record_that_cannot_be_read_is_told_at_the_start_with_its_file(tmp_path: Path, content: str) -> None:
    first = Repository(tmp_path, LIMIT)
    first.close()
    (tmp_path / "models" / "m.json").write_text(content)
    for _ in range(2):  # the first has let the lock go
        with pytest.raises(StartError, match=r"models/m\.json is not a model record") as told:
            Repository(tmp_path, LIMIT)
        assert "remove it" in told.value.hint


@pytest.mark.parametrize("damage", ["no manifest", "half a manifest", "another manifest", "no file", "half a file"])
def test_a_damaged_bundle_is_found_and_a_new_push_mends_it(repository: Repository, tmp_path: Path, damage: str) -> None:
    bundle = bundles.null()
    folder = tmp_path / "bundles" / bundles.put(repository, bundle)
    manifest = folder / "manifest.json"
    if damage == "no manifest":
        manifest.unlink()
    elif damage == "half a manifest":
        manifest.write_bytes(manifest.read_bytes()[:100])
    elif damage == "another manifest":
        manifest.write_bytes(bundles.null(source_name="other").manifest.canonical_json())
    elif damage == "no file":
        (folder / "golden" / "inputs.bin").unlink()
    else:
        (folder / "golden" / "inputs.bin").unlink()
        (folder / "golden" / "inputs.bin").write_bytes(b"half")
    with pytest.raises(IncompleteBundleError, match="was damaged on this board"):
        repository.deployment("m", bundle.id)
    bundles.put(repository, bundle)
    assert repository.deployment("m", bundle.id).manifest == bundle.manifest


def test_a_bundle_of_another_version_of_boardfit_is_told_and_kept(repository: Repository, tmp_path: Path) -> None:
    content = json.dumps({"schema_version": 2, "files": {}}).encode()
    bundle = hashlib.sha256(content).hexdigest()
    (tmp_path / "bundles" / bundle).mkdir()
    (tmp_path / "bundles" / bundle / "manifest.json").write_bytes(content)
    with pytest.raises(IncompleteBundleError, match="is of another version of boardfit"):
        repository.deployment("m", bundle)
    assert (tmp_path / "bundles" / bundle).is_dir()


def test_the_same_bundle_offered_by_many_at_once_is_whole(repository: Repository) -> None:
    first = bundles.null()
    contents = {f"part{number}": bytes([number]) * 10 for number in range(50)}
    bundle = first
    for path, content in contents.items():
        bundle = bundle.with_file(path, content)
    for content in bundle.files.values():
        sha256 = hashlib.sha256(content).hexdigest()
        if not repository.blobs.has(sha256):
            with repository.blobs.upload(sha256, len(content), 0) as upload:
                upload.write(content)
            repository.blobs.finish(sha256, len(content))
    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(repository.offer, [bundle.manifest] * 16))
    assert all(status.missing == () for status in statuses)
    deployment = repository.deployment("m", bundle.id)
    assert {path: (deployment.folder / path).read_bytes() for path in bundle.files} == bundle.files


def test_a_bundle_reaches_the_disk_before_its_name_does(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut a folder that was not synced may be empty."""
    bundle, synced = bundles.null(), []
    sync, rename = os.fsync, Path.rename

    def fsync(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink().relative_to(tmp_path)))
        sync(fd)

    def renamed(self: Path, target: Path) -> Path:
        if target.name == bundle.id:
            synced.append("its name")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", renamed)
    bundles.put(repository, bundle)
    at = synced.index("its name")
    unfinished = f"bundles/.{bundle.id}"
    assert {f"{unfinished}/.manifest.json", unfinished, f"{unfinished}/golden"} <= set(synced[:at])
    assert synced[at + 1 :] == ["bundles"]


def test_a_full_disk_leaves_no_half_bundle_and_the_push_can_go_on(small_disk: Path) -> None:
    repository = Repository(small_disk, LIMIT)
    bundle = bundles.null().with_file("weights", os.urandom(50 << 10))
    for entry in repository.offer(bundle.manifest).missing[:-1]:
        send(repository, bundle, entry.sha256)
    last = repository.offer(bundle.manifest).missing[-1]
    send(repository, bundle, last.sha256)
    fill(small_disk)
    with pytest.raises(DiskFullError):
        repository.offer(bundle.manifest)
    assert names(small_disk / "bundles") == []
    (small_disk / "log").unlink()
    assert repository.offer(bundle.manifest).missing == ()
    fill(small_disk)
    with pytest.raises(DiskFullError):
        repository.set_record("m", Record(active=bundle.id))
    assert repository.records() == {}
    repository.close()


def send(repository: Repository, bundle: bundles.Bundle, sha256: str) -> None:
    content = next(c for c in bundle.files.values() if hashlib.sha256(c).hexdigest() == sha256)
    with repository.blobs.upload(sha256, len(content), 0) as upload:
        upload.write(content)
    repository.blobs.finish(sha256, len(content))


def fill(folder: Path) -> None:
    with (folder / "log").open("wb", buffering=0) as log:
        try:
            while True:
                log.write(bytes(4096))
        except OSError:
            pass


def test_what_no_model_is_or_was_goes_after_an_hour(repository: Repository, tmp_path: Path) -> None:
    kinds = ("active", "previous", "deploying", "new", "old")
    ids = {kind: bundles.put(repository, bundles.null(source_name=kind)) for kind in kinds}
    repository.set_record("m", Record(active=ids["active"], previous=ids["previous"]))
    unfinished = bundles.null(source_name="unfinished").with_file("weights", b"not sent")
    repository.offer(unfinished.manifest)
    (tmp_path / "bundles" / f".{'0' * 64}").mkdir()
    with repository.keeping(ids["deploying"]):
        age(*(path for path in (tmp_path / "bundles").iterdir() if path.name != ids["new"]))
        repository.remove_unused()
    assert names(tmp_path / "bundles") == sorted(ids[kind] for kind in kinds if kind != "old")
    assert names(tmp_path / "incoming") == [f"{unfinished.id}.json"]
    age(tmp_path / "bundles" / ids["deploying"], tmp_path / "incoming" / f"{unfinished.id}.json")
    repository.remove_unused()
    assert names(tmp_path / "bundles") == sorted(ids[kind] for kind in ("active", "previous", "new"))
    assert names(tmp_path / "incoming") == []


def test_a_bundles_files_go_with_it_and_those_of_others_stay(repository: Repository, tmp_path: Path) -> None:
    kept, gone = bundles.null(source_name="kept"), bundles.null(source_name="gone", cases=3)
    for bundle in (kept, gone):
        bundles.put(repository, bundle)
    repository.set_record("m", Record(active=kept.id))
    age(tmp_path / "bundles" / gone.id, *(tmp_path / "blobs").iterdir())
    repository.remove_unused()
    assert names(tmp_path / "blobs") == sorted({entry.sha256 for entry in kept.manifest.files.values()})
    assert repository.deployment("m", kept.id).manifest == kept.manifest


def test_an_old_bundle_that_is_asked_for_again_outlives_the_deploy_of_another(
    repository: Repository, tmp_path: Path
) -> None:
    """Its host was told that nothing is missing, and has not activated it yet."""
    bundle = bundles.put(repository, bundles.null())
    age(tmp_path / "bundles" / bundle)
    assert repository.offer(bundles.null().manifest).missing == ()
    repository.remove_unused()
    assert repository.deployment("m", bundle).bundle == bundle


def test_files_of_an_unfinished_push_outlive_the_deploy_of_another(repository: Repository, tmp_path: Path) -> None:
    """The first file came long ago: its host was told so, and is sending the next."""
    bundle = bundles.null()
    first, second, *_ = repository.offer(bundle.manifest).missing
    send(repository, bundle, first.sha256)
    age(*(tmp_path / "blobs").iterdir(), *(tmp_path / "incoming").iterdir())
    assert second.sha256 in {entry.sha256 for entry in repository.offer(bundle.manifest).missing}
    repository.remove_unused()
    assert first.sha256 not in {entry.sha256 for entry in repository.offer(bundle.manifest).missing}


@pytest.mark.parametrize("seed", [1, 2])
def test_after_a_kill_at_any_moment_a_version_is_served_whole(tmp_path: Path, seed: int) -> None:
    """Thirty kills of a process that deploys three versions in turn and removes what it does not need."""
    ended = subprocess.run(
        [sys.executable, KILLED_DEPLOYS, tmp_path, "30", str(seed)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    found = json.loads(ended.stdout)
    assert sum(found.values()) == 30
    assert set(found) == {"version 1", "version 2", "version 3"}  # the kills came neither too early nor too late


def test_the_models_of_all_bundles_that_can_be_served(repository: Repository, tmp_path: Path) -> None:
    first, second = bundles.null(), bundles.null(TensorSpec(name="y", dtype="uint8", shape=(3,)))
    for bundle in (first, first.with_file("more", b"1"), second):
        bundles.put(repository, bundle)
    unsent = second.with_file("model.json", b"not sent")
    repository.offer(unsent.manifest)
    mine, other = (bundle.manifest.files["model.json"].sha256 for bundle in (first, second))
    assert repository.models() == {mine, other}
    (tmp_path / "bundles" / second.id / "model.json").unlink()
    assert repository.models() == {mine}


def test_a_bundle_of_another_version_of_boardfit_has_no_model_for_this_one(
    repository: Repository, tmp_path: Path
) -> None:
    bundles.put(repository, bundles.null())
    manifest = json.loads(bundles.null().manifest.canonical_json()) | {"schema_version": 99, "shard": 3}
    content = json.dumps(manifest).encode()
    folder = tmp_path / "bundles" / hashlib.sha256(content).hexdigest()
    (tmp_path / "bundles" / bundles.null().id).rename(folder)
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(IncompleteBundleError, match="another version of boardfit"):
        repository.deployment("m", folder.name)
    assert repository.models() == set()
