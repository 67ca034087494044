"""What is C++ in NVIDIA's package: the classes, enumerations and functions of one version."""

import os

from . import (
    _builder,
    _config,
    _context,
    _engine,
    _inspector,
    _logging,
    _network,
    _parser,
    _parser_error,
    _runtime,
    _values,
)
from ._api import Api, Behaviour
from ._pybind import function
from ._table import FOLDER, Table

_MODULES = (
    _builder, _config, _context, _engine, _inspector, _logging, _network, _parser, _parser_error, _runtime, _values,
)  # fmt: skip


def _behaviours():
    kinds = [kind for module in _MODULES for kind in vars(module).values() if isinstance(kind, type)]
    return {kind.__name__: kind for kind in kinds if issubclass(kind, Behaviour)}


def _init_libnvinfer_plugins(logger, namespace):
    return True


def _get_nv_onnx_parser_version():
    return _api.facts["onnx_parser"]


with open(os.path.join(FOLDER, "version"), encoding="utf-8") as _file:
    _table = Table(_file.read().strip())
_api = Api(_table, _behaviours())

_offered = dict(_api.classes)
for _name, _enum in _api.enums.items():
    _outer, _, _inner = _name.rpartition(".")
    if not _outer:
        _offered[_name] = _enum
        continue
    setattr(_offered[_outer], _inner, _enum)
    for _key, _member in _enum.__members__.items():  # .export_values()
        setattr(_offered[_outer], _key, _member)
for _name, _text in _table.values.items():
    _offered[_name] = _api.enum(_text)
for _name, _texts in _table.functions.items():
    _offered[_name] = function(_api, _name, globals()["_" + _name], _texts)
globals().update(_offered)
__all__ = sorted(_offered)
