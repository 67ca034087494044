"""How near the outputs of a TFLite file are to its model's, whoever made the file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Nearness:
    """Of all outputs together; `greatest` error of one element."""

    sqnr_db: float
    greatest: float


def nearness(file: Path, images: Floats, wanted: Floats) -> Nearness:
    """Of a file of one input and one output; images and wanted outputs (n,channels,height,width)."""
    errors = tflite_outputs(file, images) - wanted
    sqnr_db = 10 * np.log10(np.square(wanted, dtype=np.float64).sum() / np.square(errors, dtype=np.float64).sum())
    return Nearness(float(sqnr_db), float(np.abs(errors).max()))


def onnx_outputs(model: Path, images: Floats) -> Floats:
    """(n,channels,height,width)."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    [declared] = session.get_inputs()
    return np.concatenate([session.run(None, {declared.name: image[None]})[0] for image in images])


def tflite_outputs(file: Path, images: Floats) -> Floats:
    """What the integers stand for, (n,channels,height,width): in the file the channels may be last.

    By TFLite's own kernels: the delegates that LiteRT takes by itself differ from them.
    """
    interpreter = Interpreter(
        str(file), num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    interpreter.allocate_tensors()
    [source], [result] = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for image in images:
        channels_first = tuple(source["shape"][1:]) == image.shape
        interpreter.set_tensor(source["index"], _integers(image if channels_first else _last(image), source))
        interpreter.invoke()
        scale, zero_point = result["quantization"]
        output = np.float32(scale) * (interpreter.get_tensor(result["index"])[0].astype(np.float32) - zero_point)
        outputs.append(output if output.shape == image.shape else np.moveaxis(output, -1, 0))
    return np.stack(outputs)


def _last(image: Floats) -> Floats:
    return np.moveaxis(image, 0, -1)


def _integers(image: Floats, source: dict[str, Any]) -> NDArray[Any]:
    scale, zero_point = source["quantization"]
    ends = np.iinfo(source["dtype"])
    steps = np.round(image / np.float32(scale)) + zero_point
    return np.asarray(np.clip(steps, ends.min, ends.max), source["dtype"])[None]
