"""What the agent can read of its board: one file per source, chosen by the profile's `sensors`.

==================  ==================================================================================
`readings`          what a source gives, and the rule that a figure is known or has its reason
`procfs`, `jetson`, the sources; the file name is the key in a profile. `_jetson/` has the parts of a large one
`apex`, `thermal`
`board`             the chosen sources as one: `open_sensors(...)` -> `read()`, `observe()`
`environment`       what does not move: machine, image, kernel, CPU; `l4t` has a Jetson's release
`nvpmodel`          a Jetson's power modes
`sampler`           `MemoryFall`: how far MemAvailable fell
`cpu_share`         `CpuShare`: CPU used by all but the measured process; `processes`: by whom, by name
`input_rail`        the rail that feeds the whole board; `power_samples`: what it gave while something ran
`supply`            whether a battery feeds the board
`validity`          `judge(...)`: the flags of a bench row
==================  ==================================================================================

Why not psutil, which the agent has anyway: its paths under /sys are fixed, so a board's recorded tree cannot be
tested; it skips an unreadable sensor without saying why and sets missing figures to 0, where a row needs null and the
reason; it has no VmHWM; and psutil.virtual_memory() takes twice as long as a sample of ours (29 and 15 us, x86).
Nothing here raises because a sensor is missing: that is a figure's reason.
"""

from agent.telemetry.board import Observation, Sensors, open_sensors
from agent.telemetry.cpu_share import CpuShare, OtherLoad
from agent.telemetry.environment import BoardDescription, describe
from agent.telemetry.sampler import MemoryFall
from agent.telemetry.validity import Validity, judge

__all__ = [
    "BoardDescription",
    "CpuShare",
    "MemoryFall",
    "Observation",
    "OtherLoad",
    "Sensors",
    "Validity",
    "describe",
    "judge",
    "open_sensors",
]
