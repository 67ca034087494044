"""One file per runtime; the file name is its key. Nothing is imported before it is asked for."""

import difflib
import importlib
import pkgutil
from typing import List

from ..errors import RuntimeMissingError
from .base import Runtime


def names() -> List[str]:
    """Every runtime this version has code for, sorted."""
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in modules if name != "base" and not name.startswith("_"))


def create(key: str) -> Runtime:
    """The runtime `key`, not yet opened. RuntimeMissingError names the nearest key."""
    if key not in names():
        near = difflib.get_close_matches(key, names(), n=1)
        raise RuntimeMissingError(
            "there is no runtime %r" % key,
            "did you mean %r?" % near[0] if near else "there are %s" % ", ".join(names()),
        )
    module = importlib.import_module("." + key, __name__)
    runtime = module.create()
    assert isinstance(runtime, Runtime)
    return runtime
