"""`host` as a user runs it: in this process (`run`), or in one of its own (`spawn`)."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner, Result

from host.cli import main


def run(*words: object, typed: str = "") -> Result:
    """Its exit code, stdout and stderr. What is no error of the user's is raised."""
    return CliRunner(catch_exceptions=False).invoke(main, [str(word) for word in words], typed, prog_name="host")


@dataclass
class Spawned:
    """A `host` of its own; `said` is what it has written to stderr so far."""

    process: "subprocess.Popen[str]"
    said: list[str] = field(default_factory=list)

    def until(self, text: str) -> None:
        """Reads its stderr up to a line with `text`. AssertionError where it ends without."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if text in line:
                return
        raise AssertionError("".join(self.said))

    def end(self, timeout_s: float = 20) -> tuple[int, str, str]:
        """Its exit code, stdout and stderr."""
        stdout, stderr = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, stdout, "".join(self.said) + stderr


def spawn(*words: object, home: Path, **environment: str) -> Spawned:
    return Spawned(
        subprocess.Popen(
            [sys.executable, "-m", "host", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "BOARDFIT_HOME": str(home), **environment},
        )
    )
