"""A kit has all that install.sh asks for, and nothing damaged."""

import hashlib
import re
import tarfile
from pathlib import Path

import pytest

from deploy import kit, wheels


@pytest.fixture
def archive(tmp_path: Path) -> kit.StandalonePython:
    """A standalone Python that can be fetched, from this machine."""
    path = tmp_path / "cpython-9.tar.gz"
    path.write_bytes(b"an interpreter")
    return kit.StandalonePython(hashlib.sha256(b"an interpreter").hexdigest(), path.as_uri())


@pytest.fixture
def boardfit(tmp_path: Path) -> Path:
    path = tmp_path / "boardfit-1-py3-none-any.whl"
    path.write_bytes(b"a wheel")
    return path


def test_all_that_the_installer_reads_lies_beside_it(boardfit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    folder.mkdir()
    kit.lay_out(folder, boardfit, None)
    scripts = [folder / "install.sh", *(folder / "install").iterdir()]
    named = {name for script in scripts for name in re.findall(r"\$HERE/([a-z/-]+\.[a-z]+)\b", script.read_text())}
    assert {"install/service.sh", "standalone-pythons.txt", "agent-requirements.txt"} <= named
    assert [name for name in named if not (folder / name).exists()] == []
    assert (folder / "boardfit-agent.service").exists()
    assert (folder / boardfit.name).read_bytes() == b"a wheel"
    assert (folder / "install.sh").stat().st_mode & 0o111


def test_an_archive_is_nobodys_and_runs_where_it_is_unpacked(boardfit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    folder.mkdir()
    kit.lay_out(folder, boardfit, None)
    kit.pack(folder, tmp_path / "kit.tar")
    with tarfile.open(tmp_path / "kit.tar") as packed:
        members = packed.getmembers()
    assert {(member.uid, member.gid, member.uname) for member in members} == {(0, 0, "")}
    assert {member.name.partition("/")[0] for member in members} == {kit.KIT}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["boardfit-1-py3-none-any.whl", "kit", "kit.tar"]


def test_what_is_no_wheel_of_boardfit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(kit.KitError, match="is no wheel of boardfit"):
        kit.lay_out(tmp_path, tmp_path / "numpy-1.whl", None)


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
def test_a_standalone_python_is_known_by_its_digest(machine: str) -> None:
    known = kit.standalone_python(machine)
    assert re.fullmatch(r"[0-9a-f]{64}", known.sha256)
    assert known.address.startswith("https://github.com/astral-sh/python-build-standalone/releases/download/")
    assert re.fullmatch(
        rf"cpython-3\.12\.\d+\+\d{{8}}-{machine}-unknown-linux-gnu-install_only\.tar\.gz", known.file_name
    )


def test_a_standalone_python_is_fetched_and_checked(archive: kit.StandalonePython, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert kit.fetch(archive, tmp_path / "there").read_bytes() == b"an interpreter"
    other = kit.StandalonePython("0" * 64, archive.address)
    with pytest.raises(kit.KitError, match="is damaged") as caught:
        kit.fetch(other, tmp_path / "there")
    assert archive.address in caught.value.hint


def test_one_that_cannot_be_fetched_is_said(tmp_path: Path) -> None:
    with pytest.raises(kit.KitError, match="cannot be fetched"):
        kit.fetch(kit.StandalonePython("0" * 64, (tmp_path / "nowhere").as_uri()), tmp_path)


def test_a_damaged_standalone_python_is_not_packed(boardfit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    folder.mkdir()
    damaged = tmp_path / kit.standalone_python().file_name
    damaged.write_bytes(b"half of it")
    with pytest.raises(kit.KitError, match="is damaged"):
        kit.lay_out(folder, boardfit, damaged)


def test_the_command_packs_what_pip_downloads(
    boardfit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def download(folder: Path, python: str, *what: str) -> list[Path]:
        assert (python, what) == ("3.12", ("--no-deps", "--require-hashes", "-r", str(wheels.LOCK)))
        folder.mkdir()
        (folder / "numpy-1-any.whl").write_bytes(b"")
        return []

    monkeypatch.setattr(wheels, "download", download)
    output = tmp_path / "kit.tar"
    assert kit.main(["--wheel", str(boardfit), "-o", str(output)]) == 0
    with tarfile.open(output) as packed:
        assert "boardfit-kit/wheels/numpy-1-any.whl" in packed.getnames()
    assert kit.standalone_python().address in capsys.readouterr().out  # which is not in it


def test_the_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert kit.main(["--wheel", "nowhere.whl", "-o", str(tmp_path / "kit.tar")]) == 1
    said = capsys.readouterr().err
    assert "nowhere.whl is no wheel of boardfit" in said
    assert "hint: make one" in said
    assert list(tmp_path.iterdir()) == []
