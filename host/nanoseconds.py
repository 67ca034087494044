"""Nanoseconds, in which clocks and samples count, in the units in which people do."""

NS_PER_S = 1_000_000_000
NS_PER_MS = 1e6


def in_ms(nanoseconds: float | None) -> float | None:
    """What was not measured stays so."""
    return None if nanoseconds is None else nanoseconds / NS_PER_MS
