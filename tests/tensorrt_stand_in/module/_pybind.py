"""Classes that refuse what pybind11's refuse, in its words (pybind11/pybind11.h, cast.h, detail/class.h).

Read off NVIDIA's bindings of 8.6.1, 10.3.0 and 11.4.0: the texts were the same in all three.
"""

import operator
import re
import warnings

MODULE = "tensorrt.tensorrt"
_REQUIRED = object()


class NotModelledError(Exception):
    """NVIDIA's has it and the stand-in has not: no AttributeError, which hasattr() would take for an absence."""


def missing(kind, name, text):
    """The error for an attribute that is not there."""
    if name in kind._not_modelled:
        text = "the stand-in does not model %s.%s: tests/tensorrt_stand_in/surface" % (kind.__name__, name)
        return NotModelledError(text)
    return AttributeError(text)


def full_name(kind):
    """The name in pybind11's messages; of a class written in Python its own."""
    return "%s.%s" % (MODULE, kind.__qualname__) if kind.__module__ == MODULE else kind.__name__


class Kind(type):
    """The metaclass of all of them (pybind11_type)."""

    _not_modelled = frozenset()
    _has_constructor = False

    def __getattr__(cls, name):
        raise missing(cls, name, "type object '%s' has no attribute '%s'" % (full_name(cls), name))

    def __call__(cls, *args, **kwargs):
        made = type.__call__(cls, *args, **kwargs)
        if cls._has_constructor and "_is_constructed" not in made.__dict__:
            bound = next(base for base in cls.__mro__ if base.__module__ == MODULE)
            raise TypeError("%s.__init__() must be called when overriding __init__" % full_name(bound))
        return made


class Object(metaclass=Kind):
    """Attributes of its own begin with "_"; others are those of the table, as in a class without a __dict__."""

    _not_modelled = frozenset()

    def __getattr__(self, name):
        raise missing(type(self), name, "'%s' object has no attribute '%s'" % (full_name(type(self)), name))

    def __setattr__(self, name, value):
        is_python = type(self).__module__ != MODULE
        if name.startswith("_") or is_python or isinstance(_on_class(type(self), name), property):
            object.__setattr__(self, name, value)
        else:
            raise missing(type(self), name, "'%s' object has no attribute '%s'" % (full_name(type(self)), name))


def _on_class(kind, name):
    for base in kind.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


class Signature(object):
    """One of a function's signatures, as pybind11 prints it: "(name: str, profile_index: int = 0) -> bool"."""

    def __init__(self, api, text):
        self._api = api
        self.shown = text.replace(" | None", "")
        inside = re.match(r"\((.*)\) ->", self.shown).group(1)
        self._parameters = [self._parameter(part) for part in inside.split(", ")] if inside else []

    def _parameter(self, part):
        name, _, rest = part.partition(": ")
        kind, _, default = rest.partition(" = ")
        return name, kind, self._default(default) if default else _REQUIRED

    def _default(self, text):
        if text == "None":
            return None
        if re.match(r"-?\d+$", text):
            return int(text)
        enum, member = text.rsplit(".", 1)
        return getattr(self._api.kind(enum), member)

    def bind(self, args, kwargs):
        """The arguments in order, converted; None where they do not fit."""
        if len(args) > len(self._parameters) or set(kwargs) - {name for name, _, _ in self._parameters[len(args) :]}:
            return None
        bound = []
        for place, (name, kind, default) in enumerate(self._parameters):
            value = args[place] if place < len(args) else kwargs.get(name, default)
            if value is _REQUIRED:
                return None
            if value is not default:
                is_fit, value = convert(self._api, kind, value)
                if not is_fit:
                    return None
            bound.append(value)
        return bound


def convert(api, kind, value):
    """(whether pybind11 would take it for `kind`, what the C++ function would get)."""
    simple = _SIMPLE.get(kind)
    if simple is not None:
        return simple(value)
    if kind.startswith("List["):
        return _list(api, kind[5:-1], value)
    if kind == "Dims" and isinstance(value, (list, tuple)):
        is_fit, numbers = _list(api, "int", value)
        return (True, api.kind("Dims")(numbers)) if is_fit else (False, None)
    if kind == "capsule":  # void*: any object of pybind11's, or nothing
        return value is None or isinstance(value, Object), value
    return isinstance(value, api.kind(kind)), value


