"""The whole chain on a board, with small models of our own: what its owner runs once it is set up."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from contract.api import Activation, BenchRequest, RuntimeInfo
from contract.profile import Profile
from deploy.verdict import remedy
from host.accelerator import Use
from host.bundle import Bundle
from host.client import AgentClient
from host.converting import Request, make
from host.errors import BoardError, HostError
from host.facts import on_board
from host.progress import Progress, on_job
from host.specimens import write_images, write_specimens
from host.temporary import temporarily

RUNS = 100

_NO_OPTIONS = "of these options `host verify` has --docker alone, and it tries the board's CPU by itself"


@dataclass(frozen=True)
class Check:
    """One thing tried. `failure` None: it passed; `detail` is what there is to say of it."""

    subject: str
    what: str
    detail: str
    failure: HostError | None = None


@dataclass
class _Checks:
    """What has been tried so far."""

    done: list[Check] = field(default_factory=list)

    @contextmanager
    def trying(self, subject: str, what: str) -> Iterator[None]:
        """A HostError within is a check that failed, and what it would have been needed for is left out."""
        try:
            yield
        except HostError as error:
            self.done.append(Check(subject, what, error.message, _without_others_options(error)))

    def passed(self, subject: str, what: str, detail: str) -> None:
        self.done.append(Check(subject, what, detail))


def verify(
    client: AgentClient, profile: Profile, progress: Progress, *, stop_others: bool = False, docker: bool = False
) -> list[Check]:
    """Probe; then for each specimen: convert, parse and build, golden inputs, 100 runs, and all of it again.

    `docker`: the accelerator's compiler runs in a container. A check that fails is in the list; UnreachableError where
    the board does not answer at all, InputError where it has no accelerator to compile for.
    """
    ways = _ways(profile, docker)
    checks = _Checks()
    agent = client.agent()
    checks.passed(client.board, "answers", f"boardfit {agent.version}, profile {agent.profile}")
    offered = [info for info in agent.runtimes if info.key == profile.runtime]
    there = next((info for info in offered if info.unavailable is None), None)
    if there is None:
        reasons = "; ".join(f"{info.python}: {info.unavailable}" for info in offered) or "no Python was asked"
        missing = BoardError(reasons, _remedies(offered), "runtime_missing")
        return [*checks.done, Check(client.board, f"has {profile.runtime}", reasons, missing)]
    checks.passed(client.board, f"has {profile.runtime}", f"{there.version} of {there.python}")
    facts = on_board(profile, client)
    with TemporaryDirectory() as folder:
        images = Path(folder) / "images"
        write_images(images)
        calibrate = images if facts.precisions[0] == "int8" else None
        for path in write_specimens(Path(folder)):
            for where, use in ways.items():
                subject = f"{path.stem}{where}"
                with checks.trying(subject, "the chain"):
                    bundle = make(Request(path, {}, calibrate=calibrate, use=use), facts, progress.stage)
                    _verify_one(client, bundle, subject, progress, checks, stop_others)
    return checks.done


def _ways(profile: Profile, docker: bool) -> dict[str, Use]:
    """In words: an accelerator that has one owner can be left out, and then the board is tried with it and without."""
    use = Use(docker=docker)
    use.check(profile)
    if profile.one_owner is None:
        return {"": use}
    return {" on the CPU": Use(cpu=True), f" on the {profile.one_owner.value}": use}


def _remedies(offered: list[RuntimeInfo]) -> str:
    """What the installer says on the board itself (deploy/README.md has a table)."""
    found = dict.fromkeys(remedy(info.unavailable) for info in offered if info.unavailable)
    there = "on the board, then try again; more is in deploy/README.md"
    return "\n  ".join((f"{there}:", *found)) if found else "see `python` in the board's profile, and deploy/README.md"


def _without_others_options(error: HostError) -> HostError:
    """Of a conversion that failed, whose hint names options of `host deploy`."""
    if not any(option in error.hint for option in ("--cpu", "--docker", "--compiled")):
        return error
    error.hint = f"{error.hint}; {_NO_OPTIONS}"
    return error


def _verify_one(
    client: AgentClient, bundle: Bundle, subject: str, progress: Progress, checks: _Checks, stop_others: bool
) -> None:
    with temporarily(client, bundle, progress, stop_others=stop_others) as (name, activation):
        checks.passed(subject, "built and proven" if activation.build else "loaded and proven", _proven(activation))
        request = BenchRequest(model=name, runs=RUNS, interrupt=True)
        job = client.finish(lambda: client.bench(request), on_job(client.board, progress))
        assert job.measurement is not None
        checks.passed(subject, f"{RUNS} runs in a fresh worker", _ran(client.samples_ns(job)))
    with temporarily(client, bundle, progress, stop_others=stop_others) as (_, activation):
        checks.passed(subject, "deployed again", _proven(activation))


def _proven(activation: Activation) -> str:
    agreement = "no difference" if activation.sqnr_db is None else f"{activation.sqnr_db:.1f} dB"
    if activation.build is None:
        return f"{agreement} to ONNX Runtime"
    built = "engine kept" if activation.build.reason is None else f"built in {activation.build.build_s:.1f} s"
    return f"{built}, {agreement} to ONNX Runtime"


def _ran(samples_ns: bytes) -> str:
    import numpy as np

    counted = np.frombuffer(samples_ns, "<i8")[1:]
    return f"mean {counted.mean() / 1e6:.3f} ms"
