"""How a board is set for a bench: what a stable one depends on, and what is found right before one."""

from typing import Literal

from contract.base import Reply
from contract.results import Flag


class TuningFinding(Reply):
    """One thing that a stable bench depends on.

    key       power_mode, clocks, swap, desktop, governor or profile
    now       how it is
    good      whether that is as it should be; null where it cannot be told
    better    what would be better, and why, where it is not good
    commands  what makes it so, on the board
    applied   ``POST /v1/tuning`` runs them; otherwise they are for the board's owner
    """

    key: str
    now: str
    good: bool | None
    better: str | None = None
    commands: tuple[str, ...] = ()
    applied: bool = False


class TuningStep(Reply):
    """One command that was to be run, and how it went. `detail`: why it is not done, and what to do about it."""

    command: str
    state: Literal["done", "failed", "needs_reboot", "skipped"]
    detail: str = ""


class Tuning(Reply):
    """How the board is set for a bench, after `steps` where there were any."""

    findings: tuple[TuningFinding, ...]
    steps: tuple[TuningStep, ...] = ()


class PreflightFinding(Reply):
    """One thing for which a bench may not show what the board can do, and the remedy.

    now       how it is
    better    what would be better, and why
    commands  what makes it so, on the board
    applied   ``POST /v1/tuning`` runs them; otherwise they are for the board's owner
    """

    flag: Flag
    now: str
    better: str
    commands: tuple[str, ...] = ()
    applied: bool = False


class Preflight(Reply):
    """What was found before a bench. `unmet` has, by "flags.NAME", why a flag could not be judged."""

    findings: tuple[PreflightFinding, ...] = ()
    unmet: dict[str, str] = {}