def _int(value):
    try:
        return True, operator.index(value)
    except TypeError:
        return False, None


def _bool(value):
    return value is None or hasattr(type(value), "__bool__"), bool(value)


def _float(value):
    is_fit = not isinstance(value, (str, bytes)) and hasattr(type(value), "__float__")
    return is_fit, float(value) if is_fit else None


def _str(value):
    return isinstance(value, (str, bytes)), value.decode() if isinstance(value, bytes) else value


def _buffer(value):
    try:
        return True, memoryview(value)
    except TypeError:
        return False, None


def _list(api, kind, value):
    is_sequence = hasattr(type(value), "__getitem__") and hasattr(type(value), "__len__")
    if isinstance(value, (str, bytes)) or not is_sequence:
        return False, None
    pairs = [convert(api, kind, it) for it in value]
    return all(is_fit for is_fit, _ in pairs), [it for _, it in pairs]


_SIMPLE = {
    "int": _int,
    "bool": _bool,
    "float": _float,
    "str": _str,
    "buffer": _buffer,
    "tuple": lambda value: (isinstance(value, tuple), value),
    "list": lambda value: (isinstance(value, list), value),
    "slice": lambda value: (isinstance(value, slice), value),
    "object": lambda value: (True, value),
}


def method(api, owner, name, implementation, texts, instead=None):
    """The function that the class gets: it checks the arguments, warns where it is deprecated, and does it."""
    signatures = [Signature(api, text) for text in texts]

    def call(*args, **kwargs):
        if args and isinstance(args[0], api.kind(owner)):
            for signature in signatures:
                bound = signature.bind(args[1:], kwargs)
                if bound is not None:
                    _warn(instead)
                    return implementation(args[0], *bound)
        invoked = args[1:] if name == "__init__" else args
        raise TypeError(_incompatible(api, owner, name, [signature.shown for signature in signatures], invoked, kwargs))

    call.__name__ = name
    return call


def function(api, name, implementation, texts):
    """The same for one of the module's own."""
    signatures = [Signature(api, text) for text in texts]

    def call(*args, **kwargs):
        for signature in signatures:
            bound = signature.bind(args, kwargs)
            if bound is not None:
                return implementation(*bound)
        raise TypeError(_incompatible(api, None, name, [signature.shown for signature in signatures], args, kwargs))

    call.__name__ = name
    return call


def attribute(api, owner, row, getter, setter, instead=None):
    """A property; its setter takes what pybind11's takes, and nothing for an object."""
    kind = row.words[0]

    def get(self):
        _warn(instead)
        return getter(self)

    def set_(self, value):
        is_fit, converted = (True, None) if value is None and kind in api.classes else convert(api, kind, value)
        if not is_fit:
            raise TypeError(_incompatible(api, owner, "", ["(arg0: %s) -> None" % kind], (self, value), {}))
        _warn(instead)
        setter(self, converted)

    return property(get, set_ if row.kind == "property" else None)


def _warn(instead):
    if instead is not None:  # python/include/utils.h, issueDeprecationWarning
        warnings.warn("Use %s instead." % instead, DeprecationWarning, stacklevel=3)


def _incompatible(api, owner, name, signatures, args, kwargs):
    """pybind11.h, cpp_function::dispatcher, "incompatible function arguments"."""
    is_constructor = name == "__init__"
    lines = []
    for number, shown in enumerate(signatures, start=1):
        if is_constructor:
            shown = "%s%s" % (owner, re.sub(r" -> None$", "", shown))
        elif owner is not None:
            shown = "(self: %s%s" % (owner, ", " + shown[1:] if not shown.startswith("()") else shown[1:])
        lines.append("    %d. %s" % (number, api.with_modules(shown)))
    invoked = ", ".join(repr(it) for it in args)
    if kwargs:
        invoked += "; kwargs: " + ", ".join("%s=%r" % pair for pair in kwargs.items())
    kind = "constructor" if is_constructor else "function"
    return "%s(): incompatible %s arguments. The following argument types are supported:\n%s\n\nInvoked with: %s" % (
        name,
        kind,
        "\n".join(lines),
        invoked,
    )
