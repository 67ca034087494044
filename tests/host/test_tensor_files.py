"""A user's .npz and .npy files as a model's inputs."""

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from contract.tensors import Signature, TensorSpec
from host.errors import InputError
from host.tensor_files import read_case

MASK = TensorSpec(name="mask", dtype="uint8", shape=(1, 4))
IMAGE = TensorSpec(name="image", dtype="float32", shape=(1, 2, 3))
OUT = (TensorSpec(name="y", dtype="float32", shape=(1,)),)
ONE, TWO = (Signature(inputs=inputs, outputs=OUT) for inputs in ((IMAGE,), (IMAGE, MASK)))
VALUES = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
BYTES = np.arange(4, dtype=np.uint8)[np.newaxis]


def of(dtype: str, *shape: int) -> Signature:
    return Signature(inputs=(TensorSpec(name="x", dtype=dtype, shape=shape),), outputs=OUT)  # type: ignore[arg-type]  # any of its names


def npy(array: NDArray[np.generic], **how: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **how)
    return file.getvalue()


def saved(folder: Path, content: bytes, name: str = "a.npy") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def zipped(folder: Path, packing: int = zipfile.ZIP_DEFLATED, /, **members: bytes) -> Path:
    with zipfile.ZipFile(folder / "a.npz", "w", packing) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return folder / "a.npz"


class TestWhatFits:
    @pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
    def test_by_name_in_the_models_order(self, tmp_path: Path, save: "type[np.savez]") -> None:  # type: ignore[valid-type]  # a function
        save(tmp_path / "a.npz", mask=BYTES, image=VALUES)
        image, mask = read_case(tmp_path / "a.npz", TWO)
        np.testing.assert_array_equal(image, VALUES)
        np.testing.assert_array_equal(mask, BYTES)

    @pytest.mark.parametrize(
        "array",
        [
            VALUES[0],
            VALUES.astype(np.float64),
            VALUES.astype(">f4"),
            VALUES.astype(np.int64),
            VALUES.astype(np.float16),
            np.asfortranarray(VALUES),
        ],
    )
    def test_in_another_form(self, tmp_path: Path, array: NDArray[np.generic]) -> None:
        [tensor] = read_case(saved(tmp_path, npy(array)), ONE)
        assert (tensor.dtype.str, tensor.shape, tensor.flags.c_contiguous) == ("<f4", (1, 2, 3), True)
        np.testing.assert_array_equal(tensor, VALUES)

    def test_names_as_exporters_give_them(self, tmp_path: Path) -> None:
        signature = Signature(inputs=(TensorSpec(name="serving/x:0", dtype="bool", shape=(1,)),), outputs=OUT)
        np.savez(tmp_path / "A.NPZ.npz", **{"serving/x:0": np.array(True)})  # type: ignore[arg-type]  # a name
        [tensor] = read_case((tmp_path / "A.NPZ.npz").rename(tmp_path / "A.NPZ"), signature)
        assert tensor.tolist() == [True]

    def test_more_than_is_looked_at_first(self, tmp_path: Path) -> None:
        array = np.random.default_rng(0).random((1, 9, 1000), np.float32)
        np.savez_compressed(tmp_path / "a.npz", x=array)
        for path in (tmp_path / "a.npz", saved(tmp_path, npy(array))):
            np.testing.assert_array_equal(read_case(path, of("float32", 1, 9, 1000))[0], array)


