"""From a model file to a bundle, and bundles in folders."""

import base64
import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import zoo
from onnx import TensorProto, helper
from photos import photo

import converters.convert
from compression.compress import compress
from compression.table import METADATA_KEY
from contract.manifest import MANIFEST_FILE, Manifest
from contract.profile import Profile, read_profile
from converters import errors as conversion
from host import converting
from host.bundle import Bundle, claim, entry_of
from host.converting import GOLDEN_INPUTS, GOLDEN_OUTPUTS, MODEL_FILE, Request, make
from host.errors import InputError, ModelFileError
from inspection.score import encode_error_map

INSPECTION = {"preprocessing": {"height": 16, "width": 16}, "score": {"threshold": 0.25}}
PROFILE = read_profile("desktop")


def inspector(**changes: Any) -> onnx.ModelProto:
    """An autoencoder of 16 x 16 that says how its images are prepared and judged."""
    return zoo.autoencoder({"boardfit": json.dumps(INSPECTION | changes)})


def made(path: Path, profile: Profile = PROFILE, **asked: Any) -> Bundle:
    return make(Request(path, asked.pop("input_shapes", {}), **asked), profile, lambda _step: None)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return zoo.save(inspector(), tmp_path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Ten photographs of three sizes, one of them a JPEG."""
    folder = tmp_path / "good"
    folder.mkdir()
    for number, size in enumerate([(16, 16), (40, 30), (7, 90)] * 3):
        (folder / f"{number:03d}.png").write_bytes(photo(size=size))
    (folder / "009.jpg").write_bytes(photo("JPEG"))
    return folder


def test_the_same_model_twice_is_the_same_bundle(tmp_path: Path) -> None:
    first, second = (tmp_path / name for name in ("a", "b"))
    for folder in (first, second):
        folder.mkdir()
    one, other = (made(zoo.save(inspector(), folder), options={"threads": 1}) for folder in (first, second))
    assert one.manifest.canonical_json() == other.manifest.canonical_json()
    assert one.files == other.files
    assert one.manifest.bundle_id == other.manifest.bundle_id


def test_the_manifest_says_all(model: Path) -> None:
    bundle = made(model)
    manifest = bundle.manifest
    assert set(manifest.files) == set(bundle.files) == {MODEL_FILE, GOLDEN_INPUTS, GOLDEN_OUTPUTS}
    for name, content in bundle.files.items():
        assert manifest.files[name].sha256 == hashlib.sha256(content).hexdigest()
        assert manifest.files[name].size_bytes == len(content)
    assert (manifest.runtime.key, manifest.runtime.file, manifest.runtime.options) == ("ort", MODEL_FILE, {})
    assert manifest.signature.inputs[0].shape == (1, 3, 16, 16)
    assert manifest.preprocessing is not None
    assert manifest.score is not None
    assert manifest.score.threshold == 0.25
    assert (manifest.golden.count, manifest.golden.source, manifest.golden.tolerance_db) == (8, "noise", 60.0)
    assert (manifest.weights, manifest.macs) == (768, 768 * 8 * 8)
    provenance = manifest.provenance
    assert (provenance.source_name, provenance.precision) == ("model.onnx", "fp32")
    assert provenance.source_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert provenance.steps[0] == "load_onnx"
    assert Manifest.model_validate_json(manifest.canonical_json()) == manifest


def test_each_step_is_told(model: Path) -> None:
    steps: list[str] = []
    make(Request(model, {}), PROFILE, steps.append)
    assert steps[0] == "reading: load onnx"
    assert steps[-1] == "running the golden inputs on this machine"


def test_golden_outputs_are_those_of_onnx_runtime(model: Path) -> None:
    import onnxruntime

    bundle = made(model)
    session = onnxruntime.InferenceSession(bundle.files[MODEL_FILE], providers=["CPUExecutionProvider"])
    inputs, outputs = (
        np.frombuffer(bundle.files[name], np.float32).reshape(8, 1, 3, 16, 16)
        for name in (GOLDEN_INPUTS, GOLDEN_OUTPUTS)
    )
    for given, expected in zip(inputs, outputs, strict=True):
        np.testing.assert_array_equal(session.run(None, {"image": given})[0], expected)


@pytest.mark.parametrize("name", ["mixed", "convolution", "classifier", "autoencoder", "default_input"])
def test_models_of_every_type_and_number_of_tensors(tmp_path: Path, name: str) -> None:
    source = getattr(zoo, name)()
    bundle = made(zoo.save(source, tmp_path))
    signature = bundle.manifest.signature
    assert len(bundle.files[GOLDEN_INPUTS]) == bundle.manifest.golden.count * signature.input_bytes
    assert len(bundle.files[GOLDEN_OUTPUTS]) == bundle.manifest.golden.count * signature.output_bytes
    assert [spec.name for spec in signature.outputs] == [output.name for output in source.graph.output]
    if name == "mixed":
        assert [spec.dtype for spec in signature.inputs] == ["float32", "float16", "uint8", "int8", "int64", "bool"]


@pytest.mark.parametrize("element", [TensorProto.UINT8, TensorProto.FLOAT16, TensorProto.INT64, TensorProto.DOUBLE])
def test_an_identity_of_one_type(tmp_path: Path, element: int) -> None:
    bundle = made(zoo.save(zoo.identity(element=element), tmp_path))
    assert bundle.files[GOLDEN_INPUTS] == bundle.files[GOLDEN_OUTPUTS]


class TestNotices:
    """What was decided for the user."""

    def test_what_the_model_itself_says(self, model: Path) -> None:
        words = "RGB, resized to 16x16 (bilinear), divided by 255, as NCHW float32"
        assert made(model).notices == (f"images are prepared as the model itself says: {words}",)

    def test_the_convention(self, tmp_path: Path) -> None:
        [notice] = made(zoo.save(zoo.convolution(), tmp_path)).notices
        assert notice.startswith("images are prepared by convention (--preprocess overrides): RGB, resized to 8x8")

    def test_a_file_of_the_user(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "mine.toml").write_text("color = 'BGR'\nscale = 1.0\n")
        bundle = made(model, preprocess=tmp_path / "mine.toml")
        assert bundle.manifest.preprocessing is not None
        assert bundle.manifest.preprocessing.color == "BGR"
        assert bundle.notices == (
            "images are prepared as mine.toml says: BGR, resized to 16x16 (bilinear), as NCHW float32",
            "the model's threshold was set on images prepared as the model says: check its decisions",
        )

    def test_tensors_alone(self, tmp_path: Path) -> None:
        bundle = made(zoo.save(zoo.mixed(), tmp_path))
        assert bundle.manifest.preprocessing is None
        assert bundle.notices == ("the input is no image: this model takes tensors",)

    def test_a_dynamic_batch(self, tmp_path: Path) -> None:
        bundle = made(zoo.save(zoo.dynamic_batch(), tmp_path))
        assert bundle.manifest.signature.inputs[0].shape == (1, 3, 8, 8)
        assert any("batch" in notice for notice in bundle.notices)


def test_shapes_that_the_user_gives(tmp_path: Path) -> None:
    bundle = made(zoo.save(zoo.dynamic_image(), tmp_path), input_shapes={"image": (1, 3, 12, 20)})
    assert bundle.manifest.signature.inputs[0].shape == (1, 3, 12, 20)
    assert bundle.manifest.preprocessing is not None
    assert (bundle.manifest.preprocessing.height, bundle.manifest.preprocessing.width) == (12, 20)


def test_options_of_the_runtime_and_a_tolerance(model: Path) -> None:
    profile = PROFILE.model_copy(update={"runtime_options": {"threads": 4, "provider": "cpu"}})
    manifest = made(model, profile, options={"threads": 1}, tolerance_db=0.0).manifest
    assert manifest.runtime.options == {"threads": 1, "provider": "cpu"}
    assert manifest.golden.tolerance_db == 0.0


def test_a_precision_the_board_has_not_and_the_nearest(model: Path) -> None:
    with pytest.raises(InputError, match=r"takes no precision 'fp23'; did you mean 'fp32'\?") as raised:
        made(model, precision="fp23")
    assert (raised.value.code, raised.value.hint) == ("unknown_precision", "it takes fp32")
    assert made(model, precision="fp32").manifest.provenance.precision == "fp32"


class TestCalibration:
    """Golden inputs from the user's images."""

    def test_the_first_eight(self, model: Path, images: Path) -> None:
        golden = made(model, calibrate=images).manifest.golden
        assert (golden.count, golden.source) == (8, "images")

    def test_which_they_are_is_told(self, model: Path, images: Path, tmp_path: Path) -> None:
        count = len(list(images.iterdir()))
        assert made(model, calibrate=images).notices[0] == f"golden inputs: the first 8 of {count} images in {images}"
        for name in ("a.png", "x/b.png", "x/y/c.png"):
            (tmp_path / "few" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "few" / name).write_bytes(photo())
        few = tmp_path / "few"
        assert made(model, calibrate=few).notices[0] == (
            f"golden inputs: 3 images in {few} and 2 folders below it (x, x/y)"
        )
        assert made(model, calibrate=few / "x" / "y").notices[0] == f"golden inputs: 1 image in {few / 'x' / 'y'}"

    def test_they_are_prepared_as_the_board_will(self, model: Path, images: Path) -> None:
        from inspection.preprocess import Preprocessing, decode, prepare

        bundle = made(model, calibrate=images)
        photo = decode((images / "001.png").read_bytes())
        expected = prepare(photo, Preprocessing(height=16, width=16)).tobytes()
        assert bundle.files[GOLDEN_INPUTS][len(expected) : 2 * len(expected)] == expected

    def test_fewer_are_enough(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "a.jpg").write_bytes(photo("JPEG"))
        assert made(model, calibrate=tmp_path / "one").manifest.golden.count == 1

    def test_none_there(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(InputError, match="empty has no image in it"):
            made(model, calibrate=tmp_path / "empty")
        with pytest.raises(InputError, match="gone is no folder"):
            made(model, calibrate=tmp_path / "gone")

    def test_a_broken_one_is_named(self, model: Path, images: Path) -> None:
        (images / "004.png").write_bytes(photo()[:100])
        with pytest.raises(InputError, match=r"good/004\.png: the PNG file of 100 bytes is broken") as raised:
            made(model, calibrate=images)
        assert raised.value.code == "broken_image"

    def test_a_text_that_is_called_an_image_is_named(self, model: Path, images: Path) -> None:
        (images / "000.png").write_text("no image")
        with pytest.raises(InputError, match=r"good/000\.png: neither a PNG nor a JPEG"):
            made(model, calibrate=images)

    def test_a_model_that_takes_tensors(self, tmp_path: Path, images: Path) -> None:
        with pytest.raises(InputError, match="good has images in it, but the model takes tensors: 'single' float32"):
            made(zoo.save(zoo.mixed(), tmp_path), calibrate=images)


class TestBadModels:
    """Each with the converter's own code, and exit code 3."""

    @pytest.mark.parametrize(
        ("source", "code"),
        [
            (zoo.unknown_operator(), "unsupported_operator"),
            (zoo.custom_operator(), "unsupported_operator"),
            (zoo.unimplemented(), "unsupported_operator"),
            (zoo.dynamic_image(), "dynamic_shape"),
            (zoo.data_dependent(), "data_dependent_shape"),
        ],
    )
    def test_models(self, tmp_path: Path, source: onnx.ModelProto, code: str) -> None:
        with pytest.raises(ModelFileError) as raised:
            made(zoo.save(source, tmp_path))
        assert raised.value.message.startswith("model.onnx: ")
        assert (raised.value.code, raised.value.exit_code) == (code, 3)
        assert raised.value.hint

    @pytest.mark.parametrize(("content", "code"), [(b"", "not_onnx"), (b"<html>", "not_onnx")])
    def test_files(self, tmp_path: Path, content: bytes, code: str) -> None:
        (tmp_path / "model.onnx").write_bytes(content)
        with pytest.raises(ModelFileError) as raised:
            made(tmp_path / "model.onnx")
        assert raised.value.code == code

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelFileError) as raised:
            made(tmp_path / "gone.onnx")
        assert raised.value.code == "unreadable_model"

    def test_a_shape_for_an_input_that_is_none(self, model: Path) -> None:
        with pytest.raises(ModelFileError, match="imgae") as raised:
            made(model, input_shapes={"imgae": (1, 3, 16, 16)})
        assert raised.value.code == "unknown_input"
        assert "image" in raised.value.hint

    @pytest.mark.parametrize(
        "kind",
        [
            kind
            for kind in vars(conversion).values()
            if isinstance(kind, type) and issubclass(kind, conversion.ConversionError)
        ],
    )
    def test_every_error_of_a_conversion(self, model: Path, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        error = kind.__new__(kind)
        conversion.ConversionError.__init__(error, "what it is", "what to do")

        def refuse(*_arguments: object, **_options: object) -> None:
            raise error

        monkeypatch.setattr(converters.convert, "convert", refuse)
        with pytest.raises(ModelFileError) as raised:
            made(model)
        told = (raised.value.message, raised.value.hint, raised.value.code, raised.value.exit_code)
        assert told == ("model.onnx: what it is", "what to do", kind.code, 3)

    def test_a_tensor_whose_name_is_absurd(self, tmp_path: Path) -> None:
        name = "x" * 501
        source = zoo.model(
            [helper.make_node("Identity", [name], ["y"])], [zoo.tensor(name, (1,))], [zoo.tensor("y", (1,))]
        )
        with pytest.raises(ModelFileError, match=r"model\.onnx: its inputs\.0\.name"):
            made(zoo.save(source, tmp_path))

    def test_a_model_that_says_nonsense_of_its_inspection(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"metadata_props\['boardfit'\] is not what it should be: score.sigma"):
            made(zoo.save(inspector(score={"sigma": -1}), tmp_path))

    def test_a_model_whose_preprocessing_does_not_fit_it(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"what the model says .* makes one RGB image, NCHW \[1, 3, 8, 8\]"):
            made(zoo.save(inspector(preprocessing={"height": 8, "width": 8}), tmp_path))

    def test_a_model_that_is_scored_by_what_is_no_reconstruction(self, tmp_path: Path) -> None:
        source = zoo.convolution(metadata={"boardfit": json.dumps({"score": {}})})
        with pytest.raises(InputError, match=r"its output 'map' is \[1, 4, 8, 8\], its input 'image' \[1, 3, 8, 8\]"):
            made(zoo.save(source, tmp_path))


class TestJudging:
    """What the score needs becomes files of the bundle."""

    @pytest.fixture
    def judged(self, tmp_path: Path) -> Path:
        usual = np.linspace(0.01, 0.1, 256, dtype=np.float32).reshape(16, 16)
        known = {
            "score": {"method": "max_normalised_squared_error", "threshold": 4.5},
            "training_error": encode_error_map(usual),
            "good_images": [base64.b64encode(photo(size=(16, 16), seed=seed)).decode() for seed in range(2)],
        }
        return zoo.save(inspector(**known), tmp_path, "judged.onnx")

    def test_the_files(self, judged: Path) -> None:
        bundle = made(judged)
        manifest = bundle.manifest
        assert (manifest.training_error, manifest.good_images) == (
            "training_error.bin",
            ("good/000.png", "good/001.png"),
        )
        usual = np.frombuffer(bundle.files["training_error.bin"], "<f4").reshape(16, 16)
        np.testing.assert_allclose(usual, np.linspace(0.01, 0.1, 256).reshape(16, 16), rtol=1e-3)
        assert [bundle.files[name] for name in manifest.good_images] == [photo(size=(16, 16), seed=n) for n in (0, 1)]
        assert manifest.score
        assert (manifest.score.method, manifest.score.threshold) == ("max_normalised_squared_error", 4.5)

    def test_they_are_not_in_the_model_too(self, judged: Path, model: Path) -> None:
        """There they would be memory of the worker."""
        light = onnx.load_model_from_string(made(judged).files[MODEL_FILE])
        assert list(light.metadata_props) == []
        kept = onnx.load_model_from_string(made(model).files[MODEL_FILE])
        assert [entry.key for entry in kept.metadata_props] == ["boardfit"]
        assert light.graph == kept.graph

    def test_there_and_back(self, judged: Path, tmp_path: Path) -> None:
        bundle = made(judged)
        bundle.write(tmp_path / "out")
        again = made(tmp_path / "out")
        assert (again.manifest, again.files) == (bundle.manifest, bundle.files)
        made(zoo.save(inspector(), tmp_path, "plain.onnx")).write(tmp_path / "out")  # and what it had is gone
        assert not (tmp_path / "out" / "training_error.bin").exists()


TABLE = {"asked": 0.9, "rate": 0.9, "budget": "weights", "budget_rate": 0.9, "note": None, "layers": []}


class TestRate:
    """Of a compression, as the model's own table says."""

    def told(self, tmp_path: Path, table: object) -> Path:
        """A model with this table in its metadata."""
        return zoo.save(zoo.autoencoder({METADATA_KEY: json.dumps(table)}), tmp_path)

    def test_it_is_in_the_manifest(self, tmp_path: Path) -> None:
        compressed = compress(zoo.autoencoder(), rate=0.5)
        manifest = made(zoo.save(compressed.model, tmp_path)).manifest
        assert (manifest.rate, manifest.weights) == (compressed.table.rate, compressed.table.weights_after)

    @pytest.mark.parametrize("rate", [0.995, 0.0, 1.0, -0.0124])
    def test_every_rate_there_is(self, tmp_path: Path, rate: float) -> None:
        bundle = made(self.told(tmp_path, {**TABLE, "rate": rate}))
        assert bundle.manifest.rate == rate
        bundle.write(tmp_path / "out")
        assert made(tmp_path / "out").manifest == bundle.manifest

    def test_a_model_that_tells_of_none(self, model: Path) -> None:
        assert made(model).manifest.rate is None

    @pytest.mark.parametrize(
        ("table", "what"),
        [
            ([TABLE], "is no table of layers"),
            (None, "is no table of layers"),
            ({**TABLE, "mood": 1}, "is no table of layers"),
            ({"layers": []}, "is no table of layers"),
            ({**TABLE, "layers": [{}]}, "is no table of layers"),
            ({**TABLE, "layers": None}, "is no table of layers"),
            ({**TABLE, "rate": None}, "says a rate of None"),
            ({**TABLE, "rate": "0.9"}, "says a rate of '0.9'"),
            ({**TABLE, "rate": float("nan")}, "says a rate of nan"),
            ({**TABLE, "rate": float("-inf")}, "says a rate of -inf"),
            ({**TABLE, "rate": 1.5}, "says a rate of 1.5"),
        ],
    )
    def test_a_damaged_table(self, tmp_path: Path, table: object, what: str) -> None:
        with pytest.raises(InputError) as raised:
            made(self.told(tmp_path, table))
        assert raised.value.message.startswith(f"model.onnx: the model's '{METADATA_KEY}' {what}")
        assert (raised.value.hint, raised.value.code) == ("compress the original model again", "not_compressed")


class TestFolders:
    """What `host convert` writes and `host deploy` takes."""

    def test_there_and_back(self, model: Path, tmp_path: Path) -> None:
        bundle = made(model)
        bundle.write(tmp_path / "a" / "out")
        again = made(tmp_path / "a" / "out")
        assert (again.manifest, again.files) == (bundle.manifest, bundle.files)
        assert {path.name for path in (tmp_path / "a" / "out").iterdir()} == {MODEL_FILE, "golden", MANIFEST_FILE}

    def test_a_place_is_claimed_and_nothing_is_left(self, model: Path, tmp_path: Path) -> None:
        claim(tmp_path / "a" / "out")
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
        made(model).write(tmp_path / "out")
        before = sorted(tmp_path.rglob("*"))
        claim(tmp_path / "out")
        assert sorted(tmp_path.rglob("*")) == before

    @pytest.mark.parametrize(
        ("place", "what"),
        [("model.onnx", "is no folder"), (".", "has something else in it"), ("model.onnx/out", "cannot be written")],
    )
    def test_a_place_that_cannot_be_claimed(self, model: Path, tmp_path: Path, place: str, what: str) -> None:
        with pytest.raises(InputError, match=what) as raised:
            claim(tmp_path / place)
        assert "-o" in raised.value.hint

    def test_an_earlier_bundle_is_replaced(self, model: Path, tmp_path: Path) -> None:
        out = tmp_path / "out"
        old = made(model)
        extra = {**old.files, "notes/more.bin": b"more"}
        files = {name: entry_of(content) for name, content in extra.items()}
        Bundle(old.manifest.model_copy(update={"files": files}), extra).write(out)
        new = made(model, options={"threads": 2})
        new.write(out)
        assert Bundle.read(out).manifest == new.manifest
        assert not (out / "notes" / "more.bin").exists()

    def test_even_one_that_was_tampered_with(self, model: Path, tmp_path: Path) -> None:
        bundle = made(model)
        bundle.write(tmp_path / "out")
        (tmp_path / "out" / MODEL_FILE).write_bytes(b"x")
        bundle.write(tmp_path / "out")
        assert Bundle.read(tmp_path / "out").files == bundle.files

    @pytest.mark.parametrize("name", [MODEL_FILE, GOLDEN_OUTPUTS])
    def test_a_file_that_was_tampered_with_is_refused(self, model: Path, tmp_path: Path, name: str) -> None:
        made(model).write(tmp_path / "out")
        content = (tmp_path / "out" / name).read_bytes()
        (tmp_path / "out" / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(InputError, match=rf"{name} is not the file that the manifest names"):
            made(tmp_path / "out")

    def test_a_file_that_is_gone(self, model: Path, tmp_path: Path) -> None:
        made(model).write(tmp_path / "out")
        (tmp_path / "out" / MODEL_FILE).unlink()
        with pytest.raises(InputError, match=r"model\.onnx cannot be read"):
            made(tmp_path / "out")

    @pytest.mark.parametrize(
        "tamper",
        [
            lambda told: "{",
            lambda told: json.dumps({**told, "schema_version": 2}),
            lambda told: json.dumps({**told, "mood": 1}),
            lambda told: json.dumps(
                {**told, "files": {**told["files"], "../../etc/passwd": told["files"][MODEL_FILE]}}
            ),
            lambda told: json.dumps({**told, "golden": {**told["golden"], "tolerance_db": float("nan")}}),
        ],
    )
    def test_a_manifest_that_is_none(self, model: Path, tmp_path: Path, tamper: Any) -> None:
        made(model).write(tmp_path / "out")
        path = tmp_path / "out" / MANIFEST_FILE
        path.write_text(tamper(json.loads(path.read_text())))
        with pytest.raises(InputError, match=r"manifest\.json is no manifest: ") as raised:
            made(tmp_path / "out")
        assert "\n" not in raised.value.message

    def test_a_folder_that_was_not_converted(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="is a folder without a converted model"):
            made(tmp_path)

    @pytest.mark.parametrize(
        ("asked", "option"),
        [
            ({"precision": "fp32"}, "--precision"),
            ({"input_shapes": {"image": (1,)}}, "--input-shape"),
            ({"tolerance_db": 0.0}, "--tolerance-db"),
            ({"options": {"threads": 1}}, "--option"),
            ({"calibrate": Path("x")}, "--calibrate"),
            ({"preprocess": Path("x")}, "--preprocess"),
        ],
    )
    def test_options_that_come_too_late(self, model: Path, tmp_path: Path, asked: Any, option: str) -> None:
        made(model).write(tmp_path / "out")
        with pytest.raises(InputError, match=f"{option} comes too late"):
            made(tmp_path / "out", **asked)

    def test_every_option_of_a_conversion_is_looked_at(self) -> None:
        fields = {field.name for field in dataclasses.fields(Request)} - {"model"}
        assert fields == set(converting._CONVERSION_OPTIONS)

    def test_a_model_converted_for_another_board(self, model: Path, tmp_path: Path) -> None:
        made(model).write(tmp_path / "out")
        coral = PROFILE.model_copy(update={"runtime": "tflite", "title": "Coral", "precisions": ("int8",)})
        with pytest.raises(InputError, match="was converted for ort, fp32; Coral takes tflite, int8"):
            made(tmp_path / "out", coral)

    def test_nothing_of_the_users_is_written_over(self, model: Path, tmp_path: Path) -> None:
        before = model.read_bytes()
        with pytest.raises(InputError, match=r"has something else in it: model\.onnx"):
            made(model).write(tmp_path)
        assert model.read_bytes() == before
        made(model).write(tmp_path / "out")
        (tmp_path / "out" / "golden" / "notes.txt").write_text("mine")
        with pytest.raises(InputError, match=r"has more in it than a converted model: golden/notes\.txt"):
            made(model).write(tmp_path / "out")
        with pytest.raises(InputError, match="is no folder"):
            made(model).write(model)

    def test_an_empty_folder_is_as_good_as_none(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "out" / "golden").mkdir(parents=True)
        made(model).write(tmp_path / "out")
        assert Bundle.read(tmp_path / "out").manifest == made(model).manifest

    def test_a_place_that_cannot_be_written(self, model: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(InputError, match="cannot be written: Not a directory"):
            made(model).write(tmp_path / "file" / "out")

    def test_a_disk_that_fills_up_leaves_the_old_bundle(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = made(model)
        old.write(tmp_path / "out")

        def full(path: Path, content: bytes) -> int:
            if path.name == "outputs.bin":
                raise OSError(28, os.strerror(28))
            return write_bytes(path, content)

        write_bytes = Path.write_bytes
        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match="out cannot be written: No space left on device"):
            made(model, options={"threads": 2}).write(tmp_path / "out")
        assert Bundle.read(tmp_path / "out").manifest == old.manifest
        assert {path.name for path in (tmp_path / "out").iterdir()} == {MODEL_FILE, "golden", MANIFEST_FILE}
