"""The `tensorrt` module of this Python, with what it is driven by."""

import importlib
from typing import Any, NamedTuple

from ...errors import RuntimeMissingError
from .messages import Log, make_logger
from .versions import Differences, differences

NAMES = ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings")
"""TensorRT as boards have it; TensorRT-RTX for PCs, which is like TensorRT 11: its package, or its bindings alone."""

_BROKEN = (ImportError, OSError, RuntimeError, AttributeError)  # a library that is not there; numpy of another time


class TensorRt(NamedTuple):
    """`logger` writes to `log`, and must live as long as anything made with it."""

    trt: Any
    differences: Differences
    version: str
    log: Log
    logger: Any


def open_tensorrt() -> TensorRt:
    """The first of NAMES that can be imported. RuntimeMissingError has the reason of the first."""
    reasons = []
    for name in NAMES:
        try:
            trt = importlib.import_module(name)
            known = differences(trt)
        except _BROKEN as error:
            reasons.append(error)
            continue
        log = Log()
        logger = make_logger(trt, log)
        trt.init_libnvinfer_plugins(logger, "")  # before any model is read: operators may be plugins
        version = str(trt.__version__) if name == NAMES[0] else "RTX %s" % trt.__version__
        return TensorRt(trt, known, version, log, logger)
    raise RuntimeMissingError(
        "this Python has no TensorRT that works: %s" % reasons[0],
        "install the board's own for its own Python: sudo apt install python3-libnvinfer (or nvidia-jetpack)",
    )
