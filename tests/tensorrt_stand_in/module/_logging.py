"""Loggers, profilers and monitors: NVIDIA's own, and how those written in Python are called (PyLogger and its like in
python/src/infer/pyCore.cpp)."""

import os
import sys
import time

from ._api import Behaviour


class ILogger(Behaviour):
    def __init__(self):
        pass

    def log(self, severity, msg):
        call_back(self._api, "ILogger", "log", _pure("ILogger", "log"))


class Logger(Behaviour):
    _STORED = {"min_severity": "ILogger.Severity.WARNING"}

    def __init__(self, min_severity):
        self.min_severity = min_severity

    def log(self, severity, msg):
        if severity > self.min_severity:
            return
        line = "[%s] [TRT] [%s] %s\n" % (time.strftime("%m/%d/%Y-%H:%M:%S"), "FEWIV"[int(severity)], msg)
        os.write(1, line.encode())  # std::cout, whatever sys.stdout is


class IProfiler(Behaviour):
    def __init__(self):
        pass

    def report_layer_time(self, layer_name, ms):
        call_back(self._api, "IProfiler", "report_layer_time", _pure("IProfiler", "report_layer_time"))


class Profiler(Behaviour):
    def __init__(self):
        pass

    def report_layer_time(self, layer_name, ms):
        os.write(1, ("%s: %gms\n" % (layer_name, ms)).encode())


class IProgressMonitor(Behaviour):
    def __init__(self):
        pass

    def phase_start(self, phase_name, parent_phase, num_steps):
        call_back(self._api, "IProgressMonitor", "phase_start", _pure("IProgressMonitor", "phase_start"))

    def step_complete(self, phase_name, step):
        return call_back(self._api, "IProgressMonitor", "step_complete", _pure("IProgressMonitor", "step_complete"))

    def phase_finish(self, phase_name):
        call_back(self._api, "IProgressMonitor", "phase_finish", _pure("IProgressMonitor", "phase_finish"))


def _pure(kind, name):
    def call():
        raise RuntimeError('Tried to call pure virtual function "%s::%s"' % (kind, name))

    return call


def call_back(api, kind, name, function, *args):
    """Calls what was written in Python, from C++ that may not throw; False where it raised.

    8.2 has no try around it: the exception ends the process. Later versions say it on standard error and go on.
    """
    try:
        return function(*args)
    except Exception as error:
        if not api.since("8.5"):
            sys.stderr.write("terminate called after throwing an instance of 'pybind11::error_already_set'\n")
            sys.stderr.write("  what():  %s: %s\n" % (type(error).__name__, error))
            sys.stderr.flush()
            os.abort()
        sys.stderr.write("[ERROR] Exception caught in %s(): %s\n" % (name, error))
        return False


def say(api, logger, key, **values):
    """A message of the table, to a logger."""
    for severity, text in api.table.messages(key):
        write(api, logger, severity, text.format(**values))


def write(api, logger, severity, text):
    call_back(api, "ILogger", "log", logger.log, api.enum("ILogger.Severity." + severity), text)
