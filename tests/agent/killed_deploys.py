"""python killed_deploys.py DATA_DIR ROUNDS SEED: deploys over and over, is killed over and over, and looks each time.

Run by test_repository.py. A process of its own, as it forks: each round's child deploys until SIGKILL ends it.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import bundles

from agent.repository import Record, Repository

AGO = time.time() - 10_000


def main(data_dir: Path, rounds: int, seed: int) -> None:
    """Prints how often each version was found; AssertionError where half of one was."""
    versions = [bundles.null(source_name=f"version {number}", cases=number) for number in (1, 2, 3)]
    chance = random.Random(seed)
    longest_s = 2 * seconds_of_one(data_dir, versions)
    found: dict[str, int] = {}
    for number in range(rounds):
        opened, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            deploy_forever(data_dir, versions, number, tell)
        os.close(tell)
        os.read(opened, 1)
        os.close(opened)
        time.sleep(chance.uniform(0.0, longest_s))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        served = look(data_dir)
        found[served] = found.get(served, 0) + 1
    print(json.dumps(found))


def seconds_of_one(data_dir: Path, versions: list[bundles.Bundle]) -> float:
    """On this disk, now."""
    repository = Repository(data_dir, 1 << 20)
    began = time.monotonic()
    for bundle in versions:
        deploy(repository, bundle, data_dir)
    repository.close()
    return (time.monotonic() - began) / len(versions)


def deploy_forever(data_dir: Path, versions: list[bundles.Bundle], number: int, tell: int) -> None:
    try:
        repository = Repository(data_dir, 1 << 20)
        os.write(tell, b"!")
        while True:
            number += 1
            deploy(repository, versions[number % len(versions)], data_dir)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def deploy(repository: Repository, bundle: bundles.Bundle, data_dir: Path) -> None:
    """And what nobody needs any more goes."""
    wanted = bundles.put(repository, bundle)
    repository.deployment("m", wanted)
    active = repository.records().get("m")
    if active is None or active.active != wanted:
        repository.set_record("m", Record(active=wanted, previous=active.active if active else None))
    for path in (*(data_dir / "bundles").iterdir(), *(data_dir / "blobs").iterdir()):
        os.utime(path, (AGO, AGO))
    repository.remove_unused()


def look(data_dir: Path) -> str:
    """Which version a new agent would serve. Every bundle that has its name is whole."""
    repository = Repository(data_dir, 1 << 20)
    try:
        record = repository.record("m")
        for bundle in filter(None, (record.active, record.previous)):
            repository.deployment("m", bundle)
        for folder in (data_dir / "bundles").glob("[!.]*"):
            deployment = repository.deployment("m", folder.name)
            for path, entry in deployment.manifest.files.items():
                content = (folder / path).read_bytes()
                assert hashlib.sha256(content).hexdigest() == entry.sha256, (folder, path)
        return repository.deployment("m", record.active).manifest.provenance.source_name
    finally:
        repository.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
