"""What a bench is measured under: what the board's agent finds before it is told, and goes into the rows."""

from collections.abc import Sequence
from typing import get_args

from contract.results import BenchRow, Flag
from contract.tuning import Preflight, PreflightFinding
from contract.version import __version__
from host.client import AgentClient
from host.errors import BoardError, NotFitError
from host.progress import Progress
from host.report.flags import in_words

OF_SETTINGS: tuple[Flag, ...] = ("clocks_not_fixed", "power_mode", "on_battery", "swap_in_use")
"""Flags that hold for the whole bench as they were found before it. The others may still come up during it."""

OLDER = "the board's agent is older than this host: it does not tell"


def look(client: AgentClient, progress: Progress, *, strict: bool) -> Preflight:
    """Asks the board, and tells each finding with its remedy. NotFitError where `strict` wants none."""
    progress.stage(f"{client.board}: looking at what it would be measured under")
    try:
        found = client.preflight()
    except BoardError as error:
        if error.code != "not_found":  # the code of a path that the agent does not have
            raise
        if strict:
            raise BoardError(
                f"the agent of {client.board!r} cannot say whether its board is fit for a bench: it is older than this "
                f"host (boardfit {__version__})",
                "install the same boardfit on both, or leave out --strict",
                error.code,
            ) from error
        return Preflight(unmet={f"flags.{flag}": OLDER for flag in OF_SETTINGS})
    if strict and found.findings:
        raise NotFitError(
            f"{client.board!r} is not fit for a bench: "
            + "; ".join(f"{in_words(finding.flag)}: {finding.now}" for finding in found.findings),
            "; ".join(map(_remedy, found.findings)),
        )
    for finding in found.findings:
        progress.note(f"{client.board}: {in_words(finding.flag)}: {finding.now}. Better: {_remedy(finding)}")
    return found


def _remedy(finding: PreflightFinding) -> str:
    commands = "; ".join(finding.commands)
    if not commands:
        return finding.better
    return f"{finding.better} (on the board: {commands}{', or: host tune --apply' if finding.applied else ''})"


def with_findings(row: BenchRow, found: Preflight) -> BenchRow:
    """The row with what was found before it, as far as its own measurement could not judge that.

    A flag that was not up before may have come up during the bench; one of a setting holds as it was found.
    """
    up = {finding.flag for finding in found.findings}
    unjudged = {flag for flag in get_args(Flag) if f"flags.{flag}" in row.unmet}
    told = {flag for flag in unjudged if flag in up or (flag in OF_SETTINGS and f"flags.{flag}" not in found.unmet)}
    of_settings = {key: reason for key, reason in found.unmet.items() if key.removeprefix("flags.") in OF_SETTINGS}
    unmet = {key: of_settings.get(key, reason) for key, reason in row.unmet.items()}
    return row.model_copy(
        update={
            "flags": tuple(flag for flag in get_args(Flag) if flag in row.flags or flag in told & up),
            "unmet": {key: reason for key, reason in unmet.items() if key.removeprefix("flags.") not in told},
        }
    )


def unfit(rows: Sequence[BenchRow]) -> NotFitError | None:
    """What --strict says of rows that were measured, and stored as they are: of the flags that came up during it."""
    flagged = [row for row in rows if row.flags]
    if not flagged:
        return None
    flags = {flag for row in flagged for flag in row.flags}
    named = ", ".join(in_words(flag) for flag in get_args(Flag) if flag in flags)
    return NotFitError(
        f"{len(flagged)} of {len(rows)} trials may not show what the board can do: {named}",
        f"they are stored with these flags ({', '.join(row.id for row in flagged)}): mend it, and measure again",
    )
