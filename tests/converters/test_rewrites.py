"""Each rewrite against ONNX Runtime: the newer model and the older one compute the same."""

import itertools

import numpy as np
import onnx
import pytest
from onnx import ModelProto, defs, helper, parser

from converters.compare import compare
from converters.errors import OpsetTooNewError
from converters.lowering import lower
from converters.noise import noise
from converters.reference import OnnxReference
from converters.rewrites.table import REWRITES
from converters.signature import TensorSpec

X = "(float[2,4,6,8] x)"
LAST = "(float[2,6,8,4] x) => (float[2,6,8,4] y)"
SCALES = "<float[4] s = {0.5, 1, 2, 0.1}, float[4] b = {0, 1, -1, 0.2}>"
AXES = "<int64[2] a = {2, -1}>"

EQUAL = {
    "hard swish": (14, f"{X} => (float[2,4,6,8] y) {{ y = HardSwish(x) }}"),
    "reshape": (14, f"{X} => (float[8,6,8] y) <int64[3] d = {{8,6,8}}> {{ y = Reshape<allowzero=1>(x, d) }}"),
    "cast like": (15, f"{X} => (int32[2,4,6,8] y) <int32[1] i = {{1}}> {{ y = CastLike(x, i) }}"),
    "roi align": (
        16,
        f"""{X} => (float[1,4,2,2] y) <float[1,4] r = {{0,0,4,4}}, int64[1] n = {{1}}> {{ y = RoiAlign
        <coordinate_transformation_mode="output_half_pixel", output_height=2, output_width=2>(x, r, n) }}""",
    ),
    "layer norm": (17, f"{LAST} {SCALES} {{ y = LayerNormalization<epsilon=0.1>(x, s, b) }}"),
    "layer norm without bias": (17, f"{LAST} {SCALES} {{ y = LayerNormalization(x, s) }}"),
    "layer norm of several axes": (
        17,
        """(float[2,3,2,2] x) => (float[2,3,2,2] y) <float[3,2,2] s = {1,2,3,4,5,6,7,8,9,10,11,12}> {
        y = LayerNormalization<axis=1>(x, s) }""",
    ),
    "layer norm of halves": (
        17,
        f"(float16[2,6,8,4] x) => (float16[2,6,8,4] y) {SCALES} {{ t = Cast<to=10>(s) y = LayerNormalization(x, t) }}",
    ),
    "norm pooling": (
        18,
        f"{X} => (float[2,4,3,4] y) {{ y = LpPool<kernel_shape=[2,2], strides=[2,2], ceil_mode=0>(x) }}",
    ),
    "mish": (18, f"{X} => (float[2,4,6,8] y) {{ y = Mish(x) }}"),
    "pads of all axes": (
        18,
        f'{X} => (float[2,4,9,8] y) <int64[8] p = {{0,0,1,0,0,0,2,0}}> {{ y = Pad<mode="reflect">(x, p) }}',
    ),
    "pads of some axes": (
        18,
        f"""{X} => (float[2,4,7,11] y) <int64[4] p = {{3,1,0,0}}, float v = {{9}}, int64[2] a = {{-1,2}}> {{
        y = Pad(x, p, v, a) }}""",
    ),
    "pads of one axis without a value": (
        18,
        f"{X} => (float[2,5,6,8] y) <int64[2] p = {{0,1}}, int64[1] a = {{1}}> {{ y = Pad(x, p, , a) }}",
    ),
    "resize by scales": (
        18,
        f"""{X} => (float[2,4,12,16] y) <float[4] s = {{1,1,2,2}}> {{
        y = Resize<mode="linear", keep_aspect_ratio_policy="stretch", antialias=0>(x, , s) }}""",
    ),
    "resize some axes by scales": (
        18,
        f'{X} => (float[2,4,12,4] y) <float[2] s = {{0.5,2}}> {{ y = Resize<mode="linear", axes=[3,2]>(x, , s) }}',
    ),
    "resize some axes to sizes": (
        18,
        f'{X} => (float[2,4,9,5] y) <int64[2] z = {{9,5}}> {{ y = Resize<mode="nearest", axes=[2,3]>(x, , , z) }}',
    ),
    "antialiased growth": (
        18,
        f'{X} => (float[2,4,12,8] y) <float[4] s = {{1,1,2,1}}> {{ y = Resize<mode="linear", antialias=1>(x, , s) }}',
    ),
    "split into equal parts": (
        18,
        f"{X} => (float[2,4,6,4] y, float[2,4,6,4] z) {{ y, z = Split<axis=3, num_outputs=2>(x) }}",
    ),
    "split with a smaller last part": (
        18,
        f"""{X} => (float[2,4,6,3] y, float[2,4,6,3] z, float[2,4,6,2] w) {{
        y, z, w = Split<axis=-1, num_outputs=3>(x) }}""",
    ),
    "split by sizes": (
        18,
        f"{X} => (float[2,1,6,8] y, float[2,3,6,8] z) <int64[2] n = {{1,3}}> {{ y, z = Split<axis=1>(x, n) }}",
    ),
    **{
        f"{operator} of some axes": (18, f"{X} => (float[2,4,1,1] y) {AXES} {{ y = {operator}(x, a) }}")
        for operator in [
            "ReduceL1",
            "ReduceL2",
            "ReduceMax",
            "ReduceMean",
            "ReduceMin",
            "ReduceProd",
            "ReduceSumSquare",
        ]
    },
    "ReduceLogSumExp": (18, f"{X} => (float[2,4] y) {AXES} {{ y = ReduceLogSumExp<keepdims=0>(x, a) }}"),
    "ReduceLogSum": (18, f"{X} => (float[2,4] y) {AXES} {{ e = Exp(x) y = ReduceLogSum<keepdims=0>(e, a) }}"),
    "reduce all": (18, f"{X} => (float y) {{ y = ReduceMean<keepdims=0, noop_with_empty_axes=0>(x) }}"),
    "average pooling": (
        19,
        f"""{X} => (float[2,4,3,4] y) {{
        y = AveragePool<kernel_shape=[2,2], strides=[2,2], dilations=[1,1]>(x) }}""",
    ),
    "gelu": (20, f"{X} => (float[2,4,6,8] y) {{ y = Gelu(x) }}"),
    "gelu by tanh": (20, f'{X} => (float[2,4,6,8] y) {{ y = Gelu<approximate="tanh">(x) }}'),
    "gelu of halves": (20, "(float16[2,6] x) => (float16[2,6] y) { y = Gelu(x) }"),
    "group norm": (
        21,
        f"{X} => (float[2,4,6,8] y) {SCALES} {{ y = GroupNormalization<num_groups=2, epsilon=0.01>(x, s, b) }}",
    ),
    "shapes after group norms": (
        21,
        f"""{X} => (float[2,4,7,8] y) <float[4] s = {{0.5, 1, 2, 0.1}}, float[4] b = {{0, 1, -1, 0.2}},
        int64[2] p = {{0,1}}, int64[1] a = {{2}}> {{
        t = GroupNormalization<num_groups=2>(x, s, b) r = Relu(t) u = GroupNormalization<num_groups=4>(r, s, b)
        y = Pad(u, p, , a) }}""",
    ),
    "root mean square norm": (23, f"{LAST} {SCALES} {{ y = RMSNormalization(x, s) }}"),
    "remainder of integers": (
        28,
        "(int32[2,4] x, int32[2,4] z) => (int32[2,4] y) <int32[1] o = {3}> { d = Add(z, o) y = Mod(x, d) }",
    ),
    "swish": (24, f"{X} => (float[2,4,6,8] y) {{ y = Swish(x) }}"),
    "swish with a slope": (24, f"{X} => (float[2,4,6,8] y) {{ y = Swish<alpha=1.5>(x) }}"),
}
"""Opset and graph, which every opset from 13 on can say."""

