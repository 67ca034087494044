"""What a manifest may say, and that its id is the same for ever and everywhere."""

import base64
import hashlib
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from contract import manifest as module
from contract.manifest import (
    IMAGE_DTYPES,
    MAX_GOOD_IMAGES,
    MAX_GOOD_IMAGES_BYTES,
    FilePath,
    Inspection,
    Manifest,
    ModelName,
    Preprocessing,
    Sha256,
    model_name_from,
)
from contract.tensors import ITEM_BYTES, Signature, TensorSpec
from inspection import preprocess, score

EXAMPLE: dict[str, Any] = {
    "runtime": {"key": "ort", "file": "model.onnx", "options": {"threads": 2, "provider": "cpu"}},
    "files": {
        "model.onnx": {"sha256": "a" * 64, "size_bytes": 1000},
        "golden/inputs.bin": {"sha256": "b" * 64, "size_bytes": 2 * 768},
        "golden/outputs.bin": {"sha256": "c" * 64, "size_bytes": 2 * 768},
    },
    "signature": {
        "inputs": [{"name": "image", "dtype": "float32", "shape": [1, 3, 8, 8]}],
        "outputs": [{"name": "reconstruction", "dtype": "float32", "shape": [1, 3, 8, 8]}],
    },
    "preprocessing": {"height": 8, "width": 8, "mean": [0.5, 0.5, 0.5]},
    "score": {"sigma": 2, "threshold": 0.0123},
    "golden": {
        "count": 2,
        "source": "images",
        "inputs": "golden/inputs.bin",
        "outputs": "golden/outputs.bin",
        "tolerance_db": 60,
    },
    "weights": 1234,
    "provenance": {
        "source_name": "Prüfteil.onnx",
        "source_sha256": "d" * 64,
        "boardfit_version": "0.1.0",
        "precision": "fp32",
        "steps": ["freeze_onnx"],
    },
}
EXAMPLE_ID = "be129f477a2f58c88bdacb6d43725ebef12d0c16453953e3eaa23a72467475e8"
"""It names this bundle on every board there is: a change of the code that changes it makes all of them strangers."""

on_a_busy_machine = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)


def changed(**changes: Any) -> dict[str, Any]:
    """The example with other values; a key `a__b` is the b of a."""
    example: dict[str, Any] = json.loads(json.dumps(EXAMPLE))
    for path, value in changes.items():
        *parents, last = path.split("__")
        holder = example
        for parent in parents:
            holder = holder[parent]
        holder[last] = value
    return example


def refusal(example: object) -> str:
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate_json(json.dumps(example))
    return str(caught.value)


def test_the_id_of_a_bundle_never_changes() -> None:
    assert Manifest.model_validate(EXAMPLE).bundle_id == EXAMPLE_ID


def test_the_id_is_the_hash_of_the_canonical_json() -> None:
    manifest = Manifest.model_validate(EXAMPLE)
    content = manifest.canonical_json()
    assert manifest.bundle_id == hashlib.sha256(content).hexdigest()
    assert content == json.dumps(json.loads(content), sort_keys=True, separators=(",", ":")).encode()
    assert Manifest.model_validate_json(content) == manifest


def test_order_of_keys_and_defaults_left_out_make_no_other_id() -> None:
    backwards = {key: EXAMPLE[key] for key in reversed(EXAMPLE)}
    written_out = changed(schema_version=1, preprocessing__scale=1 / 255, preprocessing__color="RGB", score__sigma=2.0)
    for same in (backwards, written_out):
        assert Manifest.model_validate(same).bundle_id == EXAMPLE_ID


@pytest.mark.parametrize(
    "changes",
    [
        {"weights": 1235},
        {"rate": 0.9},
        {"rate": 0.0},
        {"build": {"precision": "fp16"}},
        {"edge_tpu": {"operators": 9, "operators_on_cpu": 1, "subgraphs": 1, "on_chip_bytes": 9, "streamed_bytes": 0}},
        {"score__threshold": 0.0124},
        {"runtime__options": {"threads": True, "provider": "cpu"}},
        {"preprocessing__mean": [0.5, 0.5, 0.25]},
        {"files": {**EXAMPLE["files"], "model.onnx": {"sha256": "e" * 64, "size_bytes": 1000}}},
    ],
)
def test_other_content_has_another_id(changes: dict[str, Any]) -> None:
    assert Manifest.model_validate(changed(**changes)).bundle_id != EXAMPLE_ID


