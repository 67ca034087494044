"""What the parts know of each other: the version, its classes, its words."""

import re

from . import _faults
from ._enum import enumeration
from ._pybind import MODULE, Object, attribute, method


class Api(object):
    """One version. `classes` and `enums` by NVIDIA's names."""

    def __init__(self, table, behaviours):
        self.table = table
        self.facts = table.facts
        self.since = table.since
        self.faults = _faults.Faults(table)
        self.enums = {name: enumeration(name, it) for name, it in table.enums.items()}
        self.classes = {}
        for name, it in table.classes.items():  # a base stands before what derives from it
            self.classes[name] = self._class(name, it, behaviours[name])

    def kind(self, name):
        """A class or an enumeration; of a nested one its last name is enough, as in a default of pybind11's."""
        found = self.classes.get(name) or self.enums.get(name)
        return found or next(it for key, it in self.enums.items() if key.endswith("." + name))

    def new(self, name, *args):
        """An object of a class that has no constructor in Python."""
        made = object.__new__(self.classes[name])
        made._start(*args)
        return made

    def enum(self, name):
        """By its full name, e.g. "DataType.FLOAT"."""
        kind, member = name.rsplit(".", 1)
        return getattr(self.kind(kind), member)

    def with_modules(self, text):
        """Names of classes as pybind11 prints them."""
        names = "|".join(re.escape(name) for name in sorted({**self.classes, **self.enums}, key=len, reverse=True))
        return re.sub(r"(?<![\w.])(%s)\b(?!:)" % names, MODULE + r".\1", text)

    def _class(self, name, table, behaviour):
        """The members of the table, each done by the behaviour's of its name, and what of it is private."""
        namespace = {key: it for key, it in vars(behaviour).items() if key in behaviour._SPECIAL or _is_private(key)}
        stored = behaviour._STORED
        for row in table.rows:
            instead = table.deprecated.get(row.name)
            implementation = vars(behaviour).get(row.name)
            if row.kind == "method":
                namespace[row.name] = method(self, name, row.name, implementation, row.words, instead)
            elif row.name in stored:
                namespace[row.name] = attribute(self, name, row, *_stored(row.name, stored[row.name]), instead=instead)
            else:
                namespace[row.name] = attribute(self, name, row, implementation.fget, implementation.fset, instead)
        is_constructed = "__init__" in namespace
        namespace["__init__"] = _constructor(namespace["__init__"]) if is_constructed else _no_constructor
        namespace.update(__module__=MODULE, __qualname__=name, _api=self, _not_modelled=table.not_modelled)
        namespace["_has_constructor"] = is_constructed
        bases = (self.classes[table.base] if table.base else Object,) + tuple(behaviour._BASES)
        return type(Object)(name, bases, namespace)


def _is_private(name):
    return name.startswith("_") and not name.startswith("__")


def _stored(name, default):
    """A property that only remembers. A default that is a name of an enumeration's member is looked up."""

    def get(self):
        values = self.__dict__.setdefault("_values", {})
        if name in values:
            return values[name]
        return self._api.enum(default) if isinstance(default, str) and "." in default else default

    def set_(self, value):
        self.__dict__.setdefault("_values", {})[name] = value

    return get, set_


def _constructor(initialise):
    def __init__(self, *args, **kwargs):
        initialise(self, *args, **kwargs)
        self._is_constructed = True

    return __init__


def _no_constructor(self, *args, **kwargs):
    raise TypeError("%s.%s: No constructor defined!" % (MODULE, type(self).__name__))


class Behaviour(object):
    """What members do, of all versions; the table says which a version has.

    `_STORED`: properties that only remember, with their defaults. `_BASES`: further bases of the class; `_SPECIAL`: its
    special methods that are not in the table. `_api` is there. An object without a constructor in Python begins with
    `_start`.
    """

    _STORED = {}
    _BASES = ()
    _SPECIAL = ()