EQUAL_ABOVE = {
    "scatter by adding": (
        18,
        """(float[2,4,6,8] x, float[1,4,6,8] u) => (float[2,4,6,8] y) <int64[1,1] i = {1}> {
        y = ScatterND<reduction="add">(x, i, u) }""",
        16,
    ),
    "scatter": (
        18,
        """(float[2,4,6,8] x, float[1,4,6,8] u) => (float[2,4,6,8] y) <int64[1,1] i = {1}> {
        y = ScatterND<reduction="none">(x, i, u) }""",
        13,
    ),
    "grid sample": (
        20,
        '(float[2,4,6,8] x, float[2,3,5,2] g) => (float[2,4,3,5] y) { y = GridSample<mode="cubic">(x, g) }',
        16,
    ),
    "resize in opset 18": (
        19,
        f"""{X} => (float[2,4,3,4] y) <float[4] s = {{1,1,0.5,0.5}}> {{
        y = Resize<mode="linear", antialias=1>(x, , s) }}""",
        18,
    ),
}
"""Opset, graph, and the oldest opset that can say it."""

REFUSED = {
    "zero in a shape": (
        14,
        "(float[0,4] x) => (float[0,2] y) <int64[2] d = {0,2}> { y = Reshape<allowzero=1>(x, d) }",
        "allowzero=1 with a 0 in the shape",
    ),
    "half pixel regions": (
        16,
        f"""{X} => (float[1,4,1,1] y) <float[1,4] r = {{0,0,4,4}}, int64[1] n = {{1}}> {{ y = RoiAlign(x, r, n) }}""",
        "coordinate_transformation_mode='half_pixel'",
    ),
    "mean of a layer norm": (
        17,
        f"(float[2,4] x) => (float[2,4] y, float[2,1] m) {SCALES} {{ y, m = LayerNormalization(x, s, b) }}",
        "its outputs Mean and InvStdDev are used",
    ),
    "computed axes": (
        18,
        "(float[2,4] x, int64[1] a) => (float[2,1] y) { y = ReduceMax(x, a) }",
        "its input 'a' is computed, and had to be a constant",
    ),
    "reduce nothing": (
        18,
        f"{X} => (float[2,4,6,8] y) {{ y = ReduceMax<noop_with_empty_axes=1>(x) }}",
        "noop_with_empty_axes=1 without axes",
    ),
    "antialiased shrinking": (
        18,
        f"""{X} => (float[2,4,3,4] y) <float[4] s = {{1,1,0.5,0.5}}> {{
        y = Resize<mode="linear", antialias=1>(x, , s) }}""",
        "antialias=1",
    ),
    "kept aspect": (
        18,
        f"""{X} => (float[2,4,3,4] y) <int64[2] z = {{3,5}}> {{
        y = Resize<mode="linear", axes=[2,3], keep_aspect_ratio_policy="not_larger">(x, , , z) }}""",
        "keep_aspect_ratio_policy='not_larger'",
    ),
    "computed scales of some axes": (
        18,
        '(float[2,4] x, float[1] s) => (float[2,n] y) { y = Resize<mode="linear", axes=[1]>(x, , s) }',
        "axes, and 's' is computed",
    ),
    "region of some axes": (
        18,
        """(float[2,4] x) => (float[2,8] y) <float[2] r = {0,1}, float[1] s = {2}> {
        y = Resize<axes=[1], mode="linear", coordinate_transformation_mode="tf_crop_and_resize">(x, r, s) }""",
        "axes with a region of interest",
    ),
    "scatter by maximum": (
        18,
        """(float[2,4] x, float[1,4] u) => (float[2,4] y) <int64[1,1] i = {1}> {
        y = ScatterND<reduction="max">(x, i, u) }""",
        "reduction='max'",
    ),
    "split of an unknown size": (
        18,
        "(float[2,4] x) => (int64[2,n] y, int64[2,m] z) { i = NonZero(x) y, z = Split<axis=1, num_outputs=2>(i) }",
        "the shape of its input 'i' is not known",
    ),
    "dilated average": (
        19,
        f"{X} => (float[2,4,4,6] y) {{ y = AveragePool<kernel_shape=[2,2], dilations=[2,2]>(x) }}",
        r"dilations=\[2, 2\]",
    ),
    "dilated norm": (
        18,
        f"{X} => (float[2,4,4,6] y) {{ y = LpPool<kernel_shape=[2,2], dilations=[2,2]>(x) }}",
        r"dilations=\[2, 2\]",
    ),
    "wrapped pad": (
        19,
        f'{X} => (float[2,4,8,8] y) <int64[8] p = {{0,0,1,0,0,0,1,0}}> {{ y = Pad<mode="wrap">(x, p) }}',
        "mode='wrap'",
    ),
    "symmetric half pixels": (
        19,
        f"""{X} => (float[2,4,3,4] y) <float[4] s = {{1,1,0.5,0.5}}> {{
        y = Resize<mode="linear", coordinate_transformation_mode="half_pixel_symmetric">(x, , s) }}""",
        "coordinate_transformation_mode='half_pixel_symmetric'",
    ),
    "sampling a volume": (
        20,
        "(float[1,1,4,4,4] x, float[1,2,2,2,3] g) => (float[1,1,2,2,2] y) { y = GridSample(x, g) }",
        "an input of 5 dimensions",
    ),
    "remainder of floats": (
        28,
        "(float[2] x, float[2] z) => (float[2] y) { y = Mod(x, z) }",
        "fmod=0 of floats",
    ),
    "cast to a type that is not known": (
        15,
        "(float[2] x, float[2] t) => (float[2] y) { m = Mystery(t) y = CastLike(x, m) }",
        "the type of its input 'm' is not known",
    ),
}
"""Opset, graph, and what the error says."""


