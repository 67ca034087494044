"""A stand-in for NVIDIA's `tensorrt`, of the version its folder says: tests/tensorrt_stand_in. No part of TensorRT.

This file does what NVIDIA's of the same name does in Python (python/packaging/tensorrt/__init__.py).
"""

import sys
import warnings

from . import _pybind, tensorrt
from .tensorrt import *  # noqa: F403 (as NVIDIA's does)

__version__ = tensorrt._api.facts["module"]


class _Module(type(sys)):
    """Python 3.6 has no __getattr__ of modules (PEP 562)."""

    def __getattr__(self, name):
        if name in tensorrt._table.not_modelled:
            text = "the stand-in does not model tensorrt.%s: tests/tensorrt_stand_in/surface" % name
            raise _pybind.NotModelledError(text)
        raise AttributeError("module 'tensorrt' has no attribute '%s'" % name)


sys.modules[__name__].__class__ = _Module


def _enter(this):
    warnings.warn("Context managers for TensorRT types are deprecated.", DeprecationWarning, stacklevel=2)
    return this


def _exit(this, exc_type, exc_value, traceback):
    pass


for _kind in ("ILogger", "ICudaEngine", "IExecutionContext", "Runtime", "IHostMemory", "Builder", "INetworkDefinition",
              "OnnxParser", "IBuilderConfig"):  # fmt: skip
    globals()[_kind].__enter__ = _enter
    globals()[_kind].__exit__ = _exit

_severity = tensorrt.ILogger.Severity
tensorrt.Logger.Severity = _severity
for _name, _member in _severity.__members__.items():
    setattr(tensorrt.Logger, _name, _member)


def volume(iterable):
    """The product of the numbers."""
    product = 1
    for number in iterable:
        product *= number
    return product


def nptype(trt_type):
    """The type of numpy's that is the same. In 8.2 and 8.5 it asks for numpy.bool, which numpy 1.24 has no more."""
    import numpy

    boolean = numpy.bool_ if tensorrt._api.since("8.6") else numpy.bool
    mapping = {"FLOAT": numpy.float32, "HALF": numpy.float16, "INT8": numpy.int8, "INT32": numpy.int32, "BOOL": boolean}
    mapping.update({"UINT8": numpy.uint8} if tensorrt._api.since("8.6") else {})
    mapping.update({"INT64": numpy.int64} if tensorrt._api.since("10.3") else {})
    if trt_type.name in mapping:
        return mapping[trt_type.name]
    raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")


# The bits of an item, in bytes (FP4 and INT4: half a byte, which NVIDIA's does not give as a whole number).
_ITEM_BYTES = {"FLOAT": 4, "HALF": 2, "BF16": 2, "INT8": 1, "INT32": 4, "INT64": 8, "BOOL": 1, "UINT8": 1, "FP8": 1}
tensorrt.DataType.itemsize = property(lambda this: _ITEM_BYTES.get(this.name))
