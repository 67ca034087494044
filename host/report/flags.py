"""Flags of rows in words: which are up, what is to be done about each, and which could not be judged."""

from collections.abc import Sequence
from typing import get_args

from contract.results import COOL_DOWN, BenchRow, Flag

REMEDIES: dict[Flag, str] = {
    "throttled": "let the board cool, give it a fan or a larger heat sink, and a power supply that suffices",
    "clocks_moved": "leave the board's power mode and clocks alone meanwhile; what else sets them on it?",
    "swapped": "free memory on the board, or take a smaller model: what is swapped out is read back from a disk",
    "other_load": "end what else runs on the board: `host bench` names the busiest before it begins",
    "clocks_not_fixed": "`host tune` says what makes them stand still",
    "power_mode": "`host tune` says what sets the mode of most performance",
    "on_battery": "plug the charger in",
    "swap_in_use": "end what takes the board's memory, then take back what is swapped out: swapoff -a, swapon -a",
    "unstable": "measure with --trials: one run of the bench says nothing of the next",
    "client_late": "ask from a faster host, or from one that does less",
}
"""What a reader of a row can do about it; what is so on one board, with its commands, is told before a bench."""


def in_words(flag: Flag) -> str:
    return flag.replace("_", " ")


def flags_in_words(row: BenchRow) -> str:
    return ", ".join(map(in_words, row.flags)) or "none"


def remedies(rows: Sequence[BenchRow]) -> list[str]:
    """A line for each flag that is up in one of the rows."""
    up = {flag for row in rows for flag in row.flags}
    return [f"{in_words(flag)}: {REMEDIES[flag]}" for flag in get_args(Flag) if flag in up]


def unjudged(rows: Sequence[BenchRow]) -> str:
    """Flags that may be up or not in one of the rows, by the reason why that could not be told, each told once."""
    reasons: dict[str, str] = {}
    for row in rows:
        for key, reason in row.unmet.items():
            if key.startswith("flags."):
                reasons.setdefault(key.removeprefix("flags.").replace("_", " "), reason)
    flags: dict[str, list[str]] = {}
    for flag, reason in reasons.items():
        flags.setdefault(reason, []).append(flag)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in flags.items())


def warm(rows: Sequence[BenchRow]) -> list[str]:
    """Why trials began on a board that was warmer than before the first, or may have been: a line for each reason."""
    trials: dict[str, list[str]] = {}
    for row in rows:
        if COOL_DOWN in row.unmet:
            trials.setdefault(row.unmet[COOL_DOWN], []).append(str(row.trial))
    return [f"Cool-down before trial {', '.join(numbers)}: {reason}" for reason, numbers in trials.items()]
