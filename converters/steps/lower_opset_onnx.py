"""Say with operators that the board's parser reads what the model says with newer ones, or with ones too old."""

from onnx import ModelProto, helper, version_converter
from onnx.inliner import inline_local_functions

from converters.draft import Draft
from converters.errors import UnsupportedVersionError
from converters.lowering import lower, opset_of
from converters.naming import Names
from converters.tensorrt import OLDEST_OPSET, newest_opset

_OLDEST_QUANTISED = 13
"""QuantizeLinear has a scale per channel from this opset on."""


def apply(draft: Draft) -> None:
    """Bring ``draft.model`` to the newest opset that the target's parser reads, if its own is newer, and up to the
    oldest that it reads or that int8 needs, if its own is older.

    TFLite has no parser of ONNX on the board, so that nothing is too new for it: what is old alone is brought up.

    Functions of the model's own are written out: TensorRT reads them from 9.0 on alone (docs/Changelog.md of
    https://github.com/onnx/onnx-tensorrt). Raises OpsetTooNewError or UnsupportedVersionError.
    """
    if draft.model.functions:
        names = Names.of(draft.model)
        draft.model = inline_local_functions(draft.model)
        names.restore(draft.model)
    opset = opset_of(draft.model)
    newest = opset if draft.target.runtime == "tflite" else newest_opset(draft.target.runtime_version)
    oldest = _OLDEST_QUANTISED if draft.target.precision == "int8" else OLDEST_OPSET
    if opset > newest:
        lower(draft.model, newest)
        draft.notices.append(f"rewritten from opset {opset} to {newest}, the newest that the board's parser reads")
    elif opset < oldest:
        names = Names.of(draft.model)
        draft.model = _raised(draft.model, opset, oldest)
        names.restore(draft.model)
        draft.notices.append(f"rewritten from opset {opset} to {oldest}")
    # The parser warns of a file format that is newer than itself; what the operators need is enough.
    needed = helper.find_min_ir_version_for(list(draft.model.opset_import), ignore_unknown=True)
    draft.model.ir_version = max(needed, 4)


def _raised(model: ModelProto, opset: int, oldest: int) -> ModelProto:
    try:
        return version_converter.convert_version(model, oldest)
    except (version_converter.ConvertError, RuntimeError, IndexError) as error:  # IndexError: an operator of no opset
        raise UnsupportedVersionError(
            f"the model is of opset {opset}, and cannot be brought to {oldest}: {' '.join(str(error).split())}",
            "export the model again, for opset 13 or newer",
        ) from error