class TestNames:
    @pytest.mark.parametrize(
        ("names", "message"),
        [
            (("image", "masks"), "an array 'masks', which is no input of the model; did you mean 'mask'"),
            (("image", "mask", "zzz"), "an array 'zzz', which is no input of the model$"),
            (("image",), "no array 'mask', which the model takes"),
            ((), "no array 'image', 'mask', which the model takes"),
        ],
    )
    def test_are_those_of_the_inputs(self, tmp_path: Path, names: tuple[str, ...], message: str) -> None:
        with pytest.raises(InputError, match=rf"a\.npz has {message}") as raised:
            read_case(zipped(tmp_path, **dict.fromkeys(names, npy(BYTES))), TWO)
        assert raised.value.hint == "name its arrays as the model's inputs: 'image', 'mask'"

    def test_two_of_a_name(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
            for name in ("image", "image.npy"):
                file.writestr(name, npy(VALUES))
        with pytest.raises(InputError, match="two arrays 'image'"):
            read_case(tmp_path / "a.npz", ONE)

    def test_one_array_for_several_inputs(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"a\.npy is one array, but the model takes 2: 'image' float32"):
            read_case(saved(tmp_path, npy(VALUES)), TWO)


class TestForms:
    @pytest.mark.parametrize("shape", [(2, 2, 3), (1, 1, 2, 3), (6,), (3, 2), ()])
    def test_another_shape(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match=r"a\.npy has the shape \[.*\], the input 'image' \[1, 2, 3\]"):
            read_case(saved(tmp_path, npy(np.zeros(shape, np.float32))), ONE)

    @pytest.mark.parametrize(
        ("dtype", "into"),
        [("complex64", "float32"), ("float32", "int8"), ("int64", "uint8"), ("U3", "float32"), ("i4", "bool"),
         ("M8[s]", "int64"), ("V4", "float32"), ([("a", "f4")], "float32")],
    )  # fmt: skip
    def test_another_type(self, tmp_path: Path, dtype: object, into: str) -> None:
        with pytest.raises(InputError, match=rf"a\.npy is .*, which does not become the input's {into} without loss"):
            read_case(saved(tmp_path, npy(np.zeros((1, 4), dtype))), of(into, 1, 4))  # type: ignore[call-overload]  # any

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
    def test_values_that_are_not_finite(self, tmp_path: Path, value: float) -> None:
        array = VALUES.astype(np.float64)
        array[0, 1, 1] = value
        with pytest.raises(InputError, match=r"'image': 1 of 6 values is not finite as float32"):
            read_case(zipped(tmp_path, image=npy(array)), ONE)

    @pytest.mark.parametrize("value", [-129, 128, 256])
    def test_integers_that_would_wrap(self, tmp_path: Path, value: int) -> None:
        with pytest.raises(InputError, match=r"which int8 does not hold"):
            read_case(saved(tmp_path, npy(np.array([0, value]))), of("int8", 2))
        [tensor] = read_case(saved(tmp_path, npy(np.array([-128, 127]))), of("int8", 2))
        assert tensor.tolist() == [-128, 127]


class TestFiles:
    def test_pickled_objects_are_not_read(self, tmp_path: Path) -> None:
        pickled = npy(np.array([[print]], dtype=object), allow_pickle=True)
        for path in (saved(tmp_path, pickled), zipped(tmp_path, x=pickled)):
            with pytest.raises(InputError, match="pickled Python objects, which are not read"):
                read_case(path, of("float32", 1, 1))

    @pytest.mark.parametrize("size", [0, 5, 60, -1])
    def test_cut_files(self, tmp_path: Path, size: int) -> None:
        whole = npy(VALUES)
        with pytest.raises(InputError, match=r"no array of numpy's|23 bytes of data, its header says 24"):
            read_case(saved(tmp_path, whole[:size]), ONE)
        with pytest.raises(InputError, match=r"no array of numpy's|23 bytes of data, its header says 24"):
            read_case(zipped(tmp_path, image=whole[:size]), ONE)
        path = zipped(tmp_path, image=whole)
        with pytest.raises(InputError, match=r"a\.npz is no \.npz file, or a damaged one"):
            read_case(saved(tmp_path, path.read_bytes()[:size], "a.npz"), ONE)

    def test_more_than_an_array(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="25 bytes of data, its header says 24"):
            read_case(saved(tmp_path, npy(VALUES) + b"x"), ONE)

    def test_a_flipped_bit_in_a_zip(self, tmp_path: Path) -> None:
        path = zipped(tmp_path, zipfile.ZIP_STORED, image=npy(VALUES))
        content = bytearray(path.read_bytes())
        content[content.index(VALUES.tobytes())] ^= 1
        with pytest.raises(InputError, match="damaged one: BadZipFile: Bad CRC-32"):
            read_case(saved(tmp_path, bytes(content), "a.npz"), ONE)

    def test_what_numpy_does_not_pack(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="packed in a way that numpy does not use"):
            read_case(zipped(tmp_path, zipfile.ZIP_LZMA, image=npy(VALUES)), ONE)

    @pytest.mark.parametrize("name", ["a.npy", "a.npz"])
    def test_what_cannot_be_read(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match=rf"{name} cannot be read: No such file"):
            read_case(tmp_path / name, ONE)

    @given(st.data())
    def test_any_damage_is_a_users_error(self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
        folder = tmp_path_factory.mktemp("damaged")
        whole = zipped(folder, image=npy(VALUES), mask=npy(BYTES)).read_bytes()
        content = bytearray(whole)
        for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
            content[place] = data.draw(st.integers(0, 255))
        with suppress(InputError):
            read_case(saved(folder, bytes(content), "a.npz"), TWO)


class TestBombs:
    """What unpacks to far more than the input has is refused by what it says of itself, before it is unpacked."""

    @pytest.fixture(autouse=True)
    def few_bytes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = zipfile.ZipExtFile.read

        def read(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
            assert n is not None
            assert 0 <= n <= 16384
            return whole(self, n)

        monkeypatch.setattr(zipfile.ZipExtFile, "read", read)

    def test_an_array_of_another_shape(self, tmp_path: Path) -> None:
        path = zipped(tmp_path, image=npy(np.zeros(2**24, np.uint8)))
        assert path.stat().st_size < 2**16
        with pytest.raises(InputError, match=r"the shape \[16777216\]"):
            read_case(path, ONE)

    def test_more_behind_the_array(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="16777240 bytes of data, its header says 24"):
            read_case(zipped(tmp_path, image=npy(VALUES) + bytes(2**24)), ONE)

    def test_a_header_without_an_end(self, tmp_path: Path) -> None:
        header = b"\x93NUMPY\x02\x00" + (2**24).to_bytes(4, "little") + b" " * 2**24
        with pytest.raises(InputError, match="no array of numpy's"):
            read_case(zipped(tmp_path, image=header), ONE)
