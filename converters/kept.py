"""Whether a conversion keeps what the model computes: its outputs as it came, and after a step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from converters.anatomy.onnx_macs import of_model as count_macs
from converters.compare import compare
from converters.draft import Draft
from converters.errors import StepChangedOutputsError
from converters.golden import MAX_BYTES, Case, golden_inputs, pack
from converters.plan import Step
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
    """The model as it came: some inputs and what ONNX Runtime gives for them, its weights and multiply-adds (a step may
    fold a kernel).
    """

    cases: Sequence[Case]
    outputs: Sequence[Case]
    weights: int
    macs: int | None

    def check(self, draft: Draft, *steps: Step) -> None:
        """Compare what ``draft.model`` computes after `steps`, which alter all the same: the form, or values; of values
        ``draft.sqnr_db`` and a notice tell the distance.

        Raises StepChangedOutputsError where steps that alter the form alone do not keep the outputs.
        """
        draft.close()  # what is open is the model before the steps
        try:
            measured = _outputs(draft, self.cases)
        except NotInstalledError:
            return  # the step has said so
        if _forms(measured) != _forms(self.outputs):
            raise _changed(steps, f"its outputs are {_forms(measured)} and were {_forms(self.outputs)}")
        sqnr_db, share = _distance(self.outputs, measured)
        if steps[-1].alters == "values":
            precision, inputs = draft.target.precision, "the first calibration inputs" if draft.calibration else "noise"
            distance = f"{_in_words(sqnr_db, share)} the original, on {inputs}"
            draft.notices.append(f"{precision}: with {_ROUNDED[precision]} rounded, {distance}")
            draft.sqnr_db = sqnr_db
        elif sqnr_db < SAME_DB:
            raise _changed(steps, f"{sqnr_db:.1f} dB (SQNR) from the original, {SAME_DB:.0f} dB are asked for")
        elif share < SAME_SHARE:
            raise _changed(steps, f"{share:.2%} of the integers are equal, {SAME_SHARE:.1%} are asked for")


def original_of(draft: Draft) -> Original:
    """Of a draft whose inputs have their shapes; what ``draft.opened()`` raises, and a run of it.

    `CASES` of them, or fewer, at least one, where inputs and outputs would pass `MAX_BYTES`. ValueError for calibration
    inputs that do not fit the signature.
    """
    cases = draft.calibration or golden_inputs(draft.signature, count=CASES)
    first = cases[0]
    pack(first, draft.signature.inputs)
    outputs = _outputs(draft, [first])
    case_bytes = sum(tensor.nbytes for tensor in (*first, *outputs[0]))  # the signature may lack the outputs
    cases = [first, *cases[1 : min(CASES, max(1, MAX_BYTES // max(1, case_bytes)))]]
    for case in cases[1:]:
        pack(case, draft.signature.inputs)
    if cases[1:]:
        outputs += _outputs(draft, cases[1:])
    draft.close()
    return Original(cases, outputs, count_weights(draft.model), count_macs(draft.model))


def _outputs(draft: Draft, cases: Sequence[Case]) -> list[Case]:
    """Of the model, or of the file that was made from it, as far as the host has a runtime for that."""
    if draft.content is not None and draft.artifact is not None:
        return run(draft.content, draft.artifact, cases)
    reference = draft.opened()
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


def _in_words(sqnr_db: float, share: float) -> str:
    integers = "" if share == 1 else f"{share:.2%} of the integers as in"
    if sqnr_db == math.inf:
        return integers or "no difference to"
    return f"{integers} and {sqnr_db:.1f} dB (SQNR) from" if integers else f"{sqnr_db:.1f} dB (SQNR) from"


def _changed(steps: Sequence[Step], what: str) -> StepChangedOutputsError:
    after = f"step{'' if len(steps) == 1 else 's'} {' and '.join(step.name for step in steps)}"
    return StepChangedOutputsError(
        f"after the {after} the model computes something else: {what}",
        "this is a defect of boardfit: please report it with the model",
    )
