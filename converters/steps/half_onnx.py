"""Write half precision into the model: TensorRT from 11 on computes each layer in the type that the model gives it."""

from converters.constants import FLOAT16_MAX, beyond_float16
from converters.draft import Draft
from converters.facts import infer

_IN_FLOAT32 = ("QuantizeLinear", "DequantizeLinear")
"""Beside the tool's own list: their scales may be float16 from opset 19 on alone."""


def apply(draft: Draft) -> None:
    """Make ``draft.model`` compute in float16; its inputs and outputs stay float32, with a Cast at each.

    Constants beyond float16's range are cut to it, with a notice. The tool is ONNX Runtime's, which leaves the few
    operators that suffer from float16 in float32. Its figures on a CPU are of rounded constants alone: ONNX Runtime
    computes float16 in float32 there.
    """
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    if beyond := beyond_float16(draft.model):
        draft.notices.append(f"constants beyond float16's range are cut to {FLOAT16_MAX:.0f}: {', '.join(beyond[:5])}")
    graph = draft.model.graph
    del graph.value_info[:]
    graph.value_info.extend(infer(draft.model).graph.value_info)  # by the tool's own inference the weights are copied
    draft.model = convert_float_to_float16(
        draft.model,
        keep_io_types=True,
        disable_shape_infer=True,
        op_block_list=[*DEFAULT_OP_BLOCK_LIST, *_IN_FLOAT32],
    )
    OnnxModel.graph_topological_sort(draft.model.graph)  # it appends its Casts at the end
    del draft.model.graph.value_info[:]
