import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compression.data import errors
from compression.data.mvtec import Dataset, load_images, load_masks, read_dataset, split
from inspection.preprocess import Preprocessing

SMALL = Preprocessing(height=8, width=8)


def write(path: Path, size: tuple[int, int] = (16, 16), fill: int = 90, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, fill if mode == "L" else (fill, fill, fill)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five training images, two good ones, two cracks and a poke."""
    root = tmp_path / "capsule"
    for number in range(5):
        write(root / "train/good" / f"{number:03}.png", fill=10 * number)
    for name in ("test/good/000.png", "test/good/001.jpg", "test/poke/000.png", "test/crack/000.png"):
        write(root / name)
    write(root / "test/crack/001.png")
    for kind, name in (("poke", "000"), ("crack", "000"), ("crack", "001")):
        write(root / "ground_truth" / kind / f"{name}_mask.png", mode="L", fill=255)
    return root


def test_reads_images_kinds_and_masks(folder: Path) -> None:
    dataset = read_dataset(folder)
    assert [path.name for path in dataset.train] == [f"{number:03}.png" for number in range(5)]
    assert dataset.kinds == ("good", "good", "crack", "crack", "poke")
    assert dataset.defective.tolist() == [False, False, True, True, True]
    assert dataset.test[1].path == folder / "test/good/001.jpg"
    assert [image.mask for image in dataset.test] == [
        None,
        None,
        folder / "ground_truth/crack/000_mask.png",
        folder / "ground_truth/crack/001_mask.png",
        folder / "ground_truth/poke/000_mask.png",
    ]
    assert dataset.has_masks


def test_what_is_no_image_is_passed_over(folder: Path) -> None:
    (folder / "train/good/._000.png").write_bytes(b"Mac")
    (folder / "train/good/notes.txt").touch()
    (folder / "test/license.txt").touch()
    (folder / "test/.cache").mkdir()
    assert len(read_dataset(folder).train) == 5
    assert set(read_dataset(folder).kinds) == {"good", "crack", "poke"}


def test_a_data_set_without_ground_truth_has_no_masks(folder: Path) -> None:
    for path in sorted((folder / "ground_truth").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (folder / "ground_truth").rmdir()
    dataset = read_dataset(folder)
    assert not dataset.has_masks
    assert not load_masks(dataset, 8, 8).any()


def remove(*names: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        for name in names:
            for path in sorted([*(folder / name).rglob("*"), folder / name], reverse=True):
                path.unlink() if path.is_file() else path.rmdir()

    return damage


@pytest.mark.parametrize(
    ("damage", "error", "says"),
    [
        (remove(""), errors.MissingFolderError, "capsule is no folder"),
        (remove("train"), errors.MissingFolderError, "train/good is no folder"),
        (remove("test"), errors.MissingFolderError, "test is no folder"),
        (remove("test/good"), errors.OneClassError, "no good image .*undefined"),
        (remove("test/crack", "test/poke"), errors.OneClassError, "no defective image .*undefined"),
        (remove("test/good/000.png", "test/good/001.jpg"), errors.EmptyFolderError, "test/good has no image"),
        (remove("test/poke/000.png"), errors.EmptyFolderError, "test/poke has no image"),
        (remove(*(f"train/good/00{n}.png" for n in range(5))), errors.EmptyFolderError, "train/good has no image"),
        (remove("ground_truth/crack/001_mask.png"), errors.MissingMaskError, r"crack/001\.png has no mask"),
        (remove("ground_truth/poke"), errors.MissingMaskError, r"poke/000_mask\.png is missing"),
    ],
)
def test_what_is_missing_is_named(
    folder: Path, damage: Callable[[Path], None], error: type[errors.DatasetError], says: str
) -> None:
    damage(folder)
    with pytest.raises(error, match=says) as caught:
        read_dataset(folder)
    assert caught.value.hint


@pytest.mark.parametrize("name", [b"test/crack/\x83e\x83X\x83g.png", b"train/good/\x83.png", b"test/\x83e/000.png"])
def test_a_name_that_is_no_text_is_named_in_printable_characters(folder: Path, name: bytes) -> None:
    """As unzip leaves those of a Shift-JIS archive."""
    write(folder / os.fsdecode(name))
    with pytest.raises(errors.ImageFileError, match=r"\\x83.*\.png has a name that is no UTF-8") as caught:
        read_dataset(folder)
    assert caught.value.message.isprintable()
    assert "convmv" in caught.value.hint


def test_a_name_in_any_script_is_text(folder: Path) -> None:
    write(folder / "train/good/テスト.png")
    assert len(read_dataset(folder).train) == 6


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.MissingFolderError):
        read_dataset(tmp_path / "file")


def test_a_folder_that_may_not_be_read_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(errors.MissingFolderError, match="test cannot be read: Permission denied"):
        read_dataset(folder)


def test_images_are_prepared_in_order(folder: Path) -> None:
    dataset, seen = read_dataset(folder), []
    images = load_images(dataset, dataset.train, SMALL, lambda done, total: seen.append((done, total)))
    assert images.shape == (5, 3, 8, 8)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images[:, 0, 0, 0], np.arange(5) * 10 / 255, atol=1e-6)
    assert seen == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]


def test_a_truncated_image_is_named(folder: Path) -> None:
    path = folder / "test/crack/001.png"
    path.write_bytes(path.read_bytes()[:-30])
    dataset = read_dataset(folder)
    with pytest.raises(errors.ImageFileError, match=r"crack/001\.png: the PNG file of .* is broken"):
        load_images(dataset, [image.path for image in dataset.test], SMALL)


@pytest.mark.parametrize("content", [b"", b"GIF89a"])
def test_a_file_that_is_no_image_is_named(folder: Path, content: bytes) -> None:
    (folder / "train/good/003.png").write_bytes(content)
    dataset = read_dataset(folder)
    with pytest.raises(errors.ImageFileError, match=r"good/003\.png"):
        load_images(dataset, dataset.train, SMALL)


def test_a_file_that_is_gone_meanwhile_is_named(folder: Path) -> None:
    dataset = read_dataset(folder)
    (folder / "train/good/002.png").unlink()
    with pytest.raises(errors.ImageFileError, match=r"good/002\.png cannot be read: No such file"):
        load_images(dataset, dataset.train, SMALL)


def test_mixed_sizes_are_refused_across_folders(folder: Path) -> None:
    write(folder / "test/poke/000.png", (16, 17))
    dataset = read_dataset(folder)
    assert load_images(dataset, dataset.train, SMALL).shape[0] == 5
    with pytest.raises(errors.MixedSizesError, match=r"poke/000\.png has 16 x 17 pixels, .*000\.png has 16 x 16"):
        load_images(dataset, [image.path for image in dataset.test], SMALL)


def test_masks_belong_to_their_images(folder: Path) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[5, 9] = 1  # any value but 0
    Image.fromarray(mask).save(folder / "ground_truth/crack/001_mask.png")
    full = load_masks(read_dataset(folder), 16, 16)
    assert full.shape == (5, 16, 16)
    assert not full[:2].any()
    assert full[2].all()
    np.testing.assert_array_equal(full[3], mask > 0)


def test_a_tiny_defect_survives_scaling_down(folder: Path) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[5, 9] = 255
    Image.fromarray(mask).save(folder / "ground_truth/crack/001_mask.png")
    assert np.argwhere(load_masks(read_dataset(folder), 4, 4)[3]).tolist() == [[1, 2]]


def test_a_mask_of_another_size_is_refused(folder: Path) -> None:
    write(folder / "ground_truth/poke/000_mask.png", (16, 15), 255, "L")
    with pytest.raises(errors.MaskSizeError, match=r"poke/000_mask\.png has 16 x 15 pixels, its image 16 x 16"):
        load_masks(read_dataset(folder), 8, 8)


def test_a_truncated_mask_is_named(folder: Path) -> None:
    path = folder / "ground_truth/poke/000_mask.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(errors.ImageFileError, match=r"poke/000_mask\.png"):
        load_masks(read_dataset(folder), 8, 8)


def test_a_tenth_is_held_out_by_seed() -> None:
    paths = [Path(f"{number:03}.png") for number in range(219)]
    kept, held_out = split(paths, 0)
    assert (len(kept), len(held_out)) == (197, 22)
    assert sorted((*kept, *held_out)) == paths
    assert list(held_out) == sorted(held_out)
    assert split(paths, 0) == (kept, held_out)
    assert split(paths, 1)[1] != held_out


def test_two_images_are_the_fewest_to_split() -> None:
    assert [len(part) for part in split([Path("a"), Path("b")], 0)] == [1, 1]
    for paths in ([Path("a")], []):
        with pytest.raises(errors.TooFewImagesError, match="cannot be split"):
            split(paths, 0)


def test_no_paths_is_a_bug(folder: Path) -> None:
    with pytest.raises(ValueError, match="no paths"):
        load_images(read_dataset(folder), [], SMALL)


def test_a_data_set_is_a_value(folder: Path) -> None:
    assert isinstance(read_dataset(folder), Dataset)
    assert read_dataset(folder) == read_dataset(folder)
