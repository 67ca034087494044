"""Whether a conversion keeps what the model computes: its outputs as it came, and after a step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from converters.compare import compare
from converters.draft import Draft
from converters.errors import StepChangedOutputsError
from converters.golden import Case, golden_inputs, pack
from converters.plan import Step
from converters.proto import serialise
from converters.reference import OnnxReference
from converters.tflite.interpreter import NotInstalledError, run
from converters.weights import count_weights

CASES = 4
SAME_DB = 80.0
"""What a step that alters the form alone has to reach.

Sums in another order gave 127 dB at worst (ConvNeXt with its normalisations written out) over 50 networks that PyTorch
exported and the light models of onnx; a wrong axis, mode or constant stays far below 80.
"""
SAME_SHARE = 0.999
"""Of integers: how many have to be equal. Where two scores are equal but for rounding, ArgMax may name the other."""

_ROUNDED = {"int8": "weights and values", "fp16": "the constants alone"}
"""What ONNX Runtime rounds on a CPU: float16 is computed in float32 there, and a value that overflows on the board does
not here.
"""


@dataclass(frozen=True)
class Original:
    """The model as it came: some inputs and what ONNX Runtime gives for them, and `count_weights` of it (a step may
    fold a kernel).
    """

    cases: Sequence[Case]
    outputs: Sequence[Case]
    weights: int

    def check(self, draft: Draft, step: Step) -> None:
        """Compare what ``draft.model`` computes after `step`; of one that alters values, a notice tells the distance.

        Raises StepChangedOutputsError where a step that alters the form alone does not keep the outputs.
        """
        try:
            measured = _outputs(draft, self.cases)
        except NotInstalledError:
            return  # the step has said so
        if _forms(measured) != _forms(self.outputs):
            raise _changed(step, f"its outputs are {_forms(measured)} and were {_forms(self.outputs)}")
        sqnr_db, share = _distance(self.outputs, measured)
        if step.alters == "values":
            precision, inputs = draft.target.precision, "the first calibration inputs" if draft.calibration else "noise"
            distance = f"{sqnr_db:.1f} dB (SQNR) from the original, on {inputs}"
            draft.notices.append(f"{precision}: with {_ROUNDED[precision]} rounded, {distance}")
        elif sqnr_db < SAME_DB:
            raise _changed(step, f"{sqnr_db:.1f} dB (SQNR) from the original, {SAME_DB:.0f} dB are asked for")
        elif share < SAME_SHARE:
            raise _changed(step, f"{share:.2%} of the integers are equal, {SAME_SHARE:.1%} are asked for")


def original_of(draft: Draft) -> Original:
    """Of a draft whose inputs have their shapes; what `OnnxReference` raises, and a run of it.

    ValueError for calibration inputs that do not fit the signature.
    """
    cases = list(draft.calibration[:CASES]) or golden_inputs(draft.signature, count=CASES)
    for case in cases:
        pack(case, draft.signature.inputs)
    return Original(cases, _outputs(draft, cases), count_weights(draft.model))


def _outputs(draft: Draft, cases: Sequence[Case]) -> list[Case]:
    """Of the model, or of the file that was made from it, as far as the host has a runtime for that."""
    if draft.content is not None and draft.artifact is not None:
        return run(draft.content, draft.artifact, cases)
    reference = OnnxReference(serialise(draft.model))
    return [reference(case) for case in cases]


def _forms(outputs: Sequence[Case]) -> str:
    return ", ".join(f"{tensor.dtype}{list(tensor.shape)}" for tensor in outputs[0])


def _distance(original: Sequence[Case], measured: Sequence[Case]) -> tuple[float, float]:
    """SQNR in dB of the floats, and the share of equal integers; inf and 1 where there are none."""
    sqnr_db, share = math.inf, 1.0
    for index, output in enumerate(compare(original, measured).outputs):
        pairs = [(right[index], got[index]) for right, got in zip(original, measured, strict=True)]
        if pairs[0][0].dtype.kind == "f":
            sqnr_db = min(sqnr_db, output.sqnr_db)
        else:
            share = min(share, float(np.mean([right == got for right, got in pairs])))
    return sqnr_db, share


def _changed(step: Step, what: str) -> StepChangedOutputsError:
    return StepChangedOutputsError(
        f"after the step {step.name} the model computes something else: {what}",
        "this is a defect of boardfit: please report it with the model",
    )
