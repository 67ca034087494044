import os
from pathlib import Path

from host.reproduction.records import digest


def test_the_digest_is_of_names_and_contents_whatever_bytes_a_name_is_made_of(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "000.png").write_bytes(b"first")
    stray = tmp_path / os.fsdecode("傷.txt".encode("shift_jis"))
    stray.write_bytes(b"")
    digests = [digest(tmp_path)]
    stray.rename(tmp_path / "scratch.txt")
    digests.append(digest(tmp_path))
    (tmp_path / "good" / "000.png").write_bytes(b"other")
    digests.append(digest(tmp_path))
    assert len(set(digests)) == len(digests)
    assert digest(tmp_path) == digests[-1]
