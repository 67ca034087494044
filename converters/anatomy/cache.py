"""What of a model's parameters would stay on an Edge TPU, before its compiler has been asked: an estimate."""

from dataclasses import dataclass

CACHE_BYTES = 7 * 2**20
"""On-chip memory for parameters: what the compilers 15 and 16 say is used plus what they say is free. Published outputs
of models whose feature maps are small have 6.2 to 8.0 MiB (resnet18 6.15 in PINTO0309/openvino2tensorflow#28;
google-coral/edgetpu#393 6.99, #671 7.04, #518 7.16, #285 7.74, #322 7.86; yolov7-tiny 7.06 in WongKinYiu/yolov7#1672).
"""
LEAST_CACHE_BYTES = 1 * 2**20
"""Large feature maps take the place: 1.1 MiB are left in google-coral/edgetpu#572, 1.9 in #427, 3.0 in #686."""


@dataclass(frozen=True)
class CacheEstimate:
    """Bytes of parameters; both are estimates from `CACHE_BYTES`, and the compiler pads and splits as it likes."""

    on_chip_bytes: int
    streamed_bytes: int


def estimate_cache(parameter_bytes: int) -> CacheEstimate:
    """As if the parameters filled the chip to the last byte, and nothing else took its memory."""
    on_chip = min(parameter_bytes, CACHE_BYTES)
    return CacheEstimate(on_chip, parameter_bytes - on_chip)
