"""The compiler in a container; Docker is a stand-in that hands the run on to the stand-in compiler."""

import sys
from pathlib import Path

import edge_tpu_files
import processes
import pytest
from edge_tpu_files import compiled, source

from converters.edge_tpu import compiler as compiling
from converters.edge_tpu.compile import compile_for_edge_tpu
from converters.edge_tpu.compiler import Compiler
from converters.edge_tpu.container import DOCKERFILE, IMAGE
from converters.edge_tpu.errors import CompilerTimeoutError, ContainerError

RECORDED = Path(__file__).parent / "recorded"
DOCKER = """\
#!{python}
import os, pathlib, sys
folder, words = pathlib.Path({folder!r}), sys.argv[1:]
with (folder / "docker").open("a") as notes:
    notes.write(" ".join(words) + "\\n")
if words[0] == "image":
    sys.exit(0 if (folder / "image").exists() else 1)
if words[0] == "build":
    (folder / "image").write_text(sys.stdin.read())
    print("building is what it does")
    if {build}:
        print({legacy!r})
    sys.exit({build})
if words[0] == "run":
    if {run}:
        sys.exit({run})
    mounted = words[words.index("--volume") + 1].partition(":")[0]
    rest = [word.replace("/w", mounted) for word in words[words.index({image!r}) + 1 :]]
    os.execv({program!r}, [{program!r}, *rest])
"""


LEGACY = """\
DEPRECATED: The legacy builder is deprecated and will be removed in a future release.
            Install the buildx component to build images with BuildKit:
            https://docs.docker.com/go/buildx/

failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is \
running: dial unix /var/run/docker.sock: connect: no such file or directory
"""
"""Of Docker without buildx, its daemon down: https://github.com/rchen14b/TMO-G5AR-Portal/issues/2"""


class Docker:
    """`notes` are its command lines."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, build: int = 0, run: int = 0) -> None:
        self.folder = folder
        self.compiler = edge_tpu_files.Compiler(folder, monkeypatch)
        self.compiler.says((RECORDED / "all_mapped.txt").read_text())
        self.compiler.makes(compiled(source()))
        program = self.compiler.program.with_name("docker")
        program.write_text(
            DOCKER.format(
                python=sys.executable,
                folder=str(folder),
                image=IMAGE,
                program=str(self.compiler.program),
                build=build,
                legacy=LEGACY,
                run=run,
            )
        )
        program.chmod(0o755)

    @property
    def notes(self) -> list[str]:
        return (self.folder / "docker").read_text().splitlines()


def test_the_image_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docker = Docker(tmp_path, monkeypatch)
    for _ in range(2):
        assert compile_for_edge_tpu(source(), Compiler(docker=True)).content == compiled(source())
    assert [line.split()[0] for line in docker.notes] == ["image", "build", "run", "image", "run"]
    assert (tmp_path / "image").read_text() == DOCKERFILE
    assert docker.notes[1] == f"build --platform linux/amd64 --tag {IMAGE} -"
    words = docker.notes[2].split()
    assert {"--rm", "--network", "none", "linux/amd64"} <= set(words)
    assert words[words.index(IMAGE) + 1 :] == ["-s", "-o", "/w", "--timeout_sec", "180", "/w/model.tflite"]


def test_the_key_is_in_a_file_of_its_own() -> None:
    assert "signed-by=/etc/apt/keyrings/$name" in DOCKERFILE
    assert "apt-key " not in DOCKERFILE
    assert 'ENTRYPOINT ["edgetpu_compiler"]' in DOCKERFILE


def test_an_image_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Docker(tmp_path, monkeypatch, build=1)
    with pytest.raises(
        ContainerError, match=r"cannot be made: failed to connect to .* no such file or directory$"
    ) as caught:
        compile_for_edge_tpu(source(), Compiler(docker=True))
    assert caught.value.uncompiled == source()


def test_a_container_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Docker(tmp_path, monkeypatch, run=125)
    with pytest.raises(ContainerError, match="does not start: it says nothing"):
        compile_for_edge_tpu(source(), Compiler(docker=True))


def test_no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ContainerError, match="docker is not on PATH"):
        compile_for_edge_tpu(source(), Compiler(docker=True))


def test_one_that_hangs_is_killed_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_GRACE_S", 0.5)
    docker = Docker(tmp_path, monkeypatch)
    docker.compiler.says("# exit: hangs\n")
    with pytest.raises(CompilerTimeoutError):
        compile_for_edge_tpu(source(), Compiler(docker=True, timeout_s=0.5))
    started = docker.notes[-2].split()
    assert docker.notes[-1] == f"kill {started[started.index('--name') + 1]}"
    assert processes.are_gone(docker.compiler.children, 5)
