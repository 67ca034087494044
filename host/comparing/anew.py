"""Both models measured again, in pairs next to each other: what slows the board down for a while slows both down."""

import random
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from contract.api import ModelInfo
from contract.results import BenchRow
from host.benching import Known, Request, bench
from host.client import AgentClient
from host.comparing.comparison import Comparison, compare
from host.comparing.runs import run_of
from host.errors import DoesNotRunError, InputError
from host.progress import Progress
from host.study.records import model_path, taught_path
from host.study.spec import folder_of

if TYPE_CHECKING:
    from host.store import Store

Side = Literal["A", "B"]
_OF_THE_BENCH = ("golden", "noise")
"""What a bench runs on by itself: no folder of images."""


@dataclass(frozen=True)
class Anew:
    """What the user asks. `seed` of the order."""

    trials: int
    seed: int
    interrupt: bool = False


def find_pair(store: "Store", run_a: str, run_b: str) -> tuple[BenchRow, BenchRow]:
    """Two rows by their ids or their starts, which are to be measured in turn. UnknownRowError, AmbiguousRowError;
    InputError where they cannot be.
    """
    a, b = store.get(run_a), store.get(run_b)
    obstacles = {
        "same_model": (a.board, a.bundle) == (b.board, b.bundle) and f"{a.id} and {b.id} are of the same model",
        "two_boards": a.board != b.board and f"{a.id} is of {a.board}, {b.id} of {b.board}: they cannot take turns",
        "two_ways": a.through != b.through and f"{a.id} was measured through {a.through}, {b.id} through {b.through}",
        "at_a_rate": (a.load or b.load)
        and f"{a.id if a.load else b.id} was measured with --rate, which --anew does not",
    }
    for code, obstacle in obstacles.items():
        if obstacle:
            raise InputError(obstacle, "take two others, or compare what there is: leave --anew out", code)
    return a, b


def compare_anew(
    client: AgentClient,
    store: "Store",
    pair: tuple[BenchRow, BenchRow],
    asked: Anew,
    progress: Progress,
    *,
    allow_different_environment: bool,
) -> Comparison:
    """Of new rows. Errors as `measure_anew` and `compare`: what was measured is stored whatever comes after it."""
    measured = measure_anew(client, store, *pair, asked, progress)
    a, b = (run_of(rows, allow_invalid=allow_different_environment) for rows in measured)
    return compare(a, b, allow_different_environment=allow_different_environment, seed=asked.seed)


def order(trials: int, seed: int) -> list[tuple[Side, Side]]:
    """Which comes first in each pair: A in half of them, and in which ones is random. Equal seeds, equal orders."""
    orders: list[tuple[Side, Side]] = [("A", "B") if number % 2 else ("B", "A") for number in range(trials)]
    random.Random(seed).shuffle(orders)
    return orders


def measure_anew(
    client: AgentClient, store: "Store", a: BenchRow, b: BenchRow, asked: Anew, progress: Progress
) -> tuple[list[BenchRow], list[BenchRow]]:
    """The new rows of A and of B, by trial, each of a fresh worker and stored at once, all of one session. Before each
    the board cools down to what it was before the first.

    InputError where the board does not have a model any more; DoesNotRunError where one does not run now.
    """
    models = client.models()
    sides: tuple[tuple[Side, BenchRow], ...] = (("A", a), ("B", b))
    requests = {side: _request(row, _deployed(row, models, client.board)) for side, row in sides}
    orders = order(asked.trials, asked.seed)
    progress.note(f"order of seed {asked.seed}: {' '.join(''.join(pair) for pair in orders)}")
    session = store.new_id()
    rows: dict[Side, list[BenchRow]] = {"A": [], "B": []}
    first: BenchRow | None = None
    for number, pair in enumerate(orders, 1):
        for side in pair:
            progress.stage(f"pair {number} of {asked.trials}: {side}")
            request = replace(
                requests[side],
                session=session,
                interrupt=asked.interrupt or first is not None,
                looks=first is None,
                rested_c=first.environment.before.temperatures_c if first and first.environment else None,
                known=replace(requests[side].known, trial=number),
            )
            [row] = bench(client, store, request, progress)
            first = first or row
            if row.failure is not None:
                raise DoesNotRunError(
                    f"{side}, {row.model}, does not run: {row.failure}", "`host results` has it", row.failure_code
                )
            rows[side].append(row)
            progress.note(f"pair {number} of {asked.trials}: {side} {_in_short(row)}, stored as {row.id}")
    return rows["A"], rows["B"]


def _request(row: BenchRow, model: ModelInfo) -> Request:
    known = Known(auc=row.auc, auc_drop=row.auc_drop, float_auc=row.float_auc, float_auc_drop=row.float_auc_drop)
    inputs = None if row.inputs in _OF_THE_BENCH else Path(row.inputs)
    return Request(model.name, row.requested_runs, through=row.through, inputs=inputs, known=known)


def _deployed(row: BenchRow, models: Sequence[ModelInfo], board: str) -> ModelInfo:
    """The model of a row, which may have another name by now. InputError."""
    same = [model for model in models if model.bundle == row.bundle]
    if same:
        return next((model for model in same if model.name == row.model), same[0])
    now = next((model for model in models if model.name == row.model), None)
    what = "is another one there now" if now else "is not there any more"
    raise InputError(
        f"{row.model!r} of {row.id} {what}: {board!r} does not serve its bundle {row.bundle[:12]}",
        f"deploy both under two names, bench each, and give these ids: host deploy --board {board} --name NAME "
        f"{_file_of(row)}",
        "not_deployed",
    )


def _file_of(row: BenchRow) -> str:
    """The model that a study has left of it, quoted for a shell; FILE where there is none."""
    if row.study is None or row.requested_rate is None:
        return "FILE"
    model = model_path(taught_path(folder_of(row.study), row.trial, row.requested_rate))
    return shlex.quote(str(model)) if model.is_file() else "FILE"


def _in_short(row: BenchRow) -> str:
    return "no request answered" if row.latency_ms is None else f"mean {row.latency_ms.mean:.4g} ms"
