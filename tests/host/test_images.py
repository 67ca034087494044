import os
from pathlib import Path

import numpy as np
import pytest
from photos import photo

from contract.manifest import Preprocessing
from host import images
from host.errors import InputError

EIGHT = Preprocessing(height=8, width=8)


def written(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo())
    return paths


def test_every_image_below_in_the_order_of_their_paths(tmp_path: Path) -> None:
    paths = written(tmp_path, "b.png", "a/2.jpg", "a/1.JPEG", "c.PNG", "a/x/0.jpg")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.png").mkdir()
    assert images.image_files(tmp_path) == sorted(paths)


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    [seen, *_] = written(tmp_path, "000.png", "._000.png", ".cache/1.png", "a/.trash/2.png")
    assert images.image_files(tmp_path) == [seen]


def test_a_hidden_folder_that_is_named_is_meant(tmp_path: Path) -> None:
    paths = written(tmp_path, ".data/0.png")
    assert images.image_files(tmp_path / ".data") == paths


def test_links_in_a_loop_end(tmp_path: Path) -> None:
    paths = written(tmp_path, "a/0.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    (tmp_path / "a" / "gone.png").symlink_to(tmp_path / "nowhere")
    assert images.image_files(tmp_path) == paths


def test_a_link_to_an_image_and_to_the_folder_itself_are_followed(tmp_path: Path) -> None:
    [target] = written(tmp_path, "elsewhere/0.png")
    (tmp_path / "set").mkdir()
    link = tmp_path / "set" / "0.png"
    link.symlink_to(target)
    (tmp_path / "latest").symlink_to(tmp_path / "set")
    assert images.image_files(tmp_path / "latest") == [tmp_path / "latest" / "0.png"]


def test_a_pipe_with_the_name_of_an_image_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="has no image in it"):
        images.image_files(tmp_path)


def test_no_image_no_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match="has no image in it") as raised:
        images.image_files(tmp_path)
    assert ".png, .jpg, .jpeg" in raised.value.hint
    for none in (tmp_path / "notes.txt", tmp_path / "gone"):
        with pytest.raises(InputError, match=f"{none} is no folder"):
            images.image_files(none)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_is_known_by_how_it_begins(kind: str) -> None:
    assert images.media_type_of(photo(kind)) == f"image/{kind.lower()}"


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"\x93NUMPY", b"\x89PN"])
def test_what_begins_otherwise_is_no_image(content: bytes) -> None:
    assert images.media_type_of(content) is None


def test_a_suffix_that_lies_does_no_harm(tmp_path: Path) -> None:
    honest, lying = tmp_path / "a.jpg", tmp_path / "a.png"
    for path in (honest, lying):
        path.write_bytes(photo("JPEG"))
    one, other = (images.prepared(path, EIGHT, "float32") for path in (honest, lying))
    np.testing.assert_array_equal(one, other)
    assert (one.shape, one.dtype.name) == ((1, 3, 8, 8), "float32")


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "broken_image"), (photo()[:60], "broken_image"), (b"GIF89a" + bytes(99), "unsupported_image")],
)
def test_an_image_that_is_none_is_named(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "000.png"
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        images.prepared(path, EIGHT, "float32")
    assert raised.value.message.startswith(f"{path}: ")
    assert raised.value.code == code
    hint = "copy the image again, whole" if code == "broken_image" else "convert the image to PNG or JPEG"
    assert raised.value.hint == hint


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png cannot be read: No such file"):
        images.read(tmp_path / "gone.png")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        images.read(tmp_path)
