"""The way of a request: which model, a slot, the worker, counters. No HTTP in it."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from ddsketch.ddsketch import LogCollapsingLowestDenseDDSketch

from agent.arena import InputWriter, Slot
from agent.errors import AgentError, InputError, NotFoundError, UnavailableError, WorkerFailedError
from agent.exclusive import Board
from agent.supervisor import RunTimes, Supervisor
from agent.uncancelled import whole
from contract.api import LatencyStats, ModelState
from contract.tensors import Signature

RELATIVE_ERROR = 0.01
_BINS = 2048  # from 1 us to 500 s at 1 %: above 1,000 would do; the memory is bounded by this


class Served:
    """A model and its counters; `supervisor` changes with each switch, the counters stay.

    `named_at`: when somebody last asked for it by its name, by time.monotonic().
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.named_at = time.monotonic()
        self.requests = 0
        self.failures = 0
        self.rejected = 0
        self.last_request_at: float | None = None
        self._latency_ms = LogCollapsingLowestDenseDDSketch(RELATIVE_ERROR, _BINS)
        self._longest_ms = 0.0

    @property
    def name(self) -> str:
        return self.supervisor.deployment.name

    @property
    def signature(self) -> Signature:
        return self.supervisor.deployment.manifest.signature

    @property
    def temporary(self) -> bool:
        return self.supervisor.deployment.temporary

    def count(self, latency_ms: float) -> None:
        self._latency_ms.add(latency_ms)
        self._longest_ms = max(self._longest_ms, latency_ms)

    def latency(self) -> LatencyStats:
        """Since the agent started, within 1 % (DDSketch: Masson, Rim, Lee, VLDB 2019)."""
        sketch, count = self._latency_ms, int(self._latency_ms.count)
        return LatencyStats(
            count=count,
            mean_ms=sketch.avg if count else None,
            p50_ms=sketch.get_quantile_value(0.5),
            p90_ms=sketch.get_quantile_value(0.9),
            p99_ms=sketch.get_quantile_value(0.99),
            max_ms=self._longest_ms if count else None,
        )


class Admission:
    """A request that has its slot: write its inputs, run it, read its outputs, all before the `with` ends."""

    def __init__(self, supervisor: Supervisor, slot: Slot) -> None:
        self._supervisor = supervisor
        self._slot = slot

    @property
    def inputs(self) -> list[memoryview]:
        return self._supervisor.arena.inputs(self._slot)

    @property
    def outputs(self) -> list[memoryview]:
        return self._supervisor.arena.outputs(self._slot)

    def writer(self) -> InputWriter:
        return InputWriter(self.inputs)

    async def run(self) -> RunTimes:
        return await self._supervisor.run(self._slot)


class Dataplane:
    """Every model of this agent."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.models: dict[str, Served] = {}
        self.closing = False  # the agent ends: what was stopped is not started again

    def pick(self, name: str | None) -> Served:
        """The model `name`, which is noted, or else the only one that is not temporary.

        NotFoundError names the nearest; InputError where a name is needed.
        """
        if name is not None:
            if name not in self.models:
                raise NotFoundError.nearest("model", name, self.models)
            self.models[name].named_at = time.monotonic()
            return self.models[name]
        lasting = {name: served for name, served in self.models.items() if not served.temporary}
        if len(lasting) == 1:
            return next(iter(lasting.values()))
        if not lasting:
            raise NotFoundError(
                "no model is deployed", "deploy one: `host deploy --board B model.onnx`", "unknown_model"
            )
        raise InputError(
            f"{len(lasting)} models are deployed", f"choose one with ?model=: {', '.join(sorted(lasting))}"
        )

    @contextmanager
    def admit(self, served: Served) -> Iterator[Admission]:
        """A slot for one request, counted. Raises BoardHeldError, QueueFullError or ModelNotReadyError at once."""
        supervisor = served.supervisor  # the slot goes back where it came from, whatever is switched meanwhile
        try:
            self.board.check()
            slot = supervisor.take_slot()
        except UnavailableError:
            served.rejected += 1
            raise
        began = served.last_request_at = time.monotonic()
        served.requests += 1
        try:
            yield Admission(supervisor, slot)
            served.count((time.monotonic() - began) * 1000.0)
        except WorkerFailedError:
            served.failures += 1
            raise
        except UnavailableError:  # it was stopped while the request was in its queue
            served.rejected += 1
            raise
        finally:
            supervisor.give_slot(slot)

    def last_request_at(self, apart_from: Served | None = None) -> float | None:
        """When any model was last asked, or any but one, by time.monotonic()."""
        asked = (served.last_request_at for served in self.models.values() if served is not apart_from)
        return max((at for at in asked if at is not None), default=None)

    @asynccontextmanager
    async def stopped(self, names: list[str], why: str) -> AsyncIterator[list[str]]:
        """Ends the workers of these models, and starts them again afterwards, however the block is left.

        Yields the names of those that had one: a model that had failed stays as it is.
        """
        supervisors = [self.models[name].supervisor for name in names if self.models[name].supervisor.is_on]
        try:
            for supervisor in supervisors:
                await supervisor.stop(why)
            yield [supervisor.deployment.name for supervisor in supervisors]
        finally:
            await whole(self._start_again(supervisors))

    async def _start_again(self, supervisors: list[Supervisor]) -> None:
        for supervisor in supervisors:
            if supervisor.state is ModelState.STOPPED and not self.closing:
                with contextlib.suppress(AgentError):  # it is FAILED then, and says why: `host models` shows it
                    await supervisor.start()
