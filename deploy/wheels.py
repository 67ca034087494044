"""The wheels an agent on an aarch64 board is made of: pinned, hashed, and held against the oldest board's libraries.

`python -m deploy.wheels` writes wheels-aarch64.lock anew from agent-requirements.txt: it asks PyPI, takes a minute and
some 100 MB of downloads. The lock is a requirements file of pip's; above each requirement stand its wheels, one for
each Python, in the order of the digests, with what their libraries need of the board's own.
"""

# ruff: noqa: T201  (a program: what it prints is its result)
import hashlib
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).with_name("wheels-aarch64.lock")
REQUIREMENTS = Path(__file__).with_name("agent-requirements.txt")
PYTHONS = ("3.11", "3.12", "3.13")
GLIBC = (2, 27)
"""Of Ubuntu 18.04, and so of every Jetson Nano; all other boards have a newer one."""
LIBSTDCXX = (3, 4, 25)
"""GLIBCXX of Ubuntu 18.04's libstdc++6, which is GCC 8's (gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html)."""

_OLDEST_TAG = 17  # manylinux2014: there are no older wheels for aarch64 (PEP 599)
_HEAD = f"""\
# What an agent on an aarch64 board is made of, for Python {", ".join(PYTHONS)}. Made by: python -m deploy.wheels
# Every library in these wheels was looked into: `needs` is the newest glibc and libstdc++ that it asks for, and the
# oldest board, a Jetson Nano, has {".".join(map(str, GLIBC))} and {".".join(map(str, LIBSTDCXX))}.
"""


class TooNewError(Exception):
    """A wheel needs a newer library than the oldest board has. The message names both."""


@dataclass(frozen=True)
class Wheel:
    """`glibc` and `libstdcxx`: the newest symbol versions its libraries ask for; None where they ask for none."""

    path: Path
    sha256: str
    glibc: tuple[int, ...] | None
    libstdcxx: tuple[int, ...] | None

    @property
    def requirement(self) -> str:
        """E.g. ``typing-extensions==4.16.0`` (the file name's parts: PEP 427)."""
        name, version, *_ = self.path.name.split("-")
        return f"{name.replace('_', '-').lower()}=={version}"


def target(python: str, machine: str = "aarch64") -> list[str]:
    """pip's options for what installs under `python` on the oldest board; it reads markers as of the running one."""
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC[1], _OLDEST_TAG - 1, -1)]
    options = [f"--platform={tag}" for tag in (*platforms, f"manylinux2014_{machine}")]
    return ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *options]


def download(folder: Path, python: str, *what: str) -> list[Path]:
    """The wheels pip chooses for `what`, which is handed to it. subprocess.CalledProcessError where it finds none."""
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*pip, "--dest", str(folder), *target(python), *what], check=True)
    return sorted(folder.glob("*.whl"))


def inspect(path: Path) -> Wheel:
    """A wheel and what its libraries need. TooNewError."""
    with zipfile.ZipFile(path) as archive:
        libraries = [archive.read(name) for name in archive.namelist() if re.search(r"\.so(\.|$)", name)]
    wheel = Wheel(
        path,
        hashlib.sha256(path.read_bytes()).hexdigest(),
        glibc=_newest(libraries, rb"GLIBC_"),
        libstdcxx=_newest(libraries, rb"GLIBCXX_"),
    )
    for what, needed, there in (("glibc", wheel.glibc, GLIBC), ("libstdc++", wheel.libstdcxx, LIBSTDCXX)):
        if needed and needed > there:
            raise TooNewError(f"{path.name} needs {what} {_dotted(needed)}, a Jetson Nano has {_dotted(there)}")
    return wheel


def lock(wheels: Iterable[Wheel]) -> str:
    """The text of the lock file."""
    by_requirement: dict[str, dict[str, Wheel]] = {}
    for wheel in sorted(wheels, key=lambda wheel: wheel.path.name):
        by_requirement.setdefault(wheel.requirement, {})[wheel.path.name] = wheel
    parts = [_HEAD]
    for requirement, files in sorted(by_requirement.items()):
        described = [f"# {wheel.path.name}{_needs(wheel)}" for wheel in files.values()]
        digests = [f"    --hash=sha256:{wheel.sha256}" for wheel in files.values()]
        parts.append("\n".join([*described, " \\\n".join([requirement, *digests])]) + "\n")
    return "\n".join(parts)


def resolve(folder: Path) -> list[Wheel]:
    """Every wheel for every Python, into `folder`: the versions that the oldest Python gets, for all of them."""
    oldest, *others = PYTHONS
    # pip is among them, so that a board needs none of its own.
    wheels = [inspect(path) for path in download(folder / oldest, oldest, "-r", str(REQUIREMENTS), "pip")]
    pins = [wheel.requirement for wheel in wheels]
    for python in others:
        wheels += [inspect(path) for path in download(folder / python, python, "--no-deps", *pins)]
    return wheels


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        wheels = resolve(Path(folder))
    LOCK.write_text(lock(wheels), encoding="utf-8")
    print(f"{LOCK}: {len({wheel.requirement for wheel in wheels})} distributions")


def _newest(libraries: Iterable[bytes], prefix: bytes) -> tuple[int, ...] | None:
    """Of the versions of symbols named anywhere in them: as no ELF is read, perhaps one too many, never too few."""
    pattern = re.compile(rb"\b" + prefix + rb"(\d+(?:\.\d+)+)\0")
    found = [match[1] for library in libraries for match in pattern.finditer(library)]
    return max((tuple(map(int, version.split(b"."))) for version in found), default=None)


def _needs(wheel: Wheel) -> str:
    needed = {"glibc": wheel.glibc, "libstdc++": wheel.libstdcxx}
    said = ", ".join(f"{what} {_dotted(version)}" for what, version in needed.items() if version)
    return f" needs {said}" if said else ""


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    main()
