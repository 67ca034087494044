"""One side of the comparison with onnx2tf: a model to int8 TFLite, in a process of its own.

python benchmarks/bare_conversion.py MODEL.onnx IMAGES.npy OUT.tflite

The images are float32 (n,height,width,channels), as onnx2tf wants them.
"""

import sys
from pathlib import Path

import numpy as np

from converters.convert import convert
from converters.plan import Target


def main(model: str, images: str, out: str) -> None:
    calibration = [[np.ascontiguousarray(image.transpose(2, 0, 1)[None])] for image in np.load(images)]
    made = convert(Path(model), Target("tflite", "int8"), calibration=calibration)
    Path(out).write_bytes(made.model)


if __name__ == "__main__":
    main(*sys.argv[1:])