def network(opset: int, text: str) -> ModelProto:
    if opset > defs.onnx_opset_version():
        pytest.skip(f"the installed onnx knows no opset {opset}")
    return parser.parse_model(f'<ir_version: 8, opset_import: ["": {opset}]> g {text}')


def outputs(model: ModelProto) -> list[np.ndarray]:
    """For values around 0, as inside a network."""
    specs = [
        TensorSpec(
            value.name,
            str(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)),
            tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim),
        )
        for value in model.graph.input
    ]
    inputs = [(4 * tensor - 2).astype(tensor.dtype) for tensor in noise(specs, seed=7)]
    return list(OnnxReference(model.SerializeToString())(inputs))


CASES = [
    *((name, opset, text, older) for name, (opset, text) in EQUAL.items() for older in (23, 20, 17, 16, 13)),
    *((name, opset, text, oldest) for name, (opset, text, oldest) in EQUAL_ABOVE.items()),
]


@pytest.mark.parametrize(
    ("opset", "text", "older"),
    [pytest.param(*case, id=f"{name} to {case[-1]}") for name, *case in CASES if case[0] > case[-1]],
)
def test_the_older_model_computes_the_same(opset: int, text: str, older: int) -> None:
    made = network(opset, text)
    expected = outputs(made)
    lower(made, older)
    assert made.opset_import[0].version == older
    onnx.checker.check_model(made, full_check=True)
    assert compare([expected], [outputs(made)]).sqnr_db > (50 if "float16" in text else 110)


