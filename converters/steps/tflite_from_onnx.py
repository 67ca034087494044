"""Write the model as full-int8 TFLite, for the Edge TPU's compiler and for any CPU with TFLite."""

import math

from converters.draft import Draft
from converters.errors import NeedsCalibrationError, UnfitFileError
from converters.tflite import gate
from converters.tflite.conversion import convert, program_of
from converters.tflite.interpreter import INSTALL, NotInstalledError
from converters.tflite.report import layer_errors

_WORST = 5
_COMPARED = 4


def apply(draft: Draft) -> None:
    """Set ``draft.content``, ``draft.artifact`` and, where ai-edge-litert is installed, ``draft.layers``; notices name
    the layers that lose most, and what the Edge TPU will leave to the CPU.

    Raises NeedsCalibrationError, NotInTfliteError, UnsupportedTypeError, DynamicShapeError or RunFailedError.
    """
    if not draft.calibration:
        program_of(draft.model)  # nobody should look for images for a model that cannot go there
        raise NeedsCalibrationError(
            "int8 needs images, or tensors as inputs, to find the range of each tensor with",
            "name a folder with some dozens of good ones: --calibrate DIR",
        )
    written = convert(draft.model, draft.calibration, draft.options)
    gate.check(written.content)
    draft.content, draft.artifact = written.content, written.artifact
    draft.notices += [*written.notices, *gate.will_not_map(written.content)]
    try:
        draft.layers = layer_errors(draft.model, written, draft.calibration[:_COMPARED])
    except NotInstalledError:
        draft.notices.append(f"int8: not compared with the original; to have it compared, {INSTALL}")
    except (ValueError, RuntimeError) as error:  # the two that the interpreter throws
        raise UnfitFileError(
            f"TFLite does not run the file: {error}", "this is a defect of boardfit: please report it with the model"
        ) from error
    differing = [layer for layer in draft.layers if layer.sqnr_db < math.inf]
    worst = sorted(differing, key=lambda layer: layer.sqnr_db)[:_WORST]
    if worst:
        named = ", ".join(f"{layer.name} ({layer.operator}) {layer.sqnr_db:.1f} dB" for layer in worst)
        draft.notices.append(f"int8: farthest from the original {'is' if len(worst) == 1 else 'are'} {named}")
