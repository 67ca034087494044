"""The threshold is a property of the artifact: another runtime or precision moves every score a little.

It is found on the board, from the bundle's held-out good images, each taken the way of a request that brings an image.
"""

import asyncio

from agent import decision
from agent.arena import Slot
from agent.errors import BadImageError
from agent.loading import Deployment
from agent.supervisor import Supervisor
from agent.uncancelled import whole
from contract.manifest import FilePath


async def threshold_of(supervisor: Supervisor) -> float | None:
    """What `inspection.accuracy.threshold_from_good` makes of the good images' scores; None without a good image.

    Requests may come meanwhile; a full queue is waited for. WorkerFailedError, ModelNotReadyError; BadImageError names
    the file.
    """
    paths = supervisor.deployment.manifest.good_images
    if not paths:
        return None
    slot = await supervisor.wait_for_slot()
    try:
        scores = [await _score(supervisor, slot, path) for path in paths]
    finally:
        supervisor.give_slot(slot)
    return await asyncio.to_thread(_threshold, scores)


async def _score(supervisor: Supervisor, slot: Slot, path: FilePath) -> float:
    deployment, arena = supervisor.deployment, supervisor.arena
    arena.inputs(slot)[0][:] = await asyncio.to_thread(_prepared, deployment, path)
    await supervisor.run(slot)
    # The slot must not go back while a thread is at it.
    verdict = await whole(asyncio.to_thread(decision.judge, deployment, arena.inputs(slot), arena.outputs(slot)))
    assert verdict is not None, "a manifest with good images has a score"
    return verdict.score


def _prepared(deployment: Deployment, path: FilePath) -> memoryview:
    try:
        return decision.prepare(deployment.manifest, (deployment.folder / path).read_bytes())
    except BadImageError as error:
        raise BadImageError(f"the good image {path!r}: {error.message}", "make the bundle again", error.code) from error


def _threshold(scores: list[float]) -> float:
    from inspection.accuracy import threshold_from_good

    return threshold_from_good(scores)
