"""Kits to install from, and a board to install on: a folder that stands for /, with a systemd of its own.

Real are install.sh and all it calls, boardfit's wheel as built from the checkout, the virtual environment, pip, and the
service, which runs from the unit that was written. Whatever stands for something else says so.
"""

import base64
import csv
import hashlib
import http.client
import importlib.metadata
import io
import json
import os
import pwd
import py_compile
import shutil
import site
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from deploy import kit

ROOT = Path(__file__).parents[1]
PROFILE = "test-board"
USER = "daemon" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
"""Whom the service is to run as: only root may give files to somebody else."""
_SYSTEMCTL = Path(__file__).parent / "deploy" / "systemctl.py"


def built(folder: Path) -> Path:
    """boardfit's wheel, with one board more, which any machine can be: its runtime computes nothing."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    facts = (ROOT / "deploy" / "boards" / "desktop.toml").read_text(encoding="utf-8")
    facts = facts.replace('runtime = "ort"', 'runtime = "null"') + "\n[worker_environment]\nSHARE = \"50 % of 'it'\"\n"
    return changed(wheel, folder / "changed", {f"deploy/boards/{PROFILE}.toml": facts.encode()})


def changed(wheel: Path, folder: Path, files: Mapping[str, bytes]) -> Path:
    """A copy in which these files have other content."""
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    return zipped(folder / wheel.name, {**content, **files})


def upgraded(wheel: Path, folder: Path, version: str) -> Path:
    """A copy that is another version of the same."""
    with zipfile.ZipFile(wheel) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    name, old, *tags = wheel.name.split("-")
    about, new = f"{name}-{old}.dist-info/", f"{name}-{version}.dist-info/"
    content = {path.replace(about, new): data for path, data in content.items()}
    metadata = content[f"{new}METADATA"]
    content[f"{new}METADATA"] = metadata.replace(f"\nVersion: {old}\n".encode(), f"\nVersion: {version}\n".encode())
    said = content["contract/version.py"]
    content["contract/version.py"] = said.replace(f'"{old}"'.encode(), f'"{version}"'.encode())
    return zipped(folder / "-".join([name, version, *tags]), content)


def zipped(wheel: Path, content: Mapping[str, bytes]) -> Path:
    """A wheel of this content, and a RECORD that fits it (PEP 427)."""
    [record] = {f"{path.partition('/')[0]}/RECORD" for path in content if path.partition("/")[0].endswith(".dist-info")}
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    for path, data in content.items():
        if path != record:
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            writer.writerow([path, f"sha256={digest}", len(data)])
    writer.writerow([record, "", ""])
    wheel.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, data in {**content, record: rows.getvalue().encode()}.items():
            archive.writestr(path, data)
    return wheel


def repacked(name: str, folder: Path) -> Path:
    """The wheel that an installed distribution came from: the same files, but for what pip itself has added."""
    found = importlib.metadata.distribution(name)
    pips = {"INSTALLER", "REQUESTED", "RECORD", "direct_url.json"}
    content = {
        path.as_posix(): Path(str(path.locate())).read_bytes()
        for path in found.files or ()
        if not {"..", "__pycache__"} & {*path.parts} and path.name not in pips
    }
    [about] = (data.decode() for path, data in content.items() if path.endswith(".dist-info/WHEEL"))
    tags = [line.partition(": ")[2].split("-") for line in about.splitlines() if line.startswith("Tag: ")]
    tag = "-".join(".".join(dict.fromkeys(parts)) for parts in zip(*tags, strict=True))
    return zipped(folder / f"{found.name.replace('-', '_').lower()}-{found.version}-{tag}.whl", content)


def needed() -> set[str]:
    """The distributions an agent needs, and pip, as they are installed for the running Python."""
    names: set[str] = set()
    lines = (ROOT / "deploy" / "agent-requirements.txt").read_text(encoding="utf-8").splitlines()
    todo = ["pip", *(line for line in lines if line and not line.startswith("#"))]
    while todo:
        found = importlib.metadata.distribution(Requirement(todo.pop()).name)
        if found.name not in names:
            names.add(found.name)
            wanted = [(line, Requirement(line).marker) for line in found.requires or ()]
            todo += [line for line, marker in wanted if marker is None or marker.evaluate({"extra": ""})]
    return names


@dataclass(frozen=True)
class Kit:
    """A folder to install from."""

    folder: Path

    @property
    def wheels(self) -> Path:
        return self.folder / "wheels"

    def copy(self, folder: Path, wheel: Path | None = None) -> "Kit":
        """To be changed; with another wheel of boardfit's."""
        shutil.copytree(self.folder, folder)
        if wheel:
            for old in folder.glob("boardfit-*.whl"):
                old.unlink()
            shutil.copy(wheel, folder)
        return Kit(folder)


