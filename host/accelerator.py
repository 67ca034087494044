"""A board's one accelerator, as a conversion sees it: whether a model takes it, and what is asked of its compiler."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from contract.profile import Profile
from host.errors import InputError

if TYPE_CHECKING:
    from converters.edge_tpu.compiler import Compiler

Options = Mapping[str, str | int | float | bool]

WITHOUT = "none"
"""The value of a runtime option that leaves the accelerator out (agent/worker/runtimes/tflite.py)."""


@dataclass(frozen=True)
class Use:
    """What the user asks of the accelerator.

    cpu       leave it out: the board's CPU runs the model
    docker    its compiler runs in a container
    compiled  the user has had the model compiled elsewhere: this is the file
    """

    cpu: bool = False
    docker: bool = False
    compiled: Path | None = None

    def check(self, profile: Profile) -> None:
        """InputError where boards of this profile have none, or where one wish leaves no room for another."""
        asked = {"--cpu": self.cpu, "--docker": self.docker, "--compiled": self.compiled is not None}
        given = [option for option, value in asked.items() if value]
        if given and profile.one_owner is None:
            raise InputError(f"{profile.title} has no accelerator that {given[0]} is about", "leave it out")
        if self.compiled is not None and not self.compiled.is_file():
            raise InputError(
                f"--compiled {self.compiled} is no file", "give the _edgetpu.tflite that the compiler wrote"
            )
        if len(given) > 1:
            raise InputError(f"{given[0]} leaves nothing for {given[1]} to do", "give one of them")

    def runtime_options(self, profile: Profile, given: Options) -> dict[str, str | int | float | bool]:
        """Of the profile, of this use, and what the user gives by name, which counts most."""
        left_out = {profile.one_owner.option: WITHOUT} if profile.one_owner and self.cpu else {}
        return {**profile.runtime_options, **left_out, **given}

    def compiler(self) -> "Compiler":
        from converters.edge_tpu.compiler import Compiler

        return Compiler(docker=self.docker, compiled=self.compiled)


def takes(profile: Profile, runtime_options: Options) -> bool:
    """Whether a model with these options runs on the accelerator, which has one owner."""
    owner = profile.one_owner
    return owner is not None and runtime_options.get(owner.option) == owner.value
