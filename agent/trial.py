"""One trial's figures, and for each that is null the reason. Pure: what the figures mean is in contract/results.py."""

from dataclasses import dataclass
from typing import Literal, get_args

from agent.engines import Engine
from agent.loading import Deployment, Loaded
from agent.power import Drawn
from agent.telemetry import BoardDescription, MemoryFall, Observation, OtherLoad, judge
from agent.worker import wire
from contract.api import Measurement
from contract.manifest import Manifest
from contract.results import Environment, Flag, Memory
from contract.tuning import Preflight


@dataclass(frozen=True)
class Trial:
    """What one fresh worker gave; `after`: the board right after the counted runs, the worker still there."""

    loaded: Loaded
    reply: wire.Message
    fall: MemoryFall
    other_load: OtherLoad
    after: Observation
    decisions_ns: tuple[int, ...]
    drawn: Drawn


def measurement(
    deployment: Deployment,
    trial: Trial,
    board: BoardDescription,
    headline: Literal["process", "system"],
    before: Observation,
    stopped: list[str],
    found: Preflight,
) -> Measurement:
    """All of it. `headline`: which peak `peak_memory_bytes` is; `found`: how the board was set."""
    validity = judge(before, trial.after, trial.other_load)
    peaks = memory(deployment, trial, headline)
    return Measurement(
        model=deployment.name,
        bundle=deployment.bundle,
        accelerator_ns_mean=trial.reply["accelerator_ns"],
        convert_ns_mean=trial.reply["convert_ns"],
        decision_ns=trial.decisions_ns,
        memory=peaks,
        environment=environment(deployment, trial.loaded, board, before, trial.after),
        flags=_in_order({*validity.flags, *(finding.flag for finding in found.findings)}),
        stopped_models=tuple(stopped),
        unmet=board.unmet
        | before.unmet
        | trial.after.unmet
        | validity.unmet
        | found.unmet
        | _unmet_memory(peaks, trial, deployment.engine)
        | _unmet_times(trial, deployment.manifest)
        | trial.drawn.unmet,
        power_mw=trial.drawn.power,
    )


def _in_order(flags: set[Flag]) -> tuple[Flag, ...]:
    return tuple(flag for flag in get_args(Flag) if flag in flags)


def environment(
    deployment: Deployment, loaded: Loaded, board: BoardDescription, before: Observation, after: Observation | None
) -> Environment:
    """What a row of this deployment is measured on; `after` None where it is still under way."""
    return board.environment(
        python=loaded.python_version,
        runtime=deployment.manifest.runtime.key,
        runtime_version=loaded.runtime_version,
        runtime_options=deployment.manifest.runtime.options,
        runtime_details=loaded.details,
        before=before.conditions,
        after=after.conditions if after else None,
    )


def memory(deployment: Deployment, trial: Trial, headline: Literal["process", "system"]) -> Memory:
    """The peaks. The headline of a process has what is on its accelerator in it: that is held as long as it runs."""
    load_peak, run_peak = trial.loaded.load_peak_bytes, trial.reply["run_peak_bytes"]
    accelerator = trial.reply["accelerator_bytes"]
    process_peak = max((figure for figure in (load_peak, run_peak) if figure is not None), default=None)
    if headline == "system":
        peak, baseline = trial.fall.greatest_fall_bytes, _system_baseline(trial)
    else:
        peak = None if process_peak is None else process_peak + (accelerator or 0)
        baseline = trial.loaded.baseline_bytes
    engine = deployment.engine
    return Memory(
        peak_memory_bytes=peak,
        model_peak_bytes=None if peak is None or baseline is None else max(0, peak - baseline),
        baseline_bytes=baseline,
        build_peak_bytes=engine.build.build_peak_bytes if engine else None,
        load_peak_bytes=load_peak,
        run_peak_bytes=run_peak,
        accelerator_peak_bytes=accelerator,
        system_delta_peak_bytes=trial.fall.greatest_fall_bytes,
    )


def _system_baseline(trial: Trial) -> int | None:
    """How far MemAvailable had fallen when the runtime was initialised: as its worker read it, and we before it."""
    before, then = trial.fall.baseline_bytes, trial.loaded.available_bytes
    return None if before is None or then is None else max(0, before - then)


def _unmet_memory(peaks: Memory, trial: Trial, engine: Engine | None) -> dict[str, str]:
    reasons = {
        "build_peak_bytes": "nothing was built on the board",
        **(engine.build.unmet if engine else {}),
        "accelerator_peak_bytes": "the runtime holds no memory of an accelerator that is not the board's own",
        "system_delta_peak_bytes": trial.fall.unmet or "MemAvailable was not watched",
        "baseline_bytes": trial.loaded.unmet.get("available_bytes") or trial.fall.unmet or "the worker does not say",
        "peak_memory_bytes": "the peaks it is taken from are not known",
        "model_peak_bytes": "the peak, or the baseline it is taken from, is not known",
        **trial.loaded.unmet,
        **trial.reply["unmet"],
    }
    missing = [name for name, figure in peaks.model_dump().items() if figure is None]
    return {name: reasons.get(name, "the worker does not say") for name in missing}


def _unmet_times(trial: Trial, manifest: Manifest) -> dict[str, str]:
    reasons = {}
    if trial.reply["convert_ns"] is None and manifest.artifact:
        reasons["convert_ms.mean"] = "there was but one run"
    elif trial.reply["convert_ns"] is None:
        reasons["convert_ms.mean"] = "nothing to convert: the artifact takes and gives the types of the signature"
    if trial.reply["accelerator_ns"] is None:
        reasons["accelerator_ms.mean"] = "the runtime cannot tell"
    if not trial.decisions_ns:
        reasons["decision_ms.mean"] = (
            "bench with --inputs DIR of images for it" if manifest.score else "the model has no score"
        )
    return reasons
