"""Energy per inference, of the power that a board drew. What the figures mean: contract/results.py."""

from collections.abc import Mapping
from typing import Any

from contract.results import Energy, Power

POWER_KEYS = tuple(f"power_mw.{name}" for name in Power.model_fields)
ENERGY_KEYS = tuple(f"energy_mj.{name}" for name in Energy.model_fields)
_MJ_PER_MW_MS = 1e-3


def energy(power: Power, mean_ms: float) -> Energy:
    """Millijoules: mean power x mean time of a run."""
    run, idle = power.run, power.idle
    return Energy(
        per_run=None if run is None else run * mean_ms * _MJ_PER_MW_MS,
        above_idle=None if run is None or idle is None else (run - idle) * mean_ms * _MJ_PER_MW_MS,
    )


def energy_columns(power: Power, mean_ms: float, unmet: Mapping[str, str]) -> dict[str, Any]:
    """By the row's own keys: both figures, each null where all of it is, and the reasons with those of the energy."""
    taken = energy(power, mean_ms)
    reasons = {
        "energy_mj.per_run": unmet.get("power_mw.run"),
        "energy_mj.above_idle": unmet.get("power_mw.run") or unmet.get("power_mw.idle"),
    }
    return {
        "power_mw": None if power == Power(idle=None, run=None) else power,
        "energy_mj": None if taken == Energy(per_run=None, above_idle=None) else taken,
        "unmet": {**unmet, **{key: reason for key, reason in reasons.items() if reason}},
    }
