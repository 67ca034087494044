"""What onnx itself tests a runtime with: each case of the operators that there are, or the reason why not."""

import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, numpy_helper

from converters.draft import Draft
from converters.errors import ConversionError, NotInTfliteError, UnsupportedTypeError
from converters.plan import Target
from converters.steps import lower_opset_onnx
from converters.tflite.operators import OPERATORS

ENOUGH_DB = 30.0

_FOLDED = {"BatchNormalization", "Div", "Neg"}
_ALL_MOVING = {"Add", "Concat", "Div", "Mul", "Sub"}

EXCLUDED = {
    r"test_averagepool_2d_strides": "a mean of noise is small, on the grid of the noise",
    r"test_averagepool_3d_.*|test_maxpool_3d_.*|test_convtranspose_3d": "volumes",
    r"test_averagepool_2d_dilations|test_maxpool_2d_dilations": "TFLite's pools have no dilation",
    r"test_batchnorm_(example|epsilon)": "a batch of 2: test_operators.py has one",
    r"test_(batchnorm_.*_training_mode|training_dropout_.*|training_dropout)": "training",
    r"test_clip_min_greater_than_max": "all is one value, without 0",
    r"test_convtranspose_group_2_image_3": "a batch of 3",
    r"test_div.*": "quotients of two tensors",
    r"test_flatten_.*": "a batch: test_networks.py has one",
    r"test_gemm_(default_matrix_bias|transposeA|all_attributes)": "a bias for each row, a transposed first factor",
    r"test_matmul_(3d|4d|bcast|1d_3d|4d_1d|1d_1d)": "products of more than a matrix",
    r"test_reshape_allowzero_reordered": "empty",
    r"test_reshape_extended_dims": "a batch of 2",
    r"test_resize_(?!tf_).*(cubic|align_corners|antialias).*": "ways to read between places that TFLite has not",
    r"test_resize_tf_crop_and_resize.*": "what lies outside of the image",
    r"test_resize_downsample_(scales|sizes)_linear(_half_pixel_symmetric|_pytorch_half_pixel)?": "no half",
    r"test_resize_upsample_scales_linear_half_pixel_symmetric": "no multiple",
    r"test_resize_(downsample_sizes_nearest|downsample_sizes_nearest_not_smaller)": "no multiple and no half",
    r"test_resize_upsample_sizes_nearest_(ceil|floor|round_prefer_ceil).*": "rounded another way",
    r"test_softmax_large_number.*": "differences of 1 beside 10000, which int8 does not tell apart",
}
"""Cases, as whole names, that are refused or that int8 cannot tell: why. They do not have to run."""


def test_the_cases_of_every_operator(trial: Any) -> None:
    """Kernels, shapes and the like are constants, as exporters write them; integers in or out are left out."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # infinities and overflows on purpose
        cases = list(collect_testcases(None))
    near: Counter[str] = Counter()
    wrong, far, unused = [], [], set(EXCLUDED)
    for case in cases:
        operators = {node.op_type for node in case.model.graph.node}
        if len(case.model.graph.node) != 1 or not operators <= OPERATORS.keys() | _FOLDED or not _floats(case.model):
            continue
        (operator,) = operators
        reasons = {pattern for pattern in EXCLUDED if re.fullmatch(pattern, case.name)}
        try:
            tried = trial(*_fixed(case, operator))
        except (NotInTfliteError, UnsupportedTypeError, ConversionError) as refusal:
            if not reasons:
                wrong.append((case.name, refusal.message))
            unused -= reasons
            continue
        if tried.sqnr_db < ENOUGH_DB:
            if not reasons:
                far.append((case.name, tried.sqnr_db))
            unused -= reasons
        else:
            near[operator] += 1
            if reasons:
                wrong.append((case.name, "is excluded, and works"))
    assert not wrong
    assert not far
    assert not unused
    assert near.total() > 120
    assert near.keys() >= OPERATORS.keys() - {"Affine", "Cast", "Flatten"}  # of one value, of batches


def _floats(model: ModelProto) -> bool:
    """Whether its first input and all outputs are tensors of float32."""
    values = [model.graph.input[0], *model.graph.output] if model.graph.input else []
    return bool(values) and all(value.type.tensor_type.elem_type == TensorProto.FLOAT for value in values)


def _fixed(case: Any, operator: str) -> tuple[Any, ...]:
    """The model, of an opset that there is a form for, and its inputs: all but the first are constants where they are
    parameters of the operator.
    """
    model = ModelProto()
    model.CopyFrom(case.model)
    given = [np.asarray(value) for value in case.data_sets[0][0]]
    for index in reversed(range(1, len(given)) if operator not in _ALL_MOVING else ()):
        model.graph.initializer.append(numpy_helper.from_array(given[index], model.graph.input[index].name))
        del model.graph.input[index]
    draft = Draft(Path(case.name), {}, model, target=Target("tflite", "int8"))
    lower_opset_onnx.apply(draft)
    return (draft.model, *(given[: len(model.graph.input)]))
