"""The power rail that feeds the whole board, where there is one that can be read.

INA3221 monitors of Jetsons have it: POM_5V_IN of a Nano, "the overall 5V input to the board, it represents the total
power consumption" (NVIDIA, quoted in rbonghi/jetson_stats#51), VDD_IN of an Orin Nano, the input of its module: what
hangs on the carrier board alone, a fan or a USB device, is not in it. Their other rails are parts of it. A CPU that
measures itself (RAPL) leaves out memory, disks and losses: no energy of an inference is made of that. Nor of
tegrastats, where rails are root's alone: it takes more CPU time than what is asked ten times a second may.
"""

from dataclasses import dataclass
from pathlib import Path

from agent.telemetry._jetson.rails import Rail, find_rails

INPUT_RAILS = ("VDD_IN", "POM_5V_IN")
"""Names of rails of which every other is a part."""

_RAPL = "sys/class/powercap/intel-rapl:0"


@dataclass(frozen=True)
class InputRail:
    """Its name, and where it is read."""

    name: str
    rail: Rail

    def read_mw(self) -> float:
        """Milliwatts that the board draws now. OSError, ValueError."""
        return self.rail.read_mw()


def find_input_rail(root: Path | str = "/") -> InputRail:
    """The one of this board, which could be read just now. ValueError with the reason where there is none."""
    try:
        rails = find_rails(Path(root))
    except PermissionError as error:
        raise ValueError(f"the power monitor is root's alone: {error}") from error
    except OSError as error:
        raise ValueError(f"the power monitor cannot be read: {error}") from error
    except ValueError as error:
        rapl = "; RAPL tells of the CPU alone" if Path(root, _RAPL).exists() else ""
        raise ValueError(f"no sensor reads the power of the whole board: {error}{rapl}") from error
    for name in INPUT_RAILS:
        if name in rails:
            return _readable(InputRail(name, rails[name]))
    raise ValueError(f"none of the rails {', '.join(rails)} is known to feed the whole board")


def _readable(rail: InputRail) -> InputRail:
    try:
        rail.read_mw()
    except OSError as error:
        raise ValueError(f"{rail.name} cannot be read: {error}") from error
    return rail
