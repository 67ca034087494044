"""Where the suite runs: every maker of models under every Python of a worker; TensorRT's over stand-ins, by version.

TensorFlow Lite where there is one, oldest to newest: 2.11, 2.14, and LiteRT.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import environments
import tensorrt_boards
from conformance.models import BUILDERS, EVERYWHERE
from environments import Environment

RUNNING = Environment("running", "{}.{}".format(*sys.version_info), ())


@dataclass(frozen=True)
class Setting:
    """A Python, and who makes the models for a runtime there (models.py): a Place, if both are there.

    `variables`: what its workers' environment has on top, made in a folder that is kept; e.g. where a stand-in lies.
    """

    name: str
    environment: Environment
    maker: str
    variables: Callable[[Path], Mapping[str, str]] = lambda _folder: {}


# How a worker builds is the same under each Python: the oldest shows it, and the running one.
_BUILDING = (RUNNING.name, environments.WORKERS[0].name)
SETTINGS = [
    Setting(f"{environment.name}-{maker}", environment, maker)
    for environment in (RUNNING, *environments.WORKERS)
    for maker in EVERYWHERE
    if maker not in BUILDERS or environment.name in _BUILDING
] + [
    Setting(f"trt-{version}", environment or RUNNING, "trt", partial(tensorrt_boards.stand_ins, version=version))
    for version, environment in tensorrt_boards.ENVIRONMENTS.items()
]
SETTINGS += [
    Setting(f"{environment.name}-tflite", environment, "tflite")
    for environment in (RUNNING, *environments.WORKERS, environments.TFLITE)
    if environment is RUNNING or "tflite" in environment.runtimes
]
