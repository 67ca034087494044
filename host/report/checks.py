"""What was tried on a board, as a table or as JSON."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from host.report.layout import add_row, table, text
from host.verifying import Check

if TYPE_CHECKING:
    from rich.console import Group


def checks_table(checks: Sequence[Check]) -> "Group":
    """One line per check, in the order they were tried; hints of those that failed below."""
    from rich.console import Group

    shown = table("Of", "Tried", "Passed", "What")
    for check in checks:
        add_row(shown, check.subject, check.what, "no" if check.failure else "yes", check.detail)
    failed = [check.failure for check in checks if check.failure]
    verdict = f"{len(failed)} of {len(checks)} checks failed" if failed else f"all {len(checks)} checks passed"
    hints = [text(f"hint: {failure.hint}") for failure in {failure.hint: failure for failure in failed}.values()]
    return Group(shown, text(""), text(verdict, "bold"), *hints)


def checks_as_json(checks: Sequence[Check]) -> str:
    return json.dumps(
        [
            {
                "subject": check.subject,
                "what": check.what,
                "passed": check.failure is None,
                "detail": check.detail,
                "code": check.failure and check.failure.code,
                "hint": check.failure and check.failure.hint,
            }
            for check in checks
        ]
    )
