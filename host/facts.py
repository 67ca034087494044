"""What is true of one board: its profile, with what only the board itself can tell."""

import re

from contract.profile import Profile
from host.client import AgentClient

_LIKE_RTX = (11,)


def on_board(profile: Profile, client: AgentClient) -> Profile:
    """The profile with the version of the runtime that the board has; as it is, where nothing is built there.

    A conversion may depend on it. Where the board does not offer the runtime, its deploy will say so.
    """
    if profile.build is None:
        return profile
    offered = (info.version for info in client.agent().runtimes if info.key == profile.runtime and info.version)
    version = next(offered, None)
    return profile if version is None else profile.model_copy(update={"runtime_version": version})


def version_of(profile: Profile) -> tuple[int, ...] | None:
    """Of its runtime, as numbers; None where it is not known. TensorRT-RTX counts anew, and is like the newest."""
    text = profile.runtime_version
    if text is None:
        return None
    return _LIKE_RTX if text.startswith("RTX") else tuple(int(number) for number in re.findall(r"\d+", text)[:3])
