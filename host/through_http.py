"""A bench as a client of /infer sees it, HTTP and network included: one request after the other, or as a conveyor's."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from contract.api import ModelInfo
from contract.results import FIGURE_KEYS, Environment, Flag, Load
from host import images
from host.client import INFER_TIMEOUT_S, TENSORS, AgentClient
from host.load.conveyor import Conveyor
from host.nanoseconds import NS_PER_S
from host.progress import Progress

if TYPE_CHECKING:
    from host.statistics import Samples

UNANSWERED_S = 60.0  # on a conveyor no reply is waited for longer: its deadline is missed long since
IN_TURN = 20  # requests, one after the other, whose mean says at which rate to look first

_OF_THE_CLIENT = (
    "latency_ms.",
    "first_run_ms",
    "counted_runs",
    "latency_interval_ms.",
    "steady_ms.",
    "load.",
    "weights",
    "macs",
    "rate",
    "on_chip_bytes",
    "streamed_bytes",
    "operators_on_cpu",
    "auc",
    "float_auc",
)  # all else is the worker's
_FLAGS_OF_THE_CLIENT = ("unstable", "client_late")
_UNMET = {
    **{key: "measured without --through http" for key in FIGURE_KEYS if not key.startswith(_OF_THE_CLIENT)},
    **{
        f"flags.{flag}": "watched without --through http" for flag in get_args(Flag) if flag not in _FLAGS_OF_THE_CLIENT
    },
}


@dataclass(frozen=True)
class Taken:
    """`samples_ns`: the first run, then those that were answered, int64 of shape (n,), n >= 1; the rest: of the row."""

    samples_ns: "Samples"
    environment: Environment
    load: Load | None
    flags: tuple[Flag, ...]
    unmet: dict[str, str]

    def columns(self) -> dict[str, Any]:
        """By the row's own keys."""
        return {"environment": self.environment, "load": self.load, "flags": self.flags, "unmet": self.unmet}


@dataclass(frozen=True)
class _Run:
    """The samples of one run of all requests, and what of the row only a conveyor has."""

    samples_ns: "Samples"
    load: Load | None = None
    flags: tuple[Flag, ...] = ()
    unmet: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Requests:
    """To one model: its images, or noise, in turn."""

    client: AgentClient
    model: str
    bodies: Sequence[bytes]
    media_types: Sequence[str]
    timeout_s: float

    def ask(self, number: int) -> None:
        """BusyError, UnansweredError, DoesNotRunError and their kin."""
        index = number % len(self.bodies)
        self.client.infer(self.model, self.bodies[index], self.media_types[index], timeout_s=self.timeout_s)

    def timed_ns(self, number: int, progress: Progress) -> int:
        """A board that is busy is waited for, and that is not counted."""

        def timed() -> int:
            began = time.perf_counter_ns()
            self.ask(number)
            return time.perf_counter_ns() - began

        return self.client.patiently(timed, progress.stage)


def measure(
    client: AgentClient,
    model: ModelInfo,
    contents: Sequence[bytes],
    runs: int,
    conveyor: Conveyor | None,
    progress: Progress,
) -> Taken:
    """One trial of so many runs, the first of which is not counted. InputError where they are too few."""
    if conveyor is not None and conveyor.per_s is None:
        from host.load.finding import check_runs

        check_runs(runs)
    bodies = contents or [_noise(model)]
    media_types = [images.media_type_of(body) or TENSORS for body in bodies]
    requests = _Requests(client, model.name, bodies, media_types, UNANSWERED_S if conveyor else INFER_TIMEOUT_S)
    environment = partial(client.environment, model.name)
    before = client.patiently(environment, progress.stage)
    run = _in_turn(requests, runs, progress) if conveyor is None else _as_due(requests, runs, conveyor, progress)
    after = client.patiently(environment, progress.stage)
    return Taken(
        run.samples_ns,
        before.model_copy(update={"after": after.before}),
        run.load,
        run.flags,
        _UNMET | run.unmet,
    )


def _in_turn(requests: _Requests, runs: int, progress: Progress) -> _Run:
    """Over one connection."""
    import numpy as np

    samples_ns = np.empty(runs, np.int64)
    asking = _asking(requests)
    for number in range(runs):
        progress.stage(asking)
        samples_ns[number] = requests.timed_ns(number, progress)
        progress.advance(number + 1, runs)
    return _Run(samples_ns)


def _as_due(requests: _Requests, runs: int, conveyor: Conveyor, progress: Progress) -> _Run:
    """The first run is by itself, before the conveyor starts."""
    import numpy as np

    progress.stage(_asking(requests))
    first_ns = requests.timed_ns(0, progress)
    run = _at_the_highest if conveyor.per_s is None else _at_one_rate
    taken = run(requests, runs - 1, conveyor, progress)
    samples_ns = np.concatenate([np.array([first_ns], np.int64), taken.samples_ns])
    unmet = dict(taken.unmet)
    if len(samples_ns) == 1:
        unmet |= dict.fromkeys(("latency_ms", "flags.unstable"), "no request on the conveyor was answered")
    return _Run(samples_ns, taken.load, taken.flags, unmet)


def _at_one_rate(requests: _Requests, counted: int, conveyor: Conveyor, progress: Progress) -> _Run:
    from host.load.finding import told
    from host.load.sending import send
    from host.report.load import in_words, rate_in_words

    assert conveyor.per_s is not None
    progress.note(f"{counted:,} requests at {rate_in_words(conveyor.per_s)}: {in_words(counted / conveyor.per_s)}")
    step = send(requests.ask, conveyor.per_s, conveyor.deadline_ns(conveyor.per_s), counted, told(progress, counted))
    return _Run(step.samples_ns(), step.load(), ("client_late",) if step.host_was_late else ())


def _at_the_highest(requests: _Requests, counted: int, conveyor: Conveyor, progress: Progress) -> _Run:
    from host.load.finding import find

    in_turn_per_s = NS_PER_S / float(_in_turn(requests, IN_TURN, progress).samples_ns.mean())
    found = find(requests.ask, conveyor, counted, in_turn_per_s, requests.client.board, progress)
    step = found.step
    late = found.limited_by_host or step.host_was_late
    unmet = {} if found.kept else {"load.highest_parts_per_minute": "p99 was within the deadline at no rate tried"}
    return _Run(
        step.samples_ns(),
        step.load(step.per_s if found.kept else None),
        ("client_late",) if late else (),
        unmet,
    )


def _asking(requests: _Requests) -> str:
    return f"{requests.client.board}: asking {requests.model} over HTTP"


def _noise(model: ModelInfo) -> bytes:
    from converters.golden import pack
    from converters.noise import noise
    from converters.signature import TensorSpec

    specs = [TensorSpec(spec.name, spec.dtype, spec.shape) for spec in model.signature.inputs]
    return pack(noise(specs, seed=0), specs)
