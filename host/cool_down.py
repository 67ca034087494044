"""Waiting between trials until the board is as cool as it was before the first: what comes later is then as fast."""

import time
from collections.abc import Callable, Mapping

from host.client import AgentClient
from host.progress import Progress

TOLERANCE_C = 3.0
"""Sensors step by half a degree to a whole one, and an idle board's wander by one or two."""

MOST_S = 60.0
"""By default. A small board's heat sink, without a fan, cools by half of what is left in about as long."""

EVERY_S = 1.0
SETTLED_S = 15.0
SETTLED_C = 0.5
"""What has not become cooler by so much in so long will not become cooler by waiting: the room is warmer now."""


def cool_down(
    client: AgentClient,
    rested_c: Mapping[str, float],
    most_s: float,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """Waits until no sensor is more than TOLERANCE_C above what it was, by name in degrees Celsius; `most_s` at most.

    None then; or why that is not known, or was not reached. Interrupted, it leaves at once: nothing is held.
    """
    began_s = coolest_at_s = clock()
    coolest_c, has_waited = float("inf"), False
    while True:
        telemetry, now_s = client.telemetry(), clock()
        above_c = {name: now - rested_c[name] for name, now in telemetry.temperatures_c.items() if name in rested_c}
        if not above_c:
            reason = telemetry.unmet.get("temperatures_c", "no sensor could be read both times")
            return f"nothing was waited for: {reason}"
        warmest = max(above_c, key=lambda name: above_c[name])
        if above_c[warmest] <= TOLERANCE_C:
            if has_waited:
                progress.note(f"{client.board}: cooled down in {now_s - began_s:.0f} s")
            return None
        if above_c[warmest] <= coolest_c - SETTLED_C:
            coolest_c, coolest_at_s = above_c[warmest], now_s
        left = f"{warmest} is {above_c[warmest]:.1f} C above what it was before the first trial"
        if now_s - began_s >= most_s or now_s - coolest_at_s >= SETTLED_S:
            warm = f"after {now_s - began_s:.0f} s of cooling down {left}"
            progress.note(f"{client.board}: {warm}")
            return warm
        progress.stage(f"{client.board}: cooling down, at most {most_s:g} s")
        progress.advance(round(now_s - began_s), round(most_s), left)
        sleep(min(EVERY_S, began_s + most_s - now_s))
        has_waited = True
