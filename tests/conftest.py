"""What holds for every test."""

import signal


def pytest_configure() -> None:
    """Signals as a terminal's shell leaves them: started in the background of a script, or under nohup, a process
    inherits SIGINT and SIGHUP ignored, and so would every command that a test interrupts (bash(1), Signals)."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
