"""Results of a study as it leaves them, without the training and without a board: plausible, and equal for a seed.

What is put in, so that a test can ask for it: AUC holds up to 99 % and falls beyond; on `desktop` 50 % of the weights
fewer are no faster; the original is too large for `coral`: a drop of AUC is from its float form there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from contract.results import (
    BenchRow,
    Conditions,
    Energy,
    Environment,
    Flag,
    Interval,
    Latency,
    Mean,
    Memory,
    Power,
)
from host import places
from host.store import Store
from host.study import records
from host.study.records import ImageScores, OnBoard, Opened, Taught
from host.study.results import Point, StudyResults
from host.study.spec import CONTROL_RATE, Study
from inspection.accuracy import auc

START = datetime(2026, 11, 30, 7, 30, tzinfo=UTC)
BOARDS = ("desktop", "orin-nano", "coral")
RATES = (CONTROL_RATE, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
KINDS = {"good": 23, "crack": 23, "faulty_imprint": 22, "poke": 21, "scratch": 23, "squeeze": 20}
IMAGES = tuple(f"test/{kind}/{number:03}.png" for kind, count in KINDS.items() for number in range(count))
DEFECTIVE = tuple(not image.startswith("test/good/") for image in IMAGES)
SEPARATION = {"good": 0.0, "crack": 3.0, "faulty_imprint": 2.2, "poke": 2.6, "scratch": 1.9, "squeeze": 3.4}
"""How far a kind of defect scores above the good images, in standard deviations of those."""

TRAINING_NOISE = 0.08
"""How much a score moves from one training to another, in the same unit."""

WEIGHTS = 3_200_000
MACS = 1_400_000_000
MIB = 1 << 20
ID_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True)
class Kind:
    """What a board is here: its latency in ms with nothing removed, the share of that which no compression removes."""

    profile: str
    runtime: str
    runtime_version: str
    machine: str
    os_image: str
    precision: str
    power_mode: str
    latency_ms: float
    fixed: float
    baseline_mib: float
    model_mib: float
    board_noise: float


KINDS_OF_BOARD = {
    "desktop": Kind(
        "desktop", "ort", "1.21.0", "Bench PC", "Debian 12", "fp32", "performance", 24.0, 0.15, 62, 190, 1e-4
    ),
    "orin-nano": Kind(
        "orin-nano", "trt", "10.3.0", "Jetson Orin Nano", "L4T 36.4.3", "fp16", "15W", 3.1, 0.35, 410, 260, 0.02
    ),
    "coral": Kind(
        "coral", "tflite", "2.5.0", "Coral Dev Board", "Mendel 5.3", "int8", "performance", 9.5, 0.10, 24, 330, 0.15
    ),
}
"""A board that is none of these is like `desktop`."""


def study_results(
    boards: Sequence[str] = BOARDS,
    rates: Sequence[float] = RATES,
    trials: int = 3,
    seed: int = 0,
    *,
    missing: Sequence[str] = (),
    too_small: Sequence[str] = ("coral",),
    flags: Sequence[Flag] = (),
    name: str = "capsule-sweep",
    optimistic: bool = False,
) -> StudyResults:
    """Every board, rate and trial done. `rates` ascend and begin with CONTROL_RATE.

    `missing` boards do not answer; on `too_small` ones the original does not run. `flags` are up on every row that ran.
    """
    study = Study(
        name=name,
        data=Path("/data/capsule"),
        model="medium",
        rates=tuple(map(float, rates)),
        trials=trials,
        boards=tuple(boards),
        seed=seed,
        select="test" if optimistic else "validation",
    )
    points = [(rate, trial) for rate in study.rates for trial in range(1, trials + 1)]
    taught = {point: _taught(study, *point) for point in points}
    scores = {
        (board, *point): _scores(study, *point, _kind(board).board_noise, board)
        for board in boards
        for point in points
        if board not in missing and not (board in too_small and point[0] == CONTROL_RATE)
    }
    rows = []
    for number, (board, point) in enumerate((board, point) for board in boards for point in points):
        blank = _blank(study, number, board, taught[point], _losses(point, taught))
        if board in missing:
            rows.append(_unreachable(blank))
        elif (board, *point) not in scores:
            rows.append(_too_large(blank))
        else:
            control = scores.get((board, CONTROL_RATE, point[1])) or taught[CONTROL_RATE, point[1]].scores
            assert control is not None
            aucs = {"own": _auc(scores[board, *point]), "control": _auc(control)}
            rows.append(_measured(blank, study, aucs, tuple(flags)))
    on_board = {
        (row.board, rate, row.trial): OnBoard(
            row.board,
            row.trial,
            rate,
            row.id,
            0.02 if (at := (row.board, rate, row.trial)) in scores else None,
            scores.get(at),
        )
        for row in rows
        if row.board not in missing and (rate := row.requested_rate) is not None
    }
    return StudyResults(study, START, tuple(rows), taught, on_board)


def leave(results: StudyResults) -> None:
    """All of it where a user's home has it: the records in the study's folder, the rows in the results database."""
    study, folder = results.study, results.study.folder
    records.write(folder / records.STUDY_FILE, Opened(study, "0" * 64, results.created_at))
    for (rate, trial), taught in results.taught.items():
        records.write(records.taught_path(folder, trial, rate), taught)
    for (board, rate, trial), on_board in results.on_board.items():
        records.write(records.on_board_path(folder, trial, rate, board), on_board)
    store = Store.open(places.results())
    for row in results.rows:
        store.add(row)


def changed(results: StudyResults, change: Callable[[BenchRow], Mapping[str, object] | None]) -> StudyResults:
    """With the rows as `change` has them; None leaves one out."""
    rows = [(row, change(row)) for row in results.rows]
    kept = tuple(row.model_copy(update=dict(update)) for row, update in rows if update is not None)
    return replace(results, rows=kept)


def in_two_power_modes(results: StudyResults, board: str, rate: float) -> StudyResults:
    """Its rows of one rate were measured in another mode than its others."""

    def change(row: BenchRow) -> Mapping[str, object]:
        if (row.board, row.requested_rate) != (board, rate) or row.environment is None:
            return {}
        before = row.environment.before.model_copy(update={"power_mode": "another"})
        return {"environment": row.environment.model_copy(update={"before": before})}

    return changed(results, change)


def with_latencies(results: StudyResults, ms: Mapping[float, Sequence[float]]) -> StudyResults:
    """Of these rates the trials have these means, on every board."""

    def change(row: BenchRow) -> Mapping[str, object]:
        if row.requested_rate not in ms or row.latency_ms is None:
            return {}
        return {"latency_ms": row.latency_ms.model_copy(update={"mean": ms[row.requested_rate][row.trial - 1]})}

    return changed(results, change)


def without_skill(results: StudyResults) -> StudyResults:
    """The original scores good and defective images alike, on boards and as a float model."""

    def blind(scores: ImageScores | None) -> ImageScores | None:
        noise = np.random.default_rng(0).uniform(0.01, 0.02, len(IMAGES))
        return scores and replace(scores, scores=tuple(float(score) for score in noise))

    taught = {
        at: replace(each, scores=blind(each.scores)) if at[0] == CONTROL_RATE else each
        for at, each in results.taught.items()
    }
    on_board = {
        at: replace(each, scores=blind(each.scores)) if at[1] == CONTROL_RATE else each
        for at, each in results.on_board.items()
    }
    return replace(results, taught=taught, on_board=on_board)


def _kind(board: str) -> Kind:
    return KINDS_OF_BOARD.get(board, KINDS_OF_BOARD["desktop"])


def _rng(study: Study, *what: object) -> np.random.Generator:
    """Of its own for each thing, so that one more board, rate or trial changes nothing else."""
    return np.random.default_rng([study.seed, *"/".join(map(str, what)).encode()])


def _held(rate: float) -> float:
    """The share of the separation that a model still has: all of it up to 98 %, little less at 99 %, half at 99.9 %."""
    return 1 - 0.45 * max(0.0, math.log10(0.011 / max(1 - rate, 1e-5))) if rate > 0.98 else 1.0


def _scores(study: Study, rate: float, trial: int, noise: float, where: str) -> ImageScores:
    """An image is about as hard in every trial and at every rate, which is what a paired comparison lives on."""
    hardness = _rng(study, "images").normal(0, 1, len(IMAGES))
    separation = np.array([SEPARATION[image.split("/")[1]] for image in IMAGES])
    trained = _rng(study, "trained", rate, trial).normal(0, TRAINING_NOISE, len(IMAGES))
    there = _rng(study, "there", rate, trial, where).normal(0, noise, len(IMAGES))
    latent = hardness + _held(rate) * separation + trained + there
    return ImageScores(
        "max_smoothed_squared_error", IMAGES, DEFECTIVE, tuple(float(score) for score in 0.01 * np.exp(0.5 * latent))
    )


def _auc(scores: ImageScores | None) -> float:
    assert scores is not None
    return auc(scores.scores, scores.defective)


def _taught(study: Study, rate: float, trial: int) -> Taught:
    reached = round(rate + (0.0004 if 0 < rate < 0.999 else 0), 6)
    return Taught(
        trial=trial,
        requested_rate=rate,
        rate=reached,
        weights=round(WEIGHTS * (1 - reached)),
        macs=round(MACS * (0.04 + 0.96 * (1 - reached) ** 0.7)),
        seed=study.seed + trial - 1,
        epochs=study.retrain_epochs,
        kept_epoch=study.retrain_epochs - trial,
        optimistic=study.select == "test",
        held_out_error=2e-4 / _held(rate),
        threshold=0.02,
        scores=_scores(study, rate, trial, 0.0, "float"),
    )


def _losses(point: Point, taught: dict[Point, Taught]) -> dict[str, float]:
    """The float model's AUC, and what it lost of the control's."""
    own, control = (_auc(taught[at].scores) for at in (point, (CONTROL_RATE, point[1])))
    return {"float_auc": own, "float_auc_drop": control - own}


def _blank(study: Study, number: int, board: str, taught: Taught, accuracies: dict[str, float]) -> BenchRow:
    """A row before the bench. Its id looks like those of a store."""
    digits = "".join(ID_DIGITS[number // 32**place % 32] for place in (2, 1, 0))
    return BenchRow(
        id=f"r{digits}st01",
        session=f"s{digits}st01",
        trial=taught.trial,
        measured_at=START + timedelta(minutes=number),
        board=board,
        model=f"{study.name}-{taught.requested_rate:g}",
        bundle=f"{number:064x}",
        source_name=f"rate-{taught.requested_rate:g}.onnx",
        precision=_kind(board).precision,
        through="worker",
        requested_runs=study.runs,
        inputs="golden",
        weights=taught.weights,
        macs=taught.macs,
        rate=taught.rate,
        study=study.name,
        requested_rate=taught.requested_rate,
        own_original=study.own_original,
        **accuracies,
    )


def _unreachable(blank: BenchRow) -> BenchRow:
    return blank.model_copy(
        update={
            "failure": f"{blank.board!r} does not answer at http://10.0.0.7:8420: connection refused",
            "failure_code": "board_unreachable",
        }
    )


def _too_large(blank: BenchRow) -> BenchRow:
    return blank.model_copy(
        update={
            "failure": "out of memory while loading: the model needs 354.0 MiB, 320.0 MiB are free",
            "failure_code": "out_of_memory",
        }
    )


def _measured(blank: BenchRow, study: Study, aucs: dict[str, float], flags: tuple[Flag, ...]) -> BenchRow:
    kind, rate = _kind(blank.board), blank.requested_rate
    rng = _rng(study, "bench", blank.board, rate, blank.trial)
    assert rate is not None
    assert blank.macs is not None
    mean = kind.latency_ms * (kind.fixed + (1 - kind.fixed) * _work(blank.board, rate, blank.macs))
    mean *= math.exp(rng.normal(0, 0.012))
    rails = blank.board == "orin-nano"
    why = {} if rails else dict.fromkeys(("energy_mj", "power_mw"), f"no power rail of {kind.machine} can be read")
    return blank.model_copy(
        update={
            "counted_runs": study.runs - 1,
            "first_run_ms": 3.1 * mean,
            "latency_ms": _latency(mean, study.runs - 1),
            "steady_from_run": 0,
            "latency_interval_ms": Interval(low=0.997 * mean, high=1.003 * mean),
            "steady_ms": Mean(mean=mean),
            "accelerator_ms": Mean(mean=0.8 * mean if rails else None),
            "convert_ms": Mean(mean=0.21),
            "energy_mj": Energy(per_run=7.2 * mean, above_idle=3.9 * mean) if rails else None,
            "power_mw": Power(idle=3300.0, run=7200.0) if rails else None,
            "memory": _memory(kind, blank.weights or 0, rng),
            "auc": aucs["own"],
            "auc_drop": aucs["control"] - aucs["own"],
            "environment": _environment(blank.board, kind),
            "flags": flags,
            "unmet": {**why, "decision_ms": "measured with --inputs alone"},
        }
    )


def _work(board: str, rate: float, macs: int) -> float:
    """Of the control's. Half the weights fewer: two thin layers for a thick one, no faster on a desktop's CPU."""
    return 1.0 if board == "desktop" and rate == 0.5 else macs / MACS


def _latency(mean: float, counted: int) -> Latency:
    return Latency(
        mean=mean,
        median=0.99 * mean,
        p90=1.03 * mean if counted >= 44 else None,
        p95=1.05 * mean if counted >= 90 else None,
        p99=1.12 * mean if counted >= 459 else None,
        min=0.96 * mean,
        max=1.4 * mean,
        std=0.03 * mean,
    )


def _memory(kind: Kind, weights: int, rng: np.random.Generator) -> Memory:
    """Most of what a model takes are its activations: fewer weights take little away."""
    baseline = round(kind.baseline_mib * MIB)
    model = round((kind.model_mib * (0.35 + 0.65 * weights / WEIGHTS) + rng.normal(0, 0.4)) * MIB)
    return Memory(
        peak_memory_bytes=baseline + model,
        model_peak_bytes=model,
        baseline_bytes=baseline,
        load_peak_bytes=baseline + round(0.8 * model),
        run_peak_bytes=baseline + model,
        accelerator_peak_bytes=None,
        system_delta_peak_bytes=None,
    )


def _environment(board: str, kind: Kind) -> Environment:
    rails = {"power_mw": {"VDD_IN": 3300.0}} if board == "orin-nano" else {}
    conditions = Conditions(
        power_mode=kind.power_mode,
        temperatures_c={"cpu": 41.5},
        clocks_mhz={"cpu0": 1510.4},
        swap_used_bytes=0,
        **rails,
    )
    return Environment(
        profile=kind.profile,
        machine=kind.machine,
        os_image=kind.os_image,
        kernel="6.1.0",
        cpu="x86" if board == "desktop" else "Cortex-A",
        cpu_count=4,
        memory_total_bytes=8 << 30,
        python="3.11.7",
        runtime=kind.runtime,
        runtime_version=kind.runtime_version,
        runtime_options={"threads": 2},
        agent_version="0.1.0",
        before=conditions,
        after=conditions,
    )