@on_a_busy_machine
@given(
    options=st.dictionaries(
        st.text(max_size=20),
        st.text(max_size=20)
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.booleans(),
        max_size=5,
    )
)
def test_a_manifest_is_itself_after_a_journey(options: dict[str, Any]) -> None:
    manifest = Manifest.model_validate(changed(runtime__options=options))
    arrived = Manifest.model_validate_json(manifest.canonical_json())
    assert arrived == manifest
    assert arrived.bundle_id == manifest.bundle_id
    assert {key: type(value) for key, value in arrived.runtime.options.items()} == {
        key: type(value) for key, value in options.items()
    }


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "..",
        "../model.onnx",
        "golden/../../model.onnx",
        "golden/..",
        "./model.onnx",
        "golden//inputs.bin",
        "golden/",
        ".hidden",
        "golden/.hidden",
        "golden\\inputs.bin",
        "C:model.onnx",
        "model onnx",
        "model\n",
        "model.onnx\n",
        "mod\0el",
        "modèle.onnx",
        "-rf",
        "",
        "a" * 201,
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(FilePath).validate_python(path)
    refusal(changed(files={**EXAMPLE["files"], path: {"sha256": "e" * 64, "size_bytes": 1}}))


@pytest.mark.parametrize("path", ["model.onnx", "golden/inputs.bin", "a/b/c/d", "A_1-2.x", "a..b", "0" * 200])
def test_plain_paths_are_taken(path: str) -> None:
    assert TypeAdapter(FilePath).validate_python(path) == path


@pytest.mark.parametrize("path", ["manifest.json", "manifest.json/x", "model.onnx/x", "golden"])
def test_files_that_cannot_lie_side_by_side_are_refused(path: str) -> None:
    files = {**EXAMPLE["files"], path: {"sha256": "e" * 64, "size_bytes": 1}}
    assert "clashes" in refusal(changed(files=files))


@pytest.mark.parametrize("name", ["Cap", "9", "a.b-c_d", "a" * 64])
def test_model_names(name: str) -> None:
    assert TypeAdapter(ModelName).validate_python(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "-a", "_a", "a/b", "a b", "a\n", "a\r\nX-Evil: 1", "ä", "a" * 65]
)
def test_no_model_names(name: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ModelName).validate_python(name)


@on_a_busy_machine
@given(st.text(max_size=100))
def test_every_text_has_a_nearest_model_name(text: str) -> None:
    name = model_name_from(text)
    assert TypeAdapter(ModelName).validate_python(name) == name
    assert model_name_from(name) == name


