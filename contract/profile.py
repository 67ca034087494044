"""A board's facts, and the one reader of deploy/boards/*.toml (package data: facts only, no conditionals)."""

import difflib
import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator

from contract.base import Contract


class UnknownProfileError(Exception):
    """No such profile. The message names the nearest."""


class BrokenProfileError(Exception):
    """A profile file says something this version does not understand. The message names file and key."""


class BuildFacts(Contract):
    """Of boards that build what they load.

    workspace_mib  the most that one layer may take while it runs or is tried
    alone          there is no memory for the other models meanwhile: they are stopped if the user says so
    timeout_s      of a build that says nothing
    """

    workspace_mib: Annotated[int, Field(ge=1)]
    alone: bool
    timeout_s: Annotated[float, Field(gt=0)]


class OneOwner(Contract):
    """An accelerator that one process has at a time; of two, the second is refused by the kernel.

    option, value  the runtime option that takes it: a model with another value of it does without
    device         its folder in sysfs, from the root on, which says who has it
    """

    option: str
    value: str
    device: str


class Profile(Contract):
    """What is true of every board of one kind.

    runtime            which runtime serves a model there (a file name in agent/worker/runtimes/)
    pythons            interpreters to try for it, in order; "agent" is the agent's own
    switching          overlap: the old version serves until the new one is proven; stop-first: it makes room
    shares_memory      CPU and accelerator share memory, or the accelerator has one owner: a bench empties the board
    one_owner          null where models can share the accelerator
    headline_memory    which peak `peak_memory_bytes` is: the process's (plus accelerator), or the whole board's
    queue_length       requests a model takes before the next gets 503, the one being served included
    precisions         what `--precision` may be; the first is the default
    tolerance_db       least SQNR of golden outputs, by precision
    sensors            telemetry sources to read, in order (a file name in agent/telemetry/)
    worker_environment what the worker's environment gets on top
    runtime_version    what a conversion goes by where the board is not asked: the oldest of these boards
    build              null where the runtime loads the model's file as it is
    refused_precisions what users ask for and these boards cannot do, with the reason
    """

    name: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")]
    title: str
    runtime: str
    pythons: tuple[str, ...]
    switching: Literal["overlap", "stop-first"]
    shares_memory: bool
    headline_memory: Literal["process", "system"]
    queue_length: Annotated[int, Field(ge=1, le=256)]
    precisions: Annotated[tuple[str, ...], Field(min_length=1)]
    tolerance_db: dict[str, float]
    sensors: tuple[str, ...]
    start_timeout_s: Annotated[float, Field(gt=0)]
    request_timeout_s: Annotated[float, Field(gt=0)]
    runtime_options: dict[str, str | int | float | bool] = {}
    worker_environment: dict[str, str] = {}
    runtime_version: Annotated[str, StringConstraints(pattern=r"^(RTX )?\d+(\.\d+)*$")] | None = None
    build: BuildFacts | None = None
    one_owner: OneOwner | None = None
    refused_precisions: dict[str, str] = {}

    @model_validator(mode="after")
    def _makes_room_for_one_owner(self) -> Self:
        if self.one_owner and not (self.switching == "stop-first" and self.shares_memory):
            raise ValueError("an accelerator with one_owner needs switching = 'stop-first' and shares_memory = true")
        return self

    @model_validator(mode="after")
    def _a_tolerance_per_precision(self) -> Self:
        if set(self.tolerance_db) != set(self.precisions):
            raise ValueError(
                f"tolerance_db is for {sorted(self.tolerance_db)}, the precisions are {sorted(self.precisions)}"
            )
        return self


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that came with this version, sorted."""
    return tuple(
        sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml"))
    )


def read_profile(name: str) -> Profile:
    """The profile `name`; UnknownProfileError with the nearest name, BrokenProfileError with file and key."""
    names = profile_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        raise UnknownProfileError(
            f"there is no board profile {name!r}"
            + (f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(names)}")
        )
    entry = _folder() / f"{name}.toml"
    try:
        facts = tomllib.loads(entry.read_text(encoding="utf-8"))
        if "name" in facts:
            raise BrokenProfileError(f"{entry}: a profile has the name of its file, and no key `name`")
        return Profile.model_validate({"name": name, **facts})
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise BrokenProfileError(f"{entry}: {error}") from error


def _folder() -> Traversable:
    return files("deploy") / "boards"
