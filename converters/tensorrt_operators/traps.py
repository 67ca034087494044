"""What a TensorRT's ONNX parser refuses of an operator that it has.

Read from https://github.com/onnx/onnx-tensorrt, where there is no other source beside a trap:

- 8.2   builtin_op_importers.cpp at 078f20b8fbcbb802aa5ffcd2134519721a61b88c
- 10.0  onnxOpCheckers.cpp at 2010aa33a054342c239fbc73a17a45aafa35a56f
- 10.6  the same file at 0137504e2b25fe5253bd85d26b073378fb67805b
- and the restrictions and changelog entries that tables.toml names

tests/converters/test_tensorrt_operators_verdicts.py holds those that 11 still has against TensorRT-RTX.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from onnx import TensorProto

from converters.tensorrt_operators.sites import Site
from converters.tensorrt_operators.tables import Version

Doubt = Literal["refused", "unknown"]
Check = Callable[[Site], Iterable[tuple[Doubt, str]]]


@dataclass(frozen=True)
class Trap:
    """A `check` that says why it refuses a node of these operators, or doubts it.

    It holds for the versions (major, minor) from `since` up to, not including, `until`.
    """

    operators: frozenset[str]
    check: Check
    since: Version = (0,)
    until: Version = (1000,)

    def holds(self, version: Version) -> bool:
        return self.since <= version < self.until


def spring(site: Site, version: Version) -> Iterator[tuple[Doubt, str]]:
    """What the traps of `version` say of a node."""
    for trap in TRAPS:
        if site.operator in trap.operators and trap.holds(version):
            yield from trap.check(site)


def _trap(operators: str, check: Check, since: Version = (0,), until: Version = (1000,)) -> Trap:
    return Trap(frozenset(operators.split()), check, since, until)


def _one_of(name: str, default: Any, *allowed: Any, doubt: Doubt = "refused") -> Check:
    """An attribute has one of these values; a list of numbers has no others."""

    def check(site: Site) -> Iterator[tuple[Doubt, str]]:
        value = site.attribute(name, default)
        values = value if isinstance(value, list) else [value]
        if any(item not in allowed for item in values):
            yield doubt, f"{name} is {value!r}, and NVIDIA lists {' and '.join(map(repr, allowed))} alone"

    return check


def _without(name: str) -> Check:
    def check(site: Site) -> Iterator[tuple[Doubt, str]]:
        if site.attribute(name) is not None:
            yield "refused", f"it has the attribute {name}"

    return check


def _one_output(site: Site) -> Iterator[tuple[Doubt, str]]:
    further = [name for name in site.node.output[1:] if name]
    if further:
        yield "refused", f"only its first output is supported, and it has {', '.join(map(repr, further))} too"


def _rank(low: int, high: int) -> Check:
    def check(site: Site) -> Iterator[tuple[Doubt, str]]:
        rank = site.rank(0)
        if rank is not None and not low <= rank <= high:
            allowed = f"{low}" if low == high else f"{low} to {high}"
            yield "refused", f"its input has {rank} dimensions, and can have {allowed}"

    return check


def _constant(name: str, *indices: int) -> Check:
    """An input is a constant. One computed from constants may be folded by the parser, or may not."""

    def check(site: Site) -> Iterator[tuple[Doubt, str]]:
        for index in indices:
            if site.has_input(index) and not site.is_constant(index):
                what = "computed from constants" if site.is_fixed(index) else "computed"
                yield "unknown" if site.is_fixed(index) else "refused", f"{name} must be a constant, and is {what}"

    return check


def _without_input(name: str, index: int) -> Check:
    def check(site: Site) -> Iterator[tuple[Doubt, str]]:
        if site.has_input(index):
            yield "unknown", f"it has the input {name}"

    return check


def _scales(site: Site) -> int:
    """Which input of a Resize has the scales: opset 11 put a region of interest before them."""
    return 2 if site.opset >= 11 else 1


def _constant_scales(site: Site) -> Iterable[tuple[Doubt, str]]:
    return _constant("scales", _scales(site))(site)


def _scaled_dimensions(site: Site) -> Iterator[tuple[Doubt, str]]:
    """canUseNDResize: linear interpolation over the last three dimensions alone."""
    scales = site.values(_scales(site))
    if site.attribute("mode", "nearest") == "linear" and scales is not None and (scales[:-3] != 1).any():
        yield "refused", f"linear interpolation scales the last 3 dimensions alone, and scales are {scales.tolist()}"


def _nearest_of_tensorflow(site: Site) -> Iterator[tuple[Doubt, str]]:
    nearest = site.attribute("nearest_mode", "round_prefer_floor")
    if site.attribute("coordinate_transformation_mode") == "tf_half_pixel_for_nn" and nearest != "round_prefer_floor":
        yield "refused", f"nearest_mode is {nearest!r}, and can be 'round_prefer_floor' alone with tf_half_pixel_for_nn"


def _cubic(doubt: Doubt) -> Check:
    def check(site: Site) -> Iterator[tuple[Doubt, str]]:
        if site.attribute("mode", "nearest") == "cubic":
            yield doubt, "mode is 'cubic', and NVIDIA lists nearest and linear alone"

    return check


def _even_pads(site: Site) -> Iterator[tuple[Doubt, str]]:
    pads = site.attribute("pads", [])
    half = len(pads) // 2
    if pads[:half] != pads[half:]:
        yield "refused", f"pads are {pads}, and must be the same before and behind"


def _einsum(site: Site) -> Iterator[tuple[Doubt, str]]:
    equation = site.attribute("equation", "")
    terms = equation.replace(" ", "").split("->")[0].split(",")
    diagonal = any(len(set(term)) < len(term) for term in terms if "..." not in term)
    if "..." in equation or diagonal or equation != equation.lower():
        yield "refused", f"the equation {equation!r} has an ellipsis, a diagonal or capital letters"


def _same_both_ways(site: Site) -> Iterator[tuple[Doubt, str]]:
    for name in ("activations", "activation_alpha", "activation_beta"):
        values = site.attribute(name, [])
        half = len(values) // 2
        if site.attribute("direction") == "bidirectional" and values[:half] != values[half:]:
            yield "refused", f"{name} differ between the forward and the reverse pass"


def _largest(site: Site) -> Iterator[tuple[Doubt, str]]:
    count = site.values(1)
    if count is not None and count.size == 1 and count.item() >= 3840:
        yield "refused", f"K is {count.item()}, and must be below 3840"


def _floating_range(site: Site) -> Iterator[tuple[Doubt, str]]:
    if site.element(0) in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE):
        yield from _constant("each input of a floating-point range", 0, 1, 2)(site)


def _integers_as_floats(site: Site) -> Iterator[tuple[Doubt, str]]:
    """8.2 reads value_int and value_ints through its getter of floats, which finds nothing there."""
    if site.attribute("value_int") is not None or site.attribute("value_ints") is not None:
        yield "unknown", "it holds integers as value_int(s), which this version misreads: write them as a tensor"


def _scale(site: Site) -> Iterator[tuple[Doubt, str]]:
    scale = site.values(1)
    if scale is not None and not (scale.astype(np.float32) > 0).all():
        yield "refused", "its scale is not positive everywhere"


def _zero_point(site: Site) -> Iterator[tuple[Doubt, str]]:
    zero_point = site.values(2)
    if zero_point is not None and zero_point.any():
        yield "refused", "its zero point is not 0: TensorRT quantises symmetrically alone"
    elif site.has_input(2) and zero_point is None:
        yield "unknown", "its zero point is computed, and must be 0"


def _three_inputs(site: Site) -> Iterator[tuple[Doubt, str]]:
    if not site.has_input(2):
        yield "refused", "it has no zero point, which this version's parser demands (0, of int8)"


def _implied_uint8(site: Site) -> Iterator[tuple[Doubt, str]]:
    """Without a zero point ONNX quantises to uint8: https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html"""
    if not site.has_input(2) and not site.attribute("output_dtype", 0):
        yield "unknown", "without a zero point ONNX quantises to uint8, TensorRT to int8: give it one (0, of int8)"


def _int32(site: Site) -> Iterator[tuple[Doubt, str]]:
    if site.element(0) == TensorProto.INT32:
        yield "refused", "it dequantises int32 (a bias?), and TensorRT int8: leave biases in floating point"


def _uint8(doubt: Doubt) -> Check:
    """QuantDequantLinearHelper refuses uint8 from 8.5 on; 8.2 would read it as int8; 11 documents int8 alone."""

    def check(site: Site) -> Iterator[tuple[Doubt, str]]:
        if TensorProto.UINT8 in (site.element(2), site.element(0)):
            yield doubt, "it quantises to uint8, and TensorRT to int8"

    return check


def _since_opset(opset: int) -> Check:
    def check(site: Site) -> Iterator[tuple[Doubt, str]]:
        if site.opset >= opset:
            yield "unknown", f"opset {opset} gave it another meaning, which this version does not know"

    return check


_POOLS = "AveragePool LpPool MaxPool"
_REDUCTIONS = (
    "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare"
)
_QUANTISING = "DequantizeLinear QuantizeLinear"
_COORDINATES = ("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners")

TRAPS = (
    _trap(f"Conv ConvTranspose {_POOLS}", _rank(3, 5)),  # one spatial dimension is computed as two
    _trap("Conv ConvTranspose", _constant("its bias", 2)),
    _trap(_POOLS, _one_of("dilations", 1, 1)),
    _trap("BatchNormalization LayerNormalization MaxPool", _one_output),
    _trap("BatchNormalization", _one_of("training_mode", 0, 0)),
    _trap("InstanceNormalization", _rank(3, 5), until=(9,)),
    _trap("InstanceNormalization", _rank(3, 8), since=(9,)),
    _trap("InstanceNormalization", _constant("its scale or bias", 1, 2), until=(9,)),
    _trap("GroupNormalization", _since_opset(21), until=(10, 9)),  # https://github.com/NVIDIA/TensorRT/issues/4336
    _trap("DepthToSpace GridSample SpaceToDepth", _rank(4, 4)),
    _trap("DeformConv", _rank(3, 4)),
    _trap("DeformConv", _even_pads),
    _trap("LpNormalization LpPool", _one_of("p", 2, 1, 2)),
    _trap("Resize", _one_of("coordinate_transformation_mode", "half_pixel", *_COORDINATES)),
    _trap("Resize", _one_of("antialias", 0, 0)),
    _trap("Resize", _one_of("keep_aspect_ratio_policy", "stretch", "stretch")),
    _trap("Resize", _nearest_of_tensorflow),
    _trap("Resize", _scaled_dimensions),
    _trap("Resize", _cubic("refused"), until=(8, 4)),
    _trap("Resize", _cubic("unknown"), since=(8, 4), until=(9,)),
    _trap("Resize", _constant_scales, until=(9,)),
    _trap("Upsample", _constant("scales", 1)),
    _trap("Upsample", _one_of("mode", "nearest", "nearest", "linear", "bilinear")),
    _trap("Pad", _one_of("mode", "constant", "constant", "reflect", "edge"), until=(10,)),
    _trap("Pad", _without_input("axes", 3), until=(10, 4)),
    _trap("ScatterElements", _one_of("reduction", "none", "none"), until=(10,)),
    _trap("ScatterND", _one_of("reduction", "none", "none")),
    _trap("CumSum", _constant("axis", 1)),
    _trap(f"Squeeze Unsqueeze {_REDUCTIONS}", _constant("axes", 1)),
    _trap("Slice", _constant("axes", 3), until=(10, 3)),
    _trap("OneHot", _constant("depth", 1)),
    _trap("Dropout", _constant("training_mode", 2)),
    _trap("STFT", _constant("frame_step or window", 1, 2)),
    _trap("Range", _floating_range, until=(8, 4)),
    _trap("NonMaxSuppression", _constant("a threshold or the number of boxes", 2, 3, 4), until=(8, 5)),
    _trap("TopK", _constant("K", 1), until=(8, 6)),
    _trap("TopK", _largest),
    _trap("TopK", _one_of("sorted", 1, 1, doubt="unknown"), since=(9,)),  # TensorRT-RTX 1.7 takes 0, and sorts
    _trap("Einsum", _einsum, until=(10, 12)),
    _trap("GRU LSTM RNN", _same_both_ways),
    _trap("LSTM", _one_of("input_forget", 0, 0)),
    _trap("LSTM", _one_of("layout", 0, 0, doubt="unknown")),  # TensorRT-RTX 1.7 takes 1
    _trap("Constant", _without("sparse_value")),
    _trap("Constant", _without("value_string")),
    _trap("Constant", _without("value_strings")),
    _trap("Constant", _integers_as_floats, until=(8, 4)),
    _trap(_QUANTISING, _scale),
    _trap(_QUANTISING, _zero_point),
    _trap(_QUANTISING, _three_inputs, until=(9,)),
    _trap("QuantizeLinear", _implied_uint8, since=(9,)),
    _trap("DequantizeLinear", _int32),
    _trap(_QUANTISING, _uint8("refused"), until=(11,)),
    _trap(_QUANTISING, _uint8("unknown"), since=(11,)),
)

_HARMLESS = frozenset(
    {
        *("Clip", "Split"),  # the importers of 8.2 take computed limits and sizes
        *("EyeLike", "Hardmax", "ReverseSequence"),  # shapes are frozen
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),  # it is about the seed
    }
)
_OPEN = frozenset({"NonMaxSuppression", "STFT"})  # the output's shape on 8.2; a real input

JUDGED = _HARMLESS | {operator for trap in TRAPS for operator in trap.operators} - _OPEN
"""Operators of whose restrictions in the tables the traps leave nothing open."""