@pytest.mark.parametrize("digest", ["a" * 63, "a" * 65, "A" * 64, "g" * 64, "a" * 64 + "\n", ""])
def test_no_sha256(digest: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Sha256).validate_python(digest)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"runtime__file": "other.onnx"}, "'other.onnx' is not among"),
        ({"golden__inputs": "x.bin"}, "'x.bin' is not among"),
        ({"golden__count": 3}, "1536 bytes, 3 cases need 2304"),
        ({"golden__count": 0}, "golden.count"),
        ({"golden__source": "dreams"}, "golden.source"),
        ({"golden__outputs": "model.onnx"}, "'model.onnx' has 1000 bytes"),
        ({"files": {**EXAMPLE["files"], "x": {"sha256": "e" * 64, "size_bytes": -1}}}, "size_bytes"),
        ({"runtime__key": "../ort"}, "runtime.key"),
        ({"runtime__options": {"threads": [1]}}, "runtime.options"),
        ({"schema_version": 2}, "schema_version"),
        ({"weights": -1}, "weights"),
        ({"signature__inputs": []}, "signature.inputs"),
        ({"preprocessing__mean": [0.5]}, "mean has 1 values, RGB has 3 channels"),
        ({"preprocessing__std": [1.0, 1.0]}, "std has 2 values, RGB has 3 channels"),
        ({"preprocessing__std": [1.0, 0.0, 1.0]}, "preprocessing.std.1"),
        ({"preprocessing__color": "GRAY", "preprocessing__mean": []}, r"one input of shape [1, 1, 8, 8]"),
        ({"preprocessing__layout": "NHWC"}, r"one input of shape [1, 8, 8, 3]"),
        ({"preprocessing": None}, "a score needs the preprocessing"),
        ({"score__sigma": 0}, "score.sigma"),
        ({"unknown": 1}, "unknown"),
        ({"runtime__fille": "model.onnx"}, "runtime.fille"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert reason in refusal(changed(**changes))


@pytest.mark.parametrize("key", [key for key in EXAMPLE if key not in ("preprocessing", "score", "weights")])
def test_what_is_missing_is_named(key: str) -> None:
    example = changed()
    del example[key]
    assert f"{key}\n  Field required" in refusal(example)


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    "place",
    ['"scale": {}', '"mean": [0, 0, {}]', '"std": [1, 1, {}]'],
)
def test_a_number_is_finite(place: str, literal: str) -> None:
    """JSON has no other: it could not come back from the disk of the board, and its id would be a fiction."""
    with pytest.raises(ValidationError, match="finite"):
        Preprocessing.model_validate_json('{"height": 8, "width": 8, ' + place.format(literal) + "}")


def test_a_score_judges_a_reconstruction_of_its_input() -> None:
    outputs = [{"name": "y", "dtype": "float32", "shape": [1, 192]}]
    assert "[1, 3, 8, 8], not [1, 192]" in refusal(changed(signature__outputs=outputs))


def judging(**changes: Any) -> dict[str, Any]:
    """The example with a normalised score, a training error map and two good images."""
    files = {
        **EXAMPLE["files"],
        "training_error.bin": {"sha256": "e" * 64, "size_bytes": 4 * 64},
        "good/000.png": {"sha256": "f" * 64, "size_bytes": 300},
        "good/001.png": {"sha256": "0" * 64, "size_bytes": 301},
    }
    known = {
        "files": files,
        "score__method": "max_normalised_squared_error",
        "training_error": "training_error.bin",
        "good_images": ["good/000.png", "good/001.png"],
    }
    return changed(**known | changes)


def test_what_a_score_needs_travels_with_it() -> None:
    manifest = Manifest.model_validate(judging())
    assert manifest.training_error == "training_error.bin"
    assert manifest.good_images == ("good/000.png", "good/001.png")
    assert Manifest.model_validate_json(manifest.canonical_json()) == manifest
    ids = {
        Manifest.model_validate(example).bundle_id
        for example in (judging(), judging(good_images=[]), judging(good_images=["good/001.png", "good/000.png"]))
    }
    assert len(ids | {EXAMPLE_ID}) == 4


@pytest.mark.parametrize("rate", [0.99, 0.0, 1.0, -0.0124])
def test_the_rate_of_a_compression(rate: float) -> None:
    """Below 0: ranks of the user's own may take more weights than the layers had."""
    manifest = Manifest.model_validate(changed(rate=rate))
    assert Manifest.model_validate_json(manifest.canonical_json()).rate == rate
    assert "rate" in refusal(changed(rate=1.01))


ARTIFACT: dict[str, Any] = {
    side: [
        {
            "name": name,
            "dtype": "int8",
            "shape": [1, 8, 8, 3],
            "order": [0, 2, 3, 1],
            "quantisation": {"scale": 0.0039, "zero_point": -128},
        }
    ]
    for side, name in (("inputs", "image_int8"), ("outputs", "reconstruction_int8"))
}
EDGE_TPU = {"operators": 9, "operators_on_cpu": 1, "subgraphs": 1, "on_chip_bytes": 90_000, "streamed_bytes": 0}


def of_artifact(**changes: object) -> dict[str, Any]:
    """The example with an artifact whose input is another."""
    return changed(artifact={**ARTIFACT, "inputs": [{**ARTIFACT["inputs"][0], **changes}]})


