"""Faults on demand: BOARDFIT_TENSORRT_FAULTS="name,name=value", read again each time (surface/faults.json).

One that the version cannot have, and one that nobody knows, is an error of the test.
"""

import os

VARIABLE = "BOARDFIT_TENSORRT_FAULTS"


class Faults(object):
    def __init__(self, table):
        self._table = table
        self._asked()  # a wrong name is found at import

    def get(self, name):
        """Its value ("" where it has none), or None where it is not asked for."""
        assert name in self._table.faults, name
        return self._asked().get(name)

    def _asked(self):
        asked = {}
        for part in filter(None, os.environ.get(VARIABLE, "").split(",")):
            name, _, value = part.partition("=")
            if name not in self._table.faults:
                raise ValueError("%s=%s: nobody knows that fault (surface/faults.json)" % (VARIABLE, part))
            if not self._table.has(self._table.faults[name]):
                raise ValueError("%s=%s: TensorRT %s cannot have that fault" % (VARIABLE, part, self._table.version))
            asked[name] = value
        return asked
