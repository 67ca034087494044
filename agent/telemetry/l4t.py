"""Which release of Jetson Linux (L4T) a board runs, and the JetPack it came with.

/etc/nv_tegra_release begins ``# R36 (release), REVISION: 4.4, GCID: 41062509, BOARD: generic, EABI: aarch64, ...``.
"""

import re
from pathlib import Path

from agent.telemetry.readings import read_text

# From NVIDIA's JetPack archive, as kept by jtop/core/jetson_variables.py of rbonghi/jetson_stats; 36.4.7 and later from
# the release notes. A release that is not here is shown without a JetPack, never with a guess.
JETPACKS = {
    "32.6.1": "4.6",
    "32.7.1": "4.6.1",
    "32.7.2": "4.6.2",
    "32.7.3": "4.6.3",
    "32.7.4": "4.6.4",
    "32.7.5": "4.6.5",
    "32.7.6": "4.6.6",
    "35.1.0": "5.0.2",
    "35.2.1": "5.1",
    "35.3.1": "5.1.1",
    "35.4.1": "5.1.2",
    "35.5.0": "5.1.3",
    "35.6.0": "5.1.4",
    "35.6.4": "5.1.6",
    "36.3.0": "6.0",
    "36.4.0": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.4.7": "6.2.1",
    "36.5.0": "6.2.2",
    "39.2.0": "7.2",
    "39.2.1": "7.2.1",
}
_RELEASE = re.compile(r"# R(\d+) \(release\), REVISION: (\d+(?:\.\d+)+)", re.ASCII)


def parse_release(text: str) -> str:
    """``36.4.4``; ValueError where the text does not begin with a release."""
    found = _RELEASE.match(text)
    if not found:
        raise ValueError(f"/etc/nv_tegra_release does not begin with a release: {text[:60]!r}")
    return f"{found[1]}.{found[2]}"


def read_release(root: Path | str = "/") -> str | None:
    """The release of this board; None where it is no Jetson. OSError, ValueError where its file tells none."""
    path = Path(root, "etc/nv_tegra_release")
    return parse_release(read_text(path)) if path.exists() else None


def describe_release(release: str) -> str:
    """``L4T R36.4.4 (JetPack 6.2.1)``."""
    jetpack = JETPACKS.get(release)
    return f"L4T R{release}" + (f" (JetPack {jetpack})" if jetpack else "")