def test_an_artifact_stands_for_the_signature() -> None:
    manifest = Manifest.model_validate(changed(artifact=ARTIFACT, edge_tpu=EDGE_TPU))
    assert manifest.artifact is not None
    assert manifest.artifact.inputs[0].order == (0, 2, 3, 1)
    assert Manifest.model_validate_json(manifest.canonical_json()) == manifest
    assert len({manifest.bundle_id, Manifest.model_validate(changed(artifact=ARTIFACT)).bundle_id, EXAMPLE_ID}) == 3
    plain = {"name": "image", "dtype": "float32", "shape": [1, 3, 8, 8]}
    same = Manifest.model_validate(changed(artifact={**ARTIFACT, "inputs": [plain]}))
    assert same.artifact is not None
    assert same.artifact.inputs[0].order == ()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"shape": [1, 3, 8, 8]}, "it has the shape [1, 3, 8, 8], the signature's in that order is [1, 8, 8, 3]"),
        ({"order": [0, 2, 3, 3]}, "[0, 2, 3, 3] is no order of 4 axes"),
        ({"order": [0, 2, 3]}, "[0, 2, 3] is no order of 4 axes"),
        ({"order": [0, 2, 3, -1]}, "order.3"),
        ({"quantisation": None}, "float32 becomes int8 by a scale alone"),
        ({"dtype": "int32"}, "is int32, quantised are int8, uint8"),
        ({"quantisation": {"scale": 0.1, "zero_point": 128}}, "int8 has no 128"),
        ({"dtype": "uint8"}, "uint8 has no -128"),
        ({"quantisation": {"scale": 0, "zero_point": 0}}, "scale"),
        ({"quantisation": {"scale": float("inf"), "zero_point": 0}}, "scale"),
        ({"name": ""}, "name"),
    ],
)
def test_an_artifact_that_stands_for_something_else(changes: dict[str, Any], what: str) -> None:
    assert what in refusal(of_artifact(**changes))


def test_an_artifact_has_what_the_signature_has() -> None:
    assert "the artifact has 2 outputs, the signature 1" in refusal(
        changed(artifact={**ARTIFACT, "outputs": ARTIFACT["outputs"] * 2})
    )
    integers = {"inputs": [{"name": "image", "dtype": "int32", "shape": [1, 3, 8, 8]}]}
    example = changed(artifact=ARTIFACT, preprocessing=None, score=None)
    example["signature"] |= integers
    assert "by a scale float32 becomes int8, not int32" in refusal(example)


def test_64_bit_integers_may_have_32_bits_in_the_file() -> None:
    wide = {"name": "classes", "dtype": "int64", "shape": [4]}
    sizes = {"golden/outputs.bin": {"sha256": "c" * 64, "size_bytes": 2 * 32}}
    example = changed(score=None, files={**EXAMPLE["files"], **sizes}, artifact={**ARTIFACT, "outputs": [wide]})
    example["signature"]["outputs"] = [wide]
    for dtype in ("int64", "int32"):
        example["artifact"]["outputs"] = [{**wide, "dtype": dtype}]
        assert Manifest.model_validate(example).artifact is not None
    example["artifact"]["outputs"] = [{**wide, "dtype": "int16"}]
    assert "int64 becomes int16 by a scale alone" in refusal(example)


def test_what_the_board_builds() -> None:
    example = changed(build={"precision": "fp16"})
    manifest = Manifest.model_validate(example)
    assert Manifest.model_validate_json(manifest.canonical_json()) == manifest
    assert json.loads(manifest.canonical_json())["build"] == {"precision": "fp16", "typed": False}
    typed = changed(build={"precision": "fp16", "typed": True})
    int8 = changed(build={"precision": "int8"})
    assert len({Manifest.model_validate(each).bundle_id for each in (EXAMPLE, example, typed, int8)}) == 4


def test_the_id_of_a_bundle_that_is_built_never_changes_either() -> None:
    built = Manifest.model_validate(changed(build={"precision": "fp16"}))
    assert built.bundle_id == "58cd08e68a313c8fdafc1c7016775d81837ace2dfcb2936e21e72bde1a0d7f58"