@pytest.mark.parametrize(("opset", "text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_older_operators_cannot_say(opset: int, text: str, reason: str) -> None:
    with pytest.raises(OpsetTooNewError, match=rf"the board's parser reads up to 13: {reason}$") as caught:
        lower(network(opset, text), 13)
    assert caught.value.opset == opset


def test_every_rewrite_is_of_an_opset_that_changed_the_operator() -> None:
    history = {(schema.name, schema.since_version) for schema in defs.get_all_schemas_with_history()}
    newest = defs.onnx_opset_version()
    assert {change for change in REWRITES if change[1] <= newest} <= history


def test_every_operator_that_changed_what_it_is_told_has_a_rewrite() -> None:
    """Fails where a later ONNX moves an attribute to an input, or adds one without a default: what to do has to be
    decided. One that adds an attribute with a default needs nothing, the default is dropped.
    """
    schemas: dict[str, list[defs.OpSchema]] = {}
    for schema in defs.get_all_schemas_with_history():
        if not schema.domain and not schema.deprecated:
            schemas.setdefault(schema.name, []).append(schema)
    changed = set()
    for name, history in schemas.items():
        history.sort(key=lambda schema: schema.since_version)
        for old, new in itertools.pairwise(history):
            lost = old.attributes.keys() - new.attributes.keys()
            added = [new.attributes[name] for name in new.attributes.keys() - old.attributes.keys()]
            undefined = any(not attribute.default_value.type for attribute in added)
            if new.since_version > 13 and (lost or undefined or new.max_input > old.max_input):
                changed.add((name, new.since_version))
    # No network of images uses these: they are refused where they say something new.
    refused = {("Attention", 24), ("DFT", 20), ("OptionalHasElement", 18), ("Shape", 15)}
    assert changed - refused <= REWRITES.keys()
