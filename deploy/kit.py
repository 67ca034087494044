"""One archive with all a board needs to become an agent, so that the board itself needs no internet.

    python -m deploy.kit --wheel boardfit-0.1.0-py3-none-any.whl --python cpython-....tar.gz -o boardfit-kit.tar

On the board: `tar xf boardfit-kit.tar && sudo boardfit-kit/install.sh --profile jetson-nano`. The archive holds the
installer, boardfit's wheel, the wheels of wheels-aarch64.lock, each with the digest that stands there, and a standalone
Python where one is given or fetched: a board whose own is older than 3.11 needs one.
"""

# ruff: noqa: T201  (a program: what it prints is its result)
import argparse
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy import wheels

KIT = "boardfit-kit"
MACHINE = "aarch64"
FOLDER = Path(__file__).parent
FILES = (
    "install.sh",
    "boardfit-agent.service",
    "agent-requirements.txt",
    "standalone-pythons.txt",
    "wheels-aarch64.lock",
    "README.md",
)
_DEADLINE_S = 60.0


class KitError(Exception):
    """A message with the offending value, and what to do."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class StandalonePython:
    """The archive that is known to be right for a machine."""

    sha256: str
    address: str

    @property
    def file_name(self) -> str:
        return self.address.rpartition("/")[2]


def standalone_python(machine: str = MACHINE) -> StandalonePython:
    """What standalone-pythons.txt has for `machine`. KeyError where it has none."""
    lines = (FOLDER / "standalone-pythons.txt").read_text(encoding="utf-8").splitlines()
    known = {fields[0]: fields[1:] for line in lines if (fields := line.split()) and not line.startswith("#")}
    return StandalonePython(*known[machine])


def lay_out(folder: Path, wheel: Path, python: Path | None) -> None:
    """All of a kit but the wheels boardfit needs. KitError where a file is not what it should be."""
    if not (wheel.is_file() and wheel.name.startswith("boardfit-") and wheel.suffix == ".whl"):
        raise KitError(f"{wheel} is no wheel of boardfit", "make one: pip wheel --no-deps .")
    shutil.copytree(FOLDER / "install", folder / "install")
    for file in (*(FOLDER / name for name in FILES), wheel):
        shutil.copy(file, folder)
    if python:
        _check(python)
        shutil.copy(python, folder)


def fetch(python: StandalonePython, folder: Path) -> Path:
    """Downloads it. KitError where that fails, or where it is not what was expected."""
    path = folder / python.file_name
    try:
        with urllib.request.urlopen(python.address, timeout=_DEADLINE_S) as reply, path.open("wb") as file:
            shutil.copyfileobj(reply, file)
    except OSError as error:
        raise KitError(
            f"{python.address} cannot be fetched: {error}", "fetch it elsewhere, and give it with --python"
        ) from error
    _check(path, python)
    return path


def pack(folder: Path, archive: Path) -> None:
    """By rename: an archive under that name is whole. Uncompressed: wheels and Python are compressed already."""
    unfinished = archive.with_name(f".{archive.name}.unfinished")
    with tarfile.open(unfinished, "w") as tar:
        tar.add(folder, arcname=KIT, filter=_nobodys)
    unfinished.replace(archive)


def _check(path: Path, known: StandalonePython | None = None) -> None:
    """An archive under the known one's name has its content."""
    known = known or standalone_python()
    if not path.is_file():
        raise KitError(f"there is no file {path}", f"it is at {known.address}")
    if path.name == known.file_name and hashlib.sha256(path.read_bytes()).hexdigest() != known.sha256:
        raise KitError(f"{path} is damaged: its sha256 is not {known.sha256}", f"fetch it again: {known.address}")


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _make(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=options.output.parent) as temporary:
        folder = Path(temporary, KIT)
        folder.mkdir(mode=0o755)
        python = fetch(standalone_python(), folder) if options.fetch_python else None
        lay_out(folder, options.wheel, options.python)
        try:
            pinned = ("--no-deps", "--require-hashes", "-r", str(wheels.LOCK))
            wheels.download(folder / "wheels", options.python_version, *pinned)
        except subprocess.CalledProcessError as error:
            raise KitError(
                "pip could not download what wheels-aarch64.lock names", "it needs PyPI; what it said is above"
            ) from error
        pack(folder, options.output)
    print(f"{options.output}: {options.output.stat().st_size >> 20} MiB")
    if not (python or options.python):
        print(f"note: no Python in it; a board whose own is older than 3.11 needs {standalone_python().address}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.kit", description="Packs what a board needs.")
    parser.add_argument("--wheel", type=Path, required=True, help="boardfit's own")
    python = parser.add_mutually_exclusive_group()
    python.add_argument("--python", type=Path, metavar="ARCHIVE", help="a standalone CPython for the board")
    python.add_argument("--fetch-python", action="store_true", help="download the one of standalone-pythons.txt")
    parser.add_argument(
        "--python-version",
        default="3.12",
        choices=wheels.PYTHONS,
        help="what the agent will run under: the standalone one's, or the board's own where it is 3.11 or newer",
    )
    parser.add_argument("-o", "--output", type=Path, default=Path(f"{KIT}.tar"))
    try:
        _make(parser.parse_args(arguments))
    except KitError as error:
        print(f"deploy.kit: {error.message}\n  hint: {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
