"""python killed_builds.py DATA_DIR ROUNDS SEED: builds over and over, is killed over and over, and looks each time.

Run by test_building_undone.py. A process of its own, as it forks: each round's child builds until SIGKILL ends it.
"""

import hashlib
import json
import os
import random
import signal
import sys
import time
from itertools import count
from pathlib import Path

import bundles
import running
from building import deployed, engines, serving
from bundles import Bundle

from agent.engines import Engines, Ingredients

MODEL = bundles.null().files["model.json"] + b" " * 3_000_000  # it takes a while to write


def main(data_dir: Path, rounds: int, seed: int) -> None:
    """Prints how many engines were there after each round; AssertionError where half of one was."""
    chance = random.Random(seed)
    longest_s = 2 * seconds_of_one(data_dir)
    found = []
    for number in range(1, rounds + 1):
        opened, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            build_forever(data_dir, 1000 * number, tell)
        os.close(tell)
        os.read(opened, 1)
        os.close(opened)
        time.sleep(chance.uniform(0.0, longest_s))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        found.append(look(data_dir))
    print(json.dumps(found))


def bundle(number: int) -> Bundle:
    """The same model for so many another device: there is no engine yet."""
    return bundles.null(architecture=number).with_file("model.json", MODEL).to_build()


def seconds_of_one(data_dir: Path) -> float:
    """On this disk, now."""

    async def build() -> float:
        async with serving(data_dir) as service:
            began = time.monotonic()
            await deployed(service, bundle(0))
            return time.monotonic() - began

    return running.run(build())


def build_forever(data_dir: Path, first: int, tell: int) -> None:
    async def build() -> None:
        async with serving(data_dir) as service:
            os.write(tell, b"!")
            for number in count(first):
                await deployed(service, bundle(number))

    try:
        running.run(build())
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(1)


def look(data_dir: Path) -> int:
    """How many engines a new agent would take: whole ones. What is not goes with the next removal."""
    there = Engines(data_dir)
    for folder in engines(data_dir):
        made = json.loads((folder / "made.json").read_bytes())
        engine = there.find(Ingredients.model_validate(made["ingredients"]))
        assert engine is not None, folder
        assert engine.path.read_bytes() == MODEL, folder
    there.remove_unused({hashlib.sha256(MODEL).hexdigest()})
    assert {path for path in (data_dir / "engines").iterdir() if path.is_dir()} == set(engines(data_dir))
    return len(engines(data_dir))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