def quick(folder: Path, wheel: Path) -> Kit:
    """A kit whose only dependency is the running Python's own site-packages, by a path file: it installs quickly."""
    made = _bare(folder, wheel)
    [packages] = site.getsitepackages()
    content = {
        "this_site.pth": packages,
        "this_site-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: this-site\nVersion: 1\n",
        "this_site-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    zipped(made.wheels / "this_site-1-py3-none-any.whl", {path: text.encode() for path, text in content.items()})
    _compiled(repacked("pip", made.wheels))
    (made.folder / "agent-requirements.txt").write_text("this-site\n")
    return made


def _compiled(wheel: Path) -> None:
    """Adds bytecode, which only saves time: a module that is imported from an archive is compiled at each start."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel, "a") as archive:
        archive.extractall(folder)
        for source in Path(folder).rglob("*.py"):
            made = source.with_suffix(".pyc")
            py_compile.compile(
                str(source), str(made), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, doraise=True
            )
            archive.write(made, made.relative_to(folder))


def whole(folder: Path, wheel: Path) -> Kit:
    """A kit with the wheels of all that an agent needs, and a lock of them for the running machine."""
    made = _bare(folder, wheel)
    lines = []
    for path in [repacked(name, made.wheels) for name in sorted(needed())]:
        name, version, *_ = path.name.split("-")
        lines.append(f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n")
    (made.folder / f"wheels-{os.uname().machine}.lock").write_text("".join(lines))
    return made


def _bare(folder: Path, wheel: Path) -> Kit:
    folder.mkdir()
    kit.lay_out(folder, wheel, None)
    return Kit(folder)


@dataclass(frozen=True)
class Board:
    """`root` stands for /, `commands` comes first in PATH, `state` is systemctl.py's.

    Its Python is the running one, its root is whoever runs the tests, and it cannot fetch anything.
    """

    root: Path
    commands: Path
    state: Path
    port: int
    variables: Mapping[str, str]
    is_root: bool = True

    @classmethod
    def new(cls, folder: Path, port: int) -> "Board":
        made = cls(folder / "root", folder / "commands", folder / "state", port, {"SUDO_USER": USER})
        for needed_folder in (made.root / "home", made.commands, made.state):
            needed_folder.mkdir(parents=True)
        made._provide_id(0)
        made._provide_systemctl("")
        made.provide("journalctl", f"cat {made.state}/journal")
        made.provide("python3", f'exec {Path(sys.executable).resolve()} "$@"')
        for absent in ("python3.11", "python3.12", "python3.13", "curl", "wget"):
            made.provide(absent, "exit 127")
        return made

    def as_user(self) -> "Board":
        """The same board for somebody who is not root."""
        made = replace(self, is_root=False, variables={})
        made._provide_id(1000)
        made._provide_systemctl('[ "$1" = --user ] && ')
        return made

    def provide(self, command: str, script: str) -> None:
        """A command of the board's instead of this machine's, a script for sh."""
        path = self.commands / command
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def _provide_id(self, number: int) -> None:
        self.provide("id", f'case "$*" in -u) echo {number};; *) exec {shutil.which("id")} "$@";; esac')

    def _provide_systemctl(self, condition: str) -> None:
        command = f"{sys.executable} {_SYSTEMCTL} {self.state} {self.unit}"
        self.provide("systemctl", f'{condition}exec {command} "$@"')

    def install(self, kit: Kit, *options: str) -> "subprocess.CompletedProcess[str]":
        """As on a new board."""
        return self.run(kit, "--profile", PROFILE, "--port", str(self.port), *options)

    def run(self, kit: Kit, *options: str) -> "subprocess.CompletedProcess[str]":
        command = self.command(kit, *options)
        return subprocess.run(command, env=self.environment, capture_output=True, text=True)

    def command(self, kit: Kit, *options: str) -> list[str]:
        return ["bash", str(kit.folder / "install.sh"), *options]

    @property
    def environment(self) -> dict[str, str]:
        path = f"{self.commands}:/usr/sbin:/usr/bin:/sbin:/bin"
        return {"PATH": path, "HOME": str(self.root / "home"), "BOARDFIT_ROOT": str(self.root), **self.variables}

    @property
    def home(self) -> Path:
        return self.root / ("opt/boardfit" if self.is_root else "home/.local/lib/boardfit")

    @property
    def data(self) -> Path:
        return self.root / ("var/lib/boardfit" if self.is_root else "home/.local/share/boardfit-agent")

    @property
    def token(self) -> Path:
        return self.root / ("etc/boardfit/token" if self.is_root else "home/.config/boardfit/agent.token")

    @property
    def unit(self) -> Path:
        folder = "etc/systemd/system" if self.is_root else "home/.config/systemd/user"
        return self.root / folder / "boardfit-agent.service"

    @property
    def sudoers(self) -> Path:
        return self.root / "etc/sudoers.d/boardfit-agent"

    @property
    def release(self) -> str:
        return str((self.home / "current").readlink())

    @property
    def pid(self) -> int:
        return int((self.state / "pid").read_text())

    @property
    def calls(self) -> list[str]:
        """What systemctl was told to do, questions left out."""
        return [line for line in (self.state / "calls").read_text().splitlines() if " is-" not in f" {line}"]

    def ask(self, token: str | None = None) -> tuple[int, dict[str, Any]]:
        """What the agent says of itself: status and reply."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", "/v1/agent", headers={"Authorization": f"Bearer {token}"} if token else {})
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        connection.close()
        return reply.status, answer

    @property
    def version(self) -> str:
        return str(self.ask(self.token.read_text().strip())[1]["version"])

    def files(self) -> dict[str, tuple[int, int]]:
        """Every file but those of the running agent: which it is, and when it was changed."""
        return {
            str(path): (status.st_ino, status.st_mtime_ns)
            for path in self.root.rglob("*")
            if self.data not in (path, *path.parents) and "__pycache__" not in path.parts
            for status in [path.lstat()]
        }
