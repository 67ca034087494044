import re
from pathlib import Path

import pytest

from contract.manifest import Preprocessing
from contract.tensors import Signature
from host import preprocessing
from host.errors import InputError

MEAN, STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]


def signature(*shapes: tuple[int, ...], dtype: str = "float32") -> Signature:
    inputs = [{"name": f"x{index}", "dtype": dtype, "shape": shape} for index, shape in enumerate(shapes)]
    return Signature.model_validate({"inputs": inputs, "outputs": [{"name": "y", "dtype": "float32", "shape": (1,)}]})


IMAGE = signature((1, 3, 8, 12))


@pytest.mark.parametrize(
    ("shape", "color", "layout", "size"),
    [
        ((1, 3, 8, 12), "RGB", "NCHW", (8, 12)),
        ((1, 8, 12, 3), "RGB", "NHWC", (8, 12)),
        ((1, 1, 8, 12), "GRAY", "NCHW", (8, 12)),
        ((1, 8, 12, 1), "GRAY", "NHWC", (8, 12)),
        ((1, 3, 8, 3), "RGB", "NCHW", (8, 3)),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_convention(shape: tuple[int, ...], color: str, layout: str, size: tuple[int, int], dtype: str) -> None:
    made = preprocessing.by_convention(signature(shape, dtype=dtype))
    assert made is not None
    assert (made.color, made.layout, (made.height, made.width)) == (color, layout, size)
    assert (made.scale, made.mean, made.std) == (1 / 255, (), ())


def test_bytes_are_taken_as_they_are() -> None:
    made = preprocessing.by_convention(signature((1, 8, 12, 3), dtype="uint8"))
    assert made is not None
    assert made.scale == 1
    assert preprocessing.in_words(made, "uint8") == "RGB, resized to 12x8 (bilinear), as NHWC uint8"


@pytest.mark.parametrize(
    "given",
    [
        signature((1, 3, 8)),
        signature((2, 3, 8, 8)),
        signature((1, 4, 8, 8)),
        signature((1, 3, 8, 8), dtype="int64"),
        signature((1, 3, 8, 8), (1, 3, 8, 8)),
        signature(()),
    ],
)
def test_no_image(given: Signature) -> None:
    assert preprocessing.by_convention(given) is None


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "preprocess.toml"


def read(file: Path, text: str, given: Signature = IMAGE) -> Preprocessing:
    file.write_text(text, encoding="utf-8")
    return preprocessing.read_file(file, given)


def test_a_file_says_all(file: Path) -> None:
    text = f"color = 'BGR'\nheight = 8\nwidth = 12\nlayout = 'NCHW'\nscale = 1.0\nmean = {MEAN}\nstd = {STD}\n"
    assert read(file, text) == Preprocessing(
        color="BGR", height=8, width=12, layout="NCHW", scale=1.0, mean=tuple(MEAN), std=tuple(STD)
    )


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("color", "color = 'BGR'", "BGR"),
        ("scale", "scale = 2", 2.0),
        ("mean", f"mean = {MEAN}", tuple(MEAN)),
        ("std", f"std = {STD}", tuple(STD)),
        ("layout", "layout = 'NCHW'", "NCHW"),
        ("height", "height = 8", 8),
        ("width", "width = 12", 12),
    ],
)
def test_what_a_file_leaves_out_is_by_convention(file: Path, key: str, text: str, value: object) -> None:
    usual = preprocessing.by_convention(IMAGE)
    assert usual is not None
    assert read(file, text) == usual.model_copy(update={key: value})
    assert read(file, "") == usual


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("mena = [1]", "has an unknown key 'mena'; did you mean 'mean'"),
        ("zzz = [1]", "has an unknown key 'zzz'$"),
        ("[mean]\nx = 1", "mean: "),
        ("color = 'rgb'", "color: Input should be 'RGB', 'BGR' or 'GRAY'"),
        ("color = 'GRAY'", "makes one GRAY image, NCHW [1, 1, 8, 12]; the model takes x0 float32 [1, 3, 8, 12]"),
        ("layout = 'NHWC'", "makes one RGB image, NHWC [1, 8, 12, 3]; the model takes x0 float32"),
        ("height = 9", "makes one RGB image, NCHW [1, 3, 9, 12]"),
        ("width = 0", "width: Input should be greater than 0"),
        ("width = '12 px'", "width: "),
        ("scale = nan", "scale: Input should be a finite number"),
        ("scale = -inf", "scale: Input should be a finite number"),
        ("mean = [0.5]", "mean has 1 values, RGB has 3 channels"),
        ("mean = [nan, 0, 0]", "mean.0: Input should be a finite number"),
        ("std = [1, 1, 0]", "std.2: Input should be greater than 0"),
        ("std = [1, 1, 1, 1]", "std has 4 values, RGB has 3 channels"),
        ("mean = 0.5", "mean: "),
        ("mean =", "is no TOML file"),
        ("{'mean': [1]}", "is no TOML file"),
    ],
)
def test_a_bad_file_is_told_with_its_key(file: Path, text: str, what: str) -> None:
    with pytest.raises(InputError) as raised:
        read(file, text)
    assert raised.value.message.startswith(f"--preprocess {file}")
    assert re.search(what.replace("[", r"\[").replace("]", r"\]"), raised.value.message), raised.value.message
    assert raised.value.hint


