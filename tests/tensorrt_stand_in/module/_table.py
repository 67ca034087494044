"""The table of surface/*.json as one version sees it. This file and its neighbours run on Python 3.6."""

import json
import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_surface")


class Row(object):
    """A member of a class: `kind` is method, property or readonly; `words` its type, or its signatures."""

    def __init__(self, name, kind, words):
        self.name = name
        self.kind = kind
        self.words = words


class ClassTable(object):
    """What one version has of a class. `base`: what it derives from; `deprecated`: by member what to use instead."""

    def __init__(self, base, rows, deprecated, not_modelled):
        self.base = base
        self.rows = rows
        self.deprecated = deprecated
        self.not_modelled = not_modelled


class EnumTable(object):
    def __init__(self, values, is_ordered, not_modelled):
        self.values = values
        self.is_ordered = is_ordered
        self.not_modelled = not_modelled


class Table(object):
    """Everything that `version` (a key of versions.json) has."""

    def __init__(self, version):
        self.version = version
        self.versions = list(_read("versions")["versions"])
        self.facts = _read("versions")["versions"][version]
        classes, enums = _read("classes")["classes"], _read("enums")["enums"]
        self.classes = {name: self._class(it) for name, it in classes.items() if self.has(it["versions"])}
        self.enums = {name: self._enum(it) for name, it in enums.items() if self.has(it["versions"])}
        module = _read("module")
        self.functions = {row[0]: row[3:] for row in module["functions"] if self.has(row[1])}
        self.values = {row[0]: row[2] for row in module["values"] if self.has(row[1])}
        self.not_modelled = self._names(module["not_modelled"])
        self._messages = _read("messages")["messages"]
        self.faults = {row[0]: row[1] for row in _read("faults")["faults"]}
        self.importers = self._importers(_read("operators")["importers"])

    def has(self, ranges):
        """Whether the version is in "8.2-", "8.5-8.6", "8.6", or several of these with blanks between."""
        place = self.versions.index(self.version)
        for part in ranges.split():
            first, dash, last = part.partition("-")
            end = self.versions.index(last) if last else len(self.versions) - 1 if dash else self.versions.index(first)
            if self.versions.index(first) <= place <= end:
                return True
        return False

    def since(self, version):
        return self.versions.index(self.version) >= self.versions.index(version)

    def messages(self, key):
        """(severity, text) in order; KeyError for a message the version does not have."""
        lines = [(row[1], row[2]) for row in self._messages[key]["lines"] if self.has(row[0])]
        if not lines:
            raise KeyError("TensorRT %s does not say %r" % (self.version, key))
        return lines

    def says(self, key):
        """Whether the version has this message at all."""
        return any(self.has(row[0]) for row in self._messages[key]["lines"])

    def _class(self, entry):
        rows = [Row(row[0], row[2], row[3:]) for row in entry["members"] if self.has(row[1])]
        deprecated = {}
        for ranges, names in entry.get("deprecated", {}).items():
            if self.has(ranges):
                deprecated.update(names)
        return ClassTable(entry.get("base"), rows, deprecated, self._names(entry["not_modelled"]))

    def _enum(self, entry):
        values = {}
        for row in entry["members"]:
            for ranges, number in zip(row[1::2], row[2::2]):
                if self.has(ranges):
                    values[row[0]] = number
        return EnumTable(values, entry["ordered"], self._names(entry.get("unsure", {})))

    def _names(self, by_range):
        return frozenset(name for ranges, names in by_range.items() if self.has(ranges) for name in names)

    def _importers(self, by_version):
        return frozenset(name for version, names in by_version.items() if self.since(version) for name in names)


def _read(name):
    with open(os.path.join(FOLDER, name + ".json"), encoding="utf-8") as file:
        return json.load(file)
