"""What each rate costs on a board: latency and memory, each model deployed for as long as it is measured."""

import json
from pathlib import Path

from contract.profile import Profile
from contract.results import BenchRow
from host import benching, disk
from host.bundle import Request, make
from host.client import AgentClient
from host.progress import Progress
from host.reproduction.plan import Unit
from host.reproduction.summary import auc_of, control_of
from host.reproduction.unit import Result
from host.store import Store
from host.temporary import temporarily

RUNS = 1000


def measured_units(results: tuple[Result, ...]) -> list[Result]:
    """The control and every rate of the first seed: how long a model takes does not depend on what it has learned."""
    seed = results[0].unit.seed
    return [
        control_of(results, seed),
        *(each for each in results if each.unit.seed == seed and each.unit.kind == "rate"),
    ]


def measure(
    folder: Path, results: tuple[Result, ...], client: AgentClient, profile: Profile, store: Store, progress: Progress
) -> dict[Unit, BenchRow]:
    """A row for each of `measured_units`, stored; those measured before on this board are taken from the folder.

    Each model runs on one thread where its runtime lets that be chosen: what is compared are models, not schedulers.
    """
    rows = {}
    chosen = measured_units(results)
    control_auc = auc_of(chosen[0], "normalised")
    for result in chosen:
        kept = folder / f"{result.unit.name}.{client.board}.json"
        if kept.is_file():
            rows[result.unit] = BenchRow.model_validate_json(kept.read_bytes())
            continue
        progress.stage(f"measuring {result.unit.name} on {client.board}")
        options = {"threads": 1} if profile.runtime == "ort" else None
        bundle = make(Request(folder / f"{result.unit.name}.onnx", {}, options=options), profile, progress.stage)
        auc = auc_of(result, "normalised")
        with temporarily(client, bundle, progress) as (name, _):
            asked = benching.Request(name, RUNS, interrupt=True, auc=auc, auc_drop=control_auc - auc)
            [row] = benching.bench(client, store, asked, progress)
        disk.replace(kept, json.dumps(row.model_dump(mode="json")).encode())
        rows[result.unit] = row
    return rows
