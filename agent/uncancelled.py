"""Work that must not be left half done: a cancellation waits for it.

asyncio.shield alone would let the caller go on at once, and the work would run beside whatever follows.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def whole(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` to its end however often its caller is cancelled, and raises the cancellation afterwards."""
    task, cancelled = await _to_the_end(work)
    if cancelled:
        task.exception()  # the cancellation is what counts now; unread, it would be reported as lost
        raise cancelled
    return task.result()


async def committed(work: Coroutine[Any, Any, T]) -> T:
    """The same for what cannot be undone: a cancellation has come too late, and is forgotten. `work` may still fail."""
    task, cancelled = await _to_the_end(work)
    caller = asyncio.current_task()
    if cancelled and caller:
        while caller.uncancel():
            pass
    return task.result()


async def _to_the_end(work: Coroutine[Any, Any, T]) -> tuple[asyncio.Task[T], asyncio.CancelledError | None]:
    task = asyncio.ensure_future(work)
    cancelled = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    return task, cancelled