@pytest.mark.parametrize(
    ("build", "what"),
    [({}, "precision"), ({"precision": "fp8"}, "precision"), ({"precision": "fp16", "batch": 2}, "batch")],
)
def test_what_no_board_builds(build: dict[str, Any], what: str) -> None:
    assert f"build.{what}" in refusal(changed(build=build))


def test_a_manifest_from_before_says_what_it_said() -> None:
    """Also to an agent from before, which knows no such fields."""
    manifest = Manifest.model_validate(EXAMPLE)
    assert (manifest.training_error, manifest.good_images, manifest.rate, manifest.build) == (None, (), None, None)
    assert set(json.loads(manifest.canonical_json())) == {*EXAMPLE, "schema_version"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"training_error": None}, "the score max_normalised_squared_error needs a training error map"),
        ({"training_error": "gone.bin"}, "'gone.bin' is not among"),
        ({"training_error": "good/000.png"}, "has 300 bytes, a training error map of 8 x 8 pixels needs 256"),
        ({"good_images": ["good/002.png"]}, "'good/002.png' is not among"),
        ({"good_images": ["good/000.png"] * (MAX_GOOD_IMAGES + 1)}, f"at most {MAX_GOOD_IMAGES} items"),
        ({"score": None}, "of no use without a score"),
        ({"score__method": "max_error"}, "score.method"),
        (
            {"files__good/000.png__size_bytes": MAX_GOOD_IMAGES_BYTES},
            f"the good images have {MAX_GOOD_IMAGES_BYTES + 301} bytes, at most {MAX_GOOD_IMAGES_BYTES} are taken",
        ),
    ],
)
def test_what_does_not_fit_a_score_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert reason in refusal(judging(**changes))


def png(width: int, height: int) -> bytes:
    return score.render_map(np.ones((height, width), np.float32))


def known(**changes: Any) -> dict[str, Any]:
    """What a model of 5 x 8 pixels knows of its inspection."""
    usual = np.linspace(0.1, 1, 40, dtype=np.float32).reshape(5, 8)
    inspection = {
        "preprocessing": {"height": 5, "width": 8},
        "score": {"method": "max_normalised_squared_error", "threshold": 3.5},
        "training_error": score.encode_error_map(usual),
        "good_images": [base64.b64encode(png(8, 5)).decode()] * 2,
    }
    return inspection | changes


def test_what_a_model_knows_of_its_inspection() -> None:
    inspection = Inspection.model_validate_json(json.dumps(known()))
    assert inspection.good_image_files() == (png(8, 5), png(8, 5))
    assert Inspection.model_validate_json(inspection.model_dump_json()) == inspection


