"""What can be wrong with a model, or with how it was asked to be converted.

::

    ConversionError
    ├── UnreadableModelError      unreadable_model       no such file, a directory, no permission
    ├── NotOnnxError              not_onnx               something else, empty or truncated
    ├── ModelTooLargeError        model_too_large        beyond what one ONNX file can hold
    ├── ExternalDataError         external_data          weights beside the model: outside its folder, missing, short
    ├── InvalidModelError         invalid_model          ONNX, but it contradicts itself
    ├── NotFiniteError            not_finite             constants or outputs that are NaN or infinite
    ├── UnsupportedVersionError   unsupported_version    newer than the installed onnx and ONNX Runtime
    ├── UnsupportedTypeError      unsupported_type       an input or output no board can take
    ├── UnsupportedOperatorError  unsupported_operator   ONNX Runtime lacks it
    ├── OpsetTooNewError          opset_too_new          an operator that the board's parser cannot be told
    ├── DynamicShapeError         dynamic_shape          a size is not in the file and was not given
    ├── DataDependentShapeError   data_dependent_shape   the size of an output depends on the input's values
    ├── UnknownInputError         unknown_input          --input-shape names no input
    ├── BadInputShapeError        bad_input_shape        --input-shape contradicts the model
    ├── RunFailedError            run_failed             it loads, but does not run
    ├── NeedsCalibrationError     needs_calibration      int8, and no images to find the ranges with
    ├── NothingToQuantiseError    nothing_to_quantise    int8, and no layer that it is worth for
    ├── NotInTfliteError          not_in_tflite          int8 TFLite has no operator for it, or not as it is used
    ├── UnfitFileError            unfit_file             a file of ours breaks the rules of the Edge TPU's compiler
    ├── StepChangedOutputsError   step_changed_outputs   a step of ours broke the model
    ├── UnknownFormatError        unknown_format         no way from this kind of model file
    ├── UnknownRuntimeError       unknown_runtime        no way to this runtime
    └── UnknownPrecisionError     unknown_precision      the runtime is known, the precision is not
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar


class ConversionError(Exception):
    """A model cannot be converted: `message` says what and why, `hint` what to do, `code` is stable."""

    code: ClassVar[str] = "conversion_failed"

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UnreadableModelError(ConversionError):
    """The path is no file that can be read."""

    code = "unreadable_model"


class NotOnnxError(ConversionError):
    """The file is something else, empty or truncated."""

    code = "not_onnx"


class ModelTooLargeError(ConversionError):
    """The model, or the model with its external data, is beyond what one ONNX file can hold."""

    code = "model_too_large"


class ExternalDataError(ConversionError):
    """Weights kept beside the model are outside its folder, missing or shorter than the model says."""

    code = "external_data"


class InvalidModelError(ConversionError):
    """The file is ONNX, but breaks the rules of ONNX or contradicts itself."""

    code = "invalid_model"


class NotFiniteError(ConversionError):
    """Constants that a node computes with, or all that an output gives, are NaN or infinite."""

    code = "not_finite"


class UnsupportedVersionError(ConversionError):
    """The model's opset or IR version is newer than the installed onnx and ONNX Runtime know."""

    code = "unsupported_version"


class UnsupportedTypeError(ConversionError):
    """An input or output is no plain tensor, or its elements have a type no board can take."""

    code = "unsupported_type"


class UnsupportedOperatorError(ConversionError):
    """ONNX Runtime does not know the operator, or not for the types it is used with.

    `domain` is "" for ONNX's own operators; `node` is "" where the node has no name.
    """

    code = "unsupported_operator"

    def __init__(self, operator: str, domain: str, node: str, reason: str) -> None:
        where = f" (node {node!r})" if node else ""
        super().__init__(
            f"ONNX Runtime cannot run the operator {f'{domain}.' if domain else ''}{operator}{where}: {reason}",
            "export the model with another opset, without custom operators, or replace this part of the model",
        )
        self.operator = operator
        self.domain = domain
        self.node = node


class OpsetTooNewError(ConversionError):
    """An operator is newer than the board's parser, and there is no way to say the same with older ones.

    `node` is "" where the node has no name; `opset` is what the operator needs as it is used.
    """

    code = "opset_too_new"

    def __init__(self, operator: str, node: str, opset: int, newest: int, reason: str) -> None:
        where = f" (node {node!r})" if node else ""
        super().__init__(
            f"the operator {operator}{where} needs opset {opset}, the board's parser reads up to {newest}: {reason}",
            f"export the model for opset {newest}, or replace this part of it",
        )
        self.operator = operator
        self.node = node
        self.opset = opset


class DynamicShapeError(ConversionError):
    """A dimension other than the batch is neither in the model nor given."""

    code = "dynamic_shape"


class DataDependentShapeError(ConversionError):
    """The shape of an output changes with the values of the inputs, or is empty."""

    code = "data_dependent_shape"


class UnknownInputError(ConversionError):
    """A shape was given for an input that the model does not have."""

    code = "unknown_input"


class BadInputShapeError(ConversionError):
    """A shape has the wrong rank, contradicts the model or another input, or is absurdly large."""

    code = "bad_input_shape"


class RunFailedError(ConversionError):
    """ONNX Runtime loads the model, but a run fails."""

    code = "run_failed"


class NeedsCalibrationError(ConversionError):
    """A model is to be quantised, and nothing tells which values it meets."""

    code = "needs_calibration"


class NothingToQuantiseError(ConversionError):
    """No layer of the model gains by int8, and a board's builder refuses int8 without one."""

    code = "nothing_to_quantise"


class NotInTfliteError(ConversionError):
    """An operator, or a way to use it, that int8 TFLite for the Edge TPU has not, or that would not be exact.

    `operator` is ONNX's name for it; `node` is the node's name, or that of its first output.
    """

    code = "not_in_tflite"

    def __init__(self, operator: str, node: str, reason: str, hint: str) -> None:
        super().__init__(f"the operator {operator} (node {node!r}) cannot be written for the Edge TPU: {reason}", hint)
        self.operator = operator
        self.node = node


class UnfitFileError(ConversionError):
    """A finished TFLite file is not what the Edge TPU's compiler reads: a defect of ours, not of the model."""

    code = "unfit_file"


class StepChangedOutputsError(ConversionError):
    """After a step that must keep the outputs, ONNX Runtime computes others: a defect of ours, not of the model."""

    code = "step_changed_outputs"


class UnknownFormatError(ConversionError):
    """There is no way from this kind of model file."""

    code = "unknown_format"


class UnknownRuntimeError(ConversionError):
    """There is no way from this kind of model file to this runtime."""

    code = "unknown_runtime"


class UnknownPrecisionError(ConversionError):
    """The runtime does not take a model of this precision."""

    code = "unknown_precision"


def nearest(word: str, valid: Iterable[str]) -> str:
    """A hint: the one of `valid` that looks most like `word`, or else all of them."""
    names = list(valid)
    near = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(map(repr, names))}"
