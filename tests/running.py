"""Runs a coroutine as the agent does, under uvloop, and looks for what it leaves behind."""

import asyncio
import gc
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from agent.errors import AgentError

T = TypeVar("T")

uvloop.run(asyncio.sleep(0))  # its first loop opens files that stay


def run(main: Coroutine[Any, Any, T]) -> T:
    """Its result. AssertionError where it leaves an exception nobody has seen, a task, a process or an open file."""
    lost: list[dict[str, Any]] = []
    files_before = open_files()
    gc.freeze()  # what is there already need not be looked at again: a collection would take longer than most tests
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(lambda _loop, context: lost.append(context))
            try:
                result = runner.run(_without_leftovers(main))
            except BaseException:
                for pid in children():
                    os.kill(pid, signal.SIGKILL)  # uvloop waits for them when it is closed
                raise
            gc.collect()  # an exception nobody has seen is told when its task goes
        gc.collect()
    finally:
        gc.unfreeze()
    assert not lost, lost
    assert children() == []
    left = open_files().items() - files_before.items()
    assert not left, left
    return result


async def _without_leftovers(main: Coroutine[Any, Any, T]) -> T:
    result = await main
    for _ in range(5):
        await asyncio.sleep(0)  # a task that has just been cancelled ends
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left
    return result


async def outcome(work: Awaitable[Any]) -> str:
    """How it ends: "done", "cancelled", or the code of the agent's error."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task})
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    if error is None:
        return "done"
    assert isinstance(error, AgentError), error
    return error.code


async def until(condition: Callable[[], object], deadline_s: float = 10.0) -> None:
    """Waits for what no event tells. TimeoutError."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 - for want of an event
            await asyncio.sleep(0.002)


def children() -> list[int]:
    """Process ids, those that have ended and were not waited for among them."""
    found: list[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            continue
    return found


def open_files() -> dict[int, str]:
    """This process's descriptors and what they are; anonymous inodes without their numbers."""
    files = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            files[int(entry.name)] = str(entry.readlink()).partition(":[")[0]
        except FileNotFoundError:  # the descriptor this listing itself used
            continue
    return files
