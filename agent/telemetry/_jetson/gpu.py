"""Clock, limits and load of a Jetson's GPU, and its memory's clock.

The GPU is a devfreq device (the kernel's ABI/testing/sysfs-class-devfreq; frequencies in Hz here), named differently by
each L4T: ``57000000.gpu`` (Nano, R32), ``17000000.ga10b`` (Orin, R35), ``17000000.gpu`` (Orin, R36 and R39, where NVML
tells nothing of it: rbonghi/jetson_stats#867). Its load is beside it, in thousandths.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from agent.telemetry.readings import read_text
from agent.telemetry.thermal import HOLDING_GOVERNORS, integer

GPU_NAME = re.compile(r"(?:\d+\.)?(?:gpu|ga10b|gv11b|gp10b)")

# Where /sys/class/devfreq has no link to it; as NVIDIA's nvpmodel configurations of R32, R35 and R36 write them.
_FOLDERS = (
    "sys/devices/57000000.gpu/devfreq/57000000.gpu",
    "sys/devices/17000000.ga10b/devfreq/17000000.ga10b",
    "sys/devices/platform/17000000.gpu/devfreq_dev",
)
# As NVIDIA's jetson_clocks reads it: debugfs, which is root's.
_MEMORY_CLOCKS = ("sys/kernel/debug/bpmp/debug/clk/emc/rate", "sys/kernel/debug/clk/override.emc/clk_rate")


@dataclass(frozen=True)
class GpuClock:
    """In MHz. `held`: set to stand still, by equal limits (what jetson_clocks does) or by the governor."""

    mhz: float
    limit_mhz: float
    held: bool


def find_gpu(root: Path) -> Path:
    """The devfreq folder of the GPU. ValueError where there is none."""
    listed = [path for path in (root / "sys/class/devfreq").glob("*") if GPU_NAME.fullmatch(path.name)]
    for path in (*sorted(listed), *(root / folder for folder in _FOLDERS)):
        if path.is_dir():
            return path
    # Seen after two of five boots of a JetPack 7 board, and gone after the next.
    raise ValueError("the kernel shows no GPU in /sys/class/devfreq; on some boots it does not: boot again")


def read_clock(gpu: Path) -> GpuClock:
    """OSError, ValueError where the folder does not tell."""
    mhz, low_mhz, high_mhz = (integer(read_text(gpu / f"{name}_freq")) / 1e6 for name in ("cur", "min", "max"))
    return GpuClock(mhz, high_mhz, low_mhz == high_mhz or _governor(gpu) in HOLDING_GOVERNORS)


def _governor(gpu: Path) -> str:
    path = gpu / "governor"
    return read_text(path).strip() if path.exists() else ""


def read_load(root: Path, gpu: Path) -> float:
    """Percent of the time in which the GPU had work. ValueError where no file tells."""
    for path in (gpu / "device/load", root / "sys/devices/gpu.0/load", root / "sys/devices/platform/gpu.0/load"):
        if path.exists():
            return parse_load(read_text(path))
    raise ValueError("the GPU's driver has no file `load`")


def parse_load(text: str) -> float:
    """Thousandths -> percent."""
    thousandths = integer(text)
    if not 0 <= thousandths <= 1000:
        raise ValueError(f"a load is 0 to 1000, not {thousandths}")
    return thousandths / 10


def read_memory_clock(root: Path) -> float:
    """MHz of the memory (EMC). ValueError where it cannot be read, which is so for all but root."""
    reason = "no file that we know tells the memory's clock"
    for name in _MEMORY_CLOCKS:
        try:
            return integer(read_text(root / name)) / 1e6
        except PermissionError:
            reason = "the memory's clock is in /sys/kernel/debug, which root alone can read"
        except OSError:
            continue  # another board's file
    raise ValueError(reason)
