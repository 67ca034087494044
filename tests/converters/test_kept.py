from pathlib import Path

import numpy as np
import pytest
import zoo
from onnx import ModelProto, parser

from converters import kept
from converters.draft import Draft
from converters.errors import StepChangedOutputsError, UnsupportedOperatorError
from converters.golden import Case
from converters.kept import CASES, original_of
from converters.plan import Step, Target
from converters.signature import Signature, TensorSpec

FORM, VALUES = Step("fold_onnx", "host", "form"), Step("quantise_onnx", "host", "values")
IMAGE = Signature((TensorSpec("image", "float32", (1, 3, 16, 16)),), ())


def draft_of(model: ModelProto, signature: Signature = IMAGE, **rest: object) -> Draft:
    return Draft(Path("model.onnx"), {}, model, signature, target=Target("trt", "int8"), **rest)  # type: ignore[arg-type]


def network(text: str) -> ModelProto:
    return parser.parse_model(f'<ir_version: 8, opset_import: ["": 13]> g {text}')


def test_the_same_model_passes() -> None:
    draft = draft_of(zoo.autoencoder())
    original = original_of(draft)
    original.check(draft, FORM)
    assert not draft.notices
    assert (original.weights, original.macs) == (768, 768 * 8 * 8)
    assert len(original.cases) == CASES


@pytest.mark.parametrize("calibration", [(), [[np.ones((1, 3, 8, 8), np.float32)]] * CASES])
def test_of_large_outputs_fewer_are_held(monkeypatch: pytest.MonkeyPatch, calibration: list[Case]) -> None:
    """A signature of a conversion that goes on from another has no outputs: their size is the first run's."""
    case_bytes = 4 * (3 + 4) * 8 * 8
    for limit, held in ((3 * case_bytes - 1, 2), (1, 1)):
        monkeypatch.setattr(kept, "MAX_BYTES", limit)
        signature = Signature((TensorSpec("image", "float32", (1, 3, 8, 8)),), ())
        draft = draft_of(zoo.convolution(), signature, calibration=calibration)
        original = original_of(draft)
        assert (len(original.cases), len(original.outputs)) == (held, held)
        original.check(draft, FORM)


def test_rounding_passes_and_a_wrong_weight_does_not() -> None:
    draft = draft_of(zoo.autoencoder())
    original = original_of(draft)
    kernel = np.frombuffer(draft.model.graph.initializer[0].raw_data, np.float32)
    draft.model.graph.initializer[0].raw_data = (kernel * np.float32(1 + 2e-7)).tobytes()
    original.check(draft, FORM)
    draft.model.graph.initializer[0].raw_data = (kernel * np.float32(1.001)).tobytes()
    told = r"after the step fold_onnx .*: \d\d\.\d dB \(SQNR\).* 80 dB"
    with pytest.raises(StepChangedOutputsError, match=told) as caught:
        original.check(draft, FORM)
    assert caught.value.hint == "this is a defect of boardfit: please report it with the model"


def test_outputs_of_another_shape_or_type() -> None:
    signature = Signature((TensorSpec("x", "float32", (1, 4)),), ())
    draft = draft_of(network("(float[1,4] x) => (float[1,4] y) { y = Relu(x) }"), signature)
    original = original_of(draft)
    draft.model = network("(float[1,4] x) => (float16[4] y) { a = Cast<to=10>(x) y = Squeeze(a) }")
    with pytest.raises(StepChangedOutputsError, match=r"its outputs are float16\[4\] and were float32\[1, 4\]"):
        original.check(draft, VALUES)


def test_a_few_integers_may_differ_by_rounding_but_not_many() -> None:
    signature = Signature((TensorSpec("x", "float32", (5000,)),), ())
    text = "(float[5000] x) => (bool[5000] y) <float[1] c = {VALUE}> { y = Greater(x, c) }"
    draft = draft_of(network(text.replace("VALUE", "0.5")), signature)
    original = original_of(draft)
    draft.model = network(text.replace("VALUE", "0.50001"))
    original.check(draft, FORM)
    draft.model = network(text.replace("VALUE", "0.6"))
    with pytest.raises(StepChangedOutputsError, match=r"\d\d\.\d\d% of the integers are equal, 99\.9% are asked for"):
        original.check(draft, FORM)


def test_of_a_step_that_alters_values_the_distance_is_told() -> None:
    draft = draft_of(zoo.autoencoder())
    original = original_of(draft)
    kernel = np.frombuffer(draft.model.graph.initializer[0].raw_data, np.float32)
    draft.model.graph.initializer[0].raw_data = (kernel * np.float32(1.1)).tobytes()
    original.check(draft, VALUES)
    (notice,) = draft.notices
    assert notice.startswith("int8: with weights and values rounded, ")
    assert notice.endswith(f" {draft.sqnr_db:.1f} dB (SQNR) from the original, on noise")


def test_of_integers_the_share_that_is_equal_is_told() -> None:
    signature = Signature((TensorSpec("x", "float32", (5000,)),), ())
    text = "(float[5000] x) => (bool[5000] y) <float[1] c = {VALUE}> { y = Greater(x, c) }"
    draft = draft_of(network(text.replace("VALUE", "0.5")), signature)
    original = original_of(draft)
    draft.model = network(text.replace("VALUE", "0.6"))
    original.check(draft, VALUES)
    assert draft.notices[0].endswith("% of the integers as in the original, on noise")
    assert draft.sqnr_db == np.inf


def test_calibration_inputs_are_used_where_there_are_any() -> None:
    images = [[np.full((1, 3, 16, 16), value, np.float32)] for value in np.linspace(0, 1, 9)]
    draft = draft_of(zoo.autoencoder(), calibration=images)
    original = original_of(draft)
    assert [case[0].max() for case in original.cases] == [0, 0.125, 0.25, 0.375]
    original.check(draft, VALUES)
    assert draft.notices == [
        "int8: with weights and values rounded, no difference to the original, on the first calibration inputs"
    ]


def test_calibration_inputs_that_do_not_fit_are_a_defect_of_the_caller() -> None:
    with pytest.raises(ValueError, match="'image' is float32"):
        original_of(draft_of(zoo.autoencoder(), calibration=[[np.zeros((1, 3, 8, 8), np.float32)]]))


def test_a_model_that_does_not_load_is_refused_as_ever() -> None:
    with pytest.raises(UnsupportedOperatorError):
        original_of(draft_of(zoo.unimplemented()))