def test_what_a_model_from_before_knows() -> None:
    inspection = Inspection.model_validate({"preprocessing": {"height": 5, "width": 8}, "score": {}})
    assert (inspection.training_error, inspection.good_images) == (None, ())
    assert Inspection.model_validate({}).good_image_files() == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"training_error": None}, "the score max_normalised_squared_error needs a training error map"),
        ({"training_error": "AAAA"}, "training_error has 3 bytes, 5 x 8 pixels need 80"),
        ({"training_error": "no base64!"}, "training_error is not base64"),
        ({"training_error": "ä"}, "training_error is not base64"),
        ({"preprocessing": {"height": 8, "width": 5}}, "good_images.0 is no PNG file of 5 x 8 pixels"),
        ({"preprocessing": None}, "need the preprocessing, which has their size"),
        ({"score": None}, "of no use without a score"),
        ({"good_images": ["no base64!"]}, "good_images.0 is not base64"),
        ({"good_images": [""]}, "good_images.0 is no PNG file of 8 x 5 pixels"),
        ({"good_images": [base64.b64encode(png(8, 5)[:23]).decode()]}, "good_images.0 is no PNG file"),
        ({"good_images": [base64.b64encode(b"GIF89a" + bytes(40)).decode()]}, "good_images.0 is no PNG file"),
        ({"good_images": known()["good_images"] * (MAX_GOOD_IMAGES // 2 + 1)}, f"at most {MAX_GOOD_IMAGES} items"),
    ],
)
def test_what_a_model_cannot_know(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Inspection.model_validate(known(**changes))
    assert reason in str(caught.value)


def test_good_images_have_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(png(8, 5))
    monkeypatch.setattr(module, "MAX_GOOD_IMAGES_BYTES", 2 * size)
    Inspection.model_validate(known())
    monkeypatch.setattr(module, "MAX_GOOD_IMAGES_BYTES", 2 * size - 1)
    with pytest.raises(ValidationError, match=f"the good images have {2 * size} bytes, at most {2 * size - 1}"):
        Inspection.model_validate(known())


def test_images_become_one_input_alone() -> None:
    two = [*EXAMPLE["signature"]["inputs"], {"name": "mask", "dtype": "float32", "shape": [1, 3, 8, 8]}]
    files = {**EXAMPLE["files"], "golden/inputs.bin": {"sha256": "b" * 64, "size_bytes": 2 * 2 * 768}}
    assert "makes one input" in refusal(changed(signature__inputs=two, files=files))


def test_image_types_are_those_that_inspection_makes() -> None:
    image = preprocess.decode(score.render_map(np.ones((8, 8), np.float32)))
    for dtype in ITEM_BYTES:
        if dtype in IMAGE_DTYPES:
            made = preprocess.prepare(image, preprocess.Preprocessing(height=8, width=8), dtype)
            assert made.dtype == dtype
            assert made.shape == Preprocessing(height=8, width=8).shape
        else:
            with pytest.raises(preprocess.InputMismatchError):
                preprocess.prepare(image, preprocess.Preprocessing(height=8, width=8), dtype)
            tensors = [{"name": "x", "dtype": dtype, "shape": [1, 3, 8, 8]}]
            size = {"sha256": "b" * 64, "size_bytes": 2 * 192 * ITEM_BYTES[dtype]}
            files = {**EXAMPLE["files"], "golden/inputs.bin": size, "golden/outputs.bin": size}
            example = changed(signature={"inputs": tensors, "outputs": tensors}, files=files)
            assert f"cannot become {dtype}" in refusal(example)


@pytest.mark.parametrize("dtype", ITEM_BYTES)
def test_sizes_are_numpys(dtype: str) -> None:
    assert ITEM_BYTES[dtype] == np.dtype(dtype).itemsize
    spec = TensorSpec.model_validate({"name": "x", "dtype": dtype, "shape": [2, 3, 5]})
    assert spec.size_bytes == np.empty((2, 3, 5), dtype).nbytes


def test_a_scalar_has_one_value() -> None:
    assert TensorSpec(name="x", dtype="float64", shape=()).size_bytes == 8


@pytest.mark.parametrize("shape", [(0,), (-1, 3), (1,) * 33, (1.5,), ("1", "x")])
def test_no_shapes(shape: tuple[object, ...]) -> None:
    with pytest.raises(ValidationError):
        TensorSpec.model_validate({"name": "x", "dtype": "float32", "shape": shape})


def test_names_of_tensors_tell_them_apart() -> None:
    twin = TensorSpec(name="x", dtype="float32", shape=(1,))
    other = TensorSpec(name="y", dtype="float32", shape=(1,))
    with pytest.raises(ValidationError, match="2 inputs are named 'x'"):
        Signature(inputs=(twin, other, twin), outputs=(other,))
    with pytest.raises(ValidationError, match="2 outputs are named 'y'"):
        Signature(inputs=(twin,), outputs=(other, other))
    assert Signature(inputs=(twin,), outputs=(twin,)).input_bytes == 4  # an input and an output may share one


def test_signature_counts_all_tensors() -> None:
    signature = Signature(
        inputs=(TensorSpec(name="a", dtype="uint8", shape=(3,)), TensorSpec(name="b", dtype="float64", shape=(1, 2))),
        outputs=(TensorSpec(name="c", dtype="bool", shape=(7,)),),
    )
    assert (signature.input_bytes, signature.output_bytes) == (19, 7)


@on_a_busy_machine
@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_and_nothing_else(content: bytes) -> None:
    with pytest.raises(ValidationError):
        Manifest.model_validate_json(content)
