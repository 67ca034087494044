"""Does a study that is killed again and again come to the same as one that is left alone?

    python -m benchmarks.study_killed [--try]

The study of quick_study.py, once without a disturbance, and once more, killed with all of its process group 20 times at
random moments (seeded) and taken up again each time. Bars: the first ends within 30 minutes on two cores; the second
ends with the same row keys, models, and values of all that is no timing, and no row that was stored before a kill is
lost or measured again. An hour and a quarter on two cores; `--try` takes minutes.
"""

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import quick_study
from benchmarks.agents import scratch
from benchmarks.quick_study import TRY, Scale
from benchmarks.verdict import machine, tell
from host.store import Store
from host.study.records import STUDY_FILE

SEED = 20261201
KILLS = 20
WITHIN_S = 1800.0


@dataclass(frozen=True)
class Killed:
    """What a study came to whose process group was killed so many times; `lost`: rows that were there at a kill and are
    not at the end, by their ids.
    """

    facts: dict[str, Any]
    kills: int
    lost: frozenset[str]


def main(scale: Scale = Scale(), kills: int = KILLS) -> bool:  # noqa: B008  # it is frozen
    print(f"A study, killed {kills} times: {scale}. {machine()}, load {os.getloadavg()[0]:.1f}", flush=True)
    with scratch() as root:
        quick_study.draw(root / "images", scale)
        began = time.monotonic()
        alone = _left_alone(root / "alone", root / "images", scale)
        taken_s = time.monotonic() - began
        print(f"  left alone: {taken_s:.0f} s, {len(alone)} rows, models and records", flush=True)
        began = time.monotonic()
        killed = _killed(root / "killed", root / "images", scale, kills, taken_s / kills)
        print(f"  killed: {time.monotonic() - began:.0f} s in all, {len(killed.facts)} rows, models and records")
        different = quick_study.tell_differences(alone, killed.facts)
    measured = sum(key.startswith("row") and value["failure"] is None for key, value in alone.items())
    return all(
        [
            tell(
                f"{measured} rows of {scale.row_count} in {taken_s / 60:.1f} min, at most {WITHIN_S / 60:.0f}",
                measured == scale.row_count and taken_s <= WITHIN_S,
            ),
            tell(
                f"killed {killed.kills} times of {kills}: {different} differences, {len(killed.lost)} rows lost or "
                "measured again",
                killed.kills == kills and not different and not killed.lost,
            ),
        ]
    )


def _left_alone(home: Path, images: Path, scale: Scale) -> dict[str, Any]:
    try:
        _ended(quick_study.started(home, images, scale))
    finally:
        quick_study.end_agent(home)
    return quick_study.facts(home)


def _killed(home: Path, images: Path, scale: Scale, kills: int, mean_s: float) -> Killed:
    """`mean_s`: from a start to its kill, on average; each is drawn from 0 to twice as long."""
    moments = random.Random(SEED)
    seen: set[str] = set()
    done = 0
    try:
        while done < kills:
            process = _taken_up(home, images, scale)
            after_s = moments.uniform(0, 2 * mean_s)
            try:
                process.wait(after_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                done += 1
                seen |= _row_ids(home)
                print(
                    f"  killed after {after_s:.0f} s: {len(_row_ids(home))} rows of {scale.row_count}, "
                    f"{quick_study.taught_count(home)} models of {scale.model_count}",
                    flush=True,
                )
            else:
                break  # it has ended before: fewer kills than asked for, which the verdict tells
        _ended(_taken_up(home, images, scale))
    finally:
        quick_study.end_agent(home)
    return Killed(quick_study.facts(home), done, frozenset(seen - _row_ids(home)))


def _taken_up(home: Path, images: Path, scale: Scale) -> "subprocess.Popen[bytes]":
    """Begun, where a kill came before that was stored."""
    is_begun = (quick_study.folder(home) / STUDY_FILE).is_file()
    return quick_study.resumed(home) if is_begun else quick_study.started(home, images, scale)


def _row_ids(home: Path) -> set[str]:
    path = home / "data" / "results.sqlite"
    return {row.id for row in Store.open(path).rows(study=quick_study.NAME)} if path.is_file() else set()


def _ended(process: "subprocess.Popen[bytes]") -> None:
    """RuntimeError where it is not a good end. It is killed where this is."""
    try:
        process.wait()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode:
        raise RuntimeError(f"the study ended with {process.returncode}")


if __name__ == "__main__":
    sys.exit(0 if (main(TRY, 5) if "--try" in sys.argv else main()) else 1)
