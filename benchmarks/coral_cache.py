"""What does compression buy on a Coral? The `medium` model's parameters at 0, 90 and 99 %: on the chip, or streamed.

Weights are random: where they lie does not depend on what they have learned. The int8 file is our converter's; which of
its parameters stay on the Edge TPU is an ESTIMATE from what the compiler's published outputs say of its memory
(converters/anatomy/cache.py), for the compiler itself is not at hand. Bars: some streamed at 0 %, none from 90 % on.
"""

import sys
from pathlib import Path

import numpy as np
import onnx

from benchmarks.agents import noise, scratch
from benchmarks.verdict import machine, tell
from compression.autoencoder import SPECS, reference_model
from compression.compress import compress
from converters.anatomy.anatomy import Anatomy
from converters.anatomy.cache import CACHE_BYTES
from converters.anatomy.inspect import inspect_file
from converters.convert import convert
from converters.plan import Target

RATES = (0.0, 0.9, 0.99)
IMAGES = 8
MIB = 2**20


def main() -> bool:
    spec = SPECS["medium"]
    print(f"Parameters of {spec.weight_count / 1e6:.1f} M weights in int8 on an Edge TPU. {machine()}")
    images = noise(spec.size)
    original = reference_model(spec, images, seed=0)
    print(f"  ESTIMATED for a chip with {CACHE_BYTES / MIB:.0f} MiB for parameters; activations: the most at once")
    print("   rate  parameters       bytes   on the chip     streamed   activations")
    found = {rate: _anatomy(compress(original, rate).model if rate else original, images) for rate in RATES}
    for rate, file in found.items():
        assert file.cache is not None
        assert file.peak_activation_bytes is not None
        sizes = (file.parameter_bytes, file.cache.on_chip_bytes, file.cache.streamed_bytes, file.peak_activation_bytes)
        shown = "   ".join(f"{size / MIB:6.2f} MiB" for size in sizes)
        print(f"  {rate:5.0%}     {file.parameters / 1e6:6.2f} M   {shown}")
    streamed = {rate: file.cache.streamed_bytes for rate, file in found.items() if file.cache}
    first = tell("at 0% some parameters are streamed at each inference", streamed[0.0] > 0)
    return first & tell("from 90% on none are", streamed[0.9] == streamed[0.99] == 0)


def _anatomy(model: onnx.ModelProto, images: np.ndarray) -> Anatomy:
    """Of its int8 file."""
    with scratch() as folder:
        source, made = Path(folder) / "model.onnx", Path(folder) / "model.tflite"
        onnx.save(model, source)
        cases = [[image[None]] for image in images[:IMAGES]]
        made.write_bytes(convert(source, Target("tflite", "int8"), calibration=cases).model)
        return inspect_file(made)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
