"""How a board is set for a bench, what would be better, and what was done, as tables."""

from typing import TYPE_CHECKING

from contract.tuning import Tuning, TuningFinding, TuningStep
from host.report.layout import Notes, add_row, apart, table, text

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

LABELS = {
    "power_mode": "Power mode",
    "clocks": "Clocks",
    "desktop": "Desktop",
    "swap": "Swap",
    "governor": "CPU governor",
    "profile": "Firmware's power profile",
}
OUTCOMES = {"done": "done", "failed": "failed", "needs_reboot": "needs a reboot", "skipped": "not run"}


def tuning_table(tuning: Tuning, *, applied: bool) -> "Group":
    """What was done first, then how the board is set now, then the commands that would make it better."""
    from rich.console import Group

    notes = Notes()
    parts: list[RenderableType] = []
    if tuning.steps:
        parts.append(_steps(tuning.steps, notes))
    parts.append(_findings(tuning.findings))
    parts += _commands(tuning.findings, applied=applied)
    if lines := notes.lines():
        parts.append(Group(*lines))
    return Group(*apart(parts))


def _steps(steps: tuple[TuningStep, ...], notes: Notes) -> "RenderableType":
    shown = _of_prose("Command", "Outcome")
    for step in steps:
        outcome = OUTCOMES[step.state]
        add_row(shown, step.command, f"{outcome} {notes.mark(step.detail)}" if step.detail else outcome)
    return shown


def _findings(findings: tuple[TuningFinding, ...]) -> "RenderableType":
    shown = _of_prose("What", "Now", "Better")
    for finding in findings:
        better = finding.better or ("as it should be" if finding.good else "not known")
        add_row(shown, LABELS.get(finding.key, finding.key), finding.now, better)
    return shown


def _of_prose(*heads: str) -> "Table":
    """A table all of whose columns may be folded."""
    shown = table(*heads)
    for column in shown.columns:
        column.no_wrap = False
    return shown


def _commands(findings: tuple[TuningFinding, ...], *, applied: bool) -> "list[RenderableType]":
    """By whom: what --apply runs, unless it just did; and what is for the board's owner."""
    from rich.console import Group

    ours = [command for finding in findings if finding.applied for command in finding.commands]
    owners = [command for finding in findings if not finding.applied for command in finding.commands]
    parts: list[RenderableType] = []
    if ours and not applied:
        parts.append(Group(text("--apply runs on the board:"), *(text(f"  {command}") for command in ours)))
    if owners:
        parts.append(Group(text("For you to run on the board:"), *(text(f"  {command}") for command in owners)))
    return parts