def test_a_file_that_is_no_text_or_not_there(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is no TOML file"):
        preprocessing.read_file(file, IMAGE)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        preprocessing.read_file(file.with_name("gone.toml"), IMAGE)


@pytest.mark.parametrize("key", ["scale = 1", f"mean = {MEAN}", f"std = {STD}"])
def test_there_is_no_arithmetic_on_bytes(file: Path, key: str) -> None:
    with pytest.raises(InputError, match="the model takes uint8: the pixels as they are"):
        read(file, key, signature((1, 3, 8, 12), dtype="uint8"))
    assert read(file, "color = 'BGR'", signature((1, 3, 8, 12), dtype="uint8")).color == "BGR"


def test_a_file_for_a_model_that_takes_no_image(file: Path) -> None:
    with pytest.raises(InputError, match=r"the model takes x0 float32 \[1, 4\]"):
        read(file, "height = 8\nwidth = 8", signature((1, 4)))
    with pytest.raises(InputError, match="height: Field required"):
        read(file, "", signature((1, 4)))
    with pytest.raises(InputError, match=r"takes x0 float32 \[1, 3, 8, 8\], x1 float32 \[1, 3, 8, 8\]"):
        read(file, "height = 8\nwidth = 8", signature((1, 3, 8, 8), (1, 3, 8, 8)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "RGB, resized to 12x8 (bilinear), divided by 255, as NCHW float32"),
        ({"scale": 1.0, "color": "BGR"}, "BGR, resized to 12x8 (bilinear), as NCHW float32"),
        ({"scale": 0.017}, "RGB, resized to 12x8 (bilinear), times 0.017, as NCHW float32"),
        ({"scale": -1.0}, "RGB, resized to 12x8 (bilinear), times -1, as NCHW float32"),
        ({"scale": 0.0}, "RGB, resized to 12x8 (bilinear), times 0, as NCHW float32"),
    ],
)
def test_in_words(changes: dict[str, object], words: str) -> None:
    made = Preprocessing(height=8, width=12).model_copy(update=changes)
    assert preprocessing.in_words(made, "float32") == words


def test_mean_and_std_in_words() -> None:
    made = Preprocessing(height=8, width=12, mean=tuple(MEAN), std=tuple(STD))
    words = "divided by 255, minus the mean [0.4, 0.5, 0.6], divided by the std [0.1, 0.2, 0.3]"
    assert words in preprocessing.in_words(made, "float32")


def test_what_a_model_says_of_its_inspection() -> None:
    said = '{"preprocessing": {"height": 8, "width": 12}, "score": {"threshold": 0.5}}'
    known = preprocessing.inspection_of(said)
    assert known.preprocessing == Preprocessing(height=8, width=12)
    assert known.score is not None
    assert known.score.threshold == 0.5
    assert preprocessing.inspection_of(None).score is None


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("", "the whole"),
        ("{", "the whole"),
        ('{"score": {"method": "guess"}}', "score.method"),
        ('{"score": {"threshold": NaN}}', "score.threshold"),
        ('{"mood": 1}', "mood"),
    ],
)
def test_a_model_that_says_what_we_do_not_understand(said: str, where: str) -> None:
    with pytest.raises(InputError, match=rf"metadata_props\['boardfit'\] is not what it should be: {where}: "):
        preprocessing.inspection_of(said)
