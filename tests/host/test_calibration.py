"""Which files of a folder are a conversion's examples."""

from pathlib import Path

import numpy as np
import pytest
from photos import photo

from contract.manifest import Preprocessing
from contract.tensors import Signature, TensorSpec
from host.calibration import examples
from host.errors import InputError
from host.judging import Judging

SPEC = TensorSpec(name="image", dtype="float32", shape=(1, 3, 8, 8))
SIGNATURE = Signature(inputs=(SPEC,), outputs=(SPEC,))
IMAGES, TENSORS = Judging(Preprocessing(height=8, width=8)), Judging()


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".png":
            path.write_bytes(photo())
        elif path.suffix == ".npz":
            np.savez(path, image=np.zeros(SPEC.shape))
        else:
            np.save(path, np.zeros(SPEC.shape))
    return folder


@pytest.mark.parametrize("judging", [IMAGES, TENSORS])
def test_tensors_are_taken_as_they_are(tmp_path: Path, judging: Judging) -> None:
    folder = filled(tmp_path / "x", "b.npy", "a/c.npz")
    found, said = examples(folder, judging, SIGNATURE, int8=True)
    assert found is not None
    assert (found.source, found.files) == ("tensors", (folder / "a" / "c.npz", folder / "b.npy"))
    assert said == (f"int8: calibrated with 2 tensor files in {folder} and 1 folder below it (a)",)
    assert all(tensor.shape == SPEC.shape for [tensor] in found)
    assert found[1:].files == (folder / "b.npy",)


def test_no_more_than_are_of_use(tmp_path: Path) -> None:
    folder = filled(tmp_path / "x", *(f"{number:03}.npy" for number in range(201)))
    for int8, used, use in ((True, 200, "int8: calibrated with"), (False, 8, "golden inputs:")):
        found, said = examples(folder, TENSORS, SIGNATURE, int8)
        assert found is not None
        assert (len(found), said) == (used, (f"{use} the first {used} of 201 tensor files in {folder}",))


def test_no_file_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    (filled(tmp_path / "x", "0.npy") / "1.npy").write_text("none")
    found, _ = examples(tmp_path / "x", TENSORS, SIGNATURE, int8=True)
    assert found is not None
    assert len(found[0]) == 1
    with pytest.raises(InputError, match=r"1\.npy is no array of numpy's"):
        found[1]


def test_both_kinds_are_refused(tmp_path: Path) -> None:
    folder = filled(tmp_path / "x", "0.npy", "a/1.png")
    with pytest.raises(InputError, match=r"both images and tensors in it: a/1\.png and 0\.npy"):
        examples(folder, IMAGES, SIGNATURE, int8=True)


def test_images_for_a_model_that_takes_tensors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the model takes tensors: 'image' float32 \[1, 3, 8, 8\]") as raised:
        examples(filled(tmp_path / "x", "0.png"), TENSORS, SIGNATURE, int8=False)
    assert ".npz" in raised.value.hint


@pytest.mark.parametrize(("judging", "suffixes"), [(IMAGES, ".png, .jpg, .jpeg"), (TENSORS, ".npz, .npy")])
def test_an_empty_folder(tmp_path: Path, judging: Judging, suffixes: str) -> None:
    with pytest.raises(InputError, match="has no image in it, and no tensors") as raised:
        examples(tmp_path, judging, SIGNATURE, int8=True)
    assert raised.value.hint == f"put files ending in {suffixes} there"
    with pytest.raises(InputError, match="gone is no folder"):
        examples(tmp_path / "gone", judging, SIGNATURE, int8=True)
