"""Images in the batches that a model takes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, TypeProto, helper

from compression.errors import BadDataError

Feed = Mapping[str, NDArray[Any]]
"""One batch: input name -> tensor."""

Data = NDArray[Any] | Callable[[], Iterable[Feed]]
"""All images, first axis, of a model with one input; or what gives its batches, anew at every call."""

_BATCH = 16


def feeds_of(model: ModelProto, data: Data) -> Callable[[], Iterator[Feed]]:
    """A function that gives the batches, checked against the model's inputs, anew at every call. BadDataError.

    An array is cut into batches of the size that the model fixes, else of at most 16; images that do not fill a last
    batch of a fixed size are left out.
    """
    inputs = _inputs(model)
    source = data if callable(data) else lambda: _cut(inputs, data)

    def feeds() -> Iterator[Feed]:
        empty = True
        for feed in source():
            _check(feed, inputs)
            empty = False
            yield feed
        if empty:
            raise BadDataError("there are no images, or too few for one batch", "give some dozens of good images")

    return feeds


def session_of(model: ModelProto) -> onnxruntime.InferenceSession:
    """The model in ONNX Runtime on one thread, so that equal data gives equal results."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _inputs(model: ModelProto) -> dict[str, TypeProto.Tensor]:
    constants = {tensor.name for tensor in model.graph.initializer}
    return {value.name: value.type.tensor_type for value in model.graph.input if value.name not in constants}


def _cut(inputs: Mapping[str, TypeProto.Tensor], images: NDArray[Any]) -> Iterator[Feed]:
    if len(inputs) != 1:
        raise BadDataError(
            f"the model has {len(inputs)} inputs: one array does not say which of {', '.join(inputs)} it is for",
            "give a function that returns batches, each a dict of input name -> array",
        )
    [(name, tensor)] = inputs.items()
    fixed = tensor.shape.dim[0].dim_value if tensor.shape.dim else 0
    size = fixed if fixed > 0 else _BATCH
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        if fixed <= 0 or len(batch) == fixed:
            yield {name: batch}


def _check(feed: Feed, inputs: Mapping[str, TypeProto.Tensor]) -> None:
    if feed.keys() != inputs.keys():
        raise BadDataError(
            f"a batch for {', '.join(sorted(feed))}; the model's inputs are {', '.join(sorted(inputs))}",
            "give one array for each input",
        )
    for name, tensor in inputs.items():
        given, dtype = feed[name], helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        sizes = [dim.dim_value for dim in tensor.shape.dim]
        fits = not tensor.HasField("shape") or (
            len(sizes) == given.ndim
            and all(size in (0, -1, real) for size, real in zip(sizes, given.shape, strict=True))
        )
        if not fits or given.dtype != dtype:
            raise BadDataError(
                f"images of {given.dtype}{list(given.shape)} for the input {name!r}, which takes {dtype}{sizes}",
                "prepare the images as the model wants them",
            )
        if not np.isfinite(given).all():
            raise BadDataError(f"images for the input {name!r} have NaN or infinity", "leave those images out")
