"""What each rate costs on a board: latency and memory, each model deployed for as long as it is measured."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from contract.profile import Profile
from contract.results import BenchRow
from host import benching, disk
from host.client import AgentClient
from host.converting import Request, make
from host.deploying import failure_row
from host.errors import DoesNotRunError
from host.progress import Progress
from host.reproduction.plan import Unit
from host.reproduction.records import Result
from host.reproduction.summary import auc_of, control_of
from host.store import Store
from host.temporary import temporarily

RUNS = 1000


@dataclass(frozen=True)
class Board:
    """What to measure on, and where the rows go."""

    client: AgentClient
    profile: Profile
    store: Store


def measured_units(results: tuple[Result, ...]) -> list[Result]:
    """The control and every rate of the first seed: how long a model takes does not depend on what it has learned."""
    seed = results[0].unit.seed
    return [
        control_of(results, seed),
        *(each for each in results if each.unit.seed == seed and each.unit.kind == "rate"),
    ]


def measure(
    folder: Path, results: tuple[Result, ...], board: Board, interrupt: bool, progress: Progress
) -> dict[Unit, BenchRow]:
    """A row for each of `measured_units`, stored; those measured before on this board are taken from the folder. One
    that does not run there is a row, too. BusyError where it serves requests and `interrupt` does not allow for that.

    Each model runs on one thread where its runtime lets that be chosen: what is compared are models, not schedulers.
    """
    rows = {}
    chosen = measured_units(results)
    control_auc = auc_of(chosen[0], "normalised")
    for result in chosen:
        kept = folder / f"{result.unit.name}.{board.client.board}.json"
        if kept.is_file():
            rows[result.unit] = BenchRow.model_validate_json(kept.read_bytes())
            continue
        progress.stage(f"measuring {result.unit.name} on {board.client.board}")
        auc = auc_of(result, "normalised")
        known = benching.Known(float_auc=auc, float_auc_drop=control_auc - auc)
        asked = benching.Request("", RUNS, interrupt=interrupt, known=known, looks=not rows)
        row = _measured(folder / f"{result.unit.name}.onnx", asked, board, progress)
        disk.replace(kept, json.dumps(row.model_dump(mode="json")).encode())
        rows[result.unit] = row
    return rows


def _measured(model: Path, asked: benching.Request, board: Board, progress: Progress) -> BenchRow:
    options = {"threads": 1} if board.profile.runtime == "ort" else None
    bundle = make(Request(model, {}, options=options), board.profile, progress.stage)
    try:
        with temporarily(board.client, bundle, progress) as (name, _):
            [row] = benching.bench(board.client, board.store, replace(asked, model=name), progress)
    except DoesNotRunError as error:
        failed = failure_row(board.store.new_id(), board.client.board, model.stem, bundle.manifest, error)
        row = failed.model_copy(update=asked.known.columns())
        board.store.add(row)
    return row
