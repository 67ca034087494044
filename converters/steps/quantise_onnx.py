"""Write int8 into the model: what TensorRT calls explicit quantisation, which each of its versions reads alike.

No image and no calibrator then has to come to the board, and ONNX Runtime computes on the host what the board will.
"""

from converters.draft import Draft
from converters.errors import NeedsCalibrationError, NothingToQuantiseError
from converters.facts import facts_of
from converters.quantisation import find_places, is_quantised, quantise
from converters.ranges import peaks


def apply(draft: Draft) -> None:
    """Put QuantizeLinear and DequantizeLinear nodes into ``draft.model``, with the ranges that ``draft.calibration``
    shows: the largest absolute value that each tensor takes. Clipping below it (percentiles, least squared error) made
    the reference autoencoders worse, by 2 to 7 dB.

    A model that has such nodes keeps its own. Raises NeedsCalibrationError, NothingToQuantiseError or RunFailedError.
    """
    graph = draft.model.graph
    if is_quantised(draft.model):
        draft.notices.append("int8: the model is quantised already, and its own ranges are kept")
        return
    if not draft.calibration:
        raise NeedsCalibrationError(
            "int8 needs images, or tensors as inputs, to find the range of each tensor with",
            "name a folder with some dozens of good ones: --calibrate DIR",
        )
    facts = facts_of(draft.model)
    places = find_places(graph, facts)
    if not places:
        raise NothingToQuantiseError(
            "int8 changes nothing here: the model has no convolution or product in float32 with constant weights",
            "deploy it with --precision fp16",
        )
    computed = {place.tensor for place in places} - facts.constants.keys()
    quantise(graph, places, peaks(draft.model, computed, draft.calibration), facts)
    if draft.target.typed:
        draft.notices.append("int8: all that is not quantised is computed in float32 there; compare it with fp16")
