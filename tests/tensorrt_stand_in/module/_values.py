"""Dims and IHostMemory (python/src/infer/pyFoundationalTypes.cpp)."""

import array

from ._api import Behaviour

_MAX_DIMS = 8


class Dims(Behaviour):
    """As NVIDIA's: it equals a tuple or a list, and comparing it with another Dims is a TypeError."""

    MAX_DIMS = property(lambda self: _MAX_DIMS)

    def __init__(self, shape=()):
        if len(shape) > _MAX_DIMS:
            raise ValueError("Input length %d. Max expected length is %d" % (len(shape), _MAX_DIMS))
        self._numbers = list(shape)

    def __str__(self):
        return str(tuple(self._numbers))

    def __repr__(self):
        return str(tuple(self._numbers))

    def __eq__(self, other):
        return self._numbers == list(other)

    def __len__(self):
        return len(self._numbers)

    def __getitem__(self, key):
        if isinstance(key, slice):
            return tuple(self._numbers[key])
        if not -len(self._numbers) <= key < len(self._numbers):
            raise IndexError("Out of bounds")
        return self._numbers[key]

    def __setitem__(self, key, value):
        if isinstance(key, slice):
            self._numbers[key] = list(value)
        elif -len(self._numbers) <= key < len(self._numbers):
            self._numbers[key] = value
        else:
            raise IndexError("Out of bounds")


class IHostMemory(Behaviour):
    """A buffer, without length or index. Before 3.12 a class of Python is one only through a built-in one."""

    _BASES = (array.array,)
    _SPECIAL = ("__new__", "__getattribute__", "__len__", "__getitem__", "__iter__", "__repr__", "__eq__", "__hash__")

    dtype = property(lambda self: self._api.enum("DataType.INT8"))
    nbytes = property(lambda self: memoryview(self).nbytes)

    def __new__(cls, data=b""):
        return array.array.__new__(cls, "B", data)

    def __getattribute__(self, name):
        if name in _OF_ARRAYS:
            return type(self).__getattr__(self, name)
        return object.__getattribute__(self, name)

    def __len__(self):
        raise TypeError("object of type 'tensorrt.tensorrt.IHostMemory' has no len()")

    def __getitem__(self, key):
        raise TypeError("'tensorrt.tensorrt.IHostMemory' object is not subscriptable")

    def __iter__(self):
        raise TypeError("'tensorrt.tensorrt.IHostMemory' object is not iterable")

    __repr__ = object.__repr__
    __eq__ = object.__eq__
    __hash__ = object.__hash__


_OF_ARRAYS = frozenset(name for name in dir(array.array) if not name.startswith("_"))


def host_memory(api, data):
    return api.classes["IHostMemory"].__new__(api.classes["IHostMemory"], data)
