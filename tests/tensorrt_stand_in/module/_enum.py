"""Enumerations as pybind11 makes them: members equal only members of their own kind, never a number."""

import operator

from ._pybind import MODULE, Object


def enumeration(name, table):
    """The class, with its members on it."""
    short = name.rpartition(".")[2]
    namespace = {
        "__module__": MODULE,
        "__qualname__": name,
        "__init__": _init,
        "__repr__": lambda self: "<%s.%s: %d>" % (short, self.name, self._value),
        "__str__": lambda self: "%s.%s" % (short, self.name),
        "__int__": lambda self: self._value,
        "__index__": lambda self: self._value,
        "__hash__": lambda self: hash(self._value),
        "__eq__": lambda self, other: type(self) is type(other) and self._value == other._value,
        "__ne__": lambda self, other: type(self) is not type(other) or self._value != other._value,
        "__reduce__": lambda self: (type(self), (self._value,)),
        "name": property(_name),
        "value": property(lambda self: self._value),
        "_not_modelled": table.not_modelled,
    }
    if table.is_ordered:
        for comparison in ("lt", "le", "gt", "ge"):
            namespace["__%s__" % comparison] = _compared(getattr(operator, comparison))
    made = type(Object)(short, (Object,), namespace)
    made.__members__ = {key: made(number) for key, number in table.values.items()}
    for key, member in made.__members__.items():
        setattr(made, key, member)
    return made


def _init(self, value):
    self._value = operator.index(value)


def _name(self):
    return next((key for key, it in type(self).__members__.items() if it._value == self._value), "???")


def _compared(compare):
    def comparison(self, other):
        if type(self) is not type(other):
            raise TypeError("Expected an enumeration of matching type!")
        return compare(self._value, other._value)

    return comparison
